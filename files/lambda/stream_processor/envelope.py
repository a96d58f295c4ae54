# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stream record as the envelope ``cloudcdc.change/1`` (docs/envelope.md, files/schema). Pure.

Nothing here looks at a clock, a retry or the rest of the batch: the envelope is a function of the record alone.
Errors name fields and never hold values, because they are logged.
"""

from __future__ import annotations

import functools
import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from .canonical import to_bytes

SCHEMA = "cloudcdc.change/1"

_EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")
_KEY_TYPES = ("S", "N", "B")
_SET_TYPES = ("SS", "NS", "BS")
_STREAM_ARN = re.compile(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/([^/:]+)/stream/.+")
_SEQUENCE_NUMBER = re.compile(r"[0-9]{1,40}")
_END = datetime(9999, 12, 31, tzinfo=UTC).timestamp()  # what a date can tell


class MalformedRecord(ValueError):
    """A record without what every DynamoDB stream record has."""

    tellable = True  # in the log: the text holds nothing of the record


def to_envelope(record: dict[str, Any]) -> dict[str, Any]:
    """The envelope of one stream record; MalformedRecord when the record cannot be one."""
    change = _required(record, "dynamodb", dict)
    arn = _required(record, "eventSourceARN", str)
    envelope = {
        "schema": SCHEMA,
        "eventID": _required(record, "eventID", str),
        "eventName": _event_name(record),
        "eventSource": _required(record, "eventSource", str),
        "eventSourceARN": arn,
        "awsRegion": _required(record, "awsRegion", str),
        "sequenceNumber": sequence_number(record),
        "sizeBytes": _required(change, "SizeBytes", int, "dynamodb."),
        "streamViewType": _required(change, "StreamViewType", str, "dynamodb."),
        "timestamp": _iso(creation_seconds(record)),
        "table": _table(arn),
        "keys": _keys(change),
    }
    # What the record does not have, the envelope does not have either: absent, not null.
    optional = {
        "oldImage": _optional(change, "OldImage", "dynamodb."),
        "newImage": _optional(change, "NewImage", "dynamodb."),
        "userIdentity": _optional(record, "userIdentity"),
        "replay": _marker(record, "replay"),
        "redrive": _marker(record, "redrive"),
    }
    envelope.update({name: value for name, value in optional.items() if value is not None})
    if envelope["eventName"] == "MODIFY" and "oldImage" in envelope and "newImage" in envelope:
        envelope["changedAttributes"] = changed_attributes(envelope["oldImage"], envelope["newImage"])
    return envelope


def sequence_number(record: Any) -> str:
    """The record's sequence number as it came; MalformedRecord when there is none to report a failure by."""
    change = record.get("dynamodb") if isinstance(record, dict) else None
    number = change.get("SequenceNumber") if isinstance(change, dict) else None
    if not isinstance(number, str) or not _SEQUENCE_NUMBER.fullmatch(number):
        raise MalformedRecord("dynamodb.SequenceNumber is missing or not a string of 1 to 40 digits")
    return number


def creation_seconds(record: dict[str, Any]) -> int:
    """When the change was made, in seconds since 1970. The stream has whole seconds; a fraction is cut off."""
    change = _required(record, "dynamodb", dict)
    seconds = _required(change, "ApproximateCreationDateTime", (int, float), "dynamodb.")
    if not 0 <= seconds < _END:  # NaN is not either
        raise MalformedRecord("dynamodb.ApproximateCreationDateTime is not seconds since 1970")
    return int(seconds)


@functools.lru_cache(maxsize=256)  # the changes of a batch share a few seconds
def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def item_hash(keys: dict[str, Any]) -> str:
    """Names an item without showing its keys: 16 hex digits of the SHA-256 over the keys' canonical JSON.

    The keys go in as DynamoDB JSON (``{"UserId":{"S":"a"}}``), so names and types count as well as values.
    """
    return item_digest(keys)[:16]


def item_digest(keys: dict[str, Any]) -> str:
    """The whole of the SHA-256 that :func:`item_hash` begins."""
    return hashlib.sha256(to_bytes(keys)).hexdigest()


def changed_attributes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The sorted names of the attributes that are not the same in both images."""
    return sorted(name for name in old.keys() | new.keys() if not _same(old.get(name), new.get(name)))


def is_expiry(envelope: dict[str, Any]) -> bool:
    """Whether DynamoDB's time to live deleted the item, and not somebody."""
    # The Lambda event spells these names in lower case, GetRecords of some SDKs with a capital.
    identity = envelope.get("userIdentity", {})
    kind = identity.get("type", identity.get("Type"))
    principal = identity.get("principalId", identity.get("PrincipalId"))
    return envelope["eventName"] == "REMOVE" and (kind, principal) == ("Service", "dynamodb.amazonaws.com")


def _same(old: Any, new: Any) -> bool:
    # Almost every pair is settled by the first comparison; only sets need the second.
    return old == new or (old is not None and new is not None and _comparable(old) == _comparable(new))


def _comparable(value: dict[str, Any]) -> tuple[str, Any]:
    """An attribute value with its sets sorted: a DynamoDB set has no order, its JSON does."""
    ((kind, content),) = value.items()
    if kind in _SET_TYPES:
        return kind, sorted(content)
    if kind == "L":
        return kind, [_comparable(member) for member in content]
    if kind == "M":
        return kind, {name: _comparable(member) for name, member in content.items()}
    return kind, content


def _required(mapping: Any, name: str, kind: type | tuple[type, ...], path: str = "") -> Any:
    """A member that must be there, of its type, and not empty."""
    value = mapping.get(name) if isinstance(mapping, dict) else None
    if isinstance(value, kind) and value is not True and value is not False and (value or value == 0):
        return value
    raise MalformedRecord(f"{path}{name} is missing or not what a DynamoDB stream sends")


def _optional(mapping: dict[str, Any], name: str, path: str = "") -> dict[str, Any] | None:
    value = mapping.get(name)
    if value is not None and not isinstance(value, dict):
        raise MalformedRecord(f"{path}{name} is not an object")
    return value


def _marker(record: dict[str, Any], name: str) -> dict[str, str] | None:
    """Who brought the record again, and when; the tools that do so put it on the record."""
    marker = _optional(record, name)
    if marker is None:
        return None
    return {field: _required(marker, field, str, f"{name}.") for field in ("id", "time")}


def _event_name(record: dict[str, Any]) -> str:
    name = _required(record, "eventName", str)
    if name not in _EVENT_NAMES:
        raise MalformedRecord("eventName is not INSERT, MODIFY or REMOVE")
    return name


def _table(arn: str) -> str:
    found = _STREAM_ARN.fullmatch(arn)
    if not found:
        raise MalformedRecord("eventSourceARN is not the ARN of a DynamoDB stream")
    return found[1]


def _keys(change: dict[str, Any]) -> dict[str, Any]:
    keys = _required(change, "Keys", dict, "dynamodb.")
    for value in keys.values():
        kinds = list(value) if isinstance(value, dict) else []
        if len(kinds) != 1 or kinds[0] not in _KEY_TYPES or not isinstance(value[kinds[0]], str):
            raise MalformedRecord("dynamodb.Keys holds a value that is not one of S, N, B")
    return keys
