# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sorts more than fits in memory: what is too much is sorted in parts on disk, and merged as it is read."""

from __future__ import annotations

import heapq
import itertools
import struct
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

MEMORY_BYTES = 48 * 1024 * 1024
#: What Python needs for an entry beside its bytes.
_OVERHEAD = 200
_LENGTHS = struct.Struct(">II")
#: Files open at once. With more parts, so many are merged into one.
_MOST_PARTS = 64
_BUFFER_BYTES = 64 * 1024

#: A key, by whose bytes it is sorted, and what belongs to it.
Entry = tuple[bytes, bytes]


class Sorter:
    """Takes entries in any order and gives them back sorted by key, once.

    Files have no name from the beginning, so nobody else can read them, and they are gone with the process.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES, folder: str | None = None) -> None:
        self._memory_bytes, self._folder = memory_bytes, folder
        self._entries: list[Entry] = []
        self._bytes = 0
        self._parts: list[IO[bytes]] = []
        self._sorted: list[Iterable[Entry]] = []

    def add(self, key: bytes, value: bytes) -> None:
        """Take an entry. Keys and values have less than 4 GiB."""
        self._entries.append((key, value))
        self._bytes += len(key) + len(value) + _OVERHEAD
        if self._bytes >= self._memory_bytes:
            self._spill()

    def add_sorted(self, entries: Iterable[Entry]) -> None:
        """Take entries that are sorted already: they are merged in, and read only when it is their turn."""
        self._sorted.append(entries)

    def sorted(self) -> Iterator[Entry]:
        """All entries, sorted by key; those of equal keys in no certain order."""
        self._entries.sort()
        yield from heapq.merge(self._entries, *map(_read, self._parts), *self._sorted)
        self.clear()

    def clear(self) -> None:
        """Forget everything, and give memory and disk back."""
        for part in self._parts:
            part.close()
        self._entries, self._parts, self._sorted, self._bytes = [], [], [], 0

    def _spill(self) -> None:
        self._entries.sort()
        if len(self._parts) >= _MOST_PARTS:
            merged = self._write(heapq.merge(*map(_read, self._parts)))
            for part in self._parts:
                part.close()
            self._parts = [merged]
        self._parts.append(self._write(self._entries))
        self._entries, self._bytes = [], 0

    def _write(self, entries: Iterable[Entry]) -> IO[bytes]:
        file = tempfile.TemporaryFile(buffering=_BUFFER_BYTES, dir=self._folder)  # noqa: SIM115
        for key, value in entries:
            file.write(_LENGTHS.pack(len(key), len(value)))
            file.write(key)
            file.write(value)
        return file


def _read(file: IO[bytes]) -> Iterator[Entry]:
    file.seek(0)
    for _place in itertools.count():
        lengths = file.read(_LENGTHS.size)
        if not lengths:
            return
        key_length, value_length = _LENGTHS.unpack(lengths)
        yield file.read(key_length), file.read(value_length)
