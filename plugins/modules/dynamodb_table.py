#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
---
module: dynamodb_table
version_added: "0.1.0"
short_description: Create, adjust or delete a DynamoDB table with its stream
description:
  - Creates an Amazon DynamoDB table with its stream, or gives a table that exists already the settings asked for.
  - An option that is left out leaves the table as it is. So a table of someone else can be attached to by giving its
    O(name) and O(stream_view_type) alone, which takes the permissions C(dynamodb:DescribeTable) and
    C(dynamodb:UpdateTable) and touches nothing but the stream.
  - A table is created in one call, with its stream, tags, encryption and deletion protection. Point-in-time recovery
    and time to live follow once the table is active. A run that was interrupted is completed by the next one.
  - A table that is in the middle of a change when the module starts is waited for.
  - Indexes are neither made nor changed.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  state:
    description:
      - V(present) creates the table or adjusts it.
      - V(absent) deletes the table with all its items, and waits until it is gone. All options but O(name),
        O(required_tags), O(wait) and O(wait_timeout) are ignored. AWS refuses to delete a table with deletion
        protection.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Name of the table, 3 to 255 characters of C(a-z), C(A-Z), C(0-9), C(_), C(-) and C(.).
    type: str
    required: true
    aliases: [table_name]
  hash_key_name:
    description:
      - Name of the partition key, at most 255 characters.
      - Needed to create a table. For a table that exists, a name other than the table's is refused, since a key cannot
        be changed after creation.
    type: str
  hash_key_type:
    description:
      - Type of the partition key. V(STRING) when a table is created without this option.
      - For a table that exists, a type other than the table's is refused.
    type: str
    choices: [STRING, NUMBER, BINARY]
  range_key_name:
    description:
      - Name of the sort key, at most 255 characters. An empty string means that the table has none, as does leaving
        this option out when a table is created.
      - For a table that exists, a name other than the table's is refused.
    type: str
  range_key_type:
    description:
      - Type of the sort key. V(STRING) when a table is created with a sort key and without this option.
      - Ignored for a table without a sort key. Otherwise, for a table that exists, a type other than the table's is
        refused.
    type: str
    choices: [STRING, NUMBER, BINARY]
  billing_mode:
    description:
      - Whether capacity is provisioned or paid for by request. V(PROVISIONED) when a table is created without this
        option.
      - A table with global secondary indexes cannot be switched to V(PROVISIONED) here, since each index needs a
        capacity of its own.
      - AWS limits how often the mode of a table may be switched, see
        U(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html).
    type: str
    choices: [PROVISIONED, PAY_PER_REQUEST]
  read_capacity:
    description:
      - Provisioned read capacity units, at least 1.
      - Needed, like O(write_capacity), to create a table with O(billing_mode=PROVISIONED) or to switch one to it.
        Refused for a table that is paid for by request.
    type: int
  write_capacity:
    description:
      - Provisioned write capacity units, at least 1. See O(read_capacity).
    type: int
  max_read_request_units:
    description:
      - Most read request units a second of a table that is paid for by request, at least 1. V(-1) removes the maximum.
      - Refused for a table with provisioned capacity, except V(-1).
    type: int
  max_write_request_units:
    description:
      - Most write request units a second of a table that is paid for by request, at least 1. V(-1) removes the maximum.
      - Refused for a table with provisioned capacity, except V(-1).
    type: int
  stream_enabled:
    description:
      - Whether the table has a stream. V(true) needs O(stream_view_type) where there is none yet. Without this option,
        O(stream_view_type) switches the stream on.
      - Switching a stream off cuts its readers off, so it needs O(allow_stream_replacement=true).
    type: bool
  stream_view_type:
    description:
      - What the stream holds of each changed item.
      - The view type of a stream cannot be changed. A different one means a new stream with a new ARN, which
        cuts the readers of the old one off, so it needs O(allow_stream_replacement=true).
      - See U(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html).
    type: str
    choices: [NEW_AND_OLD_IMAGES, NEW_IMAGE, OLD_IMAGE, KEYS_ONLY]
  allow_stream_replacement:
    description:
      - Whether a stream that is on may be switched off, or replaced by a new one with another view type.
    type: bool
    default: false
  point_in_time_recovery_enabled:
    description:
      - Whether the table can be restored to any point in time of the recovery period.
    type: bool
  recovery_period_in_days:
    description:
      - For how many days the table can be restored, 1 to 35. 35 when point-in-time recovery is switched on without this
        option.
      - Needs O(point_in_time_recovery_enabled=true), or a table that has point-in-time recovery already.
    type: int
  deletion_protection_enabled:
    description:
      - Whether AWS refuses to delete the table.
    type: bool
  kms_key_id:
    description:
      - The key that encrypts the table. V(AWS_OWNED) or an empty string for the key that AWS owns,
        V(alias/aws/dynamodb) for the key that AWS manages in the account, or the ARN, id or alias of a KMS key.
      - AWS shows the key of a table by its ARN, so for an alias the permission C(kms:DescribeKey) is needed to compare.
        A bare key id is taken to be in the account and region of the table.
    type: str
  ttl_attribute:
    description:
      - Name of the number attribute that holds the time, in seconds since 1970, after which an item may be deleted.
        An empty string switches time to live off.
      - AWS takes one change of the time to live an hour for a table, and putting another attribute in place of one
        takes two. The first run then switches the old one off and fails with AWS's words. A run an hour later
        completes it.
        See U(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html).
    type: str
  table_class:
    description:
      - Storage class of the table. V(STANDARD) when a table is created without this option.
      - AWS limits how often it may be changed.
    type: str
    choices: [STANDARD, STANDARD_INFREQUENT_ACCESS]
  required_tags:
    description:
      - Tags that a table which exists already must carry, with these values. Otherwise the module refuses to change or
        delete it. This protects the tables of others from a name that is taken by accident.
      - Where O(tags) are given too, they must hold these, or the next run would refuse the table.
    type: dict
  wait:
    description:
      - Whether to wait until the last change is done. Between two changes, and for a change that was under way when the
        module started, it waits in any case, since AWS takes one at a time.
      - Without waiting, the values returned are those asked for, and RV(latest_stream_arn) may be null.
    type: bool
    default: true
  wait_timeout:
    description:
      - For how many seconds the module waits, all its waiting taken together, before it fails.
    type: int
    default: 900
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.tags
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
notes:
  - Permissions are C(dynamodb:DescribeTable), and for what is asked for C(dynamodb:CreateTable),
    C(dynamodb:UpdateTable), C(dynamodb:DeleteTable), C(dynamodb:ListTagsOfResource), C(dynamodb:TagResource),
    C(dynamodb:UntagResource), C(dynamodb:DescribeContinuousBackups), C(dynamodb:UpdateContinuousBackups),
    C(dynamodb:DescribeTimeToLive) and C(dynamodb:UpdateTimeToLive). An alias in O(kms_key_id) takes C(kms:DescribeKey),
    and a customer managed key takes permissions on that key, see
    U(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/EncryptionAtRest.html).
  - Tags, point-in-time recovery and time to live are read only when an option about them is given.
