"""SNS's requests and answers, with botocore's serializer and parser as oracles."""

from __future__ import annotations

from urllib.parse import parse_qs, quote_plus
from xml.sax.saxutils import escape

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.transport import Message, Order, sns
from stream_processor.transport.answers import BadAnswer, error_told
from stream_processor.transport.endpoints import sns_endpoint
from stream_processor.transport.forms import form_encode

TOPIC = "arn:aws:sns:us-east-1:123456789012:changes"
ENDPOINT = sns_endpoint({}, "us-east-1")
MODEL = botocore.session.Session().get_service_model("sns")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SOME_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
MESSAGES = st.builds(
    Message,
    SOME_TEXTS,
    TEXTS,
    st.dictionaries(SOME_TEXTS, SOME_TEXTS, max_size=3),
    st.none() | st.builds(Order, SOME_TEXTS, SOME_TEXTS),
)


def as_boto3(message):
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()}
    asked = {"Message": message.text, "MessageAttributes": attributes}
    if message.subject:
        asked["Subject"] = message.subject
    if message.order:
        asked.update(MessageGroupId=message.order.group, MessageDeduplicationId=message.order.deduplication_id)
    return asked


def botocore_s_body(operation, asked):
    serialized = create_serializer("query").serialize_to_request(asked, MODEL.operation_model(operation))
    return {name: [value] for name, value in serialized["body"].items()}


def parsed(request):
    return parse_qs(request.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


@given(MESSAGES)
def test_a_publish_says_what_botocore_s_says(message):
    expected = botocore_s_body("Publish", {"TopicArn": TOPIC, **as_boto3(message)})
    assert parsed(sns.publish(ENDPOINT, TOPIC, message)) == expected


@given(st.lists(MESSAGES, min_size=1, max_size=10))
def test_a_batch_says_what_botocore_s_says(messages):
    entries = [{"Id": str(position), **as_boto3(message)} for position, message in enumerate(messages)]
    expected = botocore_s_body("PublishBatch", {"TopicArn": TOPIC, "PublishBatchRequestEntries": entries})
    assert parsed(sns.publish_batch(ENDPOINT, TOPIC, messages)) == expected


@given(TEXTS | st.text(st.characters(max_codepoint=0x17F)))
def test_text_is_encoded_as_urllib_encodes_it(text):
    assert form_encode(text).decode("ascii") == quote_plus(text)


def test_every_single_character_of_latin_1_is_encoded_as_urllib_encodes_it():
    for char in map(chr, range(256)):
        assert form_encode(char).decode("ascii") == quote_plus(char)


CODES = st.sampled_from(["InternalError", "InvalidParameter", "KMSThrottling"])
# What XML 1.0 cannot hold AWS does not send.
_XML_TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="￾￿"))


@given(st.lists(st.none() | st.tuples(CODES, st.booleans(), _XML_TEXTS), min_size=1, max_size=10), st.randoms())
def test_a_batch_s_answer_is_read_as_botocore_reads_it(outcomes, order):
    good, bad = [], []
    for position, outcome in enumerate(outcomes):
        members = {"Id": str(position), "MessageId": "m"}
        if outcome:
            code, fault, text = outcome
            members = {"Id": str(position), "Code": code, "SenderFault": str(fault).lower(), "Message": text}
        shuffled = order.sample(sorted(members), len(members))
        inner = "".join(f"<{name}>{escape(members[name])}</{name}>\n" for name in shuffled)
        (bad if outcome else good).append(f"<member>{inner}</member>")
    order.shuffle(bad)
    order.shuffle(good)
    body = (
        '<?xml version="1.0"?>\n<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">\n'
        f" <PublishBatchResult><Failed>{''.join(bad)}</Failed>\n<Successful>{''.join(good)}</Successful>"
        "</PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
    ).encode()
    response = {"status_code": 200, "headers": {}, "body": body}
    known = create_parser("query").parse(response, MODEL.operation_model("PublishBatch").output_shape)
    expected = {entry["Id"]: None for entry in known.get("Successful", [])}
    for entry in known.get("Failed", []):
        expected[entry["Id"]] = (entry["Code"], entry["SenderFault"], entry.get("Message", "").strip())
    assert dict(enumerate(sns.read_batch(body, len(outcomes)))) == {int(key): value for key, value in expected.items()}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"<PublishBatchResponse></PublishBatchResponse>",
        b"<PublishBatchResponse><PublishBatchResult/></PublishBatchResponse>",
        b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
        b"\xff\xfe\x00",
        b"<?xml version='1.0' encoding='none-such'?><x/>",
    ],
)
def test_an_answer_of_another_shape_is_refused(body):
    with pytest.raises(BadAnswer):
        sns.read_batch(body, 1)
    with pytest.raises(BadAnswer):
        sns.read_published(body)


@given(st.binary())
def test_whatever_comes_is_an_answer_or_refused(body):
    assert error_told(503, body) == ("503", "")
    with pytest.raises(BadAnswer):
        sns.read_batch(body, 1)


def test_an_error_s_code_is_found_in_either_service_s_shape():
    assert error_told(404, b"<Error><Code>NoSuchKey</Code></Error>") == ("NoSuchKey", "")
    body = b"<ErrorResponse><Error><Code>NotFound</Code><Message>No topic</Message></Error></ErrorResponse>"
    assert error_told(404, body) == ("NotFound", "No topic")
    assert error_told(404, b"<Error><Code/></Error>") == ("404", "")
    assert error_told(404, b"<ErrorResponse/>") == ("404", "")
