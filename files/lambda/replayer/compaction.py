# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compaction: the many objects of a closed hour become one sorted file, each change once.

The steps of a generation, of which the fourth is the one that counts:

1. read the sources, and sort what is in them;
2. write the file and the list of its sources, under names that no other run has;
3. read both back, and compare;
4. write the manifest, if there is none of this number: whoever does it first has made the generation;
5. remove the sources.

A run that is killed leaves either nothing but files that no manifest names, which go when they are a day old, or a
generation with sources beside it, which readers leave out and the next run removes. Two runs at once do not harm each
other: one of them makes the generation, the other one looks again.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import re
import secrets
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from .history.changes import read_change, same_change
from .history.generations import (
    FOLDER,
    Covered,
    Generation,
    data_key,
    manifest_key,
    manifest_number,
    read_generations,
    source_names,
    sources_key,
)
from .history.objects import DamagedObject, read_name
from .history.reader import changes_of
from .history.sorting import MEMORY_BYTES, Sorter
from .history.store import Gone, Listed, Store

#: Behind a manifest that was handed on, outside of the audit log.
HANDED_ON = ".cloudcdc/handed-on/"
#: A file without a manifest that is younger may be one of a run that is at work.
ORPHAN_AGE = timedelta(days=1)
#: Objects that are fetched at once.
WORKERS = 32
#: So many damaged objects are named; all are counted.
MOST_NAMES = 20
#: Behind every name of an hour's folder, and behind every name of its folder of generations.
_LAST = "~"
_ATTEMPT = re.compile(r"[0-9]{6}-[0-9a-f]{16}\.(ndjson|sources)\.gz")
_HOUR = re.compile(r"[0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2}/")
_SOURCE = b"\x00\x00"
#: Seconds that are kept for the way back when sources are removed.
_SPARE = 10


@dataclass
class Outcome:
    """What one run did to an hour."""

    #: Nothing is left to do, but for what could not be done.
    done: bool = True
    #: Where the next run goes on: behind this name.
    after: str = ""
    changes: int = 0
    sources: int = 0
    removed: int = 0
    #: Sources that S3 did not let go.
    left: int = 0
    orphans: int = 0
    damaged: int = 0
    #: Objects with the reason; at most MOST_NAMES.
    names: dict[str, str] = field(default_factory=dict)
    #: Changes that two sources hold, and not the same of it. Both are in the file.
    conflicting: int = 0
    manifest: str | None = None

    def add_damaged(self, exc: DamagedObject) -> None:
        self.damaged += 1
        if len(self.names) < MOST_NAMES:
            self.names[exc.key] = exc.reason


