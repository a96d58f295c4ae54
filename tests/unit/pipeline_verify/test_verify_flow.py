"""Whole runs against moto: the function's own code processes the stream whenever the run looks at its clock."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import api, temporary
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Interrupted
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.scene import Options, Rooms
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.verification import (
    Verification,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from stream_processor.config import read_settings
from stream_processor.handler import handle
from stream_processor.log import Log
from stream_processor.processor import Processor
from stream_processor.rules import load_rules

from tests.unit.pipeline_verify.verify_support import PARAMS, MotoTransport
from tests.unit.stream_processor.fakes import FakeContext

UUID = "6d9bce8e-836b-442c-8070-74e77903c815"
LOG_GROUP = "/aws/lambda/processor"


class FakeMappings:
    """The one mapping; moto would run a mapping's function in Docker."""

    def __init__(self, stream_arn: str, patterns=(), **settings: Any) -> None:
        filters = [{"Pattern": json.dumps(pattern)} for pattern in patterns]
        self.states: list[dict[str, Any]] = []
        self.mapping = {
            "UUID": UUID,
            "EventSourceArn": stream_arn,
            "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:processor:live",
            "State": "Enabled",
            "LastProcessingResult": "OK",
            "FilterCriteria": {"Filters": filters},
            "DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:processor-dlq"}},
            **settings,
        }

    def of_stream(self, _stream_arn: str) -> list[dict[str, Any]]:
        return [self.mapping]

    def get(self, _uuid: str) -> dict[str, Any]:
        return {**self.mapping, **(self.states.pop(0) if self.states else {})}


class Function:
    """Reads the stream and has the function's own code process it; its log lines go to the log group."""

    def __init__(self, stream_arn: str, topic_arn: str) -> None:
        self._arn, self._logs = stream_arn, boto3.client("logs")
        self.environment = {"S3_BUCKET_NAME": PARAMS["audit_bucket"], "SNS_TOPIC_ARN": topic_arn, "CONCURRENCY": "4"}
        self.rules: list[dict[str, Any]] = []
        self._done = 0
        #: What it does with the records that it reads; a test replaces it to break it.
        self.handle = self.process
        self._logs.create_log_group(logGroupName=LOG_GROUP)
        self._logs.create_log_stream(logGroupName=LOG_GROUP, logStreamName="one")

    def poll(self) -> None:
        # From moto's own table: its streams API does not answer.
        shard = dynamodb_backends["123456789012"]["us-east-1"].tables["Orders"].stream_shard
        records = [item.record for item in shard.items[self._done :]]
        self._done += len(records)
        if records:
            self.handle([event_record(record, self._arn) for record in records])

    def process(self, records: list[dict[str, Any]]) -> None:
        settings = read_settings(self.environment)
        processor = Processor(settings, MotoTransport(), load_rules(self.rules))
        try:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                handle({"Records": records}, FakeContext(), processor, Log(settings.log_level))
        finally:
            processor.close()
        for line in printed.getvalue().splitlines():
            self.log(line)

    def log(self, message: str) -> None:
        event = {"timestamp": int(datetime.now().timestamp() * 1000), "message": message}
        self._logs.put_log_events(logGroupName=LOG_GROUP, logStreamName="one", logEvents=[event])


