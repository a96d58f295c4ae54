"""What is proven of audit objects and notifications: what the function makes passes, anything else is a fault."""

from __future__ import annotations

import copy
import json
from datetime import timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import (
    name_faults,
    read_envelopes,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import envelope as envelopes
from hypothesis import assume, given
from hypothesis import strategies as st
from stream_processor import envelope as function
from stream_processor.canonical import to_bytes
from stream_processor.layout import per_change
from stream_processor.notification import build_notification

from tests.unit.pipeline_verify.verify_support import BUCKET, NOW, PREFIX, VIEW_TYPES, changes_of, record_of, stream

AUDIT = {"bucket": BUCKET, "key": "audit-logs/somewhere.json"}

streams = st.builds(
    lambda types, view_type: stream(*((f"Key{at}", kind) for at, kind in enumerate(types)), view_type=view_type),
    st.lists(st.sampled_from("SNB"), min_size=1, max_size=2),
    st.sampled_from(VIEW_TYPES),
)


def wrapped(notification, raw):
    """The notification as it stands in a queue."""
    if raw:
        attributes = {
            name: {"StringValue": value, "DataType": "String"} for name, value in notification.attributes.items()
        }
        return {"Body": notification.message, "MessageAttributes": attributes}
    attributes = {name: {"Type": "String", "Value": value} for name, value in notification.attributes.items()}
    body = {
        "Type": "Notification",
        "Message": notification.message,
        "Subject": notification.subject,
        "MessageAttributes": attributes,
    }
    return {"Body": json.dumps(body)}


def faults(envelope, change, of_stream, claim_check=False):
    (outcome,) = change.outcomes
    return envelopes.envelope_faults(envelope, change, outcome.notification, of_stream, NOW, NOW, claim_check)


def message_faults(message, change, of_stream):
    (outcome,) = change.outcomes
    return envelopes.message_faults(message, change, outcome, of_stream, BUCKET)


def an_update():
    """A MODIFY, its stream and the function's envelope of it."""
    of_stream = stream()
    change = changes_of(of_stream, attributes={"tags": {"SS": ["a", "b"]}})[1]
    return change, of_stream, function.to_envelope(record_of(change, of_stream, 10**21))


@given(streams, st.integers(1, 10**40 - 1), st.integers(0, 2))
def test_what_the_function_makes_of_a_change_has_no_fault(of_stream, number, place):
    change = changes_of(of_stream, attributes={"total": {"N": "1.50"}})[place]
    envelope = function.to_envelope(record_of(change, of_stream, number))
    key = per_change(envelope, PREFIX)
    (read,) = read_envelopes(key, to_bytes(envelope))

    assert envelopes.change_of(read) == (change.item.identity, change.event_name)
    assert name_faults(key, [read], PREFIX) == []
    assert envelopes.audited_faults(read, change, of_stream, NOW, NOW) == []


@given(streams, st.booleans(), st.booleans(), st.integers(0, 2))
def test_what_the_function_notifies_has_no_fault_raw_or_wrapped_full_or_by_claim_check(of_stream, raw, full, place):
    change = changes_of(of_stream)[place]
    assume(full or change.old_image or change.new_image)  # without images there is nothing to leave out
    envelope = function.to_envelope(record_of(change, of_stream, 7))
    size = build_notification(envelope, AUDIT, 10**6).size
    notification = build_notification(envelope, AUDIT, size if full else size - 1)
    message = envelopes.read_message(wrapped(notification, raw))

    assert (message.audit == AUDIT) is not full
    assert message_faults(message, change, of_stream) == []
    assert faults(message.envelope, change, of_stream, claim_check=not full) == []
    assert envelopes.difference(message, envelope) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "cloudcdc.change/2"),
        ("eventID", ""),
        ("eventName", "INSERT"),
        ("eventSource", "aws:kinesis"),
        ("eventSourceARN", "arn:aws:dynamodb:us-east-1:123456789012:table/Other/stream/1"),
        ("awsRegion", "eu-west-1"),
        ("sequenceNumber", 5),
        ("sequenceNumber", "x"),
        ("sizeBytes", "42"),
        ("sizeBytes", True),
        ("sizeBytes", -1),
        ("streamViewType", "KEYS_ONLY"),
        ("timestamp", "2026-01-01 00:00:00"),
        ("timestamp", "2026-01-01T00:10:00Z"),
        ("timestamp", "2025-12-31T23:50:00Z"),
        ("table", "Other"),
        ("keys", {"Id": {"S": "other"}}),
        ("oldImage", {"Id": {"S": "other"}}),
        ("newImage", None),
        ("changedAttributes", []),
        ("changedAttributes", None),
    ],
)
def test_a_field_that_is_wrong_is_named_and_its_value_is_not(field, value):
    change, of_stream, envelope = an_update()

    found = faults({**envelope, field: value}, change, of_stream)

    assert found == [f"{field} is not what the change gives"]


