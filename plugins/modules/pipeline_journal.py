#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pipeline_journal
version_added: "0.1.0"
short_description: Note in the audit log from when on it holds every change
description:
  - Keeps the journal of an audit log, objects below C(journal/) in its folder. An entry says of which table and stream
    the log is, whether it began with the table, and whether filters, rules or the stream's view type leave anything out
    of it, from the entry's time on.
  - Writes an entry when it would differ from the newest one. What replays and compares the log asks the journal whether
    the log is complete.
  - One that says less than the newest entry is written at once, so before the function and the mapping are changed. One
    that says more is written with O(phase=after) only, when they are changed; RV(pending) tells that there is one.
notes:
  - "Needs these actions: C(s3:ListBucket) on the bucket, C(s3:GetObject) and C(s3:PutObject) on what is below
    C(journal/); C(dynamodb:DescribeTable), but with O(rolled_back=true)."
  - An entry holds names and times, and no item data. It is encrypted with S3's own key.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  bucket:
    description: The audit bucket.
    type: str
    required: true
  prefix:
    description: What the names of the log's objects begin with.
    type: str
    default: audit-logs/
  phase:
    description: Whether the function and the mapping are about to be changed, or have been.
    type: str
    choices: [before, after]
    default: before
  table_name:
    description:
      - The table.
      - Required, but with O(rolled_back=true).
    type: str
  table_created:
    description: Whether this very deploy made the table, with its stream.
    type: bool
    default: false
  stream_view_type:
    description: What the stream holds.
    type: str
    choices: [NEW_AND_OLD_IMAGES, NEW_IMAGE, OLD_IMAGE, KEYS_ONLY]
    default: NEW_AND_OLD_IMAGES
  mapped:
    description: Whether the function has a mapping to the stream already.
    type: bool
    default: false
  enabled:
    description: Whether the mapping is to be enabled.
    type: bool
    default: true
  starting_position:
    description: Where a new mapping begins.
    type: str
    choices: [TRIM_HORIZON, LATEST]
    default: TRIM_HORIZON
  filter_criteria:
    description: The mapping's filter patterns.
    type: list
    elements: raw
    default: []
  maximum_record_age_in_seconds:
    description:
      - How old a change may get before the mapping gives it up. So long may a change have waited that is left out.
      - A value of V(-1) is a day.
    type: int
    default: -1
  rules:
    description: The function's rules, as C(docs/rules.md) has them.
    type: list
    elements: dict
    default: []
  expiration_days:
    description: After how many days a lifecycle deletes objects of the log. Left out when none does.
    type: int
  settle_seconds:
    description:
      - How long Lambda may take to do as it is told, once a mapping is made or changed. A log that is complete from now
        on is taken as complete after so many seconds.
    type: int
    default: 300
  rolled_back:
    description:
      - Notes that the function goes back to an earlier version. Its rules are not known, so the log is incomplete from
        now on, unless no rule that the journal knows of ever left anything out.
    type: bool
    default: false
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Note what will be logged from now on
  cloudcdc.dynamodb_streams.pipeline_journal:
    bucket: activity-audit-cdc-production-orders-123456789012-eu-central-1
    table_name: UserActivities-cdc-production-orders
    rules:
      - name: personal-data
        audit: {mask: [Email]}
  register: noted

- name: Note it after the function and its mapping were changed
  cloudcdc.dynamodb_streams.pipeline_journal:
    bucket: activity-audit-cdc-production-orders-123456789012-eu-central-1
    table_name: UserActivities-cdc-production-orders
    mapped: true
    phase: after
  when: noted.pending
"""

RETURN = r"""
pending:
  description: Whether an entry is to be written with O(phase=after).
  returned: success
  type: bool
  sample: false
entry:
  description: The newest entry, in check mode the one that would be. Null when there is none.
  returned: success
  type: dict
  contains:
    schema:
      description: The entry's form.
      type: str
      sample: cloudcdc.log/1
    since:
      description: From when on it holds, until the next entry's.
      type: str
      sample: "2026-01-31T10:00:00Z"
    settled:
      description: From when on it holds for certain. Left out when that is at once.
      type: str
      sample: "2026-01-31T10:05:00Z"
    tableArn:
      description: The table.
      type: str
      sample: arn:aws:dynamodb:eu-central-1:123456789012:table/Orders
    tableId:
      description: AWS's own identifier of the table, since another one may get its name.
      type: str
      sample: 3aee5eb5-b0b9-4062-8fb3-6e2c1ea0b9bd
    tableCreated:
      description: When the table was made.
      type: str
      sample: "2026-01-05T09:30:00Z"
    streamArn:
      description: The stream that the log is of.
      type: str
      sample: arn:aws:dynamodb:eu-central-1:123456789012:table/Orders/stream/2026-01-05T09:30:00.000
    viewType:
      description: What the stream holds.
      type: str
      sample: NEW_AND_OLD_IMAGES
    beginsWithTable:
      description: Whether the log has the table's first change.
      type: bool
      sample: true
    continues:
      description: Whether there is no gap between the entry before it and this one.
      type: bool
      sample: true
    filters:
      description: Whether the mapping has filters.
      type: bool
      sample: false
    rules:
      description: V(none); V(keep_all) for rules that leave nothing out of the log; V(drops) for others.
      type: str
      sample: none
    complete:
      description: Whether every change is logged whole.
      type: bool
      sample: false
    reasons:
      description: Why not.
      type: list
      elements: str
      sample: [the rule personal-data masks attributes in the audit log]
    reachesBack:
      description: How many seconds before its time changes may have been made that are handled as it says.
      type: int
      sample: 3600
    expirationDays:
      description: After how many days a lifecycle deletes objects of the log. Null when none does.
      type: int
      sample: 365
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_journal_api import run_journal

ARGUMENT_SPEC = {
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": "audit-logs/"},
    "phase": {"type": "str", "choices": ["before", "after"], "default": "before"},
    "table_name": {"type": "str"},
    "table_created": {"type": "bool", "default": False},
    "stream_view_type": {
        "type": "str",
        "choices": ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"],
        "default": "NEW_AND_OLD_IMAGES",
    },
    "mapped": {"type": "bool", "default": False},
    "enabled": {"type": "bool", "default": True},
    "starting_position": {"type": "str", "choices": ["TRIM_HORIZON", "LATEST"], "default": "TRIM_HORIZON"},
    "filter_criteria": {"type": "list", "elements": "raw", "default": []},
    "maximum_record_age_in_seconds": {"type": "int", "default": -1},
    "rules": {"type": "list", "elements": "dict", "default": []},
    "expiration_days": {"type": "int"},
    "settle_seconds": {"type": "int", "default": 300},
    "rolled_back": {"type": "bool", "default": False},
}


def main() -> None:
    run_journal(
        AnsibleAWSModule(
            argument_spec=ARGUMENT_SPEC,
            supports_check_mode=True,
            required_if=[("rolled_back", False, ["table_name"])],
        )
    )


if __name__ == "__main__":
    main()
