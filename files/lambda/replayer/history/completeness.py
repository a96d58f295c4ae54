# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the log can tell what the table held at a time, and from where on it has to be read for that. Pure.

The journal says what the deploys did to the log: each entry holds from its time until the next one's. A baseline says
what the table held while it was scanned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

WHOLE_VIEW = "NEW_AND_OLD_IMAGES"
#: What rules do to the log.
NO_RULES, KEEP_ALL, DROPS = "none", "keep_all", "drops"
TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Completeness:
    """The answer for one time."""

    complete: bool
    #: Why not, each a sentence; empty when it is complete.
    reasons: list[str]
    #: From when on the log has to be read: the baseline's watermark, or when the table was made.
    start: datetime | None = None
    #: The manifest of the baseline that the changes go on top of; None where the log begins with the table.
    baseline: Document | None = None


def completeness(
    entries: Iterable[Document], manifests: Iterable[Document], at: datetime, now: datetime | None = None
) -> Completeness:
    """Whether journal and baselines let the log tell the table's state ``at`` a time, to the whole second.

    The newest baseline that can be used is taken, since then the least has to be read. ``now`` is when the log is read:
    by then a lifecycle may have deleted some of it.
    """
    periods = _periods(entries)
    if not periods:
        return Completeness(False, ["The log has no journal: run playbooks/deploy.yml, which begins one."])
    begun = [each for each in periods if each.begin <= at]
    if not begun:
        return Completeness(False, [f"The log's journal begins at {iso(periods[0].begin)}, after {iso(at)}."])
    current = begun[-1]
    run = _run(periods, current)
    asked = _Asked(at, current, run, _faults(periods), _deleted_until(periods, now or datetime.now(UTC)))

    reasons: list[str] = []
    baselines = [each for each in manifests if current.is_of(each) and moment(each["end"]) <= at]
    for manifest in sorted(baselines, key=lambda each: (each["end"], each["id"]), reverse=True):
        watermark = moment(manifest["watermark"])
        found = list(asked.problems(watermark))
        if not found:
            return Completeness(True, [], watermark, manifest)
        reasons = reasons or [f"The baseline {manifest['id']} cannot be used. {' '.join(found)}"]
    if run[0].from_table:
        found = list(asked.problems(run[0].begin))
        if not found:
            return Completeness(True, [], run[0].begin)
        reasons += found
    elif not reasons:
        reasons = [
            f"The log begins at {iso(run[0].begin)}, after the table, and there is no baseline of its stream that "
            f"ended by {iso(at)}: run playbooks/baseline.yml; the state is known from the end of that run on."
        ]
    return Completeness(False, reasons)


def log_faults(view_type: str | None, filters: bool, rules: Sequence[Document], enabled: bool = True) -> list[str]:
    """Why a pipeline that is set up like this does not log every change whole; half sentences, empty for none."""
    found = []
    if view_type is None:
        found.append("the table has no stream")
    elif view_type != WHOLE_VIEW:
        found.append(f"the stream's view type is {view_type}, not {WHOLE_VIEW}")
    if not enabled:
        found.append("the event source mapping is disabled")
    if filters:
        found.append("the event source mapping has filters, and what they hold back is not logged")
    for place, rule in enumerate(rules, 1):
        name = f"the rule {rule['name']}" if rule.get("name") else f"rule {place}"
        sinks = rule.get("sinks")
        if sinks is not None and "audit" not in sinks:
            found.append(f"{name} keeps changes out of the audit log")
        ways = [way for way in ("drop", "mask") if (rule.get("audit") or {}).get(way)]
        if ways:
            found.append(f"{name} {' and '.join(f'{way}s' for way in ways)} attributes in the audit log")
    return found


def rules_kind(rules: Sequence[Document]) -> str:
    """What the rules do to the log, in a word."""
    if not rules:
        return NO_RULES
    return DROPS if log_faults(WHOLE_VIEW, False, rules) else KEEP_ALL


def moment(text: str) -> datetime:
    """A time as the documents have it; ValueError when it is none."""
    return datetime.strptime(text, TIME_FORM).replace(tzinfo=UTC)


