#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: kms_key_use
version_added: "0.1.0"
short_description: Encrypt a queue and a log group that are there already with a KMS key
description:
  - Sets the key of an SQS queue and of a CloudWatch log group. What they hold already stays encrypted as it was; what
    comes from now on is encrypted with the key.
  - M(community.aws.sqs_queue) and M(amazon.aws.cloudwatchlogs_log_group) give a key only to what they make, and leave
    what is there without one.
notes:
  - In check mode, a queue or a log group that is not there yet counts as one that will be made with the key.
  - "Needs these actions for what is asked for: C(sqs:GetQueueUrl), C(sqs:GetQueueAttributes),
    C(sqs:SetQueueAttributes); C(logs:DescribeLogGroups), C(logs:AssociateKmsKey), C(logs:DisassociateKmsKey)."
  - The key's policy must let CloudWatch Logs use it, see
    U(https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html).
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  kms_key_arn:
    description: The key's ARN. Empty takes the resources' keys away.
    type: str
    required: true
  queue_name:
    description: The queue's name.
    type: str
  log_group_name:
    description: The log group's name.
    type: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Encrypt the failure queue and the function's log
  cloudcdc.dynamodb_streams.kms_key_use:
    kms_key_arn: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    queue_name: stream-processor-cdc-production-orders-dlq
    log_group_name: /aws/lambda/stream-processor-cdc-production-orders

- name: Leave the log to the key that CloudWatch owns
  cloudcdc.dynamodb_streams.kms_key_use:
    kms_key_arn: ""
    log_group_name: /aws/lambda/stream-processor-cdc-production-orders
"""

RETURN = r"""
kms_key_use:
  description: The keys as they are, or in check mode as they would be.
  returned: success
  type: dict
  contains:
    queue:
      description: The queue's key, empty for none.
      returned: when O(queue_name) is given
      type: str
      sample: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    log_group:
      description: The log group's key, empty for none.
      returned: when O(log_group_name) is given
      type: str
      sample: arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.kms_key_use import KeyUse
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENT_SPEC = {
    "kms_key_arn": {"type": "str", "required": True, "no_log": False},
    "queue_name": {"type": "str"},
    "log_group_name": {"type": "str"},
}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENT_SPEC, required_one_of=[("queue_name", "log_group_name")], supports_check_mode=True
    )
    run_resource(module, KeyUse(module))


if __name__ == "__main__":
    main()
