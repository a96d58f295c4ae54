#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_redrive
version_added: "0.1.0"
short_description: Bring the changes that Lambda gave up to the function again
description:
  - Reads the failure records that an event source mapping left in its failure queue or failure bucket, fetches their
    changes, and invokes the function with them.
  - Changes of one item are sent in order. When one fails, the later ones of its item are held back, and the other items
    go on.
  - All failure records are read before the first change is sent, and a change that several of them name is sent once.
  - A failure record is deleted as soon as all of its changes are processed. All others are kept, those whose changes
    have left the stream included.
  - Each record is sent with C(redrive), the run's id and time, beside its other fields, so that the audit log can tell.
notes:
  - Delivery is at least once, as it is with Lambda. A change that was processed may be sent again, none is left out.
  - Safe to interrupt. SIGINT, SIGTERM and SIGHUP end it between two batches, after the batches in flight. What a killed
    run held in the queue comes back by itself within five minutes.
  - Safe to run twice, and twice at once. On a queue, a run that meets another one waits until it has the queue for
    itself, up to five and a half minutes.
  - Still failing and gone changes are reported in RV(still_failing) and RV(gone), and RV(complete) is then V(false).
    The module itself fails when the run could not come to its end.
  - In check mode, and with O(dry_run=true), failure records are read and given back, changes are fetched and counted.
    Nothing is sent or deleted. SQS counts it as a receive.
  - All changes of the taken failure records are in memory at once. O(limit) bounds that.
  - "Needs these actions: C(sqs:ReceiveMessage), C(sqs:ChangeMessageVisibility), C(sqs:DeleteMessage) and
    C(sqs:GetQueueAttributes) on the queue, or C(s3:ListBucket) on the bucket and C(s3:GetObject) and C(s3:DeleteObject)
    on its objects; C(dynamodb:GetShardIterator) and C(dynamodb:GetRecords) on the streams;
    C(lambda:ListEventSourceMappings); C(lambda:InvokeFunction) on the function; and C(logs:FilterLogEvents) on
    O(log_group). With customer managed keys also C(kms:Decrypt) on the queue's, the bucket's and the table's key."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  table_name:
    description:
      - The table whose changes are redriven, from any of its streams. Failure records of other tables are left alone.
    type: str
    required: true
  function_name:
    description:
      - The function that processes the stream, by name or ARN. A version or alias in it is not looked at.
      - Failure records of other functions are left alone.
    type: str
    required: true
  qualifier:
    description:
      - The version or alias that is invoked.
    type: str
  queue_url:
    description:
      - The failure queue. Messages that came through an SNS topic are read with and without raw delivery.
    type: str
  bucket:
    description:
      - The failure bucket.
    type: str
  prefix:
    description:
      - What the names of failure records in the bucket begin with.
    type: str
    default: aws/lambda/
  from:
    description:
      - Takes failure records that Lambda wrote at or after this time, in ISO 8601, UTC unless it names a zone.
    type: str
  to:
    description:
      - Takes failure records that Lambda wrote at or before this time.
    type: str
  limit:
    description:
      - How many failure records are taken, oldest first. V(0) takes all.
      - One that would let a change overtake an earlier change of its item that is beyond the limit is left out too.
    type: int
    default: 0
  batch_size:
    description:
      - The most changes an invocation gets, V(1) to V(10000). An invocation's event stays below 6 MB.
    type: int
    default: 100
  concurrency:
    description:
      - How many invocations run at the same time, V(1) to V(32). The changes of one item are in one of them at a time.
    type: int
    default: 4
  timeout:
    description:
      - How many seconds throttles and errors of the Lambda service are retried, counted from the last invocation that
        ran.
    type: int
    default: 300
  log_group:
    description:
      - The function's log group, where the error types of changes that the function reported are looked up. The default
        is C(/aws/lambda/) and O(function_name).
      - An empty text leaves that out.
    type: str
  dry_run:
    description:
      - Says what would be redriven, as check mode does.
    type: bool
    default: false
  progress_file:
    description:
      - A file that gets a line every two seconds while the run works.
    type: path
  error_file:
    description:
      - A file for the texts of the function's errors, one JSON object a line, readable by its owner only. They may hold
        item data, so they are in no other place.
      - Made only when there are such texts. One of an earlier run is removed.
    type: path
attributes:
  check_mode:
    description: Reads and counts what would be redriven. Sends and deletes nothing.
    support: full
  diff_mode:
    description: Failure records have no settings that could be shown before and after.
    support: N/A
seealso:
  - module: cloudcdc.dynamodb_streams.event_source_mapping
  - name: Failure records
    description: What Lambda writes to an on-failure destination.
    link: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
"""

EXAMPLES = r"""
- name: Redrive what is in the failure queue
  cloudcdc.dynamodb_streams.pipeline_redrive:
    table_name: UserActivities-cdc-production-orders
    function_name: stream-processor-cdc-production-orders
    queue_url: https://sqs.eu-west-1.amazonaws.com/123456789012/stream-processor-cdc-production-orders-dlq
  register: redriven

- name: Stop when something is left
  ansible.builtin.assert:
    that: redriven.complete
    fail_msg: "{{ redriven.message }}"

