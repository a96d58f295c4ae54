"""Where the local cloud lives, and what its server is given to know."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from local_cloud import cloud
from local_cloud.__main__ import main, parser
from local_cloud.settings import CHECKOUT, CloudError, from_environment, server_environment


def test_defaults_are_inside_the_checkout():
    settings = from_environment({})
    assert settings.endpoint == "http://127.0.0.1:4566"
    assert settings.home == CHECKOUT / "build" / "local_cloud" / "4566"
    assert settings.policies == CHECKOUT / "files" / "iam"
    assert settings.patched


def test_every_port_has_a_state_folder_of_its_own():
    assert from_environment({"LOCAL_CLOUD_PORT": "4700"}).home.name == "4700"


def test_everything_can_be_given(tmp_path):
    settings = from_environment(
        {
            "LOCAL_CLOUD_PORT": "4700",
            "LOCAL_CLOUD_HOME": str(tmp_path / "home"),
            "LOCAL_CLOUD_POLICIES": str(tmp_path / "iam"),
            "LOCAL_CLOUD_PATCHES": "off",
        }
    )
    assert (settings.port, settings.home, settings.policies) == (4700, tmp_path / "home", tmp_path / "iam")
    assert not settings.patched


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "4566 "])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(CloudError, match="give a port number"):
        from_environment({"LOCAL_CLOUD_PORT": port})


def test_a_wrong_patch_choice_is_refused():
    with pytest.raises(CloudError, match="give on or off"):
        from_environment({"LOCAL_CLOUD_PATCHES": "no"})


def test_the_server_inherits_nothing_that_changes_what_it_does(tmp_path):
    callers = {
        "PATH": "/usr/bin",
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_ENDPOINT_URL": "https://elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GATEWAY_PORT": "1",
        "LOCALSTACK_PERSISTENCE": "1",
        "HTTPS_PROXY": "http://proxy",
        "AUTH": "false",
    }
    settings = from_environment({"LOCAL_CLOUD_PORT": "4700", "LOCAL_CLOUD_HOME": str(tmp_path)})
    given = server_environment(settings, callers, "id", persist=False)
    assert given["PATH"] == "/usr/bin"
    assert {
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_ENDPOINT_URL",
        "PYTHONDONTWRITEBYTECODE",
        "HTTPS_PROXY",
    }.isdisjoint(given)
    assert (given["GATEWAY_PORT"], given["AUTH"], given["BIND_HOST"]) == ("4700", "true", "127.0.0.1")
    assert "LOCALSTACK_PERSISTENCE" not in given


@pytest.mark.parametrize(("persist", "switch"), [(True, "1"), (False, "0")])
def test_all_state_is_inside_the_state_folder(tmp_path, persist, switch):
    settings = from_environment({"LOCAL_CLOUD_HOME": str(tmp_path)})
    given = server_environment(settings, {}, "id", persist)
    assert (given["PERSIST_STATE"], given["S3_PERSIST"]) == (switch, switch)
    for name in ("STATE_DIR", "S3_DATA_DIR", "TMPDIR"):
        assert Path(given[name]).parent == tmp_path


def test_env_prints_what_a_shell_can_evaluate():
    lines = cloud.exports(from_environment({"LOCAL_CLOUD_PORT": "4700"})).splitlines()
    assert lines[0] == "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN"
    assert 'export NO_PROXY="127.0.0.1${NO_PROXY:+,$NO_PROXY}"' in lines
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:4700" in lines
    assert "export AWS_ACCESS_KEY_ID=test" in lines


def test_a_mistake_is_one_sentence_and_exit_code_one(monkeypatch, capsys):
    monkeypatch.setenv("LOCAL_CLOUD_PORT", "http")
    assert main(["status"]) == 1
    assert capsys.readouterr().err == "LOCAL_CLOUD_PORT is 'http': give a port number from 1 to 65535.\n"


def test_an_unknown_identity_is_refused():
    with pytest.raises(SystemExit):
        parser().parse_args(["policy", "root", "file.json"])


def test_a_state_folder_in_use_by_another_port_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("local_cloud.processes.bears", lambda pid, name, value: (pid, value) == (os.getpid(), "id"))
    (tmp_path / "server.json").write_text(json.dumps({"pid": os.getpid(), "instance_id": "id", "port": 4700}))
    settings = from_environment({"LOCAL_CLOUD_HOME": str(tmp_path), "LOCAL_CLOUD_PORT": "4701"})
    with pytest.raises(CloudError, match="LOCAL_CLOUD_PORT=4700"):
        cloud.look(settings)
