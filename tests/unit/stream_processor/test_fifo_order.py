"""What a FIFO change topic is told of each change: the item it belongs to, and the change that it is."""

from __future__ import annotations

from hypothesis import given, settings
from stream_processor.envelope import item_hash
from stream_processor.transport import Order

from tests.unit.stream_processor.fakes import SETTINGS, FakeContext, FakeTransport, processor
from tests.unit.stream_records import batches


@settings(max_examples=40, deadline=None)
@given(batches())
def test_changes_are_grouped_by_item_and_known_by_their_event_id_also_when_redriven(batch):
    expected = [Order(item_hash(record["dynamodb"]["Keys"]), record["eventID"]) for record in batch]
    marker = {"redrive": {"id": "r-1", "time": "2026-01-31T08:00:00Z"}}
    for records in (batch, [{**record, **marker} for record in batch]):
        transport = FakeTransport()
        ordered = processor(transport, topic_arn=f"{SETTINGS.topic_arn}.fifo")
        assert not ordered.process(records, FakeContext().get_remaining_time_in_millis).failure
        assert transport.orders == expected


@settings(max_examples=20, deadline=None)
@given(batches())
def test_a_standard_topic_is_told_no_order(batch):
    transport = FakeTransport()
    processor(transport).process(batch, FakeContext().get_remaining_time_in_millis)
    assert transport.orders == [None] * len(batch)
