"""Compaction loses and doubles nothing, wherever it is killed and whoever else is at work."""

from __future__ import annotations

import gzip
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replayer.compaction import Compaction, closed_hours, manifests_to_hand_on, mark
from replayer.history.generations import FOLDER, manifest_key, read_generations
from replayer.history.reader import Reader
from replayer.history.store import Store

from tests.unit.history.logs import (
    FIRST,
    PREFIX,
    FakeS3,
    envelope,
    line,
    random_changes,
    write_batch,
    write_changes,
)

HOUR = f"{PREFIX}2026/01/31/10/"
NOW = datetime(2026, 2, 3, tzinfo=UTC)


class Killed(Exception):
    """The run ends here."""


def compaction(s3, hour=HOUR, **options):
    tokens = options.pop("tokens", itertools.count(1))
    options = {"workers": 2, "token": lambda: f"{next(tokens):016x}", "now": lambda: NOW, **options}
    return Compaction(Store(s3, "bucket"), PREFIX, hour, **options)


def compacted(s3, hour=HOUR, **options):
    """All runs that it takes."""
    outcomes, after = [], ""
    for _run in range(50):
        outcomes.append(compaction(s3, hour, **options).run(after))
        after = outcomes[-1].after
        if outcomes[-1].done:
            return outcomes
    raise AssertionError("it never ends")


def read(s3):
    reader = Reader(Store(s3, "bucket"), PREFIX, workers=2)
    return [each.envelope for each in reader.changes(FIRST, FIRST + timedelta(days=2))], reader


def log(seed=1, count=30, page=1000, span=3600, **options):
    source, s3 = random.Random(seed), FakeS3(page, **options)
    changes = random_changes(source, count, span=span)
    rest = list(changes)
    while rest:
        size = source.randint(1, 5)
        (write_batch if source.random() < 0.5 else write_changes)(s3, rest[:size])
        # Some come twice.
        rest = rest[size - (1 if size > 1 and source.random() < 0.3 else 0) :]
    return s3, changes


def sources(s3, hour=HOUR):
    return [key for key in s3.objects if key.startswith(hour) and not key.startswith(hour + FOLDER)]


def manifests(s3, hour=HOUR):
    return read_generations(Store(s3, "bucket"), [key for key in s3.objects if key.startswith(hour + FOLDER)])


def test_an_hour_becomes_one_sorted_file():
    s3, changes = log()
    names = sorted(key.removeprefix(HOUR) for key in sources(s3))
    (outcome,) = compacted(s3)
    (made,) = manifests(s3)
    assert outcome.manifest == made.key == manifest_key(HOUR, 1)
    assert sources(s3) == [] and outcome.removed == outcome.sources == made.sources == len(names)
    assert gzip.decompress(s3.objects[made.data_key]) == b"".join(line(each) + b"\n" for each in changes)
    assert gzip.decompress(s3.objects[made.sources_key]).decode().split() == names
    numbers = [int(each["sequenceNumber"]) for each in changes]
    assert (made.first, made.last, made.changes) == (str(min(numbers)), str(max(numbers)), len(changes))
    assert sum(made.counts.values()) == len(changes)
    assert read(s3)[0] == changes


def test_a_second_run_does_nothing():
    s3, _changes = log()
    compacted(s3)
    before = dict(s3.objects)
    (outcome,) = compacted(s3)
    assert outcome.done and outcome.manifest is None and s3.objects == before


def test_late_changes_make_the_next_generation():
    s3, changes = log()
    compacted(s3)
    first = dict(s3.objects)
    late = [envelope(10**22 + each, f"late-{each}", seconds=3000) for each in range(3)]
    # One of what is compacted already comes again.
    write_batch(s3, [changes[0], *late])
    (outcome,) = compacted(s3)
    assert outcome.manifest == manifest_key(HOUR, 2) and sources(s3) == []
    assert {key: s3.objects[key] for key in first} == first
    found, reader = read(s3)
    assert found == [*changes, *late] and reader.duplicates == 1


@given(seed=st.integers(0, 10**6), page=st.integers(1, 9), most=st.integers(1, 12), memory=st.sampled_from([1, 10**7]))
@settings(max_examples=40)
def test_any_log_reads_the_same_before_and_after(seed, page, most, memory):
    s3, changes = log(seed, page=page, span=2 * 3600)
    before = read(s3)[0]
    assert before == changes
    for hour in list(closed_hours(Store(s3, "bucket"), PREFIX, FIRST, FIRST + timedelta(hours=5), now=NOW)):
        outcomes = compacted(s3, hour, max_sources=most, memory_bytes=memory)
        assert sources(s3, hour) == []
        assert len(manifests(s3, hour)) == len([each for each in outcomes if each.manifest])
    found, reader = read(s3)
    assert found == changes and reader.findings.count == 0
    assert list(closed_hours(Store(s3, "bucket"), PREFIX, FIRST, FIRST + timedelta(hours=5), now=NOW)) == []


