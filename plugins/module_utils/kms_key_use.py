# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A queue and a log group that are to be encrypted with a key: reads what they have, and writes what differs.

Their own modules set a key only on what they make. The state is a dict of queue and log_group, those that were asked
for, each with the key it has: '' for none of the account's own.
"""

from __future__ import annotations

from typing import Any

from .aws import AnsibleAWSError, AnsibleAWSModule, aws_errors, client, error_code
from .plan import Plan, Step

_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def plan(before: dict[str, str | None], key: str, queue_url: str | None, log_group: str | None) -> Plan:
    """The writes that encrypt both with the key; '' takes theirs away. A resource that is not there is None."""
    steps = []
    if "queue" in before and before["queue"] != key:
        steps.append(Step("set_queue_attributes", {"QueueUrl": queue_url, "Attributes": {"KmsMasterKeyId": key}}))
    if "log_group" in before and (before["log_group"] or "") != key:
        request = {"logGroupName": log_group}
        steps.append(
            Step("associate_kms_key", {**request, "kmsKeyId": key}) if key else Step("disassociate_kms_key", request)
        )
    after = dict.fromkeys(before, key)
    return Plan(dict(before), after, tuple(steps))


class KeyUse:
    """The two resources that a module's options name, as :func:`runner.run_resource` wants them."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module = module
        self.options = module.params
        self.clients = {name: client(module, name) for name in ("sqs", "logs")}
        self.queue_url: str | None = None

    def read(self) -> dict[str, Any]:
        state: dict[str, str | None] = {}
        if self.options["queue_name"]:
            state["queue"] = self._of_queue()
        if self.options["log_group_name"]:
            state["log_group"] = self._of_log_group()
        return state

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return plan(current or {}, self.options["kms_key_arn"], self.queue_url, self.options["log_group_name"])

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            self._write(step)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"kms_key_use": state}

    def _of_queue(self) -> str | None:
        try:
            self.queue_url = self._queue_url()
            return self._attributes().get("KmsMasterKeyId", "")
        except AnsibleAWSError as exc:
            # In check mode it may be one that is to be made, with the key.
            if error_code(exc) in _NO_QUEUE and self.module.check_mode:
                return self.options["kms_key_arn"]
            raise

    def _of_log_group(self) -> str:
        name = self.options["log_group_name"]
        for group in self._log_groups():
            if group["logGroupName"] == name:
                return group.get("kmsKeyId") or ""
        if self.module.check_mode:
            return self.options["kms_key_arn"]
        raise AnsibleAWSError(message=f"There is no log group {name}.")

    @aws_errors("find the queue")
    def _queue_url(self) -> str:
        return self.clients["sqs"].get_queue_url(QueueName=self.options["queue_name"], aws_retry=True)["QueueUrl"]

    @aws_errors("read the key of the queue")
    def _attributes(self) -> dict[str, str]:
        # All, since SQS refuses to be asked for the key alone where it has none.
        answer = self.clients["sqs"].get_queue_attributes(
            QueueUrl=self.queue_url, AttributeNames=["All"], aws_retry=True
        )
        return answer.get("Attributes", {})

    @aws_errors("read the key of the log group")
    def _log_groups(self) -> list[dict[str, Any]]:
        # The group itself comes first of all whose names begin like it.
        answer = self.clients["logs"].describe_log_groups(
            logGroupNamePrefix=self.options["log_group_name"], aws_retry=True
        )
        return answer.get("logGroups", [])

    @aws_errors("encrypt with the key")
    def _write(self, step: Step) -> None:
        service = "sqs" if step.call == "set_queue_attributes" else "logs"
        getattr(self.clients[service], step.call)(**step.request, aws_retry=True)
