# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compacted hours: the names and the manifest of a generation.

A generation is one file with the changes of many audit objects of an hour, sorted, each once. Its manifest is written
last, so what has no manifest is not there. Generations only add to each other: a change that arrives later goes into
the next one. A reader takes all generations, and all audit objects that none of them names as its source.
"""

from __future__ import annotations

import gzip
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from .objects import DamagedObject
from .store import Store

SCHEMA = "cloudcdc.compacted/1"
#: '.' sorts before digits: a listing of the hour begins with the generations.
FOLDER = ".compacted/"
_MANIFEST = re.compile(r"(?P<number>[0-9]{6})\.manifest\.json")


@dataclass(frozen=True)
class Generation:
    """What a manifest says."""

    #: The manifest's own name.
    key: str
    number: int
    #: How many changes there are, in all and by event name.
    changes: int
    counts: dict[str, int]
    #: The lowest and the highest sequence number, as numbers in text. None when it has no change.
    first: str | None
    last: str | None
    data_key: str
    data_sha256: str
    data_bytes: int
    #: A gzip text with the names of the sources after the hour's folder, sorted, one a line.
    sources_key: str
    sources_sha256: str
    sources: int

    def manifest(self) -> bytes:
        """The manifest's content."""
        told = {
            "schema": SCHEMA,
            "hour": hour_of(self.key),
            "generation": self.number,
            "changes": self.changes,
            "counts": self.counts,
            "firstSequenceNumber": self.first,
            "lastSequenceNumber": self.last,
            "data": {"key": self.data_key, "sha256": self.data_sha256, "bytes": self.data_bytes},
            "sources": {"key": self.sources_key, "sha256": self.sources_sha256, "count": self.sources},
        }
        return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"


def hour_of(key: str) -> str:
    """The folder of the hour that the object lies in; with it, the prefix of all that belongs to the hour."""
    folder = key.rpartition("/")[0] + "/"
    return folder.removesuffix(FOLDER)


def manifest_key(hour: str, number: int) -> str:
    return f"{hour}{FOLDER}{number:06d}.manifest.json"


def manifest_number(key: str) -> int | None:
    """The generation whose manifest has this name; None when it is no manifest's."""
    found = _MANIFEST.fullmatch(key.rpartition(FOLDER)[2]) if FOLDER in key else None
    return int(found["number"]) if found else None


def data_key(hour: str, number: int, token: str) -> str:
    """Each attempt has a token of its own, so that two never write to one name."""
    return f"{hour}{FOLDER}{number:06d}-{token}.ndjson.gz"


def sources_key(hour: str, number: int, token: str) -> str:
    return f"{hour}{FOLDER}{number:06d}-{token}.sources.gz"


def read_generation(store: Store, key: str) -> Generation:
    """The generation of a manifest; DamagedObject when it cannot be read as one."""
    try:
        told = json.loads(store.read(key))
        return _generation(key, told)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DamagedObject(key, f"it is no manifest of a compacted hour ({type(exc).__name__})") from exc


def read_generations(store: Store, keys: Iterable[str]) -> list[Generation]:
    """The generations whose manifests are among the names, in order."""
    return [read_generation(store, key) for key in sorted(keys) if manifest_number(key) is not None]


def source_names(store: Store, generation: Generation) -> Iterator[str]:
    """The names of a generation's sources after the hour's folder, sorted."""
    file, digest = store.fetch(generation.sources_key)
    with file:
        if digest != generation.sources_sha256:
            raise DamagedObject(generation.sources_key, "its SHA-256 is not that in the manifest")
        for line in gzip.GzipFile(fileobj=file):
            yield line.decode().rstrip("\n")


def open_data(store: Store, generation: Generation) -> IO[bytes]:
    """A generation's file on this machine's disk, unpacked as it is read."""
    file, digest = store.fetch(generation.data_key)
    if digest != generation.data_sha256:
        file.close()
        raise DamagedObject(generation.data_key, "its SHA-256 is not that in the manifest")
    return gzip.GzipFile(fileobj=file)


class Covered:
    """Says of names, asked in sorted order, whether a generation has them as a source."""

    def __init__(self, store: Store, generations: Iterable[Generation]) -> None:
        self._names = heapq.merge(*(source_names(store, each) for each in generations))
        self._next = next(self._names, None)

    def __contains__(self, name: str) -> bool:
        while self._next is not None and self._next < name:
            self._next = next(self._names, None)
        return self._next == name


def _generation(key: str, told: dict[str, Any]) -> Generation:
    if told["schema"] != SCHEMA:
        raise ValueError("schema")
    data, sources = told["data"], told["sources"]
    folder = f"{hour_of(key)}{FOLDER}"
    if not data["key"].startswith(folder) or not sources["key"].startswith(folder):
        raise ValueError("key")
    return Generation(
        key=key,
        number=int(told["generation"]),
        changes=int(told["changes"]),
        counts={str(name): int(count) for name, count in told["counts"].items()},
        first=told["firstSequenceNumber"],
        last=told["lastSequenceNumber"],
        data_key=data["key"],
        data_sha256=data["sha256"],
        data_bytes=int(data["bytes"]),
        sources_key=sources["key"],
        sources_sha256=sources["sha256"],
        sources=int(sources["count"]),
    )
