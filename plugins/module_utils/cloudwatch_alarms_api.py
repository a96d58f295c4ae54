# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alarms on CloudWatch: reads them, and carries out a plan. What to do is decided in cloudwatch_alarms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import cloudwatch_alarms
from .aws import AnsibleAWSModule, InputError, aws_errors, boto3_tag_list_to_ansible_dict, client
from .plan import Plan, Step

#: As many connections as a boto3 client keeps.
_AT_ONCE = 10


class Alarms:
    """The alarms that a module's options name, as :func:`runner.run_resource` wants them."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.options = module.params
        self.cloudwatch = client(module, "cloudwatch")
        self.found: list[str] | None = None

    def read(self) -> dict[str, dict[str, Any]]:
        wrong = cloudwatch_alarms.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        names = [alarm["name"] for alarm in self.options["alarms"]]
        answers = [
            answer
            for at in range(0, len(names), cloudwatch_alarms.MOST)
            for answer in _describe(self.cloudwatch, names[at : at + cloudwatch_alarms.MOST])
        ]
        if self.found is None:
            self.found = sorted(answer["AlarmName"] for answer in answers)
        tags = self._tags([answer["AlarmArn"] for answer in answers])
        return {
            answer["AlarmName"]: cloudwatch_alarms.alarm_state(answer, tags.get(answer["AlarmArn"], {}))
            for answer in answers
        }

    def plan(self, current: dict[str, dict[str, Any]]) -> Plan:
        return cloudwatch_alarms.plan(current, self.options)

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            _write(self.cloudwatch, step)

    def result(self, state: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {"cloudwatch_alarms": [state[name] for name in sorted(state)], "found": self.found}

    def _tags(self, arns: list[str]) -> dict[str, dict[str, str]]:
        """Tags by ARN, asked for side by side, since CloudWatch tells those of one alarm at a time."""
        if self.options["tags"] is None or self.options["state"] == "absent":
            return {}
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return dict(zip(arns, threads.map(lambda arn: _list_tags(self.cloudwatch, arn), arns), strict=True))


@aws_errors("read the CloudWatch alarms")
def _describe(cloudwatch, names: list[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    # Names that are not there are left out of the answer.
    return cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"], MaxRecords=100, aws_retry=True)[
        "MetricAlarms"
    ]


@aws_errors("read the tags of a CloudWatch alarm")
def _list_tags(cloudwatch, arn: str) -> dict[str, str]:
    return boto3_tag_list_to_ansible_dict(cloudwatch.list_tags_for_resource(ResourceARN=arn, aws_retry=True)["Tags"])


def _write(cloudwatch, step: Step) -> None:
    request = step.request
    which = request.get("AlarmName") or request.get("ResourceARN") or ", ".join(request["AlarmNames"])
    call = getattr(cloudwatch, step.call)
    aws_errors(f"{step.call.replace('_', ' ')} {which}")(call)(**request, aws_retry=True)
