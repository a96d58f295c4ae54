#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: log_group
version_added: "0.1.0"
short_description: Create and change a log group of Amazon CloudWatch Logs
description:
  - Makes a log group, its retention and its tags what the options say. An option left out leaves its setting as it is.
  - An alternative to M(amazon.aws.cloudwatchlogs_log_group), which sets the retention in check mode too, and deletes
    the group when it does not know the number of days.
options:
  name:
    description: The log group's name.
    type: str
    required: true
  retention_in_days:
    description: For how many days log lines are kept.
    type: int
    choices: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653]
  kms_key_arn:
    description:
      - The key that encrypts a log group that is made. One that is there keeps its own, see
        M(cloudcdc.dynamodb_streams.kms_key_use).
    type: str
  tags:
    description: The log group's tags.
    type: dict
  purge_tags:
    description: Whether to remove tags that O(tags) does not have.
    type: bool
    default: true
notes:
  - A log group is deleted with M(amazon.aws.cloudwatchlogs_log_group).
  - "Needs these actions: C(logs:DescribeLogGroups), C(logs:ListTagsLogGroup); to make and to change
    C(logs:CreateLogGroup), C(logs:PutRetentionPolicy), C(logs:TagLogGroup), C(logs:UntagLogGroup)."
author:
  - cloudcdc maintainers (@cloudcdc)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Keep the function's log for a month
  cloudcdc.dynamodb_streams.log_group:
    name: /aws/lambda/orders-processor
    retention_in_days: 30
    tags:
      team: data
"""

RETURN = r"""
log_group:
  description: The log group as it is, or in check mode as it would be.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
      sample: /aws/lambda/orders-processor
    retention_in_days:
      description: For how many days log lines are kept. Null for ever.
      returned: always
      type: int
      sample: 30
    kms_key_arn:
      description: The key that encrypts it. Null for the one that CloudWatch owns.
      returned: always
      type: str
      sample: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    tags:
      description: Its tags.
      returned: always
      type: dict
      sample:
        team: data
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.log_group import RETENTIONS
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.log_group_api import LogGroup
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "retention_in_days": {"type": "int", "choices": list(RETENTIONS)},
    "kms_key_arn": {"type": "str", "no_log": False},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, LogGroup(module))


if __name__ == "__main__":
    main()
