"""What a FIFO change topic is told of each change: the item it belongs to, and the change that it is."""

from __future__ import annotations

from hypothesis import given, settings
from stream_processor.envelope import item_hash
from stream_processor.transport import Order, TransportError

from tests.unit.stream_processor.fakes import SETTINGS, FakeContext, FakeTransport, both_layouts, fail_at, processor
from tests.unit.stream_records import batches, make_record


@both_layouts
@settings(max_examples=40, deadline=None)
@given(batch=batches())
def test_changes_are_grouped_by_item_and_known_by_their_event_id_also_when_redriven(layout, batch):
    expected = [Order(item_hash(record["dynamodb"]["Keys"]), record["eventID"]) for record in batch]
    marker = {"redrive": {"id": "r-1", "time": "2026-01-31T08:00:00Z"}}
    for records in (batch, [{**record, **marker} for record in batch]):
        transport = FakeTransport()
        ordered = processor(transport, topic_arn=f"{SETTINGS.topic_arn}.fifo", layout=layout)
        assert not ordered.process(records, FakeContext().get_remaining_time_in_millis).failure
        assert sorted(transport.orders, key=expected.index) == expected
        for item in {order.group for order in expected}:
            of_item = [order for order in transport.orders if order.group == item]
            assert of_item == [order for order in expected if order.group == item]


@settings(max_examples=20, deadline=None)
@given(batches())
def test_a_standard_topic_is_told_no_order(batch):
    transport = FakeTransport()
    processor(transport).process(batch, FakeContext().get_remaining_time_in_millis)
    assert transport.orders == [None] * len(batch)


def test_two_changes_of_an_item_never_share_a_call_to_a_fifo_topic():
    """SNS may fail the first of them alone, and then the second would have overtaken it."""
    batch = [make_record({"Id": {"S": name}}, number=10**20 + at) for at, name in enumerate("abab")]
    for topic, calls in ((f"{SETTINGS.topic_arn}.fifo", [2, 2]), (SETTINGS.topic_arn, [4])):
        transport = FakeTransport()
        processor(transport, topic_arn=topic).process(batch, FakeContext().get_remaining_time_in_millis)
        assert [count for service, count in transport.requests if service == "sns"] == calls


def test_after_a_failed_notification_no_later_one_of_its_item_goes_to_a_fifo_topic():
    batch = [make_record({"Id": {"S": name}}, number=10**20 + at) for at, name in enumerate("abab")]
    transport = FakeTransport(fail_at("notify", str(10**20), TransportError("ClientError", "InternalError")))
    ordered = processor(transport, topic_arn=f"{SETTINGS.topic_arn}.fifo")
    outcome = ordered.process(batch, FakeContext().get_remaining_time_in_millis)
    assert outcome.batch_item_failures == [{"itemIdentifier": str(10**20)}]
    assert transport.notified() == [str(10**20 + 1)]
