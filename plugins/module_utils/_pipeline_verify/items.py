# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The test items of a run and their changes, for any key schema. Pure.

An item's keys follow from the run id and the item's number alone, so that a later run can find and remove what a
killed run left.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .._history.dynamodb_json import attributes_problem, canonical_json, in_stream_form, item_hash
from ..aws import InputError
from ..event_filter import UNKNOWN, PatternError, all_of, passes
from .deciding import Outcome, Rules

SCHEMA = "cloudcdc.change/1"

#: The attributes by which an item is known as this run's: whose it is, how often it was written, what makes it large.
RUN = "cloudcdc_verify_run"
STEP = "cloudcdc_verify_step"
PAD = "cloudcdc_verify_pad"

EVENT_NAMES = ("INSERT", "MODIFY", "REMOVE")

#: Where a change comes out.
AUDIT = "audit object"
NOTIFICATION = "notification"

_OLD_VIEWS = ("NEW_AND_OLD_IMAGES", "OLD_IMAGE")
_NEW_VIEWS = ("NEW_AND_OLD_IMAGES", "NEW_IMAGE")
_ITEM_MAX_BYTES = 400 * 1024


@dataclass(frozen=True)
class Stream:
    """The table and its stream, as far as a change of it can be predicted from them."""

    table_name: str
    table_arn: str
    stream_arn: str
    region: str
    view_type: str
    #: Name and type (S, N, B) of each key attribute, the hash key first.
    key_schema: tuple[tuple[str, str], ...]

    @property
    def label(self) -> str:
        return self.stream_arn.rpartition("/")[2]


@dataclass(frozen=True)
class Item:
    """One test item: its keys, and all of its attributes after the first and the second write."""

    keys: dict[str, Any]
    first: dict[str, Any]
    second: dict[str, Any]
    large: bool = False

    @property
    def hash(self) -> str:
        return item_hash(self.keys)

    @property
    def identity(self) -> str:
        """Equal for equal keys."""
        return canonical_json(self.keys)


@dataclass(frozen=True)
class Change:
    """One change and what the pipeline must make of it."""

    item: Item
    event_name: str
    old_image: dict[str, Any] | None
    new_image: dict[str, Any] | None
    #: Whether the filters let it through; None when that hangs on what only AWS knows.
    expected: bool | None = True
    #: What the rules may make of it, once it is through.
    outcomes: tuple[Outcome, ...] = (Outcome(),)

    @property
    def name(self) -> str:
        """How reports and errors call it."""
        return f"{self.event_name} of item {self.item.hash}"

    @property
    def over_limit(self) -> bool:
        """Whether it is to be notified by claim check, whatever else becomes of it."""
        return all(outcome.over_limit for outcome in self.outcomes)

    def decided(self, channel: str) -> bool | None:
        """Whether the rules let it come out there; None when that hangs on what only AWS knows."""
        verdicts = {outcome.audited if channel == AUDIT else outcome.notified for outcome in self.outcomes}
        return verdicts.pop() if len(verdicts) == 1 else None

    def awaited(self, channel: str) -> bool | None:
        """Whether filters and rules let it come out there."""
        return all_of((self.expected, self.decided(channel)))


