#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_replay
version_added: "0.1.0"
short_description: Replay the audit log of a table's changes
description:
  - Reads the audit log, both layouts and compacted hours, in order and each change once, and sends its changes to a
    function, a queue or a topic, or into a file.
  - Or makes of them the items as they were at a time, writes these into another table, or compares them with the live
    table.
  - Changes of one item are sent in order. When one fails, the later ones of its item are held back, and the other items
    go on.
  - Replayed changes carry C(replay), the replay's id and time, beside their other fields. The pipeline's function does
    not write them to the log again, and announces them only with O(notify=true).
notes:
  - Delivery is at least once. After a kill, the batch that each lane had under way comes again; with C(replay.id) and
    C(eventID) a consumer drops it.
  - With O(state_dir), a replay that was interrupted goes on where it stopped when it is run again with the same
    options
    and its O(replay_id). What failed is then tried again.
  - A replay of which 10000 items fail ends, since its target may not work at all. Two runs of one replay at once are
    refused.
  - SIGINT, SIGTERM and SIGHUP end it after the batches that are under way.
  - O(target=table) and O(target=verify) need a log that is complete, which its journal and its baselines tell. They are
    refused otherwise, with the reason.
  - An hour of the log is sorted on disk where it does not fit in memory, in the folder of the environment's C(TMPDIR),
    in files without a name. O(target=table) and O(target=verify) sort all changes and all items so.
  - In check mode, and with O(dry_run=true), the log is read and counted. Nothing is sent or written.
  - "Needs these actions: C(s3:ListBucket) on the bucket and C(s3:GetObject) on its objects; C(lambda:InvokeFunction)
    and C(lambda:GetFunctionConfiguration) on the function, or C(sqs:SendMessage) and C(sqs:GetQueueAttributes) on the
    queue, or C(sns:Publish) and C(sns:GetTopicAttributes) on the topic; for O(target=table) C(dynamodb:DescribeTable),
    C(dynamodb:CreateTable), C(dynamodb:TagResource), C(dynamodb:Scan) and C(dynamodb:BatchWriteItem); for
    O(target=verify) C(dynamodb:DescribeTable), C(dynamodb:Scan) and C(dynamodb:BatchGetItem); with
    O(state_machine_arn) C(states:StartExecution) and C(states:ListExecutions) on it, C(states:DescribeExecution) on its
    executions. With customer managed
    keys also C(kms:Decrypt), and C(kms:GenerateDataKey) for an encrypted queue or topic."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  table_name:
    description:
      - The table whose changes are replayed. It need not exist any more. Changes of other tables in the log are left
        out.
    type: str
    required: true
  bucket:
    description:
      - The audit bucket.
    type: str
    required: true
  prefix:
    description:
      - What the names of the log's objects begin with.
    type: str
    default: audit-logs/
  target:
    description:
      - V(function) hands the changes to O(function_name), in the form of an event source mapping.
      - V(queue) and V(topic) send them as the pipeline's own notifications.
      - V(file) writes their envelopes into O(path), one a line.
      - V(table) writes the items as they were at O(to) into O(target_table).
      - V(verify) compares the items as the log tells them with what the table holds now, and checks that each change
        follows from the one before it.
    type: str
    required: true
    choices: [function, table, verify, queue, topic, file]
  from:
    description:
      - Replays changes made at or after this time, in ISO 8601, UTC unless it names a zone. The default is the log's
        first hour.
    type: str
  to:
    description:
      - Replays changes made at or before this time. The default is the time of the run. Changes of the last seconds may
        not have reached the log.
    type: str
  event_names:
    description:
      - Replays changes of these kinds only, of V(INSERT), V(MODIFY) and V(REMOVE).
    type: list
    elements: str
  keys:
    description:
      - Replays changes of the one item with this primary key, as DynamoDB JSON, for example C({"Id":{"S":"a"}}).
    type: dict
  match:
    description:
      - Replays changes of which this JMESPath expression holds. It is that of the pipeline's rules, with C(keys),
        C(old),
        C(new), C(eventName), C(changedAttributes) and C(timestamp).
    type: str
  function_name:
    description:
      - The function of O(target=function), by name or ARN.
    type: str
  qualifier:
    description:
      - The version or alias that is invoked.
    type: str
  notify:
    description:
      - Whether the pipeline's function announces the replayed changes on its change topic.
    type: bool
    default: false
  target_table:
    description:
      - The table of O(target=table). It is made, on demand and with the same key schema, where there is none. One that
        exists must have the same key schema and hold no items.
    type: str
  hash_key_name:
    description:
      - The partition key of O(table_name), needed only where that table does not exist any more.
    type: str
  hash_key_type:
    description:
      - Its type.
    type: str
    choices: [STRING, NUMBER, BINARY]
  range_key_name:
    description:
      - The sort key of O(table_name), if it has one.
    type: str
  range_key_type:
    description:
      - Its type.
    type: str
    choices: [STRING, NUMBER, BINARY]
  queue_url:
    description:
      - The queue of O(target=queue), standard or FIFO.
    type: str
  topic_arn:
    description:
      - The topic of O(target=topic), standard or FIFO.
    type: str
  path:
    description:
      - The file of O(target=file), readable by its owner only. One of that name is replaced when all is written.
    type: path
  replay_id:
    description:
      - Up to 64 letters, digits, dots, dashes and underscores. The default is made of the time.
    type: str
  batch_size:
    description:
      - The most changes that an invocation gets, V(1) to V(10000). An invocation's event stays below 6 MB.
    type: int
    default: 100
  concurrency:
    description:
      - How many lanes send at the same time, V(1) to V(64), and how many segments a table is scanned in. The changes of
        one item are in one lane.
    type: int
    default: 8
  rate:
    description:
      - The most changes, or items, that are sent or scanned a second. V(0) is no limit.
    type: int
    default: 0
  limit:
    description:
      - How many changes are replayed, the first ones. V(0) takes all.
    type: int
    default: 0
  timeout:
    description:
      - How many seconds a lane bears throttles and errors of the service before the run ends.
    type: int
    default: 300
  settle_seconds:
    description:
      - How many seconds O(target=verify) reads items again that differ, since a change may be on its way.
    type: int
    default: 60
  state_machine_arn:
    description:
      - The state machine that replays within AWS what is too large for one machine, with any O(target) but V(verify)
        and V(file), and without O(limit). See C(docs/replay-at-scale.md).
    type: str
  at_scale_objects:
    description:
      - With O(state_machine_arn), replays within AWS when more objects than this lie in the range.
    type: int
    default: 100000
  state_dir:
    description:
      - The folder where the replay notes how far it is, in a file named after O(table_name) and O(replay_id) that only
        its owner can read. Without it an interrupted replay begins anew.
    type: path
  progress_file:
    description:
      - A file that gets a line every two seconds while the run works.
    type: path
  error_file:
    description:
      - A file for the texts of the function's errors, one JSON object a line, readable by its owner only. They may hold
        item data, so they are in no other place.
    type: path
  differences_file:
    description:
      - A file for the keys of the items that differ, one JSON object a line, readable by its owner only.
    type: path
  dry_run:
    description:
      - Says what would be replayed, as check mode does.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads and counts what would be replayed. Sends and writes nothing.
    support: full
  diff_mode:
    description: There are no settings that could be shown before and after.
    support: N/A
