"""Whether a queue holds messages, when SQS only says so approximately."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sqs_queue_info import queue_info
from botocore.exceptions import ClientError

NAMES = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


class Queue:
    """Answers one look after the other, then the last again; ``now`` goes on by sleeping."""

    def __init__(self, *looks):
        self.looks, self.now, self.seen = list(looks), 0.0, 0

    def get_queue_url(self, QueueName, aws_retry):
        if not self.looks:
            raise ClientError({"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue"}}, "GetQueueUrl")
        return {"QueueUrl": f"https://sqs/{QueueName}"}

    def get_queue_attributes(self, QueueUrl, AttributeNames, aws_retry):
        assert tuple(AttributeNames) == NAMES
        counts = self.looks[min(self.seen, len(self.looks) - 1)]
        self.seen += 1
        return {"Attributes": dict(zip(NAMES, map(str, counts), strict=True))}

    def sleep(self, seconds):
        self.now += seconds

    def info(self, watch=0):
        return queue_info(self, "dlq", watch, 10, lambda: self.now, self.sleep)


@pytest.mark.parametrize("counts", [(2, 0, 0), (0, 2, 0), (0, 0, 2)])
def test_a_message_counts_whether_visible_in_flight_or_delayed(counts):
    queue = Queue(counts)
    assert queue.info(watch=180) == {"exists": True, "queue_url": "https://sqs/dlq", "messages": 2}
    assert queue.now == 0


def test_an_empty_answer_is_asked_for_again_until_the_time_is_over_or_a_message_shows():
    queue = Queue((0, 0, 0))
    assert queue.info(watch=25)["messages"] == 0
    assert (queue.now, queue.seen) == (25, 4)
    late = Queue((0, 0, 0), (0, 0, 0), (1, 0, 0))
    assert late.info(watch=180)["messages"] == 1
    assert late.now == 20


def test_a_queue_that_is_not_there_holds_nothing():
    assert Queue().info(watch=180) == {"exists": False, "queue_url": None, "messages": 0}
