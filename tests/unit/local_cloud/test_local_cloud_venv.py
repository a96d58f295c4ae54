"""The local cloud's virtual environment is made once, and again when it has to be."""

from __future__ import annotations

import dataclasses

import pytest

from local_cloud import venv
from local_cloud.settings import CloudError, from_environment


@pytest.fixture
def settings(tmp_path):
    return dataclasses.replace(from_environment({}), checkout=tmp_path)


@pytest.fixture
def steps(settings, monkeypatch):
    """Stands for venv and pip: notes each step, and makes the interpreter."""
    taken = []

    def run(command, lock):
        taken.append(command[2])
        settings.python.parent.mkdir(parents=True, exist_ok=True)
        settings.python.touch()

    monkeypatch.setattr(venv, "_run", run)
    return taken


def test_it_is_made_once(settings, steps):
    venv.ensure(settings)
    venv.ensure(settings)
    assert steps == ["venv", "pip"]


def test_it_is_made_again_when_the_requirements_change(settings, steps, monkeypatch, tmp_path):
    venv.ensure(settings)
    leftover = settings.venv / "leftover"
    leftover.touch()
    changed = tmp_path / "requirements.txt"
    changed.write_text("ministack==9\n")
    monkeypatch.setattr(venv, "REQUIREMENTS", changed)
    venv.ensure(settings)
    assert steps == ["venv", "pip"] * 2
    assert not leftover.exists()


def test_an_install_that_was_killed_is_done_again(settings, steps, monkeypatch):
    whole = venv._run

    def killed(command, lock):
        whole(command, lock)
        if command[2] == "pip":
            raise KeyboardInterrupt

    monkeypatch.setattr(venv, "_run", killed)
    with pytest.raises(KeyboardInterrupt):
        venv.ensure(settings)
    monkeypatch.setattr(venv, "_run", whole)
    venv.ensure(settings)
    assert steps == ["venv", "pip"] * 2


def test_an_interpreter_that_is_gone_is_made_again(settings, steps):
    venv.ensure(settings)
    settings.python.unlink()
    venv.ensure(settings)
    assert steps == ["venv", "pip"] * 2


def test_a_step_that_fails_says_what_pip_said(tmp_path):
    with (tmp_path / "lock").open("w") as lock, pytest.raises(CloudError, match="no such wheel"):
        venv._run(["sh", "-c", "echo no such wheel >&2; exit 1"], lock.fileno())


def test_byte_code_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    with (tmp_path / "lock").open("w") as lock:
        venv._run(["sh", "-c", f"env > {tmp_path}/environment"], lock.fileno())
    assert "PYTHONDONTWRITEBYTECODE" not in (tmp_path / "environment").read_text()


def test_the_requirements_pin_exact_releases():
    pins = [line for line in venv.REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert [pin.partition("==")[0] for pin in pins] == ["ministack", "boto3"]
    assert all(pin.partition("==")[2] for pin in pins)
