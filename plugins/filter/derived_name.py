# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``derived_name``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: derived_name
version_added: "0.1.0"
short_description: The name of a pipeline's resource, within AWS's limit
description:
  - Joins a base and its parts with hyphens. The same input gives the same name on every run, so a second run
    changes nothing.
  - A name over the limit loses its tail to a hyphen and eight hex digits of the full name's SHA-256.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  _input:
    description: The base, for example V(stream-processor).
    type: str
    required: true
  parts:
    description: What is joined to the base, in order, for example project, environment and pipeline.
    type: list
    elements: str
    required: true
  limit:
    description: The most characters AWS allows, for example 64 for a function or a role and 63 for a bucket.
    type: int
    required: true
  dns:
    description:
      - Keep to lower case letters, digits and hyphens, as an S3 bucket's name must.
      - A name that had to be altered gets the eight hex digits too, so that no two pipelines meet in one bucket.
    type: bool
    default: false
seealso:
  - name: Rules for bucket names
    description: Amazon S3 user guide.
    link: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

EXAMPLES = r"""
# => stream-processor-shop-production-orders
- name: Show a function's name
  ansible.builtin.debug:
    msg: >-
      {{ 'stream-processor' | cloudcdc.dynamodb_streams.derived_name(['shop', 'production', 'orders'], limit=64) }}
"""

RETURN = r"""
_value:
  description: The name.
  type: str
  sample: stream-processor-shop-production-orders
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.naming import derived_name


class FilterModule:
    """Ansible's entry point."""

    def filters(self):
        return {"derived_name": derived_name}