def event_record(record: dict[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record of moto's stream as Lambda hands it to a function."""
    change = dict(record["dynamodb"])
    moment = change["ApproximateCreationDateTime"].replace(tzinfo=UTC)
    change["ApproximateCreationDateTime"] = int(moment.timestamp())
    for name in {"Keys", "NewImage", "OldImage"} & change.keys():
        change[name] = {
            key: {kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value}
            for key, typed in change[name].items()
            for kind, value in typed.items()
        }
    return {**record, "dynamodb": change, "eventSourceARN": stream_arn}


class TestClock:
    """Time that goes on by itself only when the run waits, and the function that works meanwhile."""

    __test__ = False

    def __init__(self, work) -> None:
        self._work, self._seconds, self.ahead = work, 0.0, timedelta(0)
        self.signal_after = float("inf")

    def follow(self, _response: dict[str, Any]) -> None:
        pass

    def utc(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def now(self) -> float:
        return self._seconds

    def check(self) -> None:
        self._seconds += 0.25
        if self._seconds >= self.signal_after:
            raise Interrupted("SIGTERM")
        self._work()

    def pause(self, seconds: float) -> None:
        self._seconds += seconds
        self.check()


class PatientTopic(api.Topic):
    """Does not wait in real time for messages that moto has at once or never."""

    def receive(self, queue_url: str, wait_seconds: int):
        return super().receive(queue_url, 0)


class LiveFunction:
    """The deployed function's environment, as AWS tells it; moto would want a role and a package for it."""

    name = "processor"

    def __init__(self, variables: dict[str, str], **answer: Any) -> None:
        self._answer = {"Variables": variables, **answer} if variables else answer

    def environment(self) -> dict[str, Any]:
        return self._answer


class Pipeline:
    """A pipeline in moto and runs of the verification of it."""

    def __init__(self, key_schema=(("Id", "S"),), view_type="NEW_AND_OLD_IMAGES", **mapping: Any) -> None:
        roles = ("HASH", "RANGE")
        self.dynamodb, self.sqs, self.sns = (boto3.client(name) for name in ("dynamodb", "sqs", "sns"))
        table = self.dynamodb.create_table(
            TableName="Orders",
            KeySchema=[{"AttributeName": key[0], "KeyType": roles[at]} for at, key in enumerate(key_schema)],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in key_schema],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type},
        )["TableDescription"]
        boto3.client("s3").create_bucket(Bucket=PARAMS["audit_bucket"])
        self.topic_arn = self.sns.create_topic(Name="changes")["TopicArn"]
        self.stream_arn = table["LatestStreamArn"]
        self.function = Function(self.stream_arn, self.topic_arn)
        self.mappings = FakeMappings(self.stream_arn, **mapping)
        self.clock = TestClock(self.function.poll)
        self.live = LiveFunction({})

    def verification(self, **given: Any) -> Verification:
        params = {**PARAMS, "change_topic_arn": self.topic_arn, "metrics": [], "timeout": 30, **given}
        options, cloud = Options.read(params), client
        rooms = Rooms(
            api.Table(cloud, options.table_name),
            self.mappings,
            api.AuditLog(cloud, options.audit_bucket),
            PatientTopic(cloud, options.change_topic_arn) if options.change_topic_arn else None,
            api.Logs(cloud, options.log_group) if options.log_group else None,
            self.live if options.function_environment is not None else None,
        )
        return Verification(rooms, api.Metrics(cloud), options, self.clock)

    def run(self, **given: Any) -> tuple[bool, dict[str, Any]]:
        return self.verification(**given).run()

    def left(self) -> dict[str, int]:
        """What of a run is still there."""
        return {
            "items": len(self.dynamodb.scan(TableName="Orders")["Items"]),
            "queues": len(self.sqs.list_queues().get("QueueUrls", [])),
            "subscriptions": len(self.sns.list_subscriptions()["Subscriptions"]),
        }


NOTHING = {"items": 0, "queues": 0, "subscriptions": 0}


def client(service: str) -> Any:
    return RetryingBotoClientWrapper(boto3.client(service), AWSRetry.jittered_backoff(retries=1))


@pytest.fixture(autouse=True)
def aws(monkeypatch) -> Iterator[None]:
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
    ):
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield


def check(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in report["checks"] if each["name"] == name)


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
@pytest.mark.parametrize("key_schema", [(("Id", "S"), ("At", "N")), (("Id", "N"),), (("Id", "B"), ("Name", "S"))])
def test_a_pipeline_that_works_is_proven_and_nothing_is_left(key_schema, view_type):
    pipeline = Pipeline(key_schema, view_type)

    proven, report = pipeline.run(items=2)

    assert proven, report["message"]
    assert len(report["changes"]) == 6
    assert all(change["audit_ok"] and change["notification_ok"] for change in report["changes"])
    assert all(check(report, name)["ok"] for name in ("audit", "notification", "order", "logs", "mapping", "cleanup"))
    assert pipeline.left() == NOTHING


