# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compiled code, kept by the source that it was compiled from.

A module comes with its module_utils as sources in a zip, and a new interpreter compiles them all. Here a source that
was compiled before in this run, or that lies with its byte code where Python imports from, is not compiled again.
The key is the whole source, so nothing but the code of that source can be found. All of it is executed anew.
"""

from __future__ import annotations

import _imp
import importlib.util
import marshal
import os
import struct
import sys
import zipimport
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

_SIZE = struct.Struct("!I")
_SHIPPED = ("ansible/", "ansible_collections/")


class Code:
    """What is known, and how a task's process tells the root what it had to compile."""

    def __init__(self, folders: list[str]):
        self._folders = folders
        self._known: dict[bytes, CodeType] = {}
        self._taken: set[bytes] = set()
        self._process = 0
        self._told: tuple[int, tuple[int, int]] | None = None

    def use(self, file: int) -> None:
        """In a task's process: import from zips with it, and write what is compiled to that file."""
        self._process = os.getpid()
        self._told = (file, _identity(file))
        code = self

        class Importer(zipimport.zipimporter):
            """A zipimporter that asks for known code first."""

            def get_filename(self, fullname):
                return _member(self, fullname) or super().get_filename(fullname)

            def get_code(self, fullname):
                path = _member(self, fullname)
                return code.of(self, fullname, path) if path else super().get_code(fullname)

        sys.path_hooks[:] = [Importer if hook is zipimport.zipimporter else hook for hook in sys.path_hooks]

    def of(self, importer: zipimport.zipimporter, fullname: str, path: str) -> CodeType:
        """The code of a zip's member."""
        source = importer.get_data(path)
        # Once only: the file's name is written into it, and two modules may have the same source.
        code = self._known.pop(source, None)
        if code is None:
            relative = path[len(importer.archive) + 1 :]
            code = self._installed(fullname, relative, source) or zipimport.zipimporter.get_code(importer, fullname)
            if source not in self._taken:
                self._tell(source, code)
        self._taken.add(source)
        _imp._fix_co_filename(code, path)
        return code

    def learn(self, file: int) -> int:
        """In the root: take what a task's process wrote; how many there were. What it could not finish is left."""
        content = memoryview(os.pread(file, os.fstat(file).st_size, 0))
        learned = 0
        while len(content) >= _SIZE.size:
            (size,) = _SIZE.unpack_from(content)
            entry = content[_SIZE.size : _SIZE.size + size]
            content = content[_SIZE.size + size :]
            if len(entry) == size:
                source, code = marshal.loads(entry)
                self._known[source] = code
                learned += 1
        return learned

    def _installed(self, fullname: str, relative: str, source: bytes) -> CodeType | None:
        """The code of the same source where Python imports from, when there is byte code of it."""
        if not relative.startswith(_SHIPPED):
            return None
        for folder in self._folders:
            path = str(Path(folder, relative))
            try:
                same = Path(path).read_bytes() == source and Path(importlib.util.cache_from_source(path)).exists()
                if same:
                    return _Reader(fullname, path).get_code(fullname)
            except (OSError, ImportError):
                continue
        return None

    def _tell(self, source: bytes, code: CodeType) -> None:
        """Only by the task's own process, and only while the descriptor is what it was: modules may close all."""
        if self._told is None or os.getpid() != self._process:
            return
        file, identity = self._told
        entry = marshal.dumps((source, code))
        try:
            if _identity(file) == identity:
                os.write(file, _SIZE.pack(len(entry)) + entry)
        except OSError:
            self._told = None


class _Reader(SourceFileLoader):
    """Reads byte code, and never writes it."""

    def set_data(self, path, data, *, _mode=0o666):
        pass


def _member(importer: zipimport.zipimporter, fullname: str) -> str | None:
    """The source file of a module in the zip, as zipimport would find it; None when it would take byte code."""
    stem = f"{importer.archive}/{importer.prefix}{fullname.rpartition('.')[2]}"
    path = f"{stem}/__init__.py" if importer.is_package(fullname) else f"{stem}.py"
    try:
        importer.get_data(f"{path}c")
    except OSError:
        return path
    return None


def _identity(file: int) -> tuple[int, int]:
    state = os.fstat(file)
    return state.st_dev, state.st_ino
