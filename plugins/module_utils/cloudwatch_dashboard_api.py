# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A dashboard on CloudWatch: reads it, and carries out a plan. What to do is decided in cloudwatch_dashboard."""

from __future__ import annotations

from typing import Any

from . import cloudwatch_dashboard
from .aws import AnsibleAWSError, AnsibleAWSModule, AWSRetry, InputError, aws_errors, client, error_code
from .runner import Plan, Step

#: What CloudWatch answers for a dashboard that is not there, by the code of its API and by the name of its error.
_NOT_FOUND = ("ResourceNotFound", "DashboardNotFoundError")


class Dashboard:
    """The dashboard that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module = module
        self.options = module.params
        self.cloudwatch = client(module, "cloudwatch")
        self.put = False

    def read(self) -> dict[str, Any] | None:
        wrong = cloudwatch_dashboard.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        try:
            return _look(self.cloudwatch, self.options["name"], expected=self.put)
        except AnsibleAWSError as exc:
            if error_code(exc) in _NOT_FOUND:
                return None
            raise

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return cloudwatch_dashboard.plan(current, self.options)

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            if step.call == "put_dashboard":
                self._put(step)
            else:
                self._delete(step)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"cloudwatch_dashboard": state}

    @aws_errors("put the CloudWatch dashboard")
    def _put(self, step: Step) -> None:
        answer = self.cloudwatch.put_dashboard(**step.request, aws_retry=True)
        self.put = True
        # It is written, and a part of it may not show.
        for message in answer.get("DashboardValidationMessages", []):
            place, text = message.get("DataPath", ""), message.get("Message", "")
            self.module.warn(f"CloudWatch of the dashboard {self.options['name']}{place and f', {place}'}: {text}")

    def _delete(self, step: Step) -> None:
        try:
            self._delete_dashboards(step)
        except AnsibleAWSError as exc:
            # A dashboard that somebody else deleted meanwhile is as gone as it should be.
            if error_code(exc) not in _NOT_FOUND:
                raise

    @aws_errors("delete the CloudWatch dashboard")
    def _delete_dashboards(self, step: Step) -> None:
        self.cloudwatch.delete_dashboards(**step.request, aws_retry=True)


@aws_errors("read the CloudWatch dashboard")
def _look(cloudwatch, name: str, expected: bool) -> dict[str, Any]:
    """``expected``: this run put it, and CloudWatch may take a moment to know it everywhere."""
    return cloudwatch_dashboard.dashboard_state((_get_again if expected else _get)(cloudwatch, name))


def _get(cloudwatch, name: str) -> dict[str, Any]:
    return cloudwatch.get_dashboard(DashboardName=name, aws_retry=True)


_get_again = AWSRetry.jittered_backoff(retries=6, delay=0.5, max_delay=5, catch_extra_error_codes=_NOT_FOUND)(_get)
