# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A CloudWatch dashboard: what its body may not be, what is, and the write that leads to what is asked. Pure.

A dashboard's state is a dict: dashboard_name, dashboard_arn (unknown until it is there), body (as data, not as text).

The rules are those of these pages. Of widgets only metric, text and alarm are looked into; the other types, of which
CloudWatch gets new ones from time to time, are for CloudWatch to judge.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Dashboard-Body-Structure.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .plan import Plan, Step

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_WIDGETS_MOST = 500
_VARIABLES_MOST = 25
_ALARMS_MOST = 100
_METRICS_MOST = 500
_METRICS_OF_ALL_MOST = 2500
#: Lowest and highest of what places a widget; None: no limit.
_GRID: dict[str, tuple[int, int | None]] = {"x": (0, 23), "y": (0, None), "width": (1, 24), "height": (1, 1000)}
_PERIOD_OVERRIDES = ("auto", "inherit")


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    found = []
    name = options["name"]
    if not _NAME.fullmatch(name):
        found.append(f"name is {name!r}; give 1 to 255 letters, digits, hyphens and underscores.")
    if options["state"] == "present":
        found += _body(options["body"])
    return found


def parsed(text: str) -> Any:
    """The data that JSON text stands for; ValueError when it is none."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dashboard_state(answer: dict[str, Any]) -> dict[str, Any]:
    """What GetDashboard answers, as the state of a dashboard. A body that is no JSON stays text."""
    text = answer["DashboardBody"]
    try:
        body = parsed(text)
    except ValueError:
        body = text
    return {"dashboard_name": answer["DashboardName"], "dashboard_arn": answer["DashboardArn"], "body": body}


def plan(current: dict[str, Any] | None, options: dict[str, Any]) -> Plan:
    """What to write, so that the dashboard becomes what is asked. CloudWatch replaces a body as a whole."""
    before, name = current or {}, options["name"]
    if options["state"] == "absent":
        return Plan(before, {}, (Step("delete_dashboards", {"DashboardNames": [name]}),) if current else ())
    body = parsed(options["body"])
    if current and _canonical(current["body"]) == _canonical(body):
        return Plan(before, before)
    request = {"DashboardName": name, "DashboardBody": json.dumps(body, separators=(",", ":"))}
    return Plan(before, {**before, "dashboard_name": name, "body": body}, (Step("put_dashboard", request),))


def _canonical(body: Any) -> str:
    """Equal for bodies that say the same. Python holds 1 for true, and CloudWatch does not."""
    return json.dumps(body, sort_keys=True)


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no number there")


def _body(text: str) -> list[str]:
    try:
        body = parsed(text)
    except ValueError as exc:
        return [f"body is not JSON: {exc}."]
    if not isinstance(body, dict) or not isinstance(body.get("widgets"), list):
        return ['body must be an object with the list widgets, which may be empty: {"widgets": []}.']
    found = _settings(body)
    for index, widget in enumerate(body["widgets"]):
        found += [f"body.widgets[{index}]{problem}" for problem in _widget(widget)]
    metrics = sum(_metric_count(widget) for widget in body["widgets"])
    if metrics > _METRICS_OF_ALL_MOST:
        found.append(f"body has {metrics} metrics in all its widgets; CloudWatch takes at most {_METRICS_OF_ALL_MOST}.")
    return found


def _settings(body: dict[str, Any]) -> list[str]:
    """What is wrong beside the widgets."""
    found = []
    if len(body["widgets"]) > _WIDGETS_MOST:
        found.append(f"body has {len(body['widgets'])} widgets; CloudWatch takes at most {_WIDGETS_MOST}.")
    variables = body.get("variables", [])
    if not isinstance(variables, list) or len(variables) > _VARIABLES_MOST:
        found.append(f"body.variables must be a list of at most {_VARIABLES_MOST} variables.")
    if "end" in body and "start" not in body:
        found.append("body has end without start; give both, or start alone for a range that ends now.")
    override = body.get("periodOverride", "auto")
    if override not in _PERIOD_OVERRIDES:
        found.append(f"body.periodOverride is {override!r}; use one of {', '.join(_PERIOD_OVERRIDES)}.")
    return found


def _widget(widget: Any) -> list[str]:
    """What is wrong with one widget; each sentence goes on after the widget's place in the body."""
    if not isinstance(widget, dict):
        return [" must be an object."]
    found = _place(widget)
    kind, properties = widget.get("type"), widget.get("properties")
    if not isinstance(kind, str) or not kind:
        found.append(" has no type; give one, such as metric, text or alarm.")
    elif not isinstance(properties, dict):
        found.append(" has no properties; every widget needs an object of them.")
    elif kind in _PROPERTIES:
        found += [f".properties{problem}" for problem in _PROPERTIES[kind](properties)]
    return found


def _place(widget: dict[str, Any]) -> list[str]:
    found = []
    for member, (lowest, highest) in _GRID.items():
        value = widget.get(member, lowest)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and value >= lowest and (highest is None or value <= highest):
            continue
        asked = f"{lowest} or higher" if highest is None else f"from {lowest} to {highest}"
        found.append(f".{member} is {value!r}; give a whole number {asked}.")
    if ("x" in widget) != ("y" in widget):
        found.append(" has only one of x and y; give both, or neither for the next free place.")
    return found


def _of_metric(properties: dict[str, Any]) -> list[str]:
    found = []
    if not isinstance(properties.get("region"), str):
        found.append(".region is missing; a metric widget needs the region of its metrics.")
    if "metrics" not in properties and "annotations" not in properties:
        found.append(" has neither metrics nor annotations; give one of them.")
    metrics = properties.get("metrics", [])
    if not isinstance(metrics, list) or not all(isinstance(each, list) and each for each in metrics):
        found.append('.metrics must be a list of lists, such as [["AWS/Lambda", "Errors", "FunctionName", "orders"]].')
    elif len(metrics) > _METRICS_MOST:
        found.append(f".metrics has {len(metrics)} members; CloudWatch takes at most {_METRICS_MOST}.")
    return found


def _of_text(properties: dict[str, Any]) -> list[str]:
    return [] if isinstance(properties.get("markdown"), str) else [".markdown is missing; a text widget needs it."]


def _of_alarm(properties: dict[str, Any]) -> list[str]:
    alarms = properties.get("alarms")
    if isinstance(alarms, list) and 1 <= len(alarms) <= _ALARMS_MOST:
        return []
    return [f".alarms must be a list of 1 to {_ALARMS_MOST} ARNs of alarms."]


_PROPERTIES: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "metric": _of_metric,
    "text": _of_text,
    "alarm": _of_alarm,
}


def _metric_count(widget: Any) -> int:
    """How many metrics and expressions a widget shows; 0 where it is none that could."""
    properties = widget.get("properties") if isinstance(widget, dict) and widget.get("type") == "metric" else None
    metrics = properties.get("metrics") if isinstance(properties, dict) else None
    return len(metrics) if isinstance(metrics, list) else 0
