# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes of the log in the forms in which they are sent again. Pure."""

from __future__ import annotations

import json
from typing import Any

from .changes import Change
from .dynamodb_json import canonical_json, in_request_form
from .items import Item
from .objects import change_time

#: What a message may have at most. SNS: https://docs.aws.amazon.com/general/latest/gr/sns.html
#: SQS takes 1 MiB (https://docs.aws.amazon.com/general/latest/gr/sqs-service.html), but not a queue whose own limit is
#: lower, as it was for all until 2025; so both are held to the same.
MESSAGE_MAX_BYTES = 256 * 1024
_DONE = {"INSERT": "created in", "MODIFY": "updated in", "REMOVE": "deleted from"}
_CLAIM_CHECKS = (("oldImage", "newImage"), ("oldImage", "newImage", "changedAttributes"))
#: For message attributes and the subject.
_ROOM = 1024


def stream_record(change: Change, marker: dict[str, str], notify: bool) -> dict[str, Any]:
    """The record as Lambda handed it to the function, marked as replayed.

    The pipeline's function announces it only with ``notify``, and names its object in the log where it is too large.
    """
    envelope = change.envelope
    told: dict[str, Any] = {
        "ApproximateCreationDateTime": int(change_time(envelope).timestamp()),
        "Keys": envelope["keys"],
        "SequenceNumber": envelope["sequenceNumber"],
        "SizeBytes": envelope.get("sizeBytes", 0),
        "StreamViewType": envelope.get("streamViewType"),
    }
    for name, there in (("NewImage", "newImage"), ("OldImage", "oldImage")):
        if there in envelope:
            told[name] = envelope[there]
    record = {
        "eventID": envelope["eventID"],
        "eventName": envelope["eventName"],
        "eventVersion": "1.1",
        "eventSource": envelope.get("eventSource", "aws:dynamodb"),
        "awsRegion": envelope.get("awsRegion"),
        "dynamodb": told,
        "eventSourceARN": envelope["eventSourceARN"],
        "replay": {**marker, "audit_key": change.source, **({"notify": True} if notify else {})},
    }
    if "userIdentity" in envelope:
        record["userIdentity"] = envelope["userIdentity"]
    return record


def marked(change: Change, marker: dict[str, Any]) -> dict[str, Any]:
    """The envelope, marked as replayed."""
    return {**change.envelope, "replay": marker}


def message(change: Change, marker: dict[str, Any], bucket: str) -> str:
    """What the change topic's subscribers get of a change; without its images where SNS leaves no room for them.

    Then it says where the whole envelope is, as the pipeline's own notifications do.
    """
    envelope = marked(change, marker)
    done = "expired from" if _is_expiry(envelope) else _DONE[change.event_name]
    sentence = f"Item {done} {envelope['table']}"
    text = canonical_json({"details": envelope, "message": sentence})
    for left_out in _CLAIM_CHECKS:
        if len(text.encode()) <= MESSAGE_MAX_BYTES - _ROOM:
            break
        details = {name: value for name, value in envelope.items() if name not in left_out}
        details["audit"] = {"bucket": bucket, "key": change.source}
        text = canonical_json({"details": details, "message": sentence})
    return text


def told(change: Change, digest: bytes) -> dict[str, Any]:
    """What a report says of a change, whose item's keys have this digest: no keys, no images."""
    return {
        "sequence_number": change.envelope["sequenceNumber"],
        "event_id": change.event_id,
        "event_name": change.event_name,
        "item": digest.hex()[:16],
        "audit_key": change.source,
    }


def _is_expiry(envelope: dict[str, Any]) -> bool:
    """Whether DynamoDB removed the item since its time to live was over."""
    who = envelope.get("userIdentity")
    if envelope["eventName"] != "REMOVE" or not isinstance(who, dict):
        return False
    kind, principal = who.get("type", who.get("Type")), who.get("principalId", who.get("PrincipalId"))
    return (kind, principal) == ("Service", "dynamodb.amazonaws.com")


def compact(value: Any) -> bytes:
    """JSON without white space."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def write_request(item: Item) -> dict[str, Any]:
    """The item's state as BatchWriteItem takes it."""
    return {"PutRequest": {"Item": in_request_form({"M": item.state})["M"]}}
