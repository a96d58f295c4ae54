#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_drill
version_added: "0.1.0"
short_description: Prove that what a change data capture pipeline fails to process is not lost
description:
  - Carries out one phase of a failure drill. Between the phases, the function's configuration is set and restored, and
    the failure records are redriven; the role's entry point V(failure_drill) does all of it in order.
  - "V(prepare) refuses what cannot be drilled before anything is written, chooses the drill's id and opens a temporary
    queue for the alarm's message. Then the function is configured to fail: with the environment variables C(DRILL_ID)
    and, to refuse one change, C(DRILL_TOKEN)."
  - "V(fail) inserts items of its own and waits until exactly the changes that fail have come to the failure
    destination, the other ones are audited, and the alarm has gone off and sent its message. Then the function's
    configuration is restored, and the failure records are redriven."
  - "V(recover) waits until every change is audited, removes the items, and waits until these removals are audited too,
    the failure destination holds nothing of the drill and the alarm is no longer in C(ALARM)."
  - "V(clean) is for a drill that broke off: it removes what the drill made and says what became of its changes."
  - A phase that finds something wrong does not fail, since the next ones are needed all the same. It puts it into
    RV(drill.problems).
notes:
  - Items are written only where no item has their keys, and only items that carry the drill's id are removed. Other
    readers of the stream see the drill's changes like any others, and the audit log keeps them.
  - Looks at failure records without taking them out. Messages of a failure queue are hidden for the time of a look.
  - Leaves no item, queue or subscription, also when a phase fails or is ended by SIGINT, SIGTERM or SIGHUP. So
    RV(ignore:changed) is always V(false). What a killed drill left is removed by the next one, once it is older than an
    hour.
  - In check mode nothing is written. The preconditions are read and checked.
  - "Needs these actions: C(dynamodb:DescribeTable), C(dynamodb:PutItem) and C(dynamodb:DeleteItem) on the table;
    C(dynamodb:DescribeStream), C(dynamodb:GetShardIterator) and C(dynamodb:GetRecords) on its stream;
    C(lambda:ListEventSourceMappings), C(lambda:GetEventSourceMapping), C(lambda:GetFunctionConfiguration);
    C(s3:ListBucket) and C(s3:GetObject) on the audit bucket; C(sqs:ReceiveMessage) and C(sqs:ChangeMessageVisibility)
    on the failure queue, or C(s3:ListBucket) and C(s3:GetObject) on the failure bucket; C(cloudwatch:DescribeAlarms);
    C(sns:GetTopicAttributes), C(sns:Subscribe), C(sns:ListSubscriptionsByTopic) on the alarm topic, C(sns:Unsubscribe);
    C(sqs:ListQueues), and C(sqs:CreateQueue), C(sqs:TagQueue), C(sqs:ReceiveMessage), C(sqs:GetQueueAttributes),
    C(sqs:ListQueueTags) and C(sqs:DeleteQueue) on queues whose names begin with C(cloudcdc-drill-)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  phase:
    description:
      - What to do. See the description.
    type: str
    choices: [prepare, fail, recover, clean]
    required: true
  mode:
    description:
      - V(poison) lets the function refuse one change of the drill's own. V(break) is for a function that fails with
        every change.
    type: str
    choices: [poison, break]
    default: poison
  table_name:
    description:
      - The table that the stream belongs to.
    type: str
    required: true
  function_name:
    description:
      - The function that processes the stream, by name or ARN. A version or alias in it is not looked at.
    type: str
    required: true
  qualifier:
    description:
      - The version or alias that the mapping invokes, whose environment is looked at. Left out, the function itself,
        which is C($LATEST).
    type: str
  event_source_mapping_uuid:
    description:
      - The mapping from the stream to the function.
      - Left out, it is found by stream and function. More than one is an error that names them.
    type: str
  audit_bucket:
    description:
      - The bucket that holds the audit log. Both of its layouts are looked for, one object a change and one a batch.
    type: str
    required: true
  audit_prefix:
    description:
      - What the names of audit objects begin with. Ends with a slash.
    type: str
    default: audit-logs/
  failure_queue_url:
    description:
      - The queue that holds the failure records. Needed where the mapping's on-failure destination is a queue, or a
        topic that the queue is subscribed to with raw delivery. A bucket is known from the mapping.
    type: str
  alarm_topic_arn:
    description:
      - The topic that the alarms send to. A temporary queue is subscribed to it, which only this topic can send to.
    type: str
    required: true
  arrived_alarm:
    description:
      - The name of the alarm that goes off when a failure record has arrived.
    type: str
    required: true
  destination_alarm:
    description:
      - The name of the alarm that goes off when a failure record could not be delivered.
    type: str
    required: true
  healthy_items:
    description:
      - How many items are written around the poison, V(1) to V(50). With O(mode=break) one more than these fails.
    type: int
    default: 4
  item_attributes:
    description:
      - Attributes that every item gets on top of its keys, as DynamoDB JSON, for tables whose indexes or filters need
        them.
      - Binary values are base64 text, numbers are strings or whole numbers.
    type: dict
    default: {}
  rules:
    description:
      - The rules that the function decides by, all of them and in their order. They must let the drill's items into the
        audit log for certain, since their recovery is seen there.
    type: list
    elements: dict
    default: []
  timeout:
    description:
      - Seconds that each wait may take, V(1) to V(3600), and longer than the mapping's batching window. CloudWatch
        shows metrics some minutes late, and an alarm adds its period.
    type: int
    default: 900
  poll_interval:
    description:
      - Seconds between two looks, V(1) to V(20).
    type: int
    default: 1
  drill:
    description:
      - What the phase before returned as RV(drill). Needed by all phases but V(prepare).
    type: dict