- name: Redrive the oldest ten failure records of a bucket that Lambda wrote since noon
  cloudcdc.dynamodb_streams.pipeline_redrive:
    table_name: Orders
    function_name: order-processor
    bucket: order-failures
    from: "2026-01-31T12:00:00Z"
    limit: 10
    error_file: /var/tmp/order-errors.jsonl
"""

RETURN = r"""
message:
  description: What came of it, in a sentence.
  returned: always, but when the options were refused
  type: str
  sample: 12 of 13 changes recovered, 11 of 12 failure records deleted; 1 change still failing.
run_id:
  description: The id that the redriven changes carry in C(redrive).
  returned: always, but when the options were refused
  type: str
  sample: 8d0f3c52a4be7190
complete:
  description: Whether nothing of what was to be redriven is still failing, gone or not sent.
  returned: always, but when the options were refused
  type: bool
  sample: false
recovered:
  description: How many changes the function processed.
  returned: always, but when the options were refused
  type: int
  sample: 12
still_failing:
  description: Changes that the function failed again.
  returned: always, but when the options were refused
  type: list
  elements: dict
  contains:
    sequence_number:
      description: The change's sequence number.
      type: str
      sample: "4210800000000028133746025"
    event_id:
      description: The change's event id.
      type: str
      sample: 7de3041dd709b024af6f29e4fa13d34c
    event_name:
      description: What was done.
      type: str
      sample: MODIFY
    item:
      description: The item, by 16 hex digits of the SHA-256 over its keys, as in the names of its audit objects.
      type: str
      sample: 3f2a90c1d45be867
    shard_id:
      description: The shard that the change is in.
      type: str
      sample: shardId-00000001573401234567-8f6b1e2a
    error_type:
      description: The type of the function's error. C(BatchItemFailure) where the function reported the change and its
        log does not tell more.
      type: str
      sample: TransportError
    stage:
      description: What the function was doing, where its log tells.
      type: str
      sample: audit
    aws_code:
      description: The error code that AWS gave the function, where its log tells.
      type: str
      sample: AccessDenied
held_back:
  description: Later changes of an item with a failing change. They were not sent. Fields as in RV(still_failing),
    without the error.
  returned: always, but when the options were refused
  type: list
  elements: dict
gone:
  description: Sequence ranges that have left their stream. Their failure records are kept.
  returned: always, but when the options were refused
  type: list
  elements: dict
  contains:
    stream_arn:
      description: The stream.
      type: str
      sample: arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2026-01-01T00:00:00.000
    shard_id:
      description: The shard.
      type: str
      sample: shardId-00000001573401234567-8f6b1e2a
    start_sequence_number:
      description: Where the range begins.
      type: str
      sample: "4210800000000028133746025"
    end_sequence_number:
      description: Where it ends.
      type: str
      sample: "4210800000000028133746031"
    failure_record:
      description: The failure record's message id or object key.
      type: str
      sample: 5fea7756-0ea4-451a-a703-a558b933e274
foreign:
  description: What was in the queue or bucket and is no failure record of this pipeline, by message id or object key,
    with the reason. It is left where it is.
  returned: always, but when the options were refused
  type: list
  elements: dict
  sample: [{id: 5fea7756-0ea4-451a-a703-a558b933e274, reason: a failure record of another table}]
counts:
  description: The run in numbers. C(failure_records), C(taken), C(outside_time), C(beyond_limit), C(foreign), C(gone),
    C(deleted) and C(kept) count failure records, the others count changes.
  returned: always, but when the options were refused
  type: dict
  sample: {failure_records: 12, taken: 12, outside_time: 0, beyond_limit: 0, foreign: 0, gone: 0, deleted: 11, kept: 1,
    changes: 13, recovered: 12, still_failing: 1, held_back: 0, not_sent: 0}
error_file:
  description: Where the texts of the function's errors are, null where there are none.
  returned: always, but when the options were refused
  type: str
  sample: /var/tmp/order-errors.jsonl
duration:
  description: Seconds that the run took.
  returned: always, but when the options were refused
  type: float
  sample: 4.2
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_redrive import run_redrive

ARGUMENT_SPEC = {
    "table_name": {"type": "str", "required": True},
    "function_name": {"type": "str", "required": True},
    "qualifier": {"type": "str"},
    "queue_url": {"type": "str"},
    "bucket": {"type": "str"},
    "prefix": {"type": "str", "default": "aws/lambda/"},
    "from": {"type": "str"},
    "to": {"type": "str"},
    "limit": {"type": "int", "default": 0},
    "batch_size": {"type": "int", "default": 100},
    "concurrency": {"type": "int", "default": 4},
    "timeout": {"type": "int", "default": 300},
    "log_group": {"type": "str"},
    "dry_run": {"type": "bool", "default": False},
    "progress_file": {"type": "path"},
    "error_file": {"type": "path"},
}


def main() -> None:
    run_redrive(
        AnsibleAWSModule(
            argument_spec=ARGUMENT_SPEC,
            supports_check_mode=True,
            required_one_of=[("queue_url", "bucket")],
            mutually_exclusive=[("queue_url", "bucket")],
        )
    )


if __name__ == "__main__":
    main()