seealso:
  - module: cloudcdc.dynamodb_streams.dynamodb_table_info
  - module: community.aws.dynamodb_table
    description: Makes indexes, but knows neither streams nor recovery, encryption, time to live or deletion protection.
  - name: UpdateTable
    description: The rules about what can be changed together, and how often.
    link: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
"""

EXAMPLES = r"""
- name: A table with a stream
  cloudcdc.dynamodb_streams.dynamodb_table:
    name: UserActivities
    hash_key_name: UserId
    range_key_name: ActivityId
    billing_mode: PROVISIONED
    read_capacity: 5
    write_capacity: 5
    stream_view_type: NEW_AND_OLD_IMAGES
    tags:
      Project: activities
    required_tags:
      Project: activities

- name: A table for production
  cloudcdc.dynamodb_streams.dynamodb_table:
    name: orders
    hash_key_name: OrderId
    hash_key_type: NUMBER
    billing_mode: PAY_PER_REQUEST
    max_write_request_units: 4000
    stream_view_type: NEW_AND_OLD_IMAGES
    point_in_time_recovery_enabled: true
    deletion_protection_enabled: true
    kms_key_id: alias/aws/dynamodb
    ttl_attribute: expires_at

- name: Attach to the table of another team, touching only its stream
  cloudcdc.dynamodb_streams.dynamodb_table:
    name: inventory
    stream_view_type: NEW_AND_OLD_IMAGES

