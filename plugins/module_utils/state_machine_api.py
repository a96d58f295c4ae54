# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A state machine and its schedule on AWS: reads them, carries out a plan. What to do is decided in state_machine."""

from __future__ import annotations

from typing import Any

from . import state_machine
from .aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    AWSRetry,
    InputError,
    aws_errors,
    boto3_tag_list_to_ansible_dict,
    client,
    error_code,
)
from .plan import Plan, Step

#: What AWS answers for a state machine or a rule that is not there.
_NOT_FOUND = ("StateMachineDoesNotExist", "ResourceNotFoundException", "ResourceNotFound")
#: What it answers while a deleted one of the same name, or another call, is not done yet.
_PASSING = ("ConcurrentModificationException", "ConflictException", "StateMachineDeleting")


class StateMachine:
    """The state machine that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.options = {**module.params, "tags": _texts(module.params["tags"])}
        self.clients = {
            "states": client(module, "stepfunctions", passing=_PASSING),
            "events": client(module, "events", passing=_PASSING),
        }
        self.sts = client(module, "sts")
        self.arn = self.rule_arn = ""
        self.made = False

    def read(self) -> dict[str, Any] | None:
        wrong = state_machine.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        schedule = self.options["schedule"]
        self._name()
        machine = (self._machine_again if self.made else self._machine)()
        rule = self._schedule(schedule["name"]) if schedule else None
        if machine is None and not rule:
            return None
        return {**(machine or {}), **({} if rule is None else {"schedule": rule})}

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return state_machine.plan(current, self.options, self.arn, self.rule_arn)

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            self._write(step)
            self.made = self.made or step.call == "states.create_state_machine"

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"state_machine_arn": self.arn, "state_machine": state}

    @aws_errors("find out the account of the state machine")
    def _name(self) -> None:
        """ARNs follow from the names, so no list of all state machines is read."""
        if self.arn:
            return
        account = self.sts.get_caller_identity(aws_retry=True)["Account"]
        place = (self.sts.meta.partition, self.sts.meta.region_name, account)
        self.arn = state_machine.state_machine_arn(*place, self.options["name"])
        self.rule_arn = state_machine.rule_arn(*place, (self.options["schedule"] or {}).get("name", ""))

    def _machine(self) -> dict[str, Any] | None:
        try:
            return self._described()
        except AnsibleAWSError as exc:
            if error_code(exc) in _NOT_FOUND:
                return None
            raise

    @aws_errors("read the state machine")
    def _described(self) -> dict[str, Any] | None:
        return self._look(self.clients["states"])

    @aws_errors("read the state machine")
    def _machine_again(self) -> dict[str, Any] | None:
        # This run made it, and AWS may take a moment to know it everywhere.
        again = AWSRetry.jittered_backoff(retries=6, delay=0.5, max_delay=5, catch_extra_error_codes=_NOT_FOUND)
        return again(self._look)(self.clients["states"])

    def _look(self, states) -> dict[str, Any] | None:
        found = states.describe_state_machine(stateMachineArn=self.arn, aws_retry=True)
        if found.get("status") == "DELETING":
            return None
        tags = states.list_tags_for_resource(resourceArn=self.arn, aws_retry=True).get("tags", [])
        return state_machine.machine_state(found, boto3_tag_list_to_ansible_dict(tags))

    @aws_errors("read the schedule of the state machine")
    def _schedule(self, name: str) -> dict[str, Any]:
        events = self.clients["events"]
        try:
            rule = events.describe_rule(Name=name, aws_retry=True)
            targets = events.list_targets_by_rule(Rule=name, aws_retry=True).get("Targets", [])
            tags = events.list_tags_for_resource(ResourceARN=self.rule_arn, aws_retry=True).get("Tags", [])
        except events.exceptions.ResourceNotFoundException:
            return {}
        return state_machine.schedule_state(rule, targets, boto3_tag_list_to_ansible_dict(tags))

    def _write(self, step: Step) -> None:
        try:
            self._call(step)
        except AnsibleAWSError as exc:
            # What somebody else deleted meanwhile is as gone as it should be.
            if error_code(exc) not in _NOT_FOUND or not step.call.endswith(("delete_rule", "remove_targets")):
                raise

    @aws_errors("write the state machine")
    def _call(self, step: Step) -> None:
        service, call = step.call.split(".")
        getattr(self.clients[service], call)(**step.request, aws_retry=True)


def _texts(tags: dict[str, Any] | None) -> dict[str, str] | None:
    return None if tags is None else {key: str(value) for key, value in tags.items()}
