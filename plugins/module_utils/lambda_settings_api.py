# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A function's settings on Lambda: reads them, and carries out a plan. What to do is decided in lambda_settings."""

from __future__ import annotations

import time
from typing import Any

from . import lambda_settings
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError, aws_errors, client, error_code
from .plan import Plan, Step

_PAUSE_SECONDS = 1


class FunctionSettings:
    """The settings of the function that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module = module
        self.options = module.params
        self.function = {"FunctionName": self.options["function_name"]}
        # Lambda refuses a change while the one before is under way.
        self.lambda_ = client(module, "lambda", passing=["ResourceConflictException"])
        self.log_group: str | None = None
        self.update: dict[str, Any] = {}

    def read(self) -> dict[str, Any] | None:
        wrong = lambda_settings.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        try:
            configuration = self._configuration()
        except AnsibleAWSError as exc:
            # In check mode the function may be one that is to be made.
            if error_code(exc) == "ResourceNotFoundException" and self.module.check_mode:
                return None
            raise
        self.log_group = (configuration.get("LoggingConfig") or {}).get("LogGroup")
        asked = self.options["reserved_concurrent_executions"] is not None
        return lambda_settings.settings_state(configuration, self._concurrency() if asked else None)

    def plan(self, current: dict[str, Any] | None) -> Plan:
        wrong = lambda_settings.conflicts(current, self.options) if current else []
        if wrong:
            raise InputError(" ".join(wrong))
        plan = lambda_settings.plan(current, self.options, self.log_group)
        for step in plan.steps:
            if step.call == "update_function_configuration":
                self.update = {name: value for name, value in step.request.items() if name not in self.function}
        return plan

    def apply(self, plan: Plan) -> None:
        self._settle()
        for step in plan.steps:
            self._write(step)
            self._settle()

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"lambda_settings": state, "function_update": self.update}

    def _settle(self) -> None:
        """Wait until no change of the function is under way."""
        until = time.monotonic() + self.options["wait_timeout"]
        while True:
            configuration = self._configuration()
            if configuration.get("State") != "Pending" and configuration.get("LastUpdateStatus") != "InProgress":
                break
            if time.monotonic() > until:
                raise AnsibleAWSError(
                    message=f"The function {self.options['function_name']} is still being changed after"
                    f" {self.options['wait_timeout']} seconds (wait_timeout)."
                )
            time.sleep(_PAUSE_SECONDS)
        if configuration.get("LastUpdateStatus") == "Failed":
            raise AnsibleAWSError(
                message=f"Lambda could not change the function {self.options['function_name']}:"
                f" {configuration.get('LastUpdateStatusReasonCode')}: {configuration.get('LastUpdateStatusReason')}"
            )

    @aws_errors("read the configuration of the function")
    def _configuration(self) -> dict[str, Any]:
        return self.lambda_.get_function_configuration(**self.function, aws_retry=True)

    @aws_errors("read the reserved concurrency of the function")
    def _concurrency(self) -> dict[str, Any]:
        return self.lambda_.get_function_concurrency(**self.function, aws_retry=True)

    @aws_errors("change the settings of the function")
    def _write(self, step: Step) -> None:
        getattr(self.lambda_, step.call)(**step.request, aws_retry=True)
