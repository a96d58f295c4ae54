"""How notifications are packed into calls, and the digest of a batch."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.announcing import PerChange
from stream_processor.change import prepare
from stream_processor.layout import per_batch
from stream_processor.transport import TransportError

from tests.unit.stream_processor.fakes import (
    BUCKET,
    SETTINGS,
    FakeContext,
    FakeTransport,
    both_layouts,
    envelopes_in,
    fail_at,
    processor,
)
from tests.unit.stream_records import DIGEST_SCHEMA, FIRST_SECOND, batches, make_record, sample

LIMIT = 256 * 1024
_VALIDATOR = jsonschema.Draft202012Validator(DIGEST_SCHEMA)


def changes(sizes, items=None):
    names = items or [str(at) for at in range(len(sizes))]
    records = [
        make_record({"Id": {"S": name}}, new={"Id": {"S": name}, "a": {"S": "x" * size}}, number=10**20 + at)
        for at, (name, size) in enumerate(zip(names, sizes, strict=True))
    ]
    return [
        prepare(at, record, record["dynamodb"]["SequenceNumber"], SETTINGS, None) for at, record in enumerate(records)
    ]


def parcels_of(given_changes, **options):
    packer = PerChange(replace(SETTINGS, **options))
    return [parcel for change in given_changes for parcel in packer.add(change)] + packer.rest()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([10, 30_000, 100_000, 250_000, 400_000]), max_size=25))
def test_a_call_has_at_most_ten_messages_and_the_bytes_of_one(sizes):
    parcels = parcels_of(changes(sizes))
    assert [part.first for parcel in parcels for part in parcel.parts] == list(range(len(sizes)))
    for parcel in parcels:
        assert 1 <= len(parcel.parts) <= 10
        assert sum(part.size for part in parcel.parts) <= LIMIT


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([10, 30_000, 100_000]), max_size=25))
def test_no_call_is_begun_before_the_one_before_it_is_full(sizes):
    parcels = parcels_of(changes(sizes))
    for parcel, following in zip(parcels, parcels[1:], strict=False):
        assert len(parcel.parts) == 10 or parcel.size + following.parts[0].size > LIMIT


def test_a_topic_that_takes_larger_messages_takes_larger_calls():
    assert len(parcels_of(changes([200_000] * 4))) == 4
    assert len(parcels_of(changes([200_000] * 4), notification_max_bytes=1024 * 1024)) == 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=15))
def test_a_fifo_topic_gets_each_item_once_a_call(items):
    for parcel in parcels_of(changes([10] * len(items), items), topic_arn=f"{SETTINGS.topic_arn}.fifo"):
        assert len(set(parcel.items)) == len(parcel.items)


def digest_of(records, **options):
    transport = FakeTransport()
    made = processor(transport, notification_mode="digest", **options)
    outcome = made.process(records, FakeContext().get_remaining_time_in_millis)
    digests = [json.loads(note.message) for note in transport.notifications]
    for digest in digests:
        _VALIDATOR.validate(digest)
    return digests, outcome, transport


@both_layouts
@settings(max_examples=40, deadline=None)
@given(batch=batches(max_size=12))
def test_a_digest_counts_a_batch_and_says_where_it_is(layout, batch):
    (digest,), outcome, transport = digest_of(batch, layout=layout)
    assert outcome.failure is None
    assert transport.requests[-1] == ("sns", 1)
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in batch]
    assert (int(digest["firstSequenceNumber"]), int(digest["lastSequenceNumber"])) == (min(numbers), max(numbers))
    assert digest["counts"] == dict(outcome.events)
    assert outcome.notified == len(batch)
    assert digest["audit"]["bucket"] == BUCKET
    if layout == "per_batch":
        assert digest["audit"]["keys"] == sorted(transport.objects)
    else:
        assert all(any(name.startswith(hour) for hour in digest["audit"]["prefixes"]) for name in transport.objects)


def test_what_a_digest_says():
    (digest,), _unused, transport = digest_of([sample("insert"), sample("modify"), sample("ttl_remove")])
    assert digest == {
        "schema": "cloudcdc.digest/1",
        "table": "UserActivities",
        "eventSourceARN": sample("insert")["eventSourceARN"],
        "counts": {"INSERT": 1, "MODIFY": 1, "REMOVE": 1},
        "expired": 1,
        "firstSequenceNumber": "100000000000000000001",
        "lastSequenceNumber": "100000000000000000004",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T01:00:00Z",
        "audit": {"bucket": BUCKET, "prefixes": ["audit-logs/2026/01/01/00/", "audit-logs/2026/01/01/01/"]},
    }
    (note,) = transport.notifications
    assert note.subject == "DynamoDB Activity: digest"
    assert note.attributes == {"schema": "cloudcdc.digest/1", "table": "UserActivities"}


def test_a_digest_holds_no_item_data():
    record = make_record({"Id": {"S": "zq-key"}}, new={"Id": {"S": "zq-key"}, "zq-name": {"S": "zq-value"}})
    _unused, _unused, transport = digest_of([record])
    assert "zq" not in transport.notifications[0].message


def test_a_digest_that_fails_brings_the_batch_again_and_writes_no_object_twice():
    records = [sample("insert"), sample("modify")]
    last = records[-1]["dynamodb"]["SequenceNumber"]
    transport = FakeTransport(fail_at("notify", last, TransportError("ClientError", "Throttled")))
    made = processor(transport, notification_mode="digest")
    outcome = made.process(records, FakeContext().get_remaining_time_in_millis)
    assert outcome.batch_item_failures == [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]
    assert (outcome.audited, outcome.notified) == (2, 0)


def test_a_digest_tells_of_the_changes_before_a_failure():
    records = [sample("insert"), sample("modify"), sample("remove")]
    number = records[1]["dynamodb"]["SequenceNumber"]
    transport = FakeTransport(fail_at("audit", number, TransportError("ClientError", "SlowDown")))
    outcome = processor(transport, notification_mode="digest").process(
        records, FakeContext().get_remaining_time_in_millis
    )
    assert outcome.batch_item_failures == [{"itemIdentifier": number}]
    (note,) = transport.notifications
    assert json.loads(note.message)["counts"] == {"INSERT": 1}


def test_a_fifo_topic_knows_a_digest_by_its_changes():
    orders = []
    for records in ([sample("insert")], [sample("insert")], [sample("modify")]):
        _unused, _unused, transport = digest_of(records, topic_arn=f"{SETTINGS.topic_arn}.fifo")
        orders += transport.orders
    assert orders[0] == orders[1] != orders[2]
    assert {order.group for order in orders} == {"digest"}


@settings(max_examples=60, deadline=None)
@given(batches(max_size=8))
def test_a_batch_objects_name_is_its_hour_first_and_last_number_and_the_hash_of_its_changes(batch):
    transport = FakeTransport()
    processor(transport, layout="per_batch").process(batch, FakeContext().get_remaining_time_in_millis)
    for name, body in transport.objects.items():
        envelopes = envelopes_in(name, body)
        assert name == per_batch(envelopes, "audit-logs/")
        first, last, _unused = name.rsplit("/", 1)[1].split("-")
        numbers = [int(envelope["sequenceNumber"]) for envelope in envelopes]
        assert (int(first), int(last), len(first), len(last)) == (min(numbers), max(numbers), 40, 40)
        assert len({envelope["timestamp"][:13] for envelope in envelopes}) == 1


def test_other_changes_make_another_name():
    one = make_record({"Id": {"S": "a"}}, number=10**20)
    two = make_record({"Id": {"S": "b"}}, number=10**20 + 1, created=FIRST_SECOND + 1)
    three = make_record({"Id": {"S": "c"}}, number=10**20 + 2, created=FIRST_SECOND + 2)
    names = set()
    for batch in ([one, two, three], [one, three], [one], [one, two]):
        transport = FakeTransport()
        processor(transport, layout="per_batch").process(batch, FakeContext().get_remaining_time_in_millis)
        names |= transport.objects.keys()
    assert len(names) == 4


@pytest.mark.parametrize("mode", ["per_change", "digest"])
def test_without_records_nothing_is_sent(mode):
    transport = FakeTransport()
    processor(transport, notification_mode=mode).process([], FakeContext().get_remaining_time_in_millis)
    assert transport.requests == []
