#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket_settings
version_added: "0.1.0"
short_description: Set a bucket's lifecycle rule, Object Lock and access log
description:
  - Makes one lifecycle rule, the default retention of Object Lock and the server access log of a bucket what the
    options say. An option that is left out leaves its setting as it is. An empty dictionary takes the setting away.
  - Works on buckets that are there already. Other lifecycle rules of the bucket stay.
  - Bad input is refused before anything is written.
  - An alternative to M(community.aws.s3_lifecycle), which does nothing in check mode, to M(community.aws.s3_logging),
    which writes an ACL that buckets refuse where ACLs are off, and to the Object Lock of M(amazon.aws.s3_bucket),
    which is for new buckets only.
notes:
  - The bucket itself is made by M(amazon.aws.s3_bucket). In check mode a bucket that is not there yet counts as one
    without settings.
  - "Needs these actions for what is asked for: C(s3:GetLifecycleConfiguration), C(s3:PutLifecycleConfiguration),
    C(s3:GetBucketObjectLockConfiguration), C(s3:PutBucketObjectLockConfiguration), C(s3:GetBucketLogging),
    C(s3:PutBucketLogging)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description: The bucket's name.
    type: str
    required: true
  lifecycle:
    description:
      - What becomes of the objects below O(lifecycle_prefix). V({}) removes the rule of O(lifecycle_rule_id).
      - S3 moves no object of less than 128 KB, unless the bucket is told otherwise. See
        U(https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html).
    type: dict
    suboptions:
      transition_days:
        description: The age in days at which an object moves to O(lifecycle.transition_storage_class).
        type: int
      transition_storage_class:
        description:
          - Where it moves to. Objects in V(GLACIER) and V(DEEP_ARCHIVE) cannot be read until they are restored.
        type: str
        choices: [STANDARD_IA, ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER, DEEP_ARCHIVE]
      expiration_days:
        description:
          - The age in days at which an object is deleted. In a bucket with versioning it gets a delete marker, and
            its data stays until O(lifecycle.noncurrent_expiration_days) have passed.
        type: int
      noncurrent_expiration_days:
        description: How many days after a version was replaced or deleted it is deleted for good.
        type: int
  lifecycle_rule_id:
    description: The id of the rule, by which a later run finds it.
    type: str
    default: cloudcdc
  lifecycle_prefix:
    description: What the names of the objects start with that the rule is for. Empty means all objects.
    type: str
    default: ""
  object_lock:
    description:
      - The retention that every new object gets. Needs versioning. V({}) removes it, and the lock itself stays on, as
        it cannot be switched off.
      - Objects that are there already get none.
    type: dict
    suboptions:
      mode:
        description:
          - V(GOVERNANCE) lets those with C(s3:BypassGovernanceRetention) delete an object before its time,
            V(COMPLIANCE) nobody, not even the account's root.
        type: str
        choices: [GOVERNANCE, COMPLIANCE]
      days:
        description: For how many days, 1 to 36500.
        type: int
  access_log:
    description:
      - Where S3 logs who asked what of the bucket. V({}) switches the log off.
      - The log bucket's policy must let C(logging.s3.amazonaws.com) write. See
        U(https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html).
    type: dict
    suboptions:
      bucket:
        description: The bucket that gets the log, in the same region and account.
        type: str
      prefix:
        description: What the names of the log's objects start with.
        type: str
seealso:
  - module: amazon.aws.s3_bucket
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Move the audit log to a cheaper class after 30 days and delete it after seven years
  cloudcdc.dynamodb_streams.s3_bucket_settings:
    name: activity-audit-cdc-production-orders
    lifecycle_prefix: audit-logs/
    lifecycle:
      transition_days: 30
      transition_storage_class: GLACIER_IR
      expiration_days: 2555
      noncurrent_expiration_days: 30

- name: Keep every object for a year, and log who reads
  cloudcdc.dynamodb_streams.s3_bucket_settings:
    name: activity-audit-cdc-production-orders
    object_lock:
      mode: GOVERNANCE
      days: 365
    access_log:
      bucket: acme-access-logs
      prefix: activity-audit/

- name: Switch the access log off
  cloudcdc.dynamodb_streams.s3_bucket_settings:
    name: activity-audit-cdc-production-orders
    access_log: {}
"""

RETURN = r"""
s3_bucket_settings:
  description: The settings that were asked for, as S3 has them, or in check mode as they would be.
  returned: success
  type: dict
  contains:
    lifecycle:
      description: All lifecycle rules of the bucket. Empty when it has none.
      returned: when O(lifecycle) is given
      type: dict
      sample:
        TransitionDefaultMinimumObjectSize: all_storage_classes_128K
        Rules:
          - ID: cloudcdc
            Status: Enabled
            Filter:
              Prefix: audit-logs/
            Expiration:
              Days: 2555
    object_lock:
      description: The Object Lock. Empty when it is off.
      returned: when O(object_lock) is given
      type: dict
      sample:
        ObjectLockEnabled: Enabled
        Rule:
          DefaultRetention:
            Mode: GOVERNANCE
            Days: 365
    access_log:
      description: The access log. Empty when there is none.
      returned: when O(access_log) is given
      type: dict
      sample:
        TargetBucket: acme-access-logs
        TargetPrefix: activity-audit/
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_settings import (
    LOCK_MODES,
    STORAGE_CLASSES,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_settings_api import BucketSettings

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "lifecycle": {
        "type": "dict",
        "options": {
            "transition_days": {"type": "int"},
            "transition_storage_class": {"type": "str", "choices": list(STORAGE_CLASSES)},
            "expiration_days": {"type": "int"},
            "noncurrent_expiration_days": {"type": "int"},
        },
    },
    "lifecycle_rule_id": {"type": "str", "default": "cloudcdc"},
    "lifecycle_prefix": {"type": "str", "default": ""},
    "object_lock": {
        "type": "dict",
        "options": {"mode": {"type": "str", "choices": list(LOCK_MODES)}, "days": {"type": "int"}},
    },
    "access_log": {"type": "dict", "options": {"bucket": {"type": "str"}, "prefix": {"type": "str"}}},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_resource(module, BucketSettings(module))


if __name__ == "__main__":
    main()
