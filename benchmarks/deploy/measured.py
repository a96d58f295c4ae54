# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a command, tells what it and all that it started took: ``python -m benchmarks.deploy.measured FILE COMMAND``.

Whoever loses his parent becomes this process's child, so the CPU time of a server that outlives its starter is counted.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

_SET_CHILD_SUBREAPER = 36
#: Seconds that a process may outlive the command.
_PATIENCE = 10


def main(argv: list[str]) -> int:
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    begun = time.monotonic()
    code = subprocess.Popen(argv[1:], stdin=subprocess.DEVNULL).wait()
    wall = time.monotonic() - begun
    left = not _all_ended(time.monotonic() + _PATIENCE)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {"code": code, "wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "left": left}
    Path(argv[0]).write_text(json.dumps(result), encoding="utf-8")
    return 0


def _all_ended(deadline: float) -> bool:
    """Whether all children have ended in time, the adopted ones too."""
    while True:
        try:
            pid, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if not pid:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
