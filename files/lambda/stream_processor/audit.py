# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The objects that a batch adds to the audit log, by layout."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from .canonical import to_json
from .change import Change
from .layout import PER_BATCH, PER_CHANGE, hour_prefix, per_batch, per_change

_GZIP = 31  # zlib's wbits for a gzip container, whose time stamp it leaves 0
_LEVEL = 3  # against zlib's usual 6: half the CPU for a twelfth more bytes


@dataclass(eq=False)
class AuditObject:
    """One object to be written, and the changes that are audited once it is there."""

    key: str
    content_type: str
    changes: list[Change]
    items: tuple[str, ...]  # it must not overtake an earlier object with one of these
    body: Callable[[], bytes]  # asked for when it is to be sent

    @property
    def first(self) -> int:
        """The position of its first change in the batch."""
        return self.changes[0].position


class PerChange:
    """One JSON object a change."""

    #: Whether objects are complete only when all changes are there.
    in_bulk = False

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def add(self, change: Change) -> list[AuditObject]:
        """Take a change; the objects that are complete with it."""
        change.key = per_change(change.audited, self._prefix, change.item)
        return [AuditObject(change.key, "application/json", [change], (change.item,), lambda: _spell(change).encode())]

    def rest(self) -> list[AuditObject]:
        """The objects that no further change comes to."""
        return []


class PerBatch:
    """One gzip NDJSON object for the changes of an hour. The same in form as :class:`PerChange`."""

    in_bulk = True

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._hours: dict[str, _Hour] = {}

    def add(self, change: Change) -> list[AuditObject]:
        name = hour_prefix(change.audited, self._prefix)
        hour = self._hours.get(name)
        if hour is None:
            hour = self._hours[name] = _Hour()
        hour.add(change)
        return []

    def rest(self) -> list[AuditObject]:
        hours, self._hours = self._hours.values(), {}
        return [hour.complete(self._prefix) for hour in hours]


class _Hour:
    """The changes of one hour, compressed as they come."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._parts: list[bytes] = []

    def add(self, change: Change) -> None:
        self._changes.append(change)
        self._parts.append(self._compressor.compress(f"{_spell(change)}\n".encode()))

    def complete(self, prefix: str) -> AuditObject:
        content = b"".join([*self._parts, self._compressor.flush()])
        key = per_batch([change.audited for change in self._changes], prefix)
        for change in self._changes:
            change.key = key
        # An item may be in two hours, so one hour is written after the other.
        return AuditObject(key, "application/gzip", self._changes, ("hours",), lambda: content)


def _spell(change: Change) -> str:
    change.spelt = spelt = to_json(change.audited)
    return spelt


LAYOUTS: dict[str, type[PerChange] | type[PerBatch]] = {PER_CHANGE: PerChange, PER_BATCH: PerBatch}