@pytest.mark.parametrize("mode", ["per_change", "digest"])
@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
@pytest.mark.parametrize("large_item", [True, False])
def test_layout_and_notification_mode_may_be_any_and_the_layout_need_not_be_told(layout, mode, large_item):
    pipeline = Pipeline((("Id", "S"), ("At", "N")))
    pipeline.function.environment.update(AUDIT_LAYOUT=layout, NOTIFICATION_MODE=mode)

    proven, report = pipeline.run(items=2, notification_mode=mode, large_item=large_item)

    assert proven, report["message"]
    forms = {change["notification"] for change in report["changes"]}
    assert forms == ({"digest"} if mode == "digest" else {"full", "claim_check"} if large_item else {"full"})
    assert all(change["audit_key"].endswith("gz") == (layout == "per_batch") for change in report["changes"])
    assert pipeline.left() == NOTHING


def test_a_function_whose_layout_is_changed_during_the_run_is_proven():
    pipeline = Pipeline()
    layouts = iter(["per_batch", "per_change"])

    def change_layout(records):
        pipeline.function.environment["AUDIT_LAYOUT"] = next(layouts, "per_batch")
        pipeline.function.process(records)

    pipeline.function.handle = change_layout
    proven, report = pipeline.run(items=2)

    assert proven, report["message"]
    assert {change["audit_key"].rpartition(".")[2] for change in report["changes"]} == {"json", "gz"}


def test_batches_that_are_delivered_again_in_other_parts_are_no_fault():
    pipeline = Pipeline()
    pipeline.function.environment["AUDIT_LAYOUT"] = "per_batch"

    def deliver_again(records):
        pipeline.function.process(records)
        pipeline.function.process(records[-1:])

    pipeline.function.handle = deliver_again
    proven, report = pipeline.run(items=2)

    assert proven, report["message"]


@pytest.mark.parametrize(("asked", "live"), [("digest", "per_change"), ("per_change", "digest")])
def test_a_function_that_announces_in_the_other_mode_is_found(asked, live):
    pipeline = Pipeline()
    pipeline.function.environment["NOTIFICATION_MODE"] = live

    proven, report = pipeline.run(items=1, notification_mode=asked)

    assert not proven
    assert [change["notification_ok"] for change in report["changes"]] == [False] * 3
    assert [change["audit_ok"] for change in report["changes"]] == [True] * 3


RULES = [
    {"name": "small", "when": "new.total < `1000`", "sinks": ["audit"]},
    {"name": "gone", "event_names": ["REMOVE"], "sinks": ["notify"], "subject": "Gone from {table}"},
    {"name": "card", "audit": {"mask": ["card"]}, "notification": {"drop": ["card"]}, "attributes": {"kind": "order"}},
]


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_rules_that_the_function_keeps_to_are_proven(layout):
    pipeline = Pipeline()
    pipeline.function.environment["AUDIT_LAYOUT"] = layout
    pipeline.function.rules = RULES
    attributes = {"total": {"N": "99.90"}, "card": {"S": "4111"}}

    proven, report = pipeline.run(items=2, rules=RULES, item_attributes=attributes)

    assert proven, report["message"]
    told = [(each["audit_expected"], each["notification_expected"]) for each in report["changes"]]
    assert told == [(True, False)] * 4 + [(False, True)] * 2
    assert [bool(each["audit_key"]) for each in report["changes"]] == [True] * 4 + [False] * 2
    assert [each["notification"] for each in report["changes"]] == [None] * 4 + ["full"] * 2


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_a_function_without_the_rules_is_found(layout):
    pipeline = Pipeline()
    pipeline.function.environment["AUDIT_LAYOUT"] = layout

    proven, report = pipeline.run(items=1, rules=RULES, item_attributes={"total": {"N": "5"}, "card": {"S": "4111"}})

    assert not proven
    assert "newImage is not what the change gives" in check(report, "audit")["detail"]
    assert check(report, "rules")["detail"].count("without notification, and it has one") == 2
    assert check(report, "rules")["detail"].count("without audit object, and it has one") == 1


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([{"sinks": ["notify"]}], "The rules let none of the test changes into the audit log for certain"),
        ([{"sample": 0.5, "sinks": []}], "The rules let none of the test changes into the audit log for certain"),
        ([{"sink": []}], "rules: rule 1: sink is no member of a rule"),
        ([{"audit": {"drop": ["Id"]}}], "rules: rule 1: .*Id"),
    ],
)
def test_rules_under_which_nothing_could_be_proven_are_refused_before_any_write(rules, said):
    pipeline = Pipeline()

    with pytest.raises(InputError, match=said):
        pipeline.run(rules=rules)

    assert pipeline.left() == NOTHING