class Compaction:
    """Compacts one hour of an audit log."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        hour: str,
        *,
        keep_sources: bool = False,
        max_sources: int = 20_000,
        max_bytes: int = 512 * 1024 * 1024,
        memory_bytes: int = MEMORY_BYTES,
        workers: int = WORKERS,
        remaining: Callable[[], float] = lambda: 900.0,
        token: Callable[[], str] = lambda: secrets.token_hex(8),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``remaining`` tells how many seconds are left; ``max_bytes`` is for the changes of a generation, unpacked."""
        self._store, self._prefix, self._hour = store, prefix, hour
        self._keep, self._max_sources, self._max_bytes = keep_sources, max_sources, max_bytes
        self._memory_bytes, self._workers = memory_bytes, workers
        self._remaining, self._token, self._now = remaining, token, now
        self._reserve = remaining() / 2

    def run(self, after: str = "") -> Outcome:
        """Make one generation at most. What is not done then is for the next run."""
        outcome = Outcome(after=after)
        try:
            generations = self._generations(outcome)
            wanted, more = self._look(generations, after, outcome)
        except DamagedObject as exc:
            # A manifest or a list of sources: without it nobody can tell what the hour holds, so nothing is touched.
            outcome.add_damaged(exc)
            return outcome
        if not wanted:
            return outcome
        try:
            return self._compact(wanted, more, max([each.number for each in generations], default=0) + 1, outcome)
        except Gone:
            # Another run has made a generation of them.
            outcome.done = False
            return outcome

    def _compact(self, wanted: list[Listed], more: bool, number: int, outcome: Outcome) -> Outcome:
        sorter = Sorter(self._memory_bytes)
        try:
            taken, seen, read = self._read(wanted, sorter, outcome)
            outcome.done = not more and seen == len(wanted)
            if taken:
                written = _Written(sorter, taken, read, self._hour)
                with written:
                    outcome.conflicting += written.conflicting
                    generation = self._commit(written, number)
                if generation is None:
                    outcome.done = False
                    return outcome
                outcome.manifest, outcome.changes, outcome.sources = generation.key, generation.changes, len(taken)
                if not self._keep and not self._remove([f"{self._hour}{name}" for name in taken], outcome):
                    outcome.done = False
                    return outcome
        finally:
            sorter.clear()
        outcome.after = wanted[seen - 1].key
        return outcome

    def _generations(self, outcome: Outcome) -> list[Generation]:
        listed = list(self._store.list(self._hour + FOLDER))
        generations = read_generations(self._store, [each.key for each in listed])
        named = {key for each in generations for key in (each.data_key, each.sources_key)}
        old = self._now() - ORPHAN_AGE
        orphans = [
            each.key
            for each in listed
            if _ATTEMPT.fullmatch(each.key.removeprefix(self._hour + FOLDER))
            and each.key not in named
            and each.modified is not None
            and each.modified < old
        ]
        if orphans:
            outcome.orphans = len(orphans) - len(self._store.delete(orphans))
        return generations

    def _look(self, generations: list[Generation], after: str, outcome: Outcome) -> tuple[list[Listed], bool]:
        """Sources that no generation has, and whether there are more. Those that one has are removed on the way."""
        covered = Covered(self._store, generations)
        wanted: list[Listed] = []
        rest: list[str] = []
        for each in self._store.list(self._hour, max(after, f"{self._hour}{FOLDER}{_LAST}")):
            name = each.key.removeprefix(self._hour)
            if read_name(each.key) is None or "/" in name:
                continue
            if name in covered:
                if not self._keep:
                    rest.append(each.key)
            elif len(wanted) == self._max_sources:
                self._remove(rest, outcome)
                return wanted, True
            else:
                wanted.append(each)
            if len(rest) == 1000:
                if not self._remove(rest, outcome):
                    outcome.done = False
                    return [], True
                rest = []
        if not self._remove(rest, outcome):
            outcome.done = False
            return [], True
        return wanted, False

    def _read(self, wanted: list[Listed], sorter: Sorter, outcome: Outcome) -> tuple[list[str], int, int]:
        """The names of the sources whose changes were taken, how many were looked at, how many changes there were."""
        taken: list[str] = []
        seen = read = size = 0
        with ThreadPoolExecutor(self._workers) as pool:
            for key, body in self._bodies(wanted, pool):
                seen += 1
                try:
                    found = changes_of(key, body, self._prefix)
                except DamagedObject as exc:
                    # It stays where it is, for readers to name it.
                    outcome.add_damaged(exc)
                    continue
                for change in found:
                    sorter.add(change.place + _SOURCE + key.encode(), change.one_line())
                    size += len(change.line)
                read += len(found)
                taken.append(key.removeprefix(self._hour))
                if size >= self._max_bytes or self._remaining() < self._reserve:
                    break
        return taken, seen, read

    def _bodies(self, wanted: Iterable[Listed], pool: ThreadPoolExecutor) -> Iterator[tuple[str, bytes]]:
        """Their contents in the same order, so many fetched ahead."""
        ahead: deque[tuple[str, Future[bytes]]] = deque()
        left = iter(wanted)
        try:
            while True:
                for each in itertools.islice(left, 2 * self._workers - len(ahead)):
                    ahead.append((each.key, pool.submit(self._store.read, each.key)))
                if not ahead:
                    return
                key, body = ahead.popleft()
                yield key, body.result()
        finally:
            for _key, body in ahead:
                body.cancel()

    def _commit(self, written: _Written, number: int) -> Generation | None:
        """The generation that was made; None when another run was first."""
        generation = written.generation(self._hour, number, self._token())
        self._store.put(generation.data_key, written.data, "application/gzip")
        self._store.put(generation.sources_key, written.sources, "application/gzip")
        _check(self._store, generation, written.names)
        manifest = generation.manifest()
        if not self._store.put_if_absent(generation.key, manifest) and self._store.read(generation.key) != manifest:
            self._store.delete([generation.data_key, generation.sources_key])
            return None
        if self._store.read(generation.key) != manifest:
            raise RuntimeError(f"{generation.key} does not hold what was written to it.")
        return generation

    def _remove(self, keys: list[str], outcome: Outcome) -> bool:
        """Whether all were removed that S3 lets go; not when the time was too short."""
        for start in range(0, len(keys), 1000):
            if self._remaining() < _SPARE:
                return False
            batch = keys[start : start + 1000]
            kept = self._store.delete(batch)
            outcome.removed += len(batch) - len(kept)
            outcome.left += len(kept)
        return True


