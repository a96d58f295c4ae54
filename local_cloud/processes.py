"""What /proc says about processes: alive or not, whose they are, who holds a port."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")


def alive(pid: int) -> bool:
    """Whether a process runs. One that ended and waits for its parent to notice (a zombie) does not."""
    try:
        if PROC.is_dir():
            # "pid (name) state ...": the name may hold anything, spaces and brackets too.
            return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return True


def bears(pid: int, variable: str, value: str) -> bool:
    """Whether a process was started with this environment variable."""
    try:
        return f"{variable}={value}".encode() in (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def bearers(variable: str, value: str) -> list[int]:
    """Every living process that was started with this environment variable."""
    return [pid for pid in _pids() if bears(pid, variable, value) and alive(pid)]


def end(pids: Callable[[], list[int]], how: signal.Signals, seconds: float) -> bool:
    """Signal the processes once, and wait until the function names none any more."""
    for pid in pids():
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            continue
    return wait_until(lambda: not pids(), seconds)


def wait_until(happened: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True


def listener(port: int) -> str:
    """'process 123 (python3 -m http.server)' for the process that listens on the port; '' where that cannot be seen."""
    inodes = set(_listening_inodes(port))
    for pid in _pids() if inodes else ():
        if inodes & set(_open_files(pid)):
            return f"process {pid} ({_command(pid)[:80]})"
    return ""


def _open_files(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for link in (PROC / str(pid) / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                yield str(link.readlink())


def _command(pid: int) -> str:
    with suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            rows = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (row.split() for row in rows):
            # local address, ..., state 0A (listening), ..., inode
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _pids() -> Iterator[int]:
    if PROC.is_dir():
        yield from (int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal())