def calls_of(s3, run):
    """How many calls the run takes."""
    seen = []
    s3.before = lambda name, request: seen.append(name)
    run()
    s3.before = lambda name, request: None
    return len(seen)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("keep", [False, True])
def test_killed_at_any_call_it_loses_and_doubles_nothing(keep, when):
    """Before: the call was never made. After: it was made, and its answer never came."""
    fresh, changes = log(count=12, page=4)
    options = {"keep_sources": keep, "max_sources": 4, "workers": 1}
    steps = calls_of(fresh, lambda: compacted(fresh, **options))
    assert steps > 20
    for step in range(steps):
        s3, _changes = log(count=12, page=4)
        tokens = itertools.count(1)
        kill_at(s3, step, when)
        with pytest.raises(Killed):
            compacted(s3, tokens=tokens, **options)
        s3.dead = False
        found, reader = read(s3)
        assert found == changes and reader.findings.count == 0, step
        compacted(s3, tokens=tokens, **options)
        found, reader = read(s3)
        assert found == changes and reader.findings.count == 0, step
        assert bool(sources(s3)) == keep
        # Each source is in one generation, and no change in two but for those that came twice.
        named = [name for each in manifests(s3) for name in gzip.decompress(s3.objects[each.sources_key]).split()]
        assert len(named) == len(set(named)), step
        # What the killed run left goes when it is a day old.
        old(s3)
        compacted(s3, **options)
        left = [key for key in s3.objects if key.startswith(HOUR + FOLDER)]
        assert len(left) == 3 * len(manifests(s3)), step
        assert read(s3)[0] == changes


def kill_at(s3, step, when):
    s3.dead, count = False, itertools.count()
    for name in ("list_objects_v2", "get_object", "put_object", "delete_objects"):
        _wrap(s3, name, step, when, count)


def _wrap(s3, name, step, when, count):
    call = getattr(FakeS3, name).__get__(s3)

    def killed(**request):
        number = next(count)
        if s3.dead:
            raise Killed
        if number == step:
            if when == "after":
                call(**request)
            s3.dead = True
            raise Killed
        return call(**request)

    setattr(s3, name, killed)


def old(s3):
    """Let a day go by for all that is there."""
    listing = s3.list_objects_v2

    def listed(**request):
        answer = listing(**request)
        for each in answer["Contents"]:
            each["LastModified"] = NOW - timedelta(days=2)
        return answer

    s3.list_objects_v2 = listed


@given(seed=st.integers(0, 10**6))
@settings(max_examples=60)
def test_two_runs_at_once_lose_and_double_nothing(seed):
    """The second run works whole, or in part, between two calls of the first."""
    source = random.Random(seed)
    s3, changes = log(seed, count=15, page=source.randint(2, 6))
    tokens = itertools.count(1)
    options = {"tokens": tokens, "max_sources": source.randint(2, 20), "workers": 1}
    at, count, busy = source.randrange(30), itertools.count(), []

    def other(name, request):
        if not busy and next(count) == at:
            busy.append(True)
            compaction(s3, **{**options, "max_sources": source.randint(1, 20)}).run()

    s3.before = other
    compacted(s3, **options)
    s3.before = lambda name, request: None
    compacted(s3, **options)
    found, reader = read(s3)
    assert found == changes and reader.findings.count == 0
    assert sources(s3) == []
    named = [name for each in manifests(s3) for name in gzip.decompress(s3.objects[each.sources_key]).split()]
    assert len(named) == len(set(named))


def test_a_damaged_source_is_named_and_stays():
    s3, changes = log(count=12)
    bad = write_changes(s3, [envelope(10**22, "bad")])[0]
    s3.objects[bad] = b"{"
    outcomes = compacted(s3, max_sources=3)
    assert [name for each in outcomes for name in each.names] == [bad]
    assert sources(s3) == [bad]
    found, reader = read(s3)
    assert found == changes and list(reader.findings.damaged) == [bad]


