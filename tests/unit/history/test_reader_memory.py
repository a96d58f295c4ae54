"""Reading takes the same memory however many changes there are, in one hour or in many."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = 1_000_000 if os.environ.get("CDC_SOAK") == "1" else 30_000
MOST_MB = 300
#: With a log that fits in memory, only a bound in proportion can fail.
SMALL_MB = 110


def in_a_process(**asked) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay.measured", json.dumps(asked)],
        check=True,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "files" / "lambda")},
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("hours", [1, 100])
def test_reading_takes_less_than_300_mb(tmp_path, hours):
    log = {"folder": str(tmp_path / "log"), "layout": "per_batch", "count": COUNT, "hours": hours}
    in_a_process(what="log", **log)

    found = in_a_process(what="run", target="none", **log)

    assert found["changes"] == COUNT
    assert found["peak_mb"] < (MOST_MB if COUNT == 1_000_000 else SMALL_MB)
