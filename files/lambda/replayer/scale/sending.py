# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A partition, sent in lanes; what it held is then known."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..history.changes import read_change, same_change, trusted_change
from ..history.delivery import Delivery, Position, Target, Unit
from ..history.items import Items, Start
from ..history.sorting import Entry, Sorter
from .request import TABLE, Request
from .room import Overtaken, Room

#: Failing changes of a partition that are told one by one; all are counted.
MOST_TOLD = 1000
_TRIES = 8
_SOURCE = b"\x00\x00"
#: So many files of an hour are merged as they are read; more are sorted.
_MOST_OPEN = 256


class OutOfTime(Exception):
    """The invocation has to end before its work does."""


class LaneJournal:
    """Where the lanes of a partition are, an object a lane.

    Each object is written on top of the one that was read or written before, and on no other. So a worker that was left
    behind, after a timeout or a stop, ends at its next batch when another one has taken its lanes over.
    """

    def __init__(self, room: Room, partition: int, lanes: int, every: float = 0) -> None:
        """``every``: seconds between two objects of a lane; for targets that take the same again without harm."""
        self._room, self._lanes, self._every = room, lanes, every
        self._folder = f"lanes/{partition:05d}/"
        self._owner, self._closed = secrets.token_hex(8), False
        self._etags: dict[int, str | None] = {}
        self._written: dict[int, float] = {}
        self._kept: dict[int, dict[str, Any]] = {}

    def take_over(self) -> dict[int, Position]:
        """Where the lanes are. From here on they are this worker's."""
        found = {}
        for lane in range(self._lanes):
            for attempt in range(_TRIES):
                line, self._etags[lane] = self._room.read_tagged(self._name(lane))
                found[lane] = Position.read(line) if line else Position()
                try:
                    self._put(lane, line or Position().line())
                    break
                except Overtaken:
                    if attempt == _TRIES - 1:
                        raise
        return found

    def write(self, lane: int, line: dict[str, Any]) -> None:
        if self._closed:
            return
        if time.monotonic() - self._written[lane] < self._every:
            self._kept[lane] = line
            return
        self._put(lane, line)

    def close(self) -> None:
        for lane, line in list(self._kept.items()):
            self._put(lane, line)
        self._closed = True

    def _name(self, lane: int) -> str:
        return f"{self._folder}{lane:02d}.json"

    def _put(self, lane: int, line: dict[str, Any]) -> None:
        # The owner makes the content, and so the tag, another one.
        told = {**line, "owner": self._owner}
        self._etags[lane] = self._room.put_on_top(self._name(lane), told, self._etags[lane])
        self._written[lane] = time.monotonic()
        self._kept.pop(lane, None)


def apply(
    room: Room, request: Request, partition: int, target: Target, *, rate: float, remaining: Callable[[], float]
) -> dict[str, Any]:
    """Send what a partition holds. Not done when the time was too short: then it goes on where it was."""
    former = room.read_json(f"results/{partition:05d}.json")
    if former and not former["failing_count"]:
        return {"done": True}
    is_table = request.target["kind"] == TABLE
    reserve = min(90.0, remaining() / 3)

    def check() -> None:
        if remaining() < reserve:
            raise OutOfTime

    journal = LaneJournal(room, partition, request.lanes, every=2 if is_table else 0)
    positions = journal.take_over()
    partitioned = _Partition(room, partition, check, positions, request.lanes)
    delivery = Delivery(
        target,
        request.lanes,
        journal,
        positions,
        rate=rate,
        timeout=min(request.timeout, remaining() / 2),
        check=check,
    )
    try:
        delivery.run(partitioned.items(target) if is_table else partitioned.changes(target))
    except OutOfTime:
        return {"done": False}
    finally:
        journal.close()
    failing = delivery.failing
    told = {
        "counts": dict(delivery.counts),
        "bytes": delivery.bytes,
        "failing": failing[:MOST_TOLD],
        "failing_count": len(failing),
        "held": delivery.held,
        "duplicates": partitioned.duplicates,
        "conflicting": partitioned.conflicting,
    }
    room.put_json(f"results/{partition:05d}.json", told)
    return {"done": True}


class _Partition:
    """What was split off for one partition."""

    def __init__(
        self, room: Room, partition: int, check: Callable[[], None], positions: dict[int, Position], lanes: int
    ) -> None:
        self._room, self._check = room, check
        self._positions = [positions.get(lane, Position()) for lane in range(lanes)]
        self._keys = [each.key for each in room.list(f"split/{partition:05d}/")]
        self.duplicates = self.conflicting = 0

    def items(self, target: Any) -> Iterator[Unit]:
        """The state of each item that there is."""
        found = Items()
        for key in self._keys:
            self._check()
            for source, line in self._lines(key):
                told = json.loads(line)
                if source:
                    change = read_change(line, source)
                    found.add_change(trusted_change(line, source, change.place))
                else:
                    found.add_snapshot(told["keys"], told["item"])
        for item in found.all(Start()):
            if item.state is not None:
                yield target.unit(item)

    def changes(self, target: Any) -> Iterator[Unit]:
        """Each change once, by hour, stream and number."""
        former = b""
        copies: list[bytes] = []
        for at, source, line in self._in_order():
            if at == former:
                self.duplicates += 1
                if not any(same_change(line, copy) for copy in copies):
                    self.conflicting += 1
                    copies.append(line)
                continue
            former, copies = at, [line]
            yield target.unit(trusted_change(line, source, at[14:]), at)

    def _in_order(self) -> Iterator[tuple[bytes, str, bytes]]:
        # The lanes are all behind it, and nothing of it is to be tried again. A place begins with its hour.
        retried = any(position.retrying for position in self._positions)
        least = b"" if retried else min(position.at for position in self._positions)
        begin = re.sub(r"\D", "", least[:13].decode())
        for hour, found in itertools.groupby(self._keys, _hour_in):
            keys = list(found)
            if hour < begin:
                continue
            sorter = Sorter()
            for key in keys:
                self._check()
                if len(keys) <= _MOST_OPEN:
                    sorter.add_sorted(self._entries(key))
                else:
                    for entry in self._entries(key):
                        sorter.add(*entry)
            for at_and_source, line in sorter.sorted():
                at, source = at_and_source.rsplit(_SOURCE, 1)
                yield at, source.decode(), line

    def _entries(self, key: str) -> Iterator[Entry]:
        for source, line in self._lines(key):
            change = read_change(line, source)
            yield change.time[:13].encode() + b" " + change.place + _SOURCE + source.encode(), line

    def _lines(self, key: str) -> Iterator[tuple[str, bytes]]:
        file, _digest = self._room.store.fetch(key)
        with file:
            for line in gzip.GzipFile(fileobj=file):
                source, _tab, rest = line.rstrip(b"\n").partition(b"\t")
                yield source.decode(), rest


def _hour_in(key: str) -> str:
    """The hour in the name of a file that was split off, as digits; nothing but zeros for a baseline."""
    return key.rpartition("/")[2].partition("-")[0]
