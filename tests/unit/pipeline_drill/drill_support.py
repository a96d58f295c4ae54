"""A pipeline that fails and recovers as it is told, in memory, behind the drill's own calls to AWS."""

from __future__ import annotations

import gzip
import hashlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import read_name
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_drill import drill as drills
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_drill.failure_records import (
    FailureRecord,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_drill.scene import DrillScene, Options
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.items import (
    Stream,
    predicted_record,
)
from stream_processor.canonical import to_bytes
from stream_processor.envelope import item_hash, to_envelope
from stream_processor.layout import per_batch, per_change

ACCOUNT = "arn:aws:{}:us-east-1:123456789012:"
STREAM_ARN = ACCOUNT.format("dynamodb") + "table/Orders/stream/2026-01-01T00:00:00.000"
QUEUE_ARN = ACCOUNT.format("sqs") + "processor-dlq"
TOPIC_ARN = ACCOUNT.format("sns") + "alarms"
SHARD = "shardId-00000001"
ARRIVED, UNDELIVERED = "processor-dlq-messages", "processor-destination-failures"
STREAM = Stream(
    "Orders", STREAM_ARN.split("/stream", maxsplit=1)[0], STREAM_ARN, "us-east-1", "NEW_AND_OLD_IMAGES", (("Id", "S"),)
)
PARAMS = {
    "phase": "prepare",
    "mode": "poison",
    "table_name": "Orders",
    "function_name": "processor",
    "qualifier": "live",
    "event_source_mapping_uuid": None,
    "audit_bucket": "audit",
    "audit_prefix": "audit-logs/",
    "failure_queue_url": "https://sqs/processor-dlq",
    "alarm_topic_arn": TOPIC_ARN,
    "arrived_alarm": ARRIVED,
    "destination_alarm": UNDELIVERED,
    "healthy_items": 4,
    "item_attributes": {},
    "rules": [],
    "timeout": 120,
    "poll_interval": 1,
    "drill": None,
}


class World:
    """Table, stream, function, failure destination and alarms. ``seconds`` go by only when the drill waits."""

    def __init__(self, monkeypatch, **mapping: Any) -> None:
        self.seconds = 0.0
        self.mapping = {
            "UUID": "6d9bce8e-836b-442c-8070-74e77903c815",
            "FunctionArn": ACCOUNT.format("lambda") + "function:processor",
            "State": "Enabled",
            "BatchSize": 10,
            "MaximumRetryAttempts": 3,
            "BisectBatchOnFunctionError": True,
            "DestinationConfig": {"OnFailure": {"Destination": QUEUE_ARN}},
            **mapping,
        }
        self.environment: dict[str, str] = {}
        self.items: dict[str, dict[str, Any]] = {}
        self.stream: list[dict[str, Any]] = []
        self.audit: dict[str, bytes] = {}
        self.failed: list[dict[str, Any]] = []
        self.records: list[FailureRecord] = []
        self.queues: list[str] = []
        self.subscriptions: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.alarms = {
            name: {"AlarmName": name, "StateValue": "OK", "ActionsEnabled": True, "AlarmActions": [TOPIC_ARN]}
            for name in (ARRIVED, UNDELIVERED)
        }
        self.layout = "per_change"
        #: The audit objects that were asked for.
        self.reads: list[str] = []
        #: What a test spoils.
        self.deliverable = True
        self.signal_at = float("inf")
        self.message_comes = True
        monkeypatch.setattr(drills, "look", lambda *_: DrillScene(STREAM, self.mapping))
        monkeypatch.setattr(drills, "remove_leftovers", lambda *_: None)
        monkeypatch.setattr(drills, "Table", lambda *_: self)
        monkeypatch.setattr(drills, "AuditLog", lambda *_: SimpleNamespace(read=self.read, find=self.find))
        monkeypatch.setattr(drills, "Alarms", lambda *_: SimpleNamespace(describe=self.describe, state=self.state))
        monkeypatch.setattr(drills, "AlarmTopic", lambda *_: Topic(self))
        monkeypatch.setattr(
            drills, "Function", lambda *_: SimpleNamespace(environment=lambda: {"Variables": self.environment})
        )
        monkeypatch.setattr(drills, "StreamEnd", lambda *_: End(self))
        monkeypatch.setattr(drills, "failure_destination", lambda *_: SimpleNamespace(look=lambda _s: self.records))

    # The clock.

    def utc(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def now(self) -> float:
        return self.seconds

    def check(self) -> None:
        if self.seconds >= self.signal_at:
            raise Interrupted("SIGTERM")

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.check()

    # The table and its stream.

    def insert(self, item, _run_id: str) -> None:
        self.items[item.hash] = item.keys
        self._stream("INSERT", item.keys, None, item.first)

    def remove(self, keys: dict[str, Any], run_id: str) -> None:
        if self.items.pop(item_hash(keys), None):
            image = {**keys, "cloudcdc_verify_run": {"S": run_id}, "cloudcdc_verify_step": {"N": "1"}}
            self._stream("REMOVE", keys, image, None)

    clear = remove

    def _stream(self, name: str, keys, old, new) -> None:
        record = predicted_record(name, keys, old, new, STREAM, self.utc())
        number = str(100 + len(self.stream))
        record["eventID"] = number.zfill(32)
        record["dynamodb"].update(SequenceNumber=number, SizeBytes=42)
        self.stream.append(record)
        self.process(record)

    # The function.

    def process(self, record: dict[str, Any]) -> None:
        token = hashlib.sha256(to_bytes(record["dynamodb"]["Keys"])).hexdigest()
        broken = self.environment.get("SNS_TOPIC_ARN") == "invalid-arn"
        if broken or token == self.environment.get("DRILL_TOKEN"):
            self.fail(record)
        else:
            self.put(record)

    def put(self, *records: dict[str, Any]) -> None:
        """Audit them: one object a change, which stays the first one, or one for all of them."""
        envelopes = [to_envelope(record) for record in records]
        if self.layout == "per_batch":
            body = gzip.compress(b"".join(to_bytes(each) + b"\n" for each in envelopes))
            self.audit.setdefault(per_batch(envelopes, "audit-logs/"), body)
            return
        for each in envelopes:
            self.audit.setdefault(per_change(each, "audit-logs/"), to_bytes(each))

    def read(self, key: str) -> bytes | None:
        self.reads.append(key)
        return self.audit.get(key)

    def find(self, hour: str, wanted) -> list[str]:
        names = sorted(key for key in self.audit if key.startswith(hour))
        return [key for key in names if wanted(read_name(key), self.utc())]

    def fail(self, record: dict[str, Any]) -> None:
        if not self.deliverable:
            self.alarms[UNDELIVERED]["StateValue"] = "ALARM"
            return
        number = int(record["dynamodb"]["SequenceNumber"])
        self.failed.append(record)
        self.records.append(failure_record(number, number))
        self.alarms[ARRIVED]["StateValue"] = "ALARM"
        if self.message_comes:
            self.messages.append({"AlarmName": ARRIVED, "NewStateValue": "ALARM"})

    def redrive(self) -> None:
        for record in self.failed:
            self.put({**record, "redrive": {"id": "1", "time": "2026-01-01T00:00:00Z"}})
        self.failed, self.records = [], []
        self.alarms[ARRIVED]["StateValue"] = "OK"

    # The alarms.

    def describe(self, *names: str) -> dict[str, Any]:
        return {name: self.alarms[name] for name in names if name in self.alarms}

    def state(self, name: str) -> str:
        return self.alarms[name]["StateValue"]

    # What a test does.

    def phase(self, phase: str, drill: dict[str, Any] | None = None, **options: Any) -> drills.Drill:
        given = Options.read({**PARAMS, "phase": phase, "drill": drill, **options})
        return drills.Drill(None, given, self)

    def run(self, phase: str, drill: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        carried = self.phase(phase, drill, **options)
        carried.run()
        return carried.drill

    def configure(self, drill: dict[str, Any]) -> None:
        poison = {"DRILL_TOKEN": drill["token"]}
        self.environment = {
            "DRILL_ID": drill["id"],
            **(poison if drill["mode"] == "poison" else {"SNS_TOPIC_ARN": "invalid-arn"}),
        }

    def through(self, **options: Any) -> dict[str, Any]:
        """A whole drill."""
        drill = self.run("prepare", **options)
        self.configure(drill)
        drill = self.run("fail", drill, **options)
        self.environment = {}
        self.redrive()
        return self.run("recover", drill, **options)

    def nothing_left(self) -> bool:
        return not (self.items or self.queues or self.subscriptions)


class Topic:
    def __init__(self, world: World) -> None:
        self._world = world

    def create_queue(self, arn: str, _tags: dict[str, str]) -> str:
        self._world.queues.append(arn)
        return arn

    def subscribe(self, arn: str) -> str:
        self._world.subscriptions.append(arn)
        return arn

    def unsubscribe(self, arn: str) -> None:
        if arn in self._world.subscriptions:
            self._world.subscriptions.remove(arn)

    def delete_queue(self, url: str) -> None:
        if url in self._world.queues:
            self._world.queues.remove(url)

    def alarm_messages(self, _url: str) -> list[dict[str, Any]]:
        taken, self._world.messages = self._world.messages, []
        return taken


class End:
    """What StreamEnd does, on the world's one shard."""

    def __init__(self, world: World) -> None:
        self._world, self._at = world, None

    def open(self) -> None:
        self._at = len(self._world.stream)

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        if self._at is None:
            return []
        new = self._world.stream[self._at :]
        self._at += len(new)
        return [(SHARD, in_event_form(record)) for record in new]


def in_event_form(record: dict[str, Any]) -> dict[str, Any]:
    change = record["dynamodb"]
    return {
        "eventName": record["eventName"],
        "keys": change["Keys"],
        "sequenceNumber": change["SequenceNumber"],
        "time": datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC),
    }


def failure_record(first: int, last: int, **fields: Any) -> FailureRecord:
    made = {
        "name": f"message-{first}",
        "shard_id": SHARD,
        "first": first,
        "last": last,
        "batch_size": last - first + 1,
        "condition": "RetryAttemptsExhausted",
        "function_error": None,
    }
    return FailureRecord(**{**made, **fields})
