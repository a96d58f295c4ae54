"""Notifications: what they say, and that they always fit."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.config import NOTIFICATION_MIN_BYTES
from stream_processor.envelope import to_envelope
from stream_processor.layout import per_change
from stream_processor.notification import NotificationTooLarge, build_notification

from tests.unit.stream_records import make_record, records, sample, validated

LIMIT = 262144


def notification_of(record, limit=LIMIT):
    envelope = validated(to_envelope(record))
    audit = {"bucket": "audit-bucket", "key": per_change(envelope, "audit-logs/")}
    note = build_notification(envelope, audit, limit)
    return note, validated(json.loads(note.message)["details"]), envelope, audit


def sent_bytes(note):
    """What the request carries, counted apart from the code under test."""
    attributes = sum(len(f"{name}String{value}".encode()) for name, value in note.attributes.items())
    return len(note.message.encode()) + len(note.subject.encode()) + attributes


@pytest.mark.parametrize(
    ("name", "subject", "message"),
    [
        ("insert", "DynamoDB Activity: INSERT", "Item created in UserActivities"),
        ("modify", "DynamoDB Activity: MODIFY", "Item updated in UserActivities"),
        ("remove", "DynamoDB Activity: REMOVE", "Item deleted from UserActivities"),
        ("ttl_remove", "DynamoDB Activity: REMOVE", "Item expired from UserActivities"),
        ("ttl_remove_capitals", "DynamoDB Activity: REMOVE", "Item expired from UserActivities"),
        ("number_hash_key", "DynamoDB Activity: MODIFY", "Item updated in Orders"),
    ],
)
def test_what_a_notification_says(name, subject, message):
    note, details, envelope, _unused = notification_of(sample(name))
    assert (note.subject, json.loads(note.message)["message"]) == (subject, message)
    assert list(json.loads(note.message)) == ["details", "message"]
    assert note.attributes == {"eventName": envelope["eventName"], "table": envelope["table"]}
    assert details == envelope
    assert not note.claim_check


@settings(max_examples=40)
@given(records())
def test_the_subject_is_one_that_sns_takes(record):
    subject = notification_of(record)[0].subject
    assert subject.isascii()
    assert subject.isprintable()
    assert len(subject) < 100


@settings(max_examples=60, deadline=None)
@given(
    attribute=st.sampled_from(["a", "é", "😀", "\x01", '"', "\uffff"]),
    old_size=st.integers(0, 60000),
    new_size=st.integers(0, 60000),
    limit=st.integers(NOTIFICATION_MIN_BYTES, 4 * NOTIFICATION_MIN_BYTES),
)
def test_a_notification_never_passes_the_limit(attribute, old_size, new_size, limit):
    keys = {"Id": {"S": "x"}}
    old, new = ({**keys, "a": {"S": attribute * size}} for size in (old_size, new_size))
    note, details, envelope, audit = notification_of(make_record(keys, old=old, new=new), limit)
    assert sent_bytes(note) <= limit
    if note.claim_check:
        assert details == {
            **{name: value for name, value in envelope.items() if name not in ("oldImage", "newImage")},
            "audit": audit,
        }
    else:
        assert details == envelope


def test_the_claim_check_begins_one_byte_past_the_limit():
    record = make_record(new={"Id": {"S": "item"}, "a": {"S": "x" * 50000}})
    size = sent_bytes(notification_of(record)[0])
    assert not notification_of(record, limit=size)[0].claim_check
    assert notification_of(record, limit=size - 1)[0].claim_check


def test_a_list_of_changed_attributes_that_is_too_long_is_left_out_too():
    keys = {"Id": {"S": "x"}}
    names = [f"{'n' * 240}{position:04}" for position in range(300)]
    new = {**keys, **{name: {"S": "v"} for name in names}}
    _unused, details, envelope, audit = notification_of(make_record(keys, old=keys, new=new), NOTIFICATION_MIN_BYTES)
    assert envelope["changedAttributes"] == names
    dropped = ("oldImage", "newImage", "changedAttributes")
    assert details == {**{name: value for name, value in envelope.items() if name not in dropped}, "audit": audit}


def test_the_longest_keys_of_dynamodb_fit_the_smallest_limit():
    # 2048 bytes of hash key and 1024 of range key, under names of 255, all of what JSON makes longest.
    keys = {"\x01" * 255: {"S": "\x01" * 2048}, "\x02" * 255: {"S": "\x01" * 1024}}
    record = make_record(keys, old={**keys, "a": {"S": "x" * 40000}}, new=keys, table="t" * 255)
    marker = {"id": "i" * 64, "time": "2026-01-01T00:00:00Z"}
    record.update(replay=marker, redrive=marker, userIdentity=sample("ttl_remove")["userIdentity"])
    note, _unused, _unused, _unused = notification_of(record, NOTIFICATION_MIN_BYTES)
    assert note.claim_check
    assert sent_bytes(note) <= NOTIFICATION_MIN_BYTES


def test_what_cannot_fit_is_not_sent():
    record = make_record({"Id": {"S": "x" * NOTIFICATION_MIN_BYTES}})
    with pytest.raises(NotificationTooLarge):
        notification_of(record, NOTIFICATION_MIN_BYTES)
