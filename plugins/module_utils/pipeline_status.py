# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a pipeline is. The module's way in; the work is in the package _pipeline_status."""

from __future__ import annotations

from datetime import datetime, timezone

from ._pipeline_status.api import Aws
from ._pipeline_status.judging import judge
from ._pipeline_status.looking import Look
from ._pipeline_verify.api import Cloud
from .aws import AnsibleAWSModule

_MINUTES_MOST = 1440


def run_status(module: AnsibleAWSModule) -> None:
    """Look at the pipeline that the module's options name, and leave the module. Nothing is written."""
    if not 1 <= module.params["minutes"] <= _MINUTES_MOST:
        module.fail_json(msg=f"minutes is {module.params['minutes']}; give 1 to {_MINUTES_MOST}.")
    seen = Look(Aws(Cloud(module)), module.params, datetime.now(timezone.utc)).take()
    state, reasons = judge(seen, module.params)
    module.exit_json(changed=False, status={"state": state, "reasons": reasons, **seen})
