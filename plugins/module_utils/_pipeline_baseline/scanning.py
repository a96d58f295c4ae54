# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Scans a segment of the table into objects, in a way that can be broken off anywhere and gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._history.baselines import item_line, packed, page_items, page_key, progress_key
from .._history.dynamodb_json import in_json_form
from .pacing import Limit, Pace, units_of

#: An object is written after so many seconds however small it is, since what is not written is scanned again.
OBJECT_SECONDS = 30

PROGRESS_SCHEMA = "cloudcdc.baseline-progress/1"


class Scanned(Protocol):
    """The table."""

    def scan(self, segment: int, segments: int, after: dict[str, Any] | None, limit: int | None) -> dict[str, Any]: ...


class Written(Protocol):
    """Where the objects go."""

    prefix: str

    def read(self, key: str) -> bytes | None: ...

    def add(self, key: str, body: bytes, content_type: str) -> bool: ...

    def write(self, key: str, told: dict[str, Any]) -> None: ...


@dataclass
class Plan:
    """What all segments have in common."""

    name: str
    segments: int
    key_names: list[str]
    object_bytes: int
    units: Pace
    items: Pace
    limit: Limit
    now: Callable[[], float]
    #: Waits for so many seconds, and raises when the run is to end.
    pause: Callable[[float], None]
    #: Called after each page with its items, its size and the read capacity that it took.
    took: Callable[[int, int, float], None]


@dataclass
class Segment:
    """How far one segment is."""

    number: int
    objects: list[dict[str, Any]] = field(default_factory=list)
    #: The keys after which it goes on, as an envelope has them; None at its beginning.
    after: dict[str, Any] | None = None
    done: bool = False

    @property
    def items(self) -> int:
        return sum(each["items"] for each in self.objects)

    @property
    def bytes(self) -> int:
        return sum(each["bytes"] for each in self.objects)

    def told(self) -> dict[str, Any]:
        return {
            "schema": PROGRESS_SCHEMA,
            "segment": self.number,
            "objects": self.objects,
            "after": self.after,
            "done": self.done,
        }

    @classmethod
    def read(cls, number: int, told: dict[str, Any] | None) -> Segment:
        return cls(number, told["objects"], told["after"], told["done"]) if told else cls(number)


class Scan:
    """The work on one segment."""

    def __init__(self, plan: Plan, segment: Segment, table: Scanned, objects: Written) -> None:
        self._plan, self._segment, self._table, self._objects = plan, segment, table, objects

    def run(self) -> None:
        """To the segment's end. Whatever ends it before that, the progress that is written can be gone on with."""
        while not self._segment.done:
            lines, after = self._collect()
            self._store(lines, after)
            progress = progress_key(self._objects.prefix, self._plan.name, self._segment.number)
            self._objects.write(progress, self._segment.told())

    def _collect(self) -> tuple[list[bytes], dict[str, Any] | None]:
        """The lines of one object, and the keys after which the segment goes on; None at its end."""
        plan, lines, size = self._plan, [], 0
        after, began = self._segment.after, self._plan.now()
        while True:
            plan.pause(max(plan.units.wait(), plan.items.wait()))
            answer = self._table.scan(self._segment.number, plan.segments, after, plan.limit())
            page = [item_line(item, plan.key_names) for item in answer["Items"]]
            page_size = sum(map(len, page))
            units = answer.get("ConsumedCapacity", {}).get("CapacityUnits") or units_of(page_size)
            plan.units.took(units)
            plan.items.took(len(page))
            plan.limit.learn(units, len(page))
            plan.took(len(page), page_size, units)
            lines += page
            size += page_size
            last = answer.get("LastEvaluatedKey")
            after = {name: in_json_form(value) for name, value in last.items()} if last else None
            if after is None or size >= plan.object_bytes or plan.now() - began >= OBJECT_SECONDS:
                return lines, after

    def _store(self, lines: list[bytes], after: dict[str, Any] | None) -> None:
        segment = self._segment
        if lines:
            key = page_key(self._objects.prefix, self._plan.name, segment.number, len(segment.objects))
            body, items = packed(lines), len(lines)
            if not self._objects.add(key, body, "application/gzip"):
                there = self._objects.read(key)
                if there is not None and there != body:
                    # Of a run that ended before it wrote its progress, or that goes on beside this one. It stays, and
                    # the segment goes on after its last item.
                    found = page_items(key, there)
                    body, items, after = there, len(found), found[-1][0]
            digest = hashlib.sha256(body).hexdigest()
            segment.objects.append({"key": key, "items": items, "sha256": digest, "bytes": len(body)})
        segment.after, segment.done = after, after is None
