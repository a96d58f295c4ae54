# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the audit log by time: hour by hour, in order, each change once, both layouts and compacted hours.

An hour is read whole before its first change is given out, since its objects overlap and the same change can be in two
of them; what of it does not fit in memory waits on disk. Nothing that cannot be read is left out silently: it is in the
findings, by name.
"""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .changes import Change, iso, read_change, same_change, trusted_change
from .generations import FOLDER, Covered, Generation, manifest_number, open_data, read_generations
from .objects import DamagedObject, name_faults, read_lines, read_name
from .sorting import MEMORY_BYTES, Entry, Sorter
from .store import Gone, Listed, Store

#: Objects that are fetched at once.
WORKERS = 32
#: What is fetched and not looked at yet (bytes as they are in the bucket).
_AHEAD_BYTES = 8 * 1024 * 1024
_TRIES = 8
#: So many names of each kind are kept; all are counted.
MOST_NAMES = 1000
_SOURCE = b"\x00\x00"
#: Digits are between these: the hours' folders sort so.
_BEFORE_HOURS, _BEHIND_HOURS = "/", ":"
_HOUR_FOLDER = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})/([0-9]{2})/")


@dataclass
class Findings:
    """What was wrong with the objects that were read."""

    #: Object names with the reason; at most MOST_NAMES.
    damaged: dict[str, str] = field(default_factory=dict)
    #: Objects between the log's that are none of it.
    foreign: list[str] = field(default_factory=list)
    #: Pairs of objects that hold one change, and not the same of it.
    conflicting: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def add_damaged(self, key: str, reason: str) -> None:
        if key not in self.damaged:
            self.count += 1
            if len(self.damaged) < MOST_NAMES:
                self.damaged[key] = reason

    def add_foreign(self, key: str) -> None:
        self.count += 1
        if len(self.foreign) < MOST_NAMES:
            self.foreign.append(key)

    def add_conflicting(self, one: str, other: str) -> None:
        self.count += 1
        if len(self.conflicting) < MOST_NAMES:
            self.conflicting.append((one, other))

    def take(self, other: Findings) -> None:
        """Add what was found in another part."""
        for key, reason in other.damaged.items():
            self.add_damaged(key, reason)
        for key in other.foreign:
            self.add_foreign(key)
        for pair in other.conflicting:
            self.add_conflicting(*pair)

    def sentences(self) -> list[str]:
        """Each as a sentence."""
        found = [f"{key} is damaged: {reason}." for key, reason in self.damaged.items()]
        found += [f"{key} is no object of the audit log." for key in self.foreign]
        return found + [f"{one} and {other} hold the same change differently." for one, other in self.conflicting]


class Reader:
    """Reads one audit log. Not for several threads at once."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        *,
        memory_bytes: int = MEMORY_BYTES,
        workers: int = WORKERS,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """``check`` is called between objects, and may raise to end the reading."""
        self.store, self.prefix, self.findings = store, prefix, Findings()
        self._memory_bytes, self._workers, self._check = memory_bytes, workers, check
        #: Audit objects and compacted files read, changes taken from them before each was left once.
        self.objects = self.read = self.duplicates = 0
        #: The hour that is being given out.
        self.hour = ""

    def begin(self) -> datetime | None:
        """The first hour that the log holds something of, as a rule asked with one call; None when there is none."""
        for each in self.store.list(self.prefix, after=self.prefix + _BEFORE_HOURS):
            if each.key > self.prefix + _BEHIND_HOURS:
                return None
            if found := _HOUR_FOLDER.match(each.key, len(self.prefix)):
                with suppress(ValueError):
                    return datetime(*map(int, found.groups()), tzinfo=UTC)
        return None

    def changes(self, start: datetime, end: datetime) -> Iterator[Change]:
        """Every change made from one moment to the other, both included, in order within an hour and of each item."""
        first, last = iso(start), iso(end)
        with ThreadPoolExecutor(self._workers) as pool:
            for hour, listed in self._hours(start, end):
                self.hour = hour
                sorter = _Hour(self, pool, hour, first, last).read(listed)
                yield from self._once(sorter)

    def _hours(self, start: datetime, end: datetime) -> Iterator[tuple[str, Iterator[tuple[Listed, int]]]]:
        """The hours that there are, each with its objects and the number of the page that they came with."""
        depth = len(self.prefix) + len("YYYY/MM/DD/HH/")
        for prefix in covering_prefixes(start, end, self.prefix):
            yield from itertools.groupby(_numbered(self.store, prefix), lambda each: each[0].key[:depth])

    def _once(self, sorter: Sorter) -> Iterator[Change]:
        former, former_line, former_source = b"", b"", b""
        for key, line in sorter.sorted():
            at, source = key.rsplit(_SOURCE, 1)
            if at == former:
                self.duplicates += 1
                if not same_change(line, former_line):
                    self.findings.add_conflicting(former_source.decode(), source.decode())
                continue
            former, former_line, former_source = at, line, source
            yield trusted_change(line, source.decode(), at)


