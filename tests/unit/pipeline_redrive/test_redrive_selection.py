"""Which failure records a run takes."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.failure_records import (
    read_failure_record,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.selection import (
    Fetched,
    in_order,
    in_time,
    overlapping,
    without_overtaking,
)
from hypothesis import given
from hypothesis import strategies as st
from redrive_support import FUNCTION, NEWER_STREAM, STREAM, TABLE, change, text


def failure(start, end, stream=STREAM):
    body = text(start, end, end - start + 1, batch={"streamArn": stream})
    return read_failure_record(f"{start}-{end}", body, TABLE, FUNCTION)


def test_older_streams_come_first_then_lower_numbers():
    newer, late, early = failure(1, 2, NEWER_STREAM), failure(100, 101), failure(9, 10)

    assert in_order([newer, late, early]) == [early, late, newer]


def test_times_include_their_ends():
    found = failure(1, 2)
    ten = datetime(2026, 1, 1, 10, tzinfo=UTC)

    assert in_time(found, None, None) and in_time(found, ten, ten)
    assert not in_time(found, ten.replace(hour=11), None)
    assert not in_time(found, None, ten.replace(hour=9))


def test_only_ranges_that_begin_within_the_taken_ones_may_hold_earlier_changes():
    taken, inside, after, newer = failure(5, 20), failure(20, 30), failure(21, 22), failure(1, 2, NEWER_STREAM)

    assert overlapping([taken], [inside, after, newer]) == [inside]
    assert overlapping([], [inside]) == []


def test_a_record_that_would_overtake_one_left_out_is_left_out_too():
    crossing = Fetched(failure(5, 20), [change(5, "a"), change(20, "b")])
    harmless = Fetched(failure(1, 2), [change(1, "c")])
    left_out = Fetched(failure(7, 9), [change(7, "b")])

    assert without_overtaking([harmless, crossing], [left_out]) == [harmless]


def test_a_change_that_a_taken_record_has_as_well_is_not_overtaken():
    shared, later = change(7, "b"), change(9, "b")
    taken = Fetched(failure(7, 9), [shared, later])
    left_out = Fetched(failure(7, 7), [shared])

    assert without_overtaking([taken], [left_out]) == [taken]


@given(
    st.lists(st.lists(st.tuples(st.integers(1, 40), st.sampled_from("abc")), min_size=1, max_size=4), max_size=6),
    st.integers(0, 6),
)
def test_nothing_taken_overtakes_what_is_left_out(drawn, limit):
    known: dict = {}
    records = []
    for numbers in drawn:
        changes = [known.setdefault(number, change(number, item)) for number, item in sorted(set(numbers))]
        changes = list(dict.fromkeys(changes))
        records.append(Fetched(failure(int(changes[0].number), int(changes[-1].number)), changes))
    records.sort(key=lambda each: (each.record.first, each.record.last))

    taken = without_overtaking(records[:limit], records[limit:])

    sent = {each for one in taken for each in one.changes}
    left = {each for one in records if one not in taken for each in one.changes} - sent
    for each in sent:
        assert not [other for other in left if other.item == each.item and other.place < each.place]
