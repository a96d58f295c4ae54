# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with an audit object or a notification of a change. Pure.

A fault names fields and never holds their values, since faults are reported and values are item data.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .dynamodb_json import canonical_json, item_hash, same_attributes
from .items import PAD, STEP, Change, Stream

SCHEMA = "cloudcdc.change/1"

_SEQUENCE_NUMBER = re.compile(r"[0-9]{1,40}")
_OBJECT_NAME = re.compile(r"[0-9]{40}-([0-9a-f]{16})\.json")
#: How far the change's own time may be from the time of the run: clocks differ, and the stream has whole seconds.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: What a claim check may leave out.
_LEFT_OUT = frozenset({"oldImage", "newImage", "changedAttributes"})


@dataclass(frozen=True)
class Message:
    """A notification of the function, as it came out of the queue."""

    details: dict[str, Any]
    text: Any
    #: The String message attributes by name.
    attributes: dict[str, str]

    @property
    def audit(self) -> dict[str, Any] | None:
        """Where the audit object is, when the message is a claim check."""
        audit = self.details.get("audit")
        return audit if isinstance(audit, dict) else None

    @property
    def envelope(self) -> dict[str, Any]:
        return {name: value for name, value in self.details.items() if name != "audit"}


def read_message(sqs_message: dict[str, Any]) -> Message | None:
    """The notification in a message of a queue, raw or in SNS's own envelope; None when it is no such thing."""
    body = _json_object(sqs_message.get("Body"))
    attributes = _texts(sqs_message.get("MessageAttributes"), "StringValue")
    if body and body.get("Type") == "Notification" and isinstance(body.get("Message"), str):
        attributes = _texts(body.get("MessageAttributes"), "Value")
        body = _json_object(body["Message"])
    if not body or not isinstance(body.get("details"), dict):
        return None
    return Message(body["details"], body.get("message"), attributes)


def _texts(attributes: Any, member: str) -> dict[str, str]:
    """Message attributes by name. Others publish to the topic too, in shapes of their own."""
    pairs = attributes.items() if isinstance(attributes, dict) else ()
    return {name: each[member] for name, each in pairs if isinstance(each, dict) and member in each}


def _json_object(text: Any) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_envelope(body: bytes) -> dict[str, Any] | None:
    """The envelope in an audit object; None when it holds no JSON object."""
    try:
        return _json_object(body.decode("utf-8"))
    except UnicodeDecodeError:
        return None


def change_of(envelope: dict[str, Any]) -> tuple[str, Any]:
    """What tells whose change an envelope is: the item's identity and the event's name."""
    return canonical_json(envelope.get("keys")), envelope.get("eventName")


def sequence_number(envelope: dict[str, Any]) -> int | None:
    """The sequence number, or None when the envelope has none that is one."""
    number = envelope.get("sequenceNumber")
    return int(number) if isinstance(number, str) and _SEQUENCE_NUMBER.fullmatch(number) else None


def change_time(envelope: dict[str, Any]) -> datetime | None:
    """When the change was made, or None when the envelope's timestamp is none."""
    try:
        return datetime.strptime(envelope.get("timestamp"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except (TypeError, ValueError):
        return None


def audit_key(envelope: dict[str, Any], prefix: str) -> str | None:
    """The name that the audit object of this change must have; None when the envelope cannot tell."""
    number, moment = sequence_number(envelope), change_time(envelope)
    if number is None or moment is None or not isinstance(envelope.get("keys"), dict):
        return None
    return f"{hour_prefix(prefix, moment)}{number:040d}-{item_hash(envelope['keys'])}.json"


def hour_prefix(prefix: str, moment: datetime) -> str:
    return f"{prefix}{moment:%Y/%m/%d/%H}/"


def hash_in_name(key: str) -> str | None:
    """The item hash in an audit object's name; None when it is no such name."""
    found = _OBJECT_NAME.fullmatch(key.rpartition("/")[2])
    return found[1] if found else None


def envelope_faults(
    envelope: dict[str, Any], change: Change, stream: Stream, start: datetime, now: datetime, claim_check: bool = False
) -> list[str]:
    """Every field of the envelope that is not what this change must give. A claim check may lack the images."""
    size = envelope.get("sizeBytes")
    moment = change_time(envelope)
    holds = {
        "schema": envelope.get("schema") == SCHEMA,
        "eventID": _is_text(envelope.get("eventID")),
        "eventName": envelope.get("eventName") == change.event_name,
        "eventSource": envelope.get("eventSource") == "aws:dynamodb",
        "eventSourceARN": envelope.get("eventSourceARN") == stream.stream_arn,
        "awsRegion": envelope.get("awsRegion") == stream.region,
        "sequenceNumber": sequence_number(envelope) is not None,
        "sizeBytes": isinstance(size, int) and not isinstance(size, bool) and size >= 0,
        "streamViewType": envelope.get("streamViewType") == stream.view_type,
        "timestamp": moment is not None and start - CLOCK_TOLERANCE <= moment <= now + CLOCK_TOLERANCE,
        "table": envelope.get("table") == stream.table_name,
        "keys": same_attributes(envelope.get("keys"), change.item.keys),
        "oldImage": _image_holds(envelope, "oldImage", change.old_image, claim_check),
        "newImage": _image_holds(envelope, "newImage", change.new_image, claim_check),
        "changedAttributes": _changed_attributes_hold(envelope, change, claim_check),
    }
    return [f"{name} is not what the change gives" for name, well in holds.items() if not well]


def audit_faults(key: str, envelope: dict[str, Any], prefix: str) -> list[str]:
    """What is wrong with an audit object's name."""
    wanted = audit_key(envelope, prefix)
    return [] if wanted in (key, None) else ["the object's name does not follow from its envelope"]


def message_faults(message: Message, change: Change, stream: Stream, bucket: str) -> list[str]:
    """What is wrong with a notification apart from its envelope."""
    faults = []
    if not _is_text(message.text):
        faults.append("message is not a text")
    wanted = {"eventName": change.event_name, "table": stream.table_name}
    if any(message.attributes.get(name) != value for name, value in wanted.items()):
        faults.append("the message attributes are not eventName and table of the change")
    if change.over_limit and message.audit is None:
        faults.append("the images pass notification_max_bytes, and still it is no claim check")
    if message.audit is not None and message.audit.get("bucket") != bucket:
        faults.append("the claim check does not name the audit bucket")
    return faults


def difference(message: Message, audit: dict[str, Any]) -> list[str]:
    """The fields in which a notification differs from the audit object of its change."""
    left_out = _LEFT_OUT if message.audit is not None else frozenset()
    ours = message.envelope
    names = sorted(ours.keys() | audit.keys())
    differing = [name for name in names if ours.get(name) != audit.get(name)]
    return [
        f"{name} differs from the audit object" for name in differing if not (name in left_out and name not in ours)
    ]


def _image_holds(envelope: dict[str, Any], name: str, wanted: dict[str, Any] | None, claim_check: bool) -> bool:
    if name not in envelope:
        return wanted is None or claim_check
    return wanted is not None and same_attributes(envelope[name], wanted)


def _changed_attributes_hold(envelope: dict[str, Any], change: Change, claim_check: bool) -> bool:
    told = envelope.get("changedAttributes")
    if change.event_name != "MODIFY" or change.old_image is None or change.new_image is None:
        return told is None
    if told is None:
        return claim_check
    return told == sorted({STEP, PAD} & change.new_image.keys())


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
