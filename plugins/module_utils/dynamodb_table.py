# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A DynamoDB table as plain settings: what is asked for, what AWS says there is, and the writes between the two.

Everything here is pure. Settings are one flat dictionary by option name; tags, point-in-time recovery and time to
live are in it only when they were asked for, because reading them takes calls and permissions of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.module_utils.common.text.converters import to_text

from .comparing import ansible_dict_to_boto3_tag_list, compare_aws_tags
from .plan import Plan, Step

KEY_TYPES = {"STRING": "S", "NUMBER": "N", "BINARY": "B"}
PROVISIONED, ON_DEMAND = "PROVISIONED", "PAY_PER_REQUEST"
AWS_OWNED, AWS_MANAGED = "AWS_OWNED", "alias/aws/dynamodb"

CAPACITIES = ("read_capacity", "write_capacity")
MAXIMA = ("max_read_request_units", "max_write_request_units")
NO_MAXIMUM = -1
# What UpdateContinuousBackups takes when no period is given.
DEFAULT_RECOVERY_DAYS = 35

_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_TYPE_NAMES = {short: long for long, short in KEY_TYPES.items()}
_IN_TRANSITION = ("CREATING", "UPDATING", "DELETING")
_KEY_IN_TRANSITION = ("ENABLING", "DISABLING", "UPDATING")


# What is asked for


def problems(options: Mapping[str, Any], exists: bool = False) -> list[str]:
    """What is wrong with the options as they stand, a sentence each; ``exists`` leaves out what creation needs.

    Keys are option names; an option that is missing or None was left out.
    """
    found = _name_problems(options)
    if options.get("state") == "absent":
        return found
    found += _key_problems(options) + _billing_problems(options) + _stream_problems(options)
    found += _recovery_problems(options) + _tag_problems(options)
    return found if exists else found + _creation_problems(options)


