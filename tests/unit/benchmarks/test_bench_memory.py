"""The largest events that Lambda can hand over pass in the smallest memory that the docs recommend."""

from __future__ import annotations

import pytest

from benchmarks import events
from benchmarks.bench import ROOT, Bench
from benchmarks.candidates import CANDIDATES
from benchmarks.stub import Stub

LEAST_MB = 256


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
@pytest.mark.parametrize(
    "event",
    [pytest.param(events.small, id="10000-small-records"), pytest.param(events.large, id="6-MB-of-400-KB-items")],
)
def test_the_largest_events_pass_in_256_mb(layout, event, tmp_path):
    (candidate,) = [each for each in CANDIDATES if each.name == layout]
    with Stub(s3_ms=0, sns_ms=0) as stub:
        found = Bench(stub, ROOT / "files" / "lambda", tmp_path).memory(candidate, "largest", event())
        counted = stub.counters()
    assert found["peak_mb"] < LEAST_MB
    assert counted.sns_messages == len(event()["Records"])
