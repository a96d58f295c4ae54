# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was seen of each change so far, and what is missing or wrong. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .._history.objects import PER_CHANGE, DamagedObject, name_faults, per_change_key, read_name, sequence_number
from . import envelope as envelopes
from .deciding import Outcome
from .digest import Digest, digest_faults
from .items import AUDIT, EVENT_NAMES, NOTIFICATION, Change, Stream

#: The notification mode in which there is one message a batch, and none a change.
DIGEST = "digest"


@dataclass
class Trace:
    """A change and what was seen of it."""

    change: Change
    #: Moments of the local monotonic clock.
    written_at: float | None = None
    seen_at: dict[str, float] = field(default_factory=dict)
    #: Its envelopes in the audit log by the object's name, normally one.
    audits: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Distinct notifications; the same one may come more than once.
    messages: list[envelopes.Message] = field(default_factory=list)
    #: Distinct digests whose range has its sequence number.
    digests: list[Digest] = field(default_factory=list)

    @property
    def envelope(self) -> dict[str, Any] | None:
        """The change as the pipeline tells it: by the audit log, or else by its notification."""
        for found in self.audits.values():
            return found
        return self.messages[0].envelope if self.messages else None

    @property
    def sequence_number(self) -> int | None:
        found = self.envelope
        return sequence_number(found) if found else None

    def sequence_numbers(self, channel: str) -> set[int | None]:
        told = self.audits.values() if channel == AUDIT else [message.envelope for message in self.messages]
        return {sequence_number(each) for each in told}

    def latency_ms(self, channel: str) -> int | None:
        """From the end of the write to the sight of it."""
        seen = self.seen_at.get(channel)
        return None if seen is None or self.written_at is None else max(0, round((seen - self.written_at) * 1000))


