"""Deployer, operator and reader do their work with their documented policies, and with nothing less, IAM enforced."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from ansible_runs import CHECKOUT, Project

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

#: AWS lets everybody ask who they are.
ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}
#: amazon.aws 11 also reads whether the bucket keeps access logs.
ONLY_AMAZON_AWS_11 = {"s3:GetBucketLogging"}
#: What a killed run left is removed when it is an hour old; test_pipeline_verify.py proves that.
AFTER_A_KILLED_RUN = {"sns:ListSubscriptionsByTopic", "sqs:ListQueueTags"}


def policy(identity: str) -> dict:
    return json.loads((CHECKOUT / f"files/iam/{identity}.json").read_text())


def granted(identity: str) -> set[str]:
    """The actions of a policy, without those that only AWS asks for."""
    found: set[str] = set()
    for statement in policy(identity)["Statement"]:
        if not statement["Sid"].startswith("AwsOnly"):
            action = statement["Action"]
            found |= {action} if isinstance(action, str) else set(action)
    return found


def used(cloud, identity: str, refused: Iterable[str] = ()) -> set[str]:
    """The actions that were used; none is ``refused`` besides, but for one whose answer nobody needs."""
    recorded = cloud.actions(identity)
    assert {each["action"] for each in recorded if not each["allowed"]} <= {"iam:ListAccountAliases", *refused}
    return {each["action"] for each in recorded if each["allowed"]} - ALWAYS_ALLOWED


def drift(cloud, project: Project) -> None:
    """Change what the role set, behind its back, where editing an option would not make it write."""
    outputs = project.outputs("activities")
    s3 = cloud.client("s3")
    s3.delete_public_access_block(Bucket=outputs["audit_bucket"])
    s3.delete_bucket_ownership_controls(Bucket=outputs["audit_bucket"])
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=outputs["audit_bucket"], ServerSideEncryptionConfiguration={"Rules": [rule]})
    cloud.client("sns").set_topic_attributes(
        TopicArn=outputs["change_topic_arn"],
        AttributeName="Policy",
        AttributeValue=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    other_code = io.BytesIO()
    with zipfile.ZipFile(other_code, "w") as package:
        package.writestr("other.py", "")
    cloud.client("lambda").update_function_code(FunctionName=outputs["function_name"], ZipFile=other_code.getvalue())


def fail_by_message(cloud, project: Project) -> None:
    """A failure record in the queue, for a change that is in the stream."""
    outputs, streams = project.outputs("activities"), cloud.client("dynamodbstreams")
    stream = streams.describe_stream(StreamArn=outputs["stream_arn"])["StreamDescription"]
    shard = stream["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(
        StreamArn=outputs["stream_arn"], ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    number = streams.get_records(ShardIterator=iterator, Limit=1)["Records"][0]["dynamodb"]["SequenceNumber"]
    body = {
        "requestContext": {
            "requestId": "4b2f6b0c-7c5e-4b0e-9d53-0d5b6f3f9a11",
            "functionArn": outputs["function_arn"],
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 1,
        },
        "version": "1.0",
        "timestamp": "2026-01-01T00:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": number,
            "endSequenceNumber": number,
            "approximateArrivalOfFirstRecord": "2026-01-01T00:00:00Z",
            "approximateArrivalOfLastRecord": "2026-01-01T00:00:00Z",
            "batchSize": 1,
            "streamArn": outputs["stream_arn"],
        },
    }
    # And a message that redrive gives back.
    for text in (json.dumps(body), "no failure record"):
        cloud.client("sqs").send_message(QueueUrl=outputs["failure_queue_url"], MessageBody=text)


def test_the_policies_are_exactly_what_the_work_takes(cloud, tmp_path):
    cloud.reset()
    project = Project(
        cloud,
        tmp_path,
        {"activities": {}},
        maximum_batching_window_in_seconds=0,
        maximum_retry_attempts=0,
        failure_destination="bucket",
    )
    project.run("deploy").ok()
    project.run("verify").ok()
    project.run("failure_drill").ok()
    project.run("baseline").ok()
    fail_by_message(cloud, project)
    project.run("redrive", "-e", "redrive_source=queue").ok()

    project.options |= {
        "failure_destination": "topic",
        "batch_size": 20,
        "memory_size": 512,
        "execution_policy": "scoped",
        "write_capacity": 6,
        "point_in_time_recovery_enabled": True,
        "audit_bucket_versioning": True,
        "log_retention_in_days": 7,
        "failure_queue_retention_period": 1000,
        "alarm_period": 60,
        "subscriptions": [{"protocol": "email", "endpoint": "on-call@example.com", "filter_policy": {"a": ["b"]}}],
        "tags": {"team": "data"},
    }
    project.run("deploy").ok()
    project.run("rollback").ok()
    assert used(cloud, "operator") == granted("operator") - AFTER_A_KILLED_RUN

    # One failure waits, and the rollback is drift.
    project.run("status", "-e", "status_fail_on=never").ok()
    assert used(cloud, "reader") == granted("reader")
    drift(cloud, project)
    # Tags and subscriptions are taken away again.
    project.options |= {"tags": {}, "subscriptions": [], "purge_subscriptions": True}
    project.run("deploy").ok()
    project.options["subscriptions"] = [
        {"protocol": "sqs", "endpoint": project.outputs("activities")["failure_queue_arn"]}
    ]
    project.run("deploy").ok()
    project.options["subscriptions"][0]["filter_policy"] = {"eventName": ["REMOVE"]}
    project.run("deploy").ok()
    project.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert resources(cloud.endpoint) == {}
    assert used(cloud, "deployer") | ONLY_AMAZON_AWS_11 == granted("deployer")


def test_each_action_taken_away_stops_the_deploy_in_awss_own_words(cloud, tmp_path):
    cloud.reset()
    project = Project(cloud, tmp_path, {"activities": {}})
    whole = policy("deployer")
    # In the order of the tasks, so that each deploy gets further than the one before.
    for action in (
        "s3:CreateBucket",
        "s3:PutObject",
        "dynamodb:CreateTable",
        "iam:CreateRole",
        "lambda:CreateFunction",
        "lambda:CreateEventSourceMapping",
    ):
        replace_policy(cloud, tmp_path, without(whole, action))
        run = project.run("deploy")
        assert run.returncode != 0
        assert f"not authorized to perform: {action}" in run.failures()[0]
    replace_policy(cloud, tmp_path, whole)
    project.run("deploy").ok()


def without(document: dict, action: str) -> dict:
    statements = []
    for statement in document["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if left := [each for each in actions if each != action]:
            statements.append({**statement, "Action": left})
    return {**document, "Statement": statements}


def replace_policy(cloud, folder: Path, document: dict) -> None:
    file = folder / "policy.json"
    file.write_text(json.dumps(document))
    cloud.run("policy", "deployer", str(file))


@pytest.fixture
def visitor(cloud):
    """The keys of a user who may do nothing but assume the role acme-deployer, which may what the deployer may."""
    cloud.reset()
    iam = cloud.client("iam")
    user = iam.create_user(UserName="visitor")["User"]["Arn"]
    trust = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}
    trust["Condition"] = {"StringEquals": {"sts:ExternalId": "cloudcdc"}}
    role = iam.create_role(
        RoleName="acme-deployer",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]["Arn"]
    for attached in iam.list_attached_user_policies(UserName="deployer")["AttachedPolicies"]:
        iam.attach_role_policy(RoleName="acme-deployer", PolicyArn=attached["PolicyArn"])
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    document = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
    iam.put_user_policy(UserName="visitor", PolicyName="assume", PolicyDocument=document)
    key = iam.create_access_key(UserName="visitor")["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"], "session_token": "", "profile": ""}


def test_a_role_is_assumed_and_its_keys_are_never_shown(cloud, tmp_path, visitor):
    role = "arn:aws:iam::000000000000:role/acme-deployer"
    keys = {**visitor, "role_arn": role, "external_id": "cloudcdc"}
    project = Project(cloud, tmp_path, {"activities": {}}, credentials={"deployer": visitor})
    run = project.run("deploy", "--check")
    assert run.returncode != 0
    assert any("not authorized" in each for each in run.failures()), run.failures()

    project.options["credentials"] = {"deployer": keys}
    run = project.run("deploy", "--check", "-vvv").ok()
    assert "Create or adjust the function" in run.changed()
    session = [result for name, _host, result in run.tasks() if name == "Assume the role of the identity"]
    assert ["sts_creds" in each for each in session] == [False]
    assert visitor["secret_key"] not in run.output

    project.options["credentials"] = {"deployer": {**keys, "role_arn": role + "-of-nobody"}}
    run = project.run("deploy", "--check")
    assert run.returncode != 0
    assert f"role {role}-of-nobody of the identity deployer" in run.failures()[0]
    assert "AccessDenied" in run.failures()[0]
