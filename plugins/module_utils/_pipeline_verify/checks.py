# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the user is told of a run: each thing that was to be proven, and whether it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .items import AUDIT, NOTIFICATION
from .ledger import Ledger, distinct


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
    problems = []
    for trace in ledger.missing(channel):
        why = ledger.unproven_faults(trace) if channel == NOTIFICATION else []
        reason = f" ({', '.join(why)})" if why else ""
        problems.append(f"{trace.change.name} has no {channel} after {timeout} s{reason}")
    problems += ledger.damaged.values() if channel == AUDIT else []
    for trace in ledger.traces:
        if ledger.awaited(trace, channel) is not False and channel in trace.seen_at:
            faults = ledger.faults(trace, channel, start, now)
            problems += [f"the {channel} of {trace.change.name}: {', '.join(faults)}"] if faults else []
    seen = sum(1 for trace in ledger.traces if channel in trace.seen_at)
    if channel == NOTIFICATION and ledger.digested:
        return judged(name, problems, f"{seen} changes are announced by digests that can be over them")
    return judged(name, problems, f"{seen} {channel}s are as the changes give them")


def order_check(ledger: Ledger) -> Check:
    """Whether the sequence numbers tell the order of writing, item by item."""
    return judged("order", ledger.order_faults(), "each item's sequence numbers rise from change to change")


def filter_check(ledger: Ledger, patterns: int) -> Check:
    """Whether the changes that the filters hold back were held back."""
    held_back = [trace for trace in ledger.traces if trace.change.expected is False]
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


def rule_check(ledger: Ledger, rules: int) -> Check:
    """Whether the changes that the rules keep from a channel are not there."""
    through = [trace for trace in ledger.traces if trace.change.expected is not False]
    problems, told = [], []
    for channel in ledger.channels:
        kept = [trace for trace in through if ledger.awaited(trace, channel) is False]
        problems += [
            f"the rules leave {trace.change.name} without {channel}, and it has one"
            for trace in kept
            if channel in trace.seen_at
        ]
        told.append(f"{len(kept)} of {len(through)} changes have no {channel}")
    detail = f"{rules} rule(s): {' and '.join(told)}, as they should"
    open_ones = sum(1 for trace in through if any(trace.change.decided(each) is None for each in ledger.channels))
    if open_ones:
        detail += f"; {open_ones} hang on what only AWS knows, so not all of them was awaited"
    return judged("rules", problems, detail if rules else "the function has no rules")


def claim_check_check(ledger: Ledger, wanted: bool) -> Check:
    """Whether a change over the limit came as a claim check."""
    if not wanted or NOTIFICATION not in ledger.channels or ledger.digested:
        reason = (
            "large_item is off"
            if not wanted
            else "change_topic_arn is not given"
            if NOTIFICATION not in ledger.channels
            else "a digest needs none"
        )
        return Check("claim_check", None, f"left out: {reason}")
    over = [trace for trace in ledger.traces if trace.change.over_limit and ledger.awaited(trace, NOTIFICATION)]
    if not over:
        return Check("claim_check", None, "left out: filters and rules let no change over the limit be notified as one")
    problems = [
        f"{trace.change.name} was not notified by claim check" for trace in over if ledger.form(trace) != "claim_check"
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
    return [each for each in distinct(told) if each]


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
    expected = len(ledger.expected())
    told = [f"{name} {_spoken(numbers)}" for name, numbers in ledger.latency().items()]
    left_out = [check.name for check in checks if check.ok is None]
    tail = f" Left out: {', '.join(left_out)}." if left_out else ""
    return True, f"{expected} changes are proven; latency in ms: {'; '.join(told)}.{tail}"


def _spoken(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in ("median", "p95", "max") if name in numbers) or "none"
