"""Which records the poller's filters let through."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_filter import matches as verify_matches
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.events.models import EventPattern

from local_cloud.poller.filters import compile_patterns
from tests.unit.local_cloud.poller.simulated_shard import EXAMPLES
from tests.unit.stream_records import attribute_values, make_record

RECORD = make_record(
    {"Id": {"S": "order-1"}},
    old={"Id": {"S": "order-1"}, "total": {"N": "99.99"}},
    new={
        "Id": {"S": "order-1"},
        "total": {"N": "100"},
        "note": {"S": ""},
        "paid": {"BOOL": True},
        "tags": {"SS": ["a", "b"]},
        "lines": {
            "L": [{"M": {"sku": {"S": "x"}, "size": {"S": "1"}}}, {"M": {"sku": {"S": "y"}, "size": {"S": "2"}}}]
        },
        "empty": {"L": []},
        "nothing": None,
    },
    created=1767225600,
)


def new(**attributes):
    return {"dynamodb": {"NewImage": attributes}}


def created(*rules):
    return {"dynamodb": {"ApproximateCreationDateTime": list(rules)}}


@pytest.mark.parametrize(
    ("pattern", "passes"),
    [
        ({}, True),
        ({"eventName": ["INSERT", "MODIFY"]}, True),
        ({"eventName": ["INSERT"]}, False),
        ({"eventName": ["modify"]}, False),
        ({"eventName": ["MODIFY"], "missing": ["x"]}, False),
        (new(nothing=[None]), True),
        (new(missing=[None]), False),
        (new(note={"S": [""]}), True),
        (new(Id={"S": [""]}), False),
        ({"eventName": [{"equals-ignore-case": "modify"}]}, True),
        (new(Id={"S": [{"prefix": "order-"}]}), True),
        (new(Id={"S": [{"prefix": "Order-"}]}), False),
        (new(Id={"S": [{"prefix": {"equals-ignore-case": "ORDER-"}}]}), True),
        (new(Id={"S": [{"suffix": "-1"}]}), True),
        (new(Id={"S": [{"suffix": "order"}]}), False),
        (new(Id={"S": [{"anything-but": ["order-2", "order-3"]}]}), True),
        (new(Id={"S": [{"anything-but": "order-1"}]}), False),
        (new(missing={"S": [{"anything-but": "x"}]}), False),
        (new(paid={"BOOL": [True]}), True),
        (new(paid={"BOOL": [1]}), False),
        (new(tags={"SS": ["b"]}), True),
        (new(tags={"SS": ["c"]}), False),
        (new(tags={"SS": [{"anything-but": "a"}]}), True),
        # Several fields of one object in a list must hold for the same object.
        (new(lines={"L": {"M": {"sku": {"S": ["x"]}, "size": {"S": ["1"]}}}}), True),
        (new(lines={"L": {"M": {"sku": {"S": ["x"]}, "size": {"S": ["2"]}}}}), False),
        # DynamoDB's numbers are strings; only JSON's numbers compare as numbers.
        (new(total={"N": ["100"]}), True),
        (new(total={"N": [100]}), False),
        (new(total={"N": [{"numeric": [">", 1]}]}), False),
        (new(total={"N": [{"anything-but": ["99.99"]}]}), True),
        (created({"numeric": ["=", 1767225600.0]}), True),
        (created({"numeric": [">", 1767225599, "<=", 1767225600]}), True),
        (created({"numeric": [">=", 1767225600, "<", 1767225600]}), False),
        (created({"numeric": ["<", 1767225600]}), False),
        (created(1767225600), True),
        (created(1767225600.0), False),
        (created("1767225600"), False),
        # exists looks at leaves: an object is none, so its absence holds for every record.
        (new(total={"N": [{"exists": True}]}), True),
        (new(total={"N": [{"exists": False}]}), False),
        (new(total=[{"exists": True}]), False),
        (new(total=[{"exists": False}]), True),
        (new(nothing=[{"exists": True}]), True),
        (new(missing={"S": [{"exists": False}]}), True),
        ({"missing": {"deeper": [{"exists": False}]}}, True),
        (new(empty={"L": {"S": [{"exists": False}]}}), True),
        ({"$or": [{"eventName": ["INSERT"]}, new(note={"S": [""]})]}, True),
        ({"$or": [{"eventName": ["INSERT"]}, {"eventName": ["REMOVE"]}]}, False),
        ({"eventName": ["INSERT"], "$or": [{"eventName": ["MODIFY"]}]}, False),
        ({"dynamodb": {"$or": [{"OldImage": {"total": {"N": ["1"]}}}, {"NewImage": {"total": {"N": ["100"]}}}]}}, True),
    ],
)
def test_a_record_passes_as_lambda_documents_it(pattern, passes):
    assert compile_patterns([json.dumps(pattern)])(RECORD) is passes


def test_one_of_several_patterns_is_enough_and_none_lets_everything_through():
    insert, modify = '{"eventName": ["INSERT"]}', '{"eventName": ["MODIFY"]}'
    assert compile_patterns([])(RECORD)
    assert compile_patterns([insert, modify])(RECORD)
    assert not compile_patterns([insert])(RECORD)


@pytest.mark.parametrize(
    "pattern",
    [
        "{",
        "[]",
        "null",
        '{"eventName": "MODIFY"}',
        '{"eventName": []}',
        '{"eventName": [["MODIFY"]]}',
        '{"eventName": [{}]}',
        '{"eventName": [{"prefix": "M", "suffix": "Y"}]}',
        '{"eventName": [{"wildcard": "M*"}]}',
        '{"eventName": [{"prefix": 1}]}',
        '{"eventName": [{"prefix": {"suffix": "x"}}]}',
        '{"eventName": [{"equals-ignore-case": ["a"]}]}',
        '{"eventName": [{"exists": "yes"}]}',
        '{"eventName": [{"numeric": ["~", 1]}]}',
        '{"eventName": [{"numeric": [">"]}]}',
        '{"eventName": [{"numeric": [">", "1"]}]}',
        '{"eventName": [{"numeric": [[], 1]}]}',
        '{"eventName": [{"anything-but": {"prefix": "M"}}]}',
        '{"eventName": [{"anything-but": []}]}',
        '{"$or": {"eventName": ["MODIFY"]}}',
        '{"$or": []}',
        '{"$or": ["x"]}',
        '{"a":' * 600 + '["x"]' + "}" * 600,
    ],
)
def test_a_pattern_that_cannot_be_read_is_refused_before_the_first_record(pattern):
    with pytest.raises(ValueError, match="."):
        compile_patterns(['{"eventName": ["MODIFY"]}', pattern])


# What moto does differently from AWS is kept out: it takes true for 1 and 1.0 for 1, an empty object and an empty list
# for a leaf, does not look into lists of objects, and reads a name with a dot as two.
scalars = st.one_of(st.sampled_from(["", "a", "A", "ab", "b"]), st.integers(2, 5), st.none())
names = st.sampled_from(["p", "q", "r"])
leaves = st.one_of(scalars, st.lists(scalars, min_size=1, max_size=3))
events = st.recursive(
    st.dictionaries(names, leaves, min_size=1),
    lambda inner: st.dictionaries(names, st.one_of(leaves, inner), min_size=1),
    max_leaves=6,
)
texts = st.sampled_from(["a", "b", "ab", "AB"])
operators = st.one_of(
    st.builds(lambda word, value: {word: value}, st.sampled_from(["prefix", "suffix", "equals-ignore-case"]), texts),
    st.builds(lambda word, value: {word: {"equals-ignore-case": value}}, st.sampled_from(["prefix", "suffix"]), texts),
    st.builds(lambda value: {"exists": value}, st.booleans()),
    st.builds(lambda value: {"anything-but": value}, st.one_of(texts, st.integers(2, 5), st.lists(texts, min_size=1))),
    st.builds(lambda low, high: {"numeric": [">", low, "<=", high]}, st.integers(1, 3), st.integers(3, 6)),
    st.builds(
        lambda sign, bound: {"numeric": [sign, bound]}, st.sampled_from(["=", "<", "<=", ">", ">="]), st.integers(2, 5)
    ),
)
rules = st.lists(st.one_of(scalars, operators), min_size=1, max_size=3)


def objects(fields):
    plain = st.dictionaries(names, fields, min_size=1, max_size=2)
    either = st.builds(lambda one, two: {"$or": [one, two]}, plain, plain)
    return st.one_of(plain, either, st.builds(lambda both, more: {**both, **more}, plain, either))


patterns = objects(st.recursive(rules, objects, max_leaves=4))


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(patterns, events)
def test_verdicts_are_those_of_motos_eventbridge_and_of_verify(pattern, event):
    verdict = compile_patterns([json.dumps(pattern)])(event)
    assert verdict is EventPattern(json.dumps(pattern), pattern).matches_event(event)
    assert verdict is verify_matches(pattern, event)


images = st.dictionaries(names, attribute_values(), min_size=1, max_size=3)
kinds = st.sampled_from(["S", "N", "BOOL", "NULL", "L", "M", "SS", "NS"])


@st.composite
def image_patterns(draw):
    """Patterns on attributes as they stand in a record: under their type, and in lists and maps."""
    depth = draw(st.integers(0, 2))
    below = {draw(kinds): draw(rules)}
    for _level in range(depth):
        below = draw(st.sampled_from([{"L": below}, {"M": {draw(names): below}}]))
    image = {draw(names): below}
    return {"dynamodb": {draw(st.sampled_from(["NewImage", "OldImage"])): image}}


@settings(max_examples=EXAMPLES, deadline=None)
@given(image_patterns(), images, images)
def test_verdicts_on_stream_records_are_those_of_verify(pattern, old, new_image):
    record = make_record(old=old, new=new_image)
    assert compile_patterns([json.dumps(pattern)])(record) is verify_matches(pattern, record)
