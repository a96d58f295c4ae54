# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state machine of Step Functions and the schedule that starts it: what is, and the writes between. Pure.

The state is a dict: name, definition (as data), role_arn, kms_key_arn ('' for AWS's own key), tags, and schedule where
it was asked about: {} where there is none, else name, expression, enabled, role_arn, target_arn, input, tags.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .comparing import ansible_dict_to_boto3_tag_list, compare_aws_tags
from .plan import Plan, Step

#: https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
#: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html
_RULE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EXPRESSION = re.compile(r"(rate|cron)\(.+\)")
#: The one target of the schedule's rule.
TARGET_ID = "state-machine"
#: For how long a data key of the customer's key is used again, in seconds: the longest, for the fewest calls to KMS.
_REUSE_SECONDS = 900


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    found = []
    if not _NAME.fullmatch(options["name"]):
        found.append(f"name is {options['name']!r}; give 1 to 80 letters, digits, hyphens and underscores.")
    schedule = options.get("schedule") or {}
    if schedule and not _RULE.fullmatch(schedule["name"]):
        found.append(f"schedule.name is {schedule['name']!r}; give 1 to 64 letters, digits and any of ._-")
    if options["state"] == "absent":
        return found
    found += _definition(options["definition"])
    expression = schedule.get("expression")
    if expression and not _EXPRESSION.fullmatch(expression):
        found.append(
            f"schedule.expression is {expression!r}; give one as EventBridge takes it, such as rate(1 hour) or"
            " cron(15 * * * ? *), or nothing for no schedule."
        )
    if expression and not schedule.get("role_arn"):
        found.append("schedule.role_arn is missing; EventBridge starts the state machine in a role.")
    return found


def _definition(text: str) -> list[str]:
    try:
        definition = json.loads(text)
    except ValueError as exc:
        return [f"definition is not JSON: {exc}."]
    if not isinstance(definition, dict) or not isinstance(definition.get("States"), dict):
        return ["definition must be an object in the Amazon States Language, with StartAt and States."]
    if definition.get("StartAt") not in definition["States"]:
        return [f"definition.StartAt is {definition.get('StartAt')!r}, which is none of its States."]
    return []


def state_machine_arn(partition: str, region: str, account_id: str, name: str) -> str:
    return f"arn:{partition}:states:{region}:{account_id}:stateMachine:{name}"


def rule_arn(partition: str, region: str, account_id: str, name: str) -> str:
    return f"arn:{partition}:events:{region}:{account_id}:rule/{name}"


def machine_state(answer: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """What DescribeStateMachine answers, as a state without its schedule."""
    return {
        "name": answer["name"],
        "definition": _parsed(answer["definition"]),
        "role_arn": answer["roleArn"],
        "kms_key_arn": (answer.get("encryptionConfiguration") or {}).get("kmsKeyId") or "",
        "tags": tags,
    }


def schedule_state(rule: dict[str, Any], targets: list[dict[str, Any]], tags: dict[str, str]) -> dict[str, Any]:
    """What EventBridge answers for a rule, as the state of a schedule."""
    target = next((each for each in targets if each["Id"] == TARGET_ID), {})
    return {
        "name": rule["Name"],
        "expression": rule.get("ScheduleExpression", ""),
        "enabled": rule.get("State") == "ENABLED",
        "role_arn": target.get("RoleArn", ""),
        "target_arn": target.get("Arn", ""),
        "input": target.get("Input", ""),
        "tags": tags,
    }


def plan(current: dict[str, Any] | None, options: dict[str, Any], arn: str, rule: str) -> Plan:
    """The writes that make the state machine and its schedule what is asked. What is not asked for stays as it is."""
    before = current or {}
    machine = {name: value for name, value in before.items() if name != "schedule"}
    schedule = before.get("schedule")
    if options["state"] == "absent":
        return Plan(before, {}, tuple(_unscheduled(schedule) + _deleted(machine, arn)))
    after, steps = _machine(machine, options, arn)
    if options.get("schedule"):
        after["schedule"], scheduling = _schedule(schedule or {}, options, arn, rule)
        steps += scheduling
    return Plan(before, after, tuple(steps))


def _deleted(machine: dict[str, Any], arn: str) -> list[Step]:
    return [Step("states.delete_state_machine", {"stateMachineArn": arn})] if machine else []


def _unscheduled(schedule: dict[str, Any] | None) -> list[Step]:
    if not schedule:
        return []
    targets = [Step("events.remove_targets", {"Rule": schedule["name"], "Ids": [TARGET_ID]})]
    return (targets if schedule["target_arn"] else []) + [Step("events.delete_rule", {"Name": schedule["name"]})]


def _machine(before: dict[str, Any], options: dict[str, Any], arn: str) -> tuple[dict[str, Any], list[Step]]:
    definition, key, tags = json.loads(options["definition"]), options.get("kms_key_arn"), options.get("tags")
    after = {
        **before,
        "name": options["name"],
        "definition": definition,
        "role_arn": options["role_arn"],
        "kms_key_arn": before.get("kms_key_arn", "") if key is None else key,
    }
    request = {
        "definition": json.dumps(definition, separators=(",", ":")),
        "roleArn": options["role_arn"],
        **(_encryption(key) if key is not None and key != before.get("kms_key_arn", "") else {}),
    }
    if not before:
        given = ansible_dict_to_boto3_tag_list(tags or {}, tag_name_key_name="key", tag_value_key_name="value")
        return {**after, "tags": tags or {}}, [
            Step(
                "states.create_state_machine",
                {"name": options["name"], **request, **({"tags": given} if given else {})},
            )
        ]
    steps = []
    if any(after[name] != before[name] for name in ("definition", "role_arn", "kms_key_arn")):
        steps.append(Step("states.update_state_machine", {"stateMachineArn": arn, **request}))
    after["tags"], added, removed = _tags(before["tags"], options)
    if removed:
        steps.append(Step("states.untag_resource", {"resourceArn": arn, "tagKeys": removed}))
    if added:
        given = ansible_dict_to_boto3_tag_list(added, tag_name_key_name="key", tag_value_key_name="value")
        steps.append(Step("states.tag_resource", {"resourceArn": arn, "tags": given}))
    return after, steps


def _schedule(
    before: dict[str, Any], options: dict[str, Any], arn: str, rule: str
) -> tuple[dict[str, Any], list[Step]]:
    asked = options["schedule"]
    if not asked.get("expression"):
        return {}, _unscheduled(before)
    after = {
        "name": asked["name"],
        "expression": asked["expression"],
        "enabled": True,
        "role_arn": asked["role_arn"],
        "target_arn": arn,
        # Not the event of the rule, which says nothing that the state machine needs.
        "input": "{}",
    }
    steps, tags = [], options.get("tags")
    if any(after[name] != before.get(name) for name in ("expression", "enabled")):
        request = {"Name": asked["name"], "ScheduleExpression": asked["expression"], "State": "ENABLED"}
        # Tags go along with a new rule only.
        given = ansible_dict_to_boto3_tag_list(tags) if tags and not before else []
        steps.append(Step("events.put_rule", {**request, **({"Tags": given} if given else {})}))
    if any(after[name] != before.get(name) for name in ("role_arn", "target_arn", "input")):
        target = {"Id": TARGET_ID, "Arn": arn, "RoleArn": asked["role_arn"], "Input": after["input"]}
        steps.append(Step("events.put_targets", {"Rule": asked["name"], "Targets": [target]}))
    if not before:
        return {**after, "tags": tags or {}}, steps
    after["tags"], added, removed = _tags(before["tags"], options)
    if removed:
        steps.append(Step("events.untag_resource", {"ResourceARN": rule, "TagKeys": removed}))
    if added:
        steps.append(Step("events.tag_resource", {"ResourceARN": rule, "Tags": ansible_dict_to_boto3_tag_list(added)}))
    return after, steps


def _tags(before: dict[str, str], options: dict[str, Any]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """The tags that are to be, those to add and the names of those to take away."""
    tags = options.get("tags")
    if tags is None:
        return before, {}, []
    added, removed = compare_aws_tags(before, tags, options["purge_tags"])
    return {name: value for name, value in before.items() if name not in removed} | added, added, removed


def _encryption(key: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {"type": "AWS_OWNED_KEY"}
    if key:
        chosen = {
            "type": "CUSTOMER_MANAGED_KMS_KEY",
            "kmsKeyId": key,
            "kmsDataKeyReusePeriodSeconds": _REUSE_SECONDS,
        }
    return {"encryptionConfiguration": chosen}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
