# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The function: one step of a state machine an invocation. The step's work is elsewhere; here are AWS and the clock."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from .compaction import WORKERS, Compaction, Outcome, closed_hours, manifests_to_hand_on, mark
from .history.store import Store

#: Of the disk that is free, a generation's changes may take so much: they lie there sorted, packed and read back.
_SHARE_OF_DISK = 4
#: Hours of one execution. What is beyond is for the next one.
_MOST_HOURS = 1000
#: What is added up over the runs for an hour.
_COUNTS = ("changes", "sources", "removed", "left", "orphans", "damaged", "conflicting")

Event = dict[str, Any]


class CompactionIncomplete(Exception):
    """Something in the log could not be compacted; the log of the function names it."""


def lambda_handler(event: Event, context: Any) -> Any:
    step = _STEPS.get(event.get("step", ""))
    if step is None:
        raise ValueError(f"step is {event.get('step')!r}; it must be one of {', '.join(sorted(_STEPS))}.")
    return step(event, lambda: context.get_remaining_time_in_millis() / 1000)


def compact_plan(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """The hours that there is something to compact in."""
    told = event.get("input") or {}
    now = datetime.now(UTC)
    closed = now - timedelta(hours=1, minutes=int(event["delay_minutes"]))
    end = min(_moment(told, "to") or closed, closed)
    start = _moment(told, "from") or end - timedelta(hours=int(event["lookback_hours"]))
    found = closed_hours(_store(), _prefix(), start, end, hand_on=bool(event.get("hand_on")), now=now)
    hours = [hour for _place, hour in zip(range(_MOST_HOURS), found, strict=False)]
    _say("compact_plan", start=start.isoformat(), end=end.isoformat(), hours=len(hours))
    return {"hours": hours}


def compact_hour(event: Event, remaining: Callable[[], float]) -> dict[str, Any]:
    """One run for one hour, added to what the runs before it did."""
    hour, so_far = event["hour"], event.get("so_far") or {}
    if not hour.startswith(_prefix()):
        raise ValueError(f"hour is {hour!r}, which is not below {_prefix()}.")
    compaction = Compaction(
        _store(),
        _prefix(),
        hour,
        keep_sources=bool(event.get("keep_sources")),
        max_sources=int(event["max_sources"]),
        max_bytes=shutil.disk_usage(tempfile.gettempdir()).free // _SHARE_OF_DISK,
        remaining=remaining,
    )
    outcome = compaction.run(so_far.get("after", ""))
    _say("compact_hour", hour=hour, **_told(outcome))
    counts = {name: so_far.get(name, 0) + getattr(outcome, name) for name in _COUNTS}
    handed = manifests_to_hand_on(_store(), hour) if outcome.done and event.get("hand_on") else []
    return {"done": outcome.done, "after": outcome.after, **counts, "manifests": handed}


def handed_on(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """Remember that a manifest was handed on."""
    _store().put(mark(event["manifest"]), b"{}\n")
    return {}


def compact_report(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """What the execution did in all. It fails where something was not compacted, so that the alarm goes off."""
    hours = event["hours"]
    totals = {name: sum(each.get(name, 0) for each in hours) for name in _COUNTS}
    failed = [each["hour"] for each in hours if "error" in each]
    wrong = [each["hour"] for each in hours if each.get("damaged") or each.get("conflicting")]
    _say("compact_report", hours=len(hours), failed=failed, wrong=wrong, **totals)
    if failed or wrong:
        parts = [f"{len(failed)} hours failed, the first is {failed[0]}"] if failed else []
        parts += [f"{len(wrong)} hours hold damaged or conflicting objects, the first is {wrong[0]}"] if wrong else []
        raise CompactionIncomplete("; ".join(parts))
    return {"hours": len(hours), **totals}


_STEPS: dict[str, Callable[[Event, Callable[[], float]], Any]] = {
    "compact_plan": compact_plan,
    "compact_hour": compact_hour,
    "handed_on": handed_on,
    "compact_report": compact_report,
}


@cache
def _store() -> Store:
    config = Config(max_pool_connections=WORKERS, retries={"mode": "standard", "total_max_attempts": 8})
    return Store(boto3.client("s3", config=config), os.environ["AUDIT_BUCKET"])


def _prefix() -> str:
    return os.environ["AUDIT_PREFIX"]


def _moment(told: dict[str, Any], name: str) -> datetime | None:
    text = told.get(name)
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0):
        raise ValueError(f"{name} is {text!r}; give a moment in ISO 8601 and UTC, such as '2026-01-31T08:00:00Z'.")
    return moment


def _told(outcome: Outcome) -> dict[str, Any]:
    return {name: value for name, value in vars(outcome).items() if value not in (0, "", None, {})}


def _say(step: str, **what: Any) -> None:
    print(json.dumps({"step": step, **what}, sort_keys=True))  # noqa: T201
