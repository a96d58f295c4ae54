# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The task: a fork that becomes what a new interpreter would be, and runs a source as that would from its stdin."""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn, TextIO

#: What Python ends with when its standard output cannot be written at the end.
_FLUSH_FAILED = 120


class Task:
    """A source to run in this process: whoever has it executes it with ``names``, tells what it raised, and ends it."""

    def __init__(self, source: bytes, main: ModuleType):
        self.source = source
        self.names = main.__dict__
        self._loaded = set(sys.modules)
        self._status = 0

    def failed(self, error: BaseException) -> None:
        """What the interpreter does with an exception that nobody caught."""
        if isinstance(error, SystemExit):
            self._status = _exit_status(error.code)
            return
        self._status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        # Without the frame that executed it.
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        if sys.version_info >= (3, 12):
            sys.last_exc = error
        sys.excepthook(type(error), error, error.__traceback__)

    def end(self) -> NoReturn:
        """What an interpreter does at its end, in its order: threads, exit functions, streams, then what is left."""
        try:
            threading._shutdown()
            atexit._run_exitfuncs()
            if not _flush(sys.stdout):
                self._status = _FLUSH_FAILED
            _flush(sys.stderr)
            self._let_go()
        finally:
            if self._status < 0:
                signal.signal(-self._status, signal.SIG_DFL)
                os.kill(os.getpid(), -self._status)
            os._exit(self._status)

    def _let_go(self) -> None:
        """Of all that the task made: objects that have something to do at their end get to do it."""
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            if hasattr(sys, name):
                delattr(sys, name)
        for name in [name for name in sys.modules if name not in self._loaded or name == "__main__"]:
            del sys.modules[name]
        self.names.clear()
        gc.collect()
        _flush(sys.stdout)
        _flush(sys.stderr)


def take_over(streams: Sequence[int], environment: Mapping[str, str], umask: int, private: int) -> None:
    """The task's descriptors, environment and umask, and no other descriptor than the private one."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, private)
    os.closerange(private + 1, os.sysconf("SC_OPEN_MAX"))
    os.umask(umask)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None


def fresh_main(names: Mapping[str, Any], path: Sequence[str]) -> ModuleType:
    """Put the interpreter into the state of its start; the main module, which has nothing in it yet."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = _stream(number, name, mode, getattr(sys, f"__{name}__"))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [""]
    sys.path[:] = path
    package = __name__.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    main = ModuleType("__main__")
    main.__dict__.clear()
    main.__dict__.update(names)
    sys.modules["__main__"] = main
    return main


def _stream(number: int, name: str, mode: str, like: TextIO) -> TextIO:
    """A standard stream as Python makes it at its start, with the settings that the server got for its own."""
    unbuffered = isinstance(like.buffer, io.FileIO)
    buffer: Any = open(  # noqa: SIM115
        number, "rb" if mode == "r" else "wb", buffering=0 if unbuffered else -1, closefd=False
    )
    raw = buffer if unbuffered else buffer.raw
    raw.name = f"<{name}>"
    stream: Any = io.TextIOWrapper(
        buffer,
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )
    stream.mode = mode
    return stream


def _exit_status(code: Any) -> int:
    """What ``sys.exit(code)`` ends with."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    print(code, file=sys.stderr)
    return 1


def _flush(stream: TextIO | None) -> bool:
    """A stream that the task closed or took away has nothing to flush."""
    if stream is None or getattr(stream, "closed", False):
        return True
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return False
    return True
