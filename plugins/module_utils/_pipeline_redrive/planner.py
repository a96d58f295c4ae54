# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which changes go into which invocation, and what became of them. Pure: no clock, no threads, no AWS.

The rule that all of it keeps: a change is handed over only when every earlier change of its item that this run has
was processed. So an item has changes in one batch at a time, in order, and once one of its changes fails, its later
ones are held back.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from .._history.answers import REPORTED, Failed, Outcome, Processed
from .changes import Change

#: A change fails for good when the function failed it so often.
ATTEMPTS = 2


@dataclass(frozen=True)
class Failure:
    """A change that the function cannot process."""

    change: Change
    error_type: str
    text: str = ""


class Planner:
    """Hands out batches, takes outcomes."""

    def __init__(self, changes: Iterable[Change], batch_size: int, batch_bytes: int) -> None:
        self.recovered: list[Change] = []
        self.failing: list[Failure] = []
        #: Behind a failing change of their item.
        self.held: list[Change] = []
        self._batch_size, self._batch_bytes = batch_size, batch_bytes
        self._waiting: dict[str, deque[Change]] = {}
        for change in sorted(changes, key=lambda each: each.place):
            self._waiting.setdefault(change.item, deque()).append(change)
        self._busy: set[str] = set()
        self._attempts: dict[Change, int] = {}
        # The largest batch that a change may be in, once a larger one with it failed as a whole.
        self._largest: dict[Change, int] = {}
        # The first waiting change of each item that is free. Entries may be out of date; _head knows.
        self._heads = [(line[0].place, item) for item, line in self._waiting.items()]
        heapq.heapify(self._heads)

    def next_batch(self) -> list[Change]:
        """The next changes to send, oldest first; none while all that waits is behind a batch in flight."""
        batch: list[Change] = []
        size, most = 0, self._batch_size
        while self._heads and len(batch) < most:
            place, item = heapq.heappop(self._heads)
            change = self._head(place, item)
            if change is None:
                continue
            most = min(most, self._largest.get(change, most))
            full = len(batch) >= most or size + len(change.body) + 1 > self._batch_bytes
            if batch and (full or not _follows(batch[-1], change)):
                heapq.heappush(self._heads, (place, item))
                break
            batch.append(change)
            size += len(change.body) + 1
            self._waiting[item].popleft()
            self._offer(item)
        self._busy.update(change.item for change in batch)
        return batch

    def settle(self, batch: list[Change], outcome: Outcome) -> list[Change]:
        """Take in how a batch ended; gives the changes that it recovered."""
        done, failed = 0, None
        if isinstance(outcome, Processed):
            done = outcome.count
            if done < len(batch):
                failed = self._blame(batch[done], REPORTED, "")
        elif isinstance(outcome, Failed):
            if len(batch) == 1:
                failed = self._blame(batch[0], outcome.error_type, outcome.text)
            for change in batch:
                self._largest[change] = max(1, len(batch) // 2)
        for change in reversed(batch[done:]):
            self._waiting[change.item].appendleft(change)
        if failed:
            self.failing.append(failed)
            line = self._waiting[failed.change.item]
            line.popleft()
            self.held += line
            line.clear()
        for item in {change.item for change in batch}:
            self._busy.discard(item)
            self._offer(item)
        self.recovered += batch[:done]
        return batch[:done]

    @property
    def waiting(self) -> list[Change]:
        """What was not sent, or not with success, and may be."""
        return sorted((change for line in self._waiting.values() for change in line), key=lambda each: each.place)

    def _blame(self, change: Change, error_type: str, text: str) -> Failure | None:
        # The first time a change stops a batch may be an accident: a throttle, or the end of the function's time.
        self._attempts[change] = self._attempts.get(change, 0) + 1
        return Failure(change, error_type, text) if self._attempts[change] >= ATTEMPTS else None

    def _head(self, place: tuple[str, int, str], item: str) -> Change | None:
        line = self._waiting[item]
        return line[0] if item not in self._busy and line and line[0].place == place else None

    def _offer(self, item: str) -> None:
        if self._waiting[item]:
            heapq.heappush(self._heads, (self._waiting[item][0].place, item))


def _follows(one: Change, other: Change) -> bool:
    """Whether both can be in one batch: a report names the lowest sequence number, so these must rise in it."""
    return one.stream_arn == other.stream_arn and int(one.number) < int(other.number)
