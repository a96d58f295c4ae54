# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares what the log says of each item with what the table has.

What differs may be in flight: written to the table and not to the log yet. It is read again, in both places, until it
is the same or the time for that is over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from .._history.changes import Change, iso
from .._history.delivery import Pace
from .._history.items import Fault, Item, Items, Start, canonical_json, key_digest, same_image
from .._pipeline_verify.clock import Clock
from .api import Table
from .options import Options

#: Faults and differing items that are told one by one; all are counted.
MOST_TOLD = 1000
#: More items than this that differ are not in flight, something is wrong.
_MOST_IN_FLIGHT = 20_000
_PAUSE_SECONDS = 1.0
#: How far the times of the table's changes and of its answers may be apart, whole seconds counted.
_CLOCK_TOLERANCE = timedelta(seconds=2)


@dataclass
class _Differing:
    """An item of which log and table tell something else."""

    keys: dict[str, Any]
    state: dict[str, Any] | None
    place: bytes | None
    source: str | None
    live: dict[str, Any] | None
    #: What the table had when it was asked, with these times. An item may change faster than the log gets its changes.
    looks: list[tuple[str, dict[str, Any] | None]] = field(default_factory=list)
    #: Further changes of the log by their place: time and image.
    later: dict[bytes, tuple[str, dict[str, Any] | None]] = field(default_factory=dict)

    def look(self, asked: str, live: dict[str, Any] | None) -> None:
        self.live = live
        self.looks.append((asked, live))

    def take(self, change: Change) -> None:
        if self.place is None or change.place > self.place:
            self.later[change.place] = (change.time, change.image)
            self.source = change.source

    def agrees(self) -> bool:
        """Whether one of the looks saw what the item was then, or after changes that may have been made before it."""
        return any(self._was(asked, live) for asked, live in self.looks)

    def _was(self, asked: str, live: dict[str, Any] | None) -> bool:
        before, around = self.state, []
        for _place, (time, image) in sorted(self.later.items()):
            if time < asked:
                before = image
            else:
                around.append(image)
        return any(same_image(live, image) for image in (before, *around))

    def kind(self) -> str:
        if self.state is None:
            return "not_in_log"
        return "not_in_table" if self.live is None else "differs"


_REASONS = {
    "differs": "log and table have different attributes",
    "not_in_log": "the table has it, by the log it does not exist",
    "not_in_table": "by the log it exists, the table does not have it",
}


