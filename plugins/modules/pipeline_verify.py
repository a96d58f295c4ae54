#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_verify
version_added: "0.1.0"
short_description: Prove a change data capture pipeline with real changes of its own
description:
  - Inserts, modifies and removes test items in the table, and waits until each of these changes has come out of the
    pipeline as an audit object and as a notification.
  - "For each change it proves the audit object's name, keys, images and every other field of the envelope
    C(cloudcdc.change/1); the notification, equal to the audit object or a claim check for it, or a digest that can be
    over it; and that the sequence numbers of an item rise from change to change. The order of arrival is not looked at,
    since a standard topic does not keep it."
  - "For the run it proves the function's log lines and that they hold no item data, the CloudWatch metrics of function
    and stream, and the event source mapping's state and last result."
  - The filters of the mapping and the O(rules) of the function decide which changes are expected, and where. What they
    hold back must not appear.
  - Audit objects are found in both layouts, one a change and one a batch. Which one the function has need not be told,
    and it may have been changed.
  - Works with any key schema and any key types. The stream view type decides which images are expected.
  - Fails with what is missing and where to look. Items are named by the hash that is also in the names of their audit
    objects, never by key.
notes:
  - Safe on a table with live traffic. A test item is written only where no item has its keys, and only items that carry
    this run's id are modified or removed. Other readers of the stream see the test changes like any others.
  - Leaves no item, queue or subscription, also when it fails, runs out of time or is ended by SIGINT, SIGTERM or
    SIGHUP. So RV(ignore:changed) is always V(false). The audit log keeps the test changes, as it keeps every change.
  - A run that was killed is cleaned up after by the next run of the same pipeline, once the killed run is older than an
    hour. It is found by its temporary queue, whose name begins with C(cloudcdc-verify-), so without O(change_topic_arn)
    the items of a killed run stay. Their attribute C(cloudcdc_verify_run) tells them apart.
  - In check mode nothing is written. The run's preconditions are read and checked, the state of the mapping among them.
  - The report says how long a change took from the end of its write until it was seen, to about O(poll_interval).
  - "Needs these actions: C(dynamodb:DescribeTable), C(dynamodb:PutItem), C(dynamodb:UpdateItem) and
    C(dynamodb:DeleteItem) on the table; C(lambda:ListEventSourceMappings), C(lambda:GetEventSourceMapping);
    C(s3:ListBucket) on the bucket and C(s3:GetObject) on its objects; C(logs:FilterLogEvents) on the log group;
    C(cloudwatch:GetMetricStatistics); with O(function_environment) also C(lambda:GetFunctionConfiguration); with
    O(change_topic_arn) also C(sns:GetTopicAttributes), C(sns:Subscribe), C(sns:Unsubscribe),
    C(sns:ListSubscriptionsByTopic), C(sqs:ListQueues), C(sqs:CreateQueue), C(sqs:TagQueue), C(sqs:ReceiveMessage),
    C(sqs:GetQueueAttributes), C(sqs:ListQueueTags) and C(sqs:DeleteQueue). With customer
    managed keys also C(kms:Decrypt) on the bucket's and on the mapping's key, and on the table's key."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
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
      - The version or alias whose environment is compared with O(function_environment). Left out, that of the function
        itself, which is C($LATEST).
    type: str
  event_source_mapping_uuid:
    description:
      - The mapping from the stream to the function.
      - Left out, it is found by stream and function. More than one is an error that names them.
    type: str
  audit_bucket:
    description:
      - The bucket that holds the audit log.
    type: str
    required: true
  audit_prefix:
    description:
      - What the names of audit objects begin with. Ends with a slash.
    type: str
    default: audit-logs/
  change_topic_arn:
    description:
      - The topic that the function notifies. A temporary queue is subscribed to it, which only this topic can send to.
      - Left out, notifications are not proven.
      - On a log with many thousand changes an hour give it. The notifications then tell where the audit objects are, so
        the log need not be listed.
    type: str
  notification_mode:
    description:
      - How the function announces changes. V(per_change) is one message a change, V(digest) one a batch.
      - A digest does not name its changes, so it proves a notification by its range of sequence numbers, its counts,
        and by naming where the change is audited. So under V(digest) the notification is awaited only of changes that
        are audited.
    type: str
    choices: [per_change, digest]
    default: per_change
  rules:
    description:
      - The rules that the function decides by, all of them and in their order. They decide which changes are awaited in
        the audit log and as notifications, what of their images is left out or covered there, and which further message
        attributes and which subject a notification has.
      - "Rules with C(sample) depend on an id that only AWS knows. Where it matters, the change is not awaited, and it
        is right in each of the ways that the rules can decide."
      - The temporary queue gets notifications without their subject, so the subject is not proven.
    type: list
    elements: dict
    default: []
  function_environment:
    description:
      - The environment variables that the function should have, all of them. A run does not begin while the live ones
        differ, and says which do, by name. Their values are not told.
      - Left out, the environment is not looked at.
    type: dict
  log_group:
    description:
      - The function's log group. The default is C(/aws/lambda/) and O(function_name).
      - An empty text leaves the proof by log lines out, for a function whose log level hides lines of level C(INFO).
    type: str
  items:
    description:
      - How many items are inserted, modified and removed, V(1) to V(100).
    type: int
    default: 3
  item_attributes:
    description:
      - Attributes that every test item gets on top of its keys, as DynamoDB JSON, for tables whose indexes or filters
        need them.
      - Binary values are base64 text, numbers are strings or whole numbers.
      - See U(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html).
    type: dict
    default: {}
  awkward_keys:
    description:
      - Whether keys of type string hold slashes, spaces, an emoji and a letter outside ASCII.
      - With V(false) they hold letters, digits and hyphens only.
    type: bool
    default: true
  large_item:
    description:
      - Whether one more item is written whose images pass O(notification_max_bytes), to prove that it is audited in
        full and notified by claim check.
      - Its three writes take about 150 write units each (more for a higher O(notification_max_bytes)), so a table with
        little provisioned capacity may throttle them.
      - Needs a stream with images. Where the images of a change cannot pass the limit, because items are limited to 400
        KiB, it is refused.
    type: bool
    default: false
  notification_max_bytes:
    description:
      - The size over which the function notifies by claim check, as it is set at the function. V(32768) to V(1048576)
        bytes.
    type: int
    default: 262144
  timeout:
    description:
      - Seconds to wait for audit objects, notifications and log lines after the last write, and for the end of a
        transitional state of the mapping before the first one. V(1) to V(3000), and longer than the mapping's batching
        window.
    type: int
    default: 120
  poll_interval:
    description:
      - Seconds between two looks, V(1) to V(20).
    type: int
    default: 1
  metrics:
    description:
      - Whose metrics to prove. V(function) is C(Invocations) of C(AWS/Lambda), V(stream) is C(ReturnedRecordsCount) of
        C(AWS/DynamoDB) for the operation C(GetRecords).
      - See U(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html) and
        U(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html).
    type: list
    elements: str
    choices: [function, stream]
    default: [function, stream]
  metrics_timeout:
    description:
      - Seconds to wait for the metrics after all the rest is proven and cleaned up, V(0) to V(3600). CloudWatch shows
        them some minutes late.
      - V(0) leaves the metrics out, and the report says so.
    type: int
    default: 300
