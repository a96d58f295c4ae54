"""Which messages and objects are failure records of the pipeline, and what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.failure_records import (
    Foreign,
    read_failure_record,
)
from redrive_support import FUNCTION, STREAM, TABLE, digits, document, record, text


def read(body):
    return read_failure_record("id", body if isinstance(body, str) else json.dumps(body), TABLE, FUNCTION)


def test_a_message_says_where_its_changes_are():
    found = read(text(5, 9, 3))

    assert (found.stream_arn, found.start, found.end, found.batch_size) == (STREAM, digits(5), digits(9), 3)
    assert found.timestamp == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert found.payload is None


@pytest.mark.parametrize("condition", ["RetryAttemptsExhausted", "RecordAgeExceeded", "SomethingNew", None])
def test_any_condition_is_taken(condition):
    body = document(5, 5, 1)
    body["requestContext"]["condition"] = condition
    del body["responseContext"]

    assert read(body).batch_size == 1


def test_a_topics_wrapping_is_taken_off():
    assert read({"Type": "Notification", "Message": text(5, 9, 3)}).start == digits(5)


@pytest.mark.parametrize("form", [lambda event: event, json.dumps])
def test_a_payload_is_taken_as_an_object_and_as_text(form):
    records = [record(5), record(9)]

    assert read(document(5, 9, 2, payload=form({"Records": records}))).payload == tuple(records)


@pytest.mark.parametrize(
    "payload",
    [None, "", "{", {"Records": []}, {"Records": [record(5)]}, {"Records": [record(5), {"dynamodb": {}}]}, [1]],
)
def test_a_payload_that_does_not_hold_the_batch_is_not_taken(payload):
    assert read(document(5, 9, 2, payload=payload)).payload is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("no JSON", "not a JSON object"),
        ("[]", "not a JSON object"),
        ('{"user": "secret"}', "no failure record"),
        (text(5, 9, 3).replace("DDBStream", "Kinesis"), "no failure record"),
        (text(5, 9, 3).replace("table/Orders", "table/Invoices"), "another table"),
        (text(5, 9, 3).replace(":processor:", ":other:"), "another function"),
        (document(5, 9, 3, batch={"shardId": None}), "without shard"),
        (document(5, 9, 3, batch={"startSequenceNumber": "five"}), "without shard"),
        (document(9, 5, 3), "ends before it starts"),
        (document(5, 9, 3, timestamp="yesterday"), "timestamp"),
    ],
)
def test_what_is_none_of_the_pipelines_is_told_without_its_content(body, reason):
    with pytest.raises(Foreign, match=reason) as told:
        read(body)
    assert "secret" not in str(told.value)