def test_a_change_that_is_only_notified_is_audited_for_its_claim_check():
    pipeline = Pipeline()
    pipeline.function.rules = rules = [{"event_names": ["MODIFY"], "sinks": ["notify"]}]

    proven, report = pipeline.run(items=1, large_item=True, rules=rules)

    assert proven, report["message"]
    modified = [each for each in report["changes"] if each["event_name"] == "MODIFY"]
    assert [(each["audit_expected"], each["notification"]) for each in modified] == [
        (False, "full"),
        (True, "claim_check"),
    ]


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_an_audit_object_that_cannot_be_read_is_named(layout):
    pipeline = Pipeline()
    pipeline.function.environment["AUDIT_LAYOUT"] = layout
    s3 = boto3.client("s3")

    def damage(records):
        pipeline.function.process(records)
        for found in s3.list_objects_v2(Bucket=PARAMS["audit_bucket"])["Contents"]:
            s3.put_object(Bucket=PARAMS["audit_bucket"], Key=found["Key"], Body=b"no longer")

    pipeline.function.handle = damage
    proven, report = pipeline.run(items=1)

    (name,) = {each["Key"] for each in s3.list_objects_v2(Bucket=PARAMS["audit_bucket"])["Contents"][:1]}
    assert not proven
    assert f"the audit object {name} is damaged" in check(report, "audit")["detail"]


SETTINGS = {"S3_BUCKET_NAME": "audit-bucket", "LOG_LEVEL": "INFO"}


def test_a_function_with_the_inventorys_environment_is_proven_so():
    pipeline = Pipeline()
    pipeline.live = LiveFunction(SETTINGS)

    proven, report = pipeline.run(items=1, function_environment=SETTINGS)

    assert proven, report["message"]
    assert check(report, "configuration")["ok"] is True


def test_without_the_inventorys_environment_the_check_is_left_out():
    _proven, report = Pipeline().run(items=1)

    assert check(report, "configuration")["ok"] is None


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({**SETTINGS, "LOG_LEVEL": "secret-7"}, "is not the inventory's: LOG_LEVEL. Somebody changed it"),
        ({**SETTINGS, "MORE": "secret-7"}, "is not the inventory's: MORE."),
        ({}, "is not the inventory's: LOG_LEVEL, S3_BUCKET_NAME."),
        (
            {**SETTINGS, "DRILL_ID": "d-1", "DRILL_TOKEN": "secret-7"},
            "A failure drill (d-1) was not ended: run playbooks/deploy.yml, which ends it. The environment of the "
            "function processor is not the inventory's: DRILL_ID, DRILL_TOKEN.",
        ),
        ({**SETTINGS, "DRILL_TOKEN": "secret-7"}, "A failure drill (without DRILL_ID) was not ended"),
    ],
)
def test_a_function_with_another_environment_is_refused_before_any_write_by_names_and_never_by_values(live, said):
    pipeline = Pipeline()
    pipeline.live = LiveFunction(live)

    with pytest.raises(InputError) as refused:
        pipeline.run(function_environment=SETTINGS)

    assert said in str(refused.value)
    assert "secret-7" not in str(refused.value)
    assert pipeline.left() == NOTHING


