"""The boto3 transport: which answers of AWS are success, which are tried again, which fail."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from stream_processor.processor import RESERVE_MS
from stream_processor.transport import BotoTransport, Order, TransportError

TOPIC = "arn:aws:sns:us-east-1:123456789012:changes"
PUT = {"Bucket": "audit-bucket", "Key": "k.json", "Body": b"{}", "ContentType": "application/json"}
CONFLICT = {"service_error_code": "ConditionalRequestConflict", "http_status_code": 409}


@pytest.fixture(autouse=True)
def _aws_environment(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def stub():
    """A stub per service, the transport over them, and the pauses it made."""

    class Stub:
        def __init__(self):
            self.clients = {name: boto3.client(name) for name in ("s3", "sns")}
            self.s3, self.sns = (Stubber(client) for client in self.clients.values())
            self.made, self.pauses = [], []
            self.transport = BotoTransport(self._make, self.pauses.append)
            self.s3.activate()
            self.sns.activate()

        def _make(self, service):
            self.made.append(service)
            return self.clients[service]

        def put(self):
            return self.transport.put_object_if_absent("audit-bucket", "k.json", b"{}", "application/json")

    stub = Stub()
    yield stub
    stub.s3.assert_no_pending_responses()
    stub.sns.assert_no_pending_responses()


def test_an_object_is_written_only_where_there_is_none(stub):
    stub.s3.add_response("put_object", {}, {**PUT, "IfNoneMatch": "*"})
    assert stub.put() is True


def test_an_object_that_is_there_already_is_success(stub):
    stub.s3.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    assert stub.put() is False
    assert stub.pauses == []


def test_a_conflict_is_tried_again(stub):
    stub.s3.add_client_error("put_object", **CONFLICT)
    stub.s3.add_client_error("put_object", **CONFLICT)
    stub.s3.add_response("put_object", {}, {**PUT, "IfNoneMatch": "*"})
    assert stub.put() is True
    assert stub.pauses == [0.1, 0.2]


def test_a_conflict_that_ends_in_the_other_s_success_is_success(stub):
    stub.s3.add_client_error("put_object", **CONFLICT)
    stub.s3.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    assert stub.put() is False


def test_a_conflict_that_stays_fails(stub):
    for _unused in range(3):
        stub.s3.add_client_error("put_object", **CONFLICT)
    with pytest.raises(TransportError) as failed:
        stub.put()
    assert failed.value.aws_code == "ConditionalRequestConflict"
    assert len(stub.pauses) == 2


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SlowDown"])
def test_a_refused_write_fails_with_aws_s_code_and_without_its_words(stub, code):
    stub.s3.add_client_error("put_object", code, "k.json of customer 7", 403)
    with pytest.raises(TransportError) as failed:
        stub.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("ClientError", code)
    assert "customer" not in str(failed.value)
    assert failed.value.__suppress_context__


def test_a_message_is_published_with_its_string_attributes(stub):
    stub.sns.add_response(
        "publish",
        {"MessageId": "m"},
        {
            "TopicArn": TOPIC,
            "Message": "text",
            "Subject": "subject",
            "MessageAttributes": {"table": {"DataType": "String", "StringValue": "Items"}},
        },
    )
    stub.transport.publish(TOPIC, "text", "subject", {"table": "Items"}, None)


def test_a_message_to_a_fifo_topic_names_its_group_and_what_it_is_known_by(stub):
    ordered = {"MessageGroupId": "3f2a90c1d45be867", "MessageDeduplicationId": "event-7"}
    request = {"TopicArn": f"{TOPIC}.fifo", "Message": "text", "Subject": "subject", "MessageAttributes": {}}
    stub.sns.add_response("publish", {"MessageId": "m"}, {**request, **ordered})
    stub.transport.publish(f"{TOPIC}.fifo", "text", "subject", {}, Order("3f2a90c1d45be867", "event-7"))


def test_a_refused_message_fails_with_aws_s_code(stub):
    stub.sns.add_client_error("publish", "KMSAccessDenied", "customer 7", 400)
    with pytest.raises(TransportError, match="KMSAccessDenied"):
        stub.transport.publish(TOPIC, "text", "subject", {}, None)


def test_an_answer_that_never_comes_fails_by_its_type():
    class Deaf:
        def publish(self, **request):
            raise ReadTimeoutError(endpoint_url="http://sns.example")

    with pytest.raises(TransportError) as failed:
        BotoTransport(lambda service: Deaf()).publish(TOPIC, "text", "subject", {}, None)
    assert (failed.value.error_type, failed.value.aws_code) == ("ReadTimeoutError", "")


def test_clients_are_made_at_first_use_and_kept(stub):
    assert stub.made == []
    for _unused in range(2):
        stub.s3.add_response("put_object", {})
        stub.sns.add_response("publish", {"MessageId": "m"})
        stub.put()
        stub.transport.publish(TOPIC, "text", "subject", {}, None)
    assert stub.made == ["s3", "sns"]


def test_the_endpoint_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert BotoTransport()._s3.meta.endpoint_url == "http://127.0.0.1:9"


def test_both_calls_of_a_record_fit_the_reserve_and_twice_the_reserve_the_default_timeout():
    transport = BotoTransport()
    longest = 0
    for client in (transport._s3, transport._sns):
        config = client.meta.config
        assert config.retries["mode"] == "standard"
        attempts = config.retries["total_max_attempts"]
        # The standard mode's pauses are at most 1, 2, 4, … seconds.
        longest += attempts * (config.connect_timeout + config.read_timeout) + 2 ** (attempts - 1) - 1
    assert longest * 1000 <= RESERVE_MS <= 60000 / 2
