"""How batches are formed, tried, cut and given up: one shard's decisions, one by one."""

from __future__ import annotations

import pytest

from local_cloud.poller.engine import FUNCTION_ERROR_BACKOFF, READ_AHEAD_RECORDS, ShardEngine
from local_cloud.poller.model import FunctionError, NotRun, Returned, Saved, Settings
from tests.unit.local_cloud.poller.simulated_shard import (
    Simulation,
    change,
    raises_on,
    reports,
    sequence_number,
    sequence_numbers,
)
from tests.unit.stream_records import FIRST_SECOND as NOW


def stream(count, items=None):
    return [change(number, number % (items or count)) for number in range(count)]


def engine_with(records, saved=None, **settings):
    engine = ShardEngine(Settings(**settings), saved)
    engine.offer(records, NOW)
    return engine


def places(batches, records):
    """Which records each batch has, by their place in the stream."""
    return [[records.index(record) for record in batch.records] for batch in batches]


# Batches.


def test_a_batch_goes_at_once_without_a_window():
    records = stream(3)
    engine = engine_with(records)
    assert places(engine.due(NOW), records) == [[0, 1, 2]]


def test_a_batch_waits_for_its_window_counted_from_its_first_record():
    records = stream(2)
    engine = engine_with(records[:1], window_seconds=5)
    engine.offer(records[1:], NOW + 3)
    assert engine.due(NOW + 4.9) == []
    assert engine.next_due(NOW + 4.9) == NOW + 5
    assert places(engine.due(NOW + 5), records) == [[0, 1]]


def test_a_full_batch_waits_for_no_window():
    records = stream(5)
    engine = engine_with(records, batch_size=2, window_seconds=300)
    assert places(engine.due(NOW), records) == [[0, 1]]


def test_nothing_waits_for_a_window_once_the_shard_is_at_its_end():
    records = stream(1)
    engine = engine_with(records, window_seconds=300)
    engine.close(NOW)
    assert places(engine.due(NOW), records) == [[0]]


def large(number, size):
    record = change(number, number)
    record["dynamodb"]["NewImage"]["Blob"] = {"S": "x" * size}
    return record


def test_a_batch_ends_before_six_megabytes_and_then_waits_for_no_window():
    records = [large(number, 2_500_000) for number in range(3)]
    engine = engine_with(records, window_seconds=300)
    assert places(engine.due(NOW), records) == [[0, 1]]


def test_a_record_of_more_than_six_megabytes_goes_alone():
    records = [large(0, 7_000_000), change(1, 1)]
    engine = engine_with(records)
    (batch,) = engine.due(NOW)
    assert places([batch], records) == [[0]]
    engine.settle(batch.number, Returned(), NOW)
    assert places(engine.due(NOW), records) == [[1]]


def test_one_lane_has_one_invocation_at_a_time():
    records = stream(4)
    engine = engine_with(records, batch_size=2)
    (batch,) = engine.due(NOW)
    assert engine.due(NOW) == []
    assert engine.next_due(NOW) is None
    engine.settle(batch.number, Returned(), NOW)
    assert places(engine.due(NOW), records) == [[2, 3]]


def test_items_keep_their_lane_and_lanes_run_side_by_side():
    records = stream(60, items=20)
    engine = engine_with(records, parallelization_factor=10)
    found = places(engine.due(NOW), records)
    assert 1 < len(found) <= 10
    assert sorted(place for batch in found for place in batch) == list(range(60))
    assert all((place + 20 in batch) for batch in found for place in batch if place < 40)


def test_the_lane_of_an_item_is_the_same_after_a_restart():
    records = stream(40)
    first, second = (places(engine_with(records, parallelization_factor=4).due(NOW), records) for _each in range(2))
    assert first == second


def test_reading_ahead_is_bounded_until_records_are_done():
    engine = engine_with(stream(READ_AHEAD_RECORDS), batch_size=100)
    assert engine.room() == 0
    (batch,) = engine.due(NOW)
    assert engine.room() == 0
    engine.settle(batch.number, Returned(), NOW)
    assert engine.room() == 100
    assert ShardEngine(Settings(batch_size=10_000)).room() == 100_000


