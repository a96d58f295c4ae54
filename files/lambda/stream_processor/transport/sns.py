# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shapes of SNS's Publish and PublishBatch, in the AWS query protocol. Pure."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .answers import BadAnswer, Element, parse
from .endpoints import Endpoint
from .forms import form_encode
from .interface import Message
from .sigv4 import Request

_VERSION = b"2010-03-31"


class Refusal(NamedTuple):
    """Why one entry of a batch was not accepted."""

    code: str
    sender_fault: bool
    message: str = ""


def publish(endpoint: Endpoint, topic_arn: str, message: Message) -> Request:
    """The request that publishes one message."""
    return _request(endpoint, b"Publish", topic_arn, _parameters(message, b""))


def publish_batch(endpoint: Endpoint, topic_arn: str, messages: Sequence[Message]) -> Request:
    """The request that publishes up to 10 messages; an entry's Id is its message's position."""
    parameters: list[bytes] = []
    for position, message in enumerate(messages):
        entry = b"PublishBatchRequestEntries.member.%d." % (position + 1)
        parameters += (b"%sId=%d" % (entry, position), *_parameters(message, entry))
    return _request(endpoint, b"PublishBatch", topic_arn, parameters)


def read_published(body: bytes) -> list[Refusal | None]:
    """A single message's outcome: BadAnswer unless SNS accepted it, as a 200 could come from anything in between."""
    if parse(body).find("PublishResult", "MessageId") is None:
        raise BadAnswer("no MessageId")
    return [None]


def read_batch(body: bytes, count: int) -> list[Refusal | None]:
    """What became of each entry, in order; None where it was accepted. BadAnswer when one is not spoken of."""
    # A refusal has a code.
    if b"<Code>" not in body and body.count(b"</MessageId>") == count and b"</PublishBatchResult>" in body:
        return [None] * count  # all of them, as nearly always: no need to read the XML
    result = parse(body).find("PublishBatchResult")
    if result is None:
        raise BadAnswer("no PublishBatchResult")
    outcomes: dict[str, Refusal | None] = {}
    for entry in _members(result.find("Successful")):
        outcomes[entry.get("Id", "")] = None
    for entry in _members(result.find("Failed")):
        fault = entry.get("SenderFault", "").lower() == "true"
        outcomes[entry.get("Id", "")] = Refusal(entry.get("Code", ""), fault, entry.get("Message", ""))
    try:
        return [outcomes[str(position)] for position in range(count)]
    except KeyError:
        raise BadAnswer("an entry without an outcome") from None


_encode_often = functools.lru_cache(maxsize=256)(form_encode)  # subjects and attributes: the same few again and again


def _parameters(message: Message, prefix: bytes) -> Iterator[bytes]:
    yield b"%sMessage=%s" % (prefix, message.encoded)
    if message.subject:
        yield b"%sSubject=%s" % (prefix, _encode_often(message.subject))
    for number, (name, value) in enumerate(message.attributes.items(), start=1):
        entry = b"%sMessageAttributes.entry.%d." % (prefix, number)
        yield b"%sName=%s" % (entry, _encode_often(name))
        yield b"%sValue.DataType=String" % entry
        yield b"%sValue.StringValue=%s" % (entry, _encode_often(value))
    if message.order:
        yield b"%sMessageGroupId=%s" % (prefix, form_encode(message.order.group))
        yield b"%sMessageDeduplicationId=%s" % (prefix, form_encode(message.order.deduplication_id))


def _request(endpoint: Endpoint, action: bytes, topic_arn: str, parameters: Iterable[bytes]) -> Request:
    call = (b"Action=%s" % action, b"Version=%s" % _VERSION, b"TopicArn=%s" % form_encode(topic_arn))
    body = b"&".join([*call, *parameters])
    headers = {"host": endpoint.authority, "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return Request("POST", endpoint.base or "/", headers, body, hashlib.sha256(body).hexdigest())


def _members(listed: Element | None) -> list[dict[str, str]]:
    return [child.texts() for child in listed.children] if listed else []
