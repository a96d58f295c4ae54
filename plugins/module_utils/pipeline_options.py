# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a pipeline's options may not be together. Pure: the role asks before it talks to AWS."""

from __future__ import annotations

import difflib
import re
from datetime import datetime, timedelta
from typing import Any

from . import dynamodb_table, event_source_mapping, lambda_settings, s3_bucket_settings, sns_topic
from ._change_rules import check_rules
from .pipeline_lock import FOLDER

PREFIX = "ddb_stream_pipeline_"

# One word of a derived name: https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html (FunctionName)
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# S3's safe characters and '='; no empty, '.' or '..' folder. The function holds to the same.
_AUDIT_PREFIX = re.compile(r"((?!\.{1,2}/)[A-Za-z0-9!_.*'()=-]+/)+")
_AUDIT_PREFIX_MOST = 512

_BUCKET_NAME = (
    re.compile(r"([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?"),
    "3 to 63 lower case letters, digits, dots and hyphens, or nothing for a derived name",
)
# CreateFunction, CreateRole, CreatePolicy, CreateQueue, PutDashboard and the rules for bucket names, as AWS has them.
_NAMES = {
    "function_name": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "1 to 64 letters, digits, hyphens and underscores"),
    "replayer_name": (re.compile(r"[A-Za-z0-9_-]{1,64}"), "1 to 64 letters, digits, hyphens and underscores"),
    "role_name": (re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}"), "1 to 64 letters, digits and any of _+=,.@-"),
    "custom_policy_name": (re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}"), "1 to 128 letters, digits and any of _+=,.@-"),
    "failure_queue_name": (
        re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?"),
        "1 to 80 letters, digits, hyphens and underscores",
    ),
    "audit_bucket_name": _BUCKET_NAME,
    "failure_bucket_name": _BUCKET_NAME,
    "metrics_namespace": (
        re.compile(r"(?!AWS/)([A-Za-z0-9._/#:-]{1,255})?"),
        "up to 255 letters, digits and any of ._/#:-, not beginning with AWS/, or nothing for no metrics",
    ),
    "kms_key_arn": (
        re.compile(r"(arn:[^:]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?"),
        "the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID, not of an alias, or nothing",
    ),
    "kms_key_alias": (
        re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}"),
        "alias/ and 1 to 250 letters, digits and any of /_-, not beginning with aws/",
    ),
    "dashboard_name": (re.compile(r"[A-Za-z0-9_-]{1,255}"), "1 to 255 letters, digits, hyphens and underscores"),
    "runtime": (re.compile(r"python3\.(1[1-9]|[2-9][0-9])"), "a Python runtime of 3.11 or newer, such as python3.13"),
}

_POLICY_ARN = re.compile(r"arn:[^:]+:iam::([0-9]{12}|aws):policy/[A-Za-z0-9/_+=,.@-]+")

# Lowest and highest: CreateFunction, CreateQueue and PutMetricAlarm in AWS's API references; what the function takes.
_RANGES = {
    "memory_size": (128, 10_240),
    "timeout": (1, 900),
    "notification_max_bytes": (32_768, 262_144),
    "concurrency": (1, 128),
    "versions_to_keep": (2, 100),
    "failure_queue_retention_period": (60, 1_209_600),
    "kms_key_deletion_days": (7, 30),
    "alarm_period": (60, 86_400),
    "alarm_failure_age_in_seconds": (60, 1_209_600),
    "alarm_iterator_age_in_seconds": (60, 86_400),
    "verify_items": (1, 100),
    "verify_timeout": (1, 3_000),
    "verify_metrics_timeout": (0, 3_600),
    "drill_healthy_items": (1, 50),
    "drill_timeout": (1, 3_600),
    "redrive_limit": (0, 1_000_000),
    "redrive_batch_size": (1, 10_000),
    "baseline_segments": (1, 32),
    "baseline_items_per_second": (0, 10_000_000),
    "baseline_object_bytes": (1_024, 33_554_432),
    "replay_batch_size": (1, 10_000),
    "replay_concurrency": (1, 64),
    "replay_rate": (0, 1_000_000),
    "replay_settle_seconds": (0, 3600),
    "replayer_memory_size": (512, 10_240),
    "replayer_timeout": (60, 900),
    "replayer_ephemeral_storage": (512, 10_240),
    "replay_at_scale_concurrency": (1, 1_000),
    "replay_at_scale_objects": (0, 1_000_000_000),
    "replay_at_scale_slice_objects": (1, 100_000),
    "compaction_delay_minutes": (5, 10_080),
    "compaction_lookback_hours": (1, 8_760),
    "compaction_max_sources": (2, 1_000_000),
    "compaction_concurrency": (1, 1_000),
    "status_minutes": (1, 1_440),
    "lock_lease": (900, 86_400),
    "lock_wait": (0, 86_400),
}

