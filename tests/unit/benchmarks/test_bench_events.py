"""The events of the benchmarks."""

from __future__ import annotations

import json

import pytest
from stream_processor.envelope import to_envelope

from benchmarks import costs, events
from tests.unit.stream_records import validated

BATCHES = {
    "usual": lambda: events.usual(1000),
    "wide": lambda: events.wide(1000),
    "small": events.small,
    "large": events.large,
}


@pytest.mark.parametrize("name", BATCHES)
def test_an_event_fits_into_an_invocation(name):
    assert len(events.to_json(BATCHES[name]())) <= events.EVENT_MAX_BYTES


@pytest.mark.parametrize("name", BATCHES)
def test_an_event_is_the_same_each_time(name):
    assert events.to_json(BATCHES[name]()) == events.to_json(BATCHES[name]())


@pytest.mark.parametrize("name", BATCHES)
def test_records_are_those_of_a_stream(name):
    records = BATCHES[name]()["Records"]
    validated(to_envelope(records[0]))
    assert len({record["eventID"] for record in records}) == len(records)
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted(numbers)


def test_batches_of_one_measurement_share_no_record():
    first, second = events.usual(10), events.usual(10, 10)
    ids = {record["eventID"] for event in (first, second) for record in event["Records"]}
    assert len(ids) == 20


def test_items_are_of_the_size_the_docs_name():
    (record,) = events.wide(1)["Records"]
    image = json.dumps(record["dynamodb"]["NewImage"], separators=(",", ":"))
    assert 1000 <= len(image) <= 1300


def test_the_large_event_leaves_no_room_for_one_more_item():
    one = len(events.to_json(events.large(1)))
    assert len(events.to_json(events.large())) + one > events.EVENT_MAX_BYTES


@pytest.mark.parametrize("items", events.MADE_OF)
def test_the_costs_reckon_with_messages_of_the_size_they_have(items):
    (record,) = events.MADE_OF[items](1)["Records"]
    content = {"message": "Item updated in UserActivities", "details": to_envelope(record)}
    message = json.dumps(content, separators=(",", ":"))
    assert len(message) == pytest.approx(costs.MESSAGE_BYTES[items], rel=0.1)
