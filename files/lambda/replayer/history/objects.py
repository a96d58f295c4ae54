# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and contents of the audit log's objects, in both layouts. Pure.

A reader need not be told which layout there is: the names tell, and a log may hold both. An error names the object and
what is wrong with it, never its content, since that is item data.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .dynamodb_json import item_hash

PER_CHANGE = "per_change"
PER_BATCH = "per_batch"

#: What a batch object may unpack to at most. Lambda hands a function 6 MB of records.
UNPACKED_MAX_BYTES = 64 * 1024 * 1024

_NAMES = {
    PER_CHANGE: re.compile(r"(?P<first>[0-9]{40})-(?P<hash>[0-9a-f]{16})\.json"),
    PER_BATCH: re.compile(r"(?P<first>[0-9]{40})-(?P<last>[0-9]{40})-(?P<hash>[0-9a-f]{16})\.ndjson\.gz"),
}
_SEQUENCE_NUMBER = re.compile(r"[0-9]{1,40}")
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
#: zlib's way to say: a gzip header and trailer. https://docs.python.org/3/library/zlib.html#zlib.decompress
_GZIP = 16 + zlib.MAX_WBITS


class DamagedObject(ValueError):
    """An audit object that cannot be read: its name, and why."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"the audit object {key} is damaged: {reason}")
        self.key, self.reason = key, reason


@dataclass(frozen=True)
class ObjectName:
    """What an audit object's name tells."""

    layout: str
    #: The lowest and the highest sequence number in it. They are of one shard, so they can be compared.
    first: int
    last: int
    #: Of the item (per_change) or of the batch (per_batch).
    hash: str

    def covers(self, number: int) -> bool:
        """Whether the change of this sequence number can be in it."""
        return self.first <= number <= self.last


@functools.lru_cache(maxsize=1024)  # asked again and again on an object's way
def read_name(key: str) -> ObjectName | None:
    """What the object's name tells; None when it is no audit object's."""
    for layout, form in _NAMES.items():
        if found := form.fullmatch(key.rpartition("/")[2]):
            first = int(found["first"])
            last = int(found["last"]) if layout == PER_BATCH else first
            return ObjectName(layout, first, last, found["hash"]) if first <= last else None
    return None


def read_envelopes(key: str, body: bytes) -> list[dict[str, Any]]:
    """The envelopes in an audit object, in its order; DamagedObject when it does not hold what its name says."""
    lines = read_lines(key, body)
    alone = read_name(key).layout == PER_CHANGE
    return [_json_object(key, line, "it" if alone else f"line {number}") for number, line in enumerate(lines, 1)]


def read_lines(key: str, body: bytes) -> list[bytes]:
    """The same as they are written, a change each."""
    name = read_name(key)
    if name is None:
        raise DamagedObject(key, "its name is not one of an audit object")
    if name.layout == PER_CHANGE:
        return [body]
    text = _unpacked(key, body)
    if not text.endswith(b"\n"):
        raise DamagedObject(key, "its last line has no end")
    return text[:-1].split(b"\n")


def name_faults(key: str, envelopes: Sequence[dict[str, Any]], prefix: str) -> list[str]:
    """What is wrong with an audit object's name, once its envelopes are read.

    Nothing where an envelope lacks what the name follows from: that is a fault of the envelope.
    """
    name = read_name(key)
    if name is not None and name.layout == PER_BATCH:
        wanted = per_batch_key(envelopes, prefix)
        # Up to the hour; what is no timestamp is told by None.
        if len({change_time(each) and each["timestamp"][:13] for each in envelopes}) > 1:
            return ["the object holds changes of more than one hour"]
    else:
        wanted = per_change_key(envelopes[0], prefix)
    return [] if wanted in (key, None) else ["the object's name does not follow from what it holds"]


def per_change_key(envelope: dict[str, Any], prefix: str) -> str | None:
    """The name of the object that holds this one change; None when the envelope cannot tell."""
    number, moment = sequence_number(envelope), change_time(envelope)
    if number is None or moment is None or not isinstance(envelope.get("keys"), dict):
        return None
    return per_change_name(hour_prefix(prefix, moment), number, item_hash(envelope["keys"]))


def per_change_name(hour: str, number: int, hash_of_item: str) -> str:
    """The same, from the hour's folder, the sequence number and the item's hash."""
    return f"{hour}{number:040d}-{hash_of_item}.json"


def per_batch_key(envelopes: Sequence[dict[str, Any]], prefix: str) -> str | None:
    """The name of the object that holds these changes of one hour, in this order; None when they cannot tell."""
    numbers = [sequence_number(each) for each in envelopes]
    moments = [change_time(each) for each in envelopes]
    event_ids = [each.get("eventID") for each in envelopes]
    if not envelopes or None in numbers or None in moments or not all(isinstance(each, str) for each in event_ids):
        return None
    digest = hashlib.sha256("\n".join(event_ids).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{hour_prefix(prefix, moments[0])}{min(numbers):040d}-{max(numbers):040d}-{digest}.ndjson.gz"


def sequence_number(envelope: dict[str, Any]) -> int | None:
    """The sequence number, or None when the envelope has none that is one."""
    number = envelope.get("sequenceNumber")
    return int(number) if isinstance(number, str) and _SEQUENCE_NUMBER.fullmatch(number) else None


def change_time(envelope: dict[str, Any]) -> datetime | None:
    """When the change was made, or None when the envelope's timestamp is none."""
    stamp = envelope.get("timestamp")
    return _moment(stamp) if isinstance(stamp, str) else None


@functools.lru_cache(maxsize=4096)  # the changes of an hour share its seconds
def _moment(stamp: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(stamp):
        return None
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        return None


def hour_prefix(prefix: str, moment: datetime) -> str:
    """The folder of the hour that the moment, in UTC, lies in."""
    return f"{prefix}{moment:%Y/%m/%d/%H}/"


def hours(start: datetime, end: datetime, prefix: str) -> list[str]:
    """The audit log's folders from one moment to another."""
    hour, found = start.replace(minute=0, second=0, microsecond=0), []
    while hour <= end:
        found.append(hour_prefix(prefix, hour))
        hour += timedelta(hours=1)
    return found


def by_event_id(envelopes: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Each change once, in the order of its first appearance: with per_batch it may be in two objects."""
    found: dict[Any, dict[str, Any]] = {}
    for envelope in envelopes:
        found.setdefault(envelope.get("eventID"), envelope)
    return found


def _unpacked(key: str, body: bytes) -> bytes:
    gunzip = zlib.decompressobj(_GZIP)
    try:
        text = gunzip.decompress(body, UNPACKED_MAX_BYTES + 1)
    except zlib.error as exc:
        raise DamagedObject(key, "it is no gzip data, or its checksum is wrong") from exc
    if len(text) > UNPACKED_MAX_BYTES:
        raise DamagedObject(key, f"it unpacks to more than {UNPACKED_MAX_BYTES} bytes")
    if not gunzip.eof:
        raise DamagedObject(key, "its gzip data ends too early")
    if gunzip.unused_data:
        raise DamagedObject(key, "something follows its gzip data")
    return text


def _json_object(key: str, body: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        # Outside of the except clause: the decoder's own error holds what it read.
        raise DamagedObject(key, f"{what} holds no JSON object")
    return value
