"""The documents that Lambda sends: the function's event, and the on-failure record of what was given up. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from .model import Batch, Discard, FunctionError, Returned, Window


def invocation_event(batch: Batch | Discard, stream_arn: str, shard_id: str) -> dict[str, Any]:
    """The event of an invocation; for a discard, the event of the invocation that is given up."""
    event: dict[str, Any] = {"Records": list(batch.records)}
    if batch.window is not None:
        event |= _window_fields(batch.window, stream_arn, shard_id)
    return event


def body(discard: Discard, mapping: Mapping[str, str], shard_id: str, request_id: str, now: float) -> dict[str, Any]:
    """What SQS and SNS get: where the records stand in the stream, without the records."""
    return {
        "requestContext": {
            "requestId": request_id,
            "functionArn": mapping["function_arn"],
            "condition": discard.condition,
            "approximateInvokeCount": discard.invoke_count,
        },
        **({"responseContext": _response_context(discard.last)} if discard.last is not None else {}),
        "version": "1.0",
        "timestamp": _utc(now).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "DDBStreamBatchInfo": _batch_info(discard, mapping["stream_arn"], shard_id),
    }


def body_with_payload(
    discard: Discard, mapping: Mapping[str, str], shard_id: str, request_id: str, now: float
) -> dict[str, Any]:
    """What S3 gets: the same, and the event itself as an escaped JSON text."""
    event = invocation_event(discard, mapping["stream_arn"], shard_id)
    return {**body(discard, mapping, shard_id, request_id, now), "payload": json.dumps(event)}


def object_key(mapping_uuid: str, shard_id: str, now: float, random_uuid: str) -> str:
    moment = _utc(now)
    return f"aws/lambda/{mapping_uuid}/{shard_id}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{random_uuid}"


def _response_context(last: FunctionError | Returned) -> dict[str, Any]:
    return {
        "statusCode": last.status_code,
        "executedVersion": last.executed_version,
        "functionError": last.error if isinstance(last, FunctionError) else None,
    }


def _batch_info(discard: Discard, stream_arn: str, shard_id: str) -> dict[str, Any]:
    first, last = discard.records[0]["dynamodb"], discard.records[-1]["dynamodb"]
    return {
        "shardId": shard_id,
        "startSequenceNumber": first["SequenceNumber"],
        "endSequenceNumber": last["SequenceNumber"],
        "approximateArrivalOfFirstRecord": _seconds(first["ApproximateCreationDateTime"]),
        "approximateArrivalOfLastRecord": _seconds(last["ApproximateCreationDateTime"]),
        "batchSize": len(discard.records),
        "streamArn": stream_arn,
    }


def _window_fields(window: Window, stream_arn: str, shard_id: str) -> dict[str, Any]:
    return {
        "window": {"start": _seconds(window.start), "end": _seconds(window.end)},
        "state": window.state,
        "shardId": shard_id,
        "eventSourceARN": stream_arn,
        "isFinalInvokeForWindow": window.final,
        "isWindowTerminatedEarly": window.terminated_early,
    }


def _seconds(moment: float) -> str:
    return f"{_utc(moment):%Y-%m-%dT%H:%M:%SZ}"


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
