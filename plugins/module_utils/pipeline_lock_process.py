# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which process holds a lock, said so that another process of the same machine can tell when it is gone.

A process is named by the boot of the machine, the namespaces that its numbers belong to, its number and the moment it
was started. Where the system does not tell these (Linux does), nobody is ever thought gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def clock() -> float:
    """Seconds that only ever go on, the same in all processes of the machine, and while it sleeps too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def identity(pid: int) -> dict[str, Any]:
    """What names the process; empty where the system does not tell."""
    started = _started(pid)
    return {**_here(), "pid": pid, "started": started} if started and _here() else {}


def is_gone(process: Any) -> bool:
    """True when the process was one of this machine's and is no more. False whenever that is not certain."""
    if not isinstance(process, Mapping) or not isinstance(process.get("pid"), int) or process["pid"] < 1:
        return False
    here = _here()
    if not here or any(process.get(name) != value for name, value in here.items()):
        return False
    try:
        # Asks the kernel, since /proc may hide what belongs to others.
        os.kill(process["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    started = _started(process["pid"])
    return started == "dead" or bool(started and process.get("started") and started != process["started"])


def _here() -> dict[str, str]:
    """This boot and these namespaces: pid is the number's, time the start's."""
    try:
        return {
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip(),
            "pid_namespace": str(Path("/proc/self/ns/pid").readlink()),
            "time_namespace": str(Path("/proc/self/ns/time").readlink()),
        }
    except OSError:
        return {}


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat, in ticks since the boot; 'dead' for one that nobody waited for yet; '' if unknown."""
    try:
        # The name, in brackets, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return "dead" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    except (OSError, IndexError, ValueError):
        return ""