class Verification:
    """What is known of the items, and what is wrong with them."""

    def __init__(self, differences_file: str | None) -> None:
        self._file = differences_file
        self.items = self.existing = self.changes = self.settled = 0
        self._live = 0
        self._compared = False
        #: By item, what is wrong with its history.
        self._faulty: dict[bytes, tuple[Fault, ...]] = {}
        self._more_faults = 0
        self._differing: dict[bytes, _Differing] = {}
        self._differing_count = 0
        self.written: str | None = None

    def take_history(self, item: Item) -> None:
        """Take in what the log alone says of an item."""
        self.items += 1
        self.changes += item.changes
        self.existing += item.state is not None
        if item.faults and len(self._faulty) < _MOST_IN_FLIGHT:
            self._faulty[item.digest] = item.faults
        else:
            self._more_faults += len(item.faults)

    def compare(
        self,
        items: Items,
        start: Start,
        table: Table,
        names: tuple[str, ...],
        options: Options,
        clock: Clock,
        say: Callable[[int], None],
        later: Callable[[], Iterator[Change]],
        again: Callable[[set[bytes]], Items],
    ) -> None:
        """Read the whole table, compare, and let settle what differs.

        ``later`` reads the log's last changes again, ``again`` all that the log has of some items.
        """
        digest = key_digest(options.keys) if options.keys else None
        if options.keys:
            found = ((options.keys, each) for each in table.get([options.keys]).values())
        else:
            found = table.scan(options.concurrency, Pace(options.rate), clock.check, names)
        for keys, item in found:
            self._live += 1
            say(self._live)
            items.add_live(keys, item)
        for item in items.all(start):
            clock.check()
            if digest is None or item.digest == digest:
                self.take_history(item)
                self._take(item)
        end = clock.now() + options.settle_seconds
        self._settle_faults(start, again)
        self._settle(table, end, clock, later)
        self._compared = True
        self._write()

    def _take(self, item: Item) -> None:
        if same_image(item.state, item.live):
            return
        self._differing_count += 1
        if len(self._differing) < _MOST_IN_FLIGHT:
            self._differing[item.digest] = _Differing(item.keys, item.state, item.place, item.source, item.live)

    def _settle_faults(self, start: Start, again: Callable[[set[bytes]], Items]) -> None:
        """A log that is written to while it is listed may have shown a change and not yet the one before it.

        By the time it is read again that one is there, since an item's changes are logged in order. What is wrong is so
        both times.
        """
        if not self._faulty or len(self._faulty) >= _MOST_IN_FLIGHT:
            return
        # By the reason: compaction may have moved the changes to other objects meanwhile.
        second = {item.digest: {each.reason for each in item.faults} for item in again(set(self._faulty)).all(start)}
        both = {
            digest: tuple(fault for fault in faults if fault.reason in second.get(digest, ()))
            for digest, faults in self._faulty.items()
        }
        self._faulty = {digest: faults for digest, faults in both.items() if faults}

    def _settle(self, table: Table, end: float, clock: Clock, later: Callable[[], Iterator[Change]]) -> None:
        if self._differing_count > len(self._differing):
            return
        while self._differing:
            # The table first, so that what it has is in the log by the time that is read, or soon after.
            asked = iso(clock.utc() - _CLOCK_TOLERANCE)
            live = table.get([each.keys for each in self._differing.values()])
            for each in self._differing.values():
                each.look(asked, live.get(canonical_json(each.keys)))
            for change in later():
                if known := self._differing.get(key_digest(change.keys)):
                    known.take(change)
            for digest, each in list(self._differing.items()):
                if each.agrees():
                    del self._differing[digest]
                    self.settled += 1
                    self._differing_count -= 1
            if clock.now() >= end:
                return
            if self._differing:
                clock.pause(_PAUSE_SECONDS)

    @property
    def fault_count(self) -> int:
        return sum(map(len, self._faulty.values())) + self._more_faults

    def agrees(self) -> bool:
        """Whether nothing is wrong."""
        return not self.fault_count and not self._differing_count

    def report(self) -> dict[str, Any]:
        """For the module's result. Items by their hash: no keys, no attributes."""
        found = {
            "in_log": self.existing,
            "histories": self.items,
            "changes": self.changes,
            "faults": [fault.sentence() for faults in self._faulty.values() for fault in faults][:MOST_TOLD],
            "fault_count": self.fault_count,
        }
        if self._compared:
            found |= {
                "in_table": self._live,
                "settled": self.settled,
                "different": self._differences(),
                "different_count": self._differing_count,
                "differences_file": self.written,
            }
        return found

    def _differences(self) -> list[dict[str, Any]]:
        told = list(self._differing.items())[:MOST_TOLD]
        return [
            {"item": digest.hex()[:16], "kind": each.kind(), "reason": _REASONS[each.kind()], "audit_key": each.source}
            for digest, each in told
        ]

    def message(self) -> str:
        """What came of it, in a sentence or two."""
        chain = f" {self.fault_count} changes do not follow from those before them." if self.fault_count else ""
        if not self._compared:
            return f"{self.existing} items in the log.{chain}"
        if self.agrees():
            return f"Audit log and table agree: {self._live} items, {self.changes} changes."
        differ = f" {self._differing_count} items differ." if self._differing_count else ""
        return f"Audit log and table do not agree.{differ}{chain}"

    def _write(self) -> None:
        """The keys of items that differ, for whoever has to look: readable by its owner only."""
        if not self._file:
            return
        with suppress(FileNotFoundError):
            Path(self._file).unlink()
        if not self._differing:
            return
        Path(self._file).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            for digest, each in self._differing.items():
                line = {"item": digest.hex()[:16], "kind": each.kind(), "keys": each.keys, "audit_key": each.source}
                file.write(json.dumps(line, sort_keys=True) + "\n")
        self.written = self._file
