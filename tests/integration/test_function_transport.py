"""The function's own client against a cloud that checks signatures and rights."""

from __future__ import annotations

import json
import time

import pytest
from cloud_driver import REGION, LocalCloud
from stream_processor.transport import AwsTransport, Message, TransportError

pytestmark = pytest.mark.cloud

BUCKET = "function-transport"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:function-transport"
#: What the function's role has.
RIGHTS = {"s3:PutObject": f"arn:aws:s3:::{BUCKET}/*", "sns:Publish": TOPIC}


@pytest.fixture(scope="module")
def keys(cloud: LocalCloud) -> dict[str, str]:
    """Access keys of a user with the function's rights: MiniStack checks the signatures of users."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    cloud.client("sns").create_topic(Name=BUCKET)
    iam = cloud.client("iam")
    iam.create_user(UserName=BUCKET)
    statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in RIGHTS.items()]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=BUCKET, PolicyName="rights", PolicyDocument=document)
    key = iam.create_access_key(UserName=BUCKET)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def transport(cloud: LocalCloud, keys: dict[str, str], **others: str) -> AwsTransport:
    return AwsTransport({"AWS_ENDPOINT_URL": cloud.endpoint, "AWS_REGION": REGION, **keys, **others})


def soon() -> float:
    return time.monotonic() + 20


def put(client: AwsTransport, key: str, body: bytes = b"{}") -> bool:
    return client.put_object_if_absent(BUCKET, key, body, "application/json", soon())


@pytest.mark.parametrize("key", ["audit-logs/2026/01/31/08/1-a.json", "awkward/=!*'() ü+~&%.json"])
def test_an_object_is_written_once(cloud, keys, key):
    client = transport(cloud, keys)
    assert put(client, key, "first ü".encode()) is True
    assert put(client, key, b"second") is False
    read = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)
    assert (read["Body"].read(), read["ContentType"]) == ("first ü".encode(), "application/json")


def test_messages_arrive_one_by_one_and_ten_at_a_time(cloud, keys):
    sqs, queue = cloud.client("sqs"), cloud.subscribed_queue(TOPIC, BUCKET)
    messages = [
        Message(json.dumps({"at": at, "text": 'ü 😀 & = + % "'}), f"Subject {at}", {"eventName": "INSERT"})
        for at in range(11)
    ]
    client = transport(cloud, keys)
    assert client.publish(TOPIC, messages[:1], soon()) == [None]
    assert client.publish(TOPIC, messages[1:], soon()) == [None] * 10
    received = {}
    deadline = soon()
    while len(received) < len(messages) and time.monotonic() < deadline:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        received |= {each["Body"]: each["MessageAttributes"] for each in answer.get("Messages", [])}
    assert sorted(received) == sorted(message.text for message in messages)
    assert all(each["eventName"]["StringValue"] == "INSERT" for each in received.values())


def test_a_wrong_secret_is_refused_by_its_signature(cloud, keys):
    forged = transport(cloud, keys, AWS_SECRET_ACCESS_KEY="guessed")
    with pytest.raises(TransportError) as refused:
        put(forged, "forged.json")
    assert (refused.value.error_type, refused.value.aws_code) == ("ClientError", "SignatureDoesNotMatch")
    (answer,) = forged.publish(TOPIC, [Message("m", "s", {})], soon())
    assert answer.aws_code == "SignatureDoesNotMatch"


def test_what_the_rights_do_not_cover_is_refused_with_awss_code(cloud, keys):
    client = transport(cloud, keys)
    cloud.client("s3").create_bucket(Bucket="another-bucket")
    with pytest.raises(TransportError) as refused:
        client.put_object_if_absent("another-bucket", "k", b"{}", "application/json", soon())
    assert refused.value.aws_code == "AccessDenied"
    answers = client.publish(f"{TOPIC}-other", [Message("m", "s", {})] * 2, soon())
    assert [answer.aws_code for answer in answers] == ["AuthorizationError"] * 2