class _Hour:
    """The reading of one hour."""

    def __init__(self, reader: Reader, pool: ThreadPoolExecutor, hour: str, first: str, last: str) -> None:
        self._reader, self._pool, self._hour, self._first, self._last = reader, pool, hour, first, last

    def read(self, listed: Iterable[tuple[Listed, int]]) -> Sorter:
        """All of the hour. Compaction may move changes to another object meanwhile: then it is read again."""
        store = self._reader.store
        for _attempt in range(_TRIES):
            findings, sorter = Findings(), Sorter(self._reader._memory_bytes)
            counts = (self._reader.objects, self._reader.read)
            try:
                if self._read(listed, findings, sorter):
                    self._reader.findings.take(findings)
                    return sorter
            except Gone:
                pass
            sorter.clear()
            self._reader.objects, self._reader.read = counts
            listed = _numbered(store, self._hour)
        raise RuntimeError(f"The objects below {self._hour} vanished {_TRIES} times while they were read.")

    def _read(self, listed: Iterable[tuple[Listed, int]], findings: Findings, sorter: Sorter) -> bool:
        """Whether what was read is the whole hour."""
        pages, compacted, sources = set(), [], iter(())
        listed = iter(listed)
        for each, page in listed:
            pages.add(page)
            if not each.key.startswith(self._hour + FOLDER):
                sources = itertools.chain([(each, page)], listed)
                break
            compacted.append(each.key)
        manifests = [key for key in compacted if manifest_number(key) is not None]
        try:
            generations = read_generations(self._reader.store, manifests)
            covered = Covered(self._reader.store, generations)
            wanted = self._wanted(sources, covered, pages, findings)
            self._read_sources(wanted, findings, sorter)
        except DamagedObject as exc:
            # A manifest or a list of sources: without it nobody can tell what the hour holds.
            findings.add_damaged(exc.key, exc.reason)
            return True
        for generation in generations:
            self._read_generation(generation, findings, sorter)
        # One page is one moment. Between two pages, objects may have moved into a new generation.
        return len(pages) < 2 or manifests == self._manifests_now()

    def _wanted(
        self, listed: Iterable[tuple[Listed, int]], covered: Covered, pages: set[int], findings: Findings
    ) -> Iterator[Listed]:
        """The audit objects that no generation holds."""
        for each, page in listed:
            pages.add(page)
            name = each.key.removeprefix(self._hour)
            if read_name(each.key) is None or "/" in name:
                findings.add_foreign(each.key)
            elif name not in covered:
                yield each

    def _read_sources(self, wanted: Iterator[Listed], findings: Findings, sorter: Sorter) -> None:
        for key, body in self._bodies(wanted):
            self._reader._check()
            self._reader.objects += 1
            try:
                found = changes_of(key, body, self._reader.prefix)
            except DamagedObject as exc:
                findings.add_damaged(key, exc.reason)
                continue
            for change in found:
                self._add(change, sorter)

    def _read_generation(self, generation: Generation, findings: Findings, sorter: Sorter) -> None:
        self._reader.objects += 1
        try:
            file = open_data(self._reader.store, generation)
        except DamagedObject as exc:
            findings.add_damaged(exc.key, exc.reason)
            return
        sorter.add_sorted(self._sorted(file, generation.data_key, findings))

    def _sorted(self, file: Iterable[bytes], key: str, findings: Findings) -> Iterator[Entry]:
        try:
            for number, line in enumerate(file, 1):
                change = read_change(line.rstrip(b"\n"), key, f"line {number}")
                self._reader.read += 1
                if self._first <= change.time <= self._last:
                    yield change.place + _SOURCE + key.encode(), change.line
        except DamagedObject as exc:
            # Its SHA-256 is right, so it was written so. What came before it is already given out.
            self._reader.findings.add_damaged(key, exc.reason)

    def _add(self, change: Change, sorter: Sorter) -> None:
        self._reader.read += 1
        if self._first <= change.time <= self._last:
            sorter.add(change.place + _SOURCE + change.source.encode(), change.line)

    def _bodies(self, wanted: Iterator[Listed]) -> Iterator[tuple[str, bytes]]:
        """Their contents in the same order, so many fetched ahead."""
        ahead: deque[tuple[Listed, Future[bytes]]] = deque()
        size = 0
        try:
            for each in wanted:
                ahead.append((each, self._pool.submit(self._reader.store.read, each.key)))
                size += each.size
                while len(ahead) > 2 * self._reader._workers or (size > _AHEAD_BYTES and len(ahead) > 1):
                    done, body = ahead.popleft()
                    size -= done.size
                    yield done.key, body.result()
            while ahead:
                done, body = ahead.popleft()
                yield done.key, body.result()
        finally:
            for _each, body in ahead:
                body.cancel()

    def _manifests_now(self) -> list[str]:
        listed = self._reader.store.list(self._hour + FOLDER)
        return [each.key for each in listed if manifest_number(each.key) is not None]