seealso:
  - module: cloudcdc.dynamodb_streams.pipeline_baseline
  - module: cloudcdc.dynamodb_streams.pipeline_redrive
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
"""

EXAMPLES = r"""
- name: Give a new consumer the whole history
  cloudcdc.dynamodb_streams.pipeline_replay:
    table_name: Orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-west-1
    target: function
    function_name: order-search-indexer
    state_dir: /var/tmp/replays
    replay_id: indexer-1

- name: Restore the table as it was on Tuesday at noon, under another name
  cloudcdc.dynamodb_streams.pipeline_replay:
    table_name: Orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-west-1
    target: table
    target_table: Orders-tuesday
    to: "2026-01-27T12:00:00Z"

- name: Prove that audit log and table agree
  cloudcdc.dynamodb_streams.pipeline_replay:
    table_name: Orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-west-1
    target: verify
  register: verified
  failed_when: verified is failed or not verified.complete

- name: What happened to this item?
  cloudcdc.dynamodb_streams.pipeline_replay:
    table_name: Orders
    bucket: activity-audit-cdc-production-orders-123456789012-eu-west-1
    target: file
    keys: {OrderId: {S: "4711"}}
    path: /var/tmp/order-4711.ndjson
"""

RETURN = r"""
message:
  description: What came of it, in a sentence.
  returned: always, but when the options were refused
  type: str
  sample: "20000 changes sent to the function."
replay_id:
  description: The id that the replayed changes carry in C(replay).
  returned: always, but when the options were refused
  type: str
  sample: 20260131T120000Z-8d0f3c52
complete:
  description: Whether all that was asked for was done, the whole log could be read, and with O(target=verify) log and
    table
    agree.
  returned: always, but when the options were refused
  type: bool
  sample: true
from:
  description: From when on changes were read.
  returned: always, but when the options were refused
  type: str
  sample: "2026-01-01T00:00:00Z"
to:
  description: Until when.
  returned: always, but when the options were refused
  type: str
  sample: "2026-01-31T12:00:00Z"