_READ_CAPACITY_MOST = 1_000_000

# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
_ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+")
_SESSION = (900, 43_200)

_REPLAY_TARGET = re.compile(
    r"arn:[^:]+:(lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_*-]+|dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.*-]+"
    r"|sqs:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.*-]+|sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.*-]+)"
)
_SCHEDULE = re.compile(r"(rate|cron)\(.+\)")
_HAND_ON = {
    "queue_arn": (
        re.compile(r"arn:[^:]+:sqs:[a-z0-9-]+:[0-9]{12}:(?!.*\.fifo$)[A-Za-z0-9_.-]+"),
        "a standard queue, arn:aws:sqs:REGION:ACCOUNT:NAME",
    ),
    "state_machine_arn": (
        re.compile(r"arn:[^:]+:states:[a-z0-9-]+:[0-9]{12}:stateMachine:[A-Za-z0-9_-]+"),
        "a state machine, arn:aws:states:REGION:ACCOUNT:stateMachine:NAME",
    ),
    "job_queue_arn": (
        re.compile(r"arn:[^:]+:batch:[a-z0-9-]+:[0-9]{12}:job-queue/.+"),
        "a job queue, arn:aws:batch:REGION:ACCOUNT:job-queue/NAME",
    ),
    "job_definition_arn": (
        re.compile(r"arn:[^:]+:batch:[a-z0-9-]+:[0-9]{12}:job-definition/.+"),
        "a job definition, arn:aws:batch:REGION:ACCOUNT:job-definition/NAME:REVISION",
    ),
}
_HAND_ON_TO = ({"queue_arn"}, {"state_machine_arn"}, {"job_queue_arn", "job_definition_arn"})

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
    found += _credentials(given)
    found += _names(given)
    found += _numbers(given)
    found += _table(given)
    found += _mapping(given)
    found += _topics(given)
    found += _failures(given)
    found += _audit(given)
    found += _audit_bucket(given)
    found += _key(given)
    found += _function(given)
    found += _redrive(given)
    found += _baseline(given)
    found += _rules(given)
    found += _compaction(given)
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


def _credentials(given: dict[str, Any]) -> list[str]:
    found = []
    for identity, options in (given.get("credentials") or {}).items():
        place, role = f"{PREFIX}credentials.{identity}", (options or {}).get("role_arn")
        if role and not _ROLE_ARN.fullmatch(str(role)):
            found.append(
                f"{place}.role_arn is {role!r}; give a role's ARN, such as arn:aws:iam::111111111111:role/deployer."
            )
        found += [
            f"{place}.{name} is given without {place}.role_arn; there is no role to assume."
            for name in ("external_id", "duration_seconds")
            if (options or {}).get(name) and not role
        ]
        seconds = (options or {}).get("duration_seconds")
        if seconds and not _is_within(seconds, *_SESSION):
            found.append(
                f"{place}.duration_seconds is {seconds!r}; give a whole number from {_SESSION[0]} to {_SESSION[1]}."
            )
    return found


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


def _topics(given: dict[str, Any]) -> list[str]:
    found = _topic("change", "subscriptions", given, given.get("change_topic_type"))
    # Lambda and CloudWatch send to standard topics only.
    for topic in ("alarm", "failure"):
        name = str(given.get(f"{topic}_topic_name", ""))
        if name.endswith(".fifo"):
            found.append(
                f"{PREFIX}{topic}_topic_name is {name!r}, a FIFO topic; use a standard topic's, without .fifo."
            )
        else:
            found += _topic(topic, f"{topic}_subscriptions", given)
    return found


def _topic(topic: str, subscriptions: str, given: dict[str, Any], topic_type: str | None = None) -> list[str]:
    """The module's own sentences, with the role's names for its options."""
    found = sns_topic.problems(
        {
            "name": str(given.get(f"{topic}_topic_name", "")),
            "topic_type": topic_type,
            "state": "present",
            "subscriptions": given.get(subscriptions),
        }
    )
    roles = {"subscriptions": subscriptions, "topic_type": f"{topic}_topic_type", "name": f"{topic}_topic_name"}
    return [
        re.sub(r"^(subscriptions)(?=\[)|\b(topic_type|name)(?= is )", lambda m: PREFIX + roles[m[0]], sentence)
        for sentence in found
    ]


