"""What holds over any stream, any failures and any settings: nothing skipped, nothing overtaken, no quota exceeded.

CDC_SOAK=1 (make soak) tries many more examples.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_cloud.poller.model import FunctionError, NotRun, Returned, Settings
from tests.unit.local_cloud.poller.simulated_shard import (
    EXAMPLES,
    Simulation,
    change,
    item,
    raises_on,
    reports,
    sequence_number,
    sequence_numbers,
)
from tests.unit.stream_records import FIRST_SECOND

ONLY_INSERTS = '{"eventName": ["INSERT"]}'

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**32)


@st.composite
def streams(draw, most=30):
    """Changes of a few items, over some minutes."""
    shape = draw(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40), st.booleans()), min_size=1, max_size=most))
    records, created = [], FIRST_SECOND - 100
    for number, (which, gap, insert) in enumerate(shape):
        created += gap if gap > 30 else 0
        records.append(change(number, which, created, "INSERT" if insert else "MODIFY"))
    return records


def mappings(**given_ones):
    return st.builds(
        Settings,
        **{
            "batch_size": st.integers(1, 12),
            "window_seconds": st.sampled_from([0, 0, 1, 20]),
            "parallelization_factor": st.integers(1, 5),
            "maximum_retry_attempts": st.integers(0, 4),
            "maximum_record_age_seconds": st.sampled_from([-1, -1, 60, 300]),
            "bisect": st.booleans(),
            "partial_responses": st.booleans(),
            "patterns": st.sampled_from([(), (), (ONLY_INSERTS,)]),
            **given_ones,
        },
    )


def filtered_by(mapping, records):
    return [sequence_number(record) for record in records if mapping.patterns and record["eventName"] != "INSERT"]


def fails_by_chance(random: Random):
    """A function, and a Lambda, that do anything they can do."""

    def function(batch):
        numbers = sequence_numbers(batch.records)
        reported = [{"itemIdentifier": number} for number in numbers if random.random() < 0.3]
        return random.choice(
            [
                FunctionError(),
                FunctionError(),
                NotRun("TooManyRequestsException"),
                NotRun("ServiceException"),
                Returned(),
                Returned({"batchItemFailures": []}),
                Returned({"batchItemFailures": reported}),
                Returned({"batchItemFailures": reported}),
            ]
        )

    return function


@st.composite
def simulations(draw):
    records, mapping, seed = draw(streams()), draw(mappings()), draw(seeds)
    return Simulation(mapping, records, fails_by_chance(Random(seed)), filtered_by(mapping, records), seed)


@many
@given(simulations())
def test_every_record_is_handled_filtered_or_given_up_whatever_happens(shard):
    for _step in range(150):
        shard.step()
    shard.drain()
    assert shard.done() == set(sequence_numbers(shard.records))
    # In one life of the poller, each record comes to one end only.
    assert all(shard.delivered[number] + shard.taken[number] <= 1 for number in sequence_numbers(shard.records))


@many
@given(simulations(), st.lists(st.integers(0, 60), max_size=5))
def test_nothing_is_skipped_when_the_poller_is_killed_at_any_moment(shard, lives):
    for life in lives:
        for _step in range(life):
            shard.step()
        shard.restart()
    shard.drain()
    assert shard.done() == set(sequence_numbers(shard.records))


@many
@given(simulations(), st.lists(st.tuples(st.integers(0, 30), mappings()), min_size=1, max_size=4))
def test_nothing_is_skipped_or_overtaken_when_settings_change_meanwhile(shard, changes):
    for steps, mapping in changes:
        for _step in range(steps):
            shard.step()
        changed = {
            name: value for name, value in vars(mapping).items() if name not in ("patterns", "partial_responses")
        }
        shard.update(**changed)
    shard.drain()
    assert shard.done() == set(sequence_numbers(shard.records))


@many
@given(
    streams(), mappings(bisect=st.just(True), maximum_record_age_seconds=st.just(-1), patterns=st.just(())), st.data()
)
def test_bisect_gives_up_exactly_the_poisoned_records(records, mapping, data):
    numbers = sequence_numbers(records)
    poison = data.draw(st.sets(st.sampled_from(numbers), max_size=4))
    function = (reports if mapping.partial_responses else raises_on)(poison)
    shard = Simulation(mapping, records, function)
    shard.drain()
    given_up = [sequence_numbers(discard.records) for discard in shard.given_up]
    assert sorted(given_up) == sorted((number,) for number in poison)
    assert set(shard.delivered) == set(numbers) - poison
    assert all(discard.condition == "RetryAttemptsExhausted" for discard in shard.given_up)
    assert all(discard.invoke_count == mapping.maximum_retry_attempts + 1 for discard in shard.given_up)


@many
@given(streams(), mappings(partial_responses=st.just(True), maximum_record_age_seconds=st.just(-1)), st.data())
def test_a_function_that_reports_is_never_shown_again_what_came_before_the_report(records, mapping, data):
    numbers = sequence_numbers(records)
    shard = Simulation(mapping, records, reports(data.draw(st.sets(st.sampled_from(numbers), max_size=4))))
    shard.filtered = set(filtered_by(mapping, records))
    shard.drain()
    assert set(shard.delivered.values()) <= {1}


@many
@given(streams(), mappings(patterns=st.just(()), maximum_record_age_seconds=st.just(-1)), seeds)
def test_items_are_handled_in_the_order_of_their_changes(records, mapping, seed):
    random, finished = Random(seed), []

    def function(batch):
        outcome = random.choice([FunctionError(), NotRun("throttled"), Returned(), Returned()])
        if isinstance(outcome, Returned):
            finished.extend((item(record), int(sequence_number(record))) for record in batch.records)
        return outcome

    shard = Simulation(mapping, records, function, seed=seed)
    shard.drain()
    for which in {name for name, _number in finished}:
        order = [number for name, number in finished if name == which]
        assert order == sorted(order)


@many
@given(streams(), mappings(maximum_record_age_seconds=st.just(60), maximum_retry_attempts=st.just(-1)))
def test_a_function_that_is_never_run_holds_nothing_up_longer_than_the_age(records, mapping):
    shard = Simulation(mapping, records, lambda batch: NotRun("throttled"), filtered_by(mapping, records))
    shard.drain()
    newest = max(record["dynamodb"]["ApproximateCreationDateTime"] for record in records)
    assert shard.now <= max(newest, FIRST_SECOND) + 60
    assert {discard.condition for discard in shard.given_up} <= {"RecordAgeExceeded"}
    assert all(discard.last is None and discard.invoke_count == 0 for discard in shard.given_up)
    assert not shard.delivered
