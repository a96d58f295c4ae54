# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a bucket is not what is asked. Pure.

The settings are a dict with the names of amazon.aws.s3_bucket's options; a bucket that is not there has none.
"""

from __future__ import annotations

import json
from typing import Any

from .aws import compare_policies

#: What is compared.
SETTINGS = (
    "versioning",
    "public_access",
    "object_ownership",
    "encryption",
    "encryption_key_id",
    "bucket_key_enabled",
    "policy",
    "tags",
)
PUBLIC_ACCESS = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


def wanted(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that are asked for. An option left out leaves its setting as it is."""
    found = {name: options[name] for name in SETTINGS if options.get(name) is not None}
    if "public_access" in found:
        found["public_access"] = {name: bool(found["public_access"].get(name)) for name in PUBLIC_ACCESS}
    if "policy" in found:
        found["policy"] = json.loads(found["policy"])
    if "tags" in found:
        found["tags"] = {key: str(value) for key, value in found["tags"].items()}
    return found


def compare(current: dict[str, Any] | None, options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is and what is asked, where the two differ; both empty where the bucket is as asked."""
    asked = wanted(options)
    if current is None:
        return {}, {"name": options["name"], **asked}
    if "tags" in asked and not options["purge_tags"]:
        asked["tags"] = {**current["tags"], **asked["tags"]}
    names = [name for name, value in asked.items() if _differs(name, current[name], value)]
    return {name: current[name] for name in names}, {name: asked[name] for name in names}


def _differs(name: str, current: Any, asked: Any) -> bool:
    if name == "policy":
        return compare_policies(current, asked)
    return current != asked
