#!/usr/bin/python
# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket_check
version_added: "0.1.0"
short_description: Say where an S3 bucket is not what is asked
description:
  - Takes the options of M(amazon.aws.s3_bucket), which has no check mode, and says what that module would change.
  - It changes nothing, in check mode or out of it. Only the settings that options ask for are read.
options:
  name:
    description: The bucket's name.
    type: str
    required: true
  versioning:
    description: Whether versioning should be on.
    type: bool
  public_access:
    description: Which public access should be blocked. One that is left out counts as V(false).
    type: dict
    suboptions:
      block_public_acls:
        description: Refuse ACLs that make public.
        type: bool
        default: false
      block_public_policy:
        description: Refuse policies that make public.
        type: bool
        default: false
      ignore_public_acls:
        description: Ignore ACLs that make public.
        type: bool
        default: false
      restrict_public_buckets:
        description: Let only the owner's account and AWS's services in where a policy makes public.
        type: bool
        default: false
  object_ownership:
    description: Who should own objects that others put there.
    type: str
    choices: [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter]
  encryption:
    description: How objects should be encrypted.
    type: str
    choices: [AES256, "aws:kms"]
  encryption_key_id:
    description: The key that should encrypt them, written as S3 has it.
    type: str
  bucket_key_enabled:
    description: Whether S3 should use a bucket key.
    type: bool
  policy:
    description: The bucket policy that there should be.
    type: json
  tags:
    description: The tags that there should be.
    type: dict
  purge_tags:
    description: Whether a tag beside O(tags) is a difference.
    type: bool
    default: true
notes:
  - "Needs these actions for what is asked for: C(s3:GetBucketVersioning), C(s3:GetBucketPublicAccessBlock),
    C(s3:GetBucketOwnershipControls), C(s3:GetEncryptionConfiguration), C(s3:GetBucketPolicy), C(s3:GetBucketTagging)."
author:
  - cloudcdc maintainers (@cloudcdc)
seealso:
  - module: amazon.aws.s3_bucket
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - amazon.aws.boto3
  - cloudcdc.dynamodb_streams.common
attributes:
  check_mode:
    description: Changes nothing, so check mode gives the same answer.
    support: full
  diff_mode:
    description: Shows what amazon.aws.s3_bucket would change, as the settings that differ before and after.
    support: full
"""

EXAMPLES = r"""
- name: Say in check mode what the bucket lacks
  cloudcdc.dynamodb_streams.s3_bucket_check:
    name: orders-audit
    versioning: true
    tags:
      team: data
  when: ansible_check_mode
  register: bucket
  changed_when: bucket.differs
"""

RETURN = r"""
differs:
  description: Whether the bucket is missing, or not what is asked.
  returned: success
  type: bool
  sample: true
"""

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_check import PUBLIC_ACCESS
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_check_api import run_check

ARGUMENT_SPEC = {
    "name": {"type": "str", "required": True},
    "versioning": {"type": "bool"},
    "public_access": {
        "type": "dict",
        "options": {name: {"type": "bool", "default": False} for name in PUBLIC_ACCESS},
    },
    "object_ownership": {"type": "str", "choices": ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]},
    "encryption": {"type": "str", "choices": ["AES256", "aws:kms"]},
    "encryption_key_id": {"type": "str"},
    "bucket_key_enabled": {"type": "bool"},
    "policy": {"type": "json"},
    "tags": {"type": "dict"},
    "purge_tags": {"type": "bool", "default": True},
}


def main() -> None:
    module = AnsibleAWSModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    run_check(module)


if __name__ == "__main__":
    main()
