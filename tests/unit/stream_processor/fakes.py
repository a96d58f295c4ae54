"""A transport and a Lambda context that tests can look into and make fail."""

from __future__ import annotations

import json

from stream_processor.config import Settings
from stream_processor.log import Log
from stream_processor.notification import Notification
from stream_processor.processor import Processor
from stream_processor.transport import Order

from tests.unit.stream_records import validated

BUCKET = "audit-bucket"
SETTINGS = Settings(
    bucket=BUCKET,
    topic_arn="arn:aws:sns:us-east-1:123456789012:changes",
    prefix="audit-logs/",
    layout="per_change",
    notification_max_bytes=262144,
    log_level="INFO",
)


class FakeTransport:
    """Keeps what it is given. ``fail`` is asked before each call, with "audit" or "notify" and the change's
    sequence number, and gives the error to raise or None."""

    def __init__(self, fail=lambda stage, number: None):
        self.fail = fail
        self.objects: dict[str, bytes] = {}
        self.notifications: list[Notification] = []
        self.orders: list[Order | None] = []
        self.calls: list[tuple[str, str]] = []

    def put_object_if_absent(self, bucket, key, body, content_type):
        assert (bucket, content_type) == (BUCKET, "application/json")
        self._call("audit", validated(json.loads(body)))
        if key in self.objects:
            return False
        self.objects[key] = body
        return True

    def publish(self, topic_arn, message, subject, attributes, order):
        assert topic_arn.removesuffix(".fifo") == SETTINGS.topic_arn
        self._call("notify", validated(json.loads(message)["details"]))
        self.notifications.append(Notification(message, subject, attributes))
        self.orders.append(order)

    def _call(self, stage, envelope):
        self.calls.append((stage, envelope["sequenceNumber"]))
        error = self.fail(stage, envelope["sequenceNumber"])
        if error:
            raise error


class FakeContext:
    """A context whose time runs down by ``step`` milliseconds each time it is asked."""

    aws_request_id = "5ff2b2f8-0000-4000-8000-000000000000"

    def __init__(self, remaining=60000, step=0):
        self.remaining, self.step = remaining, step

    def get_remaining_time_in_millis(self):
        self.remaining -= self.step
        return self.remaining


def processor(transport, **settings):
    return Processor(Settings(**{**SETTINGS.__dict__, **settings}), transport)


def log():
    return Log("INFO")


def fail_at(stage, number, error):
    """A ``fail`` that raises at one stage of one change."""
    return lambda at, of: error if (at, of) == (stage, number) else None
