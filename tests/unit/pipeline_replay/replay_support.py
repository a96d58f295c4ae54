"""A table, its log and what it can be replayed to, in moto."""

from __future__ import annotations

import io
import json
import threading
from datetime import timedelta
from typing import Any

import boto3
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import in_request_form
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_replay import api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_replay

from tests.unit.history.logs import FIRST, LABEL, PREFIX, STREAM, FakeS3, write_batch, write_changes
from tests.unit.module_runs import told_by

BUCKET = "audit"
KEYS = {"region": "us-east-1", "access_key": "testing", "secret_key": "testing"}
NOW = FIRST + timedelta(days=2)
ENTRY = {
    "schema": "cloudcdc.log/1",
    "since": "2026-01-01T00:01:00Z",
    "tableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/Items",
    "tableId": "1",
    "tableCreated": "2026-01-01T00:00:00Z",
    "streamArn": STREAM.format(LABEL),
    "streamViewType": "NEW_AND_OLD_IMAGES",
    "beginsWithTable": True,
    "rules": "none",
    "complete": True,
    "reasons": [],
}


class Consumer:
    """A function's client: takes records, refuses some, and may call what is to happen at a batch."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.records: list[dict[str, Any]] = []
        self.batches = 0
        self.before = lambda number: None
        self._lock = threading.Lock()

    def invoke(self, **request: Any) -> dict[str, Any]:
        with self._lock:
            self.batches += 1
            self.before(self.batches)
            records = json.loads(request["Payload"])["Records"]
            for place, record in enumerate(records):
                if words := self.refused.get(record["dynamodb"]["SequenceNumber"]):
                    self.records += records[:place]
                    if place:
                        number = record["dynamodb"]["SequenceNumber"]
                        return self._answer({"batchItemFailures": [{"itemIdentifier": number}]})
                    return {**self._answer({"errorType": "Boom", "errorMessage": words}), "FunctionError": "Unhandled"}
            self.records += records
            return self._answer(None)

    @staticmethod
    def _answer(payload: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps(payload).encode())}

    @property
    def numbers(self) -> list[str]:
        return [record["dynamodb"]["SequenceNumber"] for record in self.records]


class Scene:
    """What the tests look at and set up."""

    def __init__(self, monkeypatch, capsys) -> None:
        keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
        self.s3, self.dynamodb = boto3.client("s3", **keys), boto3.client("dynamodb", **keys)
        self.sqs, self.sns = boto3.client("sqs", **keys), boto3.client("sns", **keys)
        self.consumer, self._capsys = Consumer(), capsys
        self.s3.create_bucket(Bucket=BUCKET)
        self.table("Items")
        self.journal()
        sender = api.Cloud.sender
        monkeypatch.setattr(
            api.Cloud, "sender", lambda cloud, service: self.consumer if service == "lambda" else sender(cloud, service)
        )
        monkeypatch.setattr(api.Functions, "function", lambda functions, name, qualifier: name == "consumer")

    def table(self, name: str, hash_key: str = "Id", kind: str = "S") -> None:
        self.dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": hash_key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": hash_key, "AttributeType": kind}],
            BillingMode="PAY_PER_REQUEST",
        )

    def journal(self, **more: Any) -> None:
        entry = {**ENTRY, **more}
        key = f"{PREFIX}journal/20260101T000100Z-00000000.json"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(entry).encode())

    def log(self, changes: list[dict[str, Any]], batches: int = 7) -> list[str]:
        """Write the changes, every other handful in each layout."""
        there = FakeS3()
        for place, start in enumerate(range(0, len(changes), batches)):
            (write_batch if place % 2 else write_changes)(there, changes[start : start + batches])
        for key, body in there.objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        return sorted(there.objects)

    def fill(self, changes: list[dict[str, Any]], name: str = "Items") -> None:
        """Let the table be what the changes left."""
        for item in state(changes).values():
            self.dynamodb.put_item(TableName=name, Item=in_request_form({"M": item})["M"])

    def items(self, name: str) -> dict[str, Any]:
        return {item["Id"]["S"]: item for item in self.dynamodb.scan(TableName=name)["Items"]}

    def tables(self) -> list[str]:
        return self.dynamodb.list_tables()["TableNames"]

    def run(self, target: str, check: bool = False, **options: Any) -> dict[str, Any]:
        asked = {**KEYS, "table_name": "Items", "bucket": BUCKET, "target": target, "settle_seconds": 0, **options}
        return told_by(pipeline_replay, self._capsys, check, **asked)


def state(changes: list[dict[str, Any]], until: str = "9") -> dict[str, Any]:
    """The items that there are after the changes made until then."""
    found: dict[str, Any] = {}
    for change in changes:
        if change["timestamp"] <= until:
            found[change["keys"]["Id"]["S"]] = change.get("newImage")
    return {name: item for name, item in found.items() if item is not None}
