# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings what Lambda gave up to the function again. The module's way in; the work is in _pipeline_redrive."""

from __future__ import annotations

from ._pipeline_redrive.api import Bucket, Cloud, Function, Logs, Mappings, Queue, Streams
from ._pipeline_redrive.fetching import Fetcher
from ._pipeline_redrive.options import Options
from ._pipeline_redrive.progress import Progress
from ._pipeline_redrive.redrive import Redrive, new_marker
from ._pipeline_redrive.sending import Stopped
from ._pipeline_redrive.sources import BucketSource, QueueSource
from ._pipeline_verify.clock import Clock, Interrupted, Signals
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError


def run_redrive(module: AnsibleAWSModule) -> None:
    """Redrive what the module's options name, and leave the module."""
    with Signals() as signals:
        try:
            options = Options.read(module.params, module.check_mode)
        except InputError as exc:
            module.fail_json(msg=str(exc))
        try:
            redrive = _build(module, options, Clock(signals))
        except OSError as exc:
            module.fail_json(msg=f"progress_file cannot be written: {exc}")
        stopped: Exception | None = None
        try:
            redrive.run()
        except (AnsibleAWSError, Interrupted, Stopped) as exc:
            stopped = exc
        error_file = _write_errors(module, redrive)
    report = {"changed": redrive.changed, **redrive.report(), "error_file": error_file}
    if stopped is None:
        module.exit_json(**report)
    if isinstance(stopped, AnsibleAWSError) and not redrive.changed:
        module.fail_json_aws_error(stopped)
    reason = f"Ended by {stopped}." if isinstance(stopped, Interrupted) else str(stopped)
    left = "What is not done is still where it was: run redrive again."
    module.fail_json(msg=f"{reason} {report['message']} {left}", **{**report, "complete": False})


def _write_errors(module: AnsibleAWSModule, redrive: Redrive) -> str | None:
    # What was done is done, so the report must come out.
    try:
        return redrive.write_errors()
    except OSError as exc:
        module.warn(f"error_file cannot be written, so the texts of the function's errors are lost: {exc}")
        return None


def _build(module: AnsibleAWSModule, options: Options, clock: Clock) -> Redrive:
    cloud, progress = Cloud(module, options.concurrency), Progress(options.progress_file, clock)
    marker = new_marker(clock.utc())
    if options.queue_url:
        source = QueueSource(Queue(cloud, options.queue_url), clock, progress)
    else:
        source = BucketSource(Bucket(cloud, options.bucket, options.prefix), clock, progress)

    def tick() -> None:
        clock.check()
        source.tick()

    fetcher = Fetcher(Streams(cloud), Mappings(cloud), options.function_name, marker, tick)
    function = Function(cloud, options.function_name, options.qualifier)
    logs = Logs(cloud, options.log_group) if options.log_group else None
    return Redrive(source, fetcher, function, logs, options, clock, progress, marker)
