# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Digests, which announce a batch by counts and a range of sequence numbers, and what is wrong with one. Pure.

A digest does not name its changes. With lanes, the range of one may hold changes that are in another, so of those over
a change's sequence number one has to be right.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .._history.objects import change_time, sequence_number
from .envelope import unwrapped
from .items import EVENT_NAMES, Change, Stream

SCHEMA = "cloudcdc.digest/1"


@dataclass(frozen=True)
class Digest:
    """A digest of the function, as it came out of the queue."""

    told: dict[str, Any]
    #: The String message attributes by name.
    attributes: dict[str, str]
    #: None where the queue does not get it: with raw delivery.
    subject: str | None
    first: int
    last: int

    def covers(self, number: int | None) -> bool:
        return number is not None and self.first <= number <= self.last

    @property
    def bucket(self) -> Any:
        return self._audit.get("bucket")

    @property
    def keys(self) -> list[str]:
        """The audit objects that it names."""
        return _texts(self._audit.get("keys"))

    @property
    def prefixes(self) -> list[str]:
        """The folders of the audit log that it names."""
        return _texts(self._audit.get("prefixes"))

    @property
    def _audit(self) -> dict[str, Any]:
        audit = self.told.get("audit")
        return audit if isinstance(audit, dict) else {}


def read_digest(sqs_message: dict[str, Any], stream_arn: str) -> Digest | None:
    """The digest in a message of a queue; None when it is no such thing, or one of another stream."""
    told, attributes, subject = unwrapped(sqs_message)
    if not told or told.get("schema") != SCHEMA or told.get("eventSourceARN") != stream_arn:
        return None
    ends = [sequence_number({"sequenceNumber": told.get(f"{end}SequenceNumber")}) for end in ("first", "last")]
    return None if None in ends else Digest(told, attributes, subject, *ends)


def digest_faults(
    digest: Digest, change: Change, envelope: dict[str, Any], keys: Collection[str], stream: Stream, bucket: str
) -> list[str]:
    """Every field of a digest over a change that cannot be so; the change by its envelope and its audit objects."""
    told, counts = digest.told, digest.told.get("counts")
    whole = _counts_hold(counts)
    total = sum(counts.values()) if whole else 0
    holds = {
        "table": told.get("table") == stream.table_name,
        "counts": whole and counts.get(change.event_name, 0) >= 1 and total <= digest.last - digest.first + 1,
        "range": digest.first <= digest.last and (digest.first == digest.last) == (total == 1),
        "expired": whole and _is_count(told.get("expired")) and told["expired"] <= counts.get("REMOVE", 0),
        "firstTimestamp and lastTimestamp": _times_hold(told, envelope),
        "audit.bucket": digest.bucket == bucket,
        "audit": any(key in digest.keys or _folder(key) in digest.prefixes for key in keys),
        "the message attributes": digest.attributes == {"schema": SCHEMA, "table": stream.table_name},
        "the subject": digest.subject in (None, "DynamoDB Activity: digest"),
    }
    return [f"{name} of the digest cannot be over this change" for name, well in holds.items() if not well]


def _counts_hold(counts: Any) -> bool:
    if not isinstance(counts, dict) or not counts:
        return False
    return all(name in EVENT_NAMES and _is_count(count) and count >= 1 for name, count in counts.items())


def _times_hold(told: dict[str, Any], envelope: dict[str, Any]) -> bool:
    moments = [change_time({"timestamp": told.get(f"{end}Timestamp")}) for end in ("first", "last")]
    moment = change_time(envelope)
    return None not in (moment, *moments) and moments[0] <= moment <= moments[1]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _folder(key: str) -> str:
    return f"{key.rpartition('/')[0]}/"


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
