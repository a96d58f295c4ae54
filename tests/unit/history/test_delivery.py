"""Lanes keep each item's order, lose nothing, and after a kill repeat at most the batch that each had under way."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections import defaultdict

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import delivery as module
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.answers import (
    Failed,
    NotRun,
    Processed,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.delivery import (
    Delivery,
    Pace,
    Position,
    Stopped,
    Unit,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_FIRST_DELAY", 0.001)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.002)


def unit(number: int, item: str) -> Unit:
    digest = hashlib.sha256(item.encode()).digest()
    return Unit(f"{number:05d}".encode(), digest, number, 10, "INSERT", {"number": number, "item": item})


class Killed(Exception):
    """Ends a run at once."""


class Scene:
    """A target that refuses some changes, puts off some batches, and may be killed."""

    def __init__(self, refused=(), poison=(), busy=0.0, seed=0, most=4):
        self.refused, self.poison, self.busy, self.most = set(refused), set(poison), busy, most
        self.source, self.lock = random.Random(seed), threading.Lock()
        self.taken: list[Unit] = []
        self.sent: list[list[Unit]] = []
        self.lines: dict[int, dict] = {}
        self.kill_after = None

    def fits(self, batch, size, unit):
        return len(batch) < self.most

    def send(self, batch):
        with self.lock:
            if self.kill_after is not None and len(self.sent) >= self.kill_after:
                raise Killed
            self.sent.append(batch)
            if self.source.random() < self.busy:
                return NotRun("Throttled")
            if any(each.body in self.poison for each in batch):
                return Failed("Boom", "text")
            for place, each in enumerate(batch):
                if each.body in self.refused:
                    return Processed(place)
                self.taken.append(each)
            return Processed(len(batch))

    def write(self, lane, line):
        with self.lock:
            # A killed run writes nothing more.
            if self.kill_after is None or len(self.sent) < self.kill_after or self.source.random() < 0.5:
                self.lines[lane] = line

    def run(self, units, lanes=3, **more):
        positions = {lane: Position.read(line) for lane, line in self.lines.items()}
        found = Delivery(self, lanes, self, positions, **more)
        found.run(units)
        return found


UNITS = st.lists(st.sampled_from("abcdef"), max_size=40).map(
    lambda items: [unit(number, item) for number, item in enumerate(items, 1)]
)


def by_item(units):
    found = defaultdict(list)
    for each in units:
        found[each.told["item"]].append(each.body)
    return found


@given(units=UNITS, data=st.data())
@settings(max_examples=60)
def test_each_item_comes_in_order_and_stops_at_its_first_failure(units, data):
    numbers = [each.body for each in units]
    bad = set(data.draw(st.lists(st.sampled_from(numbers), max_size=3))) if units else set()
    poison = set(data.draw(st.lists(st.sampled_from(numbers), max_size=2))) if units else set()
    scene = Scene(bad - poison, poison, busy=0.2, seed=data.draw(st.integers(0, 99)))

    found = scene.run(units)

    stops = bad | poison
    wanted, held, failing = {}, 0, []
    for item, own in by_item(units).items():
        ends = [each for each in own if each in stops][:1]
        wanted[item] = own if not ends else own[: own.index(ends[0])]
        failing += ends
        held += len(own) - len(wanted[item]) - len(ends)
    assert by_item(scene.taken) == {i: own for i, own in wanted.items() if own}
    assert sorted(told["number"] for told in found.failing) == sorted(failing)
    assert {told["error_type"] for told in found.failing} <= {"Boom", "BatchItemFailure"}
    assert found.held == held
    assert found.counts["INSERT"] == len(scene.taken)


@given(units=UNITS, kills=st.lists(st.integers(0, 6), max_size=4), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_a_killed_run_that_is_continued_repeats_at_most_a_batch_a_lane(units, kills, seed):
    scene, lanes = Scene(seed=seed), 3
    for kill in kills:
        before = len(scene.sent)
        scene.kill_after = before + kill
        try:
            scene.run(units, lanes)
        except Killed:
            pass
        else:
            break
    scene.kill_after = None

    scene.run(units, lanes)

    assert {each.body for each in scene.taken} == {each.body for each in units}
    assert len(scene.taken) - len(units) <= len(kills) * lanes * scene.most
    # Without its repetitions, each item's order is that of the log.
    for item, own in by_item(scene.taken).items():
        assert list(dict.fromkeys(own)) == by_item(units)[item]
    # And once all was sent, another run sends nothing.
    count = len(scene.taken)
    again = scene.run(units, lanes)
    assert len(scene.taken) == count
    assert again.skipped == len(units)


@given(units=UNITS, data=st.data())
@settings(max_examples=60)
def test_what_failed_is_tried_again_by_the_next_run_even_when_that_is_killed(units, data):
    numbers = [each.body for each in units]
    bad = set(data.draw(st.lists(st.sampled_from(numbers), max_size=4))) if units else set()
    scene = Scene(bad, seed=data.draw(st.integers(0, 99)))
    scene.run(units)
    scene.refused = set()
    scene.kill_after = len(scene.sent) + data.draw(st.integers(0, 3))
    with contextlib.suppress(Killed):
        scene.run(units)
    scene.kill_after = None

    found = scene.run(units)

    assert found.failing == []
    assert {each.body for each in scene.taken} == set(numbers)
    for item, own in by_item(scene.taken).items():
        assert list(dict.fromkeys(own)) == by_item(units)[item]


def test_a_target_that_takes_nothing_ends_the_run_with_the_reason():
    with pytest.raises(Stopped, match="the target took nothing for 0.05 s: Throttled"):
        Scene(busy=1.0).run([unit(1, "a")], timeout=0.05)


def test_a_run_that_is_asked_to_end_waits_for_the_batches_under_way():
    scene, begun = Scene(), threading.Event()

    def slow(batch):
        begun.set()
        time.sleep(0.1)
        return Processed(len(batch))

    scene.send = slow

    def check():
        if begun.is_set():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.run([unit(number, "a") for number in range(1, 9)], check=check)

    assert scene.lines[Delivery(scene, 3, scene).lane_of(unit(1, "a").item)]["counts"] == {"INSERT": 4}


def test_the_pace_gives_so_many_a_second_over_all():
    moments = [0.0]
    pace, stop = Pace(10, lambda: moments[0]), threading.Event()
    waited = []
    stop.wait = waited.append

    for _batch in range(3):
        pace.wait(5, stop)

    assert waited == [0.0, 0.5, 1.0]


def test_an_error_of_the_target_ends_the_run():
    scene = Scene()
    scene.send = lambda batch: 1 / 0

    with pytest.raises(ZeroDivisionError):
        scene.run([unit(1, "a")])


def test_no_more_waits_to_be_sent_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(module, "_AHEAD_BYTES", 10 * (10 + module._OVERHEAD))
    # Batches are larger than the room: a lane must not wait for one to be full.
    scene, read, ahead = Scene(most=100), [], []
    send = scene.send

    def watched(batch):
        ahead.append(len(read) - len(scene.taken))
        return send(batch)

    scene.send = watched

    def units():
        for number in range(1, 101):
            read.append(number)
            yield unit(number, f"item-{number % 7}")

    scene.run(units())

    assert len(scene.taken) == 100
    assert max(ahead) <= 11


def test_a_unit_larger_than_all_room_is_sent_alone(monkeypatch):
    monkeypatch.setattr(module, "_AHEAD_BYTES", 5)
    scene = Scene()

    scene.run([unit(number, "a") for number in range(1, 4)])

    assert [len(batch) for batch in scene.sent] == [1, 1, 1]


def test_what_is_held_back_leaves_its_room(monkeypatch):
    monkeypatch.setattr(module, "_AHEAD_BYTES", 4 * (10 + module._OVERHEAD))
    scene = Scene(refused={1})

    found = scene.run([unit(number, "a") for number in range(1, 40)])

    assert (found.held, len(found.failing)) == (38, 1)


def test_the_time_that_a_lane_waits_for_its_turn_is_none_in_which_the_target_took_nothing():
    scene, answers = Scene(most=1), [Processed(1), NotRun("Throttled"), Processed(1)]
    scene.send = lambda batch: answers.pop(0)

    found = scene.run([unit(1, "a"), unit(2, "a")], rate=5, timeout=0.05)

    assert found.counts["INSERT"] == 2


def test_a_batch_that_fails_as_a_whole_is_halved_and_its_culprit_is_tried_again_alone():
    scene = Scene(poison={3}, most=8)

    found = scene.run([unit(number, "a" if number == 3 else "b") for number in range(1, 9)], lanes=1)

    assert [len(batch) for batch in scene.sent] == [8, 4, 2, 2, 1, 1, 5]
    assert [told["number"] for told in found.failing] == [3]


def test_a_target_that_refuses_everything_ends_the_run(monkeypatch):
    monkeypatch.setattr(module, "MOST_FAILING", 10)
    scene = Scene(poison=range(1, 1000))

    with pytest.raises(Stopped, match="10 items fail, the last with Boom"):
        scene.run([unit(number, f"item-{number}") for number in range(1, 1000)], lanes=1)

    assert len(scene.lines[0]["failing"]) == 10
