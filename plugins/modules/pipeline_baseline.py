#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_baseline
version_added: "0.1.0"
short_description: Write the items that a table has into its audit log
description:
  - Scans a DynamoDB table, while it is used, into objects below C(baseline/) in the folder of its audit log. With it
    the log tells the state of the table at any time after the scan, also of a table that is older than its log.
  - Its watermark is five seconds before the scan began. The state at a time after the scan is an item's last change
    that the log has since the watermark, or else what the scan found of it.
  - Every item is read once, with a strongly consistent read, by as many segments at a time as O(segments) says.
  - A run that was interrupted or killed is gone on with by the next one, within 24 hours. What its manifest does not
    name yet is no baseline to anybody.
  - "Refuses, before it writes anything, where the log would not hold every change from now on: without a stream or
    with another view type than V(NEW_AND_OLD_IMAGES), without an enabled event source mapping, with filters, with
    rules that keep changes or attributes out of the audit log, and where the log's journal says so. The same is asked
    again before the baseline is committed."
  - C(docs/baseline.md) says what it is good for and what it costs.
notes:
  - Safe to interrupt and to kill. SIGINT, SIGTERM and SIGHUP end it between two requests.
  - Safe to run twice at once. Both go on with the same baseline, and come to the same objects.
  - In memory are the items of one object a segment, O(object_bytes) times O(segments), and the list of the objects.
  - A read that is strongly consistent takes one unit of read capacity for each 4 KB. Time to live, indexes and the
    stream are not touched.
  - "Needs these actions: C(dynamodb:DescribeTable) and C(dynamodb:Scan) on the table,
    C(lambda:ListEventSourceMappings), C(s3:ListBucket) on the bucket, C(s3:GetObject) on what is below C(baseline/)
    and C(journal/), C(s3:PutObject) below C(baseline/). With customer managed keys also C(kms:Decrypt) on the
    table's, and C(kms:Decrypt) and C(kms:GenerateDataKey) on the bucket's key."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  table_name:
    description: The table.
    type: str
    required: true
  function_name:
    description: The function that writes the audit log, by name or ARN. A version or alias in it is not looked at.
    type: str
    required: true
  bucket:
    description: The audit bucket.
    type: str
    required: true
  prefix:
    description: What the names of the log's objects begin with.
    type: str
    default: audit-logs/
  rules:
    description: The function's rules, as C(docs/rules.md) has them.
    type: list
    elements: dict
    default: []
  baseline_id:
    description:
      - The baseline that is gone on with. It must have begun less than 24 hours ago, and no deploy may have made the
        log incomplete since.
      - The default is the newest one that is not complete and that fulfils this, or a new one.
    type: str
  new:
    description: Begins a new baseline in any case.
    type: bool
    default: false
  segments:
    description:
      - How many parts of the table are scanned at the same time, V(1) to V(32). A baseline that is gone on with keeps
        its own.
    type: int
    default: 4
  read_capacity:
    description:
      - The most units of read capacity a second that the scan takes, over all segments.
      - V(0) is half of what a provisioned table has, and no limit for a table that is paid for by request.
    type: float
    default: 0
  items_per_second:
    description: The most items a second that the scan takes. V(0) is no limit.
    type: int
    default: 0
  object_bytes:
    description:
      - How much an object collects before it is written, uncompressed, V(1024) to V(33554432). After 30 seconds it is
        written all the same.
    type: int
    default: 8388608
  progress_file:
    description: A file that gets a line every two seconds while the run works.
    type: path
attributes:
  check_mode:
    description: Looks and refuses as a run does, and estimates items and read capacity. Scans and writes nothing.
    support: full
  diff_mode:
    description: A baseline has no settings that could be shown before and after.
    support: N/A
seealso:
  - module: cloudcdc.dynamodb_streams.pipeline_journal
  - name: Parallel scan
    description: What segments are.
    link: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
"""

EXAMPLES = r"""
- name: Write the table's items into its log, at 200 units of read capacity a second
  cloudcdc.dynamodb_streams.pipeline_baseline:
    table_name: Orders
    function_name: stream-processor-cdc-production-orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-central-1
    read_capacity: 200
    progress_file: /var/tmp/orders-baseline.progress
  register: baseline

- name: Go on with one that was interrupted
  cloudcdc.dynamodb_streams.pipeline_baseline:
    table_name: Orders
    function_name: stream-processor-cdc-production-orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-central-1
    baseline_id: 20260131T095955Z-0a1b2c3d
"""

RETURN = r"""
message:
  description: What came of it, in a sentence.
  returned: when the options and the set-up were as they must be
  type: str
  sample: "The baseline 20260131T095955Z-0a1b2c3d has 5000 items: the log tells the state of the table from
    2026-01-31T10:02:07Z on."
baseline_id:
  description: The baseline. Null in check mode for a new one.
  returned: when the options and the set-up were as they must be
  type: str
  sample: 20260131T095955Z-0a1b2c3d
resumed:
  description: Whether a baseline was gone on with that another run had begun.
  returned: when the options and the set-up were as they must be
  type: bool
  sample: false
committed:
  description: Whether the baseline is complete.
  returned: when the options and the set-up were as they must be
  type: bool
  sample: true
watermark:
  description: The log holds every change since then.
  returned: when the options and the set-up were as they must be
  type: str
  sample: "2026-01-31T09:59:55Z"
end:
  description: From then on the state of the table is known. Null before the baseline is complete.
  returned: when the options and the set-up were as they must be
  type: str
  sample: "2026-01-31T10:02:07Z"
item_count:
  description: How many items the baseline has so far.
  returned: when the options and the set-up were as they must be
  type: int
  sample: 5000
bytes:
  description: How large its objects are.
  returned: when the options and the set-up were as they must be
  type: int
  sample: 401222
objects:
  description: How many objects it has.
  returned: when the options and the set-up were as they must be
  type: int
  sample: 4
read_capacity:
  description: How many units of read capacity this run took.
  returned: when the options and the set-up were as they must be
  type: float
  sample: 125.5
estimate:
  description:
    - What the whole table takes, by the counts that DynamoDB brings up to date about every six hours. Null for a
      baseline that was complete already.
  returned: when the options and the set-up were as they must be
  type: dict
  contains:
    item_count:
      description: How many items the table has.
      type: int
      sample: 5000
    bytes:
      description: How large they are.
      type: int
      sample: 512000
    read_capacity:
      description: How many units of read capacity that takes.
      type: int
      sample: 125
    read_capacity_per_second:
      description: How many a second the scan takes at most, V(0) for no limit.
      type: float
      sample: 2.5
    seconds:
      description: How long that lasts at least. Null without a limit.
      type: int
      sample: 50
duration:
  description: Seconds that the run took.
  returned: when the options and the set-up were as they must be
  type: float
  sample: 4.2
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_baseline import run_baseline

ARGUMENT_SPEC = {
    "table_name": {"type": "str", "required": True},
    "function_name": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "audit-logs/"},
    "rules": {"type": "list", "elements": "dict", "default": []},
    "baseline_id": {"type": "str"},
    "new": {"type": "bool", "default": False},
    "segments": {"type": "int", "default": 4},
    "read_capacity": {"type": "float", "default": 0},
    "items_per_second": {"type": "int", "default": 0},
    "object_bytes": {"type": "int", "default": 8388608},
    "progress_file": {"type": "path"},
}


def main() -> None:
    run_baseline(AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
