"""What the filters of an event source mapping let through."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_filter import (
    UNKNOWN,
    PatternError,
    all_of,
    any_of,
    matches,
    passes,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.events.models import EventPattern

RECORD = {
    "eventID": UNKNOWN,
    "eventName": "MODIFY",
    "dynamodb": {
        "ApproximateCreationDateTime": 1767225600,
        "SizeBytes": UNKNOWN,
        "Keys": {"Id": {"S": "order-1"}},
        "OldImage": {"Id": {"S": "order-1"}, "total": {"N": "99.99"}},
        "NewImage": {
            "Id": {"S": "order-1"},
            "total": {"N": "100"},
            "note": {"S": ""},
            "paid": {"BOOL": True},
            "gone": {"NULL": True},
            "tags": {"SS": ["a", "b"]},
            "lines": {"L": [{"M": {"sku": {"S": "x"}}}, {"M": {"sku": {"S": "y"}}}]},
        },
    },
    "nothing": None,
}


def new(**attributes):
    return {"dynamodb": {"NewImage": attributes}}


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        ({}, True),
        ({"eventName": ["MODIFY"]}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["INSERT"]}, False),
        ({"eventName": ["modify"]}, False),
        ({"eventName": [{"equals-ignore-case": "modify"}]}, True),
        ({"eventName": ["MODIFY"], "missing": ["x"]}, False),
        ({"nothing": [None]}, True),
        ({"eventName": [None]}, False),
        (new(note={"S": [""]}), True),
        (new(Id={"S": [""]}), False),
        (new(Id={"S": [{"prefix": "order-"}]}), True),
        (new(Id={"S": [{"prefix": "Order-"}]}), False),
        (new(Id={"S": [{"prefix": {"equals-ignore-case": "Order-"}}]}), True),
        (new(Id={"S": [{"suffix": "-1"}]}), True),
        (new(Id={"S": [{"suffix": "-2"}]}), False),
        (new(Id={"S": [{"anything-but": ["order-2"]}]}), True),
        (new(Id={"S": [{"anything-but": ["order-1", "order-2"]}]}), False),
        (new(Id={"S": [{"anything-but": "order-1"}]}), False),
        (new(missing={"S": [{"anything-but": ["x"]}]}), False),
        (new(paid={"BOOL": [True]}), True),
        (new(paid={"BOOL": [1]}), False),
        (new(gone={"NULL": [True]}), True),
        (new(tags={"SS": ["b"]}), True),
        (new(tags={"SS": ["c"]}), False),
        (new(lines={"L": {"M": {"sku": {"S": ["y"]}}}}), True),
        (new(lines={"L": {"M": {"sku": {"S": ["z"]}}}}), False),
        # Numbers of DynamoDB are strings.
        (new(total={"N": ["100"]}), True),
        (new(total={"N": [100]}), False),
        (new(total={"N": [{"numeric": [">", 1]}]}), False),
        (new(total={"N": [{"anything-but": ["99.99"]}]}), True),
        ({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 1767225599, "<=", 1767225600]}]}}, True),
        ({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": ["<", 1767225600]}]}}, False),
        ({"dynamodb": {"ApproximateCreationDateTime": [1767225600.0]}}, False),
        # exists looks at leaves.
        (new(total={"N": [{"exists": True}]}), True),
        (new(total=[{"exists": True}]), False),
        (new(total=[{"exists": False}]), True),
        (new(total={"N": [{"exists": False}]}), False),
        (new(missing={"S": [{"exists": False}]}), True),
        ({"missing": {"deeper": [{"exists": False}]}}, True),
        ({"$or": [{"eventName": ["INSERT"]}, new(note={"S": [""]})]}, True),
        ({"$or": [{"eventName": ["INSERT"]}, {"eventName": ["REMOVE"]}]}, False),
        ({"eventName": ["INSERT"], "$or": [{"nothing": [None]}, {"eventName": ["MODIFY"]}]}, False),
        ({"dynamodb": {"$or": [{"OldImage": {"total": {"N": ["1"]}}}, {"NewImage": {"total": {"N": ["100"]}}}]}}, True),
    ],
)
def test_a_pattern_matches_as_lambda_documents_it(pattern, verdict):
    assert matches(pattern, RECORD) is verdict
    assert matches(json.dumps(pattern), RECORD) is verdict


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        ({"dynamodb": {"SizeBytes": [{"numeric": [">", 10]}]}}, None),
        ({"eventID": ["x"]}, None),
        ({"eventID": [{"exists": True}]}, True),
        ({"eventID": [{"exists": False}]}, False),
        ({"eventID": ["x"], "eventName": ["INSERT"]}, False),
        ({"$or": [{"eventID": ["x"]}, {"eventName": ["MODIFY"]}]}, True),
        ({"$or": [{"eventID": ["x"]}, {"eventName": ["INSERT"]}]}, None),
    ],
)
def test_what_only_aws_knows_leaves_the_verdict_open_where_it_decides(pattern, verdict):
    assert matches(pattern, RECORD) is verdict


def test_without_filters_everything_passes_and_with_several_one_is_enough():
    assert passes([], RECORD) is True
    assert passes([{"eventName": ["INSERT"]}, {"eventName": ["MODIFY"]}], RECORD) is True
    assert passes([{"eventName": ["INSERT"]}, {"eventName": ["REMOVE"]}], RECORD) is False


@pytest.mark.parametrize(
    "pattern",
    [
        "{",
        "[]",
        {"eventName": "MODIFY"},
        {"eventName": []},
        {"eventName": [["MODIFY"]]},
        {"eventName": [{}]},
        {"eventName": [{"prefix": "M", "suffix": "Y"}]},
        {"eventName": [{"wildcard": "M*"}]},
        {"eventName": [{"prefix": 1}]},
        {"eventName": [{"exists": "yes"}]},
        {"eventName": [{"numeric": ["~", 1]}]},
        {"eventName": [{"numeric": [">"]}]},
        {"eventName": [{"anything-but": {"prefix": "M"}}]},
        {"$or": {"eventName": ["MODIFY"]}},
    ],
)
def test_a_pattern_that_cannot_be_evaluated_is_told_even_where_another_one_passes(pattern):
    with pytest.raises(PatternError):
        passes([{"eventName": ["MODIFY"]}, pattern], RECORD)


# Kept apart from what moto does differently: it takes true for 1, and an empty object for a leaf.
scalars = st.one_of(st.sampled_from(["", "a", "A", "ab", "b"]), st.integers(2, 5), st.none())
names = st.sampled_from(["p", "q", "r"])
events = st.recursive(
    st.dictionaries(names, scalars, min_size=1),
    lambda inner: st.dictionaries(names, st.one_of(scalars, inner), min_size=1),
    max_leaves=6,
)
operators = st.one_of(
    st.builds(lambda value: {"prefix": value}, st.sampled_from(["a", "ab"])),
    st.builds(lambda value: {"suffix": value}, st.sampled_from(["b", "ab"])),
    st.builds(lambda value: {"equals-ignore-case": value}, st.sampled_from(["a", "AB"])),
    st.builds(lambda value: {"prefix": {"equals-ignore-case": value}}, st.sampled_from(["A"])),
    st.builds(lambda value: {"exists": value}, st.booleans()),
    st.builds(lambda value: {"anything-but": value}, st.lists(st.sampled_from(["a", "b"]), min_size=1)),
    st.builds(lambda low, high: {"numeric": [">", low, "<=", high]}, st.integers(1, 3), st.integers(3, 6)),
    st.builds(lambda value: {"numeric": ["=", value]}, st.integers(2, 5)),
)
rules = st.lists(st.one_of(scalars, operators), min_size=1, max_size=3)


def objects(fields):
    plain = st.dictionaries(names, fields, min_size=1, max_size=2)
    return st.one_of(plain, st.builds(lambda one, two: {"$or": [one, two]}, plain, plain))


patterns = objects(st.recursive(rules, objects, max_leaves=4))


@settings(max_examples=300)
@given(patterns, events)
def test_verdicts_are_those_of_motos_eventbridge(pattern, event):
    assert matches(pattern, event) is EventPattern(json.dumps(pattern), pattern).matches_event(event)


verdicts = st.lists(st.sampled_from([True, False, None]))


@given(verdicts)
def test_an_open_verdict_is_open_only_while_it_can_still_go_both_ways(found):
    ways = [[each if each is not None else guess for each in found] for guess in (True, False)]
    for combine, plain in ((any_of, any), (all_of, all)):
        outcomes = {plain(way) for way in ways}
        assert combine(found) is (outcomes.pop() if len(outcomes) == 1 else None)
