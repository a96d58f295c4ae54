# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event source mappings of DynamoDB streams: options and AWS's answers in one form, compared. Pure.

Settings are a dict by option name in a normal form, so that equal settings are equal values: filter patterns as
canonical JSON text, lists sorted and without repetition, the function as ``name`` or ``name:qualifier``. What AWS
leaves out of an answer counts as AWS's default.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.dict_transformations import camel_dict_to_snake_dict

from ._event_source_mapping_rules import FUNCTION, combination_problems, problems
from .comparing import compare_aws_tags
from .filter_pattern import canonical
from .plan import InputError, Plan, Step

__all__ = [
    "Wanted",
    "current_settings",
    "describe",
    "plan_absent",
    "plan_present",
    "problems",
    "reads_table_stream",
    "same_function",
    "same_version",
    "stream_is_known",
    "wanted",
]

#: AWS's defaults for a mapping on a DynamoDB stream.
DEFAULTS: dict[str, Any] = {
    "enabled": True,
    "batch_size": 100,
    "maximum_batching_window_in_seconds": 0,
    "maximum_record_age_in_seconds": -1,
    "maximum_retry_attempts": -1,
    "bisect_batch_on_function_error": False,
    "parallelization_factor": 1,
    "tumbling_window_in_seconds": 0,
    "function_response_types": [],
    "on_failure_destination": "",
    "filter_criteria": [],
    "kms_key_arn": "",
    "metrics": [],
    "tags": {},
}

# Ours, not AWS's: with LATEST, changes made while the mapping starts up are missed.
_STARTING_POSITION = "TRIM_HORIZON"
#: What a mapping is, decided when it is made.
_FIXED = ("event_source_arn", "starting_position")
_SETTINGS = (*_FIXED, "function_name", *DEFAULTS)
#: Settings whose value stands in AWS's requests and answers as it is.
_PLAIN = {
    "batch_size": "BatchSize",
    "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
    "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "parallelization_factor": "ParallelizationFactor",
    "tumbling_window_in_seconds": "TumblingWindowInSeconds",
    "function_response_types": "FunctionResponseTypes",
    "kms_key_arn": "KMSKeyArn",
}
_UNREADABLE = "(cannot be read) "


@dataclass(frozen=True)
class Wanted:
    """The options that were given: ``settings`` in normal form, and what the normal form does not hold."""

    settings: dict[str, Any]
    function_name: str | None = None  # as given, which is how AWS is told
    purge_tags: bool = True


def wanted(options: dict[str, Any]) -> Wanted:
    """Read a module's options. One that is None is left out."""
    settings = {name: options[name] for name in _SETTINGS if options.get(name) is not None}
    for name in ("function_response_types", "metrics"):
        if name in settings:
            settings[name] = sorted(set(settings[name]))
    if "filter_criteria" in settings:
        settings["filter_criteria"] = sorted({canonical(pattern) for pattern in settings["filter_criteria"]})
    if "function_name" in settings:
        settings["function_name"] = _short_name(settings["function_name"])
    if "tags" in settings:
        settings["tags"] = {name: str(value) for name, value in settings["tags"].items()}
    return Wanted(settings, options.get("function_name"), options.get("purge_tags") is not False)