counts:
  description: The run in numbers. C(selected) counts the changes that were asked for, by event name too, and C(bytes)
    their
    envelopes. C(sent) counts what the target took, in earlier runs of this replay too, C(skipped) what an earlier run
      had
    dealt with. C(duplicates) counts copies of changes in the log, C(objects) those read.
  returned: always, but when the options were refused
  type: dict
  sample: {selected: 20000, insert: 9000, modify: 8000, remove: 3000, bytes: 12000000, sent: 20000, skipped: 0,
    failing: 0,
    held_back: 0, duplicates: 0, objects: 2000, other_tables: 0}
failing:
  description: The first failing change of each item, at most 1000.
  returned: always, but when the options were refused
  type: list
  elements: dict
  sample: [{sequence_number: "4210800000000028133746025", event_id: 7de3041dd709b024af6f29e4fa13d34c, event_name:
    MODIFY,
      item: 3f2a90c1d45be867, audit_key: audit-logs/2026/01/31/12/x.json, error_type: ValueError}]
damaged:
  description: Objects of the log that cannot be read, with the reason, at most 1000.
  returned: always, but when the options were refused
  type: list
  elements: dict
  sample: [{key: audit-logs/2026/01/31/12/x.ndjson.gz, reason: its gzip data ends too early}]
foreign:
  description: Objects among the log's that are none of it.
  returned: always, but when the options were refused
  type: list
  elements: str
  sample: []
conflicting:
  description: Pairs of objects that hold the same change and differ in it.
  returned: always, but when the options were refused
  type: list
  elements: list
  sample: []
states:
  description: What the log tells of items, and what the table has. C(faults) are changes that do not follow from the
    one
    before them. C(different) are items of which log and table tell something else, by their hash.
  returned: with O(target=table) and O(target=verify)
  type: dict
  sample: {in_log: 480, histories: 500, changes: 20000, faults: [], fault_count: 0, in_table: 480, settled: 2,
    different: [],
    different_count: 0, differences_file: null}
calls:
  description: Requests to the audit bucket, by name.
  returned: always, but when the options were refused
  type: dict
  sample: {GetObject: 2000, ListObjectsV2: 3}
cost:
  description: What the replay asks of AWS, and about what that costs in US dollars at the list prices of us-east-1. A
    function's run time is not in it.
  returned: always, but when the options were refused
  type: dict
  sample: {requests: {lambda_invoke: 200, s3_get: 2000, s3_list: 3}, usd: 0.0009}
execution_arn:
  description: The execution that replayed within AWS.
  returned: when AWS did
  type: str
  sample: arn:aws:states:eu-west-1:123456789012:execution:order-processor-replay:indexer-1-8d0f3c52
error_file:
  description: Where the texts of the function's errors are, null where there are none.
  returned: always, but when the options were refused
  type: str
  sample: /var/tmp/order-errors.jsonl
duration:
  description: Seconds that the run took.
  returned: always, but when the options were refused
  type: float
  sample: 41.2
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_replay import run_replay

_KEY_TYPES = ["STRING", "NUMBER", "BINARY"]
ARGUMENT_SPEC = {
    "table_name": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "audit-logs/"},
    "target": {"type": "str", "required": True, "choices": ["function", "table", "verify", "queue", "topic", "file"]},
    "from": {"type": "str"},
    "to": {"type": "str"},
    "event_names": {"type": "list", "elements": "str"},
    # Item data, so it is not in logs; what it holds is no secret otherwise.
    "keys": {"type": "dict", "no_log": True},
    "match": {"type": "str"},
    "function_name": {"type": "str"},
    "qualifier": {"type": "str"},
    "notify": {"type": "bool", "default": False},
    "target_table": {"type": "str"},
    "hash_key_name": {"type": "str", "no_log": False},
    "hash_key_type": {"type": "str", "choices": _KEY_TYPES, "no_log": False},
    "range_key_name": {"type": "str", "no_log": False},
    "range_key_type": {"type": "str", "choices": _KEY_TYPES, "no_log": False},
    "queue_url": {"type": "str"},
    "topic_arn": {"type": "str"},
    "path": {"type": "path"},
    "replay_id": {"type": "str"},
    "batch_size": {"type": "int", "default": 100},
    "concurrency": {"type": "int", "default": 8},
    "rate": {"type": "int", "default": 0},
    "limit": {"type": "int", "default": 0},
    "timeout": {"type": "int", "default": 300},
    "settle_seconds": {"type": "int", "default": 60},
    "state_machine_arn": {"type": "str"},
    "at_scale_objects": {"type": "int", "default": 100000},
    "state_dir": {"type": "path"},
    "progress_file": {"type": "path"},
    "error_file": {"type": "path"},
    "differences_file": {"type": "path"},
    "dry_run": {"type": "bool", "default": False},
}


def main() -> None:
    run_replay(AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
