"""The benchmarks' stand-in for S3 and SNS, as boto3 sees it, and by hand where boto3 does not go."""

from __future__ import annotations

import socket
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.stub import Counters, Stub, unchunk

TOPIC = "arn:aws:sns:us-east-1:123456789012:changes"
FAST = {"s3_ms": 0, "sns_ms": 0}
SIGNED = b"Authorization: AWS4-HMAC-SHA256 stub\r\n"
LAST = b"Connection: close\r\n"


@pytest.fixture(scope="module")
def running():
    with Stub(**FAST) as stub:
        yield stub


@pytest.fixture
def stub(running):
    running.set(**FAST)
    running.reset()
    return running


def client(stub, service):
    return boto3.client(
        service,
        endpoint_url=stub.endpoint,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )


def put(stub, key="a/b.json", body=b"content", **more):
    return client(stub, "s3").put_object(Bucket="bucket", Key=key, Body=body, **more)


def by_hand(stub, data):
    """What the stub answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", stub.port), 10) as connection:
        connection.sendall(data)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_an_object_is_counted_with_its_size(stub):
    put(stub, body=b"x" * 100)
    counted = stub.counters()
    assert (counted.s3_calls, counted.s3_objects, counted.s3_bytes) == (1, 1, 100)


def test_a_second_object_of_a_name_is_refused_where_the_caller_asks_for_that(stub):
    put(stub, IfNoneMatch="*")
    with pytest.raises(ClientError) as refused:
        put(stub, IfNoneMatch="*")
    put(stub)
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    counted = stub.counters()
    assert (counted.s3_calls, counted.s3_objects, counted.s3_already_there) == (3, 2, 1)


def test_names_are_told_apart_by_case_and_escapes(stub):
    for key in ("a b", "A b", "a+b", "a%20b", "é"):
        put(stub, key, IfNoneMatch="*")
    assert stub.counters().s3_objects == 5


def test_a_checksum_behind_the_content_is_not_counted_as_content(stub):
    body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    for head in (b"Transfer-Encoding: chunked\r\n", b"Content-Length: %d\r\n" % len(body)):
        stub.reset()
        length = b"X-Amz-Decoded-Content-Length: 5\r\n"
        answer = by_hand(stub, b"PUT /bucket/key HTTP/1.1\r\n" + length + SIGNED + LAST + head + b"\r\n" + body)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert stub.counters().s3_bytes == 5


def test_a_message_is_counted(stub):
    answer = client(stub, "sns").publish(TopicArn=TOPIC, Message="m", Subject="s")
    assert answer["MessageId"]
    assert (stub.counters().sns_calls, stub.counters().sns_messages) == (1, 1)


def test_every_message_of_a_batch_is_answered_by_its_id(stub):
    # A message may look like a member of the batch.
    entries = [{"Id": f"e-{n}", "Message": "PublishBatchRequestEntries.member.1.Id=x&é"} for n in range(10)]
    answer = client(stub, "sns").publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == [each["Id"] for each in entries]
    assert len({each["MessageId"] for each in answer["Successful"]}) == 10
    assert (stub.counters().sns_calls, stub.counters().sns_messages) == (1, 10)


def test_answers_take_their_time(stub):
    stub.set(s3_ms=50, sns_ms=0)
    begin = time.monotonic()
    put(stub)
    assert time.monotonic() - begin >= 0.05


def test_refusals_come_at_their_rate_and_do_nothing(stub):
    stub.set(**FAST, s3_fail=1, sns_fail=1)
    with pytest.raises(ClientError, match="SlowDown"):
        put(stub)
    with pytest.raises(ClientError, match="Throttled"):
        client(stub, "sns").publish(TopicArn=TOPIC, Message="m")
    counted = stub.counters()
    assert (counted.failures, counted.s3_objects, counted.sns_messages) == (2, 0, 0)


def test_some_calls_fail_and_some_do_not(stub):
    stub.set(**FAST, s3_fail=0.5)
    for number in range(40):
        by_hand(stub, b"PUT /bucket/%d HTTP/1.1\r\n" % number + SIGNED + LAST + b"\r\n")
    counted = stub.counters()
    assert counted.failures + counted.s3_objects == 40
    assert 0 < counted.failures < 40


def test_a_lost_answer_leaves_the_work_done(stub):
    stub.set(**FAST, s3_lost=1)
    with pytest.raises(ConnectionClosedError):
        put(stub)
    assert stub.counters().s3_objects == 1


def test_an_entry_can_fail_alone(stub):
    stub.set(**FAST, sns_entry_fail=0.5)
    entries = [{"Id": str(n), "Message": "m"} for n in range(10)]
    answer = client(stub, "sns").publish_batch(TopicArn=TOPIC, PublishBatchRequestEntries=entries)
    assert len(answer["Successful"]) == stub.counters().sns_messages
    assert {each["Id"] for each in answer["Successful"] + answer["Failed"]} == {each["Id"] for each in entries}
    assert answer["Failed"]
    assert answer["Successful"]


def test_requests_sent_ahead_are_answered_in_their_order(stub):
    stub.set(s3_ms=5, sns_ms=0)
    one = b"PUT /bucket/key HTTP/1.1\r\nIf-None-Match: *\r\nContent-Length: 1\r\n" + SIGNED + b"\r\nx"
    answer = by_hand(stub, one + one + b"GET /_stub/counters HTTP/1.1\r\n" + LAST + b"\r\n")
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"412", b"200"]


def test_a_body_that_waits_for_leave_gets_it(stub):
    with socket.create_connection(("127.0.0.1", stub.port), 10) as connection:
        head = b"PUT /bucket/key HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n"
        connection.sendall(head + SIGNED + b"\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"x")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_request_without_signature_is_refused(stub):
    assert by_hand(stub, b"PUT /bucket/key HTTP/1.1\r\n" + LAST + b"\r\n").startswith(b"HTTP/1.1 403 ")
    assert stub.counters() == Counters(errors=1, connections=stub.counters().connections - 1)


def test_the_stub_ends_with_its_block():
    with Stub(**FAST) as stub:
        port = stub.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)


@given(st.lists(st.binary(min_size=1, max_size=20)), st.binary(max_size=5), st.integers(0, 200))
def test_a_body_in_chunks_is_read_whole_or_not_at_all(parts, behind, cut):
    sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    assert unchunk(sent + behind, 0) == (b"".join(parts), len(sent))
    if cut < len(sent):
        assert unchunk(sent[:cut], 0) is None
