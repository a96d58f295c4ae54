# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A slice of the log, split by the hash of its items."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..history.baselines import page_items
from ..history.changes import Change, read_change
from ..history.generations import FOLDER, Covered, Generation, manifest_number, open_data, read_generations
from ..history.items import key_digest
from ..history.objects import DamagedObject, read_name
from ..history.reader import Findings, changes_of
from ..history.sorting import MEMORY_BYTES, Entry, Sorter
from ..history.store import Gone
from .request import TABLE, Request, RequestRefused
from .room import WORKERS, Room

_TRIES = 8
_SOURCE = b"\x00\x00"


class Split:
    """The splitting of one slice."""

    def __init__(
        self,
        room: Room,
        prefix: str,
        request: Request,
        wanted: Callable[[Change], bool],
        *,
        memory_bytes: int = MEMORY_BYTES,
        workers: int = WORKERS,
    ) -> None:
        self._room, self._store, self._prefix, self._request = room, room.store, prefix, request
        self._wanted, self._memory_bytes, self._workers = wanted, memory_bytes, workers
        self._only = key_digest(request.keys) if request.keys else None
        self._start, self._end = (f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in (request.start, request.end))

    def run(self, part: dict[str, Any]) -> dict[str, Any]:
        """Write what it holds for each partition, and tell what it was. What was done before is not done again."""
        name = f"slices/{part['n']:08d}.json"
        if former := self._room.read_json(name):
            return former
        for _attempt in range(_TRIES):
            self._findings, self._counts = Findings(), Counter()
            self._read = self._objects = 0
            sorter = Sorter(self._memory_bytes)
            try:
                if self._fill(part, sorter):
                    self._write(part, sorter)
                    break
            except Gone:
                # Compaction has moved the changes to a new generation.
                pass
            finally:
                sorter.clear()
        else:
            raise RuntimeError(f"The objects of the slice {part} vanished {_TRIES} times while they were read.")
        told = {
            "read": self._read,
            "objects": self._objects,
            "selected": dict(self._counts),
            "findings": {
                "count": self._findings.count,
                "damaged": self._findings.damaged,
                "foreign": self._findings.foreign,
                "conflicting": self._findings.conflicting,
            },
        }
        self._room.put_json(name, told)
        return told

    def _fill(self, part: dict[str, Any], sorter: Sorter) -> bool:
        """Whether what was read is all of the slice."""
        try:
            if "snapshot" in part:
                self._snapshot(part, sorter)
                return True
            hour = part["hour"]
            manifests = self._manifests(hour)
            generations = read_generations(self._store, manifests)
            if "generation" in part:
                for each in generations:
                    if each.number == part["generation"]:
                        self._generation(each, sorter)
                return True
            self._sources(part, generations, sorter)
            for each in generations:
                if each.number > part["known"]:
                    self._generation(each, sorter)
            return manifests == self._manifests(hour)
        except DamagedObject as exc:
            self._findings.add_damaged(exc.key, exc.reason)
            return True

    def _manifests(self, hour: str) -> list[str]:
        return [each.key for each in self._store.list(hour + FOLDER) if manifest_number(each.key) is not None]

    def _sources(self, part: dict[str, Any], generations: list[Generation], sorter: Sorter) -> None:
        hour, covered = part["hour"], Covered(self._store, generations)

        def names() -> Iterator[str]:
            # One character less than the first name, so that the first one is listed too.
            for each in self._store.list(hour, hour + part["first"][:-1]):
                name = each.key.removeprefix(hour)
                if name > part["last"]:
                    return
                if read_name(each.key) is None or "/" in name:
                    self._findings.add_foreign(each.key)
                elif name >= part["first"] and name not in covered:
                    yield each.key

        with ThreadPoolExecutor(self._workers) as pool:
            found = names()
            while batch := list(itertools.islice(found, 4 * self._workers)):
                for key, body in zip(batch, pool.map(self._store.read, batch), strict=True):
                    self._objects += 1
                    try:
                        changes = changes_of(key, body, self._prefix)
                    except DamagedObject as exc:
                        self._findings.add_damaged(key, exc.reason)
                        continue
                    for change in changes:
                        self._take(change, sorter)

    def _generation(self, generation: Generation, sorter: Sorter) -> None:
        self._objects += 1
        with open_data(self._store, generation) as file:
            for number, line in enumerate(file, 1):
                self._take(read_change(line.rstrip(b"\n"), generation.data_key, f"line {number}"), sorter)

    def _take(self, change: Change, sorter: Sorter) -> None:
        self._read += 1
        if not self._start <= change.time <= self._end or change.envelope["table"] != self._request.table_name:
            return
        digest = key_digest(change.keys)
        if (self._only is not None and digest != self._only) or not self._wanted(change):
            return
        if self._request.target["kind"] == TABLE and change.event_name != "REMOVE" and change.image is None:
            raise RequestRefused(
                f"{change.source} has a change without its new image: the stream's view type was not NEW_AND_OLD_IMAGES"
                " then, so the state of items cannot be told from the log."
            )
        self._counts[change.event_name] += 1
        order = digest if self._request.target["kind"] == TABLE else b""
        key = self._partition(digest) + order + change.time[:13].encode() + change.place
        sorter.add(key + _SOURCE + change.source.encode(), change.one_line())

    def _snapshot(self, part: dict[str, Any], sorter: Sorter) -> None:
        self._objects += 1
        file, found = self._store.fetch(part["snapshot"])
        with file:
            if found != part["sha256"]:
                raise DamagedObject(part["snapshot"], "its SHA-256 is not that in the baseline's manifest")
            for keys, item in page_items(part["snapshot"], file.read()):
                digest = key_digest(keys)
                if self._only is None or digest == self._only:
                    line = json.dumps({"keys": keys, "item": item}, separators=(",", ":")).encode()
                    sorter.add(self._partition(digest) + digest + _SOURCE, line)

    def _partition(self, digest: bytes) -> bytes:
        return (int.from_bytes(digest[:8], "big") * self._request.partitions >> 64).to_bytes(4, "big")

    def _write(self, part: dict[str, Any], sorter: Sorter) -> None:
        hour = re.sub(r"\D", "", part["hour"].removeprefix(self._prefix)) if "hour" in part else "0" * 10
        entries = self._last_of_items(sorter.sorted()) if self._request.target["kind"] == TABLE else sorter.sorted()
        for partition, found in itertools.groupby(entries, lambda entry: entry[0][:4]):
            with tempfile.TemporaryFile() as file:
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed:
                    for key, line in found:
                        packed.write(key.rsplit(_SOURCE, 1)[1] + b"\t" + line + b"\n")
                file.seek(0)
                name = f"split/{int.from_bytes(partition, 'big'):05d}/{hour}-{part['n']:08d}.gz"
                self._room.put(name, file)

    @staticmethod
    def _last_of_items(entries: Iterator[Entry]) -> Iterator[Entry]:
        """Of the changes of an item in this slice the last one, which tells its state."""
        for _item, found in itertools.groupby(entries, lambda entry: entry[0][: 4 + 32]):
            *_before, last = found
            yield last


