"""Tumbling windows: records by their time, a state that is carried, one final call."""

from __future__ import annotations

import json
from collections import defaultdict
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_cloud.poller.engine import WINDOW_GRACE_SECONDS, ShardEngine
from local_cloud.poller.model import FunctionError, NotRun, Returned, Saved, Settings
from local_cloud.poller.windows import STATE_BYTES
from tests.unit.local_cloud.poller.simulated_shard import (
    EXAMPLES,
    Simulation,
    change,
    sequence_number,
    sequence_numbers,
)
from tests.unit.stream_records import FIRST_SECOND

LENGTH = 60
START = FIRST_SECOND - FIRST_SECOND % LENGTH
NOW = float(START)


def engine_with(records, saved=None, **given_ones):
    engine = ShardEngine(Settings(tumbling_window_seconds=LENGTH, **given_ones), saved)
    engine.offer(records, NOW)
    return engine


def only(batches):
    (batch,) = batches
    return batch


def numbers_of(batch):
    return list(sequence_numbers(batch.records))


def test_a_batch_ends_where_its_window_ends_and_the_final_call_comes_between():
    records = [change(0, 0, START + 1), change(1, 1, START + 59), change(2, 2, START + 60)]
    engine = engine_with(records)
    first = only(engine.due(NOW))
    assert numbers_of(first) == list(sequence_numbers(records[:2]))
    assert (first.window.start, first.window.end, first.window.state) == (START, START + LENGTH, {})
    assert not first.window.final
    engine.settle(first.number, Returned({"state": {"n": 2}}), NOW)
    final = only(engine.due(NOW))
    assert (final.records, final.window.final, final.window.state) == ((), True, {"n": 2})
    engine.settle(final.number, Returned({}), NOW)
    second = only(engine.due(NOW))
    assert (second.window.start, second.window.state) == (START + LENGTH, {})
    assert numbers_of(second) == [sequence_number(records[2])]


def test_a_window_that_is_over_is_closed_without_a_later_record():
    engine = engine_with([change(0, 0, START)])
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {}}), NOW)
    over = START + LENGTH + WINDOW_GRACE_SECONDS
    assert engine.next_due(NOW) == over
    assert engine.due(over - 0.1) == []
    assert only(engine.due(over)).window.final


def test_a_batching_window_ends_with_the_window_that_its_records_belong_to():
    engine = engine_with([change(0, 0, START)], window_seconds=300)
    over = START + LENGTH + WINDOW_GRACE_SECONDS
    assert engine.next_due(NOW) == over
    assert not only(engine.due(over)).window.final


def test_the_end_of_the_shard_closes_the_window_at_once():
    engine = engine_with([change(0, 0, START)])
    engine.close(NOW)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {}}), NOW)
    assert not engine.finished
    engine.settle(only(engine.due(NOW)).number, Returned(), NOW)
    assert engine.finished


@pytest.mark.parametrize("response", [None, {}, {"state": None}, {"state": [1]}, "done"])
def test_an_answer_without_a_state_is_a_failed_invocation(response):
    engine = engine_with([change(0, 0, START)], maximum_retry_attempts=0)
    engine.settle(only(engine.due(NOW)).number, Returned(response), NOW)
    discard = only(engine.discards(NOW))
    assert (discard.condition, discard.invoke_count) == ("RetryAttemptsExhausted", 1)
    assert (discard.window.start, discard.window.final) == (START, False)


def test_what_is_given_up_leaves_the_window_open_with_its_last_state():
    records = [change(0, 0, START), change(1, 1, START)]
    engine = engine_with(records, batch_size=1, maximum_retry_attempts=0)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {"n": 1}}), NOW)
    engine.settle(only(engine.due(NOW)).number, FunctionError(), NOW)
    engine.discarded(only(engine.discards(NOW)).number, True)
    final = only(engine.due(NOW + 2 * LENGTH))
    assert (final.window.final, final.window.state) == (True, {"n": 1})