def _failures(given: dict[str, Any]) -> list[str]:
    found = []
    queue = str(given.get("failure_queue_name", ""))
    if queue.endswith(".fifo"):
        found.append(
            f"{PREFIX}failure_queue_name is {queue!r}, a FIFO queue; Lambda delivers stream failures to standard "
            "queues only: use a name without .fifo."
        )
    if given.get("failure_subscriptions") and given.get("failure_destination") != "topic":
        found.append(
            f"{PREFIX}failure_subscriptions is given, and {PREFIX}failure_destination is "
            f"{given.get('failure_destination')!r}; there is a topic to subscribe to with 'topic' only."
        )
    bucket = given.get("failure_bucket_name")
    if bucket and bucket == given.get("audit_bucket_name"):
        found.append(
            f"{PREFIX}failure_bucket_name is {bucket!r}, the audit bucket; give failures a bucket of their own, or "
            "nothing for a derived name."
        )
    return found


def _audit(given: dict[str, Any]) -> list[str]:
    prefix = str(given.get("audit_prefix", ""))
    if prefix.startswith(FOLDER):
        return [
            f"{PREFIX}audit_prefix is {prefix!r}; {FOLDER} holds the lock of the runs, which is no audit log: give "
            "another prefix, for example audit-logs/."
        ]
    if _AUDIT_PREFIX.fullmatch(prefix) and len(prefix) <= _AUDIT_PREFIX_MOST:
        return []
    return [
        f"{PREFIX}audit_prefix is {prefix!r}; it must end in /, hold only characters that are safe in S3 object names "
        f"and at most {_AUDIT_PREFIX_MOST} of them, for example audit-logs/."
    ]


def _audit_bucket(given: dict[str, Any]) -> list[str]:
    """The module's own sentences, with the role's names for its options."""
    options = {name: given.get(f"audit_{name}") for name in s3_bucket_settings.SETTINGS}
    found = [
        re.sub(r"\b(lifecycle|object_lock|access_log)(?=\.\w| says )", rf"{PREFIX}audit_\1", sentence)
        for sentence in s3_bucket_settings.problems(options)
    ]
    lifecycle = options["lifecycle"] or {}
    versions = given.get("audit_bucket_versioning") or options["object_lock"]
    if lifecycle.get("noncurrent_expiration_days") and not versions:
        found.append(
            f"{PREFIX}audit_lifecycle.noncurrent_expiration_days is for versions, and there are none; set "
            f"{PREFIX}audit_bucket_versioning, or leave it out."
        )
    log = options["access_log"] or {}
    if log.get("bucket") and log["bucket"] == given.get("audit_bucket_name"):
        found.append(
            f"{PREFIX}audit_access_log.bucket is the audit bucket itself, whose log would log its own writing; give "
            "the log a bucket of its own."
        )
    return found


def _key(given: dict[str, Any]) -> list[str]:
    if not given.get("kms_key_arn"):
        return []
    found = []
    if given.get("kms_key_create"):
        found.append(
            f"{PREFIX}kms_key_arn names a key and {PREFIX}kms_key_create makes one; leave one of the two out: "
            "everything is encrypted with one key."
        )
    region = str(given["kms_key_arn"]).split(":")[3:4]
    if region and given.get("region") and region != [given["region"]]:
        found.append(
            f"{PREFIX}kms_key_arn is a key of {region[0]}, and the pipeline is in {given['region']}; give a key of "
            "that region."
        )
    return found


def _function(given: dict[str, Any]) -> list[str]:
    found = []
    subnets, groups = (bool(given.get(name)) for name in ("vpc_subnet_ids", "vpc_security_group_ids"))
    if subnets != groups:
        found.append(
            f"{PREFIX}vpc_subnet_ids and {PREFIX}vpc_security_group_ids go together; give both, or neither for a "
            "function outside a VPC."
        )
    if given.get("system_log_level") and given.get("log_format") != "JSON":
        found.append(
            f"{PREFIX}system_log_level is given; only a log in JSON has levels: give {PREFIX}log_format JSON too."
        )
    reserved, factor = given.get("reserved_concurrency"), given.get("parallelization_factor")
    if reserved == 0:
        found.append(
            f"{PREFIX}reserved_concurrency is 0, which stops the feed and makes Lambda give changes up; to stop it "
            f"without a loss for a while, set {PREFIX}enabled to false."
        )
    elif reserved is not None and reserved != lambda_settings.NOT_RESERVED and reserved < (factor or 1):
        found.append(
            f"{PREFIX}reserved_concurrency is {reserved}, and each shard of the stream runs up to {factor} invocations "
            f"at once ({PREFIX}parallelization_factor); give that many or more, or {lambda_settings.NOT_RESERVED} for "
            "no reservation."
        )
    boundary = given.get("permissions_boundary")
    if boundary and not _POLICY_ARN.fullmatch(boundary):
        found.append(
            f"{PREFIX}permissions_boundary is {boundary!r}; give the ARN of a policy, arn:aws:iam::ACCOUNT:policy/NAME."
        )
    return found