attributes:
  check_mode:
    description: Reads and checks what a drill needs, and says what it would do. Writes nothing.
    support: full
  diff_mode:
    description: Leaves nothing changed, so there is no difference to show.
    support: N/A
seealso:
  - module: cloudcdc.dynamodb_streams.pipeline_verify
  - module: cloudcdc.dynamodb_streams.pipeline_redrive
  - name: On-failure destinations
    description: What Lambda sends to a failure destination.
    link: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
"""

EXAMPLES = r"""
- name: Prepare a drill
  cloudcdc.dynamodb_streams.pipeline_drill:
    phase: prepare
    table_name: Orders
    function_name: order-processor
    audit_bucket: order-audit
    failure_queue_url: https://sqs.eu-west-1.amazonaws.com/123456789012/order-processor-dlq
    alarm_topic_arn: arn:aws:sns:eu-west-1:123456789012:order-alarms
    arrived_alarm: order-processor-dlq-messages
    destination_alarm: order-processor-destination-failures
  register: prepared

# Now give the function DRILL_ID and DRILL_TOKEN, from prepared.drill.id and prepared.drill.token.

- name: See the drill's change fail
  cloudcdc.dynamodb_streams.pipeline_drill:
    phase: fail
    table_name: Orders
    function_name: order-processor
    audit_bucket: order-audit
    failure_queue_url: https://sqs.eu-west-1.amazonaws.com/123456789012/order-processor-dlq
    alarm_topic_arn: arn:aws:sns:eu-west-1:123456789012:order-alarms
    arrived_alarm: order-processor-dlq-messages
    destination_alarm: order-processor-destination-failures
    drill: "{{ prepared.drill }}"
  register: failed_as_told
"""

RETURN = r"""
message:
  description: What the phase has seen, or what is wrong.
  returned: when the phase came to its end
  type: str
  sample: "The drill 8d0f3c52a4be7190 is passed: every change was recovered, and nothing of the drill remains."
