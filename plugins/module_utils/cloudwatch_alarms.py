# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A set of CloudWatch alarms: what they may not be, what they are, and the writes that lead to what is asked. Pure.

The state of an alarm is a dict with the options' names, and alarm_arn and tags; that of a set, a dict of these by name.

The rules are those of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from .comparing import ansible_dict_to_boto3_tag_list, compare_aws_tags
from .plan import Plan, Step

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
COMPARISONS = (
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold",
)  # fmt: skip
MISSING_DATA = ("breaching", "notBreaching", "ignore", "missing")
#: Options of one alarm that PutMetricAlarm takes as they are.
_FIELDS = {
    "description": "AlarmDescription",
    "namespace": "Namespace",
    "metric_name": "MetricName",
    "statistic": "Statistic",
    "extended_statistic": "ExtendedStatistic",
    "unit": "Unit",
    "comparison": "ComparisonOperator",
    "threshold": "Threshold",
    "period": "Period",
    "evaluation_periods": "EvaluationPeriods",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "treat_missing_data": "TreatMissingData",
    "actions_enabled": "ActionsEnabled",
    "alarm_actions": "AlarmActions",
    "ok_actions": "OKActions",
    "insufficient_data_actions": "InsufficientDataActions",
}
_NEEDED = ("namespace", "metric_name", "comparison", "threshold", "period")
_ACTIONS = ("alarm_actions", "ok_actions", "insufficient_data_actions")
_DIMENSIONS_MOST = 30
_ACTIONS_MOST = 5
_NAME_MOST = 255
_DESCRIPTION_MOST = 1024
_SHORT_PERIODS = (10, 20, 30)
_A_DAY = 86_400
_A_WEEK = 7 * _A_DAY
_EXTENDED = re.compile(r"(p(100|\d{1,2}(\.\d{1,10})?)|IQM|(tm|wm|tc|ts|TM|WM|TC|TS|PR)[\d.(:%)]+)")
#: Alarms that one DescribeAlarms or DeleteAlarms takes.
MOST = 100


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    alarms = options["alarms"]
    found = [f"alarms[{index}]{each}" for index, alarm in enumerate(alarms) for each in _name(alarm["name"])]
    for name, count in Counter(alarm["name"] for alarm in alarms).items():
        if count > 1:
            found.append(f"alarms has {count} alarms with the name {name}; a name is one alarm.")
    if options["state"] == "present":
        found += [
            f"alarms[{index}] ({alarm['name']}){each}" for index, alarm in enumerate(alarms) for each in _of(alarm)
        ]
    return found


