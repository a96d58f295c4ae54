# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket's lifecycle rule, Object Lock and access log: what cannot be, what is, and the writes between. Pure.

The state has of ``lifecycle`` (all rules of the bucket, and the size from which on S3 moves objects), ``object_lock``
and ``access_log`` those that were asked for, as S3 answers them; an empty one is not set.
"""

from __future__ import annotations

from typing import Any

from .plan import Plan, Step

SETTINGS = ("lifecycle", "object_lock", "access_log")
STORAGE_CLASSES = ("STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
LOCK_MODES = ("GOVERNANCE", "COMPLIANCE")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html
_DAYS_BEFORE_INFREQUENT_ACCESS = 30
_INFREQUENT_ACCESS = ("STANDARD_IA", "ONEZONE_IA")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html (100 years)
_LOCK_DAYS_MOST = 36_500
_RULE_DAYS = ("transition_days", "expiration_days", "noncurrent_expiration_days")


def given(option: dict[str, Any] | None) -> dict[str, Any] | None:
    """An option's members that were given. None: the option was left out; empty: the setting is to go."""
    if option is None:
        return None
    return {name: value for name, value in option.items() if value is not None}


# What cannot be


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    lifecycle, lock, log = (given(options.get(name)) for name in SETTINGS)
    found = _lifecycle_problems(lifecycle or {}) + _lock_problems(lock or {}) + _log_problems(log or {})
    if not found and lifecycle and lock and lifecycle.get("expiration_days", lock["days"]) < lock["days"]:
        found.append(
            f"lifecycle.expiration_days is {lifecycle['expiration_days']} and object_lock.days is {lock['days']}; what"
            " is locked cannot be deleted: let objects expire after the lock's end."
        )
    return found


def _lifecycle_problems(lifecycle: dict[str, Any]) -> list[str]:
    found = [
        f"lifecycle.{name} is {lifecycle[name]!r}; give a whole number of days, 1 or more."
        for name in _RULE_DAYS
        if name in lifecycle and not _is_number(lifecycle[name])
    ]
    if found or not lifecycle:
        return found
    if not any(name in lifecycle for name in _RULE_DAYS):
        return [f"lifecycle says not what to do; give one or more of {', '.join(_RULE_DAYS)}, or {{}} for no rule."]
    moves, expires = lifecycle.get("transition_days"), lifecycle.get("expiration_days")
    storage_class = lifecycle.get("transition_storage_class")
    if (moves is None) != (storage_class is None):
        found.append("lifecycle.transition_days and lifecycle.transition_storage_class go together; give both or none.")
    elif storage_class is not None and storage_class not in STORAGE_CLASSES:
        found.append(
            f"lifecycle.transition_storage_class is {storage_class!r}; use one of {', '.join(STORAGE_CLASSES)}."
        )
    elif storage_class in _INFREQUENT_ACCESS and moves < _DAYS_BEFORE_INFREQUENT_ACCESS:
        found.append(
            f"lifecycle.transition_days is {moves}; S3 moves objects to {storage_class} after"
            f" {_DAYS_BEFORE_INFREQUENT_ACCESS} days at the earliest."
        )
    if moves is not None and expires is not None and expires <= moves:
        found.append(
            f"lifecycle.expiration_days is {expires} and lifecycle.transition_days is {moves}; let objects expire later"
            " than they are moved, or leave the transition out."
        )
    return found


def _lock_problems(lock: dict[str, Any]) -> list[str]:
    if not lock:
        return []
    mode, days = lock.get("mode"), lock.get("days")
    found = []
    if mode not in LOCK_MODES:
        found.append(f"object_lock.mode is {mode!r}; use one of {', '.join(LOCK_MODES)}.")
    if not _is_number(days) or days > _LOCK_DAYS_MOST:
        found.append(f"object_lock.days is {days!r}; give a whole number of days, 1 to {_LOCK_DAYS_MOST}.")
    return found


