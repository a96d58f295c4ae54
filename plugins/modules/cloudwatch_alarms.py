#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudwatch_alarms
version_added: "0.1.0"
short_description: Create, change, tag and delete a set of Amazon CloudWatch metric alarms
description:
  - Makes each of the alarms what its options say, and their tags what O(tags) says. What is so already is left alone.
  - M(amazon.aws.cloudwatch_metric_alarm) makes one alarm at a time and knows no tags.
  - Bad input is refused before anything is asked of AWS. What CloudWatch refuses is an error in its own words.
  - Works in check mode on a target where the alarms do not exist yet.
notes:
  - An alarm is replaced as a whole. An option of an alarm that is left out has its default, whatever the alarm had.
  - Alarms on metric math, anomaly detection and composite alarms are not made here, and not touched.
  - "Needs these actions: C(cloudwatch:DescribeAlarms); to create and to change C(cloudwatch:PutMetricAlarm); with
    O(tags) C(cloudwatch:ListTagsForResource), C(cloudwatch:TagResource) and C(cloudwatch:UntagResource); to delete
    C(cloudwatch:DeleteAlarms)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  state:
    description:
      - V(present) creates and changes the alarms.
      - V(absent) deletes them. Of each alarm only its name is then used.
    type: str
    choices: [present, absent]
    default: present
  alarms:
    description: The alarms. Others are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The alarm's name, up to 255 characters.
        type: str
        required: true
      description:
        description: What the alarm is about, up to 1024 characters. Its notifications carry it.
        type: str
      namespace:
        description: The metric's namespace, such as V(AWS/Lambda). Required to create and to change.
        type: str
      metric_name:
        description: The metric's name. Required to create and to change.
        type: str
      dimensions:
        description: The metric's dimensions, up to 30.
        type: dict
      statistic:
        description:
          - The metric's statistic. To create and to change, one of this and O(alarms[].extended_statistic) is required.
        type: str
        choices: [SampleCount, Average, Sum, Minimum, Maximum]
      extended_statistic:
        description: A percentile or trimmed statistic instead, such as V(p99).
        type: str
      unit:
        description: Look only at data with this unit. Mostly left out.
        type: str
      comparison:
        description: How the statistic is compared with O(alarms[].threshold). Required to create and to change.
        type: str
        choices:
          - GreaterThanOrEqualToThreshold
          - GreaterThanThreshold
          - LessThanThreshold
          - LessThanOrEqualToThreshold
      threshold:
        description: What the statistic is compared with, in the metric's unit. Required to create and to change.
        type: float
      period:
        description:
          - Seconds over which the statistic is applied, 10, 20, 30 or a multiple of 60. Required to create and change.
          - V(10), V(20) and V(30) are for high-resolution metrics, and cost more.
        type: int
      evaluation_periods:
        description: Over how many of the last periods the comparison is made.
        type: int
        default: 1
      datapoints_to_alarm:
        description: In how many of these periods it has to hold. All of them, when left out.
        type: int
      treat_missing_data:
        description: What a period without data counts as.
        type: str
        choices: [breaching, notBreaching, ignore, missing]
        default: missing
      actions_enabled:
        description: Whether actions are carried out when the alarm's state changes.
        type: bool
        default: true
      alarm_actions:
        description: ARNs of what to do when the alarm goes off, up to 5, such as an SNS topic's.
        type: list
        elements: str
      ok_actions:
        description: ARNs of what to do when it is over, up to 5.
        type: list
        elements: str
      insufficient_data_actions:
        description: ARNs of what to do when there is no data to decide from, up to 5.
        type: list
        elements: str
  tags:
    description: The tags of each of the alarms. Left out, tags stay as they are.
    type: dict
    aliases: [resource_tags]
  purge_tags:
    description: Whether tags that are not in O(tags) are removed.
    type: bool
    default: true
seealso:
  - module: amazon.aws.cloudwatch_metric_alarm
  - name: PutMetricAlarm
    description: Amazon CloudWatch API reference.
    link: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Alarm on errors and on a queue that is not empty
  cloudcdc.dynamodb_streams.cloudwatch_alarms:
    alarms:
      - name: orders-errors
        description: The function orders failed.
        namespace: AWS/Lambda
        metric_name: Errors
        dimensions:
          FunctionName: orders
        statistic: Sum
        comparison: GreaterThanOrEqualToThreshold
        threshold: 1
        period: 300
        treat_missing_data: notBreaching
        alarm_actions: [arn:aws:sns:eu-central-1:123456789012:orders-alarms]
      - name: orders-dlq-messages
        namespace: AWS/SQS
        metric_name: ApproximateNumberOfMessagesVisible
        dimensions:
          QueueName: orders-dlq
        statistic: Maximum
        comparison: GreaterThanOrEqualToThreshold
        threshold: 1
        period: 300
    tags:
      Project: orders

- name: Delete them
  cloudcdc.dynamodb_streams.cloudwatch_alarms:
    alarms:
      - name: orders-errors
      - name: orders-dlq-messages
    state: absent
"""

RETURN = r"""
cloudwatch_alarms:
  description: The alarms as they are, or in check mode as they would be, by name. Empty when they are not there.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The alarm's name. Its other settings have the names of the options.
      returned: always
      type: str
      sample: orders-errors
    alarm_arn:
      description: The alarm's ARN. Not there where check mode would create the alarm.
      returned: when the alarm is there
      type: str
      sample: arn:aws:cloudwatch:eu-central-1:123456789012:alarm:orders-errors
    threshold:
      description: What the statistic is compared with.
      returned: always
      type: float
      sample: 1.0
    tags:
      description: The alarm's tags. Empty when O(tags) is left out.
      returned: always
      type: dict
      sample: {"Project": "orders"}
found:
  description: The names of those alarms that were there before.
  returned: success
  type: list
  elements: str
  sample: [orders-errors]
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_alarms import (
    COMPARISONS,
    MISSING_DATA,
    STATISTICS,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_alarms_api import Alarms
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

_ARNS = {"type": "list", "elements": "str"}
_ALARM = {
    "name": {"type": "str", "required": True},
    "description": {"type": "str"},
    "namespace": {"type": "str"},
    "metric_name": {"type": "str"},
    "dimensions": {"type": "dict"},
    "statistic": {"type": "str", "choices": list(STATISTICS)},
    "extended_statistic": {"type": "str"},
    "unit": {"type": "str"},
    "comparison": {"type": "str", "choices": list(COMPARISONS)},
    "threshold": {"type": "float"},
    "period": {"type": "int"},
    "evaluation_periods": {"type": "int", "default": 1},
    "datapoints_to_alarm": {"type": "int"},
    "treat_missing_data": {"type": "str", "choices": list(MISSING_DATA), "default": "missing"},
    "actions_enabled": {"type": "bool", "default": True},
    "alarm_actions": _ARNS,
    "ok_actions": _ARNS,
    "insufficient_data_actions": _ARNS,
}
ARGUMENT_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "alarms": {"type": "list", "elements": "dict", "required": True, "options": _ALARM},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, Alarms(module))


if __name__ == "__main__":
    main()
