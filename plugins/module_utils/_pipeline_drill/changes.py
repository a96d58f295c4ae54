# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The changes of a drill, what was seen of each, and what is wrong with it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from .._history.dynamodb_json import canonical_json
from .._history.objects import hour_prefix, name_faults, per_change_name, sequence_number
from .._pipeline_verify.deciding import Rules
from .._pipeline_verify.envelope import audited_faults, change_of, copies_faults
from .._pipeline_verify.items import AUDIT, Change, Item, Stream, make_items, plan_changes
from ..aws import InputError
from .failure_records import FailureRecord

POISON, HEALTHY, VICTIM = "poison", "healthy", "victim"

#: Keys that are hard to handle, as verify's are.
AWKWARD = True


@dataclass
class Trace:
    """A change of the drill and what was seen of it."""

    change: Change
    #: What is to become of it: the function refuses the poison, or processes the healthy, or fails with every victim.
    part: str
    shard_id: str | None = None
    number: int | None = None
    #: The folder of the audit log that it is audited in.
    hour: str | None = None
    #: Its envelopes in the audit log by the object's name. In batch objects it may be more than once.
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What is wrong with these names.
    name_faults: list[str] = field(default_factory=list)

    @property
    def audited(self) -> bool:
        return bool(self.audits)

    @property
    def redriven(self) -> bool:
        """Whether a redrive brought it to the audit log."""
        return any("redrive" in envelope for envelope in self.audits.values())

    @property
    def only_redriven(self) -> bool:
        """Whether nothing but a redrive brought it there."""
        return self.audited and all("redrive" in envelope for envelope in self.audits.values())

    @property
    def own_key(self) -> str | None:
        """The name of the object that would hold this change alone."""
        if self.hour is None or self.number is None:
            return None
        return per_change_name(self.hour, self.number, self.change.item.hash)

    @property
    def audit_key(self) -> str | None:
        """The object that holds it, or else the one that would hold it alone."""
        return next(iter(self.audits), self.own_key)

    @property
    def name(self) -> str:
        """How reports and errors call it."""
        number = f" (sequence number {self.number} of {self.shard_id})" if self.number is not None else ""
        return f"{self.change.name}{number}"

    def place(self, shard_id: str, record: dict[str, Any], prefix: str) -> None:
        """The stream has told where it is, and so in which hour it is audited."""
        self.shard_id, self.number = shard_id, int(record["sequenceNumber"])
        self.hour = hour_prefix(prefix, record["time"].astimezone(timezone.utc))

    def is_record(self, record: dict[str, Any]) -> bool:
        mine = (self.change.event_name, self.change.item.identity)
        return mine == (record["eventName"], canonical_json(record["keys"]))

    def take_audit(self, key: str, held: list[dict[str, Any]], prefix: str) -> None:
        """An audit object was read that may hold it."""
        for envelope in held:
            if change_of(envelope) == (self.change.item.identity, self.change.event_name):
                self.audits[key] = envelope
                self.name_faults += name_faults(key, held, prefix)

    def covered(self, records: Iterable[FailureRecord]) -> bool:
        return any(record.covers(self.shard_id, self.number) for record in records)

    def faults(self, stream: Stream, start: datetime, now: datetime) -> list[str]:
        """What is wrong with it in the audit log."""
        found = self.name_faults + (copies_faults(self.audits.values()) if len(self.audits) > 1 else [])
        for envelope in self.audits.values():
            found += audited_faults(envelope, self.change, stream, start, now)
            if self.number not in (None, sequence_number(envelope)):
                found.append("sequenceNumber is not that of the stream")
        return list(dict.fromkeys(found))

    def told(self) -> dict[str, Any]:
        """For the report and the next phase: no keys, no images."""
        return {
            "event_name": self.change.event_name,
            "item": self.change.item.hash,
            "part": self.part,
            "shard_id": self.shard_id,
            "sequence_number": None if self.number is None else str(self.number),
            "audit_key": self.audit_key,
            "audited": self.audited,
            "redriven": self.redriven,
        }

    def take(self, told: dict[str, Any]) -> None:
        """Go on where the phase before ended. Whether it is audited is looked up anew."""
        number, key = told["sequence_number"], told["audit_key"]
        self.shard_id, self.hour = told["shard_id"], key and f"{key.rpartition('/')[0]}/"
        self.number = None if number is None else int(number)