def _redrive(given: dict[str, Any]) -> list[str]:
    found, moments = [], {}
    for name in ("redrive_from", "redrive_to"):
        text = str(given.get(name) or "")
        moments[name] = _utc(text)
        if text and not moments[name]:
            found.append(
                f"{PREFIX}{name} is {text!r}; give a moment in ISO 8601 and UTC, such as '2026-01-31T08:00:00Z'."
            )
    first, last = moments["redrive_from"], moments["redrive_to"]
    if first and last and first > last:
        found.append(f"{PREFIX}redrive_from is later than {PREFIX}redrive_to; no failure record is between them.")
    return found


def _baseline(given: dict[str, Any]) -> list[str]:
    capacity = given.get("baseline_read_capacity")
    try:
        if 0 <= float(str(capacity)) <= _READ_CAPACITY_MOST:
            return []
    except ValueError:
        pass
    return [f"{PREFIX}baseline_read_capacity is {capacity!r}; give a number from 0 to {_READ_CAPACITY_MOST}."]


def _rules(given: dict[str, Any]) -> list[str]:
    rules = given.get("rules", [])
    ours = not given.get("table_attach")  # another's table has the keys and the stream that it has
    keys = [str(given[name]) for name in ("hash_key_name", "range_key_name") if given.get(name)] if ours else []
    found = check_rules(rules, keys)
    view = given.get("stream_view_type")
    if not found and ours and view != "NEW_AND_OLD_IMAGES":
        found = [
            f"{member} compares two images; it needs {PREFIX}stream_view_type NEW_AND_OLD_IMAGES, and that is {view}."
            for member in ("changed_any", "changed_only")
            if any(member in rule for rule in rules)
        ]
    return [f"{PREFIX}rules: {sentence}" for sentence in found]


def _compaction(given: dict[str, Any]) -> list[str]:
    found = []
    if given.get("replayer_name") == given.get("function_name"):
        found.append(
            f"{PREFIX}replayer_name is {given.get('replayer_name')!r}, the name of the pipeline's function; give"
            " another."
        )
    found += [
        f"{PREFIX}replay_at_scale_targets[{place}] is {arn!r}; give the ARN of a function without a version, a table,"
        " a queue or a topic."
        for place, arn in enumerate(given.get("replay_at_scale_targets") or [])
        if not _REPLAY_TARGET.fullmatch(str(arn))
    ]
    schedule = str(given.get("compaction_schedule") or "")
    if schedule and not _SCHEDULE.fullmatch(schedule):
        found.append(
            f"{PREFIX}compaction_schedule is {schedule!r}; give rate(1 hour), cron(20 * * * ? *) or the like, or"
            " nothing."
        )
    wanted = {name: value for name, value in (given.get("compaction_hand_on") or {}).items() if value}
    if wanted and set(wanted) not in _HAND_ON_TO:
        found.append(
            f"{PREFIX}compaction_hand_on names {' and '.join(sorted(wanted))}; give queue_arn, or state_machine_arn, or"
            " job_queue_arn and job_definition_arn, for one consumer: a queue or a state machine can tell more of them."
        )
    found += [
        f"{PREFIX}compaction_hand_on.{name} is {value!r}; give the ARN of {_HAND_ON[name][1]}."
        for name, value in wanted.items()
        if name in _HAND_ON and not _HAND_ON[name][0].fullmatch(str(value))
    ]
    return found


def _utc(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.utcoffset() == timedelta(0) else None


def _prefixed(sentences: list[str]) -> list[str]:
    """The modules speak of their own options; an inventory's reader looks for the role's."""
    names = "|".join(sorted((*_TABLE_OPTIONS, *_MAPPING_OPTIONS), key=len, reverse=True))
    return [re.sub(rf"(?<![\w.])({names})(?![\w.])", rf"{PREFIX}\1", sentence) for sentence in sentences]
