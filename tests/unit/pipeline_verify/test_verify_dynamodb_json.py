"""DynamoDB JSON: what users give is checked, what is written and what comes back is compared by meaning."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import (
    attributes_problem,
    in_request_form,
    in_stream_form,
    item_hash,
    same_attributes,
)
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st
from stream_processor import envelope as function

from tests.unit.stream_records import attribute_values, item_keys, numbers


@given(item_keys())
def test_the_item_hash_is_the_functions(keys):
    assert item_hash(keys) == function.item_hash(keys)


@given(st.dictionaries(st.text(min_size=1), attribute_values(), max_size=3))
def test_every_attribute_value_of_dynamodb_is_accepted_and_like_itself(attributes):
    # A set that repeats a number in another spelling is none.
    if attributes_problem(attributes):
        assert "holds a member twice" in attributes_problem(attributes)
        return
    written = {name: in_stream_form(value) for name, value in attributes.items()}
    assert same_attributes(written, attributes) and same_attributes(attributes, written)


@given(attribute_values())
def test_a_request_holds_what_boto3_makes_of_the_same_value(value):
    if attributes_problem({"name": value}):
        return
    request = in_request_form(value)
    python = TypeDeserializer().deserialize(request)
    assert same_attributes({"name": _text_again(TypeSerializer().serialize(python))}, {"name": value})


def _text_again(value):
    """Binary as base64 text, as a stream record has it."""
    ((kind, content),) = value.items()
    if kind == "B":
        return {kind: base64.b64encode(content).decode()}
    if kind == "BS":
        return {kind: [base64.b64encode(each).decode() for each in content]}
    if kind == "L":
        return {kind: [_text_again(each) for each in content]}
    if kind == "M":
        return {kind: {name: _text_again(each) for name, each in content.items()}}
    return value


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"n": {"N": "1.50"}}, {"n": {"N": "1.5"}}, True),
        ({"n": {"N": "100"}}, {"n": {"N": "1E+2"}}, True),
        ({"n": {"N": "9" * 38}}, {"n": {"N": "9" * 37 + "8"}}, False),
        ({"n": {"N": "1"}}, {"n": {"S": "1"}}, False),
        ({"s": {"SS": ["a", "b"]}}, {"s": {"SS": ["b", "a"]}}, True),
        ({"s": {"NS": ["1", "2.0"]}}, {"s": {"NS": ["2", "1"]}}, True),
        ({"l": {"L": [{"S": "a"}, {"S": "b"}]}}, {"l": {"L": [{"S": "b"}, {"S": "a"}]}}, False),
        ({"m": {"M": {"n": {"N": "1.0"}}}}, {"m": {"M": {"n": {"N": "1"}}}}, True),
        ({"a": {"S": ""}}, {}, False),
        ({"n": {"N": "one"}}, {"n": {"N": "one"}}, False),
        ({"n": "1"}, {"n": "1"}, False),
        (None, {}, False),
    ],
)
def test_images_are_compared_by_what_they_mean(one, other, same):
    assert same_attributes(one, other) is same
    assert same_attributes(*reversed((one, other))) is same


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "DynamoDB JSON with one type"),
        ({}, "DynamoDB JSON with one type"),
        ({"S": "a", "N": "1"}, "DynamoDB JSON with one type"),
        ({"X": "a"}, "the types are S, N, B"),
        ({"S": 1}, "S takes a string"),
        ({"N": 1.5}, "N takes a number of up to 38 digits"),
        ({"N": True}, "N takes a number of up to 38 digits"),
        ({"N": "1_000x"}, "N takes a number of up to 38 digits"),
        ({"N": "NaN"}, "N takes a number of up to 38 digits"),
        ({"N": "1" * 39}, "N takes a number of up to 38 digits"),
        ({"N": "1E+126"}, "N takes a number of up to 38 digits"),
        ({"B": "not base64"}, "B takes base64 text"),
        ({"BOOL": "yes"}, "BOOL takes true or false"),
        ({"NULL": False}, "NULL takes true"),
        ({"SS": []}, "SS takes a list that is not empty"),
        ({"NS": ["1", "1.0"]}, "NS holds a member twice"),
        ({"L": {"S": "a"}}, "a value that is none of its kind"),
        ({"L": [{"S": "a"}, {"S": 2}]}, "name[1]: S takes a string"),
        ({"M": {"inner": {"N": "x"}}}, "name.inner: N takes"),
    ],
)
def test_what_is_wrong_with_an_attribute_is_told_with_its_place(value, said):
    problem = attributes_problem({"fine": {"S": "a"}, "name": value})

    assert problem.startswith("name") and said in problem


@pytest.mark.parametrize(
    ("given_number", "spelled"),
    [("1.50", "1.5"), ("100", "100"), ("007", "7"), ("-0.0", "0"), ("1E+2", "100"), ("2.0", "2"), (-30, "-30")],
)
def test_numbers_are_spelled_as_dynamodb_gives_them_back(given_number, spelled):
    assert in_stream_form({"N": given_number}) == {"N": spelled}


@given(numbers())
def test_a_numbers_spelling_loses_no_digit(number):
    (spelled,) = in_stream_form({"N": number}).values()
    assert Decimal(spelled) == Decimal(number)


def test_whole_numbers_may_be_given_as_such():
    given_value = {"L": [{"N": 5}, {"M": {"n": {"NS": [1, "2"]}}}]}

    assert attributes_problem({"name": given_value}) is None
    assert in_stream_form(given_value) == {"L": [{"N": "5"}, {"M": {"n": {"NS": ["1", "2"]}}}]}
