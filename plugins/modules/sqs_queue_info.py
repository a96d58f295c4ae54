#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sqs_queue_info
version_added: "0.1.0"
short_description: Say whether an Amazon SQS queue holds messages
description:
  - Counts the messages of a queue, visible, in flight and delayed.
  - SQS counts approximately. A queue without senders is empty when all counts stay 0 for several minutes, so the module
    can look on for a while.
    See U(https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/confirm-queue-is-empty.html).
notes:
  - "Needs these actions on the queue: C(sqs:GetQueueUrl) and C(sqs:GetQueueAttributes)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description: The queue's name.
    type: str
    required: true
  watch:
    description: For how many seconds to look on while all counts are 0. The first message that is seen ends it.
    type: int
    default: 0
  pause:
    description: Seconds between two looks.
    type: int
    default: 10
seealso:
  - module: community.aws.sqs_queue
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
"""

EXAMPLES = r"""
- name: See whether failures wait in the queue
  cloudcdc.dynamodb_streams.sqs_queue_info:
    name: stream-processor-cdc-dev-orders-dlq
    watch: 180
  register: queue
"""

RETURN = r"""
exists:
  description: Whether there is such a queue.
  returned: success
  type: bool
  sample: true
queue_url:
  description: Its URL, null when there is none.
  returned: success
  type: str
  sample: https://sqs.us-east-1.amazonaws.com/123456789012/stream-processor-cdc-dev-orders-dlq
messages:
  description: How many messages it holds, about.
  returned: success
  type: int
  sample: 3
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sqs_queue_info import queue_info


def main():
    argument_spec = {
        "name": {"type": "str", "required": True},
        "watch": {"type": "int", "default": 0},
        "pause": {"type": "int", "default": 10},
    }
    module = AnsibleAWSModule(argument_spec=argument_spec, supports_check_mode=True)
    options = module.params
    if options["watch"] < 0 or options["pause"] < 1:
        module.fail_json(msg="watch must be 0 or more seconds, pause 1 or more.")
    try:
        found = queue_info(client(module, "sqs"), options["name"], options["watch"], options["pause"])
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
