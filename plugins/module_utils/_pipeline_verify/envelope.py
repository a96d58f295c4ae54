# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong with the envelope of a change, or with its notification. Pure.

A fault names fields and never holds their values, since faults are reported and values are item data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._history.dynamodb_json import canonical_json, same_attributes
from .._history.objects import change_time, sequence_number
from .deciding import PARTS, Outcome
from .items import SCHEMA, Change, Stream

#: How far the change's own time may be from the time of the run: clocks differ, and the stream has whole seconds.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: What says who brought a change again. Of two deliveries of a change only one may have it.
_MARKS = ("redrive", "replay")


@dataclass(frozen=True)
class Message:
    """A notification of the function, as it came out of the queue."""

    details: dict[str, Any]
    text: Any
    #: The String message attributes by name.
    attributes: dict[str, str]
    #: None where the queue does not get it: with raw delivery.
    subject: str | None = None

    @property
    def audit(self) -> dict[str, Any] | None:
        """Where the audit object is, when the message is a claim check."""
        audit = self.details.get("audit")
        return audit if isinstance(audit, dict) else None

    @property
    def envelope(self) -> dict[str, Any]:
        return {name: value for name, value in self.details.items() if name != "audit"}


def read_message(sqs_message: dict[str, Any]) -> Message | None:
    """The notification of a change in a message of a queue; None when it is no such thing."""
    body, attributes, subject = unwrapped(sqs_message)
    if not body or not isinstance(body.get("details"), dict):
        return None
    return Message(body["details"], body.get("message"), attributes, subject)


def unwrapped(sqs_message: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str], str | None]:
    """JSON object, attributes and subject of a message, which came raw or in SNS's own envelope."""
    body = _json_object(sqs_message.get("Body"))
    attributes = _texts(sqs_message.get("MessageAttributes"), "StringValue")
    if body and body.get("Type") == "Notification" and isinstance(body.get("Message"), str):
        subject = body.get("Subject")
        attributes = _texts(body.get("MessageAttributes"), "Value")
        return _json_object(body["Message"]), attributes, subject if isinstance(subject, str) else None
    return body, attributes, None


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


def change_of(envelope: dict[str, Any]) -> tuple[str, Any]:
    """What tells whose change an envelope is: the item's identity and the event's name."""
    return canonical_json(envelope.get("keys")), envelope.get("eventName")


def envelope_faults(
    envelope: dict[str, Any],
    change: Change,
    parts: dict[str, Any],
    stream: Stream,
    start: datetime,
    now: datetime,
    claim_check: bool = False,
) -> list[str]:
    """Every field of the envelope that is not what this change must give; of a claim check the parts may be absent.

    ``parts`` are images and changed attributes as the rules leave them.
    """
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
        **{name: _part_holds(envelope, name, parts, claim_check) for name in PARTS},
    }
    return [f"{name} is not what the change gives" for name, well in holds.items() if not well]


def audited_faults(
    envelope: dict[str, Any], change: Change, stream: Stream, start: datetime, now: datetime
) -> list[str]:
    """What is wrong with an envelope in the audit log."""
    outcomes = [outcome for outcome in change.outcomes if outcome.audited]
    return fewest(envelope_faults(envelope, change, outcome.audit, stream, start, now) for outcome in outcomes)


def message_faults(message: Message, change: Change, outcome: Outcome, stream: Stream, bucket: str) -> list[str]:
    """What is wrong with a notification apart from its envelope."""
    faults = []
    if not _is_text(message.text):
        faults.append("message is not a text")
    if message.attributes != {**outcome.attributes, "eventName": change.event_name, "table": stream.table_name}:
        more = " with those of the rules" if outcome.attributes else ""
        faults.append(f"the message attributes are not eventName and table of the change{more}")
    if message.subject not in (None, outcome.subject or f"DynamoDB Activity: {change.event_name}"):
        faults.append("the subject is not the one of the change")
    if outcome.over_limit and message.audit is None:
        faults.append("the images pass notification_max_bytes, and still it is no claim check")
    if message.audit is not None and message.audit.get("bucket") != bucket:
        faults.append("the claim check does not name the audit bucket")
    return faults


def difference(message: Message, audit: dict[str, Any], redacted: Iterable[str] = ()) -> list[str]:
    """The fields in which a notification differs from the audited envelope of its change, those aside that may."""
    ours = message.envelope
    absent_well = [name for name in PARTS if message.audit is not None and name not in ours]
    return [f"{name} differs from the audit object" for name in _differing(ours, audit, {*absent_well, *redacted})]


def copies_faults(envelopes: Iterable[dict[str, Any]]) -> list[str]:
    """The fields in which audited envelopes of one change differ, who brought it again aside."""
    first, *others = envelopes
    names = dict.fromkeys(name for other in others for name in _differing(first, other, set(_MARKS)))
    return [f"{name} is not the same in its audit objects" for name in names]


def fewest(judgements: Iterable[list[str]]) -> list[str]:
    """The judgement with the fewest faults: what came is one of the ways in which it could come."""
    return min(judgements, key=len, default=[])


def redactions(outcome: Outcome) -> set[str]:
    """The parts that audit object and notification do not have in common by the rules."""
    return {name for name in PARTS if outcome.audit.get(name) != outcome.notification.get(name)}


def _differing(one: dict[str, Any], other: dict[str, Any], aside: set[str]) -> list[str]:
    names = sorted((one.keys() | other.keys()) - aside)
    return [name for name in names if one.get(name) != other.get(name)]


def _part_holds(envelope: dict[str, Any], name: str, parts: dict[str, Any], claim_check: bool) -> bool:
    if name not in envelope:
        return name not in parts or claim_check
    if name not in parts or name == "changedAttributes":
        return name in parts and envelope[name] == parts[name]
    return same_attributes(envelope[name], parts[name])


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
