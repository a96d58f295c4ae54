# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures the replay: ``python -m benchmarks.replay.run`` (make bench-replay sets up what it needs).

Each log is written to disk once, and each measurement on it is a process of its own, one after the other. Ends with
code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import output
from benchmarks.machine import machine
from benchmarks.output import ROOT
from benchmarks.replay import figures, report

DOCS = ROOT / "docs" / "replay-performance.md"
_CHANGES = 1_000_000


def measure_all(changes: int) -> dict[str, Any]:
    """Everything, as the file that the figures are made from."""
    raw: dict[str, Any] = {"machine": machine(), "changes": changes, "runs": []}
    output.OUTPUT.mkdir(parents=True, exist_ok=True)
    for log in figures.plan(changes):
        about = {name: log[name] for name in ("layout", "count", "hours")}
        work = Path(tempfile.mkdtemp(dir=output.OUTPUT))
        try:
            about_and_folder = {**about, "folder": str(work / "log")}
            _in_a_process({"what": "log", **about_and_folder})
            for run in log["runs"]:
                found = _in_a_process({"what": "run", **about_and_folder, **run})
                raw["runs"].append(_told({**about, **run, **found}))
        finally:
            shutil.rmtree(work)
    return raw


def _in_a_process(asked: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay.measured", json.dumps(asked)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "files" / "lambda")},
    )
    return json.loads(done.stdout)


def _told(run: dict[str, Any]) -> dict[str, Any]:
    what = f"{run['layout']:10} {run['count']:8} changes, {run['hours']:3} hours, {run['target']:8}"
    print(
        f"{what} {run.get('get_ms', 0):3g} ms {figures.rate(run):7.0f}/s {run['peak_mb']:5.0f} MB",
        file=sys.stderr,
        flush=True,
    )
    return run


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay.run", description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=_CHANGES, help="of the largest log")
    parser.add_argument("--write-docs", action="store_true", help=f"no run: put the last one into docs/{DOCS.name}")
    asked = parser.parse_args(argv)
    if asked.write_docs:
        output.write_docs(DOCS, {"figures": report.render(output.read("replay"))})
        return 0
    raw = measure_all(asked.changes)
    return output.finish("replay", raw, report.render(raw), figures.limits(raw["runs"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
