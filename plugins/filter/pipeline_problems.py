# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``pipeline_problems``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pipeline_problems
version_added: "0.1.0"
short_description: What a pipeline's options may not be together
description:
  - Checks the options of the role P(cloudcdc.dynamodb_streams.ddb_stream_pipeline#role) without asking AWS, and says of
    each problem what to change. The role does so before its first call to AWS.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  _input:
    description: The role's options by name, prefix included.
    type: dict
    required: true
  known:
    description: The names of all options the role has. Any other name is reported, with the nearest known one.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
# => ['ddb_stream_pipeline_batchsize is no option of this role; did you mean ddb_stream_pipeline_batch_size.']
- name: Show what is wrong
  ansible.builtin.debug:
    msg: >-
      {{ {'ddb_stream_pipeline_batchsize': 5}
         | cloudcdc.dynamodb_streams.pipeline_problems(['ddb_stream_pipeline_batch_size']) }}
"""

RETURN = r"""
_value:
  description: One sentence a problem; empty when there is none.
  type: list
  elements: str
"""


def pipeline_problems(options, known):
    # Every task that uses any filter of this collection loads this file, and one task uses this filter.
    from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_options import problems

    return problems(options, known)


class FilterModule:
    """Ansible's entry point."""

    def filters(self):
        return {"pipeline_problems": pipeline_problems}
