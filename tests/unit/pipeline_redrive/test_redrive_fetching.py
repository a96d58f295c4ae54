"""How the changes of failure records are found again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive import fetching
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.api import Mapping
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.changes import lambda_record
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.failure_records import (
    read_failure_record,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from redrive_support import FUNCTION, MARKER, SHARD, STREAM, TABLE, digits, record, text

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def refused(code):
    return AnsibleAWSError(message=code, exception=ClientError({"Error": {"Code": code, "Message": ""}}, "GetRecords"))


class Shard:
    """A shard that still has some changes, in pages of so many."""

    def __init__(self, numbers, page=3, there=True, items="abc"):
        self.records = [record(number, items[number % len(items)]) for number in sorted(numbers)]
        self.page, self.there = page, there
        self.calls = self.pages_read = 0

    def pages(self, stream_arn, shard_id, position, empty_pages):
        self.calls += 1
        if not self.there or (stream_arn, shard_id) != (STREAM, SHARD):
            raise refused("ResourceNotFoundException")
        start = 0
        if position["ShardIteratorType"] == "AT_SEQUENCE_NUMBER":
            wanted = int(position["SequenceNumber"])
            numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in self.records]
            if not numbers or wanted < numbers[0]:
                raise refused("TrimmedDataAccessException")
            start = sum(1 for number in numbers if number < wanted)
        for at in range(start, len(self.records), self.page):
            self.pages_read += 1
            yield self.records[at : at + self.page]
        for _each in range(empty_pages):
            yield []


class Mappings:
    def __init__(self, *patterns, modified=LONG_AGO):
        self.mapping = Mapping(patterns, True, modified)

    def find(self, _stream_arn, _function_name):
        return self.mapping


def failure(start, end, size, **batch):
    return read_failure_record(f"{start}-{end}", text(start, end, size, batch=batch), TABLE, FUNCTION)


def fetch(shard, *records, mappings=None):
    fetcher = fetching.Fetcher(shard, mappings or Mappings(), FUNCTION, MARKER, lambda: None)
    return fetcher.fetch(list(records), lambda found: found.payload)


def numbers(fetched):
    return [int(change.number) for change in fetched.changes]


def test_a_range_is_read_from_its_first_to_its_last_change():
    (found,) = fetch(Shard(range(1, 30)), failure(7, 16, 10))

    assert (numbers(found), found.gone) == (list(range(7, 17)), None)


def test_many_ranges_near_each_other_are_read_in_one_pass():
    shard = Shard(range(1, 1001), page=100)

    found = fetch(shard, *(failure(number, number, 1) for number in range(1, 1001)))

    assert [numbers(each) for each in found] == [[number] for number in range(1, 1001)]
    assert (shard.calls, shard.pages_read) == (10, 10)


def test_ranges_far_from_each_other_do_not_cost_what_lies_between():
    shard = Shard(range(1, 100_001), page=10)

    fetch(shard, failure(5, 6, 2), failure(99_000, 99_001, 2))

    assert shard.pages_read == 2


def test_a_change_of_two_failure_records_is_one_change():
    one, other = fetch(Shard(range(1, 10)), failure(2, 4, 3), failure(4, 5, 2))

    assert one.changes[-1] is other.changes[0]


@pytest.mark.parametrize(
    ("there", "start", "end", "lost", "left"),
    [
        (range(6, 20), 3, 8, (3, 5), [6, 7, 8]),  # the stream has forgotten its beginning
        (range(30, 40), 3, 8, (3, 8), []),
        (range(1, 7), 3, 8, (7, 8), [3, 4, 5, 6]),
        ([3, 8], 3, 8, (3, 8), [3, 8]),  # fewer than the batch had
        ([], 3, 8, (3, 8), []),
    ],
)
def test_what_has_left_the_stream_is_named_and_the_rest_is_there(there, start, end, lost, left):
    (found,) = fetch(Shard(there), failure(start, end, 6))

    assert (found.gone.start, found.gone.end) == (digits(lost[0]), digits(lost[1]))
    assert numbers(found) == left


def test_a_shard_that_is_gone_costs_two_calls_for_all_its_ranges():
    shard = Shard([], there=False)

    found = fetch(shard, *(failure(number, number, 1) for number in range(100)))

    assert all(each.gone and not each.changes for each in found)
    assert shard.calls == 2


def test_filters_leave_out_what_was_not_in_the_batch():
    only_a = '{"dynamodb": {"Keys": {"Id": {"S": ["a"]}}}}'  # item a is every third change

    (found,) = fetch(Shard(range(1, 30)), failure(3, 12, 4), mappings=Mappings(only_a))

    assert numbers(found) == [3, 6, 9, 12]


@pytest.mark.parametrize(
    ("mapping", "size"),
    [
        (Mappings('{"dynamodb": {"Keys": {"Id": {"S": ["a"]}}}}'), 5),
        # Edited since: what is held back now may have been in the batch.
        (Mappings('{"dynamodb": {"Keys": {"Id": {"S": ["a"]}}}}', modified=datetime(2026, 1, 2, tzinfo=UTC)), 4),
        (Mappings('{"dynamodb": {"Keys": {"Id": {"S": [{"cidr": "10.0.0.0/8"}]}}}}'), 4),
    ],
)
def test_where_the_filters_cannot_be_what_made_the_batch_all_is_taken(mapping, size):
    (found,) = fetch(Shard(range(1, 30)), failure(3, 12, size), mappings=mapping)

    assert numbers(found) == list(range(3, 13))


def test_a_payload_is_taken_without_a_look_at_the_stream():
    body = text(3, 4, 2, payload={"Records": [record(3), record(4)]})
    shard = Shard([], there=False)

    (found,) = fetch(shard, read_failure_record("key", body, TABLE, FUNCTION))

    assert (numbers(found), found.gone, shard.calls) == ([3, 4], None, 0)


@given(
    st.sets(st.integers(1, 60), max_size=40),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=8),
    st.integers(1, 10),
)
def test_every_range_gets_exactly_what_the_shard_has_of_it(there, ranges, page):
    records = [failure(start, start + more, 1) for start, more in ranges]

    for (start, more), found in zip(ranges, fetch(Shard(there, page), *records), strict=True):
        expected = [number for number in sorted(there) if start <= number <= start + more]
        assert numbers(found) == expected
        complete = bool(expected) and expected[0] == start and expected[-1] == start + more
        assert bool(found.gone) is not complete


def test_a_record_of_getrecords_becomes_what_a_function_gets():
    read = record(5)
    read["dynamodb"] |= {
        "ApproximateCreationDateTime": datetime(2026, 1, 1, tzinfo=UTC),
        "NewImage": {"Blob": {"B": b"\x00"}, "Deep": {"L": [{"M": {"Set": {"BS": [b"\x01"]}}}]}, "N": {"N": "1.50"}},
    }
    read["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}

    given = lambda_record(read, STREAM)

    assert given["dynamodb"]["ApproximateCreationDateTime"] == 1767225600
    image = given["dynamodb"]["NewImage"]
    assert image == {"Blob": {"B": "AA=="}, "Deep": {"L": [{"M": {"Set": {"BS": ["AQ=="]}}}]}, "N": {"N": "1.50"}}
    assert given["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert given["eventSourceARN"] == STREAM
