#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sns_topic_info
version_added: "0.1.0"
short_description: Read an Amazon SNS topic and its subscriptions
description:
  - Returns a topic's settings, tags and subscriptions. A topic that does not exist is no error.
  - Reads each confirmed subscription's attributes with a call of its own.
notes:
  - Needs C(sns:GetTopicAttributes), C(sns:ListTagsForResource), C(sns:ListSubscriptionsByTopic) and
    C(sns:GetSubscriptionAttributes).
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description:
      - The name of a topic of this account and region.
      - Give this or O(topic_arn).
    type: str
  topic_arn:
    description:
      - The topic's ARN, also of another account that allows it.
      - Give this or O(name).
    type: str
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
"""

EXAMPLES = r"""
- name: Read the change topic
  cloudcdc.dynamodb_streams.sns_topic_info:
    name: activity-notifications-cdc-production-orders
  register: change_topic

- name: Show who did not confirm yet
  ansible.builtin.debug:
    var: change_topic.pending
"""

RETURN = r"""
exists:
  description: Whether the topic is there.
  returned: success
  type: bool
  sample: true
topic_arn:
  description: The topic's ARN, or the one it would have.
  returned: success
  type: str
  sample: arn:aws:sns:eu-central-1:123456789012:order-changes
pending:
  description: The subscriptions that wait for their confirmation.
  returned: success
  type: list
  elements: dict
  sample:
    - protocol: email
      endpoint: operators@example.com
sns_topic:
  description:
    - The topic, with the fields that M(cloudcdc.dynamodb_streams.sns_topic) returns, the attributes of every
      confirmed subscription included. Empty when it is not there.
  returned: success
  type: dict
  sample:
    topic_arn: arn:aws:sns:eu-central-1:123456789012:order-changes
    name: order-changes
    topic_type: standard
    owner: "123456789012"
    display_name: Order changes
    kms_master_key_id: alias/cdc
    content_based_deduplication: false
    policy:
      Version: "2008-10-17"
      Id: __default_policy_ID
      Statement: []
    tags:
      Project: cdc
    subscriptions:
      - subscription_arn: arn:aws:sns:eu-central-1:123456789012:order-changes:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55
        protocol: sqs
        endpoint: arn:aws:sqs:eu-central-1:123456789012:deleted-orders
        owner: "123456789012"
        pending: false
        filter_policy:
          eventName: [REMOVE]
        filter_policy_scope: MessageAttributes
        raw_message_delivery: true
        dead_letter_target_arn: arn:aws:sqs:eu-central-1:123456789012:undelivered
        subscription_role_arn: ""
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sns_topic import pending
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sns_topic_api import find_arn, read_topic


def main():
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str"}, "topic_arn": {"type": "str"}},
        mutually_exclusive=[("name", "topic_arn")],
        required_one_of=[("name", "topic_arn")],
        supports_check_mode=True,
    )
    sns = client(module, "sns")
    try:
        arn = module.params["topic_arn"] or find_arn(sns, client(module, "sts"), module.params["name"])
        state = read_topic(sns, arn, asked=None) or {}
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(changed=False, exists=bool(state), topic_arn=arn, sns_topic=state, pending=pending(state))


if __name__ == "__main__":
    main()