class _Written:
    """A generation's two files on this machine's disk."""

    def __init__(self, sorter: Sorter, names: list[str], read: int, hour: str) -> None:
        self.names, self.conflicting = names, 0
        self.counts: Counter[str] = Counter()
        self._first: int | None = None
        self._last: int | None = None
        self._duplicates = 0
        self.data: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        with gzip.GzipFile(fileobj=self.data, mode="wb", compresslevel=6, mtime=0) as packed:
            for line in self._once(sorter, hour):
                packed.write(line + b"\n")
        self.sources = gzip.compress("".join(f"{name}\n" for name in names).encode(), mtime=0)
        self.changes = sum(self.counts.values())
        if self.changes + self._duplicates != read:
            raise RuntimeError(f"Of {read} changes of {hour} {self.changes + self._duplicates} were sorted.")
        self.bytes = self.data.tell()
        self.data.seek(0)
        digest = hashlib.sha256()
        while piece := self.data.read(1024 * 1024):
            digest.update(piece)
        self.sha256 = digest.hexdigest()
        self.data.seek(0)

    def __enter__(self) -> _Written:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.data.close()

    def generation(self, hour: str, number: int, token: str) -> Generation:
        return Generation(
            key=manifest_key(hour, number),
            number=number,
            changes=self.changes,
            counts=dict(sorted(self.counts.items())),
            first=None if self._first is None else str(self._first),
            last=None if self._last is None else str(self._last),
            data_key=data_key(hour, number, token),
            data_sha256=self.sha256,
            data_bytes=self.bytes,
            sources_key=sources_key(hour, number, token),
            sources_sha256=hashlib.sha256(self.sources).hexdigest(),
            sources=len(self.names),
        )

    def _once(self, sorter: Sorter, hour: str) -> Iterator[bytes]:
        """Each change once. Two copies that differ both stay: what is wrong with the log is not for this to decide."""
        former, copies = b"", []
        for key, line in sorter.sorted():
            at = key.rsplit(_SOURCE, 1)[0]
            if at != former:
                former, copies = at, []
            elif any(same_change(line, copy) for copy in copies):
                self._duplicates += 1
                continue
            else:
                self.conflicting += 1
            copies.append(line)
            change = read_change(line, hour)
            self.counts[change.event_name] += 1
            self._first = change.number if self._first is None else min(self._first, change.number)
            self._last = change.number if self._last is None else max(self._last, change.number)
            yield line


