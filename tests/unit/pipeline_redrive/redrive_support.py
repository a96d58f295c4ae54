"""Failure records and changes for the tests of redrive."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.changes import (
    Change,
    to_change,
)

TABLE, FUNCTION, SHARD = "Orders", "processor", "shardId-00000000000000000001-aaaaaaaa"
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/stream/2026-01-01T00:00:00.000"
NEWER_STREAM = STREAM.replace("2026-01-01", "2026-02-01")
MARKER = {"id": "0123456789abcdef", "time": "2026-01-02T00:00:00Z"}


def digits(number: int) -> str:
    return str(number).zfill(21)


def record(number: int, item: str = "a", **attributes: Any) -> dict[str, Any]:
    """A stream record as a function gets it."""
    return {
        "eventID": f"event-{number}",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {"Keys": {"Id": {"S": item}}, "SequenceNumber": digits(number), "SizeBytes": 10, **attributes},
    }


def change(number: int, item: str = "a", stream: str = STREAM, shard: str = SHARD) -> Change:
    return to_change(record(number, item), stream, shard, MARKER)


def document(start: int, end: int, size: int, **more: Any) -> dict[str, Any]:
    """A failure record in AWS's shape."""
    batch = {
        "shardId": SHARD,
        "startSequenceNumber": digits(start),
        "endSequenceNumber": digits(end),
        "approximateArrivalOfFirstRecord": "2026-01-01T09:59:00.000Z",
        "approximateArrivalOfLastRecord": "2026-01-01T09:59:01.000Z",
        "batchSize": size,
        "streamArn": STREAM,
    }
    return {
        "requestContext": {
            "requestId": "5fea7756-0ea4-451a-a703-a558b933e274",
            "functionArn": f"arn:aws:lambda:us-east-1:123456789012:function:{FUNCTION}:live",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None},
        "version": "1.0",
        "timestamp": "2026-01-01T10:00:00.000Z",
        "DDBStreamBatchInfo": {**batch, **more.pop("batch", {})},
        **more,
    }


def text(*arguments: Any, **more: Any) -> str:
    return json.dumps(document(*arguments, **more))
