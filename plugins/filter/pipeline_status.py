# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``pipeline_status``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pipeline_status
version_added: "0.1.0"
short_description: A pipeline's status with its drift
description:
  - Adds to what P(cloudcdc.dynamodb_streams.pipeline_status#module) found what a deploy would change, read from the
    results of the deploy's tasks in check mode.
  - Of what differs it tells names, numbers, yes and no, and AWS's own words. Other values could be secrets.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  _input:
    description: The C(status) that the module returned. Empty where it could not be asked.
    type: dict
    required: true
  results:
    description: The registered result of each resource's task, by the resource's name.
    type: dict
    required: true
  problem:
    description: Why the pipeline could not be asked. Its state is V(unknown) then.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show a pipeline with its drift
  ansible.builtin.debug:
    msg: "{{ looked.status | cloudcdc.dynamodb_streams.pipeline_status({'audit bucket': bucket_result}) }}"
"""

RETURN = r"""
_value:
  description: The status, its state and reasons judged anew, with the list C(drift).
  type: dict
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_status.drift import (
    unknown,
    with_drift,
)


def pipeline_status(status, results, problem=""):
    return unknown(problem) if problem else with_drift(status, results)


class FilterModule:
    """Ansible's entry point."""

    def filters(self):
        return {"pipeline_status": pipeline_status}
