"""Items as the log tells them: their last state, and where a change does not follow from the one before it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.changes import iso, read_change
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.items import Items, Start
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.history.logs import FIRST, envelope, line, random_changes

WITH_TABLE = Start(empty=True)


def collected(changes, *, snapshot=(), live=(), memory=10**7) -> Items:
    items = Items(memory)
    for at, change in enumerate(changes):
        items.add_change(read_change(line(change), f"object-{change['sequenceNumber']}-{at}"))
    for item in snapshot:
        items.add_snapshot({"Id": item["Id"]}, item)
    for item in live:
        items.add_live({"Id": item["Id"]}, item)
    return items


def states_of(changes, until="9999") -> dict[str, dict | None]:
    """The plain way: the images one after the other."""
    return {each["keys"]["Id"]["S"]: each.get("newImage") for each in changes if each["timestamp"] <= until}


@given(seed=st.integers(0, 10**6), memory=st.sampled_from([1, 3000, 10**7]))
def test_an_item_is_what_its_last_change_left_and_a_whole_log_has_no_fault(seed, memory):
    source = random.Random(seed)
    changes = random_changes(source, 40)
    shuffled = source.sample(changes, len(changes))

    found = list(collected(shuffled, memory=memory).all(WITH_TABLE))

    assert {each.keys["Id"]["S"]: each.state for each in found} == states_of(changes)
    assert [each.faults for each in found if each.faults] == []
    assert sum(each.changes for each in found) == len(changes)
    assert [each.digest for each in found] == sorted(each.digest for each in found)


@given(seed=st.integers(0, 10**6))
def test_a_change_that_is_missing_in_the_middle_or_at_the_begin_shows(seed):
    source = random.Random(seed)
    changes = random_changes(source, 30, items=3)
    lost = source.choice(changes[:-3])
    item = lost["keys"]
    later = [each for each in changes[changes.index(lost) + 1 :] if each["keys"] == item]
    before = [each for each in changes[: changes.index(lost)] if each["keys"] == item]
    if not later or later[0].get("oldImage") == (before[-1].get("newImage") if before else None):
        return  # it was the item's last, or it left what was before it

    found = collected([each for each in changes if each is not lost]).all(WITH_TABLE)

    (fault,) = [fault for each in found for fault in each.faults]
    # Its neighbours are named.
    numbers = [each["sequenceNumber"] for each in (*before[-1:], later[0])]
    assert [name.split("-")[1] for name in fault.objects] == numbers
    assert numbers[-1] in fault.reason


def test_an_altered_image_shows_in_the_change_after_it():
    one, two = {"Id": {"S": "item"}, "N": {"N": "1"}}, {"Id": {"S": "item"}, "N": {"N": "2"}}
    changes = [envelope(1, new=one), envelope(2, old=two, new=one)]

    (item,) = collected(changes).all(WITH_TABLE)

    assert [fault.sentence() for fault in item.faults] == [
        f"Item {item.hash}: MODIFY 2 does not follow: the change before it left something else "
        "(object-1-0, object-2-1)."
    ]


def test_an_item_that_begins_with_an_update_shows_only_where_the_log_begins_with_the_table():
    changes = [envelope(1, old={"Id": {"S": "item"}}, new={"Id": {"S": "item"}, "A": {"S": ""}})]

    assert [len(each.faults) for each in collected(changes).all(WITH_TABLE)] == [1]
    assert [len(each.faults) for each in collected(changes).all(Start())] == [0]


def test_numbers_and_sets_are_compared_as_values():
    one = {"Id": {"S": "item"}, "N": {"N": "1.50"}, "S": {"SS": ["a", "b"]}}
    two = {"Id": {"S": "item"}, "N": {"N": "1.5"}, "S": {"SS": ["b", "a"]}}

    (item,) = collected([envelope(1, new=one), envelope(2, old=two)]).all(WITH_TABLE)

    assert item.faults == ()
    assert item.state is None


@given(seed=st.integers(0, 10**6))
def test_a_baseline_read_while_changes_arrive_gives_the_same_state(seed):
    source = random.Random(seed)
    changes = random_changes(source, 60, span=600)
    begin, end = iso(FIRST + timedelta(seconds=200)), iso(FIRST + timedelta(seconds=400))
    # The scan reads each item at some moment of its own between its begin and its end.
    snapshot = []
    for name in {each["keys"]["Id"]["S"] for each in changes}:
        moment = iso(FIRST + timedelta(seconds=source.randint(200, 400)))
        own = [each for each in changes if each["keys"]["Id"]["S"] == name]
        state = states_of(own, moment).get(name)
        snapshot += [state] if state else []
    logged = [each for each in changes if each["timestamp"] >= begin]

    found = list(collected(logged, snapshot=snapshot).all(Start(snapshot_until=end)))

    assert {each.keys["Id"]["S"]: each.state for each in found if each.state} == {
        name: state for name, state in states_of(changes).items() if state
    }
    assert [fault for each in found for fault in each.faults] == []


def test_a_baseline_that_has_what_an_item_never_was_shows():
    wrong = {"Id": {"S": "item"}, "N": {"N": "3"}}
    changes = [envelope(1, new={"Id": {"S": "item"}})]

    (item,) = collected(changes, snapshot=[wrong]).all(Start(snapshot_until=iso(FIRST)))

    assert "the baseline has of it what it never was" in item.faults[0].reason


@pytest.mark.parametrize("live", [[], [{"Id": {"S": "item"}, "N": {"N": "3"}}]])
def test_what_the_table_has_stands_beside_the_state(live):
    (item,) = collected([envelope(1)], live=live).all(WITH_TABLE)

    assert item.state == {"Id": {"S": "item"}}
    assert item.live == (live[0] if live else None)