def check_slices(room: Room, request: Request) -> dict[str, Any]:
    """What the slices were in all; RequestRefused where the log is damaged and the state of a table is asked for."""
    planned = room.read_json("plan.json")
    totals: Counter[str] = Counter()
    selected: Counter[str] = Counter()
    findings = Findings()
    keys = [each.key.removeprefix(room.folder) for each in room.list("slices/")]
    with ThreadPoolExecutor(WORKERS) as pool:
        for told in pool.map(room.read_json, keys):
            totals.update({name: told[name] for name in ("read", "objects")})
            selected.update(told["selected"])
            part = told["findings"]
            findings.take(Findings(part["damaged"], part["foreign"], [tuple(each) for each in part["conflicting"]]))
    if len(keys) != planned["slices"]:
        raise RuntimeError(f"{planned['slices']} slices were planned, and {len(keys)} are done.")
    told = {
        **totals,
        "selected": dict(selected),
        "findings": {
            "count": findings.count,
            "damaged": findings.damaged,
            "foreign": findings.foreign,
            "conflicting": findings.conflicting,
        },
    }
    room.put_json("log.json", told)
    if findings.count and request.target["kind"] == TABLE:
        raise RequestRefused(
            f"The log cannot be read whole, so the state of the items cannot be told: "
            f"{' '.join(findings.sentences()[:10])} Nothing was written."
        )
    return {**totals, "findings": findings.count}