def drill_items(stream: Stream, drill_id: str, count: int, attributes: dict[str, Any]) -> list[Item]:
    """The items, which follow from the drill's id. They are inserted and removed, never modified."""
    made = make_items(stream.key_schema, drill_id, count, AWKWARD, attributes)
    return [replace(item, second=item.first) for item in made]


def plan(
    mode: str, items: list[Item], stream: Stream, patterns: list[str], now: datetime, rules: Rules | None = None
) -> tuple[list[Trace], list[Trace]]:
    """The INSERTs and the REMOVEs, in the order of writing. The poison has healthy changes before and after it."""
    # No notification is proven here, so none can be too large.
    changes = plan_changes(items, stream, patterns, None, now, rules)
    poison = poison_of(items)

    def part(change: Change) -> str:
        return VICTIM if mode == "break" else POISON if change.item == poison else HEALTHY

    inserts = [Trace(change, part(change)) for change in changes if change.event_name == "INSERT"]
    removes = [Trace(change, HEALTHY) for change in changes if change.event_name == "REMOVE"]
    return inserts, removes


def check_audited(inserts: list[Trace], uuid: str) -> None:
    """InputError when filters or rules may keep a change of the drill from the audit log."""
    if not all(trace.change.expected for trace in inserts):
        raise InputError(
            f"The filters of the event source mapping {uuid} do not let the drill's items through for certain; give "
            "item attributes that they let through (item_attributes; in an inventory "
            "ddb_stream_pipeline_verify_item_attributes)."
        )
    if not all(trace.change.awaited(AUDIT) for trace in inserts):
        raise InputError(
            "The rules do not let the drill's items into the audit log for certain, so their recovery could not be "
            "seen; give item attributes that the rules let into it (item_attributes; in an inventory "
            "ddb_stream_pipeline_verify_item_attributes)."
        )


def poison_of(items: list[Item]) -> Item:
    return items[len(items) // 2]


def token_of(item: Item) -> str:
    """What the function compares an item's keys with: their full hash, of which the item's name is the beginning."""
    return hashlib.sha256(canonical_json(item.keys).encode("utf-8")).hexdigest()


def judge_failing(inserts: list[Trace], records: list[FailureRecord]) -> list[str]:
    """What is wrong before the redrive: with what was processed, and with what the failure destination holds."""
    problems = []
    for trace in inserts:
        mine = [record for record in records if record.covers(trace.shard_id, trace.number)]
        if trace.part == HEALTHY:
            if not trace.audited:
                problems.append(f"{trace.name} is healthy and was not processed")
            if any(record.begins_or_ends_with(trace.shard_id, trace.number) for record in mine):
                problems.append(f"{trace.name} is healthy, and a failure record names it")
            continue
        if trace.audited:
            problems.append(f"{trace.name} was to fail, and was processed")
        elif not mine:
            problems.append(f"{trace.name} failed, and no failure record of it has come")
        elif trace.part == POISON and not (len(mine) == 1 and mine[0].is_just(trace.shard_id, trace.number)):
            sizes = ", ".join(str(record.batch_size) for record in mine)
            problems.append(f"{trace.name} must have one failure record with batchSize 1, and has batchSize {sizes}")
    return problems


def judge_recovered(inserts: list[Trace], lost: list[Trace], faults: dict[str, list[str]]) -> list[str]:
    """What is wrong after the redrive. ``lost`` are told of elsewhere."""
    problems = []
    for trace in inserts:
        if trace.audited and trace.part != HEALTHY and not trace.redriven:
            problems.append(f"{trace.name} is audited without the mark of a redrive")
        # A redrive may bring a change along that was done before, which in batch objects leaves a second copy.
        if trace.part == HEALTHY and trace.only_redriven:
            problems.append(f"{trace.name} is healthy, and was redriven")
        if not trace.audited and trace not in lost:
            problems.append(f"{trace.name} was redriven, and has no audit object")
        problems += [f"{trace.name}: {fault}" for fault in faults[trace.name]]
    return problems


def others(inserts: list[Trace], records: list[FailureRecord]) -> int:
    """How many changes of others the failure records hold, as far as their numbers tell."""
    ours = [sum(record.covers(trace.shard_id, trace.number) for trace in inserts) for record in records]
    return sum(max(0, record.batch_size - own) for record, own in zip(records, ours, strict=True))