def test_the_state_waits_for_the_destination_so_that_a_restart_adds_nothing_twice():
    records = [change(0, 0, START), change(1, 1, START)]
    engine = engine_with(records, batch_size=1, maximum_retry_attempts=0)
    engine.settle(only(engine.due(NOW)).number, FunctionError(), NOW)
    assert engine.due(NOW) == []
    discard = only(engine.discards(NOW))
    assert engine.due(NOW) == []
    assert engine.saved() == Saved(window={"start": START, "end": START + LENGTH, "state": {}})
    engine.discarded(discard.number, None)
    assert numbers_of(only(engine.due(NOW))) == [sequence_number(records[1])]


def test_a_final_call_that_fails_holds_the_shard_until_it_succeeds():
    engine = engine_with([change(0, 0, START), change(1, 1, START + LENGTH)], maximum_retry_attempts=0)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {"n": 1}}), NOW)
    now = NOW
    for outcome in (FunctionError(), NotRun("throttled"), FunctionError(), FunctionError()):
        now = engine.next_due(now)
        final = only(engine.due(now))
        assert (final.window.final, final.window.state) == (True, {"n": 1})
        engine.settle(final.number, outcome, now)
    engine.settle(only(engine.due(now + 60)).number, Returned(), now + 60)
    assert only(engine.due(now + 60)).window.start == START + LENGTH


def test_a_final_call_is_not_tried_for_longer_than_the_stream_keeps_records():
    records = [change(0, 0, START), change(1, 1, START + 70)]
    engine = engine_with(records, retention_seconds=3600)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {}}), NOW)
    engine.settle(only(engine.due(NOW)).number, FunctionError(), NOW)
    later = START + LENGTH + 3600
    assert numbers_of(only(engine.due(later))) == [sequence_number(records[1])]


def too_large():
    return {"state": {"x": "y" * (STATE_BYTES + 1)}}


def test_a_state_that_grows_too_large_ends_the_window_early_and_the_records_come_again_with_a_fresh_one():
    records = [change(0, 0, START), change(1, 1, START)]
    engine = engine_with(records, batch_size=1)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {"n": 1}}), NOW)
    engine.settle(only(engine.due(NOW)).number, Returned(too_large()), NOW)
    early = only(engine.due(NOW))
    assert (early.records, early.window.final, early.window.terminated_early) == ((), True, True)
    assert early.window.state == {"n": 1}
    engine.settle(early.number, Returned(), NOW)
    again = only(engine.due(NOW + 1))
    assert numbers_of(again) == [sequence_number(records[1])]
    assert (again.window.start, again.window.state, again.window.terminated_early) == (START, {}, False)


def test_a_first_state_that_is_too_large_only_fails():
    engine = engine_with([change(0, 0, START)], maximum_retry_attempts=0)
    engine.settle(only(engine.due(NOW)).number, Returned(too_large()), NOW)
    assert engine.due(NOW) == []
    assert len(engine.discards(NOW)) == 1


def test_a_report_of_failures_keeps_the_state_of_what_was_done():
    records = [change(0, 0, START), change(1, 1, START)]
    engine = engine_with(records, partial_responses=True)
    answer = {"state": {"n": 1}, "batchItemFailures": [{"itemIdentifier": sequence_number(records[1])}]}
    engine.settle(only(engine.due(NOW)).number, Returned(answer), NOW)
    again = only(engine.due(NOW + 1))
    assert (numbers_of(again), again.window.state) == ([sequence_number(records[1])], {"n": 1})


def test_a_failure_of_the_whole_batch_leaves_the_state_as_it_was():
    engine = engine_with([change(0, 0, START)], partial_responses=True)
    answer = {"state": {"n": 1}, "batchItemFailures": [{"itemIdentifier": ""}]}
    engine.settle(only(engine.due(NOW)).number, Returned(answer), NOW)
    assert only(engine.due(NOW + 1)).window.state == {}


