# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes of a stream, in the form in which Lambda hands them to a function. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._history.dynamodb_json import in_json_form, item_hash


@dataclass(frozen=True, eq=False)
class Change:
    """One change, ready to be sent."""

    stream_arn: str
    shard_id: str
    number: str
    event_id: str
    event_name: str
    #: The item, by the hash that is in the names of its audit objects.
    item: str
    #: The record as JSON, marked as redriven.
    body: bytes

    @property
    def place(self) -> tuple[str, int, str]:
        """Where it stands among all changes: older streams first; parent shards have lower numbers."""
        return self.stream_arn.rpartition("/stream/")[2], int(self.number), self.shard_id


def to_change(record: dict[str, Any], stream_arn: str, shard_id: str, marker: dict[str, str]) -> Change:
    """A record in Lambda's form as a change of the run that ``marker`` names."""
    return Change(
        stream_arn=stream_arn,
        shard_id=shard_id,
        number=record["dynamodb"]["SequenceNumber"],
        event_id=record["eventID"],
        event_name=str(record.get("eventName")),
        item=item_hash(record["dynamodb"]["Keys"]),
        body=json.dumps({**record, "redrive": marker}, separators=(",", ":")).encode(),
    )


def event(changes: list[Change]) -> bytes:
    """The event of an invocation."""
    return b'{"Records":[' + b",".join(change.body for change in changes) + b"]}"


def lambda_record(record: dict[str, Any], stream_arn: str) -> dict[str, Any]:
    """A record of GetRecords as it stands in an event: binary as base64, time as whole seconds, its stream named."""
    change = dict(record["dynamodb"])
    for name in ("Keys", "NewImage", "OldImage"):
        if name in change:
            change[name] = {attribute: in_json_form(value) for attribute, value in change[name].items()}
    moment = change.get("ApproximateCreationDateTime")
    if isinstance(moment, datetime):
        change["ApproximateCreationDateTime"] = int(moment.timestamp())
    converted = {**record, "dynamodb": change, "eventSourceARN": stream_arn}
    identity = record.get("userIdentity")
    if identity:
        # Events spell these names in lower case, GetRecords with a capital.
        converted["userIdentity"] = {name[0].lower() + name[1:]: value for name, value in identity.items()}
    return converted