def test_copies_of_a_change_that_differ_both_stay_and_readers_see_it():
    s3, _changes = log(count=5)
    one = envelope(10**22, "item", new={"Id": {"S": "item"}, "N": {"N": "1"}})
    other = {**one, "newImage": {"Id": {"S": "item"}, "N": {"N": "2"}}}
    write_changes(s3, [one])
    write_batch(s3, [other])
    (outcome,) = compacted(s3)
    assert outcome.conflicting == 1
    assert len(read(s3)[1].findings.conflicting) == 1


@pytest.mark.parametrize("suffix", ["manifest.json", "sources.gz"])
def test_an_hour_whose_generation_is_damaged_is_not_touched(suffix):
    s3, _changes = log(count=6)
    compacted(s3)
    write_changes(s3, [envelope(10**22, "late")])
    key = next(each for each in s3.objects if each.endswith(suffix))
    s3.objects[key] = b"{}"
    before = dict(s3.objects)
    (outcome,) = compacted(s3)
    assert outcome.names.keys() == {key} and s3.objects == before


def test_a_file_that_was_not_stored_right_is_no_generation():
    s3, changes = log(count=6)
    put = FakeS3.put_object.__get__(s3)

    def broken(**request):
        put(**request)
        if request["Key"].endswith(".ndjson.gz"):
            s3.objects[request["Key"]] = s3.objects[request["Key"]][:-1]

    s3.put_object = broken
    with pytest.raises(ValueError, match="SHA-256"):
        compaction(s3).run()
    assert manifests(s3) == [] and read(s3)[0] == changes


def test_locked_sources_stay_are_counted_and_read_once():
    s3, changes = log(count=9)
    s3.locked = set(sources(s3))
    outcomes = compacted(s3, max_sources=2)
    assert sum(each.left for each in outcomes) == len(s3.locked) == len(sources(s3))
    assert read(s3)[0] == changes
    (again,) = compacted(s3)
    assert again.manifest is None and again.left == len(s3.locked)


def test_a_run_whose_time_is_short_takes_what_it_can():
    s3, changes = log(count=20)
    left = iter([100.0, *[90.0] * 3, *[40.0] * 1000])
    first = compaction(s3, remaining=lambda: next(left)).run()
    assert not first.done and 0 < first.sources < 20 and first.manifest
    compacted(s3)
    assert read(s3)[0] == changes and sources(s3) == []


def test_the_size_of_a_generation_is_limited():
    s3, changes = log(count=20)
    outcomes = compacted(s3, max_bytes=1)
    assert len(manifests(s3)) == len(outcomes) == len({each.manifest for each in outcomes}) > 5
    assert read(s3)[0] == changes


def plan(s3, hours=5, **options):
    return list(closed_hours(Store(s3, "bucket"), PREFIX, FIRST, FIRST + timedelta(hours=hours), now=NOW, **options))


@given(page=st.integers(1, 6), seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_plan_is_the_hours_with_sources_in_the_range(page, seed):
    s3, changes = log(seed, page=page, span=9 * 3600)
    s3.objects[f"{PREFIX}2026/01/31/readme"] = b""
    s3.objects |= {f"{PREFIX}baseline/{each}": b"" for each in range(9)}
    for hour in plan(s3)[::2]:
        compacted(s3, hour)
    wanted = {f"{PREFIX}{each['timestamp'][:13].replace('-', '/').replace('T', '/')}/" for each in changes}
    assert plan(s3) == sorted(hour for hour in wanted if hour <= f"{PREFIX}2026/01/31/15/" and sources(s3, hour))


def test_the_plan_has_hours_with_files_of_killed_runs_when_they_are_old():
    s3, _changes = log(count=4)
    compacted(s3)
    s3.objects[f"{HOUR}{FOLDER}000002-{'a' * 16}.ndjson.gz"] = b"x"
    assert plan(s3) == []
    old(s3)
    assert plan(s3) == [HOUR]
    (outcome,) = compacted(s3)
    assert outcome.orphans == 1 and plan(s3) == []


def test_a_manifest_is_handed_on_until_it_is_marked():
    s3, _changes = log(count=4)
    compacted(s3)
    assert plan(s3) == [] and plan(s3, hand_on=True) == [HOUR]
    (told,) = manifests_to_hand_on(Store(s3, "bucket"), HOUR)
    assert told["manifest"] == manifest_key(HOUR, 1) and told["data"] in s3.objects
    s3.objects[mark(told["manifest"])] = b"{}"
    assert plan(s3, hand_on=True) == [] and manifests_to_hand_on(Store(s3, "bucket"), HOUR) == []
