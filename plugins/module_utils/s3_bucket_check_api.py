# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads a bucket's settings. What differs is decided in s3_bucket_check."""

from __future__ import annotations

import json
from typing import Any

from . import s3_bucket_check
from .aws import (
    AnsibleAWSError,
    AnsibleAWSModule,
    aws_errors,
    boto3_tag_list_to_ansible_dict,
    client,
    error_code,
)

#: What S3 answers for a setting that is not made.
_NOT_SET = (
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchTagSet",
    "OwnershipControlsNotFoundError",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def run_check(module: AnsibleAWSModule) -> None:
    """Compare the bucket with the module's options, and leave the module. Nothing is written."""
    try:
        before, after = s3_bucket_check.compare(_settings(module), module.params)
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    outcome: dict[str, Any] = {"changed": False, "differs": bool(after)}
    if module._diff:
        outcome["diff"] = {"before": before, "after": after}
    module.exit_json(**outcome)


def _settings(module: AnsibleAWSModule) -> dict[str, Any] | None:
    """The settings that the options ask for, as they are; None where there is no bucket."""
    s3, bucket, asked = client(module, "s3"), module.params["name"], s3_bucket_check.wanted(module.params)
    found: dict[str, Any] = {}
    try:
        # Versioning is always asked for: a bucket that is not there is told by it.
        found["versioning"] = _ask(s3, "get_bucket_versioning", bucket).get("Status") == "Enabled"
    except AnsibleAWSError as exc:
        if error_code(exc) == "NoSuchBucket":
            return None
        raise
    if "public_access" in asked:
        block = _ask(s3, "get_public_access_block", bucket).get("PublicAccessBlockConfiguration", {})
        found["public_access"] = {name: block.get(_camel(name), False) for name in s3_bucket_check.PUBLIC_ACCESS}
    if "object_ownership" in asked:
        rules = _ask(s3, "get_bucket_ownership_controls", bucket).get("OwnershipControls", {}).get("Rules", [])
        found["object_ownership"] = rules[0]["ObjectOwnership"] if rules else None
    if {"encryption", "encryption_key_id", "bucket_key_enabled"} & set(asked):
        found |= _encryption(_ask(s3, "get_bucket_encryption", bucket))
    if "policy" in asked:
        text = _ask(s3, "get_bucket_policy", bucket).get("Policy")
        found["policy"] = json.loads(text) if text else {}
    if "tags" in asked:
        found["tags"] = boto3_tag_list_to_ansible_dict(_ask(s3, "get_bucket_tagging", bucket).get("TagSet", []))
    return found


def _encryption(answer: dict[str, Any]) -> dict[str, Any]:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    rule = rules[0] if rules else {}
    applied = rule.get("ApplyServerSideEncryptionByDefault", {})
    return {
        "encryption": applied.get("SSEAlgorithm"),
        "encryption_key_id": applied.get("KMSMasterKeyID"),
        "bucket_key_enabled": bool(rule.get("BucketKeyEnabled")),
    }


def _ask(s3: Any, call: str, bucket: str) -> dict[str, Any]:
    """The answer; an empty one where the setting is not made."""
    try:
        return _call(s3, call, bucket)
    except AnsibleAWSError as exc:
        if error_code(exc) in _NOT_SET:
            return {}
        raise


@aws_errors("read the bucket's settings")
def _call(s3: Any, call: str, bucket: str) -> dict[str, Any]:
    return getattr(s3, call)(Bucket=bucket, aws_retry=True)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))
