# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A log group on CloudWatch Logs: reads it, and carries out a plan. What to do is decided in log_group."""

from __future__ import annotations

from typing import Any

from . import log_group
from .aws import AnsibleAWSModule, aws_errors, client
from .plan import Plan, Step


class LogGroup:
    """The log group that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.options = {**module.params, "tags": _texts(module.params["tags"])}
        self.logs = client(module, "logs", passing=["OperationAbortedException"])

    def read(self) -> dict[str, Any] | None:
        found = self._describe()
        return log_group.log_group_state(found, self._tags()) if found else None

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return log_group.plan(current, self.options)

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            self._write(step)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"log_group": state}

    @aws_errors("read the log group")
    def _describe(self) -> dict[str, Any] | None:
        # The group itself is the first of those that begin with its name.
        name = self.options["name"]
        groups = self.logs.describe_log_groups(logGroupNamePrefix=name, aws_retry=True)["logGroups"]
        return next((group for group in groups if group["logGroupName"] == name), None)

    @aws_errors("read the log group's tags")
    def _tags(self) -> dict[str, str]:
        return self.logs.list_tags_log_group(logGroupName=self.options["name"], aws_retry=True).get("tags", {})

    @aws_errors("write the log group")
    def _write(self, step: Step) -> None:
        getattr(self.logs, step.call)(**step.request, aws_retry=True)


def _texts(tags: dict[str, Any] | None) -> dict[str, str] | None:
    return None if tags is None else {key: str(value) for key, value in tags.items()}
