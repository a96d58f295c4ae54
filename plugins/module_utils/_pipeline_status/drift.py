# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy would change, read from the results of its tasks in check mode. Pure.

Of what differs only names are told, and values that cannot be a secret: numbers, yes and no, and AWS's own words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .judging import ABSENT, ATTENTION, UNKNOWN, Reason, weighed

#: AWS's words for a choice, such as PAY_PER_REQUEST.
_WORD = re.compile(r"[A-Z][A-Z_]{2,40}")
#: Below these, even a number can be a secret.
_SECRET = re.compile(r"environment|variables|secret|token|password", re.IGNORECASE)
#: More differences of one resource are only counted.
_MOST = 20
_NOTHING = object()


def with_drift(status: dict[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """The status of a pipeline with its drift. ``results``: the registered result of each resource's task, by name."""
    if status["state"] == ABSENT:
        return {**status, "drift": [], "unreadable": status["unreadable"]}
    drift, unreadable = drift_of(results), errors_of(results)
    reasons: list[Reason] = list(status["reasons"])
    if drift:
        named = ", ".join(_named(each) for each in drift)
        reasons.append({"state": ATTENTION, "reason": f"playbooks/deploy.yml would change: {named}"})
    reasons += [
        {"state": ATTENTION, "reason": f"the {each['resource']} could not be compared: {each['reason']}"}
        for each in unreadable
    ]
    state, ordered = weighed(reasons)
    return {
        **status,
        "state": state,
        "reasons": ordered,
        "drift": drift,
        "unreadable": status["unreadable"] + unreadable,
    }


def unknown(reason: str) -> dict[str, Any]:
    """The status of a pipeline that could not be asked at all."""
    return {"state": UNKNOWN, "reasons": [{"state": UNKNOWN, "reason": reason}]}


def drift_of(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resources that would change, each with what differs as far as its module tells."""
    return [
        {"resource": resource, "name": name, "differs": _differences(result)}
        for resource, name, result in _each(results)
        if result.get("changed") and not result.get("failed")
    ]


def errors_of(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """The resources whose task failed, with the reason."""
    return [
        {"resource": resource, "reason": _one_line(str(result.get("msg", "no reason was given")))}
        for resource, _name, result in _each(results)
        if result.get("failed")
    ]


def _each(results: Mapping[str, Any]) -> Iterator[tuple[str, str | None, Mapping[str, Any]]]:
    """Resource, name and result; of a loop, each turn's."""
    for resource, result in results.items():
        if not isinstance(result, Mapping):
            continue
        turns = result.get("results")
        if isinstance(turns, list) and turns:
            for turn in turns:
                item = turn.get("item")
                name = item.get("name") if isinstance(item, Mapping) else item
                yield resource, None if name is None else str(name), turn
        else:
            yield resource, None, result


def _named(drift: dict[str, Any]) -> str:
    what = f"{drift['resource']} {drift['name']}" if drift["name"] else drift["resource"]
    return f"{what} ({'; '.join(drift['differs'])})" if drift["differs"] else what


def _differences(result: Mapping[str, Any]) -> list[str]:
    diffs = result.get("diff") or []
    found: list[str] = []
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(diff, Mapping) or "before" not in diff or "after" not in diff:
            continue
        before, after = _data(diff["before"]), _data(diff["after"])
        if before in ({}, "", None):
            return ["missing"]
        found += _compared(before, after, "")
    rest = len(found) - _MOST
    return [*found[:_MOST], *([f"and {rest} more"] if rest > 0 else [])]


def _data(side: Any) -> Any:
    """Some modules hand out their diff as text."""
    if isinstance(side, str):
        try:
            return json.loads(side)
        except ValueError:
            return side
    return side


def _compared(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}, key=str):
            yield from _compared(
                before.get(key, _NOTHING), after.get(key, _NOTHING), f"{path}.{key}" if path else str(key)
            )
    elif before is _NOTHING and isinstance(after, Mapping):
        yield f"{path}: missing"
    elif before != after or isinstance(before, bool) != isinstance(after, bool):
        shown = [_shown(path, value) for value in (before, after)]
        yield f"{path}: {shown[0]}, should be {shown[1]}" if None not in shown else path or "its content"


def _shown(path: str, value: Any) -> str | None:
    """The value as text; None for one that is not told."""
    if value is _NOTHING or value is None:
        return "nothing"
    if _SECRET.search(path):
        return None
    if isinstance(value, (bool, int, float)) or (isinstance(value, str) and _WORD.fullmatch(value)):
        return json.dumps(value) if not isinstance(value, str) else value
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