def changes_of(key: str, body: bytes, prefix: str) -> list[Change]:
    """The changes in an audit object; DamagedObject when it does not hold what its name says."""
    lines = read_lines(key, body)
    found = [read_change(line, key, f"line {at}") for at, line in enumerate(lines, 1)]
    faults = name_faults(key, [change.envelope for change in found], prefix)
    if faults:
        raise DamagedObject(key, faults[0])
    return found


def covering_prefixes(start: datetime, end: datetime, prefix: str) -> list[str]:
    """The fewest prefixes that together are exactly the hours from one moment to the other: years to hours."""
    hour, found = start.replace(minute=0, second=0, microsecond=0), []
    while hour <= end:
        for form, beyond in ((_YEAR, _next_year), (_MONTH, _next_month), (_DAY, _next_day), (_HOUR, _next_hour)):
            after = beyond(hour)
            if _begins(hour, form) and after - _SECOND <= end.replace(minute=59, second=59):
                found.append(f"{prefix}{hour:{form}}")
                break
        hour = after
    return found


_YEAR, _MONTH, _DAY, _HOUR = "%Y/", "%Y/%m/", "%Y/%m/%d/", "%Y/%m/%d/%H/"
_SECOND = timedelta(seconds=1)


def _begins(moment: datetime, form: str) -> bool:
    """Whether the moment is the first hour of its year, month or day."""
    begins = {_YEAR: (moment.month, moment.day, moment.hour) == (1, 1, 0), _MONTH: (moment.day, moment.hour) == (1, 0)}
    return {**begins, _DAY: moment.hour == 0, _HOUR: True}[form]


def _next_year(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + 1, month=1, day=1, hour=0)


def _next_month(moment: datetime) -> datetime:
    return (moment.replace(day=1, hour=0) + timedelta(days=32)).replace(day=1)


def _next_day(moment: datetime) -> datetime:
    return moment.replace(hour=0) + timedelta(days=1)


def _next_hour(moment: datetime) -> datetime:
    return moment + timedelta(hours=1)


def _numbered(store: Store, prefix: str) -> Iterator[tuple[Listed, int]]:
    for number, page in enumerate(store.pages(prefix)):
        for each in page:
            yield each, number
