"""What a failure drill has the function refuse: one item, by its keys, told by the configuration alone."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.canonical import to_bytes
from stream_processor.envelope import item_hash
from stream_processor.handler import handle

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, log, processor
from tests.unit.stream_records import batches, make_record

POISON = {"UserId": {"S": "drill"}, "ActivityId": {"S": "poison"}}


def token(keys):
    return hashlib.sha256(to_bytes(keys)).hexdigest()


def run(records, drill_token):
    transport, out = FakeTransport(), io.StringIO()
    with contextlib.redirect_stdout(out):
        answer = handle({"Records": records}, FakeContext(), processor(transport, drill_token=drill_token), log())
    return answer, transport, [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_change_of_the_drills_item_is_refused_its_removal_too():
    for images in ({"new": POISON}, {"old": POISON, "new": POISON}, {"old": POISON}):
        record = make_record(POISON, number=10**20, **images)
        answer, transport, lines = run([record], token(POISON))
        assert answer == {"batchItemFailures": [{"itemIdentifier": str(10**20)}]}
        assert (transport.objects, transport.notifications) == ({}, [])
        failed = next(line for line in lines if line["message"] == "record failed")
        assert (failed["stage"], failed["error_type"]) == ("drill", "DrillRefused")
        assert "poison" not in json.dumps(lines)


def test_the_changes_before_the_refused_one_are_done():
    healthy = make_record({"UserId": {"S": "drill"}, "ActivityId": {"S": "healthy"}}, number=10**20)
    answer, transport, _lines = run([healthy, make_record(POISON, number=10**20 + 1)], token(POISON))
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(10**20 + 1)}]}
    assert len(transport.objects) == len(transport.notifications) == 1


@settings(max_examples=40, deadline=None)
@given(batches())
def test_other_items_are_untouched_by_a_drill(batch):
    answer, drilled, _lines = run(batch, token(POISON))
    _answer, plain, _lines = run(batch, "")
    assert answer == {"batchItemFailures": []}
    assert (drilled.objects, drilled.notifications) == (plain.objects, plain.notifications)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["DRILL_TOKEN", "drill_token", "drill", "redrive", "replay"]), st.sampled_from(["record", "item"])
)
def test_nothing_that_a_record_says_has_it_refused(name, on_the_record):
    """Whoever can write to the table could write any marker: only the configuration counts."""
    record = make_record({"Id": {"S": token(POISON)}}, new={"Id": {"S": token(POISON)}, name: {"S": token(POISON)}})
    if on_the_record:
        marker = {"id": token(POISON), "time": "2026-01-31T08:00:00Z"}
        record[name] = marker if name in ("redrive", "replay") else token(POISON)
    for drill_token in ("", token(POISON)):
        answer, _transport, _lines = run([record], drill_token)
        assert answer == {"batchItemFailures": []}


def test_the_token_begins_with_the_hash_in_the_names_of_audit_objects():
    assert token(POISON).startswith(item_hash(POISON))