def test_records_that_are_read_twice_are_delivered_once():
    records = stream(3)
    engine = engine_with(records)
    (batch,) = engine.due(NOW)
    engine.offer(records, NOW)
    engine.settle(batch.number, Returned(), NOW)
    assert engine.due(NOW) == []
    assert engine.counts.polled == 3


def test_filtered_records_are_done_without_an_invocation():
    records = [change(0, 0, event="MODIFY"), change(1, 1), change(2, 2, event="MODIFY")]
    engine = engine_with(records, patterns=('{"eventName": ["INSERT"]}',))
    assert engine.saved().checkpoint == sequence_number(records[0])
    (batch,) = engine.due(NOW)
    assert places([batch], records) == [[1]]
    engine.settle(batch.number, Returned(), NOW)
    assert engine.saved().checkpoint == sequence_number(records[2])
    assert (engine.counts.polled, engine.counts.filtered_out, engine.counts.invoked) == (3, 2, 1)


# Failures.


def attempts_of(engine, outcome, now=NOW, most=50):
    """Settles whatever comes with one outcome, until nothing more comes; says when each invocation was made."""
    moments = []
    while len(moments) < most and (moment := engine.next_due(now)) is not None:
        now = moment
        batches = engine.due(now)
        if not batches:
            break
        for batch in batches:
            moments.append(now)
            engine.settle(batch.number, outcome, now)
    return moments


@pytest.mark.parametrize("outcome", [FunctionError(), Returned({"batchItemFailures": [{"itemIdentifier": ""}]})])
def test_a_batch_is_tried_once_more_than_its_retries_and_then_given_up(outcome):
    records = stream(3)
    engine = engine_with(records, maximum_retry_attempts=2, partial_responses=True)
    assert len(attempts_of(engine, outcome)) == 3
    (discard,) = engine.discards(NOW + 60)
    assert (discard.condition, discard.invoke_count, discard.last) == ("RetryAttemptsExhausted", 3, outcome)
    assert discard.records == tuple(records)
    assert engine.saved().checkpoint is None
    engine.discarded(discard.number, True)
    assert engine.saved().checkpoint == sequence_number(records[-1])


def test_no_retries_is_one_invocation():
    assert len(attempts_of(engine_with(stream(2), maximum_retry_attempts=0), FunctionError())) == 1


def test_tries_wait_longer_and_longer_up_to_a_bound():
    moments = attempts_of(engine_with(stream(1)), FunctionError(), most=12)
    waits = [later - earlier for earlier, later in zip(moments, moments[1:], strict=False)]
    first, longest = FUNCTION_ERROR_BACKOFF
    assert waits[:3] == [first, 2 * first, 4 * first]
    assert waits == sorted(waits)
    assert waits[-1] == longest


def test_a_throttle_uses_up_no_attempt_and_only_age_ends_it():
    engine = engine_with(stream(1), maximum_retry_attempts=0, maximum_record_age_seconds=60)
    moments = attempts_of(engine, NotRun("TooManyRequestsException"))
    assert len(moments) > 5
    assert moments[-1] < NOW + 60
    (discard,) = engine.discards(NOW + 60)
    assert (discard.condition, discard.invoke_count, discard.last) == ("RecordAgeExceeded", 0, None)


def test_throttles_before_and_between_leave_the_quota_as_it_is():
    engine = engine_with(stream(1), maximum_retry_attempts=1)
    now = NOW
    for outcome in (NotRun("a"), FunctionError(), NotRun("b"), NotRun("c"), FunctionError()):
        now = engine.next_due(now)
        (batch,) = engine.due(now)
        engine.settle(batch.number, outcome, now)
    (discard,) = engine.discards(now)
    assert discard.invoke_count == 2


def test_halves_go_left_first_and_each_has_its_own_quota():
    records = stream(5)
    engine = engine_with(records, maximum_retry_attempts=0, bisect=True)
    seen, now = [], NOW
    while (moment := engine.next_due(now)) is not None and not engine.discards(moment):
        now = moment
        for batch in engine.due(now):
            seen += places([batch], records)
            failing = len(batch.records) > 1 or batch.records[0] is records[1]
            engine.settle(batch.number, FunctionError() if failing else Returned(), now)
    assert seen[:4] == [[0, 1, 2, 3, 4], [0, 1], [0], [1]]