def test_an_environment_that_aws_cannot_decrypt_is_told_in_awss_words():
    pipeline = Pipeline()
    pipeline.live = LiveFunction({}, Error={"ErrorCode": "AccessDeniedException", "Message": "Lambda was unable to"})

    with pytest.raises(InputError, match="AccessDeniedException: Lambda was unable to"):
        pipeline.run(function_environment=SETTINGS)


def test_only_the_topic_may_send_to_the_temporary_queue_and_its_tags_tell_the_run():
    pipeline = Pipeline()
    seen = []

    def look(records):
        (url,) = pipeline.sqs.list_queues()["QueueUrls"]
        policy = pipeline.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        seen.append((json.loads(policy)["Statement"], pipeline.sqs.list_queue_tags(QueueUrl=url)["Tags"], url))
        pipeline.function.process(records)

    pipeline.function.handle = look
    proven, report = pipeline.run(items=2, awkward_keys=False)

    (statement,), tags, url = seen[0]
    assert proven
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": pipeline.topic_arn}}
    assert statement["Resource"].rpartition(":")[2] == url.rpartition("/")[2]
    assert tags == {
        "cloudcdc-verify-table": "Orders",
        "cloudcdc-verify-run": report["run_id"],
        "cloudcdc-verify-items": "2",
        "cloudcdc-verify-awkward": "false",
    }


def test_what_a_broken_function_leaves_out_is_told_with_where_to_look():
    pipeline = Pipeline()
    pipeline.function.handle = lambda records: None
    pipeline.mappings.states = [{}, {"LastProcessingResult": "PROBLEM: Function call failed"}] * 60

    proven, report = pipeline.run(items=1)

    item = report["changes"][0]["item"]
    assert not proven
    assert f"REMOVE of item {item} has no audit object after 30 s" in report["message"]
    assert "Look in log group /aws/lambda/processor and in the failure destination" in report["message"]
    assert [change["audit_ok"] for change in report["changes"]] == [False] * 3
    assert pipeline.left() == NOTHING


def test_an_audit_object_without_its_notification_is_told_apart():
    pipeline = Pipeline()
    pipeline.function.environment["SNS_TOPIC_ARN"] = f"{pipeline.topic_arn}-gone"

    proven, report = pipeline.run(items=1)

    assert not proven
    assert report["changes"][0]["audit_ok"] and not report["changes"][0]["notification_ok"]


def test_a_notification_without_its_audit_object_is_told_apart():
    pipeline = Pipeline()
    s3 = boto3.client("s3")

    def lose_the_audit(records):
        pipeline.function.process(records)
        for found in s3.list_objects_v2(Bucket=PARAMS["audit_bucket"])["Contents"]:
            s3.delete_object(Bucket=PARAMS["audit_bucket"], Key=found["Key"])

    pipeline.function.handle = lose_the_audit
    proven, report = pipeline.run(items=1)

    assert not proven
    assert [change["audit_ok"] for change in report["changes"]] == [False] * 3
    assert [change["notification_ok"] for change in report["changes"]] == [True] * 3


def test_a_queue_that_is_listed_still_and_gone_already_is_passed_over(monkeypatch):
    pipeline = Pipeline()
    listed = api.Topic.queues
    gone = "https://sqs.us-east-1.amazonaws.com/123456789012/cloudcdc-verify-gone"
    monkeypatch.setattr(api.Topic, "queues", lambda self, prefix: [gone, *listed(self, prefix)])

    proven, report = pipeline.run(items=1)

    assert proven, report["message"]


def test_a_tampered_audit_object_is_found():
    pipeline = Pipeline()

    def tamper(records):
        for record in records:
            record["dynamodb"].pop("OldImage", None)
        pipeline.function.process(records)

    pipeline.function.handle = tamper
    proven, report = pipeline.run(items=1)

    assert not proven
    assert "oldImage is not what the change gives" in check(report, "audit")["detail"]


