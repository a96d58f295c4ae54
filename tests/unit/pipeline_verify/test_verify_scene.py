"""What is refused before the first write, and how the pipeline's parts are found."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import scene
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError

from tests.unit.pipeline_verify.verify_support import PARAMS, STREAM_ARN, TABLE_ARN, stream

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:processor"
MAPPING = {
    "UUID": "6d9bce8e-836b-442c-8070-74e77903c815",
    "EventSourceArn": STREAM_ARN,
    "FunctionArn": f"{FUNCTION_ARN}:live",
    "State": "Enabled",
    "MaximumBatchingWindowInSeconds": 5,
}
TABLE = {
    "TableName": "Orders",
    "TableArn": TABLE_ARN,
    "TableStatus": "ACTIVE",
    "LatestStreamArn": STREAM_ARN,
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
}


def options(**given_options):
    return scene.Options.read({**PARAMS, **given_options})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"items": 0}, "items must be from 1 to 100, not 0"),
        ({"items": 101}, "items must be from 1 to 100, not 101"),
        ({"timeout": 0}, "timeout must be from 1 to 3000"),
        ({"poll_interval": 21}, "poll_interval must be from 1 to 20"),
        ({"metrics_timeout": -1}, "metrics_timeout must be from 0 to 3600"),
        ({"notification_max_bytes": 1}, "notification_max_bytes must be from 32768 to 1048576"),
        ({"audit_prefix": "audit-logs"}, "audit_prefix must end with a slash"),
        ({"change_topic_arn": "changes"}, "change_topic_arn must be the ARN of an SNS topic"),
        ({"change_topic_arn": "arn:aws:sqs:us-east-1:123456789012:changes"}, "must be the ARN of an SNS topic"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(wrong, said):
    with pytest.raises(InputError, match=said):
        options(**wrong)


@pytest.mark.parametrize(
    "name",
    [
        "processor",
        "processor:live",
        FUNCTION_ARN,
        f"{FUNCTION_ARN}:live",
        f"{FUNCTION_ARN}:7",
        "123456789012:function:processor",
        "123456789012:function:processor:live",
    ],
)
def test_a_function_may_be_given_by_name_or_arn_with_or_without_its_alias(name):
    read = options(function_name=name)

    assert (read.function_name, read.log_group) == ("processor", "/aws/lambda/processor")


def test_a_log_group_of_another_name_or_none_can_be_given():
    assert options(log_group="/own/group").log_group == "/own/group"
    assert options(log_group="").log_group == ""


def test_the_stream_is_read_from_the_tables_description():
    found = scene.read_stream(TABLE)

    assert (found.table_name, found.stream_arn, found.region) == ("Orders", STREAM_ARN, "us-east-1")
    assert (found.view_type, found.key_schema) == ("NEW_IMAGE", (("Id", "S"),))
    assert found.label == "2026-01-01T00:00:00.000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"TableStatus": "CREATING"}, "is CREATING; it must be ACTIVE"),
        ({"StreamSpecification": {"StreamEnabled": False}}, "has no stream enabled"),
        ({"StreamSpecification": None}, "has no stream enabled"),
    ],
)
def test_a_table_that_cannot_be_tested_is_refused(change, said):
    with pytest.raises(InputError, match=said):
        scene.read_stream({**TABLE, **change})


def mappings(*found):
    return SimpleNamespace(of_stream=lambda _arn: list(found))


def test_the_mapping_is_found_by_function_whatever_alias_it_follows():
    other = {**MAPPING, "UUID": "other", "FunctionArn": f"{FUNCTION_ARN}-two"}

    assert scene.find_uuid(mappings(other, MAPPING), stream(), "processor") == MAPPING["UUID"]


def test_no_mapping_is_refused_and_more_than_one_are_named():
    with pytest.raises(InputError, match="No event source mapping leads from the stream of table Orders"):
        scene.find_uuid(mappings(), stream(), "processor")
    with pytest.raises(InputError, match="6d9bce8e-836b-442c-8070-74e77903c815, second. Name one in"):
        scene.find_uuid(mappings({**MAPPING, "UUID": "second"}, MAPPING), stream(), "processor")


def test_a_mapping_as_it_should_be_is_accepted():
    scene.check_mapping(MAPPING, stream(), options())


@pytest.mark.parametrize(
    ("change", "given_options", "said"),
    [
        ({"State": "Disabled"}, {}, "is Disabled, not Enabled"),
        ({"EventSourceArn": f"{TABLE_ARN}/stream/2025"}, {}, "needs a new mapping"),
        ({"FunctionArn": f"{FUNCTION_ARN}-two"}, {}, "not to the function processor"),
        ({"FilterCriteriaError": {"ErrorCode": "KMSAccessDenied", "Message": "no"}}, {}, "KMSAccessDenied: no"),
        ({"MaximumBatchingWindowInSeconds": 120}, {}, "longer than the mapping's batching window"),
        ({}, {"timeout": 5}, "longer than the mapping's batching window"),
    ],
)
def test_a_mapping_that_lets_nothing_through_for_sure_is_refused(change, given_options, said):
    with pytest.raises(InputError, match=said):
        scene.check_mapping({**MAPPING, **change}, stream(), options(**given_options))


@pytest.mark.parametrize(
    ("result", "fails"),
    [
        ("OK", False),
        ("OK - 3 records", False),
        ("No records processed", False),
        (None, False),
        ("PROBLEM: Function call failed", True),
        ("FAILED", True),
    ],
)
def test_the_mappings_last_result_tells_failure(result, fails):
    assert scene.last_result_fails({"LastProcessingResult": result}) is fails


def test_queue_names_tell_the_pipeline_and_the_run_and_fit():
    found = scene.Scene(stream(), MAPPING)
    other = scene.Scene(stream(), {**MAPPING, "FunctionArn": f"{FUNCTION_ARN}-two"})
    arn = found.queue_arn("0123456789abcdef")

    assert arn.startswith(f"arn:aws:sqs:us-east-1:123456789012:{found.queue_prefix}")
    assert len(arn.rpartition(":")[2]) <= 80
    assert found.queue_prefix != other.queue_prefix
