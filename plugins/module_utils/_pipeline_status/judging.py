# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of a pipeline, judged: a state, and each reason for it in words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

OK, ABSENT, ATTENTION, BROKEN, UNKNOWN = "ok", "absent", "attention", "broken", "unknown"

#: Without these no change gets to its place.
_NEEDED = ("table", "function", "event source mapping", "audit bucket", "failure queue", "failure bucket")
#: What a teardown keeps.
_KEPT = ("table", "audit bucket", "failure bucket")
#: What Lambda says of a mapping that has nothing to complain of.
_GOOD_RESULTS = ("", "OK", "No records processed")
_TRANSITIONS = ("Creating", "Enabling", "Updating", "Disabling", "Deleting")

Reason = dict[str, str]


def judge(seen: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, list[Reason]]:
    """The state, and the reasons for it, the worst first."""
    if is_absent(seen, wanted):
        return ABSENT, [_because(ABSENT, _absence(seen, wanted))]
    return weighed(list(_reasons(seen, wanted)))


def weighed(reasons: list[Reason]) -> tuple[str, list[Reason]]:
    """The worst of the reasons' states, and the reasons in its order."""
    order = (UNKNOWN, BROKEN, ATTENTION, ABSENT)
    ordered = sorted(reasons, key=lambda reason: order.index(reason["state"]))
    return (ordered[0]["state"] if ordered else OK), ordered


def is_absent(seen: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a deploy has yet to come: nothing is there but what a teardown keeps or someone else owns."""
    gone = {"function", "event source mapping", *(["failure queue"] if wanted["failure_queue_url"] else [])}
    return gone <= set(seen["missing"]) and not seen["alarms"]


def _absence(seen: dict[str, Any], wanted: dict[str, Any]) -> str:
    gone = {*seen["missing"], *(each["resource"] for each in seen["unreadable"])}
    kept = [name for name in _KEPT if name not in gone and (name != "failure bucket" or wanted["failure_bucket"])]
    return "it is not deployed" + (f"; there is the {' and the '.join(kept)}" if kept else "")


def _reasons(seen: dict[str, Any], wanted: dict[str, Any]) -> Iterator[Reason]:
    for each in seen["unreadable"]:
        yield _because(ATTENTION, f"the {each['resource']} could not be read: {each['reason']}")
    for name in seen["missing"]:
        yield _because(BROKEN if name in _NEEDED else ATTENTION, f"the {name} is missing")
    if seen["table"]:
        yield from _table(seen["table"])
    if seen["event_source_mapping"]:
        yield from _mapping(seen["event_source_mapping"], wanted["enabled"])
    if seen["function"]:
        yield from _function(seen["function"])
    yield from _metrics(seen["metrics"], wanted)
    yield from _failures(seen, wanted)
    for alarm in seen["alarms"]:
        if alarm["state"] == "ALARM":
            since = f" since {alarm['since']}" if alarm["since"] else ""
            yield _because(ATTENTION, f"the alarm {alarm['name']} is in ALARM{since}: {alarm['reason']}")
        if not alarm["actions_enabled"]:
            yield _because(ATTENTION, f"the alarm {alarm['name']} tells nobody: its actions are switched off")


def _table(table: dict[str, Any]) -> Iterator[Reason]:
    if not table["stream_arn"]:
        yield _because(BROKEN, "the table's stream is off: its changes go nowhere")
    if table["status"] != "ACTIVE":
        yield _because(ATTENTION, f"the table is {table['status']}")


def _mapping(mapping: dict[str, Any], enabled: bool) -> Iterator[Reason]:
    state, why = mapping["state"], mapping["state_transition_reason"]
    if mapping["on_the_tables_stream"] is False:
        yield _because(BROKEN, "the event source mapping reads a former stream of the table")
    if mapping["count"] > 1:
        yield _because(ATTENTION, f"the function has {mapping['count']} event source mappings on this stream")
    if state in _TRANSITIONS:
        yield _because(ATTENTION, f"the event source mapping is {state}")
    elif (state == "Enabled") != enabled:
        asked = "enabled" if enabled else "disabled"
        grade = BROKEN if enabled else ATTENTION
        yield _because(grade, f"the event source mapping is {state}, and should be {asked}{why and f' ({why})'}")
    result = mapping["last_processing_result"]
    if result not in _GOOD_RESULTS:
        yield _because(BROKEN, f"the event source mapping's last result: {result}")


def _function(function: dict[str, Any]) -> Iterator[Reason]:
    if not function["qualifier_is_there"]:
        called = f"{function['name']}:{function['qualifier']}"
        yield _because(BROKEN, f"the event source mapping calls {called}, which is not there")
    # Inactive: Lambda has put a function to rest that was not called for weeks, and wakes it with the next call.
    if function["state"] not in ("Active", "Inactive"):
        why = function["state_reason"]
        grade = ATTENTION if function["state"] == "Pending" else BROKEN
        yield _because(grade, f"the function is {function['state']}{why and f': {why}'}")
    if function["last_update_status"] != "Successful":
        why = function["last_update_status_reason"]
        yield _because(ATTENTION, f"the function's last update is {function['last_update_status']}{why and f': {why}'}")


def _metrics(metrics: dict[str, Any], wanted: dict[str, Any]) -> Iterator[Reason]:
    span = f"in the last {metrics['minutes']} minutes"
    if metrics["dropped"]:
        yield _because(BROKEN, f"Lambda dropped {metrics['dropped']} changes without a failure record {span}")
    if metrics["delivery_failures"]:
        count = metrics["delivery_failures"]
        yield _because(BROKEN, f"Lambda could not deliver failure records {span} ({count} failures)")
    age, limit = metrics["iterator_age_ms"], wanted["iterator_age_limit"]
    if age is not None and limit and age >= limit * 1000:
        yield _because(
            ATTENTION, f"the function is {age / 1000:.0f} s behind the stream, and {limit} s is the alarm's limit"
        )


def _failures(seen: dict[str, Any], wanted: dict[str, Any]) -> Iterator[Reason]:
    queue, age = seen["failure_queue"], seen["metrics"]["oldest_failure_seconds"]
    waiting = sum(queue.values()) if queue else 0
    if waiting:
        oldest = f", the oldest for {age:.0f} s" if age else ""
        yield _because(ATTENTION, f"{waiting} messages wait in the failure queue{oldest}: run playbooks/redrive.yml")
    if (seen["failure_bucket"] or {}).get("holds_failures"):
        yield _because(ATTENTION, "the failure bucket holds failure records: run playbooks/redrive.yml")


def _because(state: str, reason: str) -> Reason:
    return {"state": state, "reason": reason}
