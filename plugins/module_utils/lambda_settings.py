# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A function's key, log format, scratch space and concurrency: what cannot be, what is, the writes between. Pure.

The state has kms_key_arn ('' for none), log_format, application_log_level and system_log_level (None with text),
ephemeral_storage (MB), and, where it was asked for, reserved_concurrent_executions (-1 for none reserved).
"""

from __future__ import annotations

from typing import Any

from .plan import Plan, Step

LOG_FORMATS = ("Text", "JSON")
# https://docs.aws.amazon.com/lambda/latest/api/API_LoggingConfig.html
APPLICATION_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SYSTEM_LEVELS = ("DEBUG", "INFO", "WARN")
_LOGGING = {
    "log_format": "LogFormat",
    "application_log_level": "ApplicationLogLevel",
    "system_log_level": "SystemLogLevel",
}
_LEVELS = ("application_log_level", "system_log_level")
#: Lambda's own level where JSON is asked for without one.
_DEFAULT_LEVEL = "INFO"
NOT_RESERVED = -1
#: https://docs.aws.amazon.com/lambda/latest/api/API_EphemeralStorage.html
STORAGE = (512, 10_240)


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    found = []
    if options.get("log_format") == "Text":
        found += [
            f"{name} is given with log_format Text; only JSON has levels: leave it out, or give log_format JSON."
            for name in _LEVELS
            if options.get(name) is not None
        ]
    reserved = options.get("reserved_concurrent_executions")
    if reserved is not None and reserved < NOT_RESERVED:
        found.append(
            f"reserved_concurrent_executions is {reserved}; give 0 or more, or {NOT_RESERVED} for none reserved."
        )
    storage = options.get("ephemeral_storage")
    if storage is not None and not STORAGE[0] <= storage <= STORAGE[1]:
        found.append(f"ephemeral_storage is {storage}; give {STORAGE[0]} to {STORAGE[1]}, in MB.")
    return found


def conflicts(current: dict[str, Any], options: dict[str, Any]) -> list[str]:
    """Why the function that is there cannot be made as asked."""
    if options.get("log_format") or current["log_format"] == "JSON":
        return []
    return [
        f"{name} is given and the function logs text; only JSON has levels: give log_format JSON too."
        for name in _LEVELS
        if options.get(name) is not None
    ]


def settings_state(configuration: dict[str, Any], concurrency: dict[str, Any] | None) -> dict[str, Any]:
    """The settings in AWS's answers. ``concurrency`` is None where it was not asked for."""
    logging = configuration.get("LoggingConfig") or {}
    as_json = logging.get("LogFormat") == "JSON"
    state = {
        "kms_key_arn": configuration.get("KMSKeyArn") or "",
        "log_format": "JSON" if as_json else "Text",
        **{name: (logging.get(_LOGGING[name]) or _DEFAULT_LEVEL) if as_json else None for name in _LEVELS},
        "ephemeral_storage": (configuration.get("EphemeralStorage") or {}).get("Size", STORAGE[0]),
    }
    if concurrency is not None:
        state["reserved_concurrent_executions"] = concurrency.get("ReservedConcurrentExecutions", NOT_RESERVED)
    return state


def plan(current: dict[str, Any] | None, options: dict[str, Any], log_group: str | None = None) -> Plan:
    """The writes that make the settings what is asked. ``current`` is None where there is no function (yet).

    ``log_group`` is where the function logs, which goes along with the other settings of the log.
    """
    before = settings_state({}, {}) if current is None else current
    after = _after(before, options)
    configuration: dict[str, Any] = {}
    if after["kms_key_arn"] != before["kms_key_arn"]:
        configuration["KMSKeyArn"] = after["kms_key_arn"]
    if any(after[name] != before[name] for name in _LOGGING):
        logging = {member: after[name] for name, member in _LOGGING.items() if after[name] is not None}
        configuration["LoggingConfig"] = {**logging, **({"LogGroup": log_group} if log_group else {})}
    if after["ephemeral_storage"] != before["ephemeral_storage"]:
        configuration["EphemeralStorage"] = {"Size": after["ephemeral_storage"]}
    function, steps = {"FunctionName": options["function_name"]}, []
    if configuration:
        steps.append(Step("update_function_configuration", {**function, **configuration}))
    reserved = after.get("reserved_concurrent_executions")
    if reserved is not None and reserved != before.get("reserved_concurrent_executions"):
        if reserved == NOT_RESERVED:
            steps.append(Step("delete_function_concurrency", function))
        else:
            steps.append(Step("put_function_concurrency", {**function, "ReservedConcurrentExecutions": reserved}))
    return Plan({} if current is None else before, after, tuple(steps))


def _after(before: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    names = ("kms_key_arn", *_LOGGING, "ephemeral_storage", "reserved_concurrent_executions")
    after = {**before, **{name: options[name] for name in names if options.get(name) is not None}}
    for name in _LEVELS:
        after[name] = (after[name] or _DEFAULT_LEVEL) if after["log_format"] == "JSON" else None
    return after