def test_filtered_changes_that_appear_nevertheless_are_found():
    pipeline = Pipeline(patterns=[{"eventName": ["INSERT", "REMOVE"]}])

    proven, report = pipeline.run(items=1)  # this function ignores the filters

    assert not proven
    assert "MODIFY of item" in check(report, "filters")["detail"]


def test_filtered_changes_that_do_not_appear_are_as_they_should_be():
    pipeline = Pipeline(patterns=[{"eventName": ["INSERT", "REMOVE"]}])

    def obey_the_filters(records):
        for record in records:
            if record["eventName"] != "MODIFY":
                pipeline.function.process([record])

    pipeline.function.handle = obey_the_filters
    proven, report = pipeline.run(items=1)

    assert proven, report["message"]
    assert [change["expected"] for change in report["changes"]] == [True, False, True]


def test_a_log_that_holds_item_data_is_found():
    pipeline = Pipeline()

    def tell_all(records):
        pipeline.function.process(records)
        pipeline.function.log(json.dumps(records[0]["dynamodb"]["Keys"]))

    pipeline.function.handle = tell_all
    proven, report = pipeline.run(items=1)

    assert not proven
    assert check(report, "logs_without_item_data")["ok"] is False


def test_a_function_that_logs_no_batch_is_found():
    pipeline = Pipeline()
    pipeline.function.log = lambda message: None

    proven, report = pipeline.run(items=1)

    assert not proven
    assert "has no batch line over 3 of the changes" in check(report, "logs")["detail"]


def test_a_mapping_that_fails_in_the_end_is_told_with_its_last_result():
    pipeline = Pipeline()
    pipeline.mappings.states = [{}] + [{"LastProcessingResult": "PROBLEM: Function call failed"}] * 200

    proven, report = pipeline.run(items=1)

    assert not proven
    assert check(report, "mapping")["ok"] is False
    assert "its last result: PROBLEM: Function call failed" in report["message"]


def test_a_transitional_mapping_is_awaited_and_a_disabled_one_refused_before_the_first_write():
    pipeline = Pipeline()
    pipeline.mappings.states = [{"State": "Updating"}, {"State": "Updating"}, {"State": "Enabled"}]
    assert pipeline.run(items=1)[0]

    pipeline.mappings.states = [{"State": "Enabling"}, {"State": "Disabled"}]
    with pytest.raises(InputError, match="is Disabled, not Enabled"):
        pipeline.run()