class Ledger:
    """All changes of a run. Takes in what the channels bring, and tells ours from other traffic.

    ``notified`` is the notification mode, None where notifications are not looked at.
    """

    def __init__(
        self, run_id: str, changes: Iterable[Change], stream: Stream, bucket: str, prefix: str, notified: str | None
    ) -> None:
        self.run_id = run_id
        self.traces = [Trace(change) for change in changes]
        self.stream, self.bucket, self.prefix = stream, bucket, prefix
        self.channels = (AUDIT, NOTIFICATION) if notified else (AUDIT,)
        self.digested = notified == DIGEST
        #: Audit objects that could not be read, with what is wrong with them.
        self.damaged: dict[str, str] = {}
        self._by_identity = {(trace.change.item.identity, trace.change.event_name): trace for trace in self.traces}
        self._name_faults: dict[str, list[str]] = {}
        self._digests: list[tuple[Digest, float]] = []

    @property
    def hashes(self) -> set[str]:
        """The item hashes that audit objects of one change have in their names."""
        return {trace.change.item.hash for trace in self.traces}

    def take_audit(self, key: str, held: list[dict[str, Any]], at: float) -> None:
        """An audit object was read."""
        for envelope in held:
            trace = self._by_identity.get(envelopes.change_of(envelope))
            if trace:
                trace.audits[key] = envelope
                trace.seen_at.setdefault(AUDIT, at)
                self._name_faults[key] = name_faults(key, held, self.prefix)
                for digest, received in self._digests:
                    self._match(trace, digest, received)

    def take_damaged(self, damaged: DamagedObject) -> None:
        """An audit object could not be read."""
        self.damaged[damaged.key] = str(damaged)

    def take_message(self, message: envelopes.Message, at: float) -> None:
        """A notification was received."""
        trace = self._by_identity.get(envelopes.change_of(message.envelope))
        if trace:
            if message not in trace.messages:
                trace.messages.append(message)
            trace.seen_at.setdefault(NOTIFICATION, at)

    def take_digest(self, digest: Digest, at: float) -> None:
        """A digest of the stream was received."""
        self._digests.append((digest, at))
        for trace in self.traces:
            self._match(trace, digest, at)

    def _match(self, trace: Trace, digest: Digest, received: float) -> None:
        """The digest proves the change's notification if all of it can be over the change."""
        if not trace.audits or not self.awaited(trace, NOTIFICATION) or not digest.covers(trace.sequence_number):
            return
        if digest not in trace.digests:
            trace.digests.append(digest)
        if not self._digest_faults(trace, digest):
            trace.seen_at[NOTIFICATION] = min(received, trace.seen_at.get(NOTIFICATION, received))

    def awaited(self, trace: Trace, channel: str) -> bool | None:
        """Whether the change should be seen in the channel; None when that cannot be told beforehand."""
        verdict = trace.change.awaited(channel)
        if channel == NOTIFICATION and self.digested:
            # A digest names no change: the audit log alone tells the sequence number that has to be in its range.
            return True if verdict and trace.change.awaited(AUDIT) else None
        return verdict

    def missing(self, channel: str) -> list[Trace]:
        """The written changes that should have been seen in the channel, and were not."""
        return [
            trace
            for trace in self.traces
            if self.awaited(trace, channel) and trace.written_at is not None and channel not in trace.seen_at
        ]

    def expected(self) -> list[Trace]:
        """The changes that should be seen in one of the channels."""
        return [trace for trace in self.traces if any(self.awaited(trace, channel) for channel in self.channels)]

    def complete(self) -> bool:
        return not any(self.missing(channel) for channel in self.channels)

    def unwanted(self) -> list[Trace]:
        """The changes that must not be seen in one of the channels."""
        return [trace for trace in self.traces if any(self.awaited(trace, each) is False for each in self.channels)]

    def audit_keys_to_read(self) -> list[str]:
        """Names of audit objects that notifications told of, and that are not read yet: found without a listing.

        With one object a batch the name that would hold one change is among them, and there is no such object.
        """
        found = []
        for trace in self.traces:
            claimed = [message.audit.get("key") for message in trace.messages if message.audit]
            unproven = [] if NOTIFICATION in trace.seen_at else trace.digests
            found += [key for key in claimed if isinstance(key, str) and key]
            found += [key for digest in unproven for key in digest.keys if _covers(key, trace.sequence_number)]
            if AUDIT not in trace.seen_at and self.awaited(trace, AUDIT):
                own = [per_change_key(message.envelope, self.prefix) for message in trace.messages if not message.audit]
                found += [key for key in own if key]
            found = [key for key in found if key not in trace.audits]
        return distinct(found)

    def numbers_to_find(self) -> set[int]:
        """Sequence numbers, known from notifications, of changes whose audit object is not found yet."""
        return {trace.sequence_number for trace in self.missing(AUDIT) if trace.sequence_number is not None}

    def sequence_numbers(self) -> set[int]:
        return {trace.sequence_number for trace in self.traces if trace.sequence_number is not None}

    def faults(self, trace: Trace, channel: str, start: datetime, now: datetime) -> list[str]:
        """What is wrong with what was seen of a change in a channel."""
        judge = self._audit_faults if channel == AUDIT else self._message_faults
        return judge(trace, start, now)

    def _audit_faults(self, trace: Trace, start: datetime, now: datetime) -> list[str]:
        names = [read_name(key) for key in trace.audits]
        alone = [name for name in names if name is None or name.layout == PER_CHANGE]
        # In batch objects a change may be more than once: it was delivered again, in another batch.
        faults = ["there is more than one audit object of it"] if len(alone) > 1 else []
        faults += envelopes.copies_faults(trace.audits.values()) if len(trace.audits) > 1 else []
        for key, envelope in trace.audits.items():
            faults += self._name_faults[key]
            faults += envelopes.audited_faults(envelope, trace.change, self.stream, start, now)
        return distinct(faults)

    def _message_faults(self, trace: Trace, start: datetime, now: datetime) -> list[str]:
        if self.digested:
            return self.unproven_faults(trace) if NOTIFICATION not in trace.seen_at else []
        outcomes = [outcome for outcome in trace.change.outcomes if outcome.notified]
        faults = []
        for message in trace.messages:
            faults += envelopes.fewest(self._faults_of(message, trace, outcome, start, now) for outcome in outcomes)
        return distinct(faults)

    def _faults_of(
        self, message: envelopes.Message, trace: Trace, outcome: Outcome, start: datetime, now: datetime
    ) -> list[str]:
        claim_check, change = message.audit is not None, trace.change
        faults = envelopes.message_faults(message, change, outcome, self.stream, self.bucket)
        faults += envelopes.envelope_faults(
            message.envelope, change, outcome.notification, self.stream, start, now, claim_check
        )
        redacted = envelopes.redactions(outcome)
        faults += envelopes.fewest(envelopes.difference(message, each, redacted) for each in trace.audits.values())
        if claim_check and trace.audits and message.audit.get("key") not in trace.audits:
            faults.append("the claim check does not name an object that holds the change")
        return faults

    def unproven_faults(self, trace: Trace) -> list[str]:
        """Why none of the digests over the change's sequence number proves its notification."""
        return envelopes.fewest(self._digest_faults(trace, digest) for digest in trace.digests)

    def _digest_faults(self, trace: Trace, digest: Digest) -> list[str]:
        envelope = trace.envelope or {}
        return digest_faults(digest, trace.change, envelope, trace.audits, self.stream, self.bucket)

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
            "audit_expected": self.awaited(trace, AUDIT),
            "sequence_number": None if number is None else str(number),
            "audit_key": next(iter(trace.audits), None),
            "audit_ok": self._well(trace, AUDIT, start, now),
            "audit_latency_ms": trace.latency_ms(AUDIT),
        }
        if NOTIFICATION in self.channels:
            report["notification_expected"] = self.awaited(trace, NOTIFICATION)
            report["notification"] = self.form(trace)
            report["notification_ok"] = self._well(trace, NOTIFICATION, start, now)
            report["notification_latency_ms"] = trace.latency_ms(NOTIFICATION)
        return report

    def form(self, trace: Trace) -> str | None:
        """How the change was notified."""
        if self.digested:
            return "digest" if NOTIFICATION in trace.seen_at else None
        if not trace.messages:
            return None
        return "full" if trace.messages[0].audit is None else "claim_check"

    def _well(self, trace: Trace, channel: str, start: datetime, now: datetime) -> bool:
        seen, awaited = channel in trace.seen_at, self.awaited(trace, channel)
        if awaited is None and not seen:
            return True
        return seen == (awaited is not False) and not self.faults(trace, channel, start, now)


def _covers(key: str, number: int | None) -> bool:
    name = read_name(key)
    return name is not None and number is not None and name.covers(number)


def statistics(values: list[int]) -> dict[str, int]:
    """Count, median, 95th percentile (nearest rank) and maximum; the count alone where there is no value."""
    ranked = sorted(values)
    if not ranked:
        return {"count": 0}

    def rank(share: float) -> int:
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)]

    return {"count": len(ranked), "median": rank(0.5), "p95": rank(0.95), "max": ranked[-1]}


def distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
