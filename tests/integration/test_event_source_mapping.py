"""The modules for mappings against the local cloud: states that take their time, aliases, gone streams, permissions."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import (
    event_source_mapping,
    event_source_mapping_info,
)

pytestmark = pytest.mark.cloud

NAME = "module-event-source-mapping"
SETTINGS = {
    "batch_size": 10,
    "maximum_batching_window_in_seconds": 5,
    "maximum_record_age_in_seconds": 3600,
    "maximum_retry_attempts": 3,
    "bisect_batch_on_function_error": True,
    "parallelization_factor": 2,
    "tumbling_window_in_seconds": 0,
    "function_response_types": ["ReportBatchItemFailures"],
    "on_failure_destination": f"arn:aws:sqs:us-east-1:000000000000:{NAME}",
    "filter_criteria": [{"eventName": ["INSERT", "MODIFY"]}, '{ "eventName": ["REMOVE"] }'],
    "kms_key_arn": "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "metrics": ["EventCount"],
    "tags": {"Project": "activities"},
}
BARE = {
    "on_failure_destination": "",
    "filter_criteria": [],
    "kms_key_arn": "",
    "metrics": [],
    "function_response_types": [],
    "tags": {},
}
#: What the module's documentation says it calls.
ACTIONS = [
    f"lambda:{action}"
    for action in (
        "ListEventSourceMappings",
        "GetEventSourceMapping",
        "ListTags",
        "CreateEventSourceMapping",
        "UpdateEventSourceMapping",
        "DeleteEventSourceMapping",
        "TagResource",
        "UntagResource",
    )
]


def allow(*actions):
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def function(cloud):
    """A function with an alias ``live``; its ARN."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam, lambda_ = cloud.client("iam"), cloud.client("lambda")
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    rights = allow(
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
        "sqs:SendMessage",
    )
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=rights)
    queue = cloud.client("sqs").create_queue(QueueName=NAME)["QueueUrl"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): pass\n")
    code = {"ZipFile": package.getvalue()}
    arn = lambda_.create_function(
        FunctionName=NAME, Runtime="python3.13", Role=role, Handler="app.handler", Code=code, Publish=True
    )["FunctionArn"].removesuffix(":1")
    lambda_.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    yield arn
    lambda_.delete_function(FunctionName=NAME)
    cloud.client("sqs").delete_queue(QueueUrl=queue)
    iam.delete_role_policy(RoleName=NAME, PolicyName=NAME)
    iam.delete_role(RoleName=NAME)


def make_table(cloud):
    return cloud.client("dynamodb").create_table(
        TableName=NAME,
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]["LatestStreamArn"]


@pytest.fixture
def stream(cloud):
    """The ARN of a table's stream."""
    yield make_table(cloud)
    cloud.client("dynamodb").delete_table(TableName=NAME)