@pytest.mark.parametrize("broken", ["insert", "modify", "remove"])
def test_whatever_write_fails_nothing_is_left(monkeypatch, broken):
    pipeline = Pipeline()
    original, calls = getattr(api.Table, broken), []

    def fail_the_second_time(self, *arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise AnsibleAWSError(message="Failed to write")
        original(self, *arguments)

    monkeypatch.setattr(api.Table, broken, fail_the_second_time)
    verification = pipeline.verification(items=3)

    with pytest.raises(AnsibleAWSError, match="Failed to write"):
        verification.run()

    assert verification.cleanup_problems == []
    assert pipeline.left() == NOTHING


@pytest.mark.parametrize("seconds", [1, 2, 3, 5, 20])
def test_a_signal_at_any_moment_leaves_nothing(seconds):
    pipeline = Pipeline()
    pipeline.function.handle = lambda records: None
    pipeline.clock.signal_after = seconds

    with pytest.raises(Interrupted):
        pipeline.run(items=2)

    assert pipeline.left() == NOTHING


def test_a_topic_that_cannot_be_subscribed_to_leaves_no_queue(monkeypatch):
    pipeline = Pipeline()

    def refuse(*_):
        raise AnsibleAWSError(message="Failed to subscribe")

    monkeypatch.setattr(api.Topic, "subscribe", refuse)
    with pytest.raises(AnsibleAWSError, match="Failed to subscribe"):
        pipeline.run()

    assert pipeline.left() == NOTHING


def test_a_cleanup_that_fails_fails_the_run_and_the_rest_is_removed(monkeypatch):
    pipeline = Pipeline()

    def refuse(*_):
        raise AnsibleAWSError(message="Failed to delete a temporary queue")

    monkeypatch.setattr(api.Topic, "_delete_queue", refuse)
    proven, report = pipeline.run(items=1)

    assert not proven
    assert "the temporary queue with its subscription could not be removed" in report["message"]
    assert pipeline.left() == {"items": 0, "queues": 1, "subscriptions": 0}


def killed_run(pipeline: Pipeline, monkeypatch, **given: Any) -> None:
    """A run that ends after its first MODIFY and cleans nothing up."""

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        patch.setattr(api.Table, "modify", die)
        patch.setattr(temporary.Writer, "clean_up", lambda _: [])
        patch.setattr(temporary.Inbox, "clean_up", lambda _: [])
        pipeline.run(**given)


@pytest.mark.parametrize("awkward", [True, False])
def test_an_old_killed_runs_items_queue_and_subscription_are_removed(monkeypatch, awkward):
    pipeline = Pipeline((("Id", "S"), ("At", "B")))
    killed_run(pipeline, monkeypatch, items=2, large_item=True, awkward_keys=awkward)
    assert pipeline.left() == {"items": 3, "queues": 1, "subscriptions": 1}

    pipeline.clock.ahead = timedelta(seconds=temporary.LEFTOVER_AGE + 60)
    proven, _report = pipeline.run(items=1, log_group="", audit_prefix="audit-logs/")

    assert pipeline.left() == NOTHING
    assert not proven  # this clock is an hour ahead, so the changes are dated before the run


def test_a_run_that_may_still_go_on_and_queues_of_others_are_left_alone(monkeypatch):
    pipeline = Pipeline()
    killed_run(pipeline, monkeypatch, items=2)
    pipeline.sqs.create_queue(QueueName="cloudcdc-verify-00000000-theirs")

    pipeline.clock.ahead = timedelta(seconds=temporary.LEFTOVER_AGE - 60)
    pipeline.run(items=1)
    assert pipeline.left() == {"items": 2, "queues": 2, "subscriptions": 1}

    pipeline.clock.ahead = timedelta(seconds=temporary.LEFTOVER_AGE + 60)
    pipeline.run(items=1)
    assert pipeline.left() == {"items": 0, "queues": 1, "subscriptions": 0}


def test_an_item_that_is_there_already_stops_the_run_and_stays(monkeypatch):
    pipeline = Pipeline()
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    theirs = {"Id": {"S": f"cloudcdc-verify-{'0' * 16}-1"}, "Owner": {"S": "somebody"}}
    pipeline.dynamodb.put_item(TableName="Orders", Item=theirs)
    verification = pipeline.verification(awkward_keys=False)

    with pytest.raises(AnsibleAWSError, match="only where no item has its keys"):
        verification.run()

    assert pipeline.dynamodb.scan(TableName="Orders")["Items"] == [theirs]
    assert verification.cleanup_problems == []


def test_a_write_that_is_repeated_because_its_answer_was_lost_changes_nothing_more(monkeypatch):
    pipeline = Pipeline()

    def twice(write):
        def repeated(self, *arguments):
            write(self, *arguments)
            write(self, *arguments)

        return repeated

    for name in ("insert", "modify", "remove"):
        monkeypatch.setattr(api.Table, name, twice(getattr(api.Table, name)))
    # moto records a change even where none was made; DynamoDB does not.
    pipeline.function.handle = lambda records: pipeline.function.process(
        [each for each in records if each["dynamodb"].get("OldImage") != each["dynamodb"].get("NewImage")]
    )

    proven, report = pipeline.run(items=1)

    assert proven, report["message"]


def test_metrics_are_awaited_from_the_runs_first_minute_on():
    pipeline = Pipeline()
    cloudwatch = boto3.client("cloudwatch")
    label = pipeline.stream_arn.rpartition("/")[2]
    of_stream = {"TableName": "Orders", "StreamLabel": label, "Operation": "GetRecords"}

    def measure(namespace, name, value, dimensions, age):
        listed = [{"Name": key, "Value": text} for key, text in dimensions.items()]
        stamp = datetime.now(UTC) - age
        datum = {"MetricName": name, "Dimensions": listed, "Timestamp": stamp, "Value": value}
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum])

    for age, records in ((timedelta(minutes=10), 100), (timedelta(0), 2)):
        measure("AWS/Lambda", "Invocations", 1, {"FunctionName": "processor"}, age)
        measure("AWS/DynamoDB", "ReturnedRecordsCount", records, of_stream, age)

    proven, report = pipeline.run(items=1, metrics=["function", "stream"], metrics_timeout=60)

    assert not proven
    assert check(report, "function_metrics")["ok"] is True
    assert "is 2 after 60 s, not at least 3" in check(report, "stream_metrics")["detail"]


