# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Items as the log tells them: their state at a time, and whether each change follows from the one before it.

Changes are sorted by item, on disk where there are many, so that an item's whole history is at hand at once and nothing
else has to be.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .changes import Change, trusted_change
from .dynamodb_json import canonical_json, same_attributes
from .sorting import MEMORY_BYTES, Sorter

_HASH_BYTES = hashlib.sha256().digest_size
#: What comes between an item's hash and the rest of a key. A snapshot comes before the changes.
_SNAPSHOT, _CHANGE, _LIVE = b"0", b"1", b"2"
_SOURCE = b"\x00\x00"
#: The state of an item of which nothing is known yet.
UNKNOWN = object()
#: Of one item so many are told.
_MOST_FAULTS = 20

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Fault:
    """What is wrong with an item's history."""

    #: The item by its hash, as in the names of audit objects.
    item: str
    reason: str
    #: The objects that do not fit each other.
    objects: tuple[str, ...] = ()

    def sentence(self) -> str:
        where = f" ({', '.join(self.objects)})" if self.objects else ""
        return f"Item {self.item}: {self.reason}{where}."


@dataclass(frozen=True)
class Start:
    """Where what is known of items begins."""

    #: The log begins with the table: before an item's first change there was nothing.
    empty: bool = False
    #: There is a baseline, whose scan ended then: what it has of an item is what the item was at some time until then.
    snapshot_until: str | None = None


@dataclass(frozen=True)
class Item:
    """What the log tells of an item."""

    #: The SHA-256 over its keys.
    digest: bytes
    keys: Attributes
    #: After its last change, or else as in the baseline; None when it does not exist.
    state: Attributes | None
    #: The place of its last change; None without one.
    place: bytes | None
    #: The object with its last change.
    source: str | None
    changes: int
    #: Where a change does not follow from what was before it.
    faults: tuple[Fault, ...]
    #: What the table has; None when it has nothing of it, or was not asked.
    live: Attributes | None

    @property
    def hash(self) -> str:
        """What names it in audit objects and reports."""
        return self.digest.hex()[:16]


class _Walk:
    """An item's history, seen change by change."""

    def __init__(self, digest: bytes, start: Start) -> None:
        self._digest, self._start = digest, start
        self._keys: Attributes = {}
        self._state: Any = None if start.empty else UNKNOWN
        self._snapshot: Attributes | None = None
        self._live: Attributes | None = None
        self._fits = False
        self._last: Change | None = None
        self._changes = 0
        self._faults: list[Fault] = []

    def snapshot(self, keys: Attributes, item: Attributes) -> None:
        # A scan that was resumed may have read an item twice; both times it was so.
        self._keys, self._snapshot = keys, item

    def live(self, keys: Attributes, item: Attributes) -> None:
        self._keys, self._live = keys, item

    def change(self, change: Change) -> None:
        before = _before(change)
        if self._last is None:
            self._fits = same_image(self._snapshot, before)
        if self._state is not UNKNOWN and not same_image(before, self._state):
            self._fault(change)
        until = self._start.snapshot_until
        # The scan read the item once, before or after any of the changes that were made meanwhile.
        if until and not self._fits and change.time <= until:
            self._fits = same_image(self._snapshot, change.image)
        self._keys, self._state, self._last = change.keys, change.image, change
        self._changes += 1

    def end(self) -> Item:
        last = self._last
        if last and self._start.snapshot_until and not self._fits:
            self._add(f"the baseline has of it what it never was until {self._start.snapshot_until}", last.source)
        return Item(
            digest=self._digest,
            keys=self._keys,
            state=last.image if last else self._snapshot,
            place=last.place if last else None,
            source=last.source if last else None,
            changes=self._changes,
            faults=tuple(self._faults),
            live=self._live,
        )

    def _fault(self, change: Change) -> None:
        what = "the change before it left something else" if self._last else "it is the first, and there was an item"
        reason = f"{change.event_name} {change.envelope['sequenceNumber']} does not follow: {what}"
        self._add(reason, *([self._last.source] if self._last else []), change.source)

    def _add(self, reason: str, *objects: str) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(Fault(self._digest.hex()[:16], reason, tuple(dict.fromkeys(objects))))


class Items:
    """Collects what is known of items, and gives it back item by item, by their hash."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._sorter = Sorter(memory_bytes)

    def add_change(self, change: Change) -> None:
        key = key_digest(change.keys) + _CHANGE + change.place + _SOURCE + change.source.encode()
        self._sorter.add(key, change.line)

    def add_snapshot(self, keys: Attributes, item: Attributes) -> None:
        self._add(_SNAPSHOT, keys, item)

    def add_live(self, keys: Attributes, item: Attributes) -> None:
        """What the table has now."""
        self._add(_LIVE, keys, item)

    def all(self, start: Start) -> Iterator[Item]:
        """Every item, once."""
        for digest, entries in itertools.groupby(self._sorter.sorted(), lambda entry: entry[0][:_HASH_BYTES]):
            walk = _Walk(digest, start)
            for key, value in entries:
                kind = key[_HASH_BYTES : _HASH_BYTES + 1]
                if kind == _CHANGE:
                    at, source = key[_HASH_BYTES + 1 :].rsplit(_SOURCE, 1)
                    walk.change(trusted_change(value, source.decode(), at))
                else:
                    (walk.snapshot if kind == _SNAPSHOT else walk.live)(*json.loads(value))
            yield walk.end()

    def clear(self) -> None:
        self._sorter.clear()

    def _add(self, kind: bytes, keys: Attributes, item: Attributes) -> None:
        value = json.dumps([keys, item], ensure_ascii=True, separators=(",", ":")).encode()
        self._sorter.add(key_digest(keys) + kind, value)


def key_digest(keys: Attributes) -> bytes:
    """The SHA-256 over an item's keys. Its first 16 hex digits are the item hash."""
    return hashlib.sha256(canonical_json(keys).encode()).digest()


def same_image(one: Any, other: Any) -> bool:
    """Whether two states of an item are the same; None is that there is no item."""
    if one is None or other is None:
        return one is other
    return one == other or same_attributes(one, other)


def _before(change: Change) -> Attributes | None:
    return None if change.event_name == "INSERT" else change.envelope.get("oldImage")
