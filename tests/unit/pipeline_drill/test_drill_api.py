"""What a drill reads of queue, bucket, alarms and stream, and that looking takes nothing away."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from ansible_collections.amazon.aws.plugins.module_utils.retries import AWSRetry, RetryingBotoClientWrapper
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_drill import api
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.pipeline_drill.drill_support import STREAM_ARN

NOW = datetime(2026, 1, 31, 23, 59, tzinfo=UTC)
UUID = "6d9bce8e-836b-442c-8070-74e77903c815"


@pytest.fixture
def cloud(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(api, "_WAIT_SECONDS", 0)
    with mock_aws():
        yield lambda service: RetryingBotoClientWrapper(boto3.client(service), AWSRetry.jittered_backoff(retries=1))


def document(number: int, stream_arn: str = STREAM_ARN) -> str:
    batch = {"shardId": "shard-1", "startSequenceNumber": str(number), "endSequenceNumber": str(number), "batchSize": 1}
    return json.dumps(
        {
            "requestContext": {"condition": "RetryAttemptsExhausted"},
            "DDBStreamBatchInfo": {**batch, "streamArn": stream_arn},
        }
    )


def test_a_look_into_the_queue_finds_all_of_the_streams_records_and_takes_none(cloud):
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="processor-dlq")["QueueUrl"]
    for number in range(25):
        sqs.send_message(QueueUrl=url, MessageBody=document(number))
    sqs.send_message(QueueUrl=url, MessageBody=document(99, "arn:of:another"))
    sqs.send_message(QueueUrl=url, MessageBody="not ours")
    queue = api.FailureQueue(cloud, url, STREAM_ARN)

    first, second = queue.look(NOW), queue.look(NOW)

    assert sorted(record.first for record in first) == sorted(record.first for record in second) == list(range(25))
    depth = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert depth == {"ApproximateNumberOfMessages": "27"}


def test_what_was_received_is_given_back_when_a_look_fails(cloud, monkeypatch):
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="processor-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=document(1))
    queue = api.FailureQueue(cloud, url, STREAM_ARN)
    receive, turns = queue._receive, iter([True, False])
    monkeypatch.setattr(queue, "_receive", lambda: receive() if next(turns) else 1 / 0)

    with pytest.raises(ZeroDivisionError):
        queue.look(NOW)

    assert sqs.receive_message(QueueUrl=url).get("Messages")


def test_a_look_into_the_bucket_finds_the_mappings_records_of_every_shard_over_midnight(cloud):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="failures")
    prefix = f"aws/lambda/{UUID}"
    for number, key in enumerate(
        [
            f"{prefix}/shard-1/2026/01/31/2026-01-31T23.59.30-a",
            f"{prefix}/shard-2/2026/02/01/2026-02-01T00.00.10-b",
            f"{prefix}/shard-1/2026/01/30/2026-01-30T10.00.00-c",
            "aws/lambda/another/shard-1/2026/01/31/2026-01-31T23.59.30-d",
        ]
    ):
        s3.put_object(Bucket="failures", Key=key, Body=document(number).encode())
    bucket = api.FailureBucket(cloud, "failures", UUID, STREAM_ARN)

    assert sorted(record.first for record in bucket.look(NOW)) == [0, 1]

    s3.delete_object(Bucket="failures", Key=f"{prefix}/shard-2/2026/02/01/2026-02-01T00.00.10-b")
    assert [record.first for record in bucket.look(NOW)] == [0]


def test_the_days_of_a_look_are_that_of_the_start_and_the_next():
    assert api.days(NOW) == ["2026/01/31", "2026/02/01"]
    assert api.days(NOW - timedelta(days=1)) == ["2026/01/30", "2026/01/31"]


def test_alarms_are_read_by_name_and_a_missing_one_is_told(cloud):
    boto3.client("cloudwatch").put_metric_alarm(
        AlarmName="one",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="Errors",
        Namespace="AWS/Lambda",
        Period=60,
        Statistic="Sum",
        Threshold=1,
    )
    alarms = api.Alarms(cloud)

    assert list(alarms.describe("one", "two")) == ["one"]
    assert alarms.state("two") == "gone"


def test_only_messages_of_alarms_are_taken_from_the_temporary_queue(cloud):
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="cloudcdc-drill-1")["QueueUrl"]
    for body in ("no JSON", "[]", json.dumps({"AlarmName": "one", "NewStateValue": "ALARM"})):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    topic = api.AlarmTopic(cloud, "arn:aws:sns:us-east-1:123456789012:alarms")

    assert topic.alarm_messages(url) == [{"AlarmName": "one", "NewStateValue": "ALARM"}]
    assert topic.alarm_messages(url) == []


class Streams:
    """A stream's client: shards, and what each iterator gives."""

    def __init__(self) -> None:
        self.shards = [
            {"ShardId": "closed", "SequenceNumberRange": {"EndingSequenceNumber": "9"}},
            {"ShardId": "open", "SequenceNumberRange": {}},
        ]
        self.pages = {"open-LATEST": ([], "open-2"), "open-2": ([record("a", 10)], None)}
        self.pages["child-TRIM_HORIZON"] = ([record("b", 11)], "child-2")
        self.pages["child-2"] = ([], "child-2")

    def describe_stream(self, ExclusiveStartShardId=None, **_request):
        names = [shard["ShardId"] for shard in self.shards]
        at = names.index(ExclusiveStartShardId) + 1 if ExclusiveStartShardId else 0
        page = self.shards[at : at + 1]
        last = names[at] if at + 1 < len(names) else None
        return {"StreamDescription": {"Shards": page, "LastEvaluatedShardId": last}}

    def get_shard_iterator(self, ShardId, ShardIteratorType, **_request):
        return {"ShardIterator": f"{ShardId}-{ShardIteratorType}"}

    def get_records(self, ShardIterator, **_request):
        records, following = self.pages[ShardIterator]
        return {"Records": records, "NextShardIterator": following}


def record(key: str, number: int) -> dict:
    change = {"Keys": {"Id": {"B": key.encode()}}, "SequenceNumber": str(number), "ApproximateCreationDateTime": NOW}
    return {"eventName": "INSERT", "dynamodb": change}


def test_the_streams_end_is_read_over_the_end_of_a_shard_and_binary_keys_are_base64():
    client = Streams()
    end = api.StreamEnd(lambda _service: client, STREAM_ARN)
    assert end.read() == []

    end.open()
    assert end.read() == []
    client.shards.append({"ShardId": "child", "ParentShardId": "open", "SequenceNumberRange": {}})
    told = [*end.read(), *end.read(), *end.read()]

    assert [(shard, each["sequenceNumber"]) for shard, each in told] == [("open", "10"), ("child", "11")]
    assert told[0][1]["keys"] == {"Id": {"B": "YQ=="}}


def test_a_stream_that_others_read_too_is_read_again():
    answers = [ClientError({"Error": {"Code": "LimitExceededException", "Message": "Slower."}}, "GetRecords"), "page"]

    def get_records():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = SimpleNamespace(client=lambda _service, retry_decorator: retry_decorator(get_records))

    assert api.Cloud(module)("dynamodbstreams")() == "page"
