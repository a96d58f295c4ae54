"""Changes that a replay brings out of the log: never written to it again, and announced only when it asks for that."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from stream_processor import handler

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, both_layouts, log, processor
from tests.unit.stream_records import make_record

MARKER = {"id": "r1", "time": "2026-01-31T10:00:00Z", "audit_key": "audit-logs/2026/01/01/00/first.json"}


def run(records, layout, **options):
    transport, out = FakeTransport(), io.StringIO()
    made = processor(transport, layout=layout, **options)
    with contextlib.redirect_stdout(out):
        answer = handler.handle({"Records": records}, FakeContext(), made, log())
    assert answer == {"batchItemFailures": []}
    return transport, json.loads(out.getvalue().splitlines()[-1])


def replayed(**marker):
    return make_record(new={"Id": {"S": "item"}, "Text": {"S": "t" * 40000}}) | {"replay": MARKER | marker}


@both_layouts
def test_a_replayed_change_is_neither_audited_nor_announced(layout):
    transport, line = run([replayed()], layout)

    assert transport.objects == {}
    assert transport.notifications == []
    numbers = {name: line[name] for name in ("records", "inserted", "replayed", "filtered", "audited", "notified")}
    assert numbers == {"records": 1, "inserted": 1, "replayed": 1, "filtered": 0, "audited": 0, "notified": 0}
    # A change of long ago does not mean that the function is behind.
    assert line["newest_change_age_ms"] is None


@both_layouts
@pytest.mark.parametrize("limit", [32768, 262144])
def test_a_replay_may_ask_for_notifications_which_name_the_object_it_read(layout, limit):
    transport, line = run([replayed(notify=True)], layout, notification_max_bytes=limit)

    assert transport.objects == {}
    (message,) = [json.loads(each.message) for each in transport.notifications]
    assert message["details"]["replay"] == {"id": "r1", "time": "2026-01-31T10:00:00Z"}
    assert line["notified"] == 1
    claim_check = message["details"].get("audit")
    assert (claim_check or {}).get("key") == (MARKER["audit_key"] if limit == 32768 else None)


@both_layouts
def test_other_changes_of_the_batch_are_audited(layout):
    transport, line = run([replayed(), make_record(number=10**20 + 1)], layout)

    assert len(transport.objects) == 1
    assert (line["audited"], line["replayed"]) == (1, 1)
