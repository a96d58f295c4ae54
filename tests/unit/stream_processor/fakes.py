"""A transport and a Lambda context that tests can look into and make fail, and the audit log as they hold it."""

from __future__ import annotations

import gzip
import json
import threading
import time

import pytest
from stream_processor.config import Settings
from stream_processor.log import Log
from stream_processor.notification import Notification
from stream_processor.processor import Processor
from stream_processor.transport import Order
from stream_processor.workers import Workers

from tests.unit.stream_records import validated

BUCKET = "audit-bucket"
CONTENT_TYPES = {".json": "application/json", ".ndjson.gz": "application/gzip"}
SETTINGS = Settings(
    bucket=BUCKET,
    topic_arn="arn:aws:sns:us-east-1:123456789012:changes",
    prefix="audit-logs/",
    layout="per_change",
    notification_max_bytes=262144,
    log_level="INFO",
    concurrency=4,
)
#: One set of threads for all tests: hypothesis makes thousands of processors.
WORKERS = Workers(SETTINGS.concurrency)

both_layouts = pytest.mark.parametrize("layout", ["per_change", "per_batch"])


class FakeTransport:
    """Keeps what it is given. ``fail`` is asked for each change of a call, with "audit" or "notify" and the change's
    sequence number, and gives the error to raise or None. It may wait."""

    def __init__(self, fail=lambda stage, number: None):
        self.fail = fail
        self.objects: dict[str, bytes] = {}
        self.notifications: list[Notification] = []
        self.orders: list[Order | None] = []
        self.calls: list[tuple[str, str]] = []  # what was done, change by change
        self.requests: list[tuple[str, int]] = []  # what was sent: the service, and of how many changes
        self._lock = threading.Lock()

    def put_object_if_absent(self, bucket, key, body, content_type, deadline):
        assert bucket == BUCKET
        assert content_type == next(kind for ending, kind in CONTENT_TYPES.items() if key.endswith(ending))
        assert deadline > time.monotonic() - 5
        numbers = [envelope["sequenceNumber"] for envelope in envelopes_in(key, body)]
        self.requests.append(("s3", len(numbers)))
        for number in numbers:
            self._call("audit", number)
        with self._lock:
            return self.objects.setdefault(key, body) is body

    def publish(self, topic_arn, messages, deadline):
        """As SNS does: an answer for each message, and none is held back by another."""
        assert topic_arn.removesuffix(".fifo") == SETTINGS.topic_arn
        assert 1 <= len(messages) <= 10
        self.requests.append(("sns", len(messages)))
        return [self._publish(message) for message in messages]

    def _publish(self, message):
        body = json.loads(message.text)
        number = body["lastSequenceNumber"] if "details" not in body else validated(body["details"])["sequenceNumber"]
        try:
            self._call("notify", number)
        except Exception as exc:
            return exc
        self.notifications.append(Notification(message.text, message.subject, message.attributes))
        self.orders.append(message.order)
        return None

    def _call(self, stage, number):
        error = self.fail(stage, number)
        self.calls.append((stage, number))
        if error:
            raise error

    def audited(self):
        """The sequence numbers in the audit log, each once."""
        return {each["sequenceNumber"] for key, body in self.objects.items() for each in envelopes_in(key, body)}

    def notified(self):
        return [json.loads(note.message)["details"]["sequenceNumber"] for note in self.notifications]


def envelopes_in(key, body):
    """The envelopes of an audit object, by the layout that its name tells; every one is checked."""
    lines = [body] if key.endswith(".json") else gzip.decompress(body).splitlines()
    return [validated(json.loads(line)) for line in lines]


class FakeContext:
    """A context that has so many milliseconds left, whenever it is asked."""

    aws_request_id = "5ff2b2f8-0000-4000-8000-000000000000"
    function_name = "stream-processor"

    def __init__(self, remaining=60000):
        self.remaining = remaining

    def get_remaining_time_in_millis(self):
        return self.remaining


def processor(transport, rules=None, **settings):
    made = Processor(Settings(**{**SETTINGS.__dict__, **settings}), transport, rules)
    if made.settings.concurrency == SETTINGS.concurrency:
        made.workers = WORKERS
    return made


def log():
    return Log("INFO")


def fail_at(stage, number, error):
    """A ``fail`` that raises at one stage of one change."""
    return lambda at, of: error if (at, of) == (stage, number) else None
