# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writes what each task of a run took, from its start to the next one's, into the file that CDC_TIMING names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cdc_timing
type: aggregate
short_description: What each task took
description: For the benchmarks of this checkout.
requirements: []
"""

import json
import os
import time

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "cdc_timing"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._tasks = []
        self._begun = 0.0

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._end()
        name = task.get_name(include_role_fqcn=False).rpartition(" : ")[2]
        self._tasks.append({"task": name, "action": task.action, "ran": 0, "skipped": 0, "items": 0, "changed": 0})
        self._begun = time.monotonic()

    def v2_runner_on_ok(self, result):
        self._add("ran")
        if result.is_changed():
            self._add("changed")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._add("ran")

    def v2_runner_on_skipped(self, result):
        self._add("skipped")

    def v2_runner_item_on_ok(self, result):
        self._add("items")

    def v2_runner_item_on_failed(self, result):
        self._add("items")

    def v2_playbook_on_stats(self, stats):
        self._end()
        with open(os.environ["CDC_TIMING"], "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(self._tasks, file)

    def _add(self, what):
        self._tasks[-1][what] += 1

    def _end(self):
        if self._tasks:
            self._tasks[-1]["seconds"] = time.monotonic() - self._begun
