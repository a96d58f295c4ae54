"""The whole function, through its handler and over HTTP, against a server of moto's S3, SNS and SQS."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from stream_processor import handler
from stream_processor.config import ConfigError

from tests.unit.stream_processor.fakes import FakeContext, envelopes_in
from tests.unit.stream_records import make_record, sample, validated

LAMBDA_FOLDER = Path(__file__).parents[3] / "files" / "lambda"
BUCKET = "audit-bucket"


class Cloud:
    def __init__(self):
        self.s3, self.sns, self.sqs = (boto3.client(name) for name in ("s3", "sns", "sqs"))
        self.s3.create_bucket(Bucket=BUCKET)
        self.topic = self.sns.create_topic(Name="changes")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="watcher")["QueueUrl"]
        self.sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"][
                "QueueArn"
            ],
        )

    def objects(self):
        """The audit log, in its own order: each object's name, and an envelope in it."""
        names = sorted(entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))
        bodies = {name: self.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}
        return [(name, envelope) for name, body in bodies.items() for envelope in envelopes_in(name, body)]

    def notifications(self):
        messages = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture(scope="module")
def moto_server():
    # In this process, on a port of its own choice.
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["per_change", "per_batch"])
def cloud(request, moto_server, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    urllib.request.urlopen(urllib.request.Request(f"{moto_server}/moto-api/reset", method="POST")).close()
    cloud = Cloud()
    monkeypatch.setenv("S3_BUCKET_NAME", BUCKET)
    monkeypatch.setenv("SNS_TOPIC_ARN", cloud.topic)
    monkeypatch.setenv("AUDIT_LAYOUT", request.param)
    handler._runtime.cache_clear()
    yield cloud
    handler._runtime.cache_clear()


def invoke(*records):
    return handler.lambda_handler({"Records": list(records)}, FakeContext())


def test_changes_arrive_as_audit_objects_and_notifications(cloud):
    records = [sample(name) for name in ("insert", "modify", "remove", "ttl_remove")]
    assert invoke(*records) == {"batchItemFailures": []}
    audited = [envelope for _unused, envelope in cloud.objects()]
    assert [envelope["eventID"] for envelope in audited] == [record["eventID"] for record in records]
    notified = cloud.notifications()
    assert sorted(note["Subject"] for note in notified) == [
        "DynamoDB Activity: INSERT",
        "DynamoDB Activity: MODIFY",
        "DynamoDB Activity: REMOVE",
        "DynamoDB Activity: REMOVE",
    ]
    details = [validated(json.loads(note["Message"])["details"]) for note in notified]
    assert sorted(details, key=lambda each: each["sequenceNumber"]) == audited
    assert notified[0]["MessageAttributes"]["table"] == {"Type": "String", "Value": "UserActivities"}


def test_two_images_of_200_kb_are_audited_in_full_and_notified_by_claim_check(cloud):
    keys = {"UserId": {"S": "a/b 😀"}, "ActivityId": {"S": "picture"}}
    old, new = ({**keys, "Picture": {"S": letter * 200 * 1024}} for letter in "ab")
    assert invoke(make_record(keys, old=old, new=new)) == {"batchItemFailures": []}
    ((key, envelope),) = cloud.objects()
    assert (envelope["oldImage"], envelope["newImage"]) == (old, new)
    (note,) = cloud.notifications()
    details = validated(json.loads(note["Message"])["details"])
    assert details["audit"] == {"bucket": BUCKET, "key": key}
    assert details["changedAttributes"] == ["Picture"]
    assert {"oldImage", "newImage"}.isdisjoint(details)


def test_a_second_delivery_overwrites_nothing(cloud):
    cloud.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    invoke(sample("insert"))
    redriven = {**sample("insert"), "redrive": {"id": "r", "time": "2026-01-01T05:00:00Z"}}
    assert invoke(redriven) == {"batchItemFailures": []}
    assert len(cloud.s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 1
    ((_name, envelope),) = cloud.objects()
    assert "redrive" not in envelope
    assert len(cloud.notifications()) == 2


def test_a_bucket_that_is_gone_fails_the_first_record_and_notifies_nobody(cloud, capsys):
    cloud.s3.delete_bucket(Bucket=BUCKET)
    records = [sample("insert"), sample("modify")]
    number = records[0]["dynamodb"]["SequenceNumber"]
    assert invoke(*records) == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert cloud.notifications() == []
    failure = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (failure["stage"], failure["aws_code"]) == ("audit", "NoSuchBucket")


def test_settings_are_read_once_a_cold_start(cloud, monkeypatch):
    invoke(sample("insert"))
    monkeypatch.delenv("S3_BUCKET_NAME")
    assert invoke(sample("modify")) == {"batchItemFailures": []}
    assert len(cloud.objects()) == 2


def test_without_its_settings_the_function_fails_and_says_which(cloud, monkeypatch):
    monkeypatch.delenv("S3_BUCKET_NAME")
    with pytest.raises(ConfigError, match="S3_BUCKET_NAME"):
        invoke(sample("insert"))


def test_the_package_imports_with_the_standard_library_alone():
    code = f"import sys; sys.path.insert(0, {str(LAMBDA_FOLDER)!r}); import stream_processor.handler"
    # -S leaves out site-packages: neither Ansible nor boto3 can be found.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