def current_settings(mapping: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    """The settings in AWS's answer."""
    plain = {name: mapping.get(key) for name, key in _PLAIN.items()}
    return {
        "event_source_arn": mapping.get("EventSourceArn"),
        "starting_position": mapping.get("StartingPosition"),
        "function_name": _short_name(mapping["FunctionArn"]),
        **DEFAULTS,
        **{name: value for name, value in plain.items() if value is not None},
        "enabled": _is_enabled(mapping["State"]),
        "on_failure_destination": _inner(mapping, "DestinationConfig", "OnFailure", "Destination") or "",
        "filter_criteria": sorted(set(_live_patterns(mapping))),
        "function_response_types": sorted(mapping.get("FunctionResponseTypes") or []),
        "metrics": sorted(_inner(mapping, "MetricsConfig", "Metrics") or []),
        "tags": dict(tags),
    }


def plan_present(current: dict[str, Any] | None, want: Wanted) -> Plan:
    """What makes the mapping as it is wanted. Requests leave out the UUID or ARN, which the writer knows."""
    if current is None:
        return _plan_creation(want)
    _refuse_fixed(current, want.settings)
    changed = {
        name: value for name, value in want.settings.items() if name not in (*_FIXED, "tags") and value != current[name]
    }
    _refuse_unreadable_filters(current, changed)
    add, remove = compare_aws_tags(current["tags"], want.settings.get("tags", current["tags"]), want.purge_tags)
    kept = {name: value for name, value in current["tags"].items() if name not in remove}
    after = {**current, **changed, "tags": {**kept, **add}}
    if changed:
        _refuse(combination_problems(after))
    steps = []
    if remove:
        steps.append(Step("untag_resource", {"TagKeys": sorted(remove)}))
    if add:
        steps.append(Step("tag_resource", {"Tags": add}))
    if changed:
        steps.append(Step("update_event_source_mapping", _request(changed, want.function_name)))
    return Plan(current, after, tuple(steps))


def plan_absent(current: dict[str, Any] | None) -> Plan:
    """What removes the mapping."""
    if current is None:
        return Plan({}, {})
    return Plan(current, {}, (Step("delete_event_source_mapping"),))


def describe(mapping: dict[str, Any], settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the user sees: AWS's answer with its names in snake_case, and the settings as they are or would be.

    ``settings`` are None for a mapping that does not read a DynamoDB stream: its answer is shown as it is.
    """
    shown = camel_dict_to_snake_dict(
        {key: value for key, value in mapping.items() if key != "FilterCriteria"}, ignore_list=("Endpoints",)
    )
    if "last_modified" in shown:
        shown["last_modified"] = _timestamp(shown["last_modified"])
    shown["filter_criteria"] = [_readable(pattern) for pattern in _live_patterns(mapping)]
    if settings is None:
        return shown
    state = mapping.get("State", "")
    if not state or _is_enabled(state) != settings["enabled"]:
        state = "Enabled" if settings["enabled"] else "Disabled"
    destination = settings["on_failure_destination"]
    return {
        **shown,
        **{name: settings[name] for name in (*_FIXED, *_PLAIN, "tags")},
        "state": state,
        "function_arn": _function_arn(mapping, settings),
        "destination_config": {"on_failure": {"destination": destination} if destination else {}},
        "filter_criteria": [_readable(pattern) for pattern in settings["filter_criteria"]],
        "metrics_config": {"metrics": settings["metrics"]},
    }


def reads_table_stream(mapping: dict[str, Any]) -> bool:
    """Whether the mapping's source is a DynamoDB stream."""
    return ":dynamodb:" in mapping.get("EventSourceArn", "")


def same_function(function: str, arn: str) -> bool:
    """Whether ``arn`` is of the function that is named, whatever version or alias either has."""
    named, live = FUNCTION.fullmatch(function), FUNCTION.fullmatch(arn)
    if not named or not live or named["name"] != live["name"]:
        return False
    return all(named[part] in (None, live[part]) for part in ("region", "account"))


def same_version(function: str, arn: str) -> bool:
    """Whether ``arn`` is of the function that is named, and of the version or alias where one is named."""
    qualified = ":" in _short_name(function)
    return same_function(function, arn) and (not qualified or _short_name(function) == _short_name(arn))


def stream_is_known(arn: str) -> bool:
    """Whether the ARN can be a stream's. In check mode it may end in a placeholder such as (known after deploy)."""
    return re.fullmatch(r"[\w:.+-]+", arn.rpartition("/stream/")[2]) is not None


def _plan_creation(want: Wanted) -> Plan:
    settings = {"starting_position": _STARTING_POSITION, **want.settings}
    # There is nothing to remove yet, so an empty value is the same as none.
    given = {name: value for name, value in settings.items() if name in DEFAULTS and value not in ("", [], {})}
    request = {
        "EventSourceArn": settings["event_source_arn"],
        "FunctionName": want.function_name,
        "StartingPosition": settings["starting_position"],
        **_request(given, want.function_name),
    }
    return Plan({}, {**DEFAULTS, **settings}, (Step("create_event_source_mapping", request),))


def _request(settings: dict[str, Any], function_name: str | None) -> dict[str, Any]:
    """The settings as AWS takes them. An empty value removes what is there."""
    request = {_PLAIN[name]: value for name, value in settings.items() if name in _PLAIN}
    if "function_name" in settings:
        request["FunctionName"] = function_name
    if "enabled" in settings:
        request["Enabled"] = settings["enabled"]
    if "on_failure_destination" in settings:
        request["DestinationConfig"] = {"OnFailure": {"Destination": settings["on_failure_destination"]}}
    if "filter_criteria" in settings:
        filters = [{"Pattern": pattern} for pattern in settings["filter_criteria"]]
        request["FilterCriteria"] = {"Filters": filters} if filters else {}
    if "metrics" in settings:
        request["MetricsConfig"] = {"Metrics": settings["metrics"]}
    if "tags" in settings:
        request["Tags"] = settings["tags"]
    return request


def _refuse(sentences: list[str]) -> None:
    if sentences:
        raise InputError(" ".join(sentences))


def _refuse_fixed(current: dict[str, Any], settings: dict[str, Any]) -> None:
    source, position = current["event_source_arn"], current["starting_position"]
    if settings.get("event_source_arn", source) != source:
        raise InputError(
            f"The mapping reads {source}; event_source_arn cannot be changed to {settings['event_source_arn']}. "
            "Leave uuid out to make a mapping on that stream, and delete this one when it is no longer needed."
        )
    # An answer without a position cannot contradict the option.
    if position and settings.get("starting_position", position) != position:
        raise InputError(
            f"The mapping was made with starting_position {position}, which cannot change to "
            f"{settings['starting_position']} after creation: leave the option out or give {position}. To start anew, "
            "delete the mapping and make it again; that loses its position in the stream."
        )


def _refuse_unreadable_filters(current: dict[str, Any], changed: dict[str, Any]) -> None:
    """Filters that cannot be read cannot be compared; only with another key it is sure that they change."""
    reason = next((text for text in current["filter_criteria"] if text.startswith(_UNREADABLE)), None)
    if reason and "filter_criteria" in changed and "kms_key_arn" not in changed:
        raise InputError(
            f"The mapping's filter_criteria {reason}. Allow kms:Decrypt with {current['kms_key_arn']}, leave "
            "filter_criteria out, or give another kms_key_arn with it."
        )


def _live_patterns(mapping: dict[str, Any]) -> list[str]:
    error = mapping.get("FilterCriteriaError")
    if error:
        return [f"{_UNREADABLE}{error.get('ErrorCode')}: {error.get('Message')}"]
    texts = [each.get("Pattern", "") for each in _inner(mapping, "FilterCriteria", "Filters") or []]
    return [_canonical_or_raw(text) for text in texts]


def _canonical_or_raw(text: str) -> str:
    try:
        return canonical(text)
    except ValueError:
        return text


def _readable(pattern: str) -> Any:
    """The pattern as a dict, or as the text it is when it is no JSON."""
    try:
        return json.loads(pattern)
    except ValueError:
        return pattern


def _inner(answer: dict[str, Any], *path: str) -> Any:
    """The value at the path, or None when a part of it is missing or null."""
    value: Any = answer
    for key in path:
        value = (value or {}).get(key)
    return value


def _is_enabled(state: str) -> bool:
    return state not in ("Disabled", "Disabling")


def _short_name(function: str) -> str:
    """``name`` or ``name:qualifier``. $LATEST is what a function without a qualifier means."""
    parts = FUNCTION.fullmatch(function)
    if not parts:
        return function
    qualifier = parts["qualifier"]
    return parts["name"] if qualifier in (None, "$LATEST") else f"{parts['name']}:{qualifier}"


def _function_arn(mapping: dict[str, Any], settings: dict[str, Any]) -> str:
    """The function's ARN in AWS's answer; where the function is yet to change, the ARN it will have."""
    live = mapping.get("FunctionArn", "")
    if live and _short_name(live) == settings["function_name"]:
        return live
    _arn, partition, _service, region, account = (live or settings["event_source_arn"]).split(":")[:5]
    return f"arn:{partition}:lambda:{region}:{account}:function:{settings['function_name']}"


def _timestamp(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
