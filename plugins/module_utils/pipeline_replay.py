# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replays the audit log. The module's way in; the work is in _pipeline_replay."""

from __future__ import annotations

from ._history.delivery import Stopped
from ._history.objects import DamagedObject
from ._history.store import error_code
from ._pipeline_redrive.progress import Progress
from ._pipeline_replay.api import Cloud, as_aws_error
from ._pipeline_replay.options import Options
from ._pipeline_replay.replay import Replay
from ._pipeline_replay.state import State
from ._pipeline_verify.clock import Clock, Interrupted, Signals
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError

_SENDING = ("BatchWriteItem", "Invoke", "PublishBatch", "SendMessageBatch")


def run_replay(module: AnsibleAWSModule) -> None:
    """Replay what the module's options name, and leave the module."""
    with Signals() as signals:
        try:
            options = Options.read(module.params, module.check_mode)
            _hide_keys(module)
            clock, state = Clock(signals), State(options.state_dir)
            replay = Replay(
                options, Cloud(module, options.concurrency), clock, Progress(options.progress_file, clock), state
            )
        except InputError as exc:
            module.fail_json(msg=str(exc))
        except OSError as exc:
            module.fail_json(msg=f"progress_file cannot be written: {exc}")
        stopped: Exception | None = None
        try:
            replay.run()
        except (AnsibleAWSError, DamagedObject, InputError, Interrupted, OSError, Stopped) as exc:
            stopped = exc
        except Exception as exc:
            stopped = as_aws_error(exc, _what_failed(exc, options))
            if stopped is None:
                raise
        finally:
            state.close()
        if isinstance(stopped, InputError):
            module.fail_json(msg=str(stopped))
        try:
            replay.write_errors()
        except OSError as exc:
            module.warn(f"error_file cannot be written, so the texts of the function's errors are lost: {exc}")
    report = {"changed": replay.changed, **replay.report(), "error_file": replay.error_file}
    if stopped is None:
        module.exit_json(**report)
    if isinstance(stopped, AnsibleAWSError) and not replay.changed:
        if error_code(getattr(stopped, "exception", stopped)) == "NoSuchBucket":
            module.fail_json(msg=f"There is no audit bucket {options.bucket}. Nothing was sent.")
        module.fail_json_aws_error(stopped)
    reason = f"Ended by {stopped}." if isinstance(stopped, Interrupted) else f"{stopped}"
    more = ""
    if options.state_dir and replay.changed:
        more = f" It goes on where it stopped with replay_id {report['replay_id']} and the same options."
    module.fail_json(msg=f"{reason} {report['message']}{more}", **{**report, "complete": False})


def _hide_keys(module: AnsibleAWSModule) -> None:
    """Keep the item's keys out of the result, but not each number and word of it that they are a part of."""
    keys = module.params["keys"]
    if keys:
        module.params["keys"] = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
        module.no_log_values -= {str(value) for each in keys.values() for value in each.values()}


def _what_failed(exc: Exception, options: Options) -> str:
    """Reading or sending: both leave their errors of AWS as they are."""
    sends = getattr(exc, "operation_name", "") in _SENDING
    return f"send to the {options.target}" if sends else f"read the audit log in {options.bucket}"
