"""Filter patterns: one way to write them, and what is refused without asking AWS."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.filter_pattern import (
    canonical,
    parse,
    pattern_problems,
)
from hypothesis import given, settings
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)


@settings(max_examples=100, deadline=None)
@given(json_objects)
def test_text_and_dict_of_a_pattern_are_written_the_same_way(pattern):
    assert canonical(json.dumps(pattern, indent=3)) == canonical(pattern)
    assert parse(canonical(pattern)) == pattern


@settings(max_examples=100, deadline=None)
@given(json_objects, st.randoms())
def test_the_order_of_keys_does_not_matter(pattern, random):
    names = list(pattern)
    random.shuffle(names)
    assert canonical({name: pattern[name] for name in names}) == canonical(pattern)


@pytest.mark.parametrize(("one", "other"), [(True, 1), (False, 0), ("1", 1), (None, "null"), ([1, 2], [2, 1])])
def test_values_that_json_tells_apart_are_told_apart(one, other):
    assert canonical({"a": [one]}) != canonical({"a": [other]})


@pytest.mark.parametrize(
    "pattern",
    [
        {"eventName": ["INSERT", "MODIFY"]},
        '{"eventName": ["REMOVE"], "userIdentity": {"type": ["Service"]}}',
        {"dynamodb": {"NewImage": {"status": {"S": ["done", None, "", {"prefix": "x"}]}}}},
        {"dynamodb": {"Keys": {"Id": {"N": ["5", {"anything-but": ["7"]}]}}}},
        {"dynamodb": {"OldImage": {"gone": {"S": [{"exists": False}]}}}},
        {"dynamodb": {"NewImage": {"address": {"M": {"city": {"S": [{"equals-ignore-case": "Bern"}]}}}}}},
        {"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 1700000000, "<=", 1800000000]}]}},
        {"dynamodb": {"NewImage": {"$or": [{"a": {"S": ["x"]}}, {"b": {"BOOL": [True]}}]}}},
        {"$or": [{"eventName": ["INSERT"]}, {"eventName": [{"suffix": "FY"}]}]},
        {"eventName": [{"anything-but": 5}, {"numeric": ["=", 1]}]},
    ],
)
def test_valid_patterns_have_no_problem(pattern):
    assert pattern_problems(pattern) == []


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{nonsense", "not JSON"),
        ("[]", "must be a JSON object"),
        ('"text"', "must be a JSON object"),
        ('{"a": [NaN]}', "NaN is no JSON number"),
        ("[" * 100_000, "not JSON"),
        (5, "must be a JSON object"),
        ({1, 2}, "not JSON"),
        ({}, "the pattern is empty"),
        ({"dynamodb": {}}, "dynamodb is empty"),
        ({"eventName": "INSERT"}, 'eventName must be a list of what may match: ["INSERT"]'),
        ({"eventName": None}, "eventName must be a list"),
        ({"eventName": []}, "eventName is an empty list"),
        ({"eventName": [["INSERT"]]}, "list in its list"),
        ({"eventName": [{"begins-with": "I"}]}, "unknown operator begins-with"),
        ({"eventName": [{"prefix": "I", "suffix": "T"}]}, "an operator object with 2 keys"),
        ({"eventName": [{}]}, "an operator object with 0 keys"),
        ({"eventName": [{"prefix": 5}]}, "prefix takes a string, not 5"),
        ({"eventName": [{"exists": "yes"}]}, "exists takes true or false"),
        ({"x": [{"numeric": [5]}]}, "numeric takes a comparison"),
        ({"x": [{"numeric": ["=", "5"]}]}, "numeric takes a comparison"),
        ({"x": [{"numeric": ["<", 5, ">", 1]}]}, "numeric takes a comparison"),
        ({"x": [{"numeric": [">", 5, "<", 1]}]}, "numeric takes a comparison"),
        ({"x": [{"numeric": ["~", 5]}]}, "numeric takes a comparison"),
        ({"x": [{"anything-but": ["a", 5]}]}, "anything-but takes"),
        ({"x": [{"anything-but": []}]}, "anything-but takes"),
        ({"x": [{"anything-but": {"exists": True}}]}, "anything-but takes"),
        ({"$or": [{"eventName": ["INSERT"]}]}, "at least two objects"),
        ({"$or": {"eventName": ["INSERT"]}}, "at least two objects"),
        ({"$or": [{"eventName": ["INSERT"]}, {}]}, "empty"),
        ({"eventName": ["x" * 4096]}, "AWS takes up to 4096"),
    ],
)
def test_patterns_that_aws_refuses_are_refused_with_the_reason(pattern, said):
    (sentence,) = pattern_problems(pattern)
    assert said in sentence


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ({"dynamodb": {"NewImage": {"status": ["done"]}}}, "dynamodb.NewImage.status must name an attribute and its"),
        ({"dynamodb": {"NewImage": [{"exists": False}]}}, "dynamodb.NewImage must name an attribute and its type"),
        ({"dynamodb": {"Keys": {"Id": {"string": ["x"]}}}}, "values stand under their type key"),
        ({"dynamodb": {"NewImage": {"price": {"N": [{"numeric": [">", 5]}]}}}}, "numeric, which never matches"),
    ],
)
def test_patterns_that_never_match_a_stream_record_are_refused(pattern, said):
    (sentence,) = pattern_problems(pattern)
    assert said in sentence


@pytest.mark.parametrize(
    "rule", [{"anything-but": {"prefix": "REM"}}, {"wildcard": "I*"}, {"cidr": "10.0.0.0/8"}, {"exactly": "INSERT"}]
)
def test_what_only_event_buses_are_documented_to_take_is_refused(rule):
    assert len(pattern_problems({"eventName": [rule]})) == 1