@given(st.data())
def test_no_field_can_be_left_out(data):
    change, of_stream, envelope = an_update()
    field = data.draw(st.sampled_from(sorted(envelope)))
    del envelope[field]

    assert faults(envelope, change, of_stream) == [f"{field} is not what the change gives"]


def test_an_image_that_lost_an_attribute_is_a_fault_and_a_set_in_another_order_is_none():
    change, of_stream, envelope = an_update()
    reordered = copy.deepcopy(envelope)
    reordered["newImage"]["tags"]["SS"].reverse()
    assert faults(reordered, change, of_stream) == []

    del reordered["newImage"]["tags"]
    assert faults(reordered, change, of_stream) == ["newImage is not what the change gives"]


def test_an_image_where_the_stream_has_none_is_a_fault():
    of_stream = stream(view_type="KEYS_ONLY")
    change = changes_of(of_stream)[0]
    envelope = function.to_envelope(record_of(change, of_stream, 7))

    assert faults({**envelope, "newImage": envelope["keys"]}, change, of_stream) == [
        "newImage is not what the change gives"
    ]


def test_a_change_is_dated_within_the_run_give_or_take_what_clocks_differ():
    change, of_stream, envelope = an_update()
    late = NOW + timedelta(minutes=10)

    assert envelopes.audited_faults(envelope, change, of_stream, NOW, late) == []
    assert envelopes.audited_faults(envelope, change, of_stream, late, late) == [
        "timestamp is not what the change gives"
    ]


def test_copies_of_a_change_may_differ_in_who_brought_them_and_in_nothing_else():
    _change, _stream, envelope = an_update()
    again = {**envelope, "redrive": {"id": "1", "time": "2026-01-01T00:00:00Z"}}

    assert envelopes.copies_faults([envelope, again, envelope]) == []
    assert envelopes.copies_faults([envelope, {**again, "eventID": "other"}, {**again, "sizeBytes": 1}]) == [
        "eventID is not the same in its audit objects",
        "sizeBytes is not the same in its audit objects",
    ]


def test_a_notification_that_differs_from_its_audit_object_is_told_by_field():
    change, of_stream, envelope = an_update()
    message = envelopes.read_message(wrapped(build_notification(envelope, AUDIT, 10**6), raw=True))

    assert envelopes.difference(message, {**envelope, "sizeBytes": 43}) == ["sizeBytes differs from the audit object"]
    without_image = {name: value for name, value in envelope.items() if name != "newImage"}
    assert envelopes.difference(message, without_image) == ["newImage differs from the audit object"]


def test_a_notification_without_images_is_a_fault_unless_it_is_a_claim_check():
    change, of_stream, envelope = an_update()
    details = {name: value for name, value in envelope.items() if name != "newImage"}

    assert faults(details, change, of_stream) == ["newImage is not what the change gives"]
    assert faults(details, change, of_stream, claim_check=True) == []


def message(details, attributes=None, text="Item updated", subject=None):
    attributes = attributes if attributes is not None else {"eventName": "MODIFY", "table": "Orders"}
    return envelopes.Message(details, text, attributes, subject)


@pytest.mark.parametrize(
    ("received", "said"),
    [
        (lambda envelope: message(envelope, attributes={}), "the message attributes are not"),
        (lambda envelope: message(envelope, attributes={"eventName": "INSERT", "table": "Orders"}), "the message attr"),
        (
            lambda envelope: message(envelope, attributes={"eventName": "MODIFY", "table": "Orders", "more": "x"}),
            "the message attr",
        ),
        (lambda envelope: message(envelope, text=None), "message is not a text"),
        (lambda envelope: message(envelope, subject="DynamoDB Activity: INSERT"), "the subject is not the one"),
        (
            lambda envelope: message({**envelope, "audit": {"bucket": "other", "key": "k"}}),
            "does not name the audit bu",
        ),
    ],
)
def test_a_notification_of_another_shape_is_a_fault(received, said):
    change, of_stream, envelope = an_update()

    (fault,) = message_faults(received(envelope), change, of_stream)

    assert said in fault


def test_images_over_the_limit_must_be_notified_by_claim_check():
    of_stream = stream()
    change = changes_of(of_stream, pad=600, limit=1000)[3]
    envelope = function.to_envelope(record_of(change, of_stream, 7))

    assert "still it is no claim check" in message_faults(message(envelope), change, of_stream)[0]
    assert not message_faults(message({**envelope, "audit": AUDIT}), change, of_stream)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "text",
        "[]",
        '"text"',
        "{}",
        '{"details": "text"}',
        '{"Type": "Notification", "Message": "text"}',
        '{"Type": "Notification", "Message": "{}", "MessageAttributes": "none"}',
        '{"Type": "Notification", "Message": "{}", "MessageAttributes": {"name": "text"}}',
    ],
)
def test_messages_of_other_publishers_are_passed_over(body):
    assert envelopes.read_message({"Body": body}) is None
