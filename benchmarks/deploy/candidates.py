# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is compared: this checkout and the baseline's, each with its own collection, over a connection."""

from __future__ import annotations

import compileall
import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.output import ROOT

#: The commit that closed the end-to-end issue.
BASELINE_COMMIT = "11102c252ba0dccb42f512ff7075dd5779a73670"
WARM = "cloudcdc.dynamodb_streams.warm_local"


@dataclass(frozen=True)
class Candidate:
    name: str
    title: str
    connection: str
    of_baseline: bool = False


BASELINE = Candidate("baseline", f"baseline ({BASELINE_COMMIT[:7]}), local", "local", of_baseline=True)
LOCAL = Candidate("local", "current, local", "local")
WARM_LOCAL = Candidate("warm_local", "current, warm_local", WARM)
CANDIDATES = (BASELINE, LOCAL, WARM_LOCAL)


def baseline_checkout(folder: Path) -> Path:
    """The files of the baseline's commit, as git has them."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", BASELINE_COMMIT]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode:
        sys.exit(
            f"The baseline's commit {BASELINE_COMMIT[:7]} is not in this clone: {packed.stderr.decode().strip()}. "
            "A shallow clone gets it with: git fetch --unshallow"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="tar")
    return folder


def compile_all(checkout: Path) -> None:
    """No run is the first one to compile."""
    compileall.compile_dir(checkout / "plugins", quiet=1)
