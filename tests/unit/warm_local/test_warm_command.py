"""The command that the server takes in the shell's place means to the server what it means to the shell."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
from ansible.plugins.loader import get_shell_plugin
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.command import assignments
from hypothesis import example, given, settings
from hypothesis import strategies as st

PYTHON = "/opt/some python/bin/python3"
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def built(environment: dict[str, str], interpreter: str = PYTHON, old: bool = False, shell: str = "/bin/sh") -> str:
    """As Ansible builds it; core 2.19 appends a command."""
    plugin = get_shell_plugin("sh")
    command = plugin.build_module_command(plugin.env_prefix(**environment), f"#!{interpreter}", "").strip()
    if old:
        command = plugin.append_command(command, "sleep 0")
    return f"{shell} -c {shlex.quote(command)}"


@given(environment=st.dictionaries(NAMES.map("X{}".format), VALUES, max_size=4), old=st.booleans())
def test_what_ansible_builds_is_understood(environment, old):
    assert assignments(built(environment, old=old), PYTHON) == environment


#: Pieces of commands of which nearly all mean something else than they seem to.
PIECES = st.sampled_from(
    ["A=1", "B='x y'", "C=$HOME", "D=`id`", "E=~", 'F="q"', "G=", "2H=1", "PATH=/x", "_=1", "PWD=/", ">/tmp/never"]
    + ["env", "exec", "&&", ";", "|", "&", "#", "\n", "\\", "'", '"', "sleep 0", " && sleep 0", "-", "-c", "--", "!"]
)


@given(pieces=st.lists(PIECES, max_size=5), separator=st.sampled_from([" ", "  ", "", "\t"]))
@settings(max_examples=300)
@example(pieces=["A=1", "A=2"], separator=" ")
def test_what_is_understood_is_what_the_shell_makes_of_it(pieces, separator):
    inner = separator.join([*pieces, "/usr/bin/env"])
    command = f"/bin/sh -c {shlex.quote(inner)}"
    understood = assignments(command, "/usr/bin/env")
    if understood is None:
        return
    said = subprocess.run(command, shell=True, executable="/bin/sh", capture_output=True, text=True, check=True).stdout
    for name, value in understood.items():
        assert f"{name}={value}\n" in said


@given(text=st.text())
def test_no_text_makes_it_fail(text):
    assert assignments(text, PYTHON) is None
    assert assignments(f"/bin/sh -c {text}", PYTHON) is None
    assert assignments(f"/bin/sh -c {shlex.quote(text)}", PYTHON) is None


@pytest.mark.parametrize(
    "command",
    [
        built({}, interpreter="/usr/bin/python3"),
        built({}, shell="/bin/bash"),
        built({}) + " ",
        " " + built({}),
        built({}) + " && echo",
        "/bin/sh -c 'sudo -H -S -n -u root /bin/sh -c '\"'\"'echo BECOME-SUCCESS-x ; python'\"'\"''",
        f"/bin/sh -c {shlex.quote(f'cd /tmp && {shlex.quote(PYTHON)}')}",
        f"/bin/sh -c {shlex.quote(f'{shlex.quote(PYTHON)} /tmp/AnsiballZ_ping.py')}",
        f"/bin/sh -c {shlex.quote(f'A=x  {shlex.quote(PYTHON)}')}",
        f"/bin/sh -c {shlex.quote(f'A=$B {shlex.quote(PYTHON)}')}",
        f"/bin/sh -c {shlex.quote(f'A=x A=y {shlex.quote(PYTHON)}')}",
        f"/bin/sh -c {shlex.quote(f'{shlex.quote(PYTHON)} && sleep 0 && sleep 0')}",
        f"/bin/sh -c '{PYTHON}'",
        f"/bin/sh -c {PYTHON!r} x",
        shlex.quote(PYTHON),
        "",
        "/bin/sh -c 'open",
    ],
)
def test_any_other_command_is_left_to_the_shell(command):
    assert assignments(command, PYTHON) is None


@pytest.mark.parametrize("name", ["PATH", "PWD", "_", "IFS", "UID", "BASH_ENV", "OPTIND", "ENV", "PS4", "a-b", "1a"])
def test_a_name_that_means_something_to_a_shell_is_left_to_it(name):
    assert assignments(f"/bin/sh -c {shlex.quote(f'{name}=1 {sys.executable}')}", sys.executable) is None
