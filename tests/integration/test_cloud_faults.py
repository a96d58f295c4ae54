"""Faults on demand: what functions and other roles are told by S3, SNS and the rest, and who is spared."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cloud_driver import REGION, LocalCloud
from cloud_mappings import let, make_function, refused

pytestmark = pytest.mark.cloud

NAME = "faulty"
ONCE = Config(retries={"total_max_attempts": 1})
# Calls AWS once, with the endpoint and the credentials every function gets; what it was told.
CALLER = """
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def handler(event, context):
    client = boto3.client(event["service"], config=Config(retries={"total_max_attempts": 1}))
    try:
        getattr(client, event["call"])(**event["arguments"])
    except ClientError as exc:
        return [exc.response["ResponseMetadata"]["HTTPStatusCode"], exc.response["Error"]["Code"]]
    return [200, ""]
"""


@pytest.fixture(scope="module")
def caller(cloud, tmp_path_factory):
    """Lets a function make one call; the status and the error code it got."""
    make_function(cloud, NAME, tmp_path_factory.mktemp("caller"), CALLER)
    let(cloud, NAME, "*")
    cloud.client("s3").create_bucket(Bucket=NAME)
    cloud.client("sns").create_topic(Name=NAME)
    cloud.client("sqs").create_queue(QueueName=NAME)

    def call(service: str, name: str, **arguments) -> tuple[int, str]:
        event = json.dumps({"service": service, "call": name, "arguments": arguments})
        status, code = json.load(cloud.client("lambda").invoke(FunctionName=NAME, Payload=event)["Payload"])
        return status, code

    return call


@pytest.fixture
def faults(cloud):
    """Sets faults, which are over at the test's end."""

    def put(*rules: dict, **settings) -> dict:
        return json.loads(cloud.run("faults", json.dumps({"rules": rules, **settings})))

    yield put
    cloud.run("faults", "off")


def put_object(caller, key: str) -> tuple[int, str]:
    return caller("s3", "put_object", Bucket=NAME, Key=key, Body="x")


def stored(cloud: LocalCloud, key: str) -> bool:
    listed = cloud.client("s3").list_objects_v2(Bucket=NAME, Prefix=key)
    return listed["KeyCount"] > 0


TOPIC = f"arn:aws:sns:{REGION}:000000000000:{NAME}"
BATCH = [{"Id": "1", "Message": "m"}]


@pytest.mark.parametrize(
    ("rule", "call", "told"),
    [
        (("s3", "PutObject", 503), ("s3", "put_object", {"Bucket": NAME, "Key": "k", "Body": "x"}), "SlowDown"),
        (("s3", "*", 500), ("s3", "list_objects_v2", {"Bucket": NAME}), "InternalError"),
        (("s3", "PutObject", 403), ("s3", "put_object", {"Bucket": NAME, "Key": "k", "Body": "x"}), "AccessDenied"),
        (("sns", "Publish", 400), ("sns", "publish", {"TopicArn": TOPIC, "Message": "m"}), "Throttling"),
        (
            ("sns", "PublishBatch", 503),
            ("sns", "publish_batch", {"TopicArn": TOPIC, "PublishBatchRequestEntries": BATCH}),
            "ServiceUnavailable",
        ),
        (("sqs", "ListQueues", 500), ("sqs", "list_queues", {}), "InternalFailure"),
        (("dynamodb", "ListStreams", 400), ("dynamodbstreams", "list_streams", {}), "ThrottlingException"),
        (("dynamodb", "ListTables", 500), ("dynamodb", "list_tables", {}), "InternalServerError"),
        (("cloudwatch", "ListMetrics", 503), ("cloudwatch", "list_metrics", {}), "ServiceUnavailable"),
        (("lambda", "*", 429), ("lambda", "list_functions", {}), "TooManyRequestsException"),
    ],
)
def test_a_function_is_told_what_aws_would_say(caller, faults, rule, call, told):
    service, operation, answer = rule
    faults({"service": service, "operation": operation, "answer": answer})
    name, method, arguments = call
    assert caller(name, method, **arguments) == (answer, told)


