"""What a mapping's options may be, alone and together, told before AWS is asked."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_source_mapping import (
    problems,
    same_function,
    same_version,
    stream_is_known,
)
from esm_support import FUNCTION, KEY, QUEUE, STREAM
from hypothesis import given, settings
from hypothesis import strategies as st

RANGES = {
    "batch_size": (1, 10_000),
    "maximum_batching_window_in_seconds": (0, 300),
    "maximum_retry_attempts": (-1, 10_000),
    "parallelization_factor": (1, 10),
    "tumbling_window_in_seconds": (0, 900),
}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": None, "filter_criteria": None, "on_failure_destination": None, "tags": None},
        {"on_failure_destination": "", "kms_key_arn": "", "filter_criteria": [], "metrics": [], "tags": {}},
        {"function_response_types": ["ReportBatchItemFailures"], "metrics": ["EventCount"]},
        {"starting_position": "LATEST", "enabled": False},
        {"on_failure_destination": QUEUE},
        {"on_failure_destination": "arn:aws-cn:sns:cn-north-1:123456789012:failures"},
        {"on_failure_destination": "arn:aws:s3:::failures.example"},
        {"kms_key_arn": KEY},
        {"tumbling_window_in_seconds": 60, "parallelization_factor": 1},
        {"tumbling_window_in_seconds": 0, "parallelization_factor": 10},
        {"tumbling_window_in_seconds": 60},
        {"uuid": "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"},
        {"function_name": "stream-processor", "event_source_arn": STREAM},
        {"function_name": f"{FUNCTION}:live"},
        {"function_name": "123456789012:function:stream-processor"},
        {"function_name": "stream-processor:$LATEST"},
        {"event_source_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Users/stream/(known after deploy)"},
        {"tags": {"Project": "activities", "Number": 5, "On": True, "Empty": ""}},
        {"batch_size": "10", "maximum_record_age_in_seconds": "-1"},
    ],
)
def test_what_aws_takes_has_no_problem(options):
    assert problems(options) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"maximum_record_age_in_seconds": 30}, "maximum_record_age_in_seconds is 30; give 60 to 604800, or -1"),
        ({"maximum_record_age_in_seconds": 0}, "give 60 to 604800"),
        ({"maximum_record_age_in_seconds": 604_801}, "give 60 to 604800"),
        ({"batch_size": "many"}, "batch_size is 'many'; give a whole number from 1 to 10000"),
        ({"batch_size": True}, "batch_size is True; give a whole number"),
        ({"batch_size": 1.5}, "batch_size is 1.5; give a whole number"),
        ({"starting_position": "AT_TIMESTAMP"}, "takes TRIM_HORIZON or LATEST"),
        ({"function_response_types": ["All"]}, "'All'; a mapping on a DynamoDB stream takes ReportBatchItemFailures"),
        ({"metrics": ["KafkaMetrics"]}, "takes EventCount"),
        ({"on_failure_destination": f"{QUEUE}.fifo"}, "whose name does not end in .fifo"),
        ({"on_failure_destination": "arn:aws:sns:us-east-1:123456789012:topic.fifo"}, "which is FIFO"),
        ({"on_failure_destination": FUNCTION}, "an SQS queue, an SNS topic or an S3 bucket"),
        ({"on_failure_destination": "https://sqs.us-east-1.amazonaws.com/123456789012/dlq"}, "give the ARN"),
        ({"on_failure_destination": "arn:aws:s3:::bucket/folder"}, "an S3 bucket"),
        ({"kms_key_arn": "alias/filters"}, "give the ARN of a KMS key"),
        ({"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:alias/filters"}, "not an alias"),
        ({"filter_criteria": {"Filters": []}}, "filter_criteria must be a list of patterns"),
        ({"filter_criteria": [{"eventName": ["INSERT"]}] * 11}, "filter_criteria has 11 patterns"),
        ({"filter_criteria": [{"eventName": ["INSERT"]}, "{"]}, "filter_criteria[1]: the pattern is not JSON"),
        ({"function_name": "arn:aws:iam::123456789012:role/x"}, "function_name is"),
        ({"function_name": "f" * 65}, "at most 64"),
        ({"event_source_arn": STREAM.split("/stream/", maxsplit=1)[0]}, "LatestStreamArn"),
        ({"event_source_arn": QUEUE}, "ARN of the table's stream"),
        ({"event_source_arn": ""}, "event_source_arn is ''"),
        ({"uuid": "5"}, "36 characters"),
        ({"tags": {"aws:mine": "x"}}, "begin with aws:"),
        ({"tags": {"Nested": {"a": "b"}}}, "a plain value"),
        ({"tags": {"Long": "x" * 257}}, "at most 256"),
        ({"tags": {f"t{number}": "" for number in range(51)}}, "up to 50"),
        ({"tags": ["a"]}, "tags must be a dictionary"),
        (
            {"tumbling_window_in_seconds": 60, "parallelization_factor": 2},
            "set parallelization_factor to 1, or tumbling_window_in_seconds to 0",
        ),
    ],
)
def test_what_aws_refuses_is_refused_with_what_to_change(options, said):
    (sentence,) = problems(options)
    assert said in sentence
    assert sentence.endswith(".")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(RANGES)), st.integers(-20_000, 20_000), st.booleans())
def test_numbers_are_held_to_their_ranges_as_numbers_and_as_text(name, value, as_text):
    lowest, highest = RANGES[name]
    found = problems({name: str(value) if as_text else value})
    assert bool(found) == (not lowest <= value <= highest)
    assert all(sentence.startswith(name) for sentence in found)


def test_every_problem_is_told_at_once():
    found = problems({"batch_size": 0, "maximum_record_age_in_seconds": 5, "starting_position": "NOW"})
    assert [sentence.split(" ")[0] for sentence in found] == [
        "batch_size",
        "maximum_record_age_in_seconds",
        "starting_position",
    ]


def test_removal_needs_only_what_finds_the_mapping():
    assert problems({"state": "absent", "function_name": "f", "event_source_arn": STREAM, "batch_size": 0}) == []
    assert problems({"state": "absent", "function_name": "not a name", "event_source_arn": STREAM}) != []


@pytest.mark.parametrize(
    ("function", "arn", "same", "version"),
    [
        ("stream-processor", FUNCTION, True, True),
        ("stream-processor", f"{FUNCTION}:live", True, True),
        ("stream-processor:live", FUNCTION, True, False),
        ("stream-processor:$LATEST", f"{FUNCTION}:live", True, True),
        (f"{FUNCTION}:7", f"{FUNCTION}:7", True, True),
        ("123456789012:function:stream-processor", FUNCTION, True, True),
        ("stream", FUNCTION, False, False),
        (FUNCTION.replace("us-east-1", "eu-west-1"), FUNCTION, False, False),
        (FUNCTION.replace("123456789012", "999999999999"), FUNCTION, False, False),
    ],
)
def test_a_function_is_the_same_whatever_its_version(function, arn, same, version):
    assert same_function(function, arn) is same
    assert same_version(function, arn) is version


def test_a_placeholder_is_no_stream_that_can_be_known():
    assert stream_is_known(STREAM)
    assert not stream_is_known(STREAM.rpartition("/")[0] + "/(known after deploy)")