@pytest.fixture
def run(cloud, capsys, function, stream):
    """Runs a module on the function and the stream, as the administrator or with other keys; what it told Ansible."""

    def run_module(module=event_source_mapping, keys=None, check=False, **options):
        keys = keys or cloud.credentials()
        connection = {
            "endpoint_url": cloud.endpoint,
            "region": "us-east-1",
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
        }
        if "uuid" not in options:
            options = {"function_name": NAME, "event_source_arn": stream, **options}
        given = {**connection, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        capsys.readouterr()
        with (
            patch_module_args({name: value for name, value in given.items() if value is not None}),
            pytest.raises(SystemExit),
        ):
            module.main()
        return json.loads(capsys.readouterr().out)

    yield run_module
    for mapping in run_module(event_source_mapping_info, event_source_arn=None)["event_source_mappings"]:
        assert not run_module(uuid=mapping["uuid"], state="absent").get("failed")


def changed(told):
    assert not told.get("failed"), told["msg"]
    return told["changed"]


def test_a_mapping_is_made_kept_changed_paused_and_removed(cloud, run):
    predicted, made = run(check=True, **SETTINGS), run(**SETTINGS)
    assert changed(predicted) and changed(made)
    assert made["diff"] == predicted["diff"]
    mapping = made["event_source_mapping"]
    assert mapping["state"] == "Enabled"
    assert not changed(run(**SETTINGS))
    edited = run(**{**SETTINGS, "batch_size": 25})
    before, after = edited["diff"]["before"], edited["diff"]["after"]
    assert {name: after[name] for name in after if after[name] != before[name]} == {"batch_size": 25}
    paused = run(enabled=False)
    assert (paused["event_source_mapping"]["state"], paused["event_source_mapping"]["batch_size"]) == ("Disabled", 25)
    assert not changed(run(enabled=False))
    assert paused["event_source_mapping"]["uuid"] == mapping["uuid"]
    assert changed(run(state="absent"))
    assert not changed(run(state="absent"))
    assert run(event_source_mapping_info)["event_source_mappings"] == []


def test_everything_that_can_be_removed_is_removed(run):
    assert changed(run(**SETTINGS))
    bare = run(**BARE)
    assert changed(bare)
    mapping = bare["event_source_mapping"]
    assert (mapping["destination_config"], mapping["filter_criteria"]) == ({"on_failure": {}}, [])
    assert (mapping["kms_key_arn"], mapping["metrics_config"], mapping["tags"]) == ("", {"metrics": []}, {})
    assert mapping["batch_size"] == 10
    assert not changed(run(**BARE))


def test_moving_to_an_alias_keeps_the_one_mapping(run, function):
    uuid = run()["event_source_mapping"]["uuid"]
    moved = run(function_name=f"{function}:live")
    assert changed(moved)
    assert (moved["event_source_mapping"]["uuid"], moved["event_source_mapping"]["function_arn"]) == (
        uuid,
        f"{function}:live",
    )
    assert not changed(run(function_name=f"{NAME}:live"))
    assert [each["uuid"] for each in run(event_source_mapping_info)["event_source_mappings"]] == [uuid]


def test_what_a_killed_run_left_half_made_is_completed(cloud, run, stream):
    lambda_ = cloud.client("lambda")
    begun = lambda_.create_event_source_mapping(
        FunctionName=NAME, EventSourceArn=stream, StartingPosition="TRIM_HORIZON"
    )
    assert begun["State"] == "Creating"
    completed = run(**SETTINGS)
    assert changed(completed)
    assert completed["event_source_mapping"]["uuid"] == begun["UUID"]
    assert not changed(run(**SETTINGS))


def test_a_mapping_being_deleted_is_made_anew(cloud, run):
    uuid = run()["event_source_mapping"]["uuid"]
    cloud.client("lambda").delete_event_source_mapping(UUID=uuid)
    again = run()
    assert changed(again)
    assert again["event_source_mapping"]["uuid"] != uuid


def test_a_table_made_again_gets_a_mapping_of_its_own_and_the_old_one_can_be_found(cloud, run, stream):
    old = run()["event_source_mapping"]["uuid"]
    cloud.client("dynamodb").delete_table(TableName=NAME)
    new_stream = make_table(cloud)
    assert new_stream != stream
    new = run(event_source_arn=new_stream)["event_source_mapping"]["uuid"]
    listed = run(event_source_mapping_info, event_source_arn=None)["event_source_mappings"]
    assert {each["uuid"]: each["event_source_arn"] for each in listed} == {old: stream, new: new_stream}
    assert changed(run(uuid=old, state="absent"))
    assert not changed(run(event_source_arn=new_stream))


def test_a_stream_that_does_not_exist_is_told_in_aws_own_words(run, stream):
    missing = stream.rpartition("/")[0] + "/2020-01-01T00:00:00.000"
    assert changed(run(check=True, event_source_arn=missing))
    assert run(event_source_arn=missing)["msg"].endswith(f"Stream not found: {missing}")
    assert not changed(run(event_source_arn=missing, state="absent"))


def test_a_right_that_the_role_lacks_is_told_in_aws_own_words_once_waiting_did_not_help(cloud, run):
    iam = cloud.client("iam")
    read = allow("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams")
    before = iam.get_role_policy(RoleName=NAME, PolicyName=NAME)["PolicyDocument"]
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=read)
    try:
        told = run(**SETTINGS, propagation_timeout=1)
    finally:
        iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=json.dumps(before))
    assert told["failed"]
    assert "The provided execution role does not have permissions to call SendMessage on SQS" in told["msg"]
    assert "tried again for 1" in told["msg"]


@pytest.fixture
def user(cloud):
    """Makes a user who may do the given actions and nothing else; its keys."""
    iam = cloud.client("iam")
    iam.create_user(UserName=NAME)
    key = iam.create_access_key(UserName=NAME)["AccessKey"]

    def allowed(*actions):
        iam.put_user_policy(UserName=NAME, PolicyName="mapping", PolicyDocument=allow(*actions))
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    yield allowed
    iam.delete_user_policy(UserName=NAME, PolicyName="mapping")
    iam.delete_access_key(UserName=NAME, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=NAME)


def test_the_documented_permissions_are_enough(run, user):
    keys = user(*ACTIONS)
    assert changed(run(keys=keys, **SETTINGS))
    assert changed(run(keys=keys, **{**SETTINGS, "batch_size": 20, "tags": {"Owner": "us"}}))
    assert len(run(event_source_mapping_info, keys=keys)["event_source_mappings"]) == 1
    assert changed(run(keys=keys, state="absent"))


@pytest.mark.parametrize("missing", ["lambda:CreateEventSourceMapping", "lambda:ListEventSourceMappings"])
def test_a_missing_permission_is_told_in_aws_own_words(run, user, missing):
    told = run(keys=user(*(action for action in ACTIONS if action != missing)))
    assert told["failed"]
    assert "AccessDenied" in told["msg"]
    assert missing in told["msg"]