def test_a_refused_request_is_not_carried_out_and_the_owner_is_spared(cloud, caller, faults):
    faults({"service": "s3", "operation": "PutObject", "answer": 503})
    assert put_object(caller, "refused")[0] == 503
    assert not stored(cloud, "refused")
    cloud.client("s3").put_object(Bucket=NAME, Key="by-root", Body=b"x")
    assert stored(cloud, "by-root")
    (rule,) = json.loads(cloud.run("faults"))["rules"]
    assert (rule["met"], rule["hit"]) == (1, 1)
    cloud.run("faults", "off")
    assert put_object(caller, "refused") == (200, "")


def test_a_lost_answer_hides_that_the_request_was_carried_out(cloud, caller, faults):
    faults({"service": "s3", "operation": "PutObject", "lost": True})
    assert put_object(caller, "lost") == (500, "InternalError")
    assert stored(cloud, "lost")


def test_a_share_of_the_requests_is_hit_and_the_seed_says_which(caller, faults):
    def told():
        # Of this bucket alone: other functions in the cloud may be at work too.
        faults({"service": "s3", "path": f"/{NAME}/*", "rate": 0.5, "answer": 503}, seed=7)
        return [put_object(caller, f"share-{number}")[0] for number in range(12)]

    first = told()
    assert set(first) == {200, 503}
    assert told() == first


def test_a_delay_holds_requests_up_without_refusing_them(cloud, caller, faults):
    faults({"service": "s3", "operation": "PutObject", "delay": 30})
    cloud.client("lambda").update_function_configuration(FunctionName=NAME, Timeout=1)
    try:
        told = cloud.client("lambda").invoke(
            FunctionName=NAME,
            Payload=json.dumps(
                {"service": "s3", "call": "put_object", "arguments": {"Bucket": NAME, "Key": "slow", "Body": "x"}}
            ),
        )
        assert "timed out" in told["Payload"].read().decode()
        assert not stored(cloud, "slow")
    finally:
        cloud.client("lambda").update_function_configuration(FunctionName=NAME, Timeout=10)
    faults({"service": "s3", "operation": "PutObject", "delay": 0.1})
    assert put_object(caller, "slow") == (200, "")


def test_any_assumed_role_is_hit(cloud, caller, faults):
    role = f"arn:aws:iam::000000000000:role/{NAME}"
    key = cloud.client("sts").assume_role(RoleArn=role, RoleSessionName="poller")["Credentials"]
    queue = boto3.client(
        "sqs",
        endpoint_url=cloud.endpoint,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
        config=ONCE,
    )
    faults({"service": "sqs", "operation": "SendMessage", "answer": 500})
    url = queue.get_queue_url(QueueName=NAME)["QueueUrl"]
    with pytest.raises(ClientError, match="InternalFailure"):
        queue.send_message(QueueUrl=url, MessageBody="x")
    cloud.client("sqs").send_message(QueueUrl=url, MessageBody="x")


def test_faults_that_make_no_sense_change_nothing(cloud, faults):
    faults({"service": "s3", "answer": 503})
    assert "Rule 1: rate is 2: give a number from 0 to 1" in cloud.run(
        "faults", '[{"service": "s3", "answer": 503, "rate": 2}]', code=1
    )
    assert "not JSON" in cloud.run("faults", "on", code=1)
    assert [rule["service"] for rule in json.loads(cloud.run("faults"))["rules"]] == ["s3"]


def test_a_reset_ends_them_and_a_cloud_that_is_down_takes_none(tmp_path):
    cloud = LocalCloud(home=tmp_path)
    assert "not running" in cloud.run("faults", code=1)
    try:
        cloud.run("start")
        cloud.run("faults", '[{"service": "s3", "answer": 503}]')
        cloud.reset()
        assert json.loads(cloud.run("faults"))["rules"] == []
        assert refused(cloud.client("s3").head_bucket, Bucket="none")["status"] == 404
    finally:
        cloud.end()
