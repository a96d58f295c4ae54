"""The transport as a whole: which answers of AWS are success, which are tried again, which fail."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs

import pytest
from stream_processor.transport import AwsTransport, Message, Order, TransportError

from tests.unit.stream_processor.aws_server import (
    TOPIC,
    Aws,
    Reply,
    aws_server,
    batch_result,
    hang_up,
    published,
    s3_error,
    sns_error,
)

CONFLICT = s3_error(409, "ConditionalRequestConflict")
THERE_ALREADY = s3_error(412, "PreconditionFailed")
MESSAGE = Message("text", "subject", {"table": "Items"})
THREE = [Message(f"text {number}", "subject", {}) for number in range(3)]


@pytest.fixture
def aws():
    with aws_server() as server:
        yield Aws(server)
        assert not server.script, "answers that nobody asked for"


def sent(request):
    return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}


def entries(request):
    return [value for name, value in sent(request).items() if name.endswith(".Message")]


def codes(results):
    return [result and (result.error_type, result.aws_code) for result in results]


def test_an_object_is_written_only_where_there_is_none(aws):
    assert aws.put("folder/a b.json", b'{"a":1}') is True
    (request,) = aws.server.requests
    assert (request.method, request.path, request.body) == ("PUT", "/audit-bucket/folder/a%20b.json", b'{"a":1}')
    assert request.headers["if-none-match"] == "*"
    assert request.headers["content-type"] == "application/json"


def test_an_object_has_the_checksum_that_object_lock_asks_for(aws):
    aws.put(body=b"body")
    digest = hashlib.sha256(b"body")
    (request,) = aws.server.requests
    assert base64.b64decode(request.headers["x-amz-checksum-sha256"]) == digest.digest()
    assert request.headers["x-amz-content-sha256"] == digest.hexdigest()


def test_an_object_larger_than_one_send_arrives_whole(aws):
    body = bytes(range(256)) * 4096
    assert aws.put(body=body) is True
    assert aws.server.requests[0].body == body


def test_an_object_that_is_there_already_is_success(aws):
    aws.server.replies(THERE_ALREADY)
    assert aws.put() is False
    assert aws.pauses == []


def test_a_conflict_is_tried_again(aws):
    aws.server.replies(CONFLICT, CONFLICT)
    assert aws.put() is True
    assert aws.pauses == [0.05, 0.1]


def test_a_conflict_that_ends_in_the_other_s_success_is_success(aws):
    aws.server.replies(CONFLICT, THERE_ALREADY)
    assert aws.put() is False


def test_a_conflict_that_stays_fails(aws):
    aws.server.replies(*[CONFLICT] * 5)
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert failed.value.aws_code == "ConditionalRequestConflict"
    assert len(aws.pauses) == 4


@pytest.mark.parametrize(
    "passing",
    [
        s3_error(503, "SlowDown"),
        s3_error(500, "InternalError"),
        s3_error(400, "RequestTimeout"),
        s3_error(400, "ThrottlingException"),
        Reply(429),
        Reply(502, b"<html>Bad Gateway<br></html>"),
        hang_up,
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le", then_close=True),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", then_close=True),
        Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ],
)
def test_what_passes_by_itself_is_tried_again(aws, passing):
    aws.server.replies(passing)
    assert aws.put() is True
    assert len(aws.pauses) == 1
    first, second = aws.server.requests
    assert (first.path, first.body) == (second.path, second.body)


def test_a_write_whose_answer_was_lost_is_found_there_and_is_success(aws):
    aws.server.replies(hang_up, THERE_ALREADY)
    assert aws.put() is False


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (301, "PermanentRedirect")])
def test_a_refused_write_fails_at_once_with_aws_s_code_and_keeps_its_words_apart(aws, status, code):
    aws.server.replies(s3_error(status, code))
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("ClientError", code)
    assert "customer" not in str(failed.value)
    assert "customer" in failed.value.aws_message
    assert failed.value.__cause__ is None
    assert aws.pauses == []


def test_a_throttled_write_fails_with_aws_s_code_in_the_end(aws):
    aws.server.replies(*[s3_error(503, "SlowDown")] * 5)
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("ClientError", "SlowDown")
    assert failed.value.__suppress_context__


def test_an_error_without_a_body_has_its_status_for_a_code(aws):
    aws.server.replies(Reply(403))
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("ClientError", "403")


def test_an_error_in_chunks_is_read(aws):
    code = b"<Error><Code>AccessDenied</Code></Error>"
    raw = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(code), code)
    aws.server.replies(Reply(raw=raw))
    with pytest.raises(TransportError, match="AccessDenied"):
        aws.put()
    assert aws.put() is True
    assert aws.server.connections == 1


def test_an_answer_that_is_no_http_fails_by_its_type(aws):
    aws.server.replies(*[Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n")] * 5)
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("InvalidResponse", "")


def test_a_server_that_is_not_there_fails_by_its_type(aws):
    with aws_server() as gone:
        aws.env["AWS_ENDPOINT_URL"] = gone.url
    with pytest.raises(TransportError) as failed:
        aws.put()
    assert (failed.value.error_type, failed.value.aws_code) == ("ConnectionError", "")
    assert len(aws.pauses) == 4


def test_a_message_is_published_with_its_string_attributes(aws):
    aws.server.replies(published())
    assert aws.publish(MESSAGE) == [None]
    (request,) = aws.server.requests
    assert (request.method, request.path) == ("POST", "/")
    assert sent(request) == {
        "Action": "Publish",
        "Version": "2010-03-31",
        "TopicArn": TOPIC,
        "Message": "text",
        "Subject": "subject",
        "MessageAttributes.entry.1.Name": "table",
        "MessageAttributes.entry.1.Value.DataType": "String",
        "MessageAttributes.entry.1.Value.StringValue": "Items",
    }


def test_a_message_to_a_fifo_topic_names_its_group_and_what_it_is_known_by(aws):
    aws.server.replies(published())
    aws.publish(Message("text", "", {}, Order("3f2a90c1d45be867", "event-7")), topic=f"{TOPIC}.fifo")
    request = sent(aws.server.requests[0])
    assert (request["MessageGroupId"], request["MessageDeduplicationId"]) == ("3f2a90c1d45be867", "event-7")
    assert "Subject" not in request


def test_a_refused_message_fails_with_aws_s_code_and_keeps_its_words_apart(aws):
    aws.server.replies(sns_error(400, "KMSAccessDenied"))
    (error,) = aws.publish(MESSAGE)
    assert (error.error_type, error.aws_code) == ("ClientError", "KMSAccessDenied")
    assert "customer" not in str(error)
    assert "customer" in error.aws_message


def test_a_throttle_of_the_topic_s_key_is_tried_again(aws):
    aws.server.replies(sns_error(400, "KMSThrottling"), published())
    assert aws.publish(MESSAGE) == [None]
    assert aws.pauses == [0.5]


def test_a_message_whose_answer_is_not_from_sns_is_sent_again(aws):
    aws.server.replies(Reply(body=b"<html>Welcome to our Wi-Fi</html>"), published())
    assert aws.publish(MESSAGE) == [None]


def test_messages_go_in_one_call(aws):
    aws.server.replies(batch_result([2, 0, 1]))
    assert aws.publish(*THREE) == [None, None, None]
    (request,) = aws.server.requests
    assert sent(request)["Action"] == "PublishBatch"
    assert entries(request) == ["text 0", "text 1", "text 2"]


def test_only_entries_that_may_pass_are_sent_again(aws):
    aws.server.replies(batch_result([0], [(1, "InvalidParameter", True), (2, "InternalError", False)]), published())
    assert codes(aws.publish(*THREE)) == [None, ("ClientError", "InvalidParameter"), None]
    assert sent(aws.server.requests[1])["Message"] == "text 2"


def test_entries_are_known_by_their_id_when_fewer_are_sent_again(aws):
    aws.server.replies(
        batch_result([1], [(2, "InternalError", False), (0, "KMSThrottling", True)]),
        batch_result([1], [(0, "InvalidParameter", True)]),
    )
    assert codes(aws.publish(*THREE)) == [("ClientError", "InvalidParameter"), None, None]
    assert entries(aws.server.requests[1]) == ["text 0", "text 2"]
    assert aws.pauses == [0.5]


def test_entries_that_fail_to_the_end_have_their_own_codes(aws):
    failing = batch_result([0], [(1, "InternalError", False), (2, "ServiceUnavailable", False)])
    still = batch_result([], [(0, "InternalError", False), (1, "ServiceUnavailable", False)])
    aws.server.replies(failing, *[still] * 4)
    assert codes(aws.publish(*THREE)) == [None, ("ClientError", "InternalError"), ("ClientError", "ServiceUnavailable")]


def test_a_throttled_batch_is_sent_again_as_a_whole(aws):
    aws.server.replies(sns_error(429, "Throttled"), batch_result([0, 1, 2]))
    assert aws.publish(*THREE) == [None, None, None]
    assert entries(aws.server.requests[1]) == ["text 0", "text 1", "text 2"]


def test_a_refused_batch_fails_all_its_messages_alike(aws):
    aws.server.replies(sns_error(403, "AuthorizationError"))
    first, second, third = aws.publish(*THREE)
    assert first is second is third
    assert (first.error_type, first.aws_code) == ("ClientError", "AuthorizationError")


def test_a_batch_refused_at_its_second_attempt_keeps_what_was_accepted_at_the_first(aws):
    aws.server.replies(
        batch_result([1], [(0, "InternalError", False), (2, "InternalError", False)]), sns_error(404, "NotFound")
    )
    assert codes(aws.publish(*THREE)) == [("ClientError", "NotFound"), None, ("ClientError", "NotFound")]


def test_an_entry_that_the_answer_leaves_out_is_sent_again(aws):
    aws.server.replies(batch_result([0, 2]), batch_result([0, 1, 2]))
    assert aws.publish(*THREE) == [None, None, None]


def test_nothing_is_sent_after_the_deadline(aws):
    with pytest.raises(TransportError, match="OutOfTime"):
        aws.put(seconds=0)
    assert codes(aws.publish(*THREE, seconds=-1)) == [("OutOfTime", "")] * 3
    assert aws.server.requests == []


def test_no_pause_is_made_that_the_deadline_would_cut(aws):
    aws.server.replies(s3_error(503, "SlowDown"), s3_error(503, "SlowDown"))
    with pytest.raises(TransportError, match="SlowDown"):
        aws.put(seconds=1.5)
    assert aws.pauses == [0.5]


def test_temporary_credentials_are_used_as_they_are_at_each_call(aws):
    aws.env["AWS_SESSION_TOKEN"] = "first"
    aws.put()
    aws.env.update(AWS_SESSION_TOKEN="second", AWS_ACCESS_KEY_ID="AKIDNEXT")
    aws.server.replies(published())
    aws.publish(MESSAGE)
    first, second = (request.headers for request in aws.server.requests)
    assert [each["x-amz-security-token"] for each in (first, second)] == ["first", "second"]
    assert "Credential=AKIDNEXT/" in second["authorization"]


def test_a_call_is_signed_for_the_region_of_its_service(aws):
    aws.server.replies(Reply(), published())
    aws.put()
    aws.publish(MESSAGE, topic=TOPIC.replace("us-east-1", "eu-west-1"))
    put, publish = (request.headers["authorization"] for request in aws.server.requests)
    assert "/us-east-1/s3/aws4_request" in put
    assert "/eu-west-1/sns/aws4_request" in publish


@pytest.mark.parametrize("missing", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_without_credentials_nothing_is_sent(aws, missing):
    del aws.env[missing]
    with pytest.raises(TransportError, match="NoCredentials"):
        aws.put()
    assert codes(aws.publish(MESSAGE)) == [("NoCredentials", "")]
    assert aws.server.requests == []


def test_without_a_region_nothing_is_written(aws):
    del aws.env["AWS_REGION"]
    with pytest.raises(TransportError, match="NoRegion"):
        aws.put()
    aws.env["AWS_DEFAULT_REGION"] = "eu-north-1"
    assert aws.put() is True


def test_an_endpoint_that_is_no_url_fails_by_its_type(aws):
    aws.env["AWS_ENDPOINT_URL"] = "localhost"
    with pytest.raises(TransportError, match="InvalidEndpoint"):
        aws.put()
    assert codes(aws.publish(*THREE)) == [("InvalidEndpoint", "")] * 3


def test_a_transport_is_made_without_a_look_at_anything():
    class Untouchable(dict):
        def get(self, *_unused):
            raise AssertionError("too early")

    AwsTransport(Untouchable())
