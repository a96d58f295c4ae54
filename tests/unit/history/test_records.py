"""What is sent again is what was sent at first, marked as replayed, and no larger than SNS takes."""

from __future__ import annotations

import hashlib
import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import records
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.changes import Change, read_change
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.items import Item
from stream_processor import envelope as processor_envelope
from stream_processor import notification as processor_notification

from tests.unit.history.logs import STREAM, envelope, line

MARKER = {"id": "replay-1", "time": "2026-02-01T00:00:00Z"}
SOURCE = "audit-logs/2026/01/31/10/x.json"
EXPIRED = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


def change(number: int = 7, **more) -> Change:
    return read_change(line(envelope(number, **more)), SOURCE)


def test_the_function_gets_the_record_that_lambda_handed_to_it_with_a_mark():
    old, new = {"Id": {"S": "item"}}, {"Id": {"S": "item"}, "Data": {"B": "AAE="}}
    found = records.stream_record(change(old=old, new=new, userIdentity=EXPIRED), MARKER, notify=False)

    assert found["dynamodb"] == {
        "ApproximateCreationDateTime": 1769853600,
        "Keys": {"Id": {"S": "item"}},
        "SequenceNumber": "7",
        "SizeBytes": 42,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "OldImage": old,
        "NewImage": new,
    }
    assert found["eventSourceARN"] == STREAM.format("2026-01-01T00:00:00.000")
    assert (found["eventName"], found["eventVersion"], found["awsRegion"]) == ("MODIFY", "1.1", "us-east-1")
    assert found["userIdentity"] == EXPIRED
    assert found["replay"] == {**MARKER, "audit_key": SOURCE}


@pytest.mark.parametrize("more", [{"new": {"Id": {"S": "item"}}}, {"old": {"Id": {"S": "item"}}}])
def test_the_function_makes_of_the_record_the_envelope_that_it_was(more):
    was = envelope(7, **more)
    record = records.stream_record(read_change(line(was), SOURCE), MARKER, notify=False)

    again = processor_envelope.to_envelope(record)

    assert {**again, "replay": None, "changedAttributes": None} == {**was, "replay": None, "changedAttributes": None}


def test_a_record_asks_for_notifications_only_when_told():
    assert "notify" not in records.stream_record(change(), MARKER, notify=False)["replay"]
    assert records.stream_record(change(), MARKER, notify=True)["replay"]["notify"] is True


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"new": {}}, "Item created in Items"),
        ({"old": {}, "new": {}}, "Item updated in Items"),
        ({"old": {}}, "Item deleted from Items"),
        ({"old": {}, "userIdentity": EXPIRED}, "Item expired from Items"),
    ],
)
def test_a_message_is_the_pipelines_own_notification_with_the_mark(more, sentence):
    one = change(**more)

    text = records.message(one, MARKER, "bucket")

    assert text == processor_notification.whole({**one.envelope, "replay": MARKER}).message
    assert json.loads(text)["message"] == sentence


@pytest.mark.parametrize(
    ("size", "many", "gone"),
    [
        (1000, 0, set()),
        (300_000, 0, {"oldImage", "newImage"}),
        (300_000, 300_000, {"oldImage", "newImage", "changedAttributes"}),
    ],
)
def test_a_message_too_large_for_sns_says_where_the_whole_change_is(size, many, gone):
    new = {"Id": {"S": "item"}, "Data": {"S": "ä" * (size // 2)}}
    one = change(old={"Id": {"S": "item"}}, new=new, changedAttributes=["x" * many])

    text = records.message(one, MARKER, "bucket")

    details = json.loads(text)["details"]
    assert len(text.encode()) <= records.MESSAGE_MAX_BYTES - 1024
    assert set(one.envelope) - set(details) == gone
    assert details.get("audit") == ({"bucket": "bucket", "key": SOURCE} if gone else None)
    assert (details["replay"], details["keys"]) == (MARKER, one.keys)


def test_a_message_holds_no_character_that_sns_refuses():
    hard = json.dumps(envelope(7, new={"Id": {"S": "a\ud800\uffff\u0001"}})).encode()

    text = records.message(read_change(hard, SOURCE), MARKER, "bucket")

    text.encode()
    assert not set(text) & {"\ud800", "\uffff", "\u0001"}
    assert json.loads(text)["details"]["newImage"] == {"Id": {"S": "a\ud800\uffff\u0001"}}


def test_a_report_of_a_change_holds_no_item_data():
    one = change(new={"Id": {"S": "item"}, "Secret": {"S": "secret"}})

    told = records.told(one, hashlib.sha256(b"keys").digest())

    assert told == {
        "sequence_number": "7",
        "event_id": one.event_id,
        "event_name": "INSERT",
        "item": hashlib.sha256(b"keys").hexdigest()[:16],
        "audit_key": SOURCE,
    }


def test_an_item_is_written_with_its_binary_values_as_bytes():
    state = {"Id": {"S": "a"}, "B": {"B": "AAE="}, "Deep": {"L": [{"M": {"Set": {"BS": ["AA==", "AQ=="]}}}]}}
    item = Item(b"digest", {"Id": {"S": "a"}}, state, None, None, 1, (), None)

    assert records.write_request(item) == {
        "PutRequest": {
            "Item": {
                "Id": {"S": "a"},
                "B": {"B": b"\0\1"},
                "Deep": {"L": [{"M": {"Set": {"BS": [b"\0", b"\1"]}}}]},
            }
        }
    }
