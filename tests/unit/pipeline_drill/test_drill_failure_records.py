"""What is read out of a failure destination's documents."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_drill.failure_records import (
    FailureRecord,
    read_failure_record,
)

STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/stream/2026-01-01T00:00:00.000"


def document(**changed) -> dict:
    batch = {
        "shardId": "shard-1",
        "startSequenceNumber": "800000000003126276362",
        "endSequenceNumber": "800000000003126276364",
        "batchSize": 2,
        "streamArn": STREAM,
    }
    return {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4},
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "DDBStreamBatchInfo": {**batch, **changed},
    }


def read(told) -> FailureRecord | None:
    return read_failure_record("m", told if isinstance(told, (str, bytes)) else json.dumps(told), STREAM)


def test_range_size_condition_and_error_are_read():
    record = read(document())

    assert (record.first, record.last) == (800000000003126276362, 800000000003126276364)
    assert (record.batch_size, record.condition, record.function_error) == (2, "RetryAttemptsExhausted", "Unhandled")


def test_the_payload_of_a_bucket_is_not_kept():
    assert "secret" not in repr(read({**document(), "payload": {"Records": ["secret"]}}))


def test_a_record_of_a_function_that_never_ran_has_no_error():
    told = document()
    del told["responseContext"]

    assert read(told).function_error is None


@pytest.mark.parametrize(
    "told",
    [
        "",
        "no JSON",
        b"\xff\xfe",
        "[]",
        "{}",
        {"DDBStreamBatchInfo": []},
        document(streamArn="arn:of:another"),
        document(startSequenceNumber=12),
        document(endSequenceNumber="12a"),
    ],
)
def test_what_is_no_failure_record_of_the_stream_is_left_alone(told):
    assert read(told) is None


def test_sequence_numbers_are_compared_as_numbers_and_only_within_their_shard():
    record = read(document(startSequenceNumber="99", endSequenceNumber="101"))

    assert record.covers("shard-1", 100)
    assert not record.covers("shard-2", 100)
    assert not record.covers("shard-1", 98)
    assert not record.covers("shard-1", None)


def test_only_a_batch_of_one_is_just_a_change():
    one = read(document(startSequenceNumber="99", endSequenceNumber="99", batchSize=1))

    assert one.is_just("shard-1", 99)
    assert not read(document()).is_just("shard-1", 800000000003126276362)
    assert read(document()).begins_or_ends_with("shard-1", 800000000003126276364)
    assert not read(document()).begins_or_ends_with("shard-1", 800000000003126276363)


def test_a_record_survives_the_way_from_phase_to_phase():
    record = read(document())

    assert FailureRecord.from_told(json.loads(json.dumps(record.told()))) == record