def alarm_state(answer: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """An alarm of DescribeAlarms, as the state of an alarm. ``tags`` are asked for apart."""
    return {
        "name": answer["AlarmName"],
        "alarm_arn": answer["AlarmArn"],
        **{option: _normal(option, answer.get(member)) for option, member in _FIELDS.items()},
        "dimensions": {each["Name"]: each["Value"] for each in answer.get("Dimensions", [])},
        "tags": tags,
    }


def plan(current: dict[str, dict[str, Any]], options: dict[str, Any]) -> Plan:
    """What to write, so that the alarms become what is asked. CloudWatch replaces an alarm as a whole."""
    if options["state"] == "absent":
        names = sorted(current)
        steps = [Step("delete_alarms", {"AlarmNames": names[at : at + MOST]}) for at in range(0, len(names), MOST)]
        return Plan(current, {}, tuple(steps))
    after, steps = {}, []
    for alarm in options["alarms"]:
        name = alarm["name"]
        after[name], further = _plan_one(current.get(name), alarm, options)
        steps += further
    return Plan(current, after, tuple(steps))


def _plan_one(
    current: dict[str, Any] | None, alarm: dict[str, Any], options: dict[str, Any]
) -> tuple[dict[str, Any], list[Step]]:
    wanted = {"name": alarm["name"], **{option: _normal(option, alarm[option]) for option in _FIELDS}}
    wanted["dimensions"] = {key: str(value) for key, value in (alarm["dimensions"] or {}).items()}
    tags = options["tags"]
    if not current:
        # Tags go into the call that makes the alarm; later ones there are ignored.
        return {**wanted, "tags": tags or {}}, [Step("put_metric_alarm", _request(wanted, tags or {}))]
    steps, after = [], {**current, **wanted}
    if {**after, "tags": current["tags"]} != current:
        steps.append(Step("put_metric_alarm", _request(wanted, {})))
    if tags is not None:
        to_set, to_remove = compare_aws_tags(current["tags"], tags, options["purge_tags"])
        kept = {key: value for key, value in current["tags"].items() if key not in to_remove}
        after["tags"] = {**kept, **to_set}
        # Removed first: a resource has 50 tags at most.
        if to_remove:
            steps.append(Step("untag_resource", {"ResourceARN": current["alarm_arn"], "TagKeys": sorted(to_remove)}))
        if to_set:
            steps.append(
                Step(
                    "tag_resource",
                    {"ResourceARN": current["alarm_arn"], "Tags": ansible_dict_to_boto3_tag_list(to_set)},
                )
            )
    return after, steps


def _request(wanted: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    request = {"AlarmName": wanted["name"]}
    request |= {member: wanted[option] for option, member in _FIELDS.items() if wanted[option] not in (None, "", [])}
    if wanted["dimensions"]:
        request["Dimensions"] = [{"Name": name, "Value": value} for name, value in wanted["dimensions"].items()]
    if tags:
        request["Tags"] = ansible_dict_to_boto3_tag_list(tags)
    return request


def _normal(option: str, value: Any) -> Any:
    """The same value for what CloudWatch holds for the same."""
    if option in _ACTIONS:
        return sorted(value or [])
    if option == "description":
        return value or ""
    if option == "treat_missing_data":
        return value or "missing"
    if option == "actions_enabled":
        return value is not False
    return float(value) if option == "threshold" and value is not None else value


def _name(name: str) -> list[str]:
    if 1 <= len(name) <= _NAME_MOST and name.isprintable():
        return []
    return [f".name is {name!r}; give 1 to {_NAME_MOST} printable characters."]


def _of(alarm: dict[str, Any]) -> list[str]:
    """What is wrong with one alarm; each sentence goes on after the alarm's place."""
    found = [f" has no {option}; an alarm needs it." for option in _NEEDED if alarm[option] in (None, "")]
    if (alarm["statistic"] is None) == (alarm["extended_statistic"] is None):
        found.append(" needs one of statistic and extended_statistic.")
    extended = alarm["extended_statistic"]
    if extended is not None and not _EXTENDED.fullmatch(extended):
        found.append(f" has extended_statistic {extended!r}; give a percentile such as p99 or p99.9, or tm90, IQM …")
    found += _periods(alarm)
    if len(alarm["dimensions"] or {}) > _DIMENSIONS_MOST:
        found.append(f" has {len(alarm['dimensions'])} dimensions; CloudWatch takes at most {_DIMENSIONS_MOST}.")
    for option in _ACTIONS:
        if len(alarm[option] or []) > _ACTIONS_MOST:
            found.append(f" has {len(alarm[option])} {option}; CloudWatch takes at most {_ACTIONS_MOST}.")
    if len(alarm["description"] or "") > _DESCRIPTION_MOST:
        found.append(f" has a description of more than {_DESCRIPTION_MOST} characters; CloudWatch takes no longer one.")
    return found


def _periods(alarm: dict[str, Any]) -> list[str]:
    found = []
    period, count, datapoints = alarm["period"], alarm["evaluation_periods"], alarm["datapoints_to_alarm"]
    if count < 1:
        return [f" has evaluation_periods {count}; give 1 or more."]
    if datapoints is not None and not 1 <= datapoints <= count:
        found.append(f" has datapoints_to_alarm {datapoints}; give 1 to evaluation_periods, which is {count}.")
    if period is None:
        return found
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        found.append(f" has period {period}; give 10, 20, 30 or a multiple of 60 seconds.")
    else:
        longest = _A_DAY if period < 3600 else _A_WEEK
        if period * count > longest:
            found.append(
                f" looks back {period * count} seconds; with periods of {period} CloudWatch takes {longest} at most."
            )
    return found
