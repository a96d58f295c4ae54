"""What the planner promises over any changes, outcomes and order of endings."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.answers import (
    REPORTED,
    Failed,
    NotRun,
    Processed,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.planner import (
    ATTEMPTS,
    Planner,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from redrive_support import NEWER_STREAM, STREAM, change

CHANGES = st.lists(
    st.tuples(st.integers(1, 60), st.sampled_from("abcde"), st.sampled_from([STREAM, NEWER_STREAM])),
    max_size=30,
    unique_by=lambda each: (each[0], each[2]),
).map(lambda found: [change(number, item, stream) for number, item, stream in found])


class Run:
    """Plays the function and Lambda: which changes are refused, and what else goes wrong, is drawn."""

    def __init__(self, data, changes, poison, accidents):
        self.data, self.poison, self.accidents = data, poison, accidents
        self.size = data.draw(st.integers(1, 7))
        self.bytes = data.draw(st.sampled_from([1, 600, 10**6]))
        self.planner = Planner(changes, self.size, self.bytes)
        self.in_flight: list[list] = []
        self.done: list = []

    def play(self, steps):
        """Until nothing is left, or for so many steps."""
        for _step in range(steps):
            batch = self.planner.next_batch() if self.data.draw(st.booleans()) or not self.in_flight else []
            if batch:
                self.check(batch)
                self.in_flight.append(batch)
            elif self.in_flight:
                self.end(self.in_flight.pop(self.data.draw(st.integers(0, len(self.in_flight) - 1))))
            elif not self.planner.waiting:
                return True
        return False

    def check(self, batch):
        assert len(batch) <= self.size
        assert len(batch) == 1 or sum(len(each.body) for each in batch) <= self.bytes
        assert len({each.stream_arn for each in batch}) == 1
        numbers = [int(each.number) for each in batch]
        assert numbers == sorted(set(numbers))
        flying = {each.item for other in self.in_flight for each in other}
        assert not flying & {each.item for each in batch}

    def end(self, batch):
        outcome = self.outcome(batch)
        if isinstance(outcome, Processed):
            self.done += batch[: outcome.count]
        assert self.planner.settle(batch, outcome) == (batch[: outcome.count] if isinstance(outcome, Processed) else [])

    def outcome(self, batch):
        drawn = self.data.draw(st.sampled_from(["fine", "fine", "not run", "raises"])) if self.accidents else "fine"
        if drawn == "not run":
            return NotRun("TooManyRequestsException")
        refused = [place for place, each in enumerate(batch) if each in self.poison]
        if drawn == "raises" or (refused and self.data.draw(st.booleans())):
            return Failed("ValueError")
        return Processed(refused[0] if refused else len(batch))


@given(st.data(), CHANGES, st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_change_is_processed_before_an_earlier_one_of_its_item_and_none_is_lost(data, changes, accidents):
    poison = data.draw(st.sets(st.sampled_from(changes), max_size=4)) if changes else set()
    run = Run(data, changes, poison, accidents)

    ended = run.play(data.draw(st.sampled_from([0, 5, 20, 5000])))

    planner = run.planner
    flying = [each for batch in run.in_flight for each in batch]
    failing = [each.change for each in planner.failing]
    everything = [*planner.recovered, *failing, *planner.held, *planner.waiting, *flying]
    assert Counter(everything) == Counter(changes)
    assert planner.recovered == run.done
    for item in {each.item for each in changes}:
        line = sorted((each for each in changes if each.item == item), key=lambda each: each.place)
        done = [each for each in run.done if each.item == item]
        assert done == line[: len(done)]
        # A failing change is the next in line, and everything after it is held.
        if failed := [each for each in failing if each.item == item]:
            assert failed == line[len(done) : len(done) + 1]
            assert (
                sorted((each for each in planner.held if each.item == item), key=lambda each: each.place)
                == (line[len(done) + 1 :])
            )
    if ended and not accidents:
        assert set(failing) <= poison


@given(st.data(), CHANGES)
@settings(max_examples=100, deadline=None)
def test_without_accidents_exactly_each_items_first_poison_fails(data, changes):
    poison = data.draw(st.sets(st.sampled_from(changes), max_size=4)) if changes else set()
    run = Run(data, changes, poison, accidents=False)

    assert run.play(5000)

    first = {}
    for each in sorted(poison, key=lambda one: one.place):
        first.setdefault(each.item, each)
    assert {each.change for each in run.planner.failing} == set(first.values())


def test_a_raising_change_among_a_hundred_costs_few_invocations():
    changes = [change(number, f"item-{number}") for number in range(100)]
    planner, invocations = Planner(changes, 100, 10**6), 0
    while batch := planner.next_batch():
        invocations += 1
        planner.settle(batch, Failed("ValueError") if changes[37] in batch else Processed(len(batch)))

    assert [each.change for each in planner.failing] == [changes[37]]
    assert len(planner.recovered) == 99
    assert invocations < 25


@pytest.mark.parametrize("ending", [Processed(0), Failed("ValueError", "text")])
def test_a_change_fails_for_good_at_its_second_time(ending):
    planner = Planner([change(1)], 10, 10**6)
    for attempt in range(ATTEMPTS):
        assert not planner.failing, attempt
        planner.settle(planner.next_batch(), ending)

    (failure,) = planner.failing
    assert failure.error_type == (ending.error_type if isinstance(ending, Failed) else REPORTED)
    assert planner.next_batch() == []


def test_a_throttle_uses_up_no_attempt():
    planner = Planner([change(1)], 10, 10**6)
    for _each in range(20):
        planner.settle(planner.next_batch(), NotRun("TooManyRequestsException"))

    planner.settle(planner.next_batch(), Processed(1))
    assert (len(planner.recovered), planner.failing) == (1, [])
