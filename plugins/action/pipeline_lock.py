# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the module ``pipeline_lock``: who runs, as which process, and by whose clock.

A module runs in a process of its own, and perhaps on another machine. What holds a lock is ansible-playbook, the
parent of the worker that this runs in.
"""

from __future__ import annotations

import getpass
import os
import socket
from pathlib import Path

from ansible import context
from ansible.plugins.action import ActionBase
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock_process import clock, identity


class ActionModule(ActionBase):
    """Adds to the module's options what only the controller knows, and to its result the controller's clock."""

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        began = clock()
        arguments = dict(self._task.args)
        if arguments.get("state", "taken") == "taken":
            arguments.setdefault("holder", holder())
            arguments.setdefault("process", identity(os.getppid()))
        result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
        if result.get("held"):
            # From before the request, however long it took: so the run never thinks it has the lock for too long.
            result["held_from"] = began
        return result


def holder() -> str:
    """User, host and playbook."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"user {os.getuid()}"
    playbooks = ", ".join(Path(each).name for each in context.CLIARGS.get("args") or ())
    return f"{user}@{socket.gethostname()}, process {os.getppid()}{f', {playbooks}' if playbooks else ''}"
