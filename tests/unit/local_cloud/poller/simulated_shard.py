"""One shard with a function and a destination, on a clock that is only counted: drives the engine, and watches it.

Everything that happens is drawn from one random number generator, so a failing example happens again.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from local_cloud.poller.engine import ShardEngine
from local_cloud.poller.model import PAYLOAD_BYTES, Batch, Discard, FunctionError, NotRun, Outcome, Returned, Settings
from tests.unit.stream_records import FIRST_SECOND, make_record

#: Examples of a property; `make soak` runs many more.
EXAMPLES = 80
if os.environ.get("CDC_SOAK") == "1":
    EXAMPLES = 2000

#: What a function does with a batch.
Function = Callable[[Batch], Outcome]


def change(number: int, item: int, created: int = FIRST_SECOND, event: str = "INSERT") -> dict:
    keys = {"Id": {"S": f"item-{item}"}}
    record = make_record(keys, old=None if event == "INSERT" else dict(keys), new=dict(keys), number=10**20 + number)
    record["dynamodb"]["ApproximateCreationDateTime"] = created
    return record


def sequence_number(record: dict) -> str:
    return record["dynamodb"]["SequenceNumber"]


def sequence_numbers(records: Sequence[dict]) -> tuple[str, ...]:
    return tuple(sequence_number(record) for record in records)


def item(record: dict) -> str:
    return json.dumps(record["dynamodb"]["Keys"])


def raises_on(poison: set[str]) -> Function:
    """A function that raises whenever the batch holds a poisoned record."""
    return lambda batch: FunctionError() if poison & set(sequence_numbers(batch.records)) else Returned()


def reports(poison: set[str]) -> Function:
    """A function that handles records in order up to the first poisoned one, and reports that one."""

    def function(batch: Batch) -> Outcome:
        bad = [number for number in sequence_numbers(batch.records) if number in poison]
        return Returned({"batchItemFailures": [{"itemIdentifier": number} for number in bad[:1]]})

    return function


def handled(batch: Batch, outcome: Outcome, partial: bool) -> tuple[str, ...]:
    """Which records the function has dealt with, read from its answer independently of the engine."""
    numbers = sequence_numbers(batch.records)
    if not isinstance(outcome, Returned):
        return ()
    failures = outcome.response.get("batchItemFailures") if partial and isinstance(outcome.response, dict) else []
    reported = [int(failure["itemIdentifier"]) for failure in failures or []]
    return tuple(number for number in numbers if not reported or int(number) < min(reported))


class Simulation:
    def __init__(
        self,
        settings: Settings,
        records: Sequence[dict],
        function: Function,
        filtered: Sequence[str] = (),
        seed: int = 0,
    ):
        self.settings, self.records, self.function = settings, list(records), function
        self.random = Random(seed)
        self.now = float(FIRST_SECOND)
        self.engine = ShardEngine(settings)
        self.next = 0
        self.in_flight: list[Batch] = []
        self.giving_up: list[Discard] = []
        #: What became of records, over all restarts: filtered out, handled by the function, taken by the destination.
        self.filtered = set(filtered)
        self.delivered: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        self.given_up: list[Discard] = []
        #: How often the function saw each of them.
        self.shown: Counter[str] = Counter()
        #: Invocations of the same records by the engine that lives now.
        self.runs: Counter[tuple[str, ...]] = Counter()
        self.fixed_lanes = True
        self._before = _earlier_changes(self.records)

    # What may happen.

    def read(self, most: int | None = None) -> None:
        room = self.engine.room()
        count = min(room, len(self.records) - self.next, room if most is None else most)
        self.engine.offer(self.records[self.next : self.next + count], self.now)
        self.next += count
        if self.next == len(self.records):
            self.engine.close(self.now)
        self.look()

    def invoke(self) -> list[Batch]:
        batches = self.engine.due(self.now)
        self.in_flight += batches
        # What is given up before a batch may be of the same item.
        self.give_up()
        moment = self.engine.next_due(self.now)
        assert moment is None or moment > self.now, "something is due that was not handed out"
        for batch in batches:
            self._check_batch(batch)
        self._check_lanes()
        return batches

    def settle(self, batch: Batch, outcome: Outcome | None = None) -> None:
        outcome = outcome or self.function(batch)
        self.in_flight.remove(batch)
        self.shown.update(sequence_numbers(batch.records))
        self.delivered.update(handled(batch, outcome, self.settings.partial_responses))
        if not isinstance(outcome, NotRun):
            self._count_run(batch)
        self.engine.settle(batch.number, outcome, self.now)
        self.look()

    def give_up(self) -> list[Discard]:
        discards = self.engine.discards(self.now)
        for discard in discards:
            assert discard.records
            assert len(discard.records) <= self.settings.batch_size or not self.fixed_lanes
        self.giving_up += discards
        self.given_up += discards
        return discards

    def hand_over(self, discard: Discard, delivered: bool | None = True) -> None:
        self.giving_up.remove(discard)
        self.taken.update(sequence_numbers(discard.records))
        self.engine.discarded(discard.number, delivered)
        self.look()

    def restart(self) -> None:
        """As after a kill -9: all that is left is what was saved."""
        saved = self.engine.saved()
        self.engine = ShardEngine(self.settings, saved)
        self.in_flight, self.giving_up, self.runs = [], [], Counter()
        self.next = self._place_after(saved.checkpoint)
        if self.next == len(self.records):
            self.engine.close(self.now)

    def update(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)
        self.engine.update(self.settings)
        self.fixed_lanes = False

    def wait(self, most: float = float("inf")) -> bool:
        """On to the next moment at which something is due; False when time alone brings nothing."""
        moment = self.engine.next_due(self.now)
        if moment is None:
            return False
        assert moment >= self.now
        self.now = min(moment, self.now + most)
        return True

    # From the start to the end.

    def step(self) -> None:
        """One thing that may happen now, by chance."""
        # By minutes: a destination that is slow to answer is not out for as long as the stream keeps records.
        choices = [self.invoke, self.give_up, lambda: self.wait(60.0)]
        choices += [lambda: self.read(self.random.randint(0, 7))] if self.next < len(self.records) else []
        choices += [lambda: self.settle(self.random.choice(self.in_flight))] * 3 if self.in_flight else []
        choices += [lambda: self.hand_over(self.random.choice(self.giving_up))] if self.giving_up else []
        self.random.choice(choices)()

    def drain(self, steps: int = 20_000) -> None:
        """Everything as soon as it can happen, until the shard is finished."""
        for _step in range(steps):
            if self.engine.finished:
                break
            self.read()
            busy = [*self.give_up(), *self.invoke()]
            for batch in list(self.in_flight):
                self.settle(batch)
            for discard in list(self.giving_up):
                self.hand_over(discard)
            assert busy or self.wait() or self.next < len(self.records) or self.engine.finished, (
                "nothing more would come"
            )
        assert self.engine.finished, "the shard never came to its end"
        assert self.engine.saved().finished

    # What must hold at every moment.

    def look(self) -> None:
        """The checkpoint is at or past no record that is not done."""
        for record in self.records[: self._place_after(self.engine.saved().checkpoint)]:
            assert self._is_done(sequence_number(record)), "the checkpoint passed a record that is not done"

    def done(self) -> set[str]:
        return {number for number in sequence_numbers(self.records) if self._is_done(number)}

    def _is_done(self, number: str) -> bool:
        return bool(self.delivered[number] or self.taken[number] or number in self.filtered)

    def _place_after(self, checkpoint: str | None) -> int:
        if checkpoint is None:
            return 0
        return next(place for place, record in enumerate(self.records, 1) if sequence_number(record) == checkpoint)

    def _check_batch(self, batch: Batch) -> None:
        assert len(batch.records) <= self.settings.batch_size or not self.fixed_lanes
        assert len(json.dumps({"Records": batch.records})) <= PAYLOAD_BYTES or len(batch.records) == 1
        numbers = sequence_numbers(batch.records)
        assert sorted(numbers, key=int) == list(numbers)
        over = {number for discard in self.giving_up for number in sequence_numbers(discard.records)}
        for place, number in enumerate(numbers):
            for earlier in self._before[number]:
                assert self._is_done(earlier) or earlier in over or earlier in numbers[:place], "a change was overtaken"

    def _check_lanes(self) -> None:
        """No item is in two invocations at once, and there are no more of them than lanes."""
        items = [{item(record) for record in batch.records} for batch in self.in_flight]
        assert sum(map(len, items)) == len(set().union(*items))
        if self.fixed_lanes:
            assert len(self.in_flight) <= self.settings.parallelization_factor

    def _count_run(self, batch: Batch) -> None:
        numbers = sequence_numbers(batch.records)
        self.runs[numbers] += 1
        if numbers and self.settings.maximum_retry_attempts >= 0 and self.fixed_lanes:
            assert self.runs[numbers] <= self.settings.maximum_retry_attempts + 1


def _earlier_changes(records: Sequence[dict]) -> dict[str, list[str]]:
    """For each record, the earlier ones of the same item."""
    before: dict[str, list[str]] = {}
    seen: dict[str, list[str]] = defaultdict(list)
    for record in records:
        before[sequence_number(record)] = list(seen[item(record)])
        seen[item(record)].append(sequence_number(record))
    return before
