# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was seen of each change so far, what is missing, and what the user is told of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import envelope as envelopes
from .items import EVENT_NAMES, Change, Stream

AUDIT = "audit object"
NOTIFICATION = "notification"


@dataclass
class Trace:
    """A change and what was seen of it."""

    change: Change
    #: Moments of the local monotonic clock.
    written_at: float | None = None
    seen_at: dict[str, float] = field(default_factory=dict)
    #: Audit objects by name, normally one.
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Distinct notifications; the same one may come more than once.
    messages: list[envelopes.Message] = field(default_factory=list)

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The change as the pipeline tells it: by its audit object, or else by its notification."""
        for found in self.audits.values():
            return found
        return self.messages[0].envelope if self.messages else None

    @property
    def sequence_number(self) -> int | None:
        found = self.envelope
        return envelopes.sequence_number(found) if found else None

    def sequence_numbers(self, channel: str) -> set[int | None]:
        told = self.audits.values() if channel == AUDIT else [message.envelope for message in self.messages]
        return {envelopes.sequence_number(each) for each in told}

    def latency_ms(self, channel: str) -> int | None:
        """From the end of the write to the sight of it."""
        seen = self.seen_at.get(channel)
        return None if seen is None or self.written_at is None else max(0, round((seen - self.written_at) * 1000))


class Ledger:
    """All changes of a run. Takes in what the channels bring, and tells ours from other traffic."""

    def __init__(
        self, run_id: str, changes: Iterable[Change], stream: Stream, bucket: str, prefix: str, notified: bool
    ) -> None:
        self.run_id = run_id
        self.traces = [Trace(change) for change in changes]
        self.stream, self.bucket, self.prefix = stream, bucket, prefix
        self.channels = (AUDIT, NOTIFICATION) if notified else (AUDIT,)
        self._by_identity = {(trace.change.item.identity, trace.change.event_name): trace for trace in self.traces}

    @property
    def hashes(self) -> set[str]:
        """The item hashes that audit objects of the run can have in their names."""
        return {trace.change.item.hash for trace in self.traces}

    def take_audit(self, key: str, envelope: dict[str, Any] | None, at: float) -> None:
        """An audit object was read."""
        trace = self._by_identity.get(envelopes.change_of(envelope)) if envelope else None
        if trace and envelope:
            trace.audits[key] = envelope
            trace.seen_at.setdefault(AUDIT, at)

    def take_message(self, message: envelopes.Message, at: float) -> None:
        """A notification was received."""
        trace = self._by_identity.get(envelopes.change_of(message.envelope))
        if trace:
            if message not in trace.messages:
                trace.messages.append(message)
            trace.seen_at.setdefault(NOTIFICATION, at)

    def missing(self, channel: str) -> list[Trace]:
        """The written changes that should have been seen in the channel, and were not."""
        return [
            trace
            for trace in self.traces
            if trace.change.expected and trace.written_at is not None and channel not in trace.seen_at
        ]

    def complete(self) -> bool:
        return not any(self.missing(channel) for channel in self.channels)

    def filtered_out(self) -> list[Trace]:
        """The changes that must not be seen."""
        return [trace for trace in self.traces if trace.change.expected is False]

    def audit_keys_to_read(self) -> list[str]:
        """Names that notifications told of audit objects that are not read yet: found without a listing."""
        found = []
        for trace in self.missing(AUDIT):
            for message in trace.messages:
                told = (message.audit or {}).get("key")
                key = told if isinstance(told, str) and told else envelopes.audit_key(message.envelope, self.prefix)
                found += [key] if key else []
        return found

    def sequence_numbers(self) -> set[int]:
        return {trace.sequence_number for trace in self.traces if trace.sequence_number is not None}

    def faults(self, trace: Trace, channel: str, start: datetime, now: datetime) -> list[str]:
        """What is wrong with what was seen of a change in a channel."""
        judge = self._audit_faults if channel == AUDIT else self._message_faults
        return judge(trace, start, now)

    def _audit_faults(self, trace: Trace, start: datetime, now: datetime) -> list[str]:
        faults = ["there is more than one audit object of it"] if len(trace.audits) > 1 else []
        for key, envelope in trace.audits.items():
            faults += envelopes.audit_faults(key, envelope, self.prefix)
            faults += envelopes.envelope_faults(envelope, trace.change, self.stream, start, now)
        return _distinct(faults)

    def _message_faults(self, trace: Trace, start: datetime, now: datetime) -> list[str]:
        faults = []
        for message in trace.messages:
            whole = message.audit is None
            faults += envelopes.message_faults(message, trace.change, self.stream, self.bucket)
            faults += envelopes.envelope_faults(
                message.envelope, trace.change, self.stream, start, now, claim_check=not whole
            )
            for envelope in trace.audits.values():
                faults += envelopes.difference(message, envelope)
            if message.audit is not None and trace.audits and message.audit.get("key") not in trace.audits:
                faults.append("the claim check does not name the change's audit object")
        return _distinct(faults)

    def order_faults(self) -> list[str]:
        """Where sequence numbers of an item do not rise from INSERT over MODIFY to REMOVE."""
        faults = []
        for channel in self.channels:
            for before, after in self._neighbours():
                numbers = [sorted(each.sequence_numbers(channel) - {None}) for each in (before, after)]
                if all(numbers) and numbers[0][-1] >= numbers[1][0]:
                    faults.append(
                        f"{channel}: {after.change.name} has no higher sequence number than the change before it"
                    )
        return faults

    def _neighbours(self) -> list[tuple[Trace, Trace]]:
        """Pairs of changes of one item, each with the next one that was seen at all."""
        pairs = []
        for identity in dict.fromkeys(trace.change.item.identity for trace in self.traces):
            seen = [self._by_identity[identity, name] for name in EVENT_NAMES]
            seen = [trace for trace in seen if trace.seen_at]
            pairs += [(seen[place], seen[place + 1]) for place in range(len(seen) - 1)]
        return pairs

    def latency(self) -> dict[str, dict[str, int]]:
        """Latencies of each channel, in milliseconds."""
        names = {AUDIT: "audit", NOTIFICATION: "notification"}
        return {names[channel]: statistics(self._latencies(channel)) for channel in self.channels}

    def _latencies(self, channel: str) -> list[int]:
        found = [trace.latency_ms(channel) for trace in self.traces]
        return [each for each in found if each is not None]

    def change_report(self, trace: Trace, start: datetime, now: datetime) -> dict[str, Any]:
        """What the user is told of a change. No keys, no images."""
        number = trace.sequence_number
        report = {
            "event_name": trace.change.event_name,
            "item": trace.change.item.hash,
            "expected": trace.change.expected,
            "sequence_number": None if number is None else str(number),
            "audit_key": next(iter(trace.audits), None),
            "audit_ok": self._well(trace, AUDIT, start, now),
            "audit_latency_ms": trace.latency_ms(AUDIT),
        }
        if NOTIFICATION in self.channels:
            report["notification"] = _form(trace)
            report["notification_ok"] = self._well(trace, NOTIFICATION, start, now)
            report["notification_latency_ms"] = trace.latency_ms(NOTIFICATION)
        return report

    def _well(self, trace: Trace, channel: str, start: datetime, now: datetime) -> bool:
        seen = channel in trace.seen_at
        if trace.change.expected is None and not seen:
            return True
        return seen == (trace.change.expected is not False) and not self.faults(trace, channel, start, now)


def statistics(values: list[int]) -> dict[str, int]:
    """Count, median, 95th percentile (nearest rank) and maximum; the count alone where there is no value."""
    ranked = sorted(values)
    if not ranked:
        return {"count": 0}

    def rank(share: float) -> int:
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

    return {"count": len(ranked), "median": rank(0.5), "p95": rank(0.95), "max": ranked[-1]}


def _form(trace: Trace) -> str | None:
    if not trace.messages:
        return None
    return "full" if trace.messages[0].audit is None else "claim_check"


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


@dataclass(frozen=True)
class Check:
    """One thing that was to be proven. ``ok`` is None when it was left out, and the detail says why."""

    name: str
    ok: bool | None
    detail: str
    problems: tuple[str, ...] = ()


def channel_check(ledger: Ledger, channel: str, name: str, timeout: int, start: datetime, now: datetime) -> Check:
    """Whether every expected change was seen in the channel, and well."""
    if channel not in ledger.channels:
        return Check(name, None, "left out: no change_topic_arn is given")
    problems = [f"{trace.change.name} has no {channel} after {timeout} s" for trace in ledger.missing(channel)]
    for trace in ledger.traces:
        if trace.change.expected is not False and channel in trace.seen_at:
            faults = ledger.faults(trace, channel, start, now)
            problems += [f"the {channel} of {trace.change.name}: {', '.join(faults)}"] if faults else []
    seen = sum(1 for trace in ledger.traces if channel in trace.seen_at)
    return judged(name, problems, f"{seen} {channel}s are as the changes give them")


def order_check(ledger: Ledger) -> Check:
    """Whether the sequence numbers tell the order of writing, item by item."""
    return judged("order", ledger.order_faults(), "each item's sequence numbers rise from change to change")


def filter_check(ledger: Ledger, patterns: int) -> Check:
    """Whether the changes that the filters hold back were held back."""
    held_back = ledger.filtered_out()
    problems = [
        f"{trace.change.name} passed the mapping's filters, and should not have ({' and '.join(trace.seen_at)} seen)"
        for trace in held_back
        if trace.seen_at
    ]
    open_ones = sum(1 for trace in ledger.traces if trace.change.expected is None)
    detail = f"{patterns} filter(s) held back {len(held_back)} of {len(ledger.traces)} changes as they should"
    if open_ones:
        detail += f"; {open_ones} hang on what only AWS knows, so they were not awaited"
    return judged("filters", problems, detail if patterns else "the mapping has no filters")


def claim_check_check(ledger: Ledger, wanted: bool) -> Check:
    """Whether a change over the limit came as a claim check."""
    if not wanted or NOTIFICATION not in ledger.channels:
        reason = "change_topic_arn is not given" if wanted else "large_item is off"
        return Check("claim_check", None, f"left out: {reason}")
    over = [trace for trace in ledger.traces if trace.change.over_limit and trace.change.expected]
    if not over:
        return Check("claim_check", None, "left out: the filters let no change over the limit through")
    problems = [
        f"{trace.change.name} was not notified by claim check" for trace in over if _form(trace) != "claim_check"
    ]
    return judged("claim_check", problems, f"{len(over)} change(s) over the limit were notified by claim check")


def log_check(sequence_numbers: set[int], lines: Iterable[dict[str, Any]], log_group: str) -> Check:
    """Whether each change lies in a batch that the function has logged."""
    if not sequence_numbers:
        return Check("logs", None, "left out: no change was seen, so there is no sequence number to look for")
    uncovered = uncovered_numbers(sequence_numbers, lines)
    problems = [f"log group {log_group} has no batch line over {len(uncovered)} of the changes"] if uncovered else []
    return judged("logs", problems, f"the batch lines in {log_group} cover {len(sequence_numbers)} changes")


def uncovered_numbers(sequence_numbers: set[int], lines: Iterable[dict[str, Any]]) -> set[int]:
    """The sequence numbers that lie between the first and the last of no logged batch."""
    left = set(sequence_numbers)
    for line in lines:
        first, last = (_number(line.get(f"{end}_sequence_number")) for end in ("first", "last"))
        if line.get("message") == "batch" and first is not None and last is not None:
            left -= {number for number in left if first <= number <= last}
    return left


def logged_failures(lines: Iterable[dict[str, Any]]) -> list[str]:
    """Why the function says it failed: stage, kind and AWS's code, each distinct one once. They hold no item data."""
    told = []
    for line in lines:
        if line.get("message") == "record failed":
            words = [line.get(name) for name in ("stage", "error_type", "aws_code")]
            told.append(" ".join(word for word in words if isinstance(word, str) and word))
    return [each for each in _distinct(told) if each]


def _number(text: Any) -> int | None:
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None


def judged(name: str, problems: list[str], well: str) -> Check:
    """A check that holds when there is no problem."""
    return Check(name, not problems, "; ".join(problems) or well, tuple(problems))


def summary(ledger: Ledger, checks: Iterable[Check], hint: Callable[[], str], shown: int = 6) -> tuple[bool, str]:
    """Whether all is proven, and the sentence that says so or says what is not."""
    problems = [problem for check in checks for problem in check.problems]
    if problems:
        more = f"; and {len(problems) - shown} more" if len(problems) > shown else ""
        return False, f"The pipeline is not proven: {'; '.join(problems[:shown])}{more}. {hint()}"
    expected = sum(1 for trace in ledger.traces if trace.change.expected)
    told = [f"{name} {_spoken(numbers)}" for name, numbers in ledger.latency().items()]
    left_out = [check.name for check in checks if check.ok is None]
    tail = f" Left out: {', '.join(left_out)}." if left_out else ""
    return True, f"{expected} changes are proven; latency in ms: {'; '.join(told)}.{tail}"


def _spoken(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in ("median", "p95", "max") if name in numbers) or "none"
