#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: sns_topic
version_added: "0.1.0"
short_description: Create, change and delete an Amazon SNS topic and its subscriptions
description:
  - Makes a topic, its encryption key, its policy, its tags and its subscriptions what the options say. An option that
    is left out stays as it is.
  - Works in check mode on a target where the topic does not exist yet, and then returns the ARN that the topic will
    have.
  - Bad input is refused before anything is written.
  - An alternative to M(community.aws.sns_topic), which has no encryption key.
notes:
  - A subscribed queue's own policy must let the topic send (C(sqs:SendMessage) for the principal
    C(sns.amazonaws.com), with the topic's ARN as C(aws:SourceArn)), and a subscribed function needs a permission of
    the same kind. This module changes neither. See
    U(https://docs.aws.amazon.com/sns/latest/dg/subscribe-sqs-queue-to-sns-topic.html).
  - With a customer managed O(kms_master_key_id), its key policy must let the publishers, and services such as
    C(cloudwatch.amazonaws.com), use the key. The AWS managed key C(alias/aws/sns) does not let CloudWatch alarms
    publish. See U(https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html).
  - "Needs these actions: C(sns:GetTopicAttributes), C(sns:ListTagsForResource), C(sns:ListSubscriptionsByTopic),
    C(sns:GetSubscriptionAttributes); to create, C(sns:CreateTopic), C(sns:TagResource) and C(sns:Subscribe); to
    change, C(sns:SetTopicAttributes), C(sns:TagResource), C(sns:UntagResource), C(sns:Subscribe),
    C(sns:SetSubscriptionAttributes) and C(sns:Unsubscribe); to delete, C(sns:Unsubscribe) and C(sns:DeleteTopic).
    C(iam:PassRole) for a O(subscriptions[].subscription_role_arn). C(sts:GetCallerIdentity) is always allowed."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description:
      - The topic's name, 1 to 256 letters, digits, hyphens and underscores. The name of a FIFO topic ends with
        C(.fifo).
    type: str
    required: true
  state:
    description:
      - V(present) creates or changes the topic.
      - V(absent) removes this account's confirmed subscriptions of the topic, then the topic. SNS forgets the other
        subscriptions with it.
    type: str
    choices: [present, absent]
    default: present
  topic_type:
    description:
      - V(standard) or V(fifo). It says what O(name) says already, and an error tells when the two differ.
      - A topic's type cannot change after it is created. A new topic needs a new name.
      - Left out, O(name) decides.
    type: str
    choices: [standard, fifo]
  content_based_deduplication:
    description:
      - Whether SNS takes messages with the same body for the same message, when the publisher names no deduplication
        id. For FIFO topics.
      - SNS's default for a new topic is V(false).
    type: bool
  display_name:
    description:
      - The sender's name in e-mails and the first part of text messages, at most 100 characters. An empty text
        removes it.
    type: str
  kms_master_key_id:
    description:
      - The KMS key that encrypts messages at rest, as a key id, key ARN, alias (C(alias/aws/sns)) or alias ARN.
      - Compared as text with what SNS keeps. So give the same form each time.
      - An empty text ends encryption with a key.
    type: str
  policy:
    description:
      - The topic's access policy, as an object or as JSON text. Compared by what it means, not as text.
      - It replaces the whole policy, the one that SNS gives a new topic included.
    type: json
  subscriptions:
    description:
      - The subscriptions that are to be there. Found by protocol and endpoint. Only what differs is changed.
      - A subscription that waits for its confirmation counts as there. SNS lets nobody read, change or remove it, so
        it stays as it is and is listed in RV(pending).
      - See U(https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html).
    type: list
    elements: dict
    suboptions:
      protocol:
        description:
          - How messages are delivered, one of V(email), V(email-json), V(sms), V(sqs), V(https), V(lambda),
            V(firehose). A FIFO topic takes V(sqs) only.
          - V(http) is refused, since it would send item data unencrypted.
        type: str
        required: true
      endpoint:
        description:
          - Who gets the messages. An e-mail address, a telephone number, a URL that begins with C(https://), or the
            ARN of a queue, function or delivery stream.
          - The owners of e-mail addresses and URLs must confirm before they get any message.
        type: str
        required: true
      filter_policy:
        description:
          - Which messages are delivered. V({}) removes the filter.
          - See U(https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html).
        type: dict
      filter_policy_scope:
        description:
          - What O(subscriptions[].filter_policy) looks at, and only to be given with it. SNS's default for a new
            filter is V(MessageAttributes).
        type: str
        choices: [MessageAttributes, MessageBody]
      raw_message_delivery:
        description:
          - Whether the message is delivered as it was published, without SNS's envelope. For V(sqs), V(https) and
            V(firehose).
          - SNS's default for a new subscription is V(false).
        type: bool
      dead_letter_target_arn:
        description:
          - The ARN of the queue that gets what could not be delivered. An empty text removes it.
          - See U(https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html).
        type: str
      subscription_role_arn:
        description:
          - The ARN of the role that lets SNS write to a delivery stream. Required with V(firehose), and for nothing
            else.
        type: str
  purge_subscriptions:
    description:
      - Whether confirmed subscriptions that O(subscriptions) does not list are removed. Without O(subscriptions),
        none is.
      - Off by default, unlike in M(community.aws.sns_topic), since others may subscribe to a topic for a while.
    type: bool
    default: false
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Create a topic for alarms and tell the operators
  cloudcdc.dynamodb_streams.sns_topic:
    name: activity-alarms-cdc-production-orders
    display_name: Order alarms
    tags:
      Project: cdc
    subscriptions:
      - protocol: email
        endpoint: operators@example.com

- name: Encrypt the change topic and send deletions to a queue
  cloudcdc.dynamodb_streams.sns_topic:
    name: activity-notifications-cdc-production-orders
    kms_master_key_id: alias/cdc
    subscriptions:
      - protocol: sqs
        endpoint: arn:aws:sqs:eu-central-1:123456789012:deleted-orders
        raw_message_delivery: true
        filter_policy:
          eventName: [REMOVE]
        dead_letter_target_arn: arn:aws:sqs:eu-central-1:123456789012:undelivered

- name: Let nobody but the operators be told
  cloudcdc.dynamodb_streams.sns_topic:
    name: activity-alarms-cdc-production-orders
    subscriptions:
      - protocol: email
        endpoint: operators@example.com
    purge_subscriptions: true

- name: Create a FIFO topic
  cloudcdc.dynamodb_streams.sns_topic:
    name: ordered-changes.fifo
    content_based_deduplication: true

- name: Delete a topic
  cloudcdc.dynamodb_streams.sns_topic:
    name: activity-alarms-cdc-production-orders
    state: absent
"""

RETURN = r"""
topic_arn:
  description: The topic's ARN. In check mode, and after the topic is deleted, the one it will have or had.
  returned: success
  type: str
  sample: arn:aws:sns:eu-central-1:123456789012:order-changes
pending:
  description: The subscriptions that wait for their confirmation. They get no messages yet, and were neither
    changed nor removed.
  returned: success
  type: list
  elements: dict
  sample:
    - protocol: email
      endpoint: operators@example.com
sns_topic:
  description: The topic as it is, or in check mode as it would be. Empty when it is not there.
  returned: success
  type: dict
  contains:
    topic_arn:
      description: The topic's ARN.
      returned: when the topic is there
      type: str
      sample: arn:aws:sns:eu-central-1:123456789012:order-changes
    name:
      description: The topic's name.
      returned: when the topic is there
      type: str
      sample: order-changes
    topic_type:
      description: V(standard) or V(fifo).
      returned: when the topic is there
      type: str
      sample: standard
    owner:
      description: The account that owns the topic.
      returned: when the topic is there
      type: str
      sample: "123456789012"
    display_name:
      description: The display name, empty for none.
      returned: when the topic is there
      type: str
      sample: Order changes
    kms_master_key_id:
      description: The encryption key, empty for none.
      returned: when the topic is there
      type: str
      sample: alias/cdc
    content_based_deduplication:
      description: Whether a FIFO topic de-duplicates by body. V(false) on a standard topic.
      returned: when the topic is there
      type: bool
      sample: false
    policy:
      description: The access policy. In check mode only when O(policy) is given or the topic exists.
      returned: when the topic is there
      type: dict
      sample:
        Version: "2012-10-17"
        Statement:
          - Sid: Alarms
            Effect: Allow
            Principal:
              Service: cloudwatch.amazonaws.com
            Action: sns:Publish
            Resource: arn:aws:sns:eu-central-1:123456789012:order-changes
    tags:
      description: The topic's tags.
      returned: when the topic is there
      type: dict
      sample:
        Project: cdc
    subscriptions:
      description:
        - All subscriptions, by protocol and endpoint. The attributes, C(filter_policy) and those after it, are there
          for confirmed ones that O(subscriptions) lists.
      returned: when the topic is there
      type: list
      elements: dict
      contains:
        subscription_arn:
          description: The subscription's ARN. V(PendingConfirmation) until it is confirmed. Null when check mode
            would make it.
          returned: always
          type: str
          sample: arn:aws:sns:eu-central-1:123456789012:order-changes:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55
        protocol:
          description: How messages are delivered.
          returned: always
          type: str
          sample: sqs
        endpoint:
          description: Who gets them.
          returned: always
          type: str
          sample: arn:aws:sqs:eu-central-1:123456789012:deleted-orders
        owner:
          description: The account that subscribed.
          returned: always
          type: str
          sample: "123456789012"
        pending:
          description: Whether it waits for its confirmation.
          returned: always
          type: bool
          sample: false
        filter_policy:
          description: The filter, empty for none.
          returned: when it was read
          type: dict
          sample:
            eventName: [REMOVE]
        filter_policy_scope:
          description: What the filter looks at.
          returned: when it was read
          type: str
          sample: MessageAttributes
        raw_message_delivery:
          description: Whether messages come without SNS's envelope.
          returned: when it was read
          type: bool
          sample: true
        dead_letter_target_arn:
          description: The queue for what could not be delivered, empty for none.
          returned: when it was read
          type: str
          sample: arn:aws:sqs:eu-central-1:123456789012:undelivered
        subscription_role_arn:
          description: The role for a delivery stream, empty for none.
          returned: when it was read
          type: str
          sample: ""
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sns_topic_api import SnsTopic

SUBSCRIPTION_SPEC = {
    "protocol": {"type": "str", "required": True},
    "endpoint": {"type": "str", "required": True},
    "filter_policy": {"type": "dict"},
    "filter_policy_scope": {"type": "str", "choices": ["MessageAttributes", "MessageBody"]},
    "raw_message_delivery": {"type": "bool"},
    "dead_letter_target_arn": {"type": "str"},
    "subscription_role_arn": {"type": "str"},
}

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "topic_type": {"type": "str", "choices": ["standard", "fifo"]},
    "content_based_deduplication": {"type": "bool"},
    "display_name": {"type": "str"},
    "kms_master_key_id": {"type": "str", "no_log": False},
    "policy": {"type": "json"},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
    "subscriptions": {"type": "list", "elements": "dict", "options": SUBSCRIPTION_SPEC},
    "purge_subscriptions": {"type": "bool", "default": False},
}


def main():
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, SnsTopic(module))


if __name__ == "__main__":
    main()
