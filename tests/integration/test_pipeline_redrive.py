"""Redrive against the local cloud, as the operator, IAM enforced: failure records of real changes, a real function."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import stat
import subprocess
import sys
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Project

from tests.accounting import Pipeline as AuditedPipeline

pytestmark = pytest.mark.cloud

CHECKOUT = Path(__file__).resolve().parents[2]
REGION, ACCOUNT = "us-east-1", "000000000000"
RUN_MODULE = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_redrive
with patch_module_args(json.load(sys.stdin)):
    pipeline_redrive.main()
"""
#: What the module's documentation says it calls, by service.
ACTIONS = {
    *("sqs:ReceiveMessage", "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    *("s3:ListBucket", "s3:GetObject", "s3:DeleteObject"),
    *("dynamodb:GetShardIterator", "dynamodb:GetRecords"),
    *("lambda:ListEventSourceMappings", "lambda:InvokeFunction", "logs:FilterLogEvents"),
}
#: A function that refuses items named poison in its answer, and raises for items named bomb. It writes what it gets,
#: in order, to the bucket.
FUNCTION = """
import json, os, time, uuid
import boto3

s3 = boto3.client("s3")

def handler(event, context):
    time.sleep(float(os.environ.get("SECONDS", "0")))
    done = []
    for record in event["Records"]:
        item = record["dynamodb"]["Keys"]["UserId"]["S"]
        number = record["dynamodb"]["SequenceNumber"]
        if item == "bomb":
            raise ValueError("cannot do " + item)
        if item == "poison":
            print(json.dumps({"message": "record failed", "sequence_number": number, "stage": "audit",
                              "error_type": "PoisonError", "detail": item}))
            break
        done.append(record)
    put(done)
    failed = event["Records"][len(done):]
    return {"batchItemFailures": [{"itemIdentifier": failed[0]["dynamodb"]["SequenceNumber"]}] if failed else []}

def put(records):
    name = f"{time.time_ns():020d}-{uuid.uuid4()}"
    s3.put_object(Bucket=os.environ["BUCKET"], Key=name, Body=json.dumps(records))
"""


@dataclass
class Pipeline:
    """Table, stream, function, failure queue and failure bucket, named as the operator's policy wants it.

    The mapping is disabled: the tests write the failure records themselves, in AWS's shapes.
    """

    cloud: Any
    filters: tuple[dict[str, Any], ...] = ()
    name: str = field(default_factory=lambda: f"redrive-{uuid.uuid4().hex[:12]}")

    def build(self) -> Pipeline:
        self.table, self.function = f"UserActivities-{self.name}", f"stream-processor-{self.name}"
        self.failures, self.seen = f"activity-failures-{self.name}", f"seen-{self.name}"
        for bucket in (self.failures, self.seen):
            self.cloud.client("s3").create_bucket(Bucket=bucket)
        self.queue = self.cloud.client("sqs").create_queue(QueueName=f"{self.function}-dlq")["QueueUrl"]
        keys = ("UserId", "ActivityId")
        self.stream_arn = self.cloud.client("dynamodb").create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": keys[0], "KeyType": "HASH"}, {"AttributeName": keys[1], "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]
        self.function_arn = self._create_function()
        self.cloud.client("lambda").create_event_source_mapping(
            EventSourceArn=self.stream_arn,
            FunctionName=self.function_arn,
            StartingPosition="TRIM_HORIZON",
            Enabled=False,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            FilterCriteria={"Filters": [{"Pattern": json.dumps(each)} for each in self.filters]},
        )
        return self

    def _create_function(self) -> str:
        iam, role = self.cloud.client("iam"), f"dynamodb-stream-role-{self.name}"
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        work = [
            {"Effect": "Allow", "Action": ["dynamodb:*", "logs:*"], "Resource": "*"},
            {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{self.seen}/*"},
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": work})
        iam.put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=policy)
        self.cloud.client("logs").create_log_group(logGroupName=f"/aws/lambda/{self.function}")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as package:
            package.writestr("code.py".replace("code", "processor"), FUNCTION)
        return self.cloud.client("lambda").create_function(
            FunctionName=self.function,
            Runtime="python3.13",
            Role=arn,
            Handler="processor.handler",
            Code={"ZipFile": archive.getvalue()},
            Timeout=60,
            Environment={"Variables": {"BUCKET": self.seen}},
        )["FunctionArn"]

    def slow_function(self, seconds: float) -> None:
        self.cloud.client("lambda").update_function_configuration(
            FunctionName=self.function, Environment={"Variables": {"BUCKET": self.seen, "SECONDS": str(seconds)}}
        )

    # Changes

    def write(self, *users: str, **attributes: Any) -> list[dict[str, Any]]:
        """A change of each user's one item, and their stream records, in order."""
        for user in users:
            item = {"UserId": {"S": user}, "ActivityId": {"S": "one"}, "Nonce": {"S": uuid.uuid4().hex}, **attributes}
            self.cloud.client("dynamodb").put_item(TableName=self.table, Item=item)
        return self.stream()[-len(users) :]

    def write_many(self, count: int) -> list[dict[str, Any]]:
        puts = [
            {"PutRequest": {"Item": {"UserId": {"S": f"user-{number:05d}"}, "ActivityId": {"S": "one"}}}}
            for number in range(count)
        ]
        for start in range(0, count, 25):
            self.cloud.client("dynamodb").batch_write_item(RequestItems={self.table: puts[start : start + 25]})
        return self.stream()[-count:]

    def stream(self) -> list[dict[str, Any]]:
        client = self.cloud.client("dynamodbstreams")
        (shard,) = client.describe_stream(StreamArn=self.stream_arn)["StreamDescription"]["Shards"]
        self.shard_id = shard["ShardId"]
        iterator = client.get_shard_iterator(
            StreamArn=self.stream_arn, ShardId=self.shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records: list[dict[str, Any]] = []
        while True:
            answer = client.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                return records
            records += answer["Records"]
            iterator = answer["NextShardIterator"]

    # Failure records

    def failure_record(self, changes: list[dict[str, Any]], **batch: Any) -> dict[str, Any]:
        now = datetime.now(UTC)
        numbers = [number_of(each) for each in changes]
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": f"{self.function_arn}:live",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 4,
            },
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0",
            "timestamp": instant(now),
            "DDBStreamBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": numbers[0],
                "endSequenceNumber": numbers[-1],
                "approximateArrivalOfFirstRecord": instant(now + timedelta(seconds=1)),
                "approximateArrivalOfLastRecord": instant(now + timedelta(seconds=1)),
                "batchSize": len(numbers),
                "streamArn": self.stream_arn,
                **batch,
            },
        }

    def send(self, *bodies: Any) -> None:
        texts = [each if isinstance(each, str) else json.dumps(each) for each in bodies]
        for start in range(0, len(texts), 10):
            entries = [{"Id": str(at), "MessageBody": each} for at, each in enumerate(texts[start : start + 10])]
            self.cloud.client("sqs").send_message_batch(QueueUrl=self.queue, Entries=entries)

    def put(self, document: dict[str, Any]) -> str:
        moment = datetime.now(UTC)
        key = f"aws/lambda/{uuid.uuid4()}/{self.shard_id}/{moment:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        self.cloud.client("s3").put_object(Bucket=self.failures, Key=key, Body=json.dumps(document))
        return key

    def objects(self) -> list[str]:
        listed = self.cloud.client("s3").list_objects_v2(Bucket=self.failures)
        return [each["Key"] for each in listed.get("Contents", [])]

    def messages(self) -> tuple[int, int]:
        """How many there are to be received, and how many somebody has."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.cloud.client("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def processed(self) -> list[dict[str, Any]]:
        """Every record that the function did, in the order in which it did them."""
        s3 = self.cloud.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.seen)
        keys = sorted(each["Key"] for page in pages for each in page.get("Contents", []))
        return [each for key in keys for each in json.loads(s3.get_object(Bucket=self.seen, Key=key)["Body"].read())]

    # The module

    def start(self, identity: str = "operator", **options: Any) -> subprocess.Popen:
        keys = self.cloud.credentials(identity)
        arguments = {
            "endpoint_url": self.cloud.endpoint,
            "region": REGION,
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
            "table_name": self.table,
            "function_name": self.function,
            **({} if "bucket" in options else {"queue_url": self.queue}),
            **options,
        }
        paths = [str(CHECKOUT / ".collections"), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(json.dumps(arguments))
        process.stdin.close()
        process.stdin = None
        return process

    def redrive(self, **options: Any) -> dict[str, Any]:
        return answer(self.start(**options))


def instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def number_of(record: dict[str, Any]) -> str:
    return record["dynamodb"]["SequenceNumber"]


def numbers_of(records: list[dict[str, Any]]) -> list[str]:
    return [number_of(record) for record in records]


def event_of(records: list[dict[str, Any]], stream_arn: str) -> dict[str, Any]:
    """The records as Lambda hands them to a function."""
    given = [{**each, "dynamodb": dict(each["dynamodb"]), "eventSourceARN": stream_arn} for each in records]
    for each in given:
        created = each["dynamodb"]["ApproximateCreationDateTime"]
        each["dynamodb"]["ApproximateCreationDateTime"] = int(created.timestamp())
    return {"Records": given}


def answer(process: subprocess.Popen) -> dict[str, Any]:
    """What the module told Ansible."""
    output, errors = process.communicate(timeout=300)
    assert output.strip(), errors
    return json.loads(output)


def wait_for(holds, seconds: float = 60) -> None:
    """Until it holds; the deadline only ends a test that fails anyway."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def pipeline(cloud) -> Pipeline:
    cloud.reset()
    return Pipeline(cloud).build()


@pytest.fixture(autouse=True)
def nothing_left_of_the_test_before(request):
    yield
    if "pipeline" in request.fixturenames:
        shared = request.getfixturevalue("pipeline")
        shared.cloud.client("sqs").purge_queue(QueueUrl=shared.queue)
        for key in shared.objects():
            shared.cloud.client("s3").delete_object(Bucket=shared.failures, Key=key)


def test_a_thousand_failure_records_are_recovered_and_a_second_run_finds_nothing(pipeline, tmp_path):
    changes = pipeline.write_many(1000)
    pipeline.send(*(pipeline.failure_record([change]) for change in changes))

    told = pipeline.redrive(progress_file=str(tmp_path / "deep" / "orders.progress"))

    assert not told.get("failed"), told["msg"]
    assert (told["changed"], told["complete"], told["recovered"]) == (True, True, 1000)
    assert pipeline.messages() == (0, 0)
    done = pipeline.processed()[-1000:]
    assert sorted(numbers_of(done)) == numbers_of(changes)
    assert {each["redrive"]["id"] for each in done} == {told["run_id"]}
    last = (tmp_path / "deep" / "orders.progress").read_text().splitlines()[-1]
    assert last.endswith("1000 of 1000 changes recovered, 1000 of 1000 failure records deleted.")

    again = pipeline.redrive()
    assert (again["changed"], again["message"]) == (False, "Nothing to redrive: there is no failure record.")


def test_a_change_is_sent_as_lambda_sends_it(pipeline):
    binary = {"Blob": {"B": b"\x00\xff"}, "Blobs": {"BS": [b"\x01"]}, "Deep": {"M": {"L": {"L": [{"B": b"\x02"}]}}}}
    (change,) = pipeline.write("shape", **binary)
    pipeline.send(pipeline.failure_record([change]))

    told = pipeline.redrive()

    assert told["recovered"] == 1, told
    (sent,) = [each for each in pipeline.processed() if number_of(each) == number_of(change)]
    assert sent.pop("redrive").keys() == {"id", "time"}
    image = sent["dynamodb"]["NewImage"]
    assert image["Blob"] == {"B": base64.b64encode(b"\x00\xff").decode()}
    assert image["Blobs"] == {"BS": [base64.b64encode(b"\x01").decode()]}
    assert image["Deep"] == {"M": {"L": {"L": [{"B": base64.b64encode(b"\x02").decode()}]}}}
    assert (sent["eventSourceARN"], sent["eventID"]) == (pipeline.stream_arn, change["eventID"])
    assert isinstance(sent["dynamodb"]["ApproximateCreationDateTime"], int)


@pytest.mark.parametrize("user", ["poison", "bomb"])
def test_a_poison_is_named_its_item_waits_and_all_others_are_recovered(pipeline, tmp_path, user):
    changes = pipeline.write("a", "b", user, "c", user, "a", "d")
    pipeline.send(*(pipeline.failure_record([change]) for change in changes))
    errors = tmp_path / "errors.jsonl"

    told = pipeline.redrive(error_file=str(errors))

    assert not told.get("failed"), told
    assert (told["complete"], told["recovered"]) == (False, 5)
    (failing,), (held,) = told["still_failing"], told["held_back"]
    assert (failing["sequence_number"], held["sequence_number"]) == (number_of(changes[2]), number_of(changes[4]))
    # AWS names the exception; the local cloud has one name for all of them.
    assert failing["error_type"] in {"poison": ["PoisonError"], "bomb": ["ValueError", "Runtime.HandlerError"]}[user]
    assert failing["item"] == held["item"] and user not in json.dumps(told)
    if user == "bomb":
        assert stat.S_IMODE(errors.stat().st_mode) == 0o600
        assert json.loads(errors.read_text())["error"] == "cannot do bomb"
    else:
        assert (failing["stage"], told["error_file"], errors.exists()) == ("audit", None, False)
    # Given back, not only kept.
    assert pipeline.messages() == (2, 0)


def test_changes_that_left_the_stream_are_named_and_their_failure_records_kept(pipeline):
    (change, *_more) = pipeline.write("left", "right")
    other_shard = pipeline.failure_record([change], shardId="shardId-00000000000000000001-00000000")
    early = str(int(number_of(change)) - 7).zfill(len(number_of(change)))
    trimmed = pipeline.failure_record([change], startSequenceNumber=early, batchSize=2)
    old_stream = pipeline.failure_record([change], streamArn=pipeline.stream_arn[:-4] + "-old")
    pipeline.send(other_shard, trimmed, old_stream)

    told = pipeline.redrive()

    assert not told.get("failed"), told
    # Of the trimmed range what is left is sent.
    assert (told["complete"], told["recovered"], told["counts"]["gone"], told["counts"]["kept"]) == (False, 1, 3, 3)
    ranges = {(each["stream_arn"], each["shard_id"]): each for each in told["gone"]}
    lost = ranges[pipeline.stream_arn, pipeline.shard_id]
    assert lost["start_sequence_number"] == early
    assert int(lost["end_sequence_number"]) == int(number_of(change)) - 1
    assert ranges[pipeline.stream_arn, "shardId-00000000000000000001-00000000"]
    assert ranges[pipeline.stream_arn[:-4] + "-old", pipeline.shard_id]["end_sequence_number"] == number_of(change)
    assert pipeline.messages() == (3, 0)


def test_what_is_no_failure_record_of_this_pipeline_is_left_alone(pipeline):
    (change,) = pipeline.write("mine")
    record = pipeline.failure_record([change])
    other_table = pipeline.failure_record(
        [change], streamArn=pipeline.stream_arn.replace("/UserActivities-", "/Other-")
    )
    kinesis = {**record, "KinesisBatchInfo": record["DDBStreamBatchInfo"]}
    del kinesis["DDBStreamBatchInfo"]
    other_function = json.loads(json.dumps(record).replace(":function:stream-", ":function:other-"))
    wrapped = {"Type": "Notification", "MessageId": str(uuid.uuid4()), "Message": json.dumps(record)}
    pipeline.send("an asynchronous event", {"user": "secret"}, other_table, other_function, kinesis, wrapped)

    told = pipeline.redrive()

    assert (told["complete"], told["recovered"], len(told["foreign"])) == (True, 1, 5)
    assert "secret" not in json.dumps(told)
    assert pipeline.messages() == (5, 0)


@pytest.mark.parametrize("form", ["object", "text", "absent"])
def test_a_buckets_failure_records_are_redriven_from_their_payload(pipeline, form):
    changes = pipeline.write("x", "y", "x")
    document = pipeline.failure_record(changes)
    event = event_of(changes, pipeline.stream_arn)
    if form != "absent":
        # The stream no longer has it: the payload is all there is.
        document["DDBStreamBatchInfo"]["shardId"] = "shardId-00000000000000000009-00000000"
        document["payload"] = event if form == "object" else json.dumps(event)
    pipeline.put(document)

    told = pipeline.redrive(bucket=pipeline.failures)

    assert (told["complete"], told["recovered"]) == (True, 3), told
    assert numbers_of(pipeline.processed()[-3:]) == numbers_of(changes)
    assert pipeline.objects() == []


def test_check_mode_and_dry_run_say_what_would_be_redriven_and_consume_nothing(pipeline):
    changes = pipeline.write("p", "q", "p")
    pipeline.send(pipeline.failure_record(changes[:2]), pipeline.failure_record(changes[2:]))
    key = pipeline.put(pipeline.failure_record(changes))
    before = len(pipeline.processed())

    for options in ({"dry_run": True}, {"_ansible_check_mode": True}):
        told = pipeline.redrive(**options)
        assert (told["changed"], told["recovered"]) == (False, 0)
        assert told["message"] == "Would redrive 3 changes of 2 failure records."
        assert pipeline.messages() == (2, 0)
        assert pipeline.redrive(bucket=pipeline.failures, **options)["counts"]["changes"] == 3
    assert (pipeline.objects(), len(pipeline.processed())) == ([key], before)


def test_a_limit_takes_the_oldest_and_times_choose(pipeline):
    changes = pipeline.write("one", "two", "three", "four")
    records = [pipeline.failure_record([change]) for change in changes]
    records[3]["timestamp"] = "2020-01-01T00:00:00.000Z"
    pipeline.send(*reversed(records))

    told = pipeline.redrive(limit=2, **{"from": "2021-01-01T00:00:00Z"})

    assert (told["recovered"], told["counts"]["beyond_limit"], told["counts"]["outside_time"]) == (2, 1, 1)
    assert numbers_of(pipeline.processed()[-2:]) == numbers_of(changes[:2])
    assert pipeline.messages() == (2, 0)
    assert pipeline.redrive(to="2021-01-01T00:00:00Z")["recovered"] == 1
    assert numbers_of(pipeline.processed()[-1:]) == numbers_of(changes[3:])


def test_two_runs_at_once_recover_everything_in_order(pipeline):
    users = [f"twin-{number % 20}" for number in range(200)]
    changes = pipeline.write(*users)
    pipeline.send(*(pipeline.failure_record([change]) for change in changes))

    runs = [pipeline.start() for _each in range(2)]
    told = [answer(run) for run in runs]

    assert not [each["msg"] for each in told if each.get("failed")]
    assert pipeline.messages() == (0, 0)
    done = [each for each in pipeline.processed() if each["redrive"]["id"] in {one["run_id"] for one in told}]
    assert set(numbers_of(done)) == set(numbers_of(changes))
    for user in set(users):
        numbers = [number_of(each) for each in done if each["dynamodb"]["Keys"]["UserId"]["S"] == user]
        assert numbers == sorted(numbers, key=int)


def test_an_interrupted_run_keeps_what_it_did_and_gives_the_rest_back(pipeline):
    changes = pipeline.write_many(100)
    pipeline.send(*(pipeline.failure_record([change]) for change in changes))
    before = len(pipeline.processed())
    pipeline.slow_function(0.5)
    try:
        run = pipeline.start(batch_size=4, concurrency=1)
        wait_for(lambda: len(pipeline.processed()) > before)
        run.send_signal(signal.SIGTERM)
        told = answer(run)
    finally:
        pipeline.slow_function(0)

    assert told["failed"] and told["msg"].startswith("Ended by SIGTERM."), told
    assert 0 < told["recovered"] < 100 and told["complete"] is False
    assert pipeline.messages() == (100 - told["recovered"], 0)
    assert pipeline.redrive()["recovered"] == 100 - told["recovered"]
    assert sorted(numbers_of(pipeline.processed()[before:])) == numbers_of(changes)


def test_changes_that_the_filters_held_back_are_not_sent(cloud):
    pipeline = Pipeline(cloud, filters=({"dynamodb": {"Keys": {"UserId": {"S": [{"prefix": "good"}]}}}},)).build()
    changes = pipeline.write("good-1", "bad", "good-2")
    record = pipeline.failure_record(changes, batchSize=2)
    pipeline.send(record)

    assert pipeline.redrive()["recovered"] == 2
    assert numbers_of(pipeline.processed()) == [number_of(changes[0]), number_of(changes[2])]

    # A batch that had more than the filters let through now: they were others then, so all is sent.
    record["DDBStreamBatchInfo"]["batchSize"] = 3
    pipeline.send(record)
    assert pipeline.redrive()["recovered"] == 3


def test_awss_words_reach_the_user_when_the_queue_is_not_there(pipeline):
    told = pipeline.redrive(queue_url=pipeline.queue + "-other")

    assert told["failed"] and told["error"]["code"].endswith(("NonExistentQueue", "QueueDoesNotExist", "AccessDenied"))


def test_a_right_that_is_missing_at_the_function_ends_the_run_and_keeps_everything(pipeline, cloud):
    (change,) = pipeline.write("denied")
    pipeline.send(pipeline.failure_record([change]))

    told = pipeline.redrive(function_name=f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{pipeline.function}:none")
    assert told["recovered"] == 1, told  # a qualifier in the name is not looked at

    pipeline.send(pipeline.failure_record([change]))
    told = pipeline.redrive(qualifier="no-such-alias")
    assert told["failed"] and "ResourceNotFoundException" in told["msg"], told
    assert pipeline.messages() == (1, 0)


def test_the_documented_actions_are_the_ones_used(pipeline, cloud):
    recorded = {each["action"] for each in cloud.actions("operator") if each["allowed"]}
    refused = [each for each in cloud.actions("operator") if not each["allowed"]]

    # For a batch of messages AWS asks for the right to one; the local cloud has a name for each.
    assert {action.removesuffix("Batch") for action in recorded} == ACTIONS
    assert not [each for each in refused if each["resource"].endswith("-dlq")]


class TestThePlaybook:
    """The role's own pipeline, with its own function."""

    @pytest.fixture(scope="class")
    @classmethod
    def deployed(cls, cloud, tmp_path_factory):
        project = Project(cloud, tmp_path_factory.mktemp("redrive"), {"orders": {}})
        project.run("deploy").ok()
        return project

    @pytest.fixture(scope="class")
    @classmethod
    def pipeline(cls, cloud, deployed):
        """The deployed pipeline, for writing changes and failure records."""
        outputs = deployed.outputs("orders")
        found = Pipeline(cloud, name="orders")
        found.table, found.function = outputs["table_name"], outputs["function_name"]
        found.queue, found.stream_arn = outputs["failure_queue_url"], outputs["stream_arn"]
        found.function_arn = outputs["function_arn"]
        return found

    @pytest.fixture(autouse=True)
    def nothing_left_of_the_test_before(self, pipeline):
        yield
        pipeline.cloud.client("sqs").purge_queue(QueueUrl=pipeline.queue)

    @staticmethod
    def report(project, suffix=".json") -> Path:
        return project.folder / "build/redrive/test" / f"orders{suffix}"

    def test_a_pipeline_without_failures_says_so(self, deployed):
        run = deployed.run("redrive").ok()

        assert run.changed() == []
        assert "Nothing to redrive: there is no failure record." in run.output
        assert json.loads(self.report(deployed).read_text())["complete"] is True

    def test_failed_changes_are_recovered_and_marked(self, deployed, pipeline):
        changes = pipeline.write("anna", "bert", "anna")
        pipeline.send(*(pipeline.failure_record([change]) for change in changes))

        announced = deployed.run("redrive", "-e", "redrive_dry_run=true", "-e", "redrive_limit=2").ok()
        assert "Would redrive 2 changes of 2 failure records; 1 failure record beyond the limit." in announced.output
        assert "Would redrive 3 changes" in deployed.run("redrive", "--check").ok().output
        run = deployed.run("redrive").ok()

        assert run.changed() == ["Bring the failed changes to the function again"]
        assert "3 of 3 changes recovered, 3 of 3 failure records deleted." in run.output
        assert self.report(deployed, ".progress").read_text().endswith("3 of 3 failure records deleted.\n")
        assert pipeline.messages() == (0, 0)
        # The live pipeline may have been faster; what it had not audited yet is marked.
        objects = AuditedPipeline(deployed.outputs("orders")).audit_objects()
        audited = {envelope["sequenceNumber"] for held in objects.values() for envelope in held}
        assert {number_of(change) for change in changes} <= audited

    def test_what_cannot_be_recovered_ends_in_a_failure_that_says_so(self, deployed, pipeline):
        (change,) = pipeline.write("carl")
        gone = pipeline.failure_record([change], shardId="shardId-00000000000000000001-00000000")
        pipeline.send(pipeline.failure_record([change]), gone)

        run = deployed.run("redrive")

        assert run.returncode != 0
        (failure,) = run.failures()
        assert "1 failure record with changes that have left the stream" in failure and "docs/redrive.md" in failure
        report = json.loads(self.report(deployed).read_text())
        assert [each["start_sequence_number"] for each in report["gone"]] == [number_of(change)]
        assert pipeline.messages() == (1, 0)
