"""Audit objects' names: the change's identity and nothing else."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stream_processor.envelope import item_hash, to_envelope
from stream_processor.layout import per_change

from tests.unit.stream_records import FIRST_SECOND, item_keys, make_record, records, sample, validated


def name_of(record, prefix="audit-logs/"):
    return per_change(validated(to_envelope(record)), prefix)


def test_the_name_is_hour_sequence_number_and_item_hash():
    spelt = '{"ActivityId":{"S":"2026/login #1 😀"},"UserId":{"S":"user-1"}}'
    digest = hashlib.sha256(spelt.encode()).hexdigest()[:16]
    number = "0000000000000000000100000000000000000003"
    assert name_of(sample("remove")) == f"audit-logs/2026/01/01/00/{number}-{digest}.json"
    assert name_of(sample("remove"), "cdc/audit/") == f"cdc/audit/2026/01/01/00/{number}-{digest}.json"


def test_the_hour_is_the_change_s_own():
    assert "/2026/01/01/00/" in name_of(make_record(created=FIRST_SECOND + 3599))
    assert "/2026/01/01/01/" in name_of(make_record(created=FIRST_SECOND + 3600))


@settings(max_examples=60)
@given(records())
def test_a_name_holds_no_item_data_and_no_unsafe_character(record):
    name = name_of(record)
    assert re.fullmatch(r"audit-logs/\d{4}/\d{2}/\d{2}/\d{2}/\d{40}-[0-9a-f]{16}\.json", name)


@settings(max_examples=60)
@given(records())
def test_a_change_brought_again_has_the_name_it_had(record):
    again = {**record, "redrive": {"id": "r", "time": "2026-01-09T00:00:00Z"}}
    assert name_of(again) == name_of(record)


@settings(max_examples=100)
@given(item_keys(), item_keys())
def test_two_items_never_share_a_name(one, other):
    assume(one != other)
    assert name_of(make_record(one)) != name_of(make_record(other))


@settings(max_examples=100)
@given(st.integers(1, 10**40 - 1), st.integers(1, 10**40 - 1))
def test_two_sequence_numbers_never_share_a_name(one, other):
    assume(one != other)
    assert name_of(make_record(number=one)) != name_of(make_record(number=other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"u": {"S": "a-b"}, "a": {"S": "c"}}, {"u": {"S": "a"}, "a": {"S": "b-c"}}),
        ({"u": {"S": "1"}}, {"u": {"N": "1"}}),
        ({"u": {"S": "MQ=="}}, {"u": {"B": "MQ=="}}),
        ({"u": {"S": "x"}, "v": {"S": "y"}}, {"u": {"S": "y"}, "v": {"S": "x"}}),
        ({"u": {"S": "x"}}, {"v": {"S": "x"}}),
    ],
)
def test_items_that_look_alike_have_different_hashes(one, other):
    assert item_hash(one) != item_hash(other)


def test_the_order_of_the_key_s_attributes_does_not_count():
    assert item_hash({"u": {"S": "x"}, "v": {"S": "y"}}) == item_hash({"v": {"S": "y"}, "u": {"S": "x"}})


@settings(max_examples=100)
@given(st.integers(1, 10**40 - 1), st.integers(1, 10**40 - 1), item_keys(), item_keys())
def test_listing_order_is_stream_order_within_an_hour(one, other, some_keys, other_keys):
    assume(one < other)
    assert name_of(make_record(some_keys, number=one)) < name_of(make_record(other_keys, number=other))
