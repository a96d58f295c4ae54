"""A task is only taken where a fork of the server is what a new interpreter would be."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.house import Unavailable
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.server.surroundings import (
    Surroundings,
)
from hypothesis import given
from hypothesis import strategies as st

GIVEN = {"HOME": "/home/a", "LANG": "C", "DROPPED": "by the shell", "SHLVL": "1", "PATH": "/bin"}
FOUND = {
    "HOME": "/home/a",
    "LANG": "C",
    "SHLVL": "2",
    "PATH": "/bin",
    "_": "/python",
    "PWD": "/",
    "LC_CTYPE": "C.UTF-8",
}
SURROUNDINGS = Surroundings(GIVEN, FOUND, {})


def test_the_shell_changes_a_task_s_environment_as_it_changed_the_server_s():
    environment = SURROUNDINGS.environment({**GIVEN, "MORE": "1"}, {"SET": "2"}, "/")
    assert environment == {**FOUND, "MORE": "1", "SET": "2"}


@pytest.mark.parametrize(
    ("given", "assigned"),
    [
        ({**GIVEN, "SHLVL": "5"}, {}),
        ({**GIVEN, "_": "/other"}, {}),
        ({**GIVEN, "LANG": "de_DE.UTF-8"}, {}),
        ({name: value for name, value in GIVEN.items() if name != "HOME"}, {}),
        (GIVEN, {"PYTHONPATH": "/x"}),
        (GIVEN, {"PYTHONUNBUFFERED": "1"}),
        (GIVEN, {"LC_ALL": "C"}),
        (GIVEN, {"TZ": "Asia/Tokyo"}),
        (GIVEN, {"HOME": "/root"}),
        (GIVEN, {"LD_LIBRARY_PATH": "/x"}),
        (GIVEN, {"OPENSSL_CONF": "/x"}),
        (GIVEN, {"SSL_CERT_FILE": "/x"}),
    ],
)
def test_a_task_for_which_python_would_start_otherwise_is_refused(given, assigned):
    assert SURROUNDINGS.environment(given, assigned, "/") is None


def test_what_was_read_at_the_start_may_be_set_to_what_it_is():
    assert SURROUNDINGS.environment(GIVEN, {"HOME": "/home/a", "AWS_PROFILE": "x"}, "/") == {
        **FOUND,
        "AWS_PROFILE": "x",
    }


@given(st.dictionaries(st.sampled_from(["AWS_REGION", "AWS_PROFILE", "NO_PROXY", "FOO"]), st.text()))
def test_a_task_s_own_variables_win(assigned):
    given = {**GIVEN, "AWS_REGION": "eu-west-1", "FOO": "bar"}
    environment = SURROUNDINGS.environment(given, assigned, "/")
    assert environment is not None
    for name, value in {"AWS_REGION": "eu-west-1", "FOO": "bar", **assigned}.items():
        assert environment[name] == value


def test_the_working_directory_keeps_the_name_by_which_it_was_entered(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    for claimed, told in ((str(link), str(link)), (str(real), str(real)), ("link", str(real)), ("/nowhere", str(real))):
        environment = SURROUNDINGS.environment({**GIVEN, "PWD": claimed}, {}, str(real))
        assert environment is not None and environment["PWD"] == told


def test_a_task_that_is_refused_has_not_run(shared, tmp_path):
    with pytest.raises(Unavailable, match="as a new interpreter would"):
        shared.run("open('ran', 'w')", {"PYTHONPATH": "/x"}, str(tmp_path))
    assert not (tmp_path / "ran").exists()
    assert shared.run("print(1)").stdout == b"1\n"


def test_installing_a_library_in_the_run_ends_the_server_and_the_next_one_sees_it(warm, tmp_path, monkeypatch):
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(libraries))
    warm.run("")
    first = warm.roots()
    (libraries / "jmespath.py").write_text("NAME = 'mine'\n")
    source = "import jmespath; print(jmespath.NAME)"
    with pytest.raises(Unavailable):
        warm.run(source)
    assert warm.run(source).stdout == b"mine\n"
    assert len(warm.roots()) == 1 and warm.roots() != first


def test_a_library_that_warns_when_it_is_imported_is_not_loaded_before(warm, tmp_path, monkeypatch):
    (tmp_path / "jmespath.py").write_text("import warnings; warnings.warn('careful')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(Unavailable):
        warm.run("")


def test_a_working_directory_that_is_gone_is_told(shared, tmp_path):
    with pytest.raises(Unavailable):
        shared.run("", directory=str(tmp_path / "nowhere"))
