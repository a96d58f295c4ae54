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
from stream_processor.rules.change import Change as RuleChange
from stream_processor.rules.expression import compile_expression
from stream_processor.rules.values import is_true

from .compaction import WORKERS, Compaction, Outcome, closed_hours, manifests_to_hand_on, mark
from .history.changes import Change
from .history.delivery import Target
from .history.store import Store
from .history.targets import FunctionTarget, QueueTarget, TableTarget, TopicTarget
from .scale.planning import plan
from .scale.request import Request, RequestRefused
from .scale.result import clean, collect
from .scale.room import Room
from .scale.sending import apply
from .scale.splitting import Split, check_slices

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


def replay_plan(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """The slices and the partitions of a replay."""
    told = event["request"]
    room = _room(told.get("replay", {}).get("id", ""))
    planned = plan(
        room, _prefix(), told, slice_objects=int(event["slice_objects"]), concurrency=int(event["concurrency"])
    )
    _say("replay_plan", **planned)
    return planned


def replay_split(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """One slice, split by the hash of its items."""
    room, request = _replay(event)
    told = Split(room, _prefix(), request, _filter(request)).run(event["slice"])
    _say("replay_split", id=request.id, slice=event["slice"], read=told["read"], found=told["findings"]["count"])
    return {}


def replay_check(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """What was read in all, before anything is sent."""
    room, request = _replay(event)
    told = check_slices(room, request)
    _say("replay_check", id=request.id, **told)
    return told


def replay_apply(event: Event, remaining: Callable[[], float]) -> dict[str, Any]:
    """One partition, sent as far as the time goes."""
    room, request = _replay(event)
    workers = min(int(event["concurrency"]), request.partitions)
    told = apply(
        room, request, int(event["partition"]), _target(request), rate=request.rate / workers, remaining=remaining
    )
    _say("replay_apply", id=request.id, partition=event["partition"], **told)
    return told


def replay_collect(event: Event, _remaining: Callable[[], float]) -> dict[str, Any]:
    """The result of all."""
    room, request = _replay(event)
    told = collect(room, request)
    _say("replay_collect", id=request.id, **told)
    return {"id": request.id, **told}


def replay_clean(event: Event, remaining: Callable[[], float]) -> dict[str, Any]:
    """Away with what lay between."""
    return clean(_room(event["id"]), remaining)


def _room(replay_id: str, locked: bool = False) -> Room:
    return Room(_store(), _client("s3"), replay_id, locked)


def _replay(event: Event) -> tuple[Room, Request]:
    told = _room(event["id"]).read_json("request.json")
    if told is None:
        raise RequestRefused(f"There is no replay {event['id']} that was begun.")
    request = Request.read(told)
    return _room(request.id, request.locked), request


def _filter(request: Request) -> Callable[[Change], bool]:
    evaluate = compile_expression(request.match) if request.match else None

    def wanted(change: Change) -> bool:
        if request.event_names and change.event_name not in request.event_names:
            return False
        return evaluate is None or is_true(evaluate(RuleChange(change.envelope)))

    return wanted


def _target(request: Request) -> Target:
    told, marker = request.target, request.marker
    if told["kind"] == "function":
        return FunctionTarget(
            _client("lambda"),
            told["function_name"],
            told.get("qualifier"),
            int(told.get("batch_size") or 100),
            marker,
            bool(told.get("notify")),
        )
    if told["kind"] == "queue":
        return QueueTarget(_client("sqs"), told["queue_url"], _store().bucket, marker)
    if told["kind"] == "topic":
        return TopicTarget(_client("sns"), told["topic_arn"], _store().bucket, marker)
    return TableTarget(_client("dynamodb"), told["table"])


_STEPS: dict[str, Callable[[Event, Callable[[], float]], Any]] = {
    "compact_plan": compact_plan,
    "compact_hour": compact_hour,
    "handed_on": handed_on,
    "compact_report": compact_report,
    "replay_plan": replay_plan,
    "replay_split": replay_split,
    "replay_check": replay_check,
    "replay_apply": replay_apply,
    "replay_collect": replay_collect,
    "replay_clean": replay_clean,
}


@cache
def _client(service: str) -> Any:
    """Invocations are never repeated by the client, which cannot know whether they ran; all else is."""
    if service == "lambda":
        return boto3.client(service, config=Config(read_timeout=900, retries={"total_max_attempts": 1}))
    return boto3.client(
        service, config=Config(max_pool_connections=WORKERS, retries={"mode": "standard", "total_max_attempts": 8})
    )


@cache
def _store() -> Store:
    return Store(_client("s3"), os.environ["AUDIT_BUCKET"])


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