def _given(options: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [name for name in names if options.get(name) is not None]


def _name_problems(options: Mapping[str, Any]) -> list[str]:
    name = options.get("name") or options.get("table_name") or ""
    if _NAME.fullmatch(name):
        return []
    return [f"name must be 3 to 255 characters of a-z, A-Z, 0-9, '_', '-' and '.' (it is {name!r})."]


def _key_problems(options: Mapping[str, Any]) -> list[str]:
    found = []
    hash_key, range_key = options.get("hash_key_name"), options.get("range_key_name")
    if hash_key == "":
        found.append("hash_key_name must not be empty: every table has a partition key.")
    if hash_key and hash_key == range_key:
        found.append(f"hash_key_name and range_key_name must be two attributes (both are {hash_key!r}).")
    for name in ("hash_key_name", "range_key_name", "ttl_attribute"):
        if len(options.get(name) or "") > 255:
            found.append(f"{name} must be at most 255 characters.")
    return found


def _billing_problems(options: Mapping[str, Any]) -> list[str]:
    mode = options.get("billing_mode")
    found = [
        f"{name} must be at least 1 (it is {options[name]})."
        for name in _given(options, CAPACITIES)
        if options[name] < 1
    ]
    found += [
        f"{name} must be at least 1, or -1 for no maximum (it is {options[name]})."
        for name in _given(options, MAXIMA)
        if options[name] < 1 and options[name] != NO_MAXIMUM
    ]
    if mode == ON_DEMAND and _given(options, CAPACITIES):
        found.append(
            f"{_names(_given(options, CAPACITIES))} cannot be given with billing_mode=PAY_PER_REQUEST:"
            " leave them out, or give billing_mode=PROVISIONED."
        )
    if mode == PROVISIONED and _maxima_asked(options):
        found.append(
            f"{_names(_maxima_asked(options))} cannot be given with billing_mode=PROVISIONED:"
            " leave them out, or give billing_mode=PAY_PER_REQUEST."
        )
    return found


def _stream_problems(options: Mapping[str, Any]) -> list[str]:
    if options.get("stream_enabled") is False and options.get("stream_view_type"):
        return ["stream_view_type cannot be given with stream_enabled=false: leave out one of the two."]
    return []


def _recovery_problems(options: Mapping[str, Any]) -> list[str]:
    days = options.get("recovery_period_in_days")
    if days is None:
        return []
    found = []
    if not 1 <= days <= 35:
        found.append(f"recovery_period_in_days must be from 1 to 35 (it is {days}).")
    if options.get("point_in_time_recovery_enabled") is False:
        found.append("recovery_period_in_days cannot be given with point_in_time_recovery_enabled=false.")
    return found


def _tag_problems(options: Mapping[str, Any]) -> list[str]:
    """Tags that would take a required tag away: the next run would refuse the table."""
    if options.get("tags") is None:
        return []
    tags, required = _tags(options["tags"]), _tags(options.get("required_tags"))
    kept = {} if options.get("purge_tags", True) else required
    lost = [key for key, value in required.items() if {**kept, **tags}.get(key) != value]
    if not lost:
        return []
    return [f"tags must hold what required_tags asks for, or the next run refuses the table (see {_names(lost)})."]


def _creation_problems(options: Mapping[str, Any]) -> list[str]:
    found = []
    if options.get("hash_key_name") is None:
        found.append(
            "hash_key_name is needed to create the table, which does not exist; to attach to one, give the name of a"
            " table that does."
        )
    mode = options.get("billing_mode") or PROVISIONED
    if mode == PROVISIONED and len(_given(options, CAPACITIES)) < 2:
        found.append(
            "read_capacity and write_capacity are needed for a table with billing_mode=PROVISIONED, which is AWS's"
            " default: give both, or billing_mode=PAY_PER_REQUEST."
        )
    elif not options.get("billing_mode") and _maxima_asked(options):
        found.append(f"{_names(_maxima_asked(options))} can only be given with billing_mode=PAY_PER_REQUEST.")
    if options.get("stream_enabled") and not options.get("stream_view_type"):
        found.append("stream_view_type is needed to switch the stream on.")
    if options.get("recovery_period_in_days") is not None and options.get("point_in_time_recovery_enabled") is None:
        found.append("recovery_period_in_days needs point_in_time_recovery_enabled=true.")
    if options.get("required_tags") and options.get("tags") is None:
        found.append("tags must hold what required_tags asks for, or the next run refuses the table.")
    return found


def _maxima_asked(options: Mapping[str, Any]) -> list[str]:
    return [name for name in _given(options, MAXIMA) if options[name] != NO_MAXIMUM]


def _names(names: Iterable[str]) -> str:
    return " and ".join(names)


def _tags(tags: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags as AWS keeps them: text to text."""
    return {to_text(key): to_text(value) for key, value in (tags or {}).items()}


# What is there


def settled(description: Mapping[str, Any] | None) -> bool:
    """True when no change of the table is under way, so AWS takes the next one. None is a table that is not there."""
    if description is None:
        return True
    key_status = (description.get("SSEDescription") or {}).get("Status")
    return description["TableStatus"] not in _IN_TRANSITION and key_status not in _KEY_IN_TRANSITION


def shows_stream(description: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> bool:
    """True when the table is there, settled, and its stream is as the settings say.

    DescribeTable is eventually consistent: right after a write it may not know the table, or show the old stream.
    """
    if description is None or not settled(description):
        return False
    stream = _stream_settings(description)
    return all(settings[name] == value for name, value in stream.items()) and (
        not stream["stream_enabled"] or bool(description.get("LatestStreamArn"))
    )


def settings_of(
    description: Mapping[str, Any],
    tags: Mapping[str, str] | None = None,
    backups: Mapping[str, Any] | None = None,
    ttl: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The settings in AWS's answers: DescribeTable's, and of the three others those that were asked for."""
    settings = {
        "name": description["TableName"],
        **_key_settings(description),
        **_billing_settings(description),
        **_stream_settings(description),
        "deletion_protection_enabled": bool(description.get("DeletionProtectionEnabled")),
        "kms_key_id": _encryption_key(description.get("SSEDescription") or {}),
        "table_class": (description.get("TableClassSummary") or {}).get("TableClass", "STANDARD"),
    }
    if backups is not None:
        settings.update(_recovery_settings(backups))
    if ttl is not None:
        on = ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        settings["ttl_attribute"] = ttl.get("AttributeName", "") if on else ""
    if tags is not None:
        settings["tags"] = dict(tags)
    return settings


def _key_settings(description: Mapping[str, Any]) -> dict[str, Any]:
    types = {item["AttributeName"]: _TYPE_NAMES[item["AttributeType"]] for item in description["AttributeDefinitions"]}
    keys = {item["KeyType"]: item["AttributeName"] for item in description["KeySchema"]}
    return {
        "hash_key_name": keys["HASH"],
        "hash_key_type": types[keys["HASH"]],
        "range_key_name": keys.get("RANGE", ""),
        "range_key_type": types[keys["RANGE"]] if "RANGE" in keys else None,
    }


def _billing_settings(description: Mapping[str, Any]) -> dict[str, Any]:
    """Capacities belong to the provisioned mode and maxima to the on-demand one; the other mode's are None."""
    # AWS leaves the summary out for a table that was never on demand.
    mode = (description.get("BillingModeSummary") or {}).get("BillingMode") or PROVISIONED
    capacity = description.get("ProvisionedThroughput") or {}
    maxima = description.get("OnDemandThroughput") or {}
    provisioned = mode == PROVISIONED
    return {
        "billing_mode": mode,
        "read_capacity": capacity.get("ReadCapacityUnits") if provisioned else None,
        "write_capacity": capacity.get("WriteCapacityUnits") if provisioned else None,
        "max_read_request_units": None if provisioned else maxima.get("MaxReadRequestUnits", NO_MAXIMUM),
        "max_write_request_units": None if provisioned else maxima.get("MaxWriteRequestUnits", NO_MAXIMUM),
    }


def _stream_settings(description: Mapping[str, Any]) -> dict[str, Any]:
    stream = description.get("StreamSpecification") or {}
    on = bool(stream.get("StreamEnabled"))
    return {"stream_enabled": on, "stream_view_type": stream.get("StreamViewType") if on else None}


def _encryption_key(sse: Mapping[str, Any]) -> str:
    if sse.get("SSEType") == "KMS" and sse.get("Status") in ("ENABLED", "ENABLING", "UPDATING"):
        return sse.get("KMSMasterKeyArn") or AWS_MANAGED
    return AWS_OWNED


def _recovery_settings(backups: Mapping[str, Any]) -> dict[str, Any]:
    recovery = backups.get("PointInTimeRecoveryDescription") or {}
    on = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    return {
        "point_in_time_recovery_enabled": on,
        "recovery_period_in_days": recovery.get("RecoveryPeriodInDays", DEFAULT_RECOVERY_DAYS) if on else None,
    }


def index_names(description: Mapping[str, Any]) -> list[str]:
    """The names of the table's global secondary indexes."""
    return [index["IndexName"] for index in description.get("GlobalSecondaryIndexes") or []]


# What the table there does not allow


def conflicts(current: Mapping[str, Any], options: Mapping[str, Any], indexes: Iterable[str] = ()) -> list[str]:
    """Why the table that is there cannot be made as asked, a sentence each."""
    found = ownership_conflicts(current, options)
    if options.get("state") == "absent":
        return found
    return (
        found
        + _key_conflicts(current, options)
        + _stream_conflicts(current, options)
        + _billing_conflicts(current, options, list(indexes))
        + _recovery_conflicts(current, options)
    )


def ownership_conflicts(current: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    """The tags that an existing table must carry before it is changed or deleted, and does not."""
    carried = current.get("tags") or {}
    verb = "delete" if options.get("state") == "absent" else "change"
    found = []
    for key, value in _tags(options.get("required_tags")).items():
        if carried.get(key) == value:
            continue
        instead = f"has {key}={carried[key]}" if key in carried else "has no such tag"
        found.append(
            f"required_tags: the table {current['name']} exists, but does not carry the tag {key}={value}"
            f" (it {instead}), so it is not this task's to {verb}. To attach to a table of someone else, leave out"
            " everything but its name and stream_view_type; to take it over, put the tag on it."
        )
    return found


def _key_conflicts(current: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    found = []
    for name in ("hash_key_name", "hash_key_type", "range_key_name", "range_key_type"):
        wanted, there = options.get(name), current[name]
        # A table without a sort key has no sort key type to differ from.
        if wanted is None or wanted == there or (name == "range_key_type" and there is None):
            continue
        found.append(
            f"{name} cannot be changed after creation: the table {current['name']} has {there or 'none'},"
            f" {wanted or 'none'} is asked for. A table with another key must be created under another name."
        )
    return found


def _stream_conflicts(current: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    name, there = current["name"], current["stream_view_type"]
    view, enabled = options.get("stream_view_type"), options.get("stream_enabled")
    if enabled and not view and not current["stream_enabled"]:
        return [f"stream_view_type is needed to switch the stream of the table {name} on."]
    if not current["stream_enabled"] or options.get("allow_stream_replacement"):
        return []
    if enabled is False:
        return [
            f"stream_enabled: switching off the stream of the table {name} cuts its readers off, and switching it on"
            " again makes a new stream with a new ARN. Give allow_stream_replacement=true if that is meant."
        ]
    if view and view != there:
        return [
            f"stream_view_type: the stream of the table {name} has {there}, {view} is asked for. A stream's view type"
            " cannot be changed: the stream has to be replaced by a new one with a new ARN, which cuts the readers of"
            " the old one off. Give allow_stream_replacement=true if that is meant."
        ]
    return []


def _billing_conflicts(current: Mapping[str, Any], options: Mapping[str, Any], indexes: list[str]) -> list[str]:
    name, there = current["name"], current["billing_mode"]
    mode = options.get("billing_mode") or there
    if mode == PROVISIONED and there == ON_DEMAND:
        found = []
        if len(_given(options, CAPACITIES)) < 2:
            found.append(
                f"read_capacity and write_capacity are needed to switch the table {name} to billing_mode=PROVISIONED."
            )
        if indexes:
            found.append(
                f"billing_mode: the table {name} has global secondary indexes ({', '.join(indexes)}), which need"
                " capacities of their own to become PROVISIONED. This module leaves indexes alone, so switch the"
                " billing mode of table and indexes with the UpdateTable API first."
            )
        return found
    if options.get("billing_mode"):
        return []
    if mode == ON_DEMAND and _given(options, CAPACITIES):
        return [
            f"{_names(_given(options, CAPACITIES))} cannot be given for the table {name}, whose billing mode is"
            " PAY_PER_REQUEST: leave them out, or give billing_mode=PROVISIONED too."
        ]
    if mode == PROVISIONED and _maxima_asked(options):
        return [
            f"{_names(_maxima_asked(options))} cannot be given for the table {name}, whose billing mode is"
            " PROVISIONED: leave them out, or give billing_mode=PAY_PER_REQUEST too."
        ]
    return []


def _recovery_conflicts(current: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    if options.get("recovery_period_in_days") is None or options.get("point_in_time_recovery_enabled") is not None:
        return []
    if current["point_in_time_recovery_enabled"]:
        return []
    return [
        f"recovery_period_in_days needs point_in_time_recovery_enabled=true: it is off for the table {current['name']}."
    ]


# The way from one to the other


def plan_present(
    current: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    table_arn: str | None = None,
    key_arn: str | None = None,
) -> Plan:
    """The writes that give the table what the options ask for, and nothing else.

    ``key_arn`` is the key behind kms_key_id, where that is an alias and the caller has looked it up.
    """
    if current is None:
        blank = _blank(options)
        after = wanted(blank, options)
        steps = [Step("create_table", create_request(after)), *_recovery_steps(blank, after), *_ttl_steps(blank, after)]
        return Plan({}, after, tuple(steps))
    before = dict(current)
    after = wanted(before, options, key_arn)
    return Plan(before, after, tuple(_update_steps(before, after, table_arn)))


def plan_absent(current: Mapping[str, Any] | None) -> Plan:
    """The deletion of the table, if it is there."""
    if current is None:
        return Plan({}, {})
    return Plan(dict(current), {}, (Step("delete_table", {"TableName": current["name"]}),))


def _blank(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new table before anything was asked of it, as AWS's defaults have them."""
    range_key = options.get("range_key_name") or ""
    settings = {
        "name": options["name"],
        "hash_key_name": options["hash_key_name"],
        "hash_key_type": options.get("hash_key_type") or "STRING",
        "range_key_name": range_key,
        "range_key_type": (options.get("range_key_type") or "STRING") if range_key else None,
        "billing_mode": PROVISIONED,
        **dict.fromkeys(CAPACITIES + MAXIMA),
        "stream_enabled": False,
        "stream_view_type": None,
        "deletion_protection_enabled": False,
        "kms_key_id": AWS_OWNED,
        "table_class": "STANDARD",
    }
    if reads_recovery(options):
        settings.update(point_in_time_recovery_enabled=False, recovery_period_in_days=None)
    if reads_ttl(options):
        settings["ttl_attribute"] = ""
    if reads_tags(options):
        settings["tags"] = {}
    return settings


def reads_tags(options: Mapping[str, Any]) -> bool:
    """True when the options cannot be judged without the table's tags."""
    if options.get("state") == "absent":
        return bool(options.get("required_tags"))
    return options.get("tags") is not None or bool(options.get("required_tags"))


def reads_recovery(options: Mapping[str, Any]) -> bool:
    """True when the options cannot be judged without the table's point-in-time recovery."""
    return bool(_given(options, ("point_in_time_recovery_enabled", "recovery_period_in_days")))


def reads_ttl(options: Mapping[str, Any]) -> bool:
    """True when the options cannot be judged without the table's time to live."""
    return options.get("ttl_attribute") is not None


def wanted(current: Mapping[str, Any], options: Mapping[str, Any], key_arn: str | None = None) -> dict[str, Any]:
    """The current settings with everything that the options ask for."""
    after = {**current, **_wanted_billing(current, options)}
    for name in _given(options, ("deletion_protection_enabled", "table_class", "ttl_attribute")):
        after[name] = options[name]
    if options.get("stream_enabled") is False:
        after.update(stream_enabled=False, stream_view_type=None)
    elif options.get("stream_view_type"):
        after.update(stream_enabled=True, stream_view_type=options["stream_view_type"])
    if options.get("kms_key_id") is not None:
        key = options["kms_key_id"] or AWS_OWNED
        after["kms_key_id"] = current["kms_key_id"] if same_key(key_arn or key, current["kms_key_id"]) else key
    if reads_recovery(options):
        after.update(_wanted_recovery(current, options))
    if options.get("tags") is not None:
        to_set, to_remove = compare_aws_tags(
            current["tags"], _tags(options["tags"]), purge_tags=options.get("purge_tags", True)
        )
        after["tags"] = {key: value for key, value in current["tags"].items() if key not in to_remove} | to_set
    return after


def _wanted_billing(current: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    mode = options.get("billing_mode") or current["billing_mode"]
    own, other, default = (CAPACITIES, MAXIMA, None) if mode == PROVISIONED else (MAXIMA, CAPACITIES, NO_MAXIMUM)
    settings: dict[str, Any] = {"billing_mode": mode, **dict.fromkeys(other)}
    for name in own:
        there = default if current[name] is None else current[name]
        settings[name] = there if options.get(name) is None else options[name]
    return settings


def _wanted_recovery(current: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    on = options.get("point_in_time_recovery_enabled")
    if on is None:
        on = current["point_in_time_recovery_enabled"]
    days = options.get("recovery_period_in_days") or current["recovery_period_in_days"] or DEFAULT_RECOVERY_DAYS
    return {"point_in_time_recovery_enabled": on, "recovery_period_in_days": days if on else None}


def same_key(key: str, there: str) -> bool:
    """Whether a key's ARN, id or alias names the key there, of which AWS gives the ARN."""
    return key == there or (there.startswith("arn:") and (there.endswith(f":key/{key}") or there.endswith(f":{key}")))


def is_alias(key: str | None) -> bool:
    """True for a key given by alias, which has to be looked up before it can be compared with an ARN."""
    return bool(key) and (key.startswith("alias/") or ":alias/" in key)


# Requests


def create_request(settings: Mapping[str, Any]) -> dict[str, Any]:
    """CreateTable with everything it can take, so that no run ends between a table and its settings."""
    keys = [("HASH", settings["hash_key_name"], settings["hash_key_type"])]
    if settings["range_key_name"]:
        keys.append(("RANGE", settings["range_key_name"], settings["range_key_type"]))
    request: dict[str, Any] = {
        "TableName": settings["name"],
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for kind, name, _type in keys],
        "AttributeDefinitions": [
            {"AttributeName": name, "AttributeType": KEY_TYPES[type_name]} for _kind, name, type_name in keys
        ],
        "BillingMode": settings["billing_mode"],
    }
    if settings["billing_mode"] == PROVISIONED:
        request["ProvisionedThroughput"] = _throughput(settings)
    maxima = {name: value for name, value in _maxima(settings).items() if value != NO_MAXIMUM}
    if settings["billing_mode"] == ON_DEMAND and maxima:
        request["OnDemandThroughput"] = maxima
    if settings["stream_enabled"]:
        request["StreamSpecification"] = _stream(settings["stream_view_type"])
    if settings["kms_key_id"] != AWS_OWNED:
        request["SSESpecification"] = _encryption(settings["kms_key_id"])
    if settings["deletion_protection_enabled"]:
        request["DeletionProtectionEnabled"] = True
    if settings["table_class"] != "STANDARD":
        request["TableClass"] = settings["table_class"]
    if settings.get("tags"):
        request["Tags"] = _tag_list(settings["tags"])
    return request


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return ansible_dict_to_boto3_tag_list(dict(sorted(tags.items())))


def _throughput(settings: Mapping[str, Any]) -> dict[str, int]:
    return {"ReadCapacityUnits": settings["read_capacity"], "WriteCapacityUnits": settings["write_capacity"]}


def _maxima(settings: Mapping[str, Any]) -> dict[str, int]:
    """The on-demand maxima, -1 where there is none."""
    read, write = (NO_MAXIMUM if settings[name] is None else settings[name] for name in MAXIMA)
    return {"MaxReadRequestUnits": read, "MaxWriteRequestUnits": write}


def _stream(view_type: str) -> dict[str, Any]:
    return {"StreamEnabled": True, "StreamViewType": view_type}


def _encryption(key: str) -> dict[str, Any]:
    if key == AWS_OWNED:
        return {"Enabled": False}
    # AWS wants its own key left unnamed.
    named = {} if key == AWS_MANAGED else {"KMSMasterKeyId": key}
    return {"Enabled": True, "SSEType": "KMS", **named}


def _update_steps(before: dict[str, Any], after: dict[str, Any], table_arn: str | None) -> list[Step]:
    """The writes from one to the other: UpdateTable once for each kind of change, for it takes one kind a call."""
    name = before["name"]
    changes: list[dict[str, Any]] = []
    if before["deletion_protection_enabled"] != after["deletion_protection_enabled"]:
        changes.append({"DeletionProtectionEnabled": after["deletion_protection_enabled"]})
    changes += _billing_changes(before, after)
    if before["table_class"] != after["table_class"]:
        changes.append({"TableClass": after["table_class"]})
    if before["kms_key_id"] != after["kms_key_id"]:
        changes.append({"SSESpecification": _encryption(after["kms_key_id"])})
    changes += _stream_changes(before, after)
    return [
        *_tag_steps(before, after, table_arn),
        *(Step("update_table", {"TableName": name, **change}) for change in changes),
        *_recovery_steps(before, after),
        *_ttl_steps(before, after),
    ]


def _billing_changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    change: dict[str, Any] = {}
    if before["billing_mode"] != after["billing_mode"]:
        change["BillingMode"] = after["billing_mode"]
    if after["billing_mode"] == PROVISIONED and _throughput(before) != _throughput(after):
        change["ProvisionedThroughput"] = _throughput(after)
    if after["billing_mode"] == ON_DEMAND and _maxima(before) != _maxima(after):
        # A maximum that stays is sent along, so that it cannot be taken for removed.
        there = _maxima(before)
        change["OnDemandThroughput"] = {
            name: value for name, value in _maxima(after).items() if value != there[name] or value != NO_MAXIMUM
        }
    return [change] if change else []


def _stream_changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """AWS refuses to enable a stream that is on, so a new view type takes two calls."""
    if before["stream_view_type"] == after["stream_view_type"]:
        return []
    off = [{"StreamSpecification": {"StreamEnabled": False}}] if before["stream_enabled"] else []
    on = [{"StreamSpecification": _stream(after["stream_view_type"])}] if after["stream_enabled"] else []
    return off + on


def _recovery_steps(before: dict[str, Any], after: dict[str, Any]) -> list[Step]:
    names = ("point_in_time_recovery_enabled", "recovery_period_in_days")
    if all(before.get(name) == after.get(name) for name in names):
        return []
    wish: dict[str, Any] = {"PointInTimeRecoveryEnabled": after["point_in_time_recovery_enabled"]}
    if after["point_in_time_recovery_enabled"]:
        wish["RecoveryPeriodInDays"] = after["recovery_period_in_days"]
    request = {"TableName": after["name"], "PointInTimeRecoverySpecification": wish}
    return [Step("update_continuous_backups", request)]


def _ttl_steps(before: dict[str, Any], after: dict[str, Any]) -> list[Step]:
    """AWS refuses another attribute while one is on, so a change of attribute takes two calls."""
    old, new = before.get("ttl_attribute"), after.get("ttl_attribute")
    if old == new:
        return []
    wishes = [{"Enabled": on, "AttributeName": attribute} for on, attribute in ((False, old), (True, new)) if attribute]
    return [
        Step("update_time_to_live", {"TableName": after["name"], "TimeToLiveSpecification": wish}) for wish in wishes
    ]


def _tag_steps(before: dict[str, Any], after: dict[str, Any], table_arn: str | None) -> list[Step]:
    to_set, to_remove = compare_aws_tags(before.get("tags") or {}, after.get("tags") or {})
    steps = []
    if to_set:
        steps.append(Step("tag_resource", {"ResourceArn": table_arn, "Tags": _tag_list(to_set)}))
    if to_remove:
        steps.append(Step("untag_resource", {"ResourceArn": table_arn, "TagKeys": sorted(to_remove)}))
    return steps


# What the user sees


def table_facts(description: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The table as modules return it: the settings under AWS's names, with what only AWS can say.

    The settings may be ahead of the description, in check mode; what cannot be known yet is None.
    """
    there = bool(description) and _stream_settings(description).items() <= settings.items()
    return {
        "table_name": settings["name"],
        "table_arn": description.get("TableArn"),
        "table_id": description.get("TableId"),
        "table_status": description.get("TableStatus"),
        **_key_facts(description, settings),
        **_billing_facts(settings),
        "stream_specification": {
            "stream_enabled": settings["stream_enabled"],
            "stream_view_type": settings["stream_view_type"],
        },
        "latest_stream_arn": (description.get("LatestStreamArn") or None) if there else None,
        "latest_stream_label": (description.get("LatestStreamLabel") or None) if there else None,
        "deletion_protection_enabled": settings["deletion_protection_enabled"],
        "sse_description": _encryption_facts(settings["kms_key_id"]),
        "table_class": settings["table_class"],
        "point_in_time_recovery": _recovery_facts(settings),
        "time_to_live": _ttl_facts(settings),
        "tags": settings.get("tags"),
    }


def _key_facts(description: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    request = create_request(settings)
    definitions = description.get("AttributeDefinitions") or request["AttributeDefinitions"]
    return {
        "key_schema": [
            {"attribute_name": key["AttributeName"], "key_type": key["KeyType"]} for key in request["KeySchema"]
        ],
        "attribute_definitions": [
            {"attribute_name": item["AttributeName"], "attribute_type": item["AttributeType"]} for item in definitions
        ],
    }


def _billing_facts(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "billing_mode": settings["billing_mode"],
        "provisioned_throughput": {
            "read_capacity_units": settings["read_capacity"] or 0,
            "write_capacity_units": settings["write_capacity"] or 0,
        },
        "on_demand_throughput": {name: settings[name] or NO_MAXIMUM for name in MAXIMA},
    }


def _encryption_facts(key: str) -> dict[str, Any]:
    if key == AWS_OWNED:
        return {"status": "DISABLED", "sse_type": None, "kms_master_key_arn": None}
    return {"status": "ENABLED", "sse_type": "KMS", "kms_master_key_arn": key if key.startswith("arn:") else None}


def _recovery_facts(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if "point_in_time_recovery_enabled" not in settings:
        return None
    return {
        "point_in_time_recovery_status": "ENABLED" if settings["point_in_time_recovery_enabled"] else "DISABLED",
        "recovery_period_in_days": settings["recovery_period_in_days"],
    }


def _ttl_facts(settings: Mapping[str, Any]) -> dict[str, Any] | None:
    if "ttl_attribute" not in settings:
        return None
    on = bool(settings["ttl_attribute"])
    return {"time_to_live_status": "ENABLED" if on else "DISABLED", "attribute_name": settings["ttl_attribute"] or None}