@pytest.mark.parametrize("function", [raises_on, reports])
def test_one_poisoned_record_of_ten_is_cut_out(function):
    records = stream(10)
    poison = {sequence_number(records[5])}
    settings = Settings(batch_size=10, maximum_retry_attempts=3, bisect=True, partial_responses=function is reports)
    shard = Simulation(settings, records, function(poison))
    shard.drain()
    (discard,) = shard.given_up
    assert sequence_numbers(discard.records) == tuple(poison)
    assert (discard.condition, discard.invoke_count) == ("RetryAttemptsExhausted", 4)
    assert set(shard.delivered) == set(sequence_numbers(records)) - poison
    if function is reports:
        assert all(shard.shown[sequence_number(record)] == 1 for record in records[:5])
        assert set(shard.delivered.values()) == {1}


def test_without_the_flag_a_report_of_failures_is_a_success():
    records = stream(2)
    shard = Simulation(Settings(), records, reports({sequence_number(records[0])}))
    shard.drain()
    assert len(shard.delivered) == 2


def report(record):
    return Returned({"batchItemFailures": [{"itemIdentifier": sequence_number(record)}]})


@pytest.mark.parametrize("bisect", [False, True])
def test_progress_starts_the_quota_afresh(bisect):
    records = stream(3)
    engine = engine_with(records, maximum_retry_attempts=1, partial_responses=True, bisect=bisect)
    seen, now = [], NOW
    for failing in (1, 2, 2, 2):
        now = engine.next_due(now)
        batches = engine.due(now)
        if not batches:
            break
        seen += places(batches, records)
        engine.settle(batches[0].number, report(records[failing]), now)
    assert seen == [[0, 1, 2], [1, 2], [2], [2]]
    assert engine.saved().checkpoint == sequence_number(records[1])
    (discard,) = engine.discards(now)
    assert discard.invoke_count == 2


def test_with_bisect_a_batch_whose_first_record_is_reported_is_halved():
    records = stream(4)
    engine = engine_with(records, partial_responses=True, bisect=True)
    (batch,) = engine.due(NOW)
    engine.settle(batch.number, report(records[0]), NOW)
    assert places(engine.due(NOW + 1), records) == [[0, 1]]


# Age.


def test_records_that_are_too_old_are_given_up_before_they_are_ever_invoked():
    records = [change(0, 0, NOW - 100), change(1, 1, NOW - 70), change(2, 2, NOW)]
    engine = engine_with(records, maximum_record_age_seconds=60)
    assert places(engine.due(NOW), records) == [[2]]
    (discard,) = engine.discards(NOW)
    assert discard.records == tuple(records[:2])
    assert (discard.condition, discard.invoke_count, discard.last) == ("RecordAgeExceeded", 0, None)


def test_age_takes_the_first_records_out_of_the_middle_of_retries_and_leaves_the_others_their_attempts():
    records = [change(0, 0, NOW), change(1, 1, NOW + 30)]
    engine = engine_with(records, maximum_record_age_seconds=60, maximum_retry_attempts=2)
    (batch,) = engine.due(NOW)
    engine.settle(batch.number, FunctionError(), NOW)
    (discard,) = engine.discards(NOW + 60)
    assert (discard.records, discard.invoke_count, discard.last) == ((records[0],), 1, FunctionError())
    assert len(attempts_of(engine, FunctionError(), NOW + 60)) == 2


def test_an_invocation_under_way_is_not_taken_away_by_age():
    engine = engine_with(stream(1), maximum_record_age_seconds=60)
    (batch,) = engine.due(NOW)
    assert engine.discards(NOW + 100) == []
    engine.settle(batch.number, Returned(), NOW + 100)
    assert engine.discards(NOW + 100) == []
    assert engine.counts.dropped == 0


def test_no_record_is_kept_longer_than_the_stream_keeps_it():
    engine = engine_with(stream(1), maximum_record_age_seconds=604_800, retention_seconds=3600)
    assert len(attempts_of(engine, NotRun("throttled"), most=2000)) > 100
    assert [discard.condition for discard in engine.discards(NOW + 3600)] == ["RecordAgeExceeded"]