attributes:
  check_mode:
    description: Reads and checks what a run needs, and says what it would do. Writes nothing.
    support: full
  diff_mode:
    description: Leaves nothing changed, so there is no difference to show.
    support: N/A
seealso:
  - module: cloudcdc.dynamodb_streams.event_source_mapping
  - name: Event filtering
    description: What the filters of an event source mapping let through.
    link: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
"""

EXAMPLES = r"""
- name: Prove the pipeline, from the table to the audit log and the topic
  cloudcdc.dynamodb_streams.pipeline_verify:
    table_name: UserActivities-cdc-production-orders
    function_name: stream-processor-cdc-production-orders
    audit_bucket: activity-audit-cdc-production-orders-123456789012-eu-west-1
    change_topic_arn: arn:aws:sns:eu-west-1:123456789012:activity-notifications-cdc-production-orders
  register: verified

- name: Prove that rules keep the small orders from the topic
  cloudcdc.dynamodb_streams.pipeline_verify:
    table_name: Orders
    function_name: order-processor
    audit_bucket: order-audit
    change_topic_arn: arn:aws:sns:eu-west-1:123456789012:order-changes
    rules:
      - name: small
        when: new.total < `1000`
        sinks: [audit]
    item_attributes:
      total: {N: "99.90"}

- name: Show the latencies
  ansible.builtin.debug:
    var: verified.latency

- name: Prove a pipeline whose filter wants a status, with a large item and without waiting for CloudWatch
  cloudcdc.dynamodb_streams.pipeline_verify:
    table_name: Orders
    function_name: order-processor
    audit_bucket: order-audit
    change_topic_arn: arn:aws:sns:eu-west-1:123456789012:order-changes
    item_attributes:
      status: {S: paid}
      total: {N: "99.90"}
    large_item: true
    metrics_timeout: 0
