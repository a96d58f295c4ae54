# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Lambda leaves in a failure destination for a batch that it gave up. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

_NUMBER = re.compile(r"[0-9]{1,40}")


@dataclass(frozen=True)
class FailureRecord:
    """One failure record. It holds no item data: only a failure bucket's objects do, and that part is not read."""

    #: A message's id, or an object's key.
    name: str
    shard_id: str
    first: int
    last: int
    batch_size: int
    condition: str
    function_error: str | None

    def covers(self, shard_id: str | None, number: int | None) -> bool:
        """Whether the change can be in the batch. With lanes, a range may hold changes of other lanes' batches too."""
        return number is not None and shard_id == self.shard_id and self.first <= number <= self.last

    def is_just(self, shard_id: str | None, number: int | None) -> bool:
        """Whether the change is all of the batch."""
        return self.batch_size == 1 and self.first == self.last and self.covers(shard_id, number)

    def begins_or_ends_with(self, shard_id: str | None, number: int | None) -> bool:
        """Whether the change is in the batch for certain."""
        return self.covers(shard_id, number) and number in (self.first, self.last)

    def told(self) -> dict[str, Any]:
        """For the report: sequence numbers as text, since they are too long for many readers of JSON."""
        return {**asdict(self), "first": str(self.first), "last": str(self.last)}

    @classmethod
    def from_told(cls, told: dict[str, Any]) -> FailureRecord:
        return cls(**{**told, "first": int(told["first"]), "last": int(told["last"])})


def read_failure_record(name: str, text: str | bytes, stream_arn: str) -> FailureRecord | None:
    """The failure record of a batch of this stream, as SQS, SNS or S3 hold it; None when it is something else."""
    document = _json_object(text)
    batch = document.get("DDBStreamBatchInfo")
    if not isinstance(batch, dict) or batch.get("streamArn") != stream_arn:
        return None
    first, last = batch.get("startSequenceNumber"), batch.get("endSequenceNumber")
    if not all(isinstance(number, str) and _NUMBER.fullmatch(number) for number in (first, last)):
        return None
    request, response = _object(document, "requestContext"), _object(document, "responseContext")
    error = response.get("functionError")
    return FailureRecord(
        name=name,
        shard_id=str(batch.get("shardId")),
        first=int(first),
        last=int(last),
        batch_size=batch["batchSize"] if isinstance(batch.get("batchSize"), int) else 0,
        condition=str(request.get("condition")),
        function_error=None if error is None else str(error),
    )


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _json_object(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
