# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends what a replay has to send: in lanes, each item in one of them, so that its changes go one after the other.

A lane sends a batch, writes down where it is, and sends the next. So when a run is killed, at most the batch that each
lane had under way comes again. When a change fails, the later ones of its item are held back and all others go on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .answers import Failed, NotRun, Outcome, Processed

#: A unit fails for good when it was refused so often: the first time may be an accident.
ATTEMPTS = 2
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 20.0
#: How long a run that has to end waits for the batches that are under way (seconds).
GRACE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
#: What is read and not sent yet, over all lanes (bytes), and what Python needs for a unit beside its content.
_AHEAD_BYTES = 32 * 1024 * 1024
_OVERHEAD = 1500
#: When so many items fail, it is not the items that are wrong.
MOST_FAILING = 10_000
#: What makes the next place of one.
_BEHIND = b"\x00"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is sent: a change, or the state of an item."""

    #: Where it stands among all that is sent; bytes that sort so.
    at: bytes
    #: The SHA-256 over the item's keys.
    item: bytes
    #: In the target's own form.
    body: Any
    size: int
    kind: str
    #: What reports say of it; no item data.
    told: dict[str, Any]


class Target(Protocol):
    """Where it is sent to."""

    def fits(self, batch: list[Unit], size: int, unit: Unit) -> bool:
        """Whether the unit may follow in the batch, which has so many bytes."""

    def send(self, batch: list[Unit]) -> Outcome:
        """Send it. Errors of AWS that another try would not mend come out as they are."""


class Journal(Protocol):
    """Remembers where each lane is."""

    def write(self, lane: int, line: dict[str, Any]) -> None:
        """Take it down before the lane goes on. Called from several threads."""


@dataclass
class Position:
    """Where a lane is."""

    #: The place of the last unit that is dealt with.
    at: bytes = b""
    #: How many were taken by the target, by kind, and their bytes.
    counts: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    #: By item: the place and the report of its first unit that failed. That one and all later ones wait.
    failing: dict[bytes, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    #: The same of the run before, as far as this one has not come to try them again.
    retrying: dict[bytes, tuple[bytes, dict[str, Any]]] = field(default_factory=dict)
    held: int = 0

    def line(self) -> dict[str, Any]:
        waiting = {**self.retrying, **self.failing}
        failing = [[item.hex(), at.hex(), told] for item, (at, told) in waiting.items()]
        return {"at": self.at.hex(), "counts": dict(self.counts), "bytes": self.bytes, "failing": failing}

    @classmethod
    def read(cls, line: dict[str, Any]) -> Position:
        """Where a run that is continued was: what it left failing is tried again."""
        retrying = {bytes.fromhex(item): (bytes.fromhex(at), told) for item, at, told in line["failing"]}
        return cls(bytes.fromhex(line["at"]), Counter(line["counts"]), line["bytes"], retrying=retrying)


class Stopped(Exception):
    """The sending ends before all is sent, with the reason."""


class Pace:
    """No more than so many a second, over all lanes."""

    def __init__(self, rate: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._now, self._lock = rate, now, threading.Lock()
        self._next = 0.0

    def wait(self, count: int, stop: threading.Event) -> None:
        """Wait until so many more may be sent, or until the end."""
        if not self._rate:
            return
        with self._lock:
            begin = max(self._next, self._now())
            self._next = begin + count / self._rate
        stop.wait(max(0.0, begin - self._now()))


class _Room:
    """For what is read and not sent yet, over all lanes."""

    def __init__(self, most: int) -> None:
        self._most, self._used, self._changed = most, 0, threading.Condition()
        #: The reading waits: lanes send what they have, since no more comes until they do.
        self.full = False

    def take(self, unit: Unit) -> bool:
        """Whether there is room, after a moment; a unit that is larger than all of it comes alone."""
        size = unit.size + _OVERHEAD
        with self._changed:
            self.full = bool(self._used) and self._used + size > self._most
            if self.full:
                self._changed.wait(_LOOK_SECONDS)
                return False
            self._used += size
            return True

    def give(self, unit: Unit) -> None:
        with self._changed:
            self._used -= unit.size + _OVERHEAD
            self._changed.notify()


class Delivery:
    """Sends units through lanes."""

    def __init__(
        self,
        target: Target,
        lanes: int,
        journal: Journal,
        positions: dict[int, Position] | None = None,
        *,
        rate: float = 0,
        timeout: float = 300,
        check: Callable[[], None] = lambda: None,
        on_failure: Callable[[Unit, str, str], None] = lambda unit, error_type, text: None,
    ) -> None:
        """``positions`` are those of an earlier run that is continued. ``timeout`` is how long throttles are borne.

        ``on_failure`` gets what failed for good with the target's own words, which may hold item data.
        """
        self.positions = {lane: Position() for lane in range(lanes)} | (positions or {})
        self._former = {
            lane: (position.at, {item: at for item, (at, _told) in position.retrying.items()})
            for lane, position in self.positions.items()
        }
        self._target, self._journal, self._timeout, self._check = target, journal, timeout, check
        self.on_failure = on_failure
        self._pace = Pace(rate)
        self._stop, self._errors = threading.Event(), queue.SimpleQueue()
        self._queues: list[queue.SimpleQueue] = [queue.SimpleQueue() for _lane in range(lanes)]
        self._room = _Room(_AHEAD_BYTES)
        self.skipped = 0
        #: Batches sent, those that AWS put off included.
        self.batches = 0
        self.reasons: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """How many the target has taken, by kind, in earlier runs too."""
        # Copies: lanes may be counting.
        return sum((Counter(dict(position.counts)) for position in self.positions.values()), Counter())

    @property
    def bytes(self) -> int:
        return sum(position.bytes for position in self.positions.values())

    @property
    def failing(self) -> list[dict[str, Any]]:
        """The first failing unit of each item."""
        found = [told for position in self.positions.values() for _at, told in list(position.failing.values())]
        return sorted(found, key=lambda told: str(sorted(told.items())))

    @property
    def held(self) -> int:
        """How many were held back behind a failing one of their item."""
        return sum(position.held for position in self.positions.values())

    def lane_of(self, item: bytes) -> int:
        return int.from_bytes(item[:8], "big") % len(self._queues)

    def is_done(self, unit: Unit) -> bool:
        """Whether an earlier run has dealt with it."""
        at, failing = self._former[self.lane_of(unit.item)]
        return unit.at <= at and not (unit.item in failing and unit.at >= failing[unit.item])

    def run(self, units: Iterable[Unit]) -> None:
        """Send all, in their order for each item. Stopped, or another error, when it did not come to its end."""
        lanes = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in range(len(self._queues))]
        for lane in lanes:
            lane.start()
        try:
            for unit in units:
                self._look()
                if self.is_done(unit):
                    self.skipped += 1
                else:
                    while not self._room.take(unit):
                        self._look()
                    self._queues[self.lane_of(unit.item)].put(unit)
            for waiting in self._queues:
                waiting.put(None)
            for lane in lanes:
                while lane.is_alive():
                    self._look()
                    lane.join(_LOOK_SECONDS)
            self._look()
        finally:
            # Daemons: a target that does not answer must not keep a run from ending.
            self._stop.set()
            end = time.monotonic() + GRACE_SECONDS
            for lane in lanes:
                lane.join(max(0.0, end - time.monotonic()))

    def _look(self) -> None:
        self._check()
        if not self._errors.empty():
            raise self._errors.get()

    def _lane(self, lane: int) -> None:
        try:
            _Lane(self, lane).work()
        except Exception as exc:  # the main thread tells
            self._errors.put(exc)


class _Lane:
    """One lane's work, in its thread."""

    def __init__(self, delivery: Delivery, lane: int) -> None:
        self._delivery, self._lane = delivery, lane
        self._position = delivery.positions[lane]
        self._queue, self._room, self._stop = delivery._queues[lane], delivery._room, delivery._stop
        self._waiting: list[Unit] = []
        self._over = False
        #: The largest batch that may be sent while one that failed as a whole is taken apart, and how far that is.
        self._largest, self._apart_until = 0, b""
        self._attempts: Counter[bytes] = Counter()
        self._last_error = ""

    def work(self) -> None:
        while not self._stop.is_set():
            batch = self._next_batch()
            if batch:
                self._settle(batch, self._send(batch))
            elif self._over:
                break
        if self._over and not self._waiting:
            # All that the run before left failing has had its turn.
            self._position.retrying = {}
            self._delivery._journal.write(self._lane, self._position.line())

    def _next_batch(self) -> list[Unit]:
        """The next units to send; none when there are none yet, or none at all any more."""
        batch: list[Unit] = []
        size, taken = 0, 0
        while True:
            if taken == len(self._waiting) and not self._take():
                if self._over or self._stop.is_set() or (batch and self._room.full):
                    break
                continue
            unit = self._waiting[taken]
            if unit.item in self._position.failing:
                self._position.held += 1
                self._pass(unit, taken)
                continue
            most = self._largest if batch and batch[0].at <= self._apart_until else 0
            if batch and (not self._delivery._target.fits(batch, size, unit) or (most and len(batch) >= most)):
                break
            batch.append(unit)
            size += unit.size
            taken += 1
        return batch

    def _pass(self, unit: Unit, place: int) -> None:
        """Leave out what is held back."""
        del self._waiting[place]
        self._room.give(unit)
        if place == 0:
            self._position.at = max(self._position.at, unit.at)

    def _take(self) -> bool:
        if self._over:
            return False
        try:
            unit = self._queue.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            return False
        if unit is None:
            self._over = True
            return False
        self._waiting.append(unit)
        return True

    def _send(self, batch: list[Unit]) -> Outcome:
        """Until it is not put off any more."""
        delivery, delay = self._delivery, _FIRST_DELAY
        end = None
        while True:
            delivery._pace.wait(len(batch), self._stop)
            if self._stop.is_set():
                raise Stopped("the run was ended")
            outcome = delivery._target.send(batch)
            delivery.batches += 1
            if not isinstance(outcome, NotRun):
                return outcome
            delivery.reasons[outcome.reason] += 1
            # From the first refusal on: before it the lane may have waited for its turn.
            end = end or time.monotonic() + delivery._timeout
            if time.monotonic() + delay > end:
                raise Stopped(f"the target took nothing for {delivery._timeout:g} s: {outcome.reason}")
            self._stop.wait(delay)
            delay = min(2 * delay, _LONGEST_DELAY)

    def _settle(self, batch: list[Unit], outcome: Outcome) -> None:
        done = 0
        if isinstance(outcome, Processed):
            done = outcome.count
            if done < len(batch) and not outcome.put_off:
                self._blame(batch[done], outcome.error_type, outcome.text)
        elif isinstance(outcome, Failed):
            if len(batch) == 1:
                self._blame(batch[0], outcome.error_type, outcome.text)
            self._largest, self._apart_until = max(1, len(batch) // 2), batch[-1].at
        for unit in batch[:done]:
            self._position.counts[unit.kind] += 1
            self._position.bytes += unit.size
            self._position.at = max(self._position.at, unit.at)
            self._room.give(unit)
            if unit.item in self._position.retrying:
                _at, told = self._position.retrying[unit.item]
                self._position.retrying[unit.item] = (unit.at + _BEHIND, told)
        # What failed for good is passed by at its turn, with the later ones of its item.
        self._waiting = [*batch[done:], *self._waiting[len(batch) :]]
        while self._waiting and self._waiting[0].item in self._position.failing:
            unit = self._waiting[0]
            self._position.held += unit.at != self._position.failing[unit.item][0]
            self._pass(unit, 0)
        self._delivery._journal.write(self._lane, self._position.line())
        failing = sum(len(position.failing) for position in self._delivery.positions.values())
        if failing >= MOST_FAILING:
            raise Stopped(
                f"{failing} items fail, the last with {self._last_error}: see whether the target works at all"
            )

    def _blame(self, unit: Unit, error_type: str, text: str) -> None:
        self._attempts[unit.at] += 1
        if self._attempts[unit.at] < ATTEMPTS:
            return
        del self._attempts[unit.at]
        self._last_error = error_type
        told = {**unit.told, "error_type": error_type}
        self._position.failing[unit.item] = (unit.at, told)
        self._delivery.on_failure(unit, error_type, text)
