#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket_empty
version_added: "0.1.0"
short_description: Delete all objects of an Amazon S3 bucket, with all their versions
description:
  - Deletes every object, version and delete marker, but for the lock of a run, so that the bucket can be removed.
  - Serves where O(amazon.aws.s3_bucket#module:force=true) does not, since M(amazon.aws.s3_bucket) cannot remove a
    versioned bucket that holds objects older than its versioning.
  - What cannot be deleted, such as a version under Object Lock retention, is an error with AWS's own code and message.
    A run that was stopped goes on where it was.
notes:
  - "Needs these actions: C(s3:ListBucketVersions) on the bucket; C(s3:DeleteObject) and C(s3:DeleteObjectVersion) on
    its objects; with O(required_tags) also C(s3:GetBucketTagging); with O(refuse_retained=true) also
    C(s3:GetBucketObjectLockConfiguration) and, where there is such a lock, C(s3:GetObjectRetention)."
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  name:
    description: The bucket. One that does not exist is empty.
    type: str
    required: true
  required_tags:
    description:
      - Tags that the bucket must carry, else it belongs to someone else and the task fails, in check mode too.
      - A bucket that is empty and has no tags at all passes, since it may be what a run left that was killed between
        making the bucket and tagging it.
    type: dict
  refuse_retained:
    description:
      - Whether to fail, in check mode too, and say until when, where versions are under Object Lock retention.
      - The oldest and the newest version of each day are looked at, which are enough for what the bucket retains by
        itself.
    type: bool
    default: false
  lock:
    description:
      - The lock that the run holds, which is then kept while the bucket is emptied.
      - In any bucket, what is below C(.cloudcdc/) is no data, and stays. M(cloudcdc.dynamodb_streams.pipeline_lock)
        removes it.
    type: dict
    suboptions:
      bucket:
        description: The lock's bucket.
        type: str
        required: true
      key:
        description: The lock's object.
        type: str
        required: true
      token:
        description: What M(cloudcdc.dynamodb_streams.pipeline_lock) returned.
        type: str
        required: true
      lease:
        description: The lock's lease in seconds.
        type: int
        required: true
seealso:
  - module: amazon.aws.s3_bucket
  - name: DeleteObjects
    description: Amazon S3 API reference.
    link: https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
  - cloudcdc.dynamodb_streams.common.resource
"""

EXAMPLES = r"""
- name: Empty a bucket before it is removed
  cloudcdc.dynamodb_streams.s3_bucket_empty:
    name: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    required_tags:
      "cloudcdc:pipeline": cdc/dev/orders

- name: Only ask whether the bucket is this pipeline's
  cloudcdc.dynamodb_streams.s3_bucket_empty:
    name: activity-audit-cdc-dev-orders-111111111111-eu-central-1
    required_tags:
      "cloudcdc:pipeline": cdc/dev/orders
  check_mode: true
  changed_when: false
"""

RETURN = r"""
deleted:
  description: How many versions and delete markers were deleted. 0 in check mode.
  returned: always
  type: int
  sample: 1204
exists:
  description: Whether the bucket is there.
  returned: always
  type: bool
  sample: true
was_empty:
  description: Whether the bucket held nothing to begin with, or was not there.
  returned: always
  type: bool
  sample: false
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_empty import BucketContents


def main() -> None:
    # no_log=False: an object's name and a run's, not secrets.
    lock = {
        "bucket": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
        "token": {"type": "str", "required": True, "no_log": False},
        "lease": {"type": "int", "required": True},
    }
    argument_spec = {
        "name": {"type": "str", "required": True},
        "required_tags": {"type": "dict"},
        "refuse_retained": {"type": "bool", "default": False},
        "lock": {"type": "dict", "options": lock},
    }
    module = AnsibleAWSModule(argument_spec=argument_spec, supports_check_mode=True)
    run_resource(module, BucketContents(module))


if __name__ == "__main__":
    main()
