"""What one shard's lanes hold: records that wait, and batches under way. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from .model import FunctionError, Returned


@dataclass(frozen=True, slots=True)
class Held:
    """A record that was read and is not done yet."""

    record: dict[str, Any]
    sequence_number: str
    #: The item that it changes: all changes of one item go through one lane.
    item: str
    created: float
    offered: float
    #: Its part of an invocation's payload, in bytes.
    size: int


def hold(record: dict[str, Any], now: float) -> Held:
    change = record["dynamodb"]
    return Held(
        record=record,
        sequence_number=change["SequenceNumber"],
        item=item_of(change["Keys"]),
        created=change.get("ApproximateCreationDateTime", now),
        offered=now,
        size=len(json.dumps(record)),
    )


def item_of(keys: dict[str, Any]) -> str:
    """The same text for the same item, in every process and after every restart."""
    canonical = json.dumps(keys, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass
class Chunk:
    """Records that are invoked together: a batch over all its attempts. A window's final call has no records."""

    records: list[Held]
    #: Invocations that ran, since the batch was formed, cut, or got on by a partial response.
    attempts: int = 0
    #: Failures in a row, throttles included: what the backoff grows with.
    failures: int = 0
    not_before: float = float("-inf")
    last: FunctionError | Returned | None = None
    final: bool = False
    terminated_early: bool = False

    @property
    def invoke_count(self) -> int:
        """For a failure record: what is left of a larger batch was invoked with it at least once."""
        return self.attempts or int(self.last is not None)


@dataclass
class Lane:
    """Everything of some items. ``chunks`` is a stack: the last goes next, and all of them before ``fresh``."""

    windowed: bool = False
    fresh: deque[Held] = field(default_factory=deque)
    chunks: list[Chunk] = field(default_factory=list)
    #: The last chunk is in flight.
    busy: bool = False


def lane_of(item: str, lanes: int) -> int:
    return int(item[:16], 16) % lanes