def test_a_late_record_joins_the_window_that_is_open():
    engine = engine_with([change(0, 0, START), change(1, 1, START - 5)])
    assert len(only(engine.due(NOW)).records) == 2


def test_a_restart_goes_on_with_the_open_window():
    engine = engine_with([change(0, 0, START), change(1, 1, START)], batch_size=1)
    engine.settle(only(engine.due(NOW)).number, Returned({"state": {"n": 1}}), NOW)
    saved = engine.saved()
    assert Saved(**json.loads(json.dumps(vars(saved)))) == saved
    restarted = engine_with([change(1, 1, START)], saved)
    assert only(restarted.due(NOW)).window.state == {"n": 1}


def test_a_restart_after_all_records_still_makes_the_final_call_once_there_was_time_to_read():
    saved = Saved(checkpoint="7", window={"start": START, "end": START + LENGTH, "state": {"n": 7}})
    engine, now = engine_with([], saved), START + 2 * LENGTH
    assert engine.due(now) == []
    assert engine.next_due(now) == now + WINDOW_GRACE_SECONDS
    assert only(engine.due(now + WINDOW_GRACE_SECONDS)).window.state == {"n": 7}


def test_windows_that_are_switched_off_leave_plain_batches():
    engine = engine_with([change(0, 0, START), change(1, 1, START + LENGTH)], batch_size=1)
    batch = only(engine.due(NOW))
    engine.update(Settings())
    engine.settle(batch.number, Returned(), NOW)
    plain = only(engine.due(NOW))
    assert (plain.window, len(plain.records)) == (None, 1)
    assert engine.saved().window is None


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    shape=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 25)), min_size=1, max_size=25),
    mapping=st.builds(
        Settings,
        batch_size=st.integers(1, 8),
        window_seconds=st.sampled_from([0, 2]),
        maximum_retry_attempts=st.integers(0, 3),
        bisect=st.booleans(),
        partial_responses=st.booleans(),
        tumbling_window_seconds=st.sampled_from([1, 10, 60]),
    ),
    seed=st.integers(0, 2**32),
    lives=st.lists(st.integers(0, 40), max_size=3),
)
def test_every_window_counts_each_of_its_records_once_through_failures_and_restarts(shape, mapping, seed, lives):
    records, created = [], FIRST_SECOND
    for number, (which, gap) in enumerate(shape):
        created += gap
        records.append(change(number, which, created))
    length, random, finals = mapping.tumbling_window_seconds, Random(seed), defaultdict(list)

    def function(batch):
        window, seen = batch.window, list(batch.window.state.get("seen", []))
        for record in batch.records:
            assert window.start <= record["dynamodb"]["ApproximateCreationDateTime"] < window.end
        assert (window.start % length, window.end - window.start) == (0, length)
        if (chance := random.random()) < 0.3:
            return FunctionError() if chance < 0.2 else NotRun("throttled")
        if window.final:
            finals[window.start] += seen
            return Returned({})
        count = random.choice([0, len(batch.records) // 2, len(batch.records), len(batch.records)])
        count = count if mapping.partial_responses else len(batch.records)
        failures = [{"itemIdentifier": number} for number in numbers_of(batch)[count:][:1]]
        return Returned({"state": {"seen": seen + numbers_of(batch)[:count]}, "batchItemFailures": failures})

    shard = Simulation(mapping, records, function, seed=seed)
    for life in lives:
        for _step in range(life):
            shard.step()
        shard.restart()
    shard.drain()
    expected = defaultdict(list)
    for record in records:
        if shard.delivered[sequence_number(record)]:
            expected[record["dynamodb"]["ApproximateCreationDateTime"] // length * length].append(
                sequence_number(record)
            )
    assert {start: seen for start, seen in finals.items() if seen} == expected
