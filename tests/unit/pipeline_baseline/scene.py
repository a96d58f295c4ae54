"""A table in memory that can be written to while it is scanned, with its log, its mapping and a clock of its own."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import baselines
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.completeness import iso
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import canonical_json
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_baseline.api import Objects
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_baseline.baseline import Baseline
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_baseline.options import Options
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.progress import Progress

from tests.unit.history.logs import PREFIX, FakeS3

BEGIN = datetime(2026, 1, 31, 10, tzinfo=UTC)
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Items/stream/2026-01-01T00:00:00.000"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:processor:live"
PARAMS = {
    "table_name": "Items",
    "function_name": "processor",
    "bucket": "bucket",
    "prefix": PREFIX,
    "rules": [],
    "baseline_id": None,
    "new": False,
    "segments": 1,
    "read_capacity": 0,
    "items_per_second": 0,
    "object_bytes": 1024,
    "progress_file": None,
}


class Killed(BaseException):
    """The run is gone, as by SIGKILL: nothing of it catches this."""


class FakeClock:
    def __init__(self) -> None:
        self.at = BEGIN

    def follow(self, response: Any) -> None:
        pass

    def utc(self) -> datetime:
        return self.at

    def now(self) -> float:
        return self.at.timestamp()

    def check(self) -> None:
        pass

    def pause(self, seconds: float) -> None:
        self.at += timedelta(seconds=max(0.0, seconds))


class FakeTable:
    """Scans by key, page by page. ``before`` is called with the scene's clock running on."""

    name = "Items"

    def __init__(self, clock: FakeClock, before: Callable[[], None] = lambda: None) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.clock, self.before, self.page = clock, before, 7
        self.limits: list[int | None] = []
        self.description: dict[str, Any] | None = {
            "TableName": "Items",
            "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/Items",
            "TableId": "id-1",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            "LatestStreamArn": STREAM,
            "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
            "AttributeDefinitions": [
                {"AttributeName": "Other", "AttributeType": "N"},
                {"AttributeName": "Id", "AttributeType": "S"},
            ],
        }

    def describe(self) -> dict[str, Any] | None:
        return self.description

    def scan(self, segment: int, segments: int, after: dict[str, Any] | None, limit: int | None) -> dict[str, Any]:
        self.before()
        self.limits.append(limit)
        size = min(limit or self.page, self.page)
        start = after["Id"]["S"] if after else ""
        mine = [key for key in sorted(self.items) if _segment(key, segments) == segment and key > start]
        page = mine[:size]
        answer = {"Items": [dict(self.items[key]) for key in page]}
        answer["ConsumedCapacity"] = {"CapacityUnits": len(page) / 2}
        # DynamoDB does not look whether anything follows.
        return {**answer, "LastEvaluatedKey": {"Id": {"S": page[-1]}}} if len(page) == size else answer


def _segment(key: str, segments: int) -> int:
    return hashlib.md5(key.encode()).digest()[0] % segments


class FakeMappings:
    def __init__(self) -> None:
        self.found = [{"UUID": "uuid-1", "FunctionArn": FUNCTION, "State": "Enabled"}]

    def of_stream(self, stream: str) -> list[dict[str, Any]]:
        assert stream == STREAM
        return self.found


class Scene:
    """All of it; ``run`` is one run of the module."""

    def __init__(self, items: int = 40) -> None:
        self.clock = FakeClock()
        self.s3 = FakeS3()
        self.table, self.mappings = FakeTable(self.clock), FakeMappings()
        for number in range(items):
            self.table.items[f"item {number:03d}"] = {"Id": {"S": f"item {number:03d}"}, "Value": {"N": "0"}}
        self.note(BEGIN - timedelta(hours=1))

    def note(self, since: datetime, **more: Any) -> None:
        entry = {"schema": "cloudcdc.log/1", "since": iso(since), "tableId": "id-1", "streamArn": STREAM}
        entry |= {"complete": True, "reasons": [], "beginsWithTable": False, **more}
        self.s3.objects[baselines.journal_key(PREFIX, entry)] = json.dumps(entry).encode()

    def build(self, **options: Any) -> Baseline:
        objects = Objects(lambda service: self.s3, "bucket", PREFIX)
        read = Options.read({**PARAMS, **options})
        return Baseline(read, self.table, self.mappings, objects, self.clock, Progress(None, self.clock))

    def run(self, dry: bool = False, **options: Any) -> dict[str, Any]:
        baseline = self.build(**options)
        baseline.run(dry)
        return {"changed": baseline.changed, **baseline.report()}

    def manifests(self) -> list[dict[str, Any]]:
        return baselines.read_manifests(self.s3.store(), PREFIX)

    def snapshot(self, manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
        found = list(baselines.snapshot_items(self.s3.store(), manifest))
        by_key = {keys["Id"]["S"]: item for keys, item in found}
        assert len(by_key) == len(found) == manifest["items"], "an item came twice"
        return by_key


class Writer:
    """Changes the table at random, and logs each change with its time."""

    def __init__(self, scene: Scene, seed: int) -> None:
        self.scene, self.random = scene, random.Random(seed)
        self.log: list[tuple[datetime, str, dict[str, Any] | None]] = []

    def write(self) -> None:
        clock, items = self.scene.clock, self.scene.table.items
        for _number in range(self.random.randrange(4)):
            clock.pause(self.random.random())
            key = f"item {self.random.randrange(60):03d}"
            if self.random.random() < 0.4:
                if items.pop(key, None) is None:
                    continue
                state = None
            else:
                state = items[key] = {"Id": {"S": key}, "Value": {"N": str(self.random.randrange(10**6))}}
            # Streams know whole seconds.
            self.log.append((clock.utc().replace(microsecond=0), key, state))

    def rebuilt(self, manifest: dict[str, Any], at: datetime) -> dict[str, dict[str, Any]]:
        """The state at a time by baseline and log."""
        state: dict[str, Any] = dict(self.scene.snapshot(manifest))
        watermark = datetime.fromisoformat(manifest["watermark"])
        for when, key, image in self.log:
            if watermark <= when <= at:
                state[key] = image
        return {key: image for key, image in state.items() if image is not None}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return canonical_json(one) == canonical_json(other)
