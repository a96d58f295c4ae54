# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which failure records a run takes. Pure.

A limit counts failure records, oldest first. It must not let a change overtake an earlier one of its item that is left
out, so a failure record that would is left out as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from .changes import Change
from .failure_records import FailureRecord


@dataclass(frozen=True)
class Gone:
    """What of a failure record is no longer in the stream."""

    record: FailureRecord
    start: str
    end: str

    def report(self) -> dict[str, str]:
        return {
            "stream_arn": self.record.stream_arn,
            "shard_id": self.record.shard_id,
            "start_sequence_number": self.start,
            "end_sequence_number": self.end,
            "failure_record": self.record.source,
        }


@dataclass(eq=False)
class Fetched:
    """A failure record with its changes, as far as they are still there."""

    record: FailureRecord
    changes: list[Change] = field(default_factory=list)
    gone: Gone | None = None


def in_time(record: FailureRecord, since: datetime | None, until: datetime | None) -> bool:
    """Whether Lambda wrote it in that time, both ends included."""
    return (since is None or record.timestamp >= since) and (until is None or record.timestamp <= until)


def in_order(records: Iterable[FailureRecord]) -> list[FailureRecord]:
    """Oldest first: by the stream's age, then by sequence number."""
    return sorted(records, key=lambda record: (record.first, record.last, record.source))


def overlapping(taken: list[FailureRecord], rest: list[FailureRecord]) -> list[FailureRecord]:
    """Those of the rest that may hold an earlier change than one that is taken; all others are later."""
    last = max((record.last for record in taken), default=None)
    return [record for record in rest if last is not None and record.first <= last]


def without_overtaking(taken: list[Fetched], left_out: list[Fetched]) -> list[Fetched]:
    """Of the taken ones, those that overtake nothing that is left out."""
    taken, left_out = list(taken), list(left_out)
    while True:
        covered = {change for each in taken for change in each.changes}
        earliest: dict[str, tuple] = {}
        for each in left_out:
            for change in each.changes:
                if change not in covered:
                    earliest[change.item] = min(change.place, earliest.get(change.item, change.place))
        overtaking = [
            each
            for each in taken
            if any(change.item in earliest and change.place > earliest[change.item] for change in each.changes)
        ]
        if not overtaking:
            return taken
        taken = [each for each in taken if each not in overtaking]
        left_out += overtaking