def iso(when: datetime) -> str:
    """The same, as the documents have it."""
    return f"{when:{TIME_FORM}}"


@dataclass(frozen=True)
class _Period:
    """A journal entry with the time that it holds for."""

    entry: Document
    #: From when on the log is what the entry says. For a log that begins with its table: when that was made.
    begin: datetime
    from_table: bool
    since: datetime
    #: Until when what was before may still have had an effect.
    settled: datetime

    def is_of(self, other: Document) -> bool:
        """Whether the document is about the same table and stream."""
        return all(self.entry.get(name) == other.get(name) for name in ("tableId", "streamArn"))


@dataclass(frozen=True)
class _Fault:
    """A time in which the log is not complete."""

    begin: datetime
    #: None for a time that goes on.
    end: datetime | None
    reasons: Sequence[str]

    def sentence(self) -> str:
        until = f"to {iso(self.end)}" if self.end else "on"
        return f"From {iso(self.begin)} {until} the log is not complete: {'; '.join(self.reasons)}."


@dataclass(frozen=True)
class _Asked:
    at: datetime
    current: _Period
    run: Sequence[_Period]
    faults: Sequence[_Fault]
    deleted_until: datetime | None

    def problems(self, start: datetime) -> Iterator[str]:
        """Why the log does not have every change from the start to the time that is asked for."""
        first = self.run[0]
        if start < first.begin:
            yield f"It begins at {iso(start)}, and the log goes back without a gap to {iso(first.begin)} only."
        if self.deleted_until and start < self.deleted_until:
            yield (
                f"It begins at {iso(start)}, and the bucket's lifecycle may have deleted what was logged before "
                f"{iso(self.deleted_until)}."
            )
        for fault in self.faults:
            if fault.begin <= self.at and (fault.end is None or fault.end > start):
                yield fault.sentence()


def _periods(entries: Iterable[Document]) -> list[_Period]:
    found: list[_Period] = []
    for entry in sorted(entries, key=lambda each: each["since"]):
        since = moment(entry["since"])
        settled = max(since, moment(entry["settled"])) if entry.get("settled") else since
        # A later entry of the same log says so too, and does not begin it again.
        from_table = bool(entry.get("beginsWithTable")) and (
            not entry.get("continues", True) or not any(each.is_of(entry) for each in found)
        )
        goes_on = bool(found) and _goes_on(found[-1], entry)
        begin = since if goes_on else settled
        if from_table and entry.get("tableCreated"):
            begin = min(since, moment(entry["tableCreated"]))
        found.append(_Period(entry, begin, from_table, since, settled))
    return found


def _goes_on(former: _Period, later: Document) -> bool:
    """Whether the later entry continues the log of the former one without a gap."""
    return later.get("continues", True) and former.is_of(later)


def _run(periods: Sequence[_Period], last: _Period) -> list[_Period]:
    """The entries that lead to the last one without a gap, that one included."""
    place = periods.index(last)
    first = place
    while first > 0 and _goes_on(periods[first - 1], periods[first].entry):
        first -= 1
    return list(periods[first : place + 1])


def _faults(periods: Sequence[_Period]) -> list[_Fault]:
    found = []
    for place, each in enumerate(periods):
        if each.entry.get("complete"):
            continue
        # What waited in the stream is handled by what is deployed, whenever it was made.
        begin = min(each.begin, each.since - timedelta(seconds=each.entry.get("reachesBack") or 0))
        end = periods[place + 1].settled if place + 1 < len(periods) else None
        found.append(_Fault(begin, end, each.entry.get("reasons") or ["the journal does not say why"]))
    return found


def _deleted_until(periods: Sequence[_Period], now: datetime) -> datetime | None:
    """Until when a lifecycle may have deleted changes by now."""
    found = []
    for place, each in enumerate(periods):
        days = each.entry.get("expirationDays")
        if days:
            end = periods[place + 1].since if place + 1 < len(periods) else now
            found.append(min(end, now) - timedelta(days=days))
    return max(found, default=None)
