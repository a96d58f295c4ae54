# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs the module pipeline_baseline: builds the run, and turns its end into the module's answer."""

from __future__ import annotations

from ._history.objects import DamagedObject
from ._pipeline_baseline.api import Cloud, Mappings, Objects, Table
from ._pipeline_baseline.baseline import Baseline
from ._pipeline_baseline.options import Options
from ._pipeline_redrive.progress import Progress
from ._pipeline_verify.clock import Clock, Interrupted, Signals
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError


def run_baseline(module: AnsibleAWSModule) -> None:
    """Write the baseline that the module's options ask for, and leave the module."""
    with Signals() as signals:
        clock = Clock(signals)
        try:
            options = Options.read(module.params)
            baseline = _build(module, options, clock)
        except InputError as exc:
            module.fail_json(msg=str(exc))
        except OSError as exc:
            module.fail_json(msg=f"progress_file cannot be written: {exc}")
        stopped: Exception | None = None
        try:
            baseline.run(module.check_mode)
        except (AnsibleAWSError, DamagedObject, InputError, Interrupted) as exc:
            stopped = exc
    report = {"changed": baseline.changed, **baseline.report()}
    if stopped is None:
        module.exit_json(**report)
    if not baseline.changed:
        if isinstance(stopped, AnsibleAWSError):
            module.fail_json_aws_error(stopped)
        module.fail_json(msg=str(stopped) if not isinstance(stopped, Interrupted) else f"Ended by {stopped}.")
    reason = f"Ended by {stopped}." if isinstance(stopped, Interrupted) else str(stopped)
    again = "" if isinstance(stopped, (DamagedObject, InputError)) else " Run it again within a day, and it goes on."
    module.fail_json(msg=f"{reason} {report['message']}{again}", **report)


def _build(module: AnsibleAWSModule, options: Options, clock: Clock) -> Baseline:
    cloud = Cloud(module)
    return Baseline(
        options,
        Table(cloud, options.table_name, clock),
        Mappings(cloud),
        Objects(cloud, options.bucket, options.prefix),
        clock,
        Progress(options.progress_file, clock),
    )
