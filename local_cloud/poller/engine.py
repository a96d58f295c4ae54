"""One shard as one mapping reads it: batches, attempts, discards, checkpoint.

Pure: time comes in as epoch seconds, records and outcomes are told, and what to do is handed out. No thread, no AWS, no
chance. https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html; what no page of AWS states is marked "inferred".
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from .filters import compile_patterns
from .lanes import Chunk, Held, Lane, hold, lane_of
from .model import (
    PAYLOAD_BYTES,
    Batch,
    Counts,
    Discard,
    FunctionError,
    NotRun,
    Outcome,
    Returned,
    Saved,
    Settings,
    Window,
)
from .responses import failed_from
from .windows import STATE_BYTES, OpenWindow, size_of, state_of, window_of

# Inferred, all of it: AWS says "with backoff" and gives no numbers.
#: Seconds until the next try: after the first failure, and at most.
FUNCTION_ERROR_BACKOFF = (0.5, 8.0)
NOT_RUN_BACKOFF = (0.25, 5.0)
#: How far a shard is read ahead, in records: at least so many, and so many batches.
READ_AHEAD_RECORDS, READ_AHEAD_BATCHES = 1000, 10
#: A tumbling window that is over waits so long for records that were written in time and not read yet.
WINDOW_GRACE_SECONDS = 1.0

#: What an event holds beside its records and its state, at most.
_ENVELOPE_BYTES = 2048
_AT_ONCE = float("-inf")


class ShardEngine:
    """One shard as one mapping reads it."""

    def __init__(self, settings: Settings, saved: Saved | None = None):
        saved = saved or Saved()
        self.counts = Counts()
        self._settings = settings
        self._passes = compile_patterns(settings.patterns)
        self._lanes = _lanes_for(settings)
        #: Lanes of an earlier factor that still have batches under way.
        self._retired: list[Lane] = []
        self._window = OpenWindow(**saved.window) if saved.window and settings.tumbling_window_seconds else None
        self._checkpoint = saved.checkpoint
        self._closed = saved.finished
        #: Sequence numbers that were read above the checkpoint, in stream order, and whether they are done.
        self._read: OrderedDict[str, bool] = OrderedDict()
        #: When the last record was read; before the first one, when the engine was first asked what is due.
        self._last_read = _AT_ONCE
        self._numbers = itertools.count(1)
        self._in_flight: dict[int, Lane] = {}
        self._discards: list[Discard] = []
        self._handed_out: dict[int, Discard] = {}

    @property
    def finished(self) -> bool:
        return self._closed and not self._read and self._window is None

    def saved(self) -> Saved:
        window = self._window.saved() if self._window else None
        return Saved(self._checkpoint, self.finished, window)

    # Reading.

    def room(self) -> int:
        """How many more records may be read. What is done but above the checkpoint counts: it bounds what a restart
        delivers again."""
        limit = max(READ_AHEAD_RECORDS, READ_AHEAD_BATCHES * self._settings.batch_size)
        return max(0, limit - len(self._read))

    def offer(self, records: Sequence[dict], now: float) -> None:
        for record in records:
            # Reading again from an earlier place must not deliver again what is under way.
            if record["dynamodb"]["SequenceNumber"] not in self._read:
                self._last_read = now
                self._take(hold(record, now))
        self._advance()

    def close(self, now: float) -> None:
        self._closed = True

    def update(self, settings: Settings) -> None:
        """Take over a mapping's changed settings. Records that were let through or filtered out stay so."""
        # First, since it may raise: then the settings stay as they were.
        self._passes = compile_patterns(settings.patterns)
        before, self._settings = self._settings, settings
        if _layout(before) != _layout(settings):
            self._relane()

    # Invoking.

    def due(self, now: float) -> list[Batch]:
        # A window that was open at a restart is not over until what came in it had time to be read again.
        self._last_read = now if self._last_read == _AT_ONCE else self._last_read
        self._retired = [lane for lane in self._retired if lane.chunks]
        batches = []
        for lane in self._all_lanes():
            self._expire(lane, now)
            ready_at = self._ready_at(lane)
            if ready_at is not None and ready_at <= now:
                batches.append(self._start(lane))
        return batches

    def settle(self, number: int, outcome: Outcome, now: float) -> None:
        lane = self._in_flight.pop(number)
        lane.busy = False
        chunk = lane.chunks[-1]
        self.counts.invoked += len(chunk.records)
        if isinstance(outcome, NotRun):
            self.counts.failed_invoke += len(chunk.records)
            _back_off(chunk, NOT_RUN_BACKOFF, now)
            return
        chunk.attempts += 1
        chunk.last = outcome
        if chunk.final:
            self._settle_final(lane, chunk, outcome, now)
        else:
            self._settle_records(lane, chunk, outcome, now)
        self._advance()

    def next_due(self, now: float) -> float | None:
        if self._discards:
            return now
        moments = [
            moment
            for lane in self._all_lanes()
            for moment in (self._ready_at(lane), self._expires_at(lane))
            if moment is not None
        ]
        return max(now, min(moments)) if moments else None

    # Giving up.

    def discards(self, now: float) -> list[Discard]:
        for lane in self._all_lanes():
            self._expire(lane, now)
        handed, self._discards = self._discards, []
        self._handed_out |= {discard.number: discard for discard in handed}
        return handed

    def discarded(self, number: int, delivered: bool | None) -> None:
        discard = self._handed_out.pop(number)
        if delivered:
            self.counts.delivered_to_destination += len(discard.records)
        else:
            self.counts.dropped += len(discard.records)
        self._finish(discard.records)
        self._advance()

    # Inside: what was read.

    def _take(self, held: Held) -> None:
        self.counts.polled += 1
        passes = self._passes(held.record)
        self._read[held.sequence_number] = not passes
        if passes:
            self._lane(held).fresh.append(held)
        else:
            self.counts.filtered_out += 1

    def _lane(self, held: Held) -> Lane:
        return self._lanes[lane_of(held.item, len(self._lanes))]

    def _all_lanes(self) -> list[Lane]:
        return [*self._retired, *self._lanes]

    def _relane(self) -> None:
        """New lanes for what is in no batch yet. Batches under way end as they began, outside any window."""
        before = self._lanes
        self._lanes = _lanes_for(self._settings)
        self._window = None
        places = {sequence_number: place for place, sequence_number in enumerate(self._read)}
        waiting = sorted(
            (held for lane in before for held in lane.fresh), key=lambda held: places[held.sequence_number]
        )
        for held in waiting:
            self._lane(held).fresh.append(held)
        for lane in before:
            lane.fresh.clear()
            lane.windowed = False
            lane.chunks = [chunk for chunk in lane.chunks if chunk.records or lane.busy and chunk is lane.chunks[-1]]
        self._retired += [lane for lane in before if lane.chunks]

    def _finish(self, records: Iterable[dict]) -> None:
        for record in records:
            self._read[record["dynamodb"]["SequenceNumber"]] = True

    def _advance(self) -> None:
        while self._read and next(iter(self._read.values())):
            self._checkpoint, _done = self._read.popitem(last=False)

    # Inside: when a lane has something to do, and what.

    def _ready_at(self, lane: Lane) -> float | None:
        """When the lane has an invocation to make; None: not by time alone."""
        if lane.busy or (lane.windowed and self._unsettled()):
            return None
        if lane.chunks:
            return lane.chunks[-1].not_before
        return self._final_at(lane) if self._window_is_over(lane) else self._batch_at(lane)

    def _unsettled(self) -> bool:
        """A window's state must never be ahead of the checkpoint: a restart would add records to it twice."""
        return bool(self._discards or self._handed_out or any(lane.chunks for lane in self._retired))

    def _window_is_over(self, lane: Lane) -> bool:
        """No record that is held belongs to the open window. A late one goes into it: inferred."""
        if not lane.windowed or self._window is None:
            return False
        return not lane.fresh or lane.fresh[0].created >= self._window.end

    def _final_at(self, lane: Lane) -> float:
        return _AT_ONCE if lane.fresh or self._closed else self._closes_at(self._window)

    def _batch_at(self, lane: Lane) -> float | None:
        if not lane.fresh:
            return None
        count, complete = self._next_batch(lane)
        if not count:
            return None
        if complete or self._closed or not self._settings.window_seconds:
            return _AT_ONCE
        runs_out = lane.fresh[0].offered + self._settings.window_seconds
        return min(runs_out, self._closes_at(self._window_for(lane.fresh[0]))) if lane.windowed else runs_out

    def _next_batch(self, lane: Lane) -> tuple[int, bool]:
        """How many records the lane's next batch has, and whether waiting could add no more."""
        blocked = {held.item for old in self._retired for chunk in old.chunks for held in chunk.records}
        ends = self._window_for(lane.fresh[0]).end if lane.windowed else float("inf")
        fitting = itertools.takewhile(lambda held: held.created < ends and held.item not in blocked, lane.fresh)
        count = len(self._batch_from(fitting, lane))
        return count, count < len(lane.fresh) or count == self._settings.batch_size

    def _batch_from(self, records: Iterable[Held], lane: Lane) -> list[Held]:
        """The first records, as many as one batch takes. One that is too large by itself still goes, alone."""
        budget = PAYLOAD_BYTES - _ENVELOPE_BYTES - (STATE_BYTES if lane.windowed else 0)
        batch: list[Held] = []
        for held in itertools.islice(records, self._settings.batch_size):
            budget -= held.size
            if batch and budget < 0:
                break
            batch.append(held)
        return batch

    def _window_for(self, held: Held) -> OpenWindow:
        return self._window or window_of(held.created, self._settings.tumbling_window_seconds)

    def _closes_at(self, window: OpenWindow) -> float:
        # While a backlog is still being read, the next window's first record says that this one is over.
        return max(window.end, self._last_read) + WINDOW_GRACE_SECONDS

    def _start(self, lane: Lane) -> Batch:
        if not lane.chunks:
            lane.chunks.append(Chunk([], final=True) if self._window_is_over(lane) else self._form(lane))
        chunk = lane.chunks[-1]
        lane.busy = True
        number = next(self._numbers)
        self._in_flight[number] = lane
        return Batch(number, _records(chunk.records), self._window_fields(lane, chunk))

    def _form(self, lane: Lane) -> Chunk:
        count, _complete = self._next_batch(lane)
        if lane.windowed:
            self._window = self._window_for(lane.fresh[0])
        return Chunk([lane.fresh.popleft() for _index in range(count)])

    def _window_fields(self, lane: Lane, chunk: Chunk | None) -> Window | None:
        if not lane.windowed or self._window is None or chunk is None:
            return None
        window = self._window
        return Window(window.start, window.end, window.state, chunk.final, chunk.terminated_early)

    # Inside: what an invocation came to.

    def _settle_final(self, lane: Lane, chunk: Chunk, outcome: FunctionError | Returned, now: float) -> None:
        """Nothing goes on before a window's final call has succeeded, so no quota ends it."""
        if isinstance(outcome, FunctionError) and lane.windowed:
            _back_off(chunk, FUNCTION_ERROR_BACKOFF, now)
            return
        lane.chunks.pop()
        if lane.windowed:
            self._end_window(early=chunk.terminated_early)

    def _end_window(self, early: bool) -> None:
        # Ended early, the same window goes on with a fresh state.
        self._window = OpenWindow(self._window.start, self._window.end) if early else None

    def _settle_records(self, lane: Lane, chunk: Chunk, outcome: FunctionError | Returned, now: float) -> None:
        failed = self._failed_from(lane, chunk, outcome)
        if failed is None:
            lane.chunks.pop()
            self._finish(_records(chunk.records))
            return
        self.counts.failed_invoke += len(chunk.records) - failed
        if failed:
            self._go_on_from(lane, chunk, failed, now)
        elif self._settings.bisect and len(chunk.records) > 1:
            self._halve(lane, chunk, now)
        elif 0 <= self._settings.maximum_retry_attempts < chunk.attempts:
            lane.chunks.pop()
            self._discard(chunk.records, "RetryAttemptsExhausted", lane, chunk)
        else:
            _back_off(chunk, FUNCTION_ERROR_BACKOFF, now)
        if self._outgrown(lane, outcome):
            lane.chunks.append(Chunk([], final=True, terminated_early=True))

    def _failed_from(self, lane: Lane, chunk: Chunk, outcome: FunctionError | Returned) -> int | None:
        if isinstance(outcome, FunctionError):
            return 0
        state = state_of(outcome.response)
        if lane.windowed and (state is None or size_of(state) > STATE_BYTES):
            return 0
        numbers = [held.sequence_number for held in chunk.records]
        failed = failed_from(outcome.response, numbers) if self._settings.partial_responses else None
        if lane.windowed and failed != 0:
            self._window.state = state
        return failed

    def _outgrown(self, lane: Lane, outcome: FunctionError | Returned) -> bool:
        """The state became too large: the window ends early with the last state that fitted, and the records come again
        with a fresh one (inferred). A state that was fresh already is the function's own mistake."""
        if not lane.windowed or isinstance(outcome, FunctionError) or not self._window.state:
            return False
        state = state_of(outcome.response)
        return state is not None and size_of(state) > STATE_BYTES

    def _go_on_from(self, lane: Lane, chunk: Chunk, failed: int, now: float) -> None:
        """Progress: what is before the reported record is done, and the rest has a full quota."""
        lane.chunks.pop()
        self._finish(_records(chunk.records[:failed]))
        rest = Chunk(chunk.records[failed:], last=chunk.last)
        _back_off(rest, FUNCTION_ERROR_BACKOFF, now)
        lane.chunks.append(rest)

    def _halve(self, lane: Lane, chunk: Chunk, now: float) -> None:
        lane.chunks.pop()
        middle = len(chunk.records) // 2
        left, right = (Chunk(records, last=chunk.last) for records in (chunk.records[:middle], chunk.records[middle:]))
        _back_off(left, FUNCTION_ERROR_BACKOFF, now)
        lane.chunks += [right, left]

    def _discard(self, records: Iterable[Held], condition: str, lane: Lane, chunk: Chunk | None) -> None:
        invoke_count, last = (chunk.invoke_count, chunk.last) if chunk else (0, None)
        window = self._window_fields(lane, chunk)
        self._discards.append(Discard(next(self._numbers), _records(records), condition, invoke_count, last, window))

    # Inside: age.

    def _expires_at(self, lane: Lane) -> float | None:
        """When the lane's first record has become too old, or its window's final call."""
        if lane.busy:
            return None
        records, _chunk = self._leading(lane)
        moments = [self._too_old_at(records[0])] if records else []
        if lane.windowed and lane.chunks and lane.chunks[-1].final:
            moments.append(self._window.end + self._settings.retention_seconds)
        return min(moments, default=None)

    def _leading(self, lane: Lane) -> tuple[Sequence[Held], Chunk | None]:
        """What has the lane's first records: a batch under way, or what is in none yet."""
        for chunk in reversed(lane.chunks):
            if chunk.records:
                return chunk.records, chunk
        return lane.fresh, None

    def _too_old_at(self, held: Held) -> float:
        asked, kept = self._settings.maximum_record_age_seconds, self._settings.retention_seconds
        return held.created + (kept if asked < 0 else min(asked, kept))

    def _expire(self, lane: Lane, now: float) -> None:
        """Give up the leading records that are too old, whether they were invoked or not."""
        while True:
            expires_at = self._expires_at(lane)
            if expires_at is None or expires_at > now:
                return
            self._expire_first(lane, now)

    def _expire_first(self, lane: Lane, now: float) -> None:
        records, chunk = self._leading(lane)
        old = itertools.takewhile(lambda held: self._too_old_at(held) <= now, records)
        given_up = list(old) if chunk else self._batch_from(old, lane)
        if not given_up:
            # It was the window's final call. It has no records that could be lost.
            self._end_window(early=lane.chunks.pop().terminated_early)
            return
        self._discard(given_up, "RecordAgeExceeded", lane, chunk)
        if chunk is None:
            for _held in given_up:
                lane.fresh.popleft()
            return
        del chunk.records[: len(given_up)]
        if not chunk.records:
            lane.chunks.remove(chunk)


def _layout(settings: Settings) -> tuple[int, bool]:
    """How many lanes there are, and whether they have windows: with windows there is one lane."""
    windowed = settings.tumbling_window_seconds > 0
    return (1 if windowed else settings.parallelization_factor), windowed


def _lanes_for(settings: Settings) -> list[Lane]:
    count, windowed = _layout(settings)
    return [Lane(windowed) for _index in range(count)]


def _records(held: Iterable[Held]) -> tuple[dict, ...]:
    return tuple(each.record for each in held)


def _back_off(chunk: Chunk, backoff: tuple[float, float], now: float) -> None:
    first, most = backoff
    # The bound on the exponent keeps a number that doubles for hours within what a float holds.
    chunk.not_before = now + min(most, first * 2 ** min(chunk.failures, 32))
    chunk.failures += 1
