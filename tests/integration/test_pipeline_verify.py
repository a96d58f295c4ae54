"""The module against pipelines of its own on the local cloud: what it proves, what it finds missing, what it leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.cloud

CHECKOUT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
STRING_KEYS = (("UserId", "S"), ("ActivityId", "S"))
RUN_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_verify
with patch_module_args(json.load(sys.stdin)):
    pipeline_verify.main()
"""
KILLED_AT_THE_FIRST_MODIFY = """
import os, signal
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import api
api.Table.modify = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""
LEFTOVERS_ARE_OLD = """
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import temporary
temporary.LEFTOVER_AGE = -1
"""
RUN_ID_IS_KNOWN = """
import secrets
secrets.token_hex = lambda _: "0123456789abcdef"
"""
#: What the module's documentation says it calls.
ACTIONS = (
    "dynamodb:DescribeTable",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "lambda:ListEventSourceMappings",
    "lambda:GetEventSourceMapping",
    "s3:ListBucket",
    "s3:GetObject",
    "logs:FilterLogEvents",
    "cloudwatch:GetMetricStatistics",
    "sns:GetTopicAttributes",
    "sns:Subscribe",
    "sns:Unsubscribe",
    "sns:ListSubscriptionsByTopic",
    "sqs:ListQueues",
    "sqs:CreateQueue",
    "sqs:TagQueue",
    "sqs:ReceiveMessage",
    "sqs:GetQueueAttributes",
    "sqs:ListQueueTags",
    "sqs:DeleteQueue",
)


def function_package(rules: tuple[dict[str, Any], ...]) -> bytes:
    archive = io.BytesIO()
    folder = CHECKOUT / "files" / "lambda"
    with zipfile.ZipFile(archive, "w") as package:
        for source in sorted((folder / "stream_processor").rglob("*.py")):
            package.write(source, source.relative_to(folder))
        if rules:
            package.writestr("stream_processor/rules.json", json.dumps(rules))
    return archive.getvalue()


def allow(*grants: tuple[str, str]) -> str:
    """A policy of pairs of action and resource."""
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in grants]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class Pipeline:
    """Table, stream, mapping, function, bucket and topic, under a name of their own."""

    cloud: Any
    key_schema: tuple[tuple[str, str], ...] = STRING_KEYS
    view_type: str = "NEW_AND_OLD_IMAGES"
    filters: tuple[dict[str, Any], ...] = ()
    rules: tuple[dict[str, Any], ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    enabled: bool = True
    name: str = field(default_factory=lambda: f"verify-{uuid.uuid4().hex[:12]}")

    def build(self) -> Pipeline:
        self.cloud.client("s3").create_bucket(Bucket=self.name)
        self.topic_arn = self.cloud.client("sns").create_topic(Name=self.name)["TopicArn"]
        self.stream_arn = self._create_table()
        function_arn = self._create_function(self._create_role())
        self.uuid = self.cloud.client("lambda").create_event_source_mapping(
            EventSourceArn=self.stream_arn,
            FunctionName=function_arn,
            StartingPosition="TRIM_HORIZON",
            Enabled=self.enabled,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": json.dumps(each)} for each in self.filters]},
        )["UUID"]
        return self

    def _create_table(self) -> str:
        roles = ("HASH", "RANGE")
        return self.cloud.client("dynamodb").create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": each[0], "KeyType": roles[at]} for at, each in enumerate(self.key_schema)],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in self.key_schema],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": self.view_type},
        )["TableDescription"]["LatestStreamArn"]

    def _create_role(self) -> str:
        iam = self.cloud.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        self.let_function(("s3:PutObject", f"arn:aws:s3:::{self.name}/*"), ("sns:Publish", self.topic_arn))
        return arn

    def let_function(self, *statements: tuple[str, str]) -> None:
        """What the function's role may do, next to reading the stream and writing its log."""
        always = (("dynamodb:*", "*"), ("logs:*", "*"))
        self.cloud.client("iam").put_role_policy(
            RoleName=self.name, PolicyName="work", PolicyDocument=allow(*always, *statements)
        )

    def _create_function(self, role_arn: str) -> str:
        self.cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{self.name}")
        return self.cloud.client("lambda").create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Role=role_arn,
            Handler="stream_processor.handler.lambda_handler",
            Code={"ZipFile": function_package(self.rules)},
            Timeout=60,
            Environment={
                "Variables": {"S3_BUCKET_NAME": self.name, "SNS_TOPIC_ARN": self.topic_arn, **self.environment}
            },
        )["FunctionArn"]

    def arguments(self, identity: str = "admin", **options: Any) -> dict[str, Any]:
        keys = self.cloud.credentials(identity)
        return {
            "endpoint_url": self.cloud.endpoint,
            "region": REGION,
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
            "table_name": self.name,
            "function_name": self.name,
            "audit_bucket": self.name,
            "change_topic_arn": self.topic_arn,
            "metrics": [],
            "timeout": 60,
            **options,
        }

    def start_verify(self, prelude: str = "", **options: Any) -> subprocess.Popen:
        """The module in a process of its own, as Ansible runs it; ``prelude`` is run before it."""
        paths = [str(CHECKOUT / ".collections"), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-c", prelude + RUN_MODULE],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(json.dumps(self.arguments(**options)))
        process.stdin.close()
        process.stdin = None
        return process

    def verify(self, prelude: str = "", **options: Any) -> dict[str, Any]:
        return answer(self.start_verify(prelude, **options))

    def items(self) -> list[dict[str, Any]]:
        return self.cloud.client("dynamodb").scan(TableName=self.name)["Items"]

    def queues(self) -> list[str]:
        urls = self.cloud.client("sqs").list_queues(QueueNamePrefix="cloudcdc-verify-").get("QueueUrls", [])
        runs = [self.cloud.client("sqs").list_queue_tags(QueueUrl=url).get("Tags", {}) for url in urls]
        return [url for url, tags in zip(urls, runs, strict=True) if tags.get("cloudcdc-verify-table") == self.name]

    def subscriptions(self) -> list[str]:
        listed = self.cloud.client("sns").list_subscriptions_by_topic(TopicArn=self.topic_arn)["Subscriptions"]
        return [each["Endpoint"] for each in listed]

    def assert_nothing_left(self) -> None:
        assert (self.items(), self.queues(), self.subscriptions()) == ([], [], [])


def answer(process: subprocess.Popen) -> dict[str, Any]:
    """What the module told Ansible."""
    output, errors = process.communicate(timeout=300)
    assert output.strip(), errors
    return json.loads(output)


def check(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in told["checks"] if each["name"] == name)


def wait_for(holds, seconds: float = 30) -> None:
    """Until it holds; the deadline only ends a test that fails anyway."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def pipeline(cloud) -> Pipeline:
    """One pipeline for the tests that leave it as it is."""
    return Pipeline(cloud).build()


@pytest.mark.parametrize(
    "key_schema",
    [STRING_KEYS, (("Id", "N"),), (("Device", "S"), ("Frame", "B")), (("Blob", "B"), ("At", "N"))],
    ids=["strings", "number-hash-only", "binary-range", "binary-and-number"],
)
def test_every_change_of_any_key_schema_is_proven(cloud, key_schema):
    pipeline = Pipeline(cloud, key_schema=key_schema).build()

    told = pipeline.verify(items=4)

    assert not told.get("failed"), told["msg"]
    assert [change["event_name"] for change in told["changes"]] == ["INSERT"] * 4 + ["MODIFY"] * 4 + ["REMOVE"] * 4
    assert all(change["audit_ok"] and change["notification_ok"] for change in told["changes"])
    assert told["latency"]["audit"]["count"] == told["latency"]["notification"]["count"] == 12
    for name in ("audit", "notification", "order", "logs", "logs_without_item_data", "mapping", "cleanup"):
        assert check(told, name)["ok"] is True
    assert told["changed"] is False
    pipeline.assert_nothing_left()


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE"])
def test_the_stream_view_type_decides_which_images_are_expected(cloud, view_type):
    told = Pipeline(cloud, view_type=view_type).build().verify(items=1)

    assert not told.get("failed"), told["msg"]


def test_a_large_item_is_audited_in_full_and_notified_by_claim_check(pipeline):
    told = pipeline.verify(items=1, large_item=True)

    assert not told.get("failed"), told["msg"]
    forms = [change["notification"] for change in told["changes"]]
    assert forms == ["full", "full", "full", "claim_check", "full", "full"]
    assert check(told, "claim_check")["ok"] is True


@pytest.mark.parametrize("mode", ["per_change", "digest"])
def test_objects_of_a_batch_are_found_without_being_told_that_there_are_some(cloud, mode):
    pipeline = Pipeline(cloud, environment={"AUDIT_LAYOUT": "per_batch", "NOTIFICATION_MODE": mode}).build()

    told = pipeline.verify(items=2, large_item=True, notification_mode=mode)

    assert not told.get("failed"), told["msg"]
    assert {change["audit_key"].rpartition(".")[2] for change in told["changes"]} == {"gz"}
    forms = {change["notification"] for change in told["changes"]}
    assert forms == ({"digest"} if mode == "digest" else {"full", "claim_check"})
    pipeline.assert_nothing_left()


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_what_the_rules_make_of_each_change_is_proven(cloud, layout):
    rules = (
        {"when": "new.total < `1000`", "sinks": ["audit"], "audit": {"mask": ["card"]}},
        {"event_names": ["REMOVE"], "sinks": ["notify"], "attributes": {"kind": "gone"}},
    )
    pipeline = Pipeline(cloud, rules=rules, environment={"AUDIT_LAYOUT": layout}).build()

    told = pipeline.verify(items=1, rules=rules, item_attributes={"total": {"N": "99.90"}, "card": {"S": "4111"}})

    assert not told.get("failed"), told["msg"]
    assert [bool(change["audit_key"]) for change in told["changes"]] == [True, True, False]
    assert [change["notification"] for change in told["changes"]] == [None, None, "full"]
    assert "2 rule(s)" in check(told, "rules")["detail"]


def test_only_what_the_filters_let_through_is_expected(cloud):
    pattern = {"eventName": ["INSERT", "REMOVE"], "dynamodb": {"Keys": {"UserId": {"S": [{"prefix": "cloudcdc"}]}}}}
    pipeline = Pipeline(cloud, filters=(pattern,)).build()

    told = pipeline.verify(items=2)

    assert not told.get("failed"), told["msg"]
    assert [change["expected"] for change in told["changes"]] == [True, True, False, False, True, True]
    assert [bool(change["audit_key"]) for change in told["changes"]] == [True, True, False, False, True, True]
    assert "held back 2 of 6" in check(told, "filters")["detail"]


def test_filters_that_let_nothing_through_are_refused_before_the_first_write(cloud):
    pipeline = Pipeline(cloud, filters=({"dynamodb": {"NewImage": {"status": {"S": ["paid"]}}}},)).build()

    told = pipeline.verify()

    assert told["failed"] and "give item_attributes that they let through" in told["msg"]
    pipeline.assert_nothing_left()


def test_item_attributes_get_changes_through_the_filters(cloud):
    pipeline = Pipeline(cloud, filters=({"dynamodb": {"NewImage": {"status": {"S": ["paid"]}}}},)).build()

    told = pipeline.verify(items=1, item_attributes={"status": {"S": "paid"}, "total": {"N": "99.90"}})

    assert not told.get("failed"), told["msg"]
    assert [change["expected"] for change in told["changes"]] == [True, True, False]


def test_audit_objects_alone_are_proven_where_no_topic_is_given(pipeline):
    told = pipeline.verify(items=1, change_topic_arn=None, log_group="")

    assert not told.get("failed"), told["msg"]
    assert list(told["latency"]) == ["audit"]
    assert {each["name"] for each in told["checks"] if each["ok"] is None} >= {"notification", "logs"}


def test_the_metrics_of_function_and_stream_are_proven(pipeline):
    told = pipeline.verify(items=1, metrics=["function", "stream"], metrics_timeout=60)

    assert not told.get("failed"), told["msg"]
    assert (check(told, "function_metrics")["ok"], check(told, "stream_metrics")["ok"]) == (True, True)


def test_a_function_that_may_not_write_the_audit_log_is_found_and_the_reason_told(cloud):
    pipeline = Pipeline(cloud).build()
    pipeline.let_function(("sns:Publish", pipeline.topic_arn))

    told = pipeline.verify(items=1, timeout=6)

    assert told["failed"]
    change = told["changes"][0]
    assert f"INSERT of item {change['item']} has no audit object after 6 s" in told["msg"]
    assert "The function logged failed records: audit ClientError AccessDenied" in told["msg"]
    assert f"Look in log group /aws/lambda/{pipeline.name}" in told["msg"]
    pipeline.assert_nothing_left()


def test_a_function_that_may_not_notify_is_told_apart_from_one_that_may_not_audit(cloud):
    pipeline = Pipeline(cloud).build()
    pipeline.let_function(("s3:PutObject", f"arn:aws:s3:::{pipeline.name}/*"))

    told = pipeline.verify(items=1, timeout=6)

    assert told["failed"]
    first = told["changes"][0]
    assert (first["audit_ok"], first["notification_ok"]) == (True, False)
    assert "notify" in told["msg"]
    pipeline.assert_nothing_left()


def test_a_disabled_mapping_is_told_before_the_first_write(cloud):
    pipeline = Pipeline(cloud, enabled=False).build()

    told = pipeline.verify()

    assert told["failed"] and f"The event source mapping {pipeline.uuid} is Disabled" in told["msg"]
    pipeline.assert_nothing_left()


def test_check_mode_writes_nothing_and_says_what_it_would_do(pipeline):
    before = pipeline.cloud.client("s3").list_objects_v2(Bucket=pipeline.name).get("KeyCount")

    told = pipeline.verify(items=2, _ansible_check_mode=True)

    assert not told.get("failed"), told["msg"]
    assert "Would insert, modify and remove 2 item(s)" in told["message"]
    assert pipeline.cloud.client("s3").list_objects_v2(Bucket=pipeline.name).get("KeyCount") == before
    pipeline.assert_nothing_left()


def test_the_output_holds_no_key_and_no_image(pipeline):
    told = pipeline.verify(items=1, item_attributes={"Secret": {"S": "do-not-tell"}})

    told.pop("invocation", None)
    said = json.dumps(told, ensure_ascii=False)
    assert "do-not-tell" not in said
    assert f"/{told['run_id']}/" not in said


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_and_nothing_is_left(cloud, ending):
    pipeline = Pipeline(cloud).build()
    pipeline.let_function()  # nothing arrives, so the run waits
    process = pipeline.start_verify(timeout=300)
    wait_for(lambda: pipeline.queues() and pipeline.subscriptions())

    process.send_signal(ending)
    told = answer(process)

    assert told["failed"] and told["msg"].startswith(f"Ended by {ending.name}")
    pipeline.assert_nothing_left()


def test_what_a_killed_run_left_is_removed_once_it_is_old_enough(cloud):
    pipeline = Pipeline(cloud, key_schema=(("Id", "N"), ("Name", "S"))).build()
    killed = pipeline.start_verify(prelude=KILLED_AT_THE_FIRST_MODIFY, items=2, large_item=True)
    killed.communicate(timeout=300)
    assert killed.returncode == -signal.SIGKILL
    left = [len(each) for each in (pipeline.items(), pipeline.queues(), pipeline.subscriptions())]
    assert left == [3, 1, 1]

    young = pipeline.verify(items=1)
    assert not young.get("failed"), young["msg"]
    assert len(pipeline.items()) == 3

    old = pipeline.verify(prelude=LEFTOVERS_ARE_OLD, items=1)
    assert not old.get("failed"), old["msg"]
    pipeline.assert_nothing_left()


def test_an_item_of_somebody_else_is_neither_changed_nor_removed(cloud):
    pipeline = Pipeline(cloud, key_schema=(("Id", "S"),)).build()
    theirs = {"Id": {"S": "cloudcdc-verify-0123456789abcdef-0"}, "Owner": {"S": "somebody else"}}
    cloud.client("dynamodb").put_item(TableName=pipeline.name, Item=theirs)

    told = pipeline.verify(prelude=RUN_ID_IS_KNOWN, awkward_keys=False)

    assert told["failed"] and "ConditionalCheckFailedException" in told["msg"]
    assert pipeline.items() == [theirs]
    assert (pipeline.queues(), pipeline.subscriptions()) == ([], [])


def operator_keys(cloud, name: str, *actions: str) -> dict[str, str]:
    """A user who may do just that; the module's options that make it act as this user."""
    iam = cloud.client("iam")
    iam.create_user(UserName=name)
    policy = allow(*((action, "*") for action in actions))
    iam.put_user_policy(UserName=name, PolicyName="verify", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"access_key": key["AccessKeyId"], "secret_key": key["SecretAccessKey"]}


def test_the_documented_actions_are_enough_and_all_needed(cloud):
    pipeline = Pipeline(cloud).build()
    operator = f"{pipeline.name}-operator"
    keys = operator_keys(cloud, operator, *ACTIONS)
    pipeline.start_verify(prelude=KILLED_AT_THE_FIRST_MODIFY, **keys).communicate(timeout=300)
    told = pipeline.verify(prelude=LEFTOVERS_ARE_OLD, items=1, metrics=["function"], metrics_timeout=60, **keys)

    assert not told.get("failed"), told["msg"]
    pipeline.assert_nothing_left()
    # AWS asks for TagQueue where a queue is created with tags; the local cloud does not.
    assert {action["action"] for action in cloud.actions(operator)} == set(ACTIONS) - {"sqs:TagQueue"}


def test_a_missing_permission_is_told_in_awss_own_words(cloud):
    pipeline = Pipeline(cloud).build()
    granted = set(ACTIONS) - {"dynamodb:UpdateItem"}

    told = pipeline.verify(**operator_keys(cloud, f"{pipeline.name}-operator", *granted))

    assert told["failed"] and "Failed to modify a test item" in told["msg"]
    assert "AccessDenied" in told["msg"] and "dynamodb:UpdateItem" in told["msg"]
    pipeline.assert_nothing_left()


def test_live_traffic_neither_disturbs_a_run_nor_is_touched_by_it(cloud):
    pipeline = Pipeline(cloud).build()
    dynamodb, sns = cloud.client("dynamodb"), cloud.client("sns")
    process, written = pipeline.start_verify(items=5), []
    while process.poll() is None:
        item = {"UserId": {"S": "live"}, "ActivityId": {"S": str(len(written))}}
        dynamodb.put_item(TableName=pipeline.name, Item=item)
        sns.publish(TopicArn=pipeline.topic_arn, Message="from another publisher")
        written.append(item)

    told = answer(process)

    assert not told.get("failed"), told["msg"]
    assert len(told["changes"]) == 15
    assert sorted(pipeline.items(), key=str) == sorted(written, key=str)
    assert (pipeline.queues(), pipeline.subscriptions()) == ([], [])