def _log_problems(log: dict[str, Any]) -> list[str]:
    if log and not log.get("bucket"):
        return ["access_log.bucket is missing; name the bucket that gets the log, or give {} for no log."]
    return []


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


# What is


def lock_state(answer: dict[str, Any]) -> dict[str, Any]:
    """S3's answer without the unit that was not given, which is not there on S3 and 0 elsewhere."""
    if "Rule" not in answer:
        return dict(answer)
    retention = answer["Rule"].get("DefaultRetention", {})
    return {**answer, "Rule": {"DefaultRetention": {name: value for name, value in retention.items() if value}}}


# What leads there


def plan(current: dict[str, Any] | None, options: dict[str, Any]) -> Plan:
    """The writes that make the settings what is asked. ``current`` is None where there is no bucket (yet)."""
    before = current or {name: {} for name in SETTINGS if options.get(name) is not None}
    after, steps = dict(before), []
    for name, step in (("lifecycle", _lifecycle_step), ("object_lock", _lock_step), ("access_log", _log_step)):
        wanted = given(options.get(name))
        if wanted is None:
            continue
        after[name], call, request = step(before[name], wanted, options)
        if after[name] != before[name]:
            steps.append(Step(call, {"Bucket": options["name"], **request}))
    return Plan(before, after, tuple(steps))


_Writing = tuple[dict[str, Any], str, dict[str, Any]]


def _lifecycle_step(before: dict[str, Any], wanted: dict[str, Any], options: dict[str, Any]) -> _Writing:
    """One rule of the bucket, by its id; S3 replaces them all at once, so the others go along."""
    rule_id, rules = options["lifecycle_rule_id"], before.get("Rules", [])
    rule = _rule(rule_id, options["lifecycle_prefix"], wanted) if wanted else None
    places = [index for index, each in enumerate(rules) if each.get("ID") == rule_id]
    kept = list(rules)
    if places and rule:
        kept[places[0]] = rule
    elif rule:
        kept.append(rule)
    else:
        kept = [each for each in rules if each.get("ID") != rule_id]
    if not kept:
        return {}, "delete_bucket_lifecycle", {}
    after = {**before, "Rules": kept}
    request: dict[str, Any] = {"LifecycleConfiguration": {"Rules": kept}}
    if minimum := before.get("TransitionDefaultMinimumObjectSize"):
        request["TransitionDefaultMinimumObjectSize"] = minimum
    return after, "put_bucket_lifecycle_configuration", request


def _rule(rule_id: str, prefix: str, wanted: dict[str, Any]) -> dict[str, Any]:
    rule: dict[str, Any] = {"ID": rule_id, "Status": "Enabled", "Filter": {"Prefix": prefix}}
    if "transition_days" in wanted:
        move = {"Days": wanted["transition_days"], "StorageClass": wanted["transition_storage_class"]}
        rule["Transitions"] = [move]
    if "expiration_days" in wanted:
        rule["Expiration"] = {"Days": wanted["expiration_days"]}
    if "noncurrent_expiration_days" in wanted:
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": wanted["noncurrent_expiration_days"]}
    return rule


def _lock_step(before: dict[str, Any], wanted: dict[str, Any], options: dict[str, Any]) -> _Writing:
    """Once on, the lock stays on; what can go is the period that every new object gets."""
    if not wanted and not before:
        return {}, "", {}
    after: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    if wanted:
        after["Rule"] = {"DefaultRetention": {"Mode": wanted["mode"], "Days": wanted["days"]}}
    return after, "put_object_lock_configuration", {"ObjectLockConfiguration": after}


def _log_step(before: dict[str, Any], wanted: dict[str, Any], options: dict[str, Any]) -> _Writing:
    if not wanted:
        return {}, "put_bucket_logging", {"BucketLoggingStatus": {}}
    # What else is set, such as the form of the log's object names, stays.
    after = {**before, "TargetBucket": wanted["bucket"], "TargetPrefix": wanted.get("prefix", "")}
    return after, "put_bucket_logging", {"BucketLoggingStatus": {"LoggingEnabled": after}}
