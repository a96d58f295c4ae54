# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read, plan, apply, report: the flow of every module that changes something, written once.

A resource brings four functions. ``read`` asks AWS, ``plan`` is pure, ``apply`` is the only writer, ``result``
shapes what the user sees. Check mode is the same flow without ``apply``; diff mode is the plan's before and after.
"""

from __future__ import annotations

from typing import Any, Protocol

from .aws import AnsibleAWSError, AnsibleAWSModule
from .plan import InputError, Plan, Step

__all__ = ["Plan", "Resource", "Step", "run_resource"]


class Resource(Protocol):
    """What a module hands to :func:`run_resource`. A state of ``None`` means the resource is not there."""

    def read(self) -> dict[str, Any] | None: ...

    def plan(self, current: dict[str, Any] | None) -> Plan: ...

    def apply(self, plan: Plan) -> None: ...

    def result(self, state: dict[str, Any]) -> dict[str, Any]: ...


def run_resource(module: AnsibleAWSModule, resource: Resource) -> None:
    """Bring the resource to the state its module was asked for, and leave the module."""
    try:
        plan = resource.plan(resource.read())
        state = plan.after
        if plan.changed and not module.check_mode:
            resource.apply(plan)
            state = resource.read() or {}
        outcome = {"changed": plan.changed, **resource.result(state)}
    except InputError as exc:
        module.fail_json(msg=str(exc))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    if module._diff:
        outcome["diff"] = {"before": plan.before, "after": plan.after}
    module.exit_json(**outcome)
