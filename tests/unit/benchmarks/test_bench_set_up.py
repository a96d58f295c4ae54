"""What the benchmarks are set up with, and that they end as they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bench import Bench, _check_work
from benchmarks.candidates import CANDIDATES
from benchmarks.stub import Counters, Stub

ROOT = Path(__file__).parents[3]
OURS = {candidate.name: candidate for candidate in CANDIDATES}


def pins(name):
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.mark.parametrize("name", ["ansible-12.txt", "ansible-14.txt"])
def test_the_baselines_have_the_boto3_that_everything_else_has(name):
    bench = pins("bench.txt")
    own = bench.pop("aws-lambda-powertools")
    assert own
    assert bench.items() <= pins(name).items()


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Stub(s3_ms=0, sns_ms=0) as stub:
        yield Bench(stub, ROOT / "files" / "lambda", tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("name", ["recipe", "boto3_per_change", "boto3_per_batch", "per_change", "per_batch", "digest"])
def test_a_candidate_does_its_work(bench, name):
    found = bench.run(OURS[name], 10)
    assert found["records"] == 10 * OURS[name].batches[10]
    assert found["wall_s"] > 0
    assert found["cpu_s"] > 0
    assert 5 < found["peak_mb"] < 500
    assert found["log_bytes"] > 0


def test_calls_of_the_warm_up_do_not_count(bench):
    found = bench.run(OURS["recipe"], 10)
    assert (found["s3_calls"], found["sns_calls"]) == (found["records"], found["records"])


def test_less_work_than_there_was_to_do_ends_the_run():
    with pytest.raises(SystemExit, match="did not do the work"):
        _check_work(OURS["per_change"], 10, Counters(s3_objects=9, sns_messages=10))
    _check_work(OURS["per_change"], 10, Counters(s3_objects=10, sns_messages=10))


def test_a_candidate_that_fails_ends_the_run_with_its_reason(bench):
    with pytest.raises(SystemExit, match="SNS_TOPIC_ARN"):
        bench.log(OURS["per_change"], "", {"SNS_TOPIC_ARN": "none"})


def test_the_command_line_explains_itself():
    for module in ("benchmarks.run", "benchmarks.stub"):
        asked = [sys.executable, "-m", module, "--help"]
        assert "usage" in subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
