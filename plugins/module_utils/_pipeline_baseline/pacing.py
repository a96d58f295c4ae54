# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How fast a scan may be, and how much one request of it takes at most. Pure, but for the clock that is handed in."""

from __future__ import annotations

import threading
from collections.abc import Callable

#: A strongly consistent read takes a unit for each 4 KB; a scan adds its items up first.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
UNIT_BYTES = 4096
#: How many items the first requests take when nothing is known of their size.
_FIRST = 25


class Pace:
    """So many a second, over all threads. What was taken is known only after, and has to be earned before the next."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self.rate, self._now, self._lock = rate, now, threading.Lock()
        self._free = now()

    def took(self, count: float) -> None:
        if self.rate:
            with self._lock:
                self._free = max(self._free, self._now()) + count / self.rate

    def wait(self) -> float:
        """Seconds until more may be taken."""
        with self._lock:
            return max(0.0, self._free - self._now())


class Limit:
    """The most items that one request takes: about what all segments together may take in a second."""

    def __init__(self, units: float, items: float, segments: int, bytes_an_item: float = 0) -> None:
        self._units, self._items, self._segments = units, items, segments
        self._cost = bytes_an_item / UNIT_BYTES

    def learn(self, units: float, items: int) -> None:
        """What a request took. Items differ, so the dearest of late counts most."""
        if items:
            cost = units / items
            self._cost = max(cost, (self._cost + cost) / 2)

    def __call__(self) -> int | None:
        """None for as many as DynamoDB gives."""
        limits = []
        if self._units:
            limits.append(int(self._units / self._segments / self._cost) if self._cost else _FIRST)
        if self._items:
            limits.append(int(self._items / self._segments))
        return max(1, min(limits)) if limits else None


def units_of(size: float) -> int:
    """What a strongly consistent scan of so many bytes takes."""
    return -(-int(size) // UNIT_BYTES)
