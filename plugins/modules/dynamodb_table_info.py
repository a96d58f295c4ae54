#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: dynamodb_table_info
version_added: "0.1.0"
short_description: Describe a DynamoDB table with its stream
description:
  - Describes an Amazon DynamoDB table with its stream, tags, point-in-time recovery and time to live.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description:
      - Name of the table.
    type: str
    required: true
    aliases: [table_name]
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.info
notes:
  - Permissions are C(dynamodb:DescribeTable), and for all that is returned C(dynamodb:ListTagsOfResource),
    C(dynamodb:DescribeContinuousBackups) and C(dynamodb:DescribeTimeToLive). What a missing one of the last three would
    have read is null.
seealso:
  - module: cloudcdc.dynamodb_streams.dynamodb_table
"""

EXAMPLES = r"""
- name: Describe a table
  cloudcdc.dynamodb_streams.dynamodb_table_info:
    name: UserActivities
  register: found

- name: Show its stream
  ansible.builtin.debug:
    msg: "{{ found.tables[0].latest_stream_arn if found.tables else 'there is no such table' }}"
"""

RETURN = r"""
tables:
  description: The table, or nothing when there is no table of this name.
  returned: success
  type: list
  elements: dict
  contains:
    table_name:
      description: Name of the table.
      type: str
      sample: UserActivities
    table_arn:
      description: ARN of the table.
      type: str
      sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities
    table_id:
      description: AWS's own identifier of the table.
      type: str
      sample: 3aee5eb5-b0b9-4062-8fb3-6e2c1ea0b9bd
    table_status:
      description: State of the table, ACTIVE when it takes reads, writes and changes.
      type: str
      sample: ACTIVE
    key_schema:
      description: The key attributes.
      type: list
      elements: dict
      sample:
        - {attribute_name: UserId, key_type: HASH}
        - {attribute_name: ActivityId, key_type: RANGE}
    attribute_definitions:
      description: The types of the key attributes of the table and its indexes.
      type: list
      elements: dict
      sample:
        - {attribute_name: UserId, attribute_type: S}
        - {attribute_name: ActivityId, attribute_type: S}
    billing_mode:
      description: PROVISIONED or PAY_PER_REQUEST.
      type: str
      sample: PROVISIONED
    provisioned_throughput:
      description: Provisioned capacity units, 0 for a table that is paid for by request.
      type: dict
      sample: {read_capacity_units: 5, write_capacity_units: 5}
    on_demand_throughput:
      description: Maxima of a table that is paid for by request, -1 where there is none.
      type: dict
      sample: {max_read_request_units: -1, max_write_request_units: -1}
    stream_specification:
      description: Whether the table has a stream, and what the stream holds.
      type: dict
      sample: {stream_enabled: true, stream_view_type: NEW_AND_OLD_IMAGES}
    latest_stream_arn:
      description: ARN of the table's latest stream. AWS may still show one for a day after it was switched off.
      type: str
      sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-05T09:30:00.000
    latest_stream_label:
      description: Time at which the latest stream was made.
      type: str
      sample: "2026-01-05T09:30:00.000"
    deletion_protection_enabled:
      description: Whether AWS refuses to delete the table.
      type: bool
      sample: false
    sse_description:
      description: Encryption with a KMS key. DISABLED means the key that AWS owns.
      type: dict
      sample:
        status: ENABLED
        sse_type: KMS
        kms_master_key_arn: arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab
    table_class:
      description: Storage class.
      type: str
      sample: STANDARD
    point_in_time_recovery:
      description: Point-in-time recovery and its period.
      type: dict
      sample: {point_in_time_recovery_status: ENABLED, recovery_period_in_days: 35}
    time_to_live:
      description: Time to live. A change that AWS is still carrying out counts as done.
      type: dict
      sample: {time_to_live_status: ENABLED, attribute_name: expires_at}
    tags:
      description: Tags of the table.
      type: dict
      sample: {Project: activities}
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    client,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table_api import TableApi, table_info


def main():
    module = AnsibleAWSModule(
        argument_spec={"name": {"type": "str", "required": True, "aliases": ["table_name"]}},
        supports_check_mode=True,
    )
    try:
        found = table_info(TableApi(client(module, "dynamodb"), module.params["name"]))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    module.exit_json(changed=False, tables=[found] if found else [])


if __name__ == "__main__":
    main()