"""

RETURN = r"""
message:
  description: What is proven, or what is missing and where to look.
  returned: when the run came to its end, and in check mode
  type: str
  sample: >-
    9 changes are proven; latency in ms: audit median 612, p95 1874, max 1874; notification median 655, p95 1910, max
    1910.
run_id:
  description: The id that the run's items carry in their attribute C(cloudcdc_verify_run). Empty in check mode.
  returned: when the run came to its end, and in check mode
  type: str
  sample: 8d0f3c52a4be7190
changes:
  description: Every change of the run, in the order of writing.
  returned: when the run came to its end
  type: list
  elements: dict
  contains:
    event_name:
      description: What was done.
      type: str
      sample: MODIFY
    item:
      description: The item, by 16 hex digits of the SHA-256 over its keys, as in the names of its audit objects.
      type: str
      sample: 3f2a90c1d45be867
    expected:
      description:
        - Whether the mapping's filters let the change through.
        - Null where that hangs on what only AWS knows, such as the record's size.
      type: bool
      sample: true
    audit_expected:
      description:
        - Whether filters and rules let the change into the audit log.
        - Null where that hangs on what only AWS knows.
      type: bool
      sample: true
    notification_expected:
      description:
        - Whether filters and rules let the change be notified. Absent without a topic.
        - Null where that cannot be told.
      type: bool
      sample: true
    sequence_number:
      description: The change's sequence number in the stream, null where nothing was seen of it.
      type: str
      sample: "4210800000000028133746025"
    audit_key:
      description: The name of the audit object that holds the change, null where none was seen.
      type: str
      sample: audit-logs/2026/01/31/23/0000000000000004210800000000028133746025-3f2a90c1d45be867.json
    audit_ok:
      description: Whether the audit object is there and right, or rightly not there.
      type: bool
      sample: true
    audit_latency_ms:
      description: Milliseconds from the end of the write until the audit object was seen, null where none was.
      type: int
      sample: 612
    notification:
      description:
        - How the change was notified, V(full), V(claim_check) or V(digest), null where no notification was seen.
        - Absent without a topic.
      type: str
      sample: full
    notification_ok:
      description: Whether the notification was received and is right, or rightly did not come. Absent without a topic.
      type: bool
      sample: true
    notification_latency_ms:
      description:
        - Milliseconds from the end of the write until the notification was received, null where none was.
        - Absent without a topic.
      type: int
      sample: 655
latency:
  description: Latencies in milliseconds of each channel.
  returned: when the run came to its end
  type: dict
  sample:
    audit: {count: 9, max: 1874, median: 612, p95: 1874}
    notification: {count: 9, max: 1910, median: 655, p95: 1910}
checks:
  description: Each thing that was to be proven.
  returned: when the run came to its end, and in check mode
  type: list
  elements: dict
  contains:
    name:
      description:
        - One of C(configuration), C(audit), C(notification), C(order), C(filters), C(rules), C(claim_check),
          C(logs), C(logs_without_item_data), C(mapping), C(function_metrics), C(stream_metrics), C(cleanup).
      type: str
      sample: order
    ok:
      description: Whether it is proven. Null where it was left out, and RV(checks[].detail) says why.
      type: bool
      sample: true
    detail:
      description: What was found.
      type: str
      sample: each item's sequence numbers rise from change to change
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_verify import run_verification

ARGUMENT_SPEC = {
    "table_name": {"type": "str", "required": True},
    "function_name": {"type": "str", "required": True},
    "qualifier": {"type": "str"},
    "event_source_mapping_uuid": {"type": "str"},
    "audit_bucket": {"type": "str", "required": True},
    "audit_prefix": {"type": "str", "default": "audit-logs/"},
    "change_topic_arn": {"type": "str"},
    "notification_mode": {"type": "str", "choices": ["per_change", "digest"], "default": "per_change"},
    "rules": {"type": "list", "elements": "dict", "default": []},
    "function_environment": {"type": "dict"},
    "log_group": {"type": "str"},
    "items": {"type": "int", "default": 3},
    "item_attributes": {"type": "dict", "default": {}},
    "awkward_keys": {"type": "bool", "default": True, "no_log": False},
    "large_item": {"type": "bool", "default": False},
    "notification_max_bytes": {"type": "int", "default": 262144},
    "timeout": {"type": "int", "default": 120},
    "poll_interval": {"type": "int", "default": 1},
    "metrics": {
        "type": "list",
        "elements": "str",
        "choices": ["function", "stream"],
        "default": ["function", "stream"],
    },
    "metrics_timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_verification(AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
