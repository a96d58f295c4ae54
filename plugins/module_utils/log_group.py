# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A log group of CloudWatch Logs: what is, and the writes that lead to what is asked. Pure.

Its state is a dict: name, retention_in_days (None: for ever), kms_key_arn, tags.
"""

from __future__ import annotations

from typing import Any

from .comparing import compare_aws_tags
from .plan import Plan, Step

#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTIONS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip


def log_group_state(answer: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """A log group of DescribeLogGroups with its tags, as the state of one."""
    return {
        "name": answer["logGroupName"],
        "retention_in_days": answer.get("retentionInDays"),
        "kms_key_arn": answer.get("kmsKeyId"),
        "tags": tags,
    }


def plan(current: dict[str, Any] | None, options: dict[str, Any]) -> Plan:
    """What to write, so that the log group becomes what is asked. What is not asked for stays as it is."""
    name, tags = options["name"], options["tags"]
    before = current or {}
    after = dict(before)
    steps = []
    if current is None:
        key = options["kms_key_arn"] or None
        after = {"name": name, "retention_in_days": None, "kms_key_arn": key, "tags": tags or {}}
        request = {"logGroupName": name, **({"kmsKeyId": key} if key else {}), **({"tags": tags} if tags else {})}
        steps.append(Step("create_log_group", request))
    elif tags is not None:
        added, removed = compare_aws_tags(current["tags"], tags, options["purge_tags"])
        if removed:
            steps.append(Step("untag_log_group", {"logGroupName": name, "tags": removed}))
        if added:
            steps.append(Step("tag_log_group", {"logGroupName": name, "tags": added}))
        after["tags"] = {key: value for key, value in current["tags"].items() if key not in removed} | added
    days = options["retention_in_days"]
    if days is not None and days != after["retention_in_days"]:
        after["retention_in_days"] = days
        steps.append(Step("put_retention_policy", {"logGroupName": name, "retentionInDays": days}))
    return Plan(before, after, tuple(steps))
