"""The documents that Lambda sends: events, and on-failure records."""

from __future__ import annotations

import json

from local_cloud.poller.failure_records import body, body_with_payload, invocation_event, object_key
from local_cloud.poller.model import Batch, Discard, FunctionError, Returned, Window
from tests.unit.local_cloud.poller.simulated_shard import change
from tests.unit.stream_records import FIRST_SECOND, STREAM_ARN

ARN = STREAM_ARN.format("Items")
MAPPING = {"uuid": "b-1", "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:f:live", "stream_arn": ARN}
RECORDS = (change(1, 1, FIRST_SECOND), change(2, 2, FIRST_SECOND + 61))


def discard(last=None, condition="RetryAttemptsExhausted", window=None):
    return Discard(7, RECORDS, condition, 4, last, window)


def test_a_failure_record_has_awss_shape():
    assert body(discard(FunctionError()), MAPPING, "shardId-1", "r-1", FIRST_SECOND + 100.25) == {
        "requestContext": {
            "requestId": "r-1",
            "functionArn": MAPPING["function_arn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 4,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-01-01T00:01:40.250Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-1",
            "startSequenceNumber": "100000000000000000001",
            "endSequenceNumber": "100000000000000000002",
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:01:01Z",
            "batchSize": 2,
            "streamArn": ARN,
        },
    }


def test_after_a_partial_response_there_is_no_function_error():
    last = Returned({"batchItemFailures": [{"itemIdentifier": ""}]}, executed_version="3")
    assert body(discard(last), MAPPING, "s", "r", 0)["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "3",
        "functionError": None,
    }


def test_a_function_that_never_ran_has_no_response():
    assert "responseContext" not in body(discard(condition="RecordAgeExceeded"), MAPPING, "s", "r", 0)


def test_only_s3_gets_the_event_itself():
    kept = body_with_payload(discard(FunctionError()), MAPPING, "s", "r", 0)
    assert json.loads(kept.pop("payload")) == {"Records": list(RECORDS)}
    assert kept == body(discard(FunctionError()), MAPPING, "s", "r", 0)
    assert "item-1" not in json.dumps(kept)


def test_objects_are_named_by_mapping_shard_and_time():
    assert (
        object_key("b-1", "shardId-1", FIRST_SECOND + 3661, "r-2")
        == "aws/lambda/b-1/shardId-1/2026/01/01/2026-01-01T01.01.01-r-2"
    )


def test_an_event_without_windows_has_records_only():
    assert invocation_event(Batch(1, RECORDS), ARN, "s") == {"Records": list(RECORDS)}


def test_an_event_of_a_tumbling_window_says_where_it_stands():
    window = Window(FIRST_SECOND, FIRST_SECOND + 60, {"n": 1}, final=True)
    assert invocation_event(Batch(1, (), window), ARN, "shardId-1") == {
        "Records": [],
        "window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:01:00Z"},
        "state": {"n": 1},
        "shardId": "shardId-1",
        "eventSourceARN": ARN,
        "isFinalInvokeForWindow": True,
        "isWindowTerminatedEarly": False,
    }
