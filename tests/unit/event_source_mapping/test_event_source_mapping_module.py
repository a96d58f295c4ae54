"""The modules as Ansible runs them, against moto."""

from __future__ import annotations

import io
import json
import zipfile

import boto3
import moto
import pytest
from esm_support import QUEUE, run_module

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture
def aws(monkeypatch):
    """A table with a stream and a function, in moto; answers the stream's ARN and a Lambda client."""
    for name, value in (("ACCESS_KEY_ID", "test"), ("SECRET_ACCESS_KEY", "test"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        table = boto3.client("dynamodb").create_table(
            TableName="UserActivities",
            AttributeDefinitions=[{"AttributeName": "UserId", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "UserId", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("app.py", "def handler(event, context): pass\n")
        client = boto3.client("lambda")
        client.create_function(
            FunctionName="stream-processor",
            Runtime="python3.13",
            Role=role["Arn"],
            Handler="app.handler",
            Code={"ZipFile": package.getvalue()},
        )
        yield table["LatestStreamArn"], client


@pytest.fixture
def run(aws, capsys):
    stream, _client = aws

    def run_it(check=False, diff=False, name="event_source_mapping", **options):
        if "uuid" not in options:
            options = {"function_name": "stream-processor", "event_source_arn": stream, **options}
        return run_module(name, capsys, check=check, diff=diff, **options)

    return run_it


SETTINGS = {
    "batch_size": 10,
    "maximum_batching_window_in_seconds": 5,
    "maximum_record_age_in_seconds": 3600,
    "maximum_retry_attempts": 3,
    "bisect_batch_on_function_error": True,
    "parallelization_factor": 2,
    "function_response_types": ["ReportBatchItemFailures"],
    "on_failure_destination": QUEUE,
    "filter_criteria": [{"eventName": ["INSERT", "MODIFY"]}, '{"eventName": ["REMOVE"]}'],
    "metrics": ["EventCount"],
    "tags": {"Project": "activities"},
}


def test_a_mapping_is_made_found_changed_and_removed(run, aws):
    made = run(**SETTINGS)
    assert made["changed"]
    mapping = made["event_source_mapping"]
    assert {name: mapping[name] for name in ("batch_size", "parallelization_factor", "tags")} == {
        "batch_size": 10,
        "parallelization_factor": 2,
        "tags": {"Project": "activities"},
    }
    assert mapping["filter_criteria"] == [{"eventName": ["INSERT", "MODIFY"]}, {"eventName": ["REMOVE"]}]

    again = run(**SETTINGS)
    assert (again["changed"], again["event_source_mapping"]["uuid"]) == (False, mapping["uuid"])

    changed = run(**{**SETTINGS, "batch_size": 25, "tags": {"Project": "other"}}, diff=True)
    assert changed["changed"]
    before, after = changed["diff"]["before"], changed["diff"]["after"]
    assert {name for name in before if before[name] != after[name]} == {"batch_size", "tags"}
    assert changed["event_source_mapping"]["uuid"] == mapping["uuid"]

    assert run(state="absent")["changed"]
    assert not run(state="absent")["changed"]
    assert aws[1].list_event_source_mappings()["EventSourceMappings"] == []


def test_removing_destination_and_filter(run):
    run(**SETTINGS)
    bare = run(on_failure_destination="", filter_criteria=[])
    assert bare["changed"]
    assert bare["event_source_mapping"]["destination_config"] == {"on_failure": {}}
    assert bare["event_source_mapping"]["filter_criteria"] == []
    assert bare["event_source_mapping"]["batch_size"] == 10
    assert not run(on_failure_destination="", filter_criteria=[])["changed"]


def test_an_update_keeps_options_left_out(run):
    uuid = run(**SETTINGS)["event_source_mapping"]["uuid"]
    mapping = run(uuid=uuid, enabled=False)["event_source_mapping"]
    assert mapping["state"] == "Disabled"
    assert {name: mapping[name] for name in SETTINGS if name in mapping and name != "filter_criteria"} == {
        name: value for name, value in SETTINGS.items() if name in mapping and name != "filter_criteria"
    }


def test_check_mode_changes_nothing(run, aws):
    planned = run(check=True, diff=True, batch_size=10)
    assert planned["changed"]
    assert (planned["diff"]["before"], planned["diff"]["after"]["batch_size"]) == ({}, 10)
    assert aws[1].list_event_source_mappings()["EventSourceMappings"] == []
    run(batch_size=10)
    assert not run(check=True, batch_size=10)["changed"]
    assert run(check=True, state="absent")["changed"]
    assert len(aws[1].list_event_source_mappings()["EventSourceMappings"]) == 1


def test_check_mode_works_before_anything_exists(run):
    told = run(
        check=True,
        diff=True,
        function_name="not-yet:live",
        event_source_arn="arn:aws:dynamodb:us-east-1:123456789012:table/NotYet/stream/(known after deploy)",
        on_failure_destination=QUEUE,
    )
    assert told["changed"]
    assert told["event_source_mapping"]["function_arn"].endswith(":function:not-yet:live")


def test_impossible_options_are_refused_before_aws_is_asked(run, monkeypatch):
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", _no_call)
    told = run(tumbling_window_in_seconds=30, parallelization_factor=2, maximum_record_age_in_seconds=30)
    assert told["failed"]
    assert "maximum_record_age_in_seconds is 30; give 60 to 604800" in told["msg"]
    assert "set parallelization_factor to 1" in told["msg"]


def _no_call(*_args, **_kwargs):
    raise AssertionError("AWS was asked")


def test_a_missing_function_is_told_in_aws_own_words(run):
    told = run(function_name="missing")
    assert told["failed"]
    assert told["msg"].startswith(
        "Failed to create event source mapping: An error occurred (ResourceNotFoundException)"
    )


@pytest.mark.parametrize("options", [{}, {"function_name": "f"}, {"event_source_arn": "arn"}])
def test_a_mapping_must_be_named_by_uuid_or_by_stream_and_function(capsys, options):
    told = run_module("event_source_mapping", capsys, **options)
    assert told["failed"]
    assert "one of the following is required: uuid, " in told["msg"]


def test_info_lists_what_fits(run):
    mapping = run(**SETTINGS)["event_source_mapping"]
    name = "event_source_mapping_info"
    listed = run(name=name)
    assert (listed["changed"], listed["event_source_mappings"]) == (False, [mapping])
    assert run(name=name, uuid=mapping["uuid"])["event_source_mappings"] == [mapping]
    assert run(name=name, function_name="other")["event_source_mappings"] == []
    assert "function_name is 'no name'" in run(name=name, function_name="no name")["msg"]