- name: Put another stream in place of one that has the keys only
  cloudcdc.dynamodb_streams.dynamodb_table:
    name: orders
    stream_view_type: NEW_AND_OLD_IMAGES
    allow_stream_replacement: true

- name: Delete a table, if it is ours
  cloudcdc.dynamodb_streams.dynamodb_table:
    name: UserActivities
    state: absent
    required_tags:
      Project: activities
"""

RETURN = r"""
table:
  description:
    - The table, empty when there is none. In check mode, as it would be, with null for what is not known yet.
    - RV(table.tags), RV(table.point_in_time_recovery) and RV(table.time_to_live) are null when no option about them
      was given.
  returned: success
  type: dict
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
table_arn:
  description: ARN of the table, null when there is none or none yet.
  returned: success
  type: str
  sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities
latest_stream_arn:
  description: ARN of the table's latest stream, null when there is none or none yet.
  returned: success
  type: str
  sample: arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-05T09:30:00.000
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule, client
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table import KEY_TYPES
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table_api import (
    TableApi,
    TableResource,
    key_finder,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource


def argument_spec():
    key_types = list(KEY_TYPES)
    # no_log=False: names and ids of keys, not secrets.
    return {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "name": {"type": "str", "required": True, "aliases": ["table_name"]},
        "hash_key_name": {"type": "str", "no_log": False},
        "hash_key_type": {"type": "str", "choices": key_types, "no_log": False},
        "range_key_name": {"type": "str", "no_log": False},
        "range_key_type": {"type": "str", "choices": key_types, "no_log": False},
        "billing_mode": {"type": "str", "choices": ["PROVISIONED", "PAY_PER_REQUEST"]},
        "read_capacity": {"type": "int"},
        "write_capacity": {"type": "int"},
        "max_read_request_units": {"type": "int"},
        "max_write_request_units": {"type": "int"},
        "stream_enabled": {"type": "bool"},
        "stream_view_type": {
            "type": "str",
            "choices": ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"],
        },
        "allow_stream_replacement": {"type": "bool", "default": False},
        "point_in_time_recovery_enabled": {"type": "bool"},
        "recovery_period_in_days": {"type": "int"},
        "deletion_protection_enabled": {"type": "bool"},
        "kms_key_id": {"type": "str", "no_log": False},
        "ttl_attribute": {"type": "str"},
        "table_class": {"type": "str", "choices": ["STANDARD", "STANDARD_INFREQUENT_ACCESS"]},
        "tags": {"type": "dict", "aliases": ["resource_tags"]},
        "purge_tags": {"type": "bool", "default": True},
        "required_tags": {"type": "dict"},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 900},
    }


def main():
    module = AnsibleAWSModule(argument_spec=argument_spec(), supports_check_mode=True)
    options = module.params
    api = TableApi(client(module, "dynamodb"), options["name"], options["wait_timeout"])
    find_key = key_finder(lambda: client(module, "kms"))
    run_resource(module, TableResource(api, options, find_key, module.check_mode))


if __name__ == "__main__":
    main()
