# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tasks a fork can run as a new interpreter would, and the environment that they get.

Python reads some variables when it starts, libraries read some when they are imported, and the C library and OpenSSL
have theirs. The server has done so already. A task for which one of them is different is refused.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_READ_AT_START = re.compile(
    r"PYTHON.*|__PYVENV.*|VIRTUAL_ENV|HOME|LANG|LANGUAGE|LC_.*|LOCPATH|NLSPATH|GCONV.*|TZ|TZDIR|LD_.*|GLIBC_.*|MALLOC_.*"
    r"|OPENSSL.*|SSL_.*|SSLKEYLOGFILE|CRYPTOGRAPHY_.*|BOTO.*"
)


@dataclass(frozen=True)
class Surroundings:
    """What the server was started in."""

    #: The environment that the shell got, and what it made of that for the interpreter.
    given: Mapping[str, str]
    found: Mapping[str, str]
    #: What lay where Python imports from.
    libraries: Mapping[str, frozenset[tuple[str, int]]]

    @classmethod
    def of_this_process(cls, given: Mapping[str, str], path: Iterable[str]) -> Surroundings:
        return cls(given, dict(os.environ), _contents([sys.executable, *path]))

    def stale(self) -> bool:
        """Was a library installed, upgraded or removed since? Then what is loaded is not what a task would get."""
        return _contents(self.libraries) != self.libraries

    def environment(
        self, given: Mapping[str, str], assigned: Mapping[str, str], directory: str
    ) -> dict[str, str] | None:
        """What a new interpreter would find, started in that directory; None when it would start otherwise for it."""
        environment = dict(given)
        for name in self._of_the_shell():
            if given.get(name) != self.given.get(name):
                return None
            environment.pop(name, None)
            if name in self.found:
                environment[name] = self.found[name]
        if "PWD" in self.found:
            environment["PWD"] = _logical(given.get("PWD", ""), directory)
        environment.update(assigned)
        for name in environment.keys() | self.found.keys():
            if _READ_AT_START.fullmatch(name) and environment.get(name) != self.found.get(name):
                return None
        return environment

    def _of_the_shell(self) -> list[str]:
        """The variables that the shell changes, its working directory aside."""
        names = self.given.keys() | self.found.keys()
        return [name for name in names if name != "PWD" and self.given.get(name) != self.found.get(name)]


def _logical(claimed: str, directory: str) -> str:
    """The working directory's name as a shell keeps it: by the way it was entered, when that is true."""
    try:
        if Path(claimed).is_absolute() and Path(claimed).samefile(directory):
            return claimed
    except OSError:
        pass
    return directory


def _contents(paths: Iterable[str]) -> dict[str, frozenset[tuple[str, int]]]:
    """What lies in the folders, by name and file number: what is installed anew has a new one."""
    return {path: frozenset(_entries(path)) for path in paths}


def _entries(path: str) -> Iterator[tuple[str, int]]:
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                # Byte code is written by whoever imports.
                if entry.name != "__pycache__":
                    yield entry.name, entry.inode()
    except NotADirectoryError:
        yield "", Path(path).stat().st_ino
    except OSError:
        return
