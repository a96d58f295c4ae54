# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a pipeline's options may not be together. Pure: the role asks before it talks to AWS."""

from __future__ import annotations

import difflib
import re
from typing import Any

from . import dynamodb_table, event_source_mapping, sns_topic

PREFIX = "ddb_stream_pipeline_"

# One word of a derived name: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html (FunctionName)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# S3's safe characters and '='; no empty, '.' or '..' folder. The function holds to the same.
_AUDIT_PREFIX = re.compile(r"((?!\.{1,2}/)[A-Za-z0-9!_.*'()=-]+/)+")
_AUDIT_PREFIX_MOST = 512

# CreateFunction, CreateRole, CreatePolicy, CreateQueue and the rules for bucket names, as AWS has them.
_NAMES = {
    "function_name": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "1 to 64 letters, digits, hyphens and underscores"),
    "role_name": (re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}"), "1 to 64 letters, digits and any of _+=,.@-"),
    "custom_policy_name": (re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}"), "1 to 128 letters, digits and any of _+=,.@-"),
    "failure_queue_name": (
        re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?"),
        "1 to 80 letters, digits, hyphens and underscores",
    ),
    "audit_bucket_name": (
        re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?"),
        "3 to 63 lower case letters, digits, dots and hyphens, or nothing for a derived name",
    ),
    "runtime": (re.compile(r"python3\.(1[1-9]|[2-9][0-9])"), "a Python runtime of 3.11 or newer, such as python3.13"),
}

# Lowest and highest: CreateFunction, CreateQueue and PutMetricAlarm in AWS's API references; what the function takes.
_RANGES = {
    "memory_size": (128, 10_240),
    "timeout": (1, 900),
    "notification_max_bytes": (32_768, 262_144),
    "failure_queue_retention_period": (60, 1_209_600),
    "alarm_period": (60, 86_400),
    "verify_items": (1, 100),
    "verify_timeout": (1, 3_000),
    "verify_metrics_timeout": (0, 3_600),
}

_TABLE_OPTIONS = (
    "hash_key_name", "hash_key_type", "range_key_name", "range_key_type", "billing_mode", "read_capacity",
    "write_capacity", "stream_view_type", "point_in_time_recovery_enabled", "deletion_protection_enabled",
)  # fmt: skip
_MAPPING_OPTIONS = (
    "enabled", "starting_position", "batch_size", "maximum_batching_window_in_seconds", "filter_criteria",
    "maximum_record_age_in_seconds", "maximum_retry_attempts", "bisect_batch_on_function_error",
    "parallelization_factor", "tumbling_window_in_seconds",
)  # fmt: skip


def problems(options: dict[str, Any], known: list[str]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well.

    ``options`` are the role's options with their prefix, ``known`` the names that the role documents.
    """
    given = {name.removeprefix(PREFIX): value for name, value in options.items()}
    found = _unknown(options, known)
    found += _words(given)
    found += _names(given)
    found += _numbers(given)
    found += _table(given)
    found += _mapping(given)
    found += _destinations(given)
    found += _audit(given)
    return found


def _unknown(options: dict[str, Any], known: list[str]) -> list[str]:
    found = []
    for name in sorted(set(options) - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        found.append(f"{name} is no option of this role{f'; did you mean {near[0]}' if near else ''}.")
    return found


def _words(given: dict[str, Any]) -> list[str]:
    return [
        f"{PREFIX}{name} is {given[name]!r}; use letters, digits, hyphens and underscores, since names are made of it."
        for name in ("project", "environment", "name")
        if not _WORD.fullmatch(str(given.get(name, "")))
    ]


def _names(given: dict[str, Any]) -> list[str]:
    return [
        f"{PREFIX}{name} is {given.get(name)!r}; give {what}."
        for name, (form, what) in _NAMES.items()
        if not form.fullmatch(str(given.get(name, "")))
    ]


def _numbers(given: dict[str, Any]) -> list[str]:
    found = [
        f"{PREFIX}{name} is {given.get(name)!r}; give a whole number from {lowest} to {highest}."
        for name, (lowest, highest) in _RANGES.items()
        if not _is_within(given.get(name), lowest, highest)
    ]
    period = given.get("alarm_period")
    if _is_within(period, *_RANGES["alarm_period"]) and int(period) % 60:
        found.append(f"{PREFIX}alarm_period is {period!r}; CloudWatch takes multiples of 60 seconds.")
    return found


def _is_within(value: Any, lowest: int, highest: int) -> bool:
    return str(value).isdecimal() and lowest <= int(value) <= highest


def _table(given: dict[str, Any]) -> list[str]:
    if given.get("table_attach"):
        return []
    options = {name: given.get(name) for name in _TABLE_OPTIONS}
    # The capacities have defaults here, so that switching to on-demand takes one line; they count only when used.
    if options["billing_mode"] == "PAY_PER_REQUEST":
        options.update(read_capacity=None, write_capacity=None)
    return _prefixed(dynamodb_table.problems({"state": "present", "name": given.get("table_name"), **options}))


def _mapping(given: dict[str, Any]) -> list[str]:
    options = {name: given.get(name) for name in _MAPPING_OPTIONS}
    # Which stream and function is not known yet, and does not matter here.
    stream = "arn:aws:dynamodb:us-east-1:000000000000:table/any/stream/any"
    return _prefixed(event_source_mapping.problems({"function_name": "any", "event_source_arn": stream, **options}))


def _destinations(given: dict[str, Any]) -> list[str]:
    found = []
    queue = str(given.get("failure_queue_name", ""))
    if queue.endswith(".fifo"):
        found.append(
            f"{PREFIX}failure_queue_name is {queue!r}, a FIFO queue; Lambda delivers stream failures to standard "
            "queues only: use a name without .fifo."
        )
    for option, topic in (("subscriptions", "change_topic_name"), ("alarm_subscriptions", "alarm_topic_name")):
        name = str(given.get(topic, ""))
        if name.endswith(".fifo"):
            found.append(f"{PREFIX}{topic} is {name!r}, a FIFO topic; use a standard topic's name, without .fifo.")
        asked = {"name": name, "state": "present", "subscriptions": given.get(option)}
        found += [_prefix(sentence, "subscriptions", option) for sentence in sns_topic.problems(asked)]
    return found


def _audit(given: dict[str, Any]) -> list[str]:
    prefix = str(given.get("audit_prefix", ""))
    if _AUDIT_PREFIX.fullmatch(prefix) and len(prefix) <= _AUDIT_PREFIX_MOST:
        return []
    return [
        f"{PREFIX}audit_prefix is {prefix!r}; it must end in /, hold only characters that are safe in S3 object names "
        f"and at most {_AUDIT_PREFIX_MOST} of them, for example audit-logs/."
    ]


def _prefixed(sentences: list[str]) -> list[str]:
    """The modules speak of their own options; an inventory's reader looks for the role's."""
    names = "|".join(sorted((*_TABLE_OPTIONS, *_MAPPING_OPTIONS), key=len, reverse=True))
    return [re.sub(rf"(?<![\w.])({names})(?![\w.])", rf"{PREFIX}\1", sentence) for sentence in sentences]


def _prefix(sentence: str, option: str, role_option: str) -> str:
    return re.sub(rf"(?<!\w){option}(?!\w)", f"{PREFIX}{role_option}", sentence)
