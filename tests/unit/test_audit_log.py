"""Names and contents of audit objects, read back: what the function writes, and nothing else."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import objects as audit_log
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import (
    PER_BATCH,
    PER_CHANGE,
    DamagedObject,
    ObjectName,
    read_envelopes,
    read_name,
)
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.canonical import to_bytes
from stream_processor.envelope import item_hash, to_envelope
from stream_processor.layout import per_batch, per_change

from tests.unit.stream_records import FIRST_SECOND, batches, make_record, records

FOLDER = "audit-logs/2026/01/01/00/"
NUMBER, HASH = "0" * 38 + "17", "0123456789abcdef"
SECRET = "do-not-tell"


def envelopes(*numbers: int, created: int = FIRST_SECOND) -> list[dict]:
    return [to_envelope(make_record(number=number, created=created)) for number in numbers]


def packed(held: list[dict]) -> bytes:
    """As the function writes a batch object."""
    return gzip.compress(b"".join(to_bytes(envelope) + b"\n" for envelope in held), mtime=0)


def in_one_hour(records: list[dict]) -> list[dict]:
    for record in records:
        record["dynamodb"]["ApproximateCreationDateTime"] = FIRST_SECOND
    return [to_envelope(record) for record in records]


@given(records(), st.text(max_size=5))
def test_an_object_of_one_change_is_read_back_under_the_functions_name(record, folder):
    envelope = to_envelope(record)
    key = per_change(envelope, f"{folder}/")
    number = int(envelope["sequenceNumber"])

    assert read_name(key) == ObjectName(PER_CHANGE, number, number, item_hash(envelope["keys"]))
    assert read_envelopes(key, to_bytes(envelope)) == [envelope]
    assert audit_log.per_change_key(envelope, f"{folder}/") == key
    assert audit_log.name_faults(key, [envelope], f"{folder}/") == []


@given(batches(min_size=1).map(in_one_hour), st.text(max_size=5))
def test_an_object_of_a_batch_is_read_back_under_the_functions_name(held, folder):
    key = per_batch(held, f"{folder}/")
    numbers = [int(envelope["sequenceNumber"]) for envelope in held]
    name = read_name(key)

    assert (name.layout, name.first, name.last) == (PER_BATCH, min(numbers), max(numbers))
    assert all(name.covers(number) for number in numbers)
    assert not name.covers(min(numbers) - 1) and not name.covers(max(numbers) + 1)
    assert read_envelopes(key, packed(held)) == held
    assert audit_log.per_batch_key(held, f"{folder}/") == key
    assert audit_log.name_faults(key, held, f"{folder}/") == []


@pytest.mark.parametrize(
    "name",
    [
        "x.json",
        f"{NUMBER}.json",
        f"{NUMBER}-{HASH}.json.gz",
        f"{NUMBER[1:]}-{HASH}.json",
        f"{NUMBER}-{HASH.upper()}.json",
        f"{NUMBER}-{HASH}.ndjson.gz",
        f"{NUMBER}-{NUMBER}-{HASH}.json",
        f"{NUMBER}-{'0' * 40}-{HASH}.ndjson.gz",
        f"{NUMBER}-{HASH}.json/",
        f"{NUMBER}-{HASH}.json\n",
        "",
    ],
)
def test_other_objects_are_not_taken_for_audit_objects(name):
    assert read_name(f"{FOLDER}{name}") is None
    with pytest.raises(DamagedObject, match="its name is not one of an audit object"):
        read_envelopes(f"{FOLDER}{name}", b"{}")


ONE, MANY = f"{FOLDER}{NUMBER}-{HASH}.json", f"{FOLDER}{NUMBER}-{NUMBER}-{HASH}.ndjson.gz"
GOOD_LINE = json.dumps({"keys": SECRET}).encode() + b"\n"


@pytest.mark.parametrize(
    ("key", "body", "reason"),
    [
        (ONE, b"", "it holds no JSON object"),
        (ONE, f'["{SECRET}"]'.encode(), "it holds no JSON object"),
        (ONE, f'{{"{SECRET}'.encode(), "it holds no JSON object"),
        (ONE, b'{"a": "\xff"}', "it holds no JSON object"),
        (ONE, b"[" * 100_000, "it holds no JSON object"),
        (ONE, gzip.compress(GOOD_LINE, mtime=0), "it holds no JSON object"),
        (MANY, GOOD_LINE, "it is no gzip data, or its checksum is wrong"),
        (MANY, b"", "its gzip data ends too early"),
        (MANY, gzip.compress(GOOD_LINE, mtime=0)[:-3], "its gzip data ends too early"),
        (MANY, gzip.compress(GOOD_LINE, mtime=0)[:-8] + bytes(8), "it is no gzip data, or its checksum is wrong"),
        (MANY, gzip.compress(GOOD_LINE, mtime=0) + b"more", "something follows its gzip data"),
        (MANY, gzip.compress(b"", mtime=0), "its last line has no end"),
        (MANY, gzip.compress(GOOD_LINE[:-1], mtime=0), "its last line has no end"),
        (MANY, gzip.compress(GOOD_LINE + b"\n", mtime=0), "line 2 holds no JSON object"),
        (MANY, gzip.compress(GOOD_LINE + f'"{SECRET}"\n'.encode(), mtime=0), "line 2 holds no JSON object"),
    ],
)
def test_a_damaged_object_is_named_with_what_is_wrong_and_without_its_content(key, body, reason):
    with pytest.raises(DamagedObject) as damaged:
        read_envelopes(key, body)

    assert str(damaged.value) == f"the audit object {key} is damaged: {reason}"
    assert SECRET not in repr((damaged.value.__cause__, damaged.value.__context__))


@given(st.binary(max_size=64) | st.binary(max_size=64).map(gzip.compress), st.sampled_from([ONE, MANY]))
def test_whatever_an_object_holds_it_is_read_or_told_to_be_damaged(body, key):
    try:
        assert all(isinstance(envelope, dict) for envelope in read_envelopes(key, body))
    except DamagedObject as damaged:
        assert damaged.key == key


def test_an_object_that_unpacks_to_more_than_it_may_is_refused(monkeypatch):
    monkeypatch.setattr(audit_log, "UNPACKED_MAX_BYTES", len(GOOD_LINE))
    assert read_envelopes(MANY, gzip.compress(GOOD_LINE, mtime=0)) == [{"keys": SECRET}]

    with pytest.raises(DamagedObject, match="it unpacks to more than"):
        read_envelopes(MANY, gzip.compress(GOOD_LINE + bytes(10**6)))


def test_an_object_under_another_name_than_its_changes_give_is_a_fault():
    held = envelopes(5, 7, 9)
    key = per_batch(held, "audit-logs/")
    wrong = "the object's name does not follow from what it holds"

    assert audit_log.name_faults(key, held[:2], "audit-logs/") == [wrong]
    assert audit_log.name_faults(key, held[::-1], "audit-logs/") == [wrong]
    assert audit_log.name_faults(key.replace("/00/", "/01/"), held, "audit-logs/") == [wrong]
    assert audit_log.name_faults(key, held, "logs/") == [wrong]
    assert audit_log.name_faults(per_change(held[0], "audit-logs/"), held[1:2], "audit-logs/") == [wrong]


def test_changes_of_two_hours_in_one_object_are_a_fault():
    held = envelopes(5) + envelopes(7, created=FIRST_SECOND + 3600)

    assert audit_log.name_faults(per_batch(held, "audit-logs/"), held, "audit-logs/") == [
        "the object holds changes of more than one hour"
    ]


@pytest.mark.parametrize("field", ["sequenceNumber", "timestamp", "eventID"])
def test_an_envelope_that_lacks_what_names_follow_from_names_nothing(field):
    (envelope,) = envelopes(5)
    for broken in ({**envelope, field: None}, {name: envelope[name] for name in envelope if name != field}):
        assert audit_log.per_batch_key([broken], "audit-logs/") is None
        assert audit_log.name_faults(MANY, [broken], "audit-logs/") == []


def test_a_change_in_two_objects_is_one_change():
    first, second, third = envelopes(5, 6, 7)
    again = {**second, "redrive": {"id": "1", "time": "2026-01-01T00:00:00Z"}}

    found = audit_log.by_event_id([first, second, again, third])

    assert list(found.values()) == [first, second, third]


@given(st.integers(0, 200), st.integers(0, 200))
def test_every_hour_between_two_moments_is_there_once(before, length):
    start = datetime(2026, 1, 1, tzinfo=UTC) - timedelta(minutes=before)
    end = start + timedelta(minutes=length)
    found = audit_log.hours(start, end, "audit/")

    moments = [start + timedelta(minutes=minute) for minute in range(length + 1)]
    assert found == list(dict.fromkeys(f"audit/{moment:%Y/%m/%d/%H}/" for moment in moments))
