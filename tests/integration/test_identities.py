"""Deployer and operator do their work with their documented policies, and with nothing less, IAM enforced."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from ansible_runs import CHECKOUT, Project

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

#: AWS lets everybody ask who they are.
ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}
#: amazon.aws 11 also reads whether the bucket keeps access logs.
ONLY_AMAZON_AWS_11 = {"s3:GetBucketLogging"}
#: What a killed verify left is removed when it is an hour old; test_pipeline_verify.py proves that.
AFTER_A_KILLED_RUN = {"sns:ListSubscriptionsByTopic", "sqs:GetQueueAttributes", "sqs:ListQueueTags"}


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


def used(cloud, identity: str) -> set[str]:
    """The actions that were used; none is refused, but for one whose answer nobody needs."""
    recorded = cloud.actions(identity)
    assert {each["action"] for each in recorded if not each["allowed"]} <= {"iam:ListAccountAliases"}
    return {each["action"] for each in recorded if each["allowed"]} - ALWAYS_ALLOWED


def drift(cloud, project: Project) -> None:
    """Change what the role set, behind its back, where editing an option would not make it write."""
    outputs = project.outputs("activities")
    s3 = cloud.client("s3")
    s3.delete_public_access_block(Bucket=outputs["audit_bucket"])
    s3.delete_bucket_ownership_controls(Bucket=outputs["audit_bucket"])
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=outputs["audit_bucket"], ServerSideEncryptionConfiguration={"Rules": [rule]})
    other_code = io.BytesIO()
    with zipfile.ZipFile(other_code, "w") as package:
        package.writestr("other.py", "")
    cloud.client("lambda").update_function_code(FunctionName=outputs["function_name"], ZipFile=other_code.getvalue())


def test_the_policies_are_exactly_what_the_work_takes(cloud, tmp_path):
    cloud.reset()
    project = Project(cloud, tmp_path, {"activities": {}}, maximum_batching_window_in_seconds=0)
    project.run("deploy").ok()
    project.run("verify").ok()
    # The local cloud has no such metrics, but the operator may ask.
    project.options |= {"verify_metrics": ["function"], "verify_metrics_timeout": 1}
    assert "Invocations" in str(project.run("verify").failures())
    assert used(cloud, "operator") == granted("operator") - AFTER_A_KILLED_RUN

    project.options |= {
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
        "dynamodb:CreateTable",
        "s3:CreateBucket",
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
