# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One phase of a failure drill. The module's way in; the work is in the package _pipeline_drill."""

from __future__ import annotations

from ._pipeline_drill.drill import Drill
from ._pipeline_drill.scene import Options
from ._pipeline_verify.api import Cloud
from ._pipeline_verify.clock import Clock, Interrupted, Signals
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError


def run_drill(module: AnsibleAWSModule) -> None:
    """Carry out the phase that the module's options name, and leave the module."""
    with Signals() as signals:
        try:
            drill = Drill(Cloud(module), Options.read(module.params), Clock(signals))
        except InputError as exc:
            module.fail_json(msg=str(exc))
        try:
            message = drill.preview() if module.check_mode else drill.run()
        except (AnsibleAWSError, InputError, Interrupted) as exc:
            _fail(module, exc, drill)
    module.exit_json(changed=False, message=message, drill=drill.drill)


def _fail(module: AnsibleAWSModule, exc: Exception, drill: Drill) -> None:
    """The phase ended before its end. What it had seen is returned, what it could not remove is told as warnings."""
    for problem in drill.cleanup_problems:
        module.warn(problem)
    if isinstance(exc, AnsibleAWSError) and exc.exception:
        module.fail_json_aws(exc.exception, msg=exc.message, drill=drill.drill)
    if isinstance(exc, Interrupted):
        module.fail_json(msg=f"Ended by {exc}, before the drill was over.", drill=drill.drill)
    module.fail_json(msg=str(exc), drill=drill.drill)