def test_old_records_are_given_up_in_batches():
    engine = engine_with(stream(25), batch_size=10, maximum_record_age_seconds=60)
    assert [len(discard.records) for discard in engine.discards(NOW + 60)] == [10, 10, 5]


# Destination and counts.


@pytest.mark.parametrize(("delivered", "counts"), [(True, (0, 2)), (False, (2, 0)), (None, (2, 0))])
def test_what_no_destination_took_was_dropped(delivered, counts):
    engine = engine_with(stream(2), maximum_retry_attempts=0)
    attempts_of(engine, FunctionError())
    (discard,) = engine.discards(NOW)
    assert engine.discards(NOW) == []
    engine.discarded(discard.number, delivered)
    assert (engine.counts.dropped, engine.counts.delivered_to_destination) == counts


def test_invocations_are_counted_by_their_records():
    engine = engine_with(stream(4), partial_responses=True)
    (batch,) = engine.due(NOW)
    engine.settle(batch.number, report(batch.records[3]), NOW)
    taken = engine.counts.take()
    assert (taken.polled, taken.invoked, taken.failed_invoke) == (4, 4, 1)
    assert engine.counts.invoked == 0


# Checkpoint and end.


def test_the_checkpoint_waits_for_the_slowest_lane():
    records = stream(30)
    engine = engine_with(records, parallelization_factor=3)
    batches = engine.due(NOW)
    first = next(batch for batch in batches if batch.records[0] is records[0])
    for batch in batches:
        if batch is not first:
            engine.settle(batch.number, Returned(), NOW)
    assert engine.saved().checkpoint is None
    engine.settle(first.number, Returned(), NOW)
    assert engine.saved().checkpoint == sequence_number(records[-1])


def test_a_shard_is_finished_when_all_of_it_is_done():
    engine = engine_with(stream(1))
    engine.close(NOW)
    (batch,) = engine.due(NOW)
    assert not engine.finished
    engine.settle(batch.number, Returned(), NOW)
    assert engine.finished
    assert engine.saved().finished
    assert ShardEngine(Settings(), engine.saved()).finished


def test_a_restart_goes_on_from_what_was_saved():
    engine = ShardEngine(Settings(), Saved(checkpoint="17"))
    assert engine.saved() == Saved(checkpoint="17")
    assert engine.next_due(NOW) is None


# Settings that change meanwhile.


def test_attempts_that_were_made_count_after_the_quota_was_lowered():
    engine = engine_with(stream(1))
    attempts_of(engine, FunctionError(), most=5)
    engine.update(Settings(maximum_retry_attempts=2))
    assert len(attempts_of(engine, FunctionError(), NOW + 60)) == 1
    (discard,) = engine.discards(NOW + 60)
    assert discard.invoke_count == 6


def test_a_changed_factor_moves_what_is_not_under_way_and_no_item_overtakes_itself():
    records = [change(number, number % 6) for number in range(12)] + [
        change(number, number) for number in range(12, 50)
    ]
    engine = engine_with(records[:6])
    (batch,) = engine.due(NOW)
    engine.offer(records[6:], NOW)
    engine.update(Settings(parallelization_factor=10))
    meanwhile = engine.due(NOW)
    assert meanwhile
    assert min(place for found in places(meanwhile, records) for place in found) >= 12
    for each in [batch, *meanwhile]:
        engine.settle(each.number, Returned(), NOW)
    assert sum(len(each.records) for each in [batch, *meanwhile, *engine.due(NOW)]) == 50


def test_settings_with_a_pattern_that_cannot_be_read_change_nothing():
    engine = engine_with(stream(3), batch_size=2)
    with pytest.raises(ValueError, match="must be an object"):
        engine.update(Settings(batch_size=1, patterns=("[]",)))
    assert len(engine.due(NOW)[0].records) == 2


def test_a_new_batch_size_holds_for_the_next_batch():
    records = stream(6)
    engine = engine_with(records, batch_size=2)
    (batch,) = engine.due(NOW)
    engine.update(Settings(batch_size=4))
    engine.settle(batch.number, Returned(), NOW)
    assert places(engine.due(NOW), records) == [[2, 3, 4, 5]]
