# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Test ``lock_due``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lock_due
version_added: "0.1.0"
short_description: Whether a lock must be renewed before the next write
description:
  - Tells whether a third of the lease is over of a lock that M(cloudcdc.dynamodb_streams.pipeline_lock) took. What
    begins before, and is done within two thirds of the lease, is done under the lock without asking S3.
  - It asks a clock of the controller that only ever goes on, so it costs nothing.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  _input:
    description: What the task that took the lock registered. Anything else is no lock, and never due.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Keep the lock
  cloudcdc.dynamodb_streams.pipeline_lock:
    bucket: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    key: .cloudcdc/lock/orders.json
    token: "{{ lock.token }}"
    state: renewed
  when: lock is cloudcdc.dynamodb_streams.lock_due
"""

RETURN = r"""
_value:
  description: Whether the lock is to be renewed.
  type: bool
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock import is_due
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock_process import clock


def lock_due(lock):
    return is_due(lock, clock())


class TestModule:
    """Ansible's entry point."""

    def tests(self):
        return {"lock_due": lock_due}
