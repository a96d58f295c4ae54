# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Proves a pipeline by changes of its own. The module's way in; the work is in the package _pipeline_verify."""

from __future__ import annotations

from ._pipeline_verify.api import Cloud, Metrics
from ._pipeline_verify.clock import Clock, Interrupted, Signals
from ._pipeline_verify.scene import Options, Rooms
from ._pipeline_verify.verification import Verification
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError


def run_verification(module: AnsibleAWSModule) -> None:
    """Verify the pipeline that the module's options name, and leave the module."""
    with Signals() as signals:
        try:
            options, cloud = Options.read(module.params), Cloud(module)
            verification = Verification(Rooms.of(cloud, options), Metrics(cloud), options, Clock(signals))
        except InputError as exc:
            module.fail_json(msg=str(exc))
        try:
            proven, report = (True, verification.preview()) if module.check_mode else verification.run()
        except (AnsibleAWSError, InputError, Interrupted) as exc:
            _fail(module, exc, verification.cleanup_problems)
    if not proven:
        module.fail_json(msg=report["message"], **report)
    module.exit_json(changed=False, **report)


def _fail(module: AnsibleAWSModule, exc: Exception, left: list[str]) -> None:
    """The run ended before it could judge. What it could not remove is told as warnings."""
    for problem in left:
        module.warn(problem)
    if isinstance(exc, AnsibleAWSError):
        module.fail_json_aws_error(exc)
    if isinstance(exc, Interrupted):
        removed = "Not all that the run had made could be removed." if left else "What the run had made is removed."
        module.fail_json(msg=f"Ended by {exc}, before the pipeline was proven. {removed}")
    module.fail_json(msg=str(exc))