def _check(store: Store, generation: Generation, names: list[str]) -> None:
    """Read a generation's files back, and compare all that its manifest is going to say; DamagedObject otherwise."""
    counts: Counter[str] = Counter()
    first = last = None
    former = b""
    file, digest = store.fetch(generation.data_key)
    with file:
        if digest != generation.data_sha256:
            raise DamagedObject(generation.data_key, "its SHA-256 is not that of what was written")
        for at, line in enumerate(gzip.GzipFile(fileobj=file), 1):
            change = read_change(line.rstrip(b"\n"), generation.data_key, f"line {at}")
            if change.place < former:
                raise DamagedObject(generation.data_key, f"line {at} is not in its place")
            former = change.place
            counts[change.event_name] += 1
            first = change.number if first is None else min(first, change.number)
            last = change.number if last is None else max(last, change.number)
    told = tuple(None if each is None else str(each) for each in (first, last))
    if dict(counts) != generation.counts or told != (generation.first, generation.last):
        raise DamagedObject(generation.data_key, "it does not hold what was written")
    if list(source_names(store, generation)) != names:
        raise DamagedObject(generation.sources_key, "it does not name the sources that were read")


def closed_hours(
    store: Store, prefix: str, start: datetime, end: datetime, *, hand_on: bool = False, now: datetime | None = None
) -> Iterator[str]:
    """The hours from one moment to the other that there is something to do in, oldest first, a call a page.

    An hour whose sources are kept, or locked, looks as if there were: its compaction finds that there is not.
    """
    first, last = (f"{prefix}{moment:%Y/%m/%d/%H}/" for moment in (start, end))
    marked = _marks(store, first, last) if hand_on else set()
    after = first
    while True:
        page = next(iter(store.pages(prefix, after)), [])
        if not page:
            return
        groups = [(hour, list(found)) for hour, found in itertools.groupby(page, lambda each: _hour(each.key, prefix))]
        for place, (hour, found) in enumerate(groups, 1):
            if found[0].key > last + _LAST:
                return
            if hour is not None and _has_work(
                store, hour, found, marked, hand_on, whole=place < len(groups), now=now or datetime.now(UTC)
            ):
                yield hour
        hour, found = groups[-1]
        after = found[-1].key if hour is None else hour + _LAST


def _hour(key: str, prefix: str) -> str | None:
    found = _HOUR.match(key, len(prefix))
    return key[: found.end()] if found else None


def _has_work(
    store: Store, hour: str, found: list[Listed], marked: set[str], hand_on: bool, *, whole: bool, now: datetime
) -> bool:
    folder = hour + FOLDER
    compacted = [each for each in found if each.key.startswith(folder)]
    manifests = [each.key for each in compacted if manifest_number(each.key) is not None]
    attempts = [each for each in compacted if _ATTEMPT.fullmatch(each.key.removeprefix(folder))]
    if len(compacted) < len(found) or (hand_on and not marked.issuperset(manifests)):
        return True
    if len(attempts) > 2 * len(manifests) and any(
        each.modified and each.modified < now - ORPHAN_AGE for each in attempts
    ):
        return True
    # The page ended in the hour's generations: what follows them is on the next one.
    return not whole and bool(next(iter(store.pages(hour, folder + _LAST)), []))


def mark(manifest: str) -> str:
    """The name of what says that a manifest was handed on."""
    return HANDED_ON + manifest


def _marks(store: Store, first: str, last: str) -> set[str]:
    found = set()
    for each in store.list(HANDED_ON, HANDED_ON + first):
        manifest = each.key.removeprefix(HANDED_ON)
        if manifest > last + _LAST:
            break
        found.add(manifest)
    return found


def manifests_to_hand_on(store: Store, hour: str) -> list[dict[str, Any]]:
    """The hour's manifests that were not handed on yet, as a consumer gets them."""
    marked = {each.key.removeprefix(HANDED_ON) for each in store.list(HANDED_ON + hour)}
    keys = [each.key for each in store.list(hour + FOLDER) if each.key not in marked]
    return [
        {
            "schema": "cloudcdc.compacted/1",
            "bucket": store.bucket,
            "manifest": each.key,
            "data": each.data_key,
            "hour": hour,
            "generation": each.number,
            "changes": each.changes,
        }
        for each in read_generations(store, keys)
    ]
