# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change as the audit log holds it, and its place among all others. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .objects import DamagedObject, change_time, sequence_number

SCHEMA = "cloudcdc.change/1"
EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")
#: What says who brought a change again: of two deliveries only one may have it.
MARKS = ("redrive", "replay")
_END = b"\x00"


@dataclass(frozen=True, slots=True)
class Change:
    """One change."""

    envelope: dict[str, Any]
    #: The same as it is written in the object.
    line: bytes
    #: The name of the object that it was read from.
    source: str
    #: Where it stands: bytes that sort as the changes of an hour follow each other. The stream first, by its label,
    #: which is the time it was made; then the sequence number as a number.
    place: bytes

    def one_line(self) -> bytes:
        """The same as one line of NDJSON; objects of one change may be written over several."""
        if b"\n" not in self.line:
            return self.line
        return json.dumps(self.envelope, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )

    @property
    def event_id(self) -> str:
        return self.envelope["eventID"]

    @property
    def event_name(self) -> str:
        return self.envelope["eventName"]

    @property
    def number(self) -> int:
        return int(self.envelope["sequenceNumber"])

    @property
    def stream_arn(self) -> str:
        return self.envelope["eventSourceARN"]

    @property
    def time(self) -> str:
        """When it was made: ISO 8601 in UTC, whole seconds, so that texts compare as moments do."""
        return self.envelope["timestamp"]

    @property
    def keys(self) -> dict[str, Any]:
        return self.envelope["keys"]

    @property
    def image(self) -> dict[str, Any] | None:
        """The item after the change; None when it is gone."""
        return None if self.event_name == "REMOVE" else self.envelope.get("newImage")


def read_change(line: bytes, source: str, what: str = "it") -> Change:
    """The change in a line of an audit object; DamagedObject when it is none."""
    try:
        envelope = _parsed(line)
    except (ValueError, RecursionError):
        envelope = None
    # Outside of the except clause: the decoder's own error holds what it read.
    if not isinstance(envelope, dict):
        raise DamagedObject(source, f"{what} holds no JSON object")
    if problem := _problem(envelope):
        raise DamagedObject(source, f"{what} holds no change: {problem}")
    return Change(envelope, line, source, place(envelope))


def trusted_change(line: bytes, source: str, at: bytes) -> Change:
    """The same, of a line that was read before."""
    return Change(_parsed(line), line, source, at)


def _parsed(line: bytes) -> Any:
    # Of bytes, json.loads would guess the encoding.
    return json.loads(line.decode("utf-8", "surrogatepass"))


def place(envelope: dict[str, Any]) -> bytes:
    """See Change.place."""
    label = envelope["eventSourceARN"].rpartition("/stream/")[2]
    number = envelope["sequenceNumber"].zfill(40)
    return _END.join(each.encode("utf-8", "surrogatepass") for each in (label, number, envelope["eventID"]))


def sequence_of(at: bytes) -> str:
    """The sequence number in a place, for a person."""
    return at.split(_END)[1].decode().lstrip("0") or "0"


def same_change(one: bytes, other: bytes) -> bool:
    """Whether two copies of a change hold the same, whoever brought it."""
    return one == other or _unmarked(one) == _unmarked(other)


def _unmarked(line: bytes) -> dict[str, Any]:
    return {name: value for name, value in json.loads(line).items() if name not in MARKS}


def iso(moment: datetime) -> str:
    """A moment in UTC as envelopes have it."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _problem(envelope: dict[str, Any]) -> str | None:
    if envelope.get("schema") != SCHEMA:
        return f"its schema is not {SCHEMA}"
    if envelope.get("eventName") not in EVENT_NAMES:
        return "its eventName is none"
    texts = ("eventID", "eventSourceARN", "table")
    for name in texts:
        if not isinstance(envelope.get(name), str) or not envelope[name]:
            return f"it has no {name}"
    if "/stream/" not in envelope["eventSourceARN"]:
        return "its eventSourceARN is not a stream's"
    if sequence_number(envelope) is None:
        return "it has no sequenceNumber"
    if change_time(envelope) is None:
        return "it has no timestamp"
    for name in ("keys", "oldImage", "newImage"):
        if not isinstance(envelope.get(name, {}), dict):
            return f"its {name} is no object"
    return None if envelope.get("keys") else "it has no keys"
