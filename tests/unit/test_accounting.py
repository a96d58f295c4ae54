"""The tests' own accounting: what of the audit log it takes for a fault."""

from __future__ import annotations

import subprocess
import sys

from stream_processor.envelope import to_envelope
from stream_processor.layout import per_batch, per_change

from tests import accounting
from tests.unit.stream_records import make_record

FIRST, SECOND, THIRD = (to_envelope(make_record(number=number)) for number in (5, 6, 7))


def batch(*envelopes):
    return {per_batch(envelopes, "audit-logs/"): list(envelopes)}


def alone(envelope, folder="audit-logs/"):
    return {per_change(envelope, folder): [envelope]}


def test_a_change_in_two_batch_objects_is_counted_apart_and_one_with_two_objects_is_a_fault():
    found = accounting.more_than_once({**batch(FIRST, SECOND), **batch(SECOND, THIRD)})
    assert found == ([], [SECOND["eventID"]])

    found = accounting.more_than_once({**alone(FIRST), **batch(FIRST, SECOND), **alone(SECOND), **alone(SECOND, "b/")})
    assert found == ([SECOND["eventID"]], [FIRST["eventID"]])


def test_a_change_twice_in_one_object_is_a_fault():
    assert accounting.more_than_once(batch(FIRST, SECOND, SECOND)) == ([SECOND["eventID"]], [])


def test_the_account_tells_both():
    line = accounting.Account({}, {}, [], ["a"], ["b", "c"]).line()

    assert "1 changes with two audit objects, 2 in two batch objects" in line


def test_it_can_be_run_from_anywhere(tmp_path):
    asked = subprocess.run(
        [sys.executable, accounting.__file__, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert asked.returncode == 0, asked.stderr
    assert "--audited" in asked.stdout