@pytest.mark.parametrize(
    ("given", "why"),
    [({"metrics_timeout": 0}, "metrics_timeout is 0"), ({"metrics": ["stream"]}, "metrics does not name it")],
)
def test_metrics_that_are_left_out_are_told_as_such(given, why):
    _proven, report = Pipeline().run(items=1, **{"metrics": ["function", "stream"], "metrics_timeout": 1, **given})

    assert check(report, "function_metrics") == {"name": "function_metrics", "ok": None, "detail": f"left out: {why}"}


def test_metrics_are_not_awaited_where_the_changes_are_not_proven():
    pipeline = Pipeline()
    pipeline.function.handle = lambda records: None

    _proven, report = pipeline.run(items=1, metrics=["function"], metrics_timeout=3600)

    assert check(report, "function_metrics")["detail"] == "left out: the changes are not proven"


def test_check_mode_reads_and_writes_nothing():
    pipeline = Pipeline()

    report = pipeline.verification(items=2, large_item=True).preview()

    assert "Would insert, modify and remove 3 item(s) in table Orders and await 9 of 9 changes" in report["message"]
    assert pipeline.left() == NOTHING
    assert pipeline.function.poll() is None and pipeline.function._done == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"audit_bucket": "no-such-bucket"}, "Failed to list the audit bucket.*NoSuchBucket"),
        ({"table_name": "None"}, "Failed to read the table.*ResourceNotFoundException"),
        ({"log_group": "/aws/lambda/none"}, "Failed to search the log group.*ResourceNotFoundException"),
        ({"change_topic_arn": "arn:aws:sns:us-east-1:123456789012:none"}, "Failed to read the change topic.*NotFound"),
    ],
)
def test_what_is_not_there_is_told_in_awss_words_in_check_mode_too(given, said):
    with pytest.raises(AnsibleAWSError) as caught:
        Pipeline().verification(**given).preview()

    assert re.search(said, str(caught.value))


def test_a_log_of_many_pages_is_read_piece_by_piece_and_from_the_start_again(monkeypatch):
    monkeypatch.setattr(api, "_PAGES_A_LOOK", 2)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="busy")
    hour = "audit-logs/2026/01/01/00/"
    for number in range(10):
        s3.put_object(Bucket="busy", Key=f"{hour}{number:040d}-{number:016x}.json", Body=b"{}")

    def three_a_page(service: str) -> Any:
        plain = boto3.client(service)
        plain.meta.events.register(
            "provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 3}
        )
        return RetryingBotoClientWrapper(plain, AWSRetry.jittered_backoff(retries=1))

    log = api.AuditLog(three_a_page, "busy")
    late = f"{hour}{9:040d}-{9:016x}.json"

    def of_item(item_hash: str) -> list[str]:
        return log.find(hour, lambda name, _written: name.hash == item_hash)

    assert of_item(f"{9:016x}") == []
    assert of_item(f"{9:016x}") == [late]
    s3.put_object(Bucket="busy", Key=f"{hour}{0:040d}-{'f' * 16}.json", Body=b"{}")
    assert of_item("f" * 16) == [f"{hour}{0:040d}-{'f' * 16}.json"]
