#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: event_source_mapping
version_added: "0.1.0"
short_description: Manage how Lambda reads a DynamoDB stream
description:
  - Creates, changes, enables, disables and deletes the event source mapping that leads from a DynamoDB stream to a
    Lambda function.
  - A mapping is found by O(uuid), or by O(event_source_arn) and the function of O(function_name) without version or
    alias. So giving another version or alias of the function changes the one mapping, and its position in the stream
    is kept. More than one such mapping is an error that names them.
  - An option left out leaves the mapping as it is; in a new mapping it is AWS's default. Only what differs is sent to
    AWS.
  - Impossible values and combinations are refused before the first call to AWS. AWS's own error codes and messages
    are passed on as they are.
options:
  state:
    description:
      - V(present) makes the mapping, or changes it to what the other options say.
      - V(absent) deletes it; the options other than those that find it do not matter then. The stream, the function
        and its permissions stay.
    type: str
    choices: [present, absent]
    default: present
  uuid:
    description:
      - The mapping's UUID, when it is not found by O(event_source_arn) and O(function_name), or to move it to another
        function.
      - With O(state=present) the mapping must exist.
    type: str
  function_name:
    description:
      - The function that is invoked. A name, a function ARN, or the ARN of a version or alias.
      - Required without O(uuid).
    type: str
  event_source_arn:
    description:
      - The ARN of the stream, as in the table's C(LatestStreamArn). Required without O(uuid). It cannot be changed.
      - A table that is deleted and made again has another stream, so it gets another mapping. The old one is not
        touched; M(cloudcdc.dynamodb_streams.event_source_mapping_info) lists it.
      - In check mode the part after C(/stream/) may be a placeholder with a space or a parenthesis in it, for a table
        that does not exist yet. No mapping is looked for then.
    type: str
  starting_position:
    description:
      - Where reading begins. V(TRIM_HORIZON) is the oldest change that the stream still holds (up to 24 hours),
        V(LATEST) the first one after the mapping is ready. With V(LATEST), changes made in the minutes until then are
        missed.
      - A new mapping begins at V(TRIM_HORIZON) when the option is left out.
      - It cannot be changed; a value that differs from the mapping's is an error.
      - DynamoDB streams know no C(AT_TIMESTAMP).
    type: str
    choices: [TRIM_HORIZON, LATEST]
  enabled:
    description:
      - Whether Lambda reads the stream. A disabled mapping keeps its position, but the stream keeps its records for
        24 hours only.
      - AWS's default is V(true).
    type: bool
  batch_size:
    description:
      - The most records in one batch, from 1 to 10000. AWS's default is 100.
    type: int
  maximum_batching_window_in_seconds:
    description:
      - How long to gather records for a batch, from 0 to 300 seconds. AWS's default is 0.
    type: int
  maximum_record_age_in_seconds:
    description:
      - Records older than this are not tried any more, from 60 to 604800 seconds, or V(-1) for as long as the stream
        keeps them, which is AWS's default.
    type: int
  maximum_retry_attempts:
    description:
      - How often a batch is tried again after the function failed, from 0 to 10000, or V(-1) for until its records
        expire, which is AWS's default.
    type: int
  bisect_batch_on_function_error:
    description:
      - Whether a batch is cut in two after the function failed. AWS's default is V(false).
    type: bool
  parallelization_factor:
    description:
      - How many batches of one shard are worked on at once, from 1 to 10. Changes of one item stay in order. AWS's
        default is 1.
    type: int
  tumbling_window_in_seconds:
    description:
      - The length of a tumbling window, from 0 to 900 seconds. V(0) means none, which is AWS's default.
      - Needs a O(parallelization_factor) of 1.
    type: int
  function_response_types:
    description:
      - V(ReportBatchItemFailures) lets the function name the record that failed, so that those before it are not
        delivered again. An empty list switches it off, which is AWS's default.
    type: list
    elements: str
    choices: [ReportBatchItemFailures]
  on_failure_destination:
    description:
      - The ARN of a standard SQS queue, a standard SNS topic or an S3 bucket that is told of batches that were given
        up. An empty string removes it. AWS's default is none, and then such records are lost.
      - The function's role needs C(sqs:SendMessage), C(sns:Publish), or C(s3:PutObject) and C(s3:ListBucket) on it.
    type: str
  filter_criteria:
    description:
      - Patterns of the records that are delivered, each a dictionary or JSON text. A record that matches any of them
        is delivered; the others count as done. An empty list removes the filter.
      - AWS takes 5 patterns, or up to 10 with a raised quota, of at most 4096 characters.
      - Compared as JSON, whatever their order, spacing and order of keys.
      - Values of attributes stand under their type key, and numbers are strings there, so C(numeric) never matches
        them. Patterns that could never match are refused.
      - See U(https://docs.aws.amazon.com/lambda/latest/dg/with-ddb-filtering.html).
    type: list
    elements: raw
  kms_key_arn:
    description:
      - The ARN of the KMS key that encrypts O(filter_criteria), and nothing else. An empty string removes it.
      - Who runs the module needs C(kms:Decrypt) with it, or the filter cannot be compared. See
        U(https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html).
    type: str
  metrics:
    description:
      - V(EventCount) switches on the mapping's own metrics, C(DroppedEventCount) among them. An empty list switches
        them off, which is AWS's default. See
        U(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html).
    type: list
    elements: str
    choices: [EventCount]
  wait:
    description:
      - Whether to wait until the mapping has become what was asked for, or is gone.
      - The end of a change that is under way already is always waited for.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait, at most, for a change of the mapping's state to end, and for AWS to accept a request
        for a mapping that is in use.
    type: int
    default: 300
  propagation_timeout:
    description:
      - How many seconds to repeat, at most, a request that AWS refuses because it does not know the function's role
        or its permissions yet. AWS's message is shown when the time is over.
    type: int
    default: 120
notes:
  - The module calls C(lambda:ListEventSourceMappings), C(lambda:GetEventSourceMapping) and C(lambda:ListTags) to
    read, and C(lambda:CreateEventSourceMapping), C(lambda:UpdateEventSourceMapping),
    C(lambda:DeleteEventSourceMapping), C(lambda:TagResource) and C(lambda:UntagResource) to write.
    C(lambda:TagResource) is needed for tags of a new mapping too.
  - The function's role needs C(dynamodb:DescribeStream), C(dynamodb:GetRecords), C(dynamodb:GetShardIterator) and
    C(dynamodb:ListStreams).
  - The ranges are those of U(https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html) and
    U(https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html).
seealso:
  - module: cloudcdc.dynamodb_streams.event_source_mapping_info
author:
  - cloudcdc maintainers (@cloudcdc)
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Read the table's stream in batches of 100, keeping what fails
  cloudcdc.dynamodb_streams.event_source_mapping:
    function_name: arn:aws:lambda:us-east-1:123456789012:function:stream-processor:live
    event_source_arn: "{{ table.latest_stream_arn }}"
    batch_size: 100
    maximum_batching_window_in_seconds: 5
    maximum_retry_attempts: 3
    bisect_batch_on_function_error: true
    function_response_types: [ReportBatchItemFailures]
    on_failure_destination: arn:aws:sqs:us-east-1:123456789012:stream-processor-dlq
    tags:
      Project: activities

- name: Deliver new items and finished ones only
  cloudcdc.dynamodb_streams.event_source_mapping:
    function_name: stream-processor
    event_source_arn: "{{ table.latest_stream_arn }}"
    filter_criteria:
      - eventName: [INSERT]
      - dynamodb:
          NewImage:
            status:
              S: [done]

- name: Deliver everything again, and tell no one of failures
  cloudcdc.dynamodb_streams.event_source_mapping:
    function_name: stream-processor
    event_source_arn: "{{ table.latest_stream_arn }}"
    filter_criteria: []
    on_failure_destination: ""

- name: Pause
  cloudcdc.dynamodb_streams.event_source_mapping:
    uuid: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
    enabled: false

- name: Delete
  cloudcdc.dynamodb_streams.event_source_mapping:
    function_name: stream-processor
    event_source_arn: "{{ table.latest_stream_arn }}"
    state: absent
"""

RETURN = r"""
event_source_mapping:
  description:
    - The mapping as it is, or in check mode as it would be. What AWS leaves out of its answer is shown as AWS's
      default.
    - A mapping that is yet to be made has no UUID, so the keys that AWS decides are missing.
  returned: when O(state=present)
  type: dict
  contains:
    uuid:
      description: The mapping's UUID.
      type: str
      sample: 0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
    event_source_mapping_arn:
      description: The mapping's ARN.
      type: str
      sample: arn:aws:lambda:us-east-1:123456789012:event-source-mapping:0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9
    event_source_arn:
      description: The stream's ARN.
      type: str
      sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-01T00:00:00.000
    function_arn:
      description: The ARN of the function, with version or alias if the mapping has one.
      type: str
      sample: arn:aws:lambda:us-east-1:123456789012:function:stream-processor:live
    state:
      description: V(Creating), V(Enabling), V(Enabled), V(Disabling), V(Disabled), V(Updating) or V(Deleting).
      type: str
      sample: Enabled
    state_transition_reason:
      description: Who changed the mapping last.
      type: str
      sample: User action
    last_modified:
      description: When the mapping was changed last, in ISO 8601.
      type: str
      sample: "2026-01-01T00:00:00+00:00"
    last_processing_result:
      description: How the last batch went.
      type: str
      sample: No records processed
    starting_position:
      description: Where reading began.
      type: str
      sample: TRIM_HORIZON
    batch_size:
      description: The most records in one batch.
      type: int
      sample: 100
    maximum_batching_window_in_seconds:
      description: How long records are gathered for a batch.
      type: int
      sample: 5
    maximum_record_age_in_seconds:
      description: The age at which records are given up; V(-1) is never.
      type: int
      sample: -1
    maximum_retry_attempts:
      description: How often a batch is tried again; V(-1) is until it expires.
      type: int
      sample: 3
    bisect_batch_on_function_error:
      description: Whether a failed batch is cut in two.
      type: bool
      sample: true
    parallelization_factor:
      description: How many batches of one shard are worked on at once.
      type: int
      sample: 1
    tumbling_window_in_seconds:
      description: The length of a tumbling window; V(0) is none.
      type: int
      sample: 0
    function_response_types:
      description: What the function's response may say.
      type: list
      elements: str
      sample: [ReportBatchItemFailures]
    destination_config:
      description:
        - The destination of batches that were given up, under C(on_failure.destination).
        - C(on_failure) is empty when there is none.
      type: dict
      sample: {"on_failure": {"destination": "arn:aws:sqs:us-east-1:123456789012:stream-processor-dlq"}}
    filter_criteria:
      description: The filter's patterns.
      type: list
      elements: dict
      sample: [{"eventName": ["INSERT"]}]
    kms_key_arn:
      description: The key that encrypts the filter; empty when there is none.
      type: str
      sample: ""
    metrics_config:
      description: The metrics that are switched on.
      type: dict
      sample: {"metrics": ["EventCount"]}
    tags:
      description: The mapping's tags.
      type: dict
      sample: {"Project": "activities"}
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_resource import (
    MappingResource,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule, client
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_source_mapping import problems
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "uuid": {"type": "str"},
    "function_name": {"type": "str"},
    "event_source_arn": {"type": "str"},
    "starting_position": {"type": "str", "choices": ["TRIM_HORIZON", "LATEST"]},
    "enabled": {"type": "bool"},
    "batch_size": {"type": "int"},
    "maximum_batching_window_in_seconds": {"type": "int"},
    "maximum_record_age_in_seconds": {"type": "int"},
    "maximum_retry_attempts": {"type": "int"},
    "bisect_batch_on_function_error": {"type": "bool"},
    "parallelization_factor": {"type": "int"},
    "tumbling_window_in_seconds": {"type": "int"},
    "function_response_types": {"type": "list", "elements": "str", "choices": ["ReportBatchItemFailures"]},
    "on_failure_destination": {"type": "str"},
    "filter_criteria": {"type": "list", "elements": "raw"},
    "kms_key_arn": {"type": "str", "no_log": False},
    "metrics": {"type": "list", "elements": "str", "choices": ["EventCount"]},
    "tags": {"type": "dict", "aliases": ["resource_tags"]},
    "purge_tags": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 300},
    "propagation_timeout": {"type": "int", "default": 120},
}


def main() -> None:
    module = AnsibleAWSModule(
        argument_spec=ARGUMENTS,
        required_one_of=[("uuid", "function_name"), ("uuid", "event_source_arn")],
        supports_check_mode=True,
    )
    found = problems(module.params)
    if found:
        module.fail_json(msg=" ".join(found))
    run_resource(module, MappingResource(module.params, client(module, "lambda")))


if __name__ == "__main__":
    main()