drill:
  description:
    - What the next phase needs, and the report of the drill so far. It holds no item data.
    - "The names of all that the drill made follow from its C(id)."
  returned: when the options could be read
  type: dict
  contains:
    id:
      description: The drill's id, which its items carry in the attribute C(cloudcdc_verify_run).
      type: str
      sample: 8d0f3c52a4be7190
    mode:
      description: As O(mode).
      type: str
      sample: poison
    token:
      description:
        - What the function compares the hash of an item's keys with, to refuse it. It names one item of the drill's
          own.
      type: str
      sample: 3f2a90c1d45be8673f2a90c1d45be8673f2a90c1d45be8673f2a90c1d45be867
    started:
      description: The beginning, by AWS's time, in ISO 8601 and UTC. All failure records of the drill are younger.
      type: str
      sample: "2026-01-31T23:59:58Z"
    destination:
      description: The ARN of the mapping's on-failure destination.
      type: str
      sample: arn:aws:sqs:eu-west-1:123456789012:order-processor-dlq
    changes:
      description: Every INSERT of the drill with what was seen of it.
      type: list
      elements: dict
      contains:
        event_name:
          description: What was done.
          type: str
          sample: INSERT
        item:
          description: The item, by 16 hex digits of the SHA-256 over its keys, as in the names of its audit objects.
          type: str
          sample: 3f2a90c1d45be867
        part:
          description: V(poison), V(healthy), or V(victim) with O(mode=break).
          type: str
          sample: poison
        shard_id:
          description: The shard that holds the change, null where it was not seen.
          type: str
          sample: shardId-00000001769903998000-00000000
        sequence_number:
          description: The change's sequence number in the stream, null where it was not seen.
          type: str
          sample: "4210800000000028133746025"
        audit_key:
          description: The name of the audit object that holds the change, or of the one that would hold it alone.
          type: str
          sample: audit-logs/2026/01/31/23/0000000000000004210800000000028133746025-3f2a90c1d45be867.json
        audited:
          description: Whether the audit object was seen.
          type: bool
          sample: true
        redriven:
          description: Whether it carries the mark of a redrive. With one object a batch, in one of its copies.
          type: bool
          sample: true
    failure_records:
      description: The failure records that held changes of the drill.
      type: list
      elements: dict
      contains:
        name:
          description: The message's id or the object's key.
          type: str
          sample: 0b6a3a5e-4b4d-4c6b-9a5e-3d5d0f7f6c11
        shard_id:
          description: The shard.
          type: str
          sample: shardId-00000001769903998000-00000000
        first:
          description: The first sequence number of the batch.
          type: str
          sample: "4210800000000028133746025"
        last:
          description: The last sequence number of the batch.
          type: str
          sample: "4210800000000028133746025"
        batch_size:
          description: How many changes the batch had.
          type: int
          sample: 1
        condition:
          description: Why Lambda gave it up.
          type: str
          sample: RetryAttemptsExhausted
        function_error:
          description: The function's kind of error, null after a partial response.
          type: str
          sample: Unhandled
    other_changes:
      description: How many changes of others are in failure records since the drill's start.
      type: int
      sample: 0
    dropped:
      description: The changes that were neither processed nor named by a failure record, as in RV(drill.changes).
      type: list
      elements: dict
    left:
      description:
        - The changes that were not recovered, and that the failure destination still holds, as in RV(drill.changes).
      type: list
      elements: dict
    problems:
      description: All that was wrong. Empty when all went well.
      type: list
      elements: str
    durations:
      description:
        - Seconds from the last write until all failure records were seen, the alarm's message was received, every
          change was recovered, and the alarm was quiet again; and of the whole drill.
      type: dict
      sample: {to_alarm: 24.1, to_destination: 21.5, to_quiet_alarm: 95.2, to_recovery: 38.9, total: 110.4}
    cleaned:
      description: Whether items, queue and subscription are removed.
      type: bool
      sample: true
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_drill import run_drill

ARGUMENT_SPEC = {
    "phase": {"type": "str", "choices": ["prepare", "fail", "recover", "clean"], "required": True},
    "mode": {"type": "str", "choices": ["poison", "break"], "default": "poison"},
    "table_name": {"type": "str", "required": True},
    "function_name": {"type": "str", "required": True},
    "qualifier": {"type": "str"},
    "event_source_mapping_uuid": {"type": "str"},
    "audit_bucket": {"type": "str", "required": True},
    "audit_prefix": {"type": "str", "default": "audit-logs/"},
    "failure_queue_url": {"type": "str"},
    "alarm_topic_arn": {"type": "str", "required": True},
    "arrived_alarm": {"type": "str", "required": True},
    "destination_alarm": {"type": "str", "required": True},
    "healthy_items": {"type": "int", "default": 4},
    "item_attributes": {"type": "dict", "default": {}},
    "rules": {"type": "list", "elements": "dict", "default": []},
    "timeout": {"type": "int", "default": 900},
    "poll_interval": {"type": "int", "default": 1},
    "drill": {"type": "dict"},
}


def main() -> None:
    run_drill(AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
