#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_status
version_added: "0.1.0"
short_description: Look at a change feed from a DynamoDB table to S3 and SNS
description:
  - Asks AWS how a pipeline is, and judges it. It changes nothing and reads no item data.
  - A part that AWS does not tell, such as for want of a right, is named in RV(status.unreadable); all others are told
    nevertheless.
  - The newest change is found by the folders of the audit log, year by year down to the hour. That takes five requests,
    however many objects there are.
options:
  table_name:
    description: The table.
    type: str
    required: true
  function_name:
    description: The function, by name. Its event source mapping may call a version or an alias of it.
    type: str
    required: true
  audit_bucket:
    description: The bucket of the audit log.
    type: str
    required: true
  audit_prefix:
    description: What the audit objects' names begin with.
    type: str
    default: audit-logs/
  failure_queue_url:
    description: The URL of the failure queue. Empty means that there is none.
    type: str
    default: ""
  failure_bucket:
    description: The bucket that Lambda delivers failure records to. Empty means that there is none.
    type: str
    default: ""
  alarm_names:
    description: The alarms that there should be.
    type: list
    elements: str
    default: []
  enabled:
    description: Whether the event source mapping should be enabled.
    type: bool
    default: true
  iterator_age_limit:
    description: How far the function may be behind the stream, in seconds. V(0) means that any age is well.
    type: int
    default: 0
  minutes:
    description: How far back counts and ages are asked for, 1 to 1440.
    type: int
    default: 60
notes:
  - "Needs these actions: C(cloudwatch:DescribeAlarms), C(cloudwatch:GetMetricData), C(dynamodb:DescribeTable),
    C(lambda:GetFunctionConfiguration), C(lambda:ListEventSourceMappings), C(s3:ListBucket), C(sqs:GetQueueAttributes)."
  - CloudWatch has a metric a minute or two after what it counts. A metric without a point in the time counts as 0.
author:
  - cloudcdc maintainers (@cloudcdc)
seealso:
  - plugin: cloudcdc.dynamodb_streams.pipeline_status
    plugin_type: filter
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
"""

EXAMPLES = r"""
- name: Look at a pipeline
  cloudcdc.dynamodb_streams.pipeline_status:
    table_name: Orders
    function_name: orders-processor
    audit_bucket: orders-audit
    failure_queue_url: https://sqs.eu-central-1.amazonaws.com/123456789012/orders-processor-dlq
    alarm_names: [orders-processor-errors]
    iterator_age_limit: 3600
"""

RETURN = r"""
status:
  description: How the pipeline is.
  returned: success
  type: dict
  contains:
    state:
      description:
        - V(ok); V(attention) where someone should look; V(broken) where changes do not get through, or are lost;
          V(absent) where it is not deployed.
      type: str
      sample: attention
    reasons:
      description: Why, the worst first; each with the state that it leads to.
      type: list
      elements: dict
      sample:
        - state: attention
          reason: "2 messages wait in the failure queue, the oldest for 95 s: run playbooks/redrive.yml"
    checked_at:
      description: When AWS was asked, in UTC.
      type: str
      sample: "2026-01-31T12:00:00Z"
    table:
      description: The table and its stream. Null when it is missing or could not be read, as all that follows.
      type: dict
      sample:
        name: Orders
        status: ACTIVE
        stream_arn: arn:aws:dynamodb:eu-central-1:123456789012:table/Orders/stream/2026-01-01T00:00:00.000
        stream_view_type: NEW_AND_OLD_IMAGES
    event_source_mapping:
      description: The mapping, with what Lambda says of it; C(count) is how many the function has there.
      type: dict
      sample:
        uuid: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
        state: Enabled
        last_processing_result: OK
        state_transition_reason: User action
        function_arn: arn:aws:lambda:eu-central-1:123456789012:function:orders-processor:live
        qualifier: live
        on_the_tables_stream: true
        count: 1
    function:
      description: The version of the function that the mapping calls.
      type: dict
      sample:
        name: orders-processor
        state: Active
        state_reason: ""
        last_update_status: Successful
        last_update_status_reason: ""
        version: "7"
        qualifier: live
        qualifier_is_there: true
        last_modified: "2026-01-31T11:00:00.000+0000"
    metrics:
      description: Counts of the last minutes, and the latest ages.
      type: dict
      sample:
        minutes: 60
        iterator_age_ms: 120.0
        iterator_age_ms_highest: 4100.0
        invocations: 310
        errors: 0
        throttles: 0
        dropped: 0
        delivered: 2
        delivery_failures: 0
        oldest_failure_seconds: 95.0
    failure_queue:
      description: How many messages the failure queue has.
      type: dict
      sample:
        messages: 2
        in_flight: 0
        delayed: 0
    failure_bucket:
      description: The failure bucket, and whether failure records are in it.
      type: dict
      sample:
        name: orders-failures
        holds_failures: false
    alarms:
      description: The alarms that there are, with their state, since when, and CloudWatch's reason.
      type: list
      elements: dict
      sample:
        - name: orders-processor-errors
          state: OK
          since: "2026-01-31T09:30:00Z"
          reason: "Threshold Crossed: no datapoints were received for 1 period."
          actions_enabled: true
    last_change:
      description:
        - The hour of the newest change in the audit log, and when the newest object of that hour was written. The
          latter is null where the hour has more than 1000 objects.
      type: dict
      sample:
        hour: "2026-01-31T11:00:00Z"
        audited_at: "2026-01-31T11:58:07Z"
    missing:
      description: What is not there.
      type: list
      elements: str
      sample: [alarm orders-processor-errors]
    unreadable:
      description: What AWS did not tell, and why.
      type: list
      elements: dict
      sample:
        - resource: alarms
          reason: "Failed to read the alarms: User is not authorized to perform: cloudwatch:DescribeAlarms"
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_status import run_status

ARGUMENT_SPEC = {
    "table_name": {"type": "str", "required": True},
    "function_name": {"type": "str", "required": True},
    "audit_bucket": {"type": "str", "required": True},
    "audit_prefix": {"type": "str", "default": "audit-logs/"},
    "failure_queue_url": {"type": "str", "default": ""},
    "failure_bucket": {"type": "str", "default": ""},
    "alarm_names": {"type": "list", "elements": "str", "default": []},
    "enabled": {"type": "bool", "default": True},
    "iterator_age_limit": {"type": "int", "default": 0},
    "minutes": {"type": "int", "default": 60},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_status(module)


if __name__ == "__main__":
    main()
