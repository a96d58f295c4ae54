# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one command that the server understands: an interpreter that reads a module from its standard input.

Ansible builds it as ``/bin/sh -c '[NAME=value ...] PYTHON'``; core 2.19 adds ``&& sleep 0``. What is not byte for byte
what Ansible builds of the parts found is not understood: then a shell has to read it.
"""

from __future__ import annotations

import re
import shlex

SHELL = "/bin/sh"

_SUFFIX = " && sleep 0"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
#: Names that mean something to a shell: it may do more with them than hand them on.
_SHELLS_OWN = re.compile(
    r"_|PWD|OLDPWD|SHLVL|IFS|CDPATH|ENV|PATH|PPID|E?UID|GROUPS|LINENO|S?RANDOM|SECONDS|EPOCH.*|OPT(IND|ARG|ERR)|BASH.*"
    r"|SHELLOPTS|POSIXLY_CORRECT|DIRSTACK|FUNCNAME|PIPESTATUS|HIST.*|HOST(NAME|TYPE)|MACHTYPE|OSTYPE|COMP_.*|PS[0-4]"
    r"|MAIL.*|FPATH|KSH.*|ZSH.*|TMOUT|TERM|COLUMNS|LINES"
)


def assignments(command: str, interpreter: str) -> dict[str, str] | None:
    """The variables that the command sets for the interpreter; None when it is any other command than that."""
    inner = _quoted_command(command)
    if inner is None:
        return None
    inner = inner.removesuffix(_SUFFIX)
    words = _words(inner)
    if not words or words[-1] != interpreter:
        return None
    pairs = [word.partition("=") for word in words[:-1]]
    found = {name: value for name, _sign, value in pairs}
    built = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in found.items()), shlex.quote(interpreter)])
    if built != inner or not all(_NAME.fullmatch(name) and not _SHELLS_OWN.fullmatch(name) for name in found):
        return None
    return found


def _quoted_command(command: str) -> str | None:
    """What ``/bin/sh -c`` gets as its one argument."""
    words = _words(command)
    if len(words) != 3 or command != f"{SHELL} -c {shlex.quote(words[2])}":
        return None
    return words[2]


def _words(text: str) -> list[str]:
    """The words of a shell's line, none when it has an open quote. A NUL ends a line early, so it has none."""
    if "\0" in text:
        return []
    try:
        return shlex.split(text)
    except ValueError:
        return []
