"""Streams, functions and roles in memory, for what the embedded cloud has not: many shards, splits, throttles."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:orders:live"
ROLE = "arn:aws:iam::123456789012:role/orders"


def refusal(code: str, message: str = "so AWS says", operation: str = "Operation") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def record(number: int, item: str = "") -> dict[str, Any]:
    """A record as GetRecords answers it."""
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": datetime.now(UTC),
            "Keys": {"id": {"S": item or str(number)}},
            "SequenceNumber": f"{number:021d}",
            "SizeBytes": 10,
            "StreamViewType": "KEYS_ONLY",
        },
    }


@dataclass
class Shard:
    records: list[dict[str, Any]] = field(default_factory=list)
    parent: str = ""
    closed: bool = False


class FakeStreams:
    """The streams API. Iterators are "<shard>:<position>:<generation>"; a new generation makes all of them expire."""

    def __init__(self, **shards: Shard) -> None:
        self.shards = shards
        self.generation = 0
        #: What the next calls are refused with, by operation.
        self.refusals: dict[str, list[Exception]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        #: Shards a page of DescribeStream.
        self.page = 2

    def trim(self, shard: str, count: int) -> None:
        """The oldest records leave the stream."""
        for each in self.shards[shard].records[:count]:
            each["gone"] = True

    def describe_stream(self, StreamArn: str, ExclusiveStartShardId: str = "") -> dict[str, Any]:
        self._note("DescribeStream", StreamArn=StreamArn)
        names = list(self.shards)
        start = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        page = names[start : start + self.page]
        more = {"LastEvaluatedShardId": page[-1]} if start + self.page < len(names) else {}
        return {"StreamDescription": {"Shards": [self._described(name) for name in page], **more}}

    def get_shard_iterator(
        self, StreamArn: str, ShardId: str, ShardIteratorType: str, SequenceNumber: str = ""
    ) -> dict[str, Any]:
        self._note("GetShardIterator", ShardId=ShardId, ShardIteratorType=ShardIteratorType)
        if ShardId not in self.shards:
            raise refusal("ResourceNotFoundException")
        records = self.shards[ShardId].records
        if ShardIteratorType == "AFTER_SEQUENCE_NUMBER":
            numbers = [each["dynamodb"]["SequenceNumber"] for each in records]
            if SequenceNumber not in numbers or records[numbers.index(SequenceNumber)].get("gone"):
                raise refusal("TrimmedDataAccessException")
            position = numbers.index(SequenceNumber) + 1
        else:
            position = sum(1 for each in records if each.get("gone"))
        return {"ShardIterator": f"{ShardId}:{position}:{self.generation}"}

    def get_records(self, ShardIterator: str, Limit: int) -> dict[str, Any]:
        name, position_text, generation = ShardIterator.split(":")
        position = int(position_text)
        self._note("GetRecords", ShardId=name, Limit=Limit)
        if int(generation) != self.generation:
            raise refusal("ExpiredIteratorException")
        shard = self.shards[name]
        page = shard.records[position : position + Limit]
        if any(each.get("gone") for each in page):
            raise refusal("TrimmedDataAccessException")
        end = position + len(page)
        ended = shard.closed and end == len(shard.records)
        answered = [{key: value for key, value in each.items() if key != "gone"} for each in page]
        return {"Records": answered, **({} if ended else {"NextShardIterator": f"{name}:{end}:{self.generation}"})}

    def operations(self, name: str) -> list[dict[str, Any]]:
        return [details for operation, details in self.asked if operation == name]

    def _described(self, name: str) -> dict[str, Any]:
        shard = self.shards[name]
        numbers = [each["dynamodb"]["SequenceNumber"] for each in shard.records] or ["0"]
        ending = {"EndingSequenceNumber": numbers[-1]} if shard.closed else {}
        parent = {"ParentShardId": shard.parent} if shard.parent else {}
        return {"ShardId": name, "SequenceNumberRange": {"StartingSequenceNumber": numbers[0], **ending}, **parent}

    def _note(self, operation: str, **details: Any) -> None:
        self.asked.append((operation, details))
        if waiting := self.refusals.get(operation):
            raise waiting.pop(0)


class FakeLambda:
    """Lambda's API. ``handler`` is the function; what it raises is answered as a function error."""

    def __init__(self, handler: Callable[[dict[str, Any]], Any] = lambda event: None) -> None:
        self.handler = handler
        self.role = ROLE
        #: The numbers of the records of every invocation.
        self.batches: list[list[int]] = []
        self.refusals: list[Exception] = []
        self._lock = threading.Lock()

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:
        return {"Role": self.role}

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        event = json.loads(Payload)
        with self._lock:
            if self.refusals:
                raise self.refusals.pop(0)
            self.batches.append([int(each["dynamodb"]["SequenceNumber"]) for each in event["Records"]])
        told = {"StatusCode": 200, "ExecutedVersion": "7", "ResponseMetadata": {"RequestId": "request-1"}}
        try:
            answer = self.handler(event)
        except RuntimeError as error:
            return {**told, "FunctionError": "Unhandled", "Payload": io.BytesIO(str(error).encode())}
        return {**told, "Payload": io.BytesIO(json.dumps(answer).encode())}

    @property
    def delivered(self) -> list[int]:
        return [number for batch in self.batches for number in batch]


class FakeSts:
    def __init__(self, lasts: timedelta = timedelta(hours=1)) -> None:
        self.lasts = lasts
        self.assumed: list[dict[str, str]] = []

    def assume_role(self, **request: str) -> dict[str, Any]:
        self.assumed.append(request)
        key = f"ASIA{len(self.assumed)}"
        expires = datetime.now(UTC) + self.lasts
        return {
            "Credentials": {
                "AccessKeyId": key, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": expires
            }
        }  # fmt: skip


class FakeAws:
    """Makes the clients of a role: the same fakes, whatever its credentials."""

    def __init__(self, **clients: Any) -> None:
        self.clients = clients
        self.made: list[tuple[str, str]] = []

    def client(self, service: str, credentials: dict[str, Any]) -> Any:
        self.made.append((service, credentials["AccessKeyId"]))
        return self.clients[service]