def key_schema(table: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and types of the key attributes, from DescribeTable's answer; the hash key first."""
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    keys = sorted(table["KeySchema"], key=lambda each: each["KeyType"] != "HASH")
    return tuple((each["AttributeName"], types[each["AttributeName"]]) for each in keys)


def item_keys(schema: Iterable[tuple[str, str]], run_id: str, number: int, awkward: bool) -> dict[str, Any]:
    """The keys of a run's item. Two neighbours share the hash key's value where there is a range key as well."""
    names = list(schema)
    parts = [number] if len(names) == 1 else [number // 2, number]
    return {
        name: {kind: _key_value(kind, run_id, role, parts[role], awkward)} for role, (name, kind) in enumerate(names)
    }


def _key_value(kind: str, run_id: str, role: int, part: int, awkward: bool) -> str:
    if kind == "S" and awkward:
        return f"cloudcdc-verify/{run_id}/{part} \U0001f994/\u00fc"
    if kind == "S":
        return f"cloudcdc-verify-{run_id}-{part}"
    digest = hashlib.sha256(f"{run_id}/{role}/{part}".encode()).digest()
    if kind == "B":
        return base64.b64encode(digest).decode()
    # 38 digits, the last one not 0: DynamoDB gives such a number back as it was written.
    return str((10**37 + int.from_bytes(digest, "big") % (9 * 10**37)) | 1)


def check_attributes(attributes: dict[str, Any], schema: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The user's further attributes in the form of a stream record; InputError when they cannot be written."""
    problem = attributes_problem(attributes)
    if problem:
        raise InputError(f"item_attributes: {problem}.")
    key_names = {name for name, _kind in schema}
    for name in attributes:
        if name in key_names:
            raise InputError(f"item_attributes holds the key attribute {name}; the run chooses the keys itself.")
        if name in (RUN, STEP, PAD):
            raise InputError(f"item_attributes holds {name}, which marks the run's own items; choose another name.")
    if key_names & {RUN, STEP, PAD}:
        raise InputError(f"A key attribute of the table has one of the names {RUN}, {STEP}, {PAD} of the run's marks.")
    return {name: in_stream_form(value) for name, value in attributes.items()}


def make_items(
    schema: tuple[tuple[str, str], ...],
    run_id: str,
    count: int,
    awkward: bool,
    attributes: dict[str, Any],
    large_pad: int = 0,
) -> list[Item]:
    """The run's items; with ``large_pad`` one more, that many bytes larger in both of its versions."""
    return [
        _make_item(item_keys(schema, run_id, number, awkward), run_id, attributes, large_pad if number == count else 0)
        for number in range(count + bool(large_pad))
    ]


def _make_item(keys: dict[str, Any], run_id: str, attributes: dict[str, Any], pad: int) -> Item:
    def version(step: int, letter: str) -> dict[str, Any]:
        image = {**attributes, **keys, RUN: {"S": run_id}, STEP: {"N": str(step)}}
        return {**image, PAD: {"S": letter * pad}} if pad else image

    return Item(keys, version(1, "a"), version(2, "b"), bool(pad))


def large_pad(view_type: str, limit: int, attributes: dict[str, Any]) -> int:
    """How many bytes make a change's images pass ``limit``; InputError when no item of this stream can."""
    images = (view_type in _OLD_VIEWS) + (view_type in _NEW_VIEWS)
    if not images:
        raise InputError(f"large_item needs a stream with images; the stream view type is {view_type}.")
    pad = limit // images + 1024
    # The keys take up to 3 KiB; the rest is for the marks.
    if pad + len(canonical_json(attributes).encode("utf-8")) + 4096 > _ITEM_MAX_BYTES:
        raise InputError(
            f"large_item cannot pass notification_max_bytes ({limit}) with {images} image(s) of at most "
            f"{_ITEM_MAX_BYTES} bytes, DynamoDB's limit of an item; leave large_item out."
        )
    return pad


def plan_changes(
    items: Iterable[Item],
    stream: Stream,
    patterns: Iterable[Any],
    limit: int | None,
    now: datetime,
    rules: Rules | None = None,
) -> list[Change]:
    """Every change of every item in the order of writing: all INSERTs, all MODIFYs, all REMOVEs.

    So the changes of one item stand apart, with those of other items between them, as in real traffic. ``limit`` is the
    size over which a change is notified by claim check, None where there are no claim checks.
    """
    patterns = list(patterns)
    items = list(items)
    rules = rules or Rules(())
    return [_change(item, name, stream, patterns, limit, now, rules) for name in EVENT_NAMES for item in items]


def _change(
    item: Item, event_name: str, stream: Stream, patterns: list[Any], limit: int | None, now: datetime, rules: Rules
) -> Change:
    old, new = {"INSERT": (None, item.first), "MODIFY": (item.first, item.second), "REMOVE": (item.second, None)}[
        event_name
    ]
    old = old if stream.view_type in _OLD_VIEWS else None
    new = new if stream.view_type in _NEW_VIEWS else None
    record = predicted_record(event_name, item.keys, old, new, stream, now)
    try:
        expected = passes(patterns, record)
    except PatternError as exc:
        raise InputError(f"A filter of the event source mapping cannot be evaluated: {exc}.") from exc
    # What the filters hold back never gets to the rules, which may fail for it.
    outcomes = (Outcome(),) if expected is False else rules.outcomes(_predicted_envelope(record, stream, now), limit)
    return Change(item, event_name, old, new, expected, outcomes)


def _predicted_envelope(record: dict[str, Any], stream: Stream, now: datetime) -> dict[str, Any]:
    """The envelope that the function will make of a record, but for what only AWS knows."""
    change = record["dynamodb"]
    images = {"oldImage": change.get("OldImage"), "newImage": change.get("NewImage")}
    envelope = {
        "schema": SCHEMA,
        "eventID": "",
        "eventName": record["eventName"],
        "eventSource": record["eventSource"],
        "eventSourceARN": stream.stream_arn,
        "awsRegion": stream.region,
        "sequenceNumber": "0",
        "sizeBytes": 0,
        "streamViewType": stream.view_type,
        "timestamp": f"{now.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        "table": stream.table_name,
        "keys": change["Keys"],
        **{name: image for name, image in images.items() if image is not None},
    }
    if record["eventName"] == "MODIFY" and None not in images.values():
        old, new = images.values()
        envelope["changedAttributes"] = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return envelope


def predicted_record(
    event_name: str,
    keys: dict[str, Any],
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    stream: Stream,
    now: datetime,
) -> dict[str, Any]:
    """The stream record that a change will have, as the mapping's filters see it."""
    change: dict[str, Any] = {
        "ApproximateCreationDateTime": int(now.timestamp()),
        "Keys": keys,
        "SequenceNumber": UNKNOWN,
        "SizeBytes": UNKNOWN,
        "StreamViewType": stream.view_type,
    }
    if old is not None:
        change["OldImage"] = old
    if new is not None:
        change["NewImage"] = new
    return {
        "eventID": UNKNOWN,
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "eventSourceARN": stream.stream_arn,
        "dynamodb": change,
    }
