# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Failure records as Lambda writes them, to a queue, through a topic, or into a bucket. Pure.

AWS's shapes: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..option_checks import read_moment

_NUMBER = re.compile(r"[0-9]{1,40}")
_STREAM_ARN = re.compile(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/([^/:]+)/stream/(.+)")


class Foreign(Exception):
    """Not a failure record of this pipeline, with the reason; it is left where it is."""


@dataclass(frozen=True, eq=False)
class FailureRecord:
    """One batch that Lambda gave up."""

    #: Message id or object key.
    source: str
    stream_arn: str
    shard_id: str
    start: str
    end: str
    #: How many changes the batch had; 0 when the record does not say.
    batch_size: int
    timestamp: datetime
    #: When the first change of the batch was made; None when the record does not say.
    first_arrival: datetime | None
    #: The changes as the function got them, where the record holds them all.
    payload: tuple[dict[str, Any], ...] | None = None

    @property
    def label(self) -> str:
        """Which of the table's streams, in order of time: a table that was made anew has a new one."""
        return self.stream_arn.rpartition("/stream/")[2]

    @property
    def first(self) -> tuple[str, int]:
        return self.label, int(self.start)

    @property
    def last(self) -> tuple[str, int]:
        return self.label, int(self.end)


def read_failure_record(source: str, text: str, table_name: str, function_name: str) -> FailureRecord:
    """The failure record that a message or an object holds; Foreign when it is none of this table and function."""
    document = _document(text)
    batch = document.get("DDBStreamBatchInfo")
    if not isinstance(batch, dict):
        raise Foreign("no failure record of a DynamoDB stream")
    context = document.get("requestContext")
    arn = str(context.get("functionArn")) if isinstance(context, dict) else ""
    found = _STREAM_ARN.fullmatch(str(batch.get("streamArn")))
    if not found or found[1] != table_name:
        raise Foreign("a failure record of another table")
    if plain_function_name(arn) != function_name:
        raise Foreign("a failure record of another function")
    start, end = batch.get("startSequenceNumber"), batch.get("endSequenceNumber")
    if not (_is_number(start) and _is_number(end) and isinstance(batch.get("shardId"), str)):
        raise Foreign("a failure record without shard and sequence numbers")
    if int(start) > int(end):
        raise Foreign("a failure record whose sequence range ends before it starts")
    timestamp = read_moment(document.get("timestamp"))
    if timestamp is None:
        raise Foreign("a failure record without a timestamp")
    size = batch.get("batchSize")
    size = size if isinstance(size, int) and size > 0 else 0
    return FailureRecord(
        source=source,
        stream_arn=batch["streamArn"],
        shard_id=batch["shardId"],
        start=start,
        end=end,
        batch_size=size,
        timestamp=timestamp,
        first_arrival=read_moment(batch.get("approximateArrivalOfFirstRecord")),
        payload=_payload(document.get("payload"), size),
    )


def plain_function_name(text: str) -> str:
    """The name in a function's name or ARN, without version or alias."""
    return text.rpartition("function:")[2].split(":")[0]


def _document(text: str) -> dict[str, Any]:
    document = _json(text)
    # A topic wraps what it delivers, unless its subscription asks for raw delivery.
    if isinstance(document, dict) and document.get("Type") == "Notification":
        document = _json(document.get("Message"))
    if not isinstance(document, dict):
        raise Foreign("no failure record: not a JSON object")
    return document


def _payload(payload: Any, size: int) -> tuple[dict[str, Any], ...] | None:
    """The changes in a bucket's record: the invocation's event, as an object or as text. None: look in the stream."""
    event = _json(payload) if isinstance(payload, str) else payload
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records or len(records) < size:
        return None
    return tuple(records) if all(map(is_stream_record, records)) else None


def is_stream_record(record: Any) -> bool:
    """Whether it has what order and report need: keys, sequence number, event id."""
    change = record.get("dynamodb") if isinstance(record, dict) else None
    return (
        isinstance(change, dict)
        and _is_number(change.get("SequenceNumber"))
        and isinstance(change.get("Keys"), dict)
        and isinstance(record.get("eventID"), str)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and bool(_NUMBER.fullmatch(value))


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
