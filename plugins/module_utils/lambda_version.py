# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions and an alias of a Lambda function: what is to be published, where the alias goes, what is pruned. Pure.

A version is a copy of $LATEST's code and configuration that never changes. Only numbers are ordered: a higher one was
published later. Values of environment variables may be secrets, so they are compared and never told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .aws import InputError
from .plan import Plan, Step

#: What stands for the number of a version that check mode does not publish.
UNKNOWN = "(known after publishing)"
#: https://docs.aws.amazon.com/lambda/latest/api/API_CreateAlias.html and API_CreateFunction.html
_FUNCTION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ALIAS = re.compile(r"(?!^[0-9]+$)[A-Za-z0-9_-]{1,128}")
_OLD, _NEW = "(its old value)", "(its new value)"


@dataclass(frozen=True)
class Alias:
    """An alias, and every version that it may lead to."""

    version: str
    others: frozenset[str] = frozenset()
    revision_id: str = ""


@dataclass(frozen=True)
class Function:
    """A function as AWS tells it: $LATEST's configuration, those of its versions by number, its aliases by name."""

    latest: dict[str, Any]
    versions: dict[str, dict[str, Any]]
    aliases: dict[str, Alias]
    #: Versions that event source mappings lead to by their number.
    mapped: frozenset[str] = frozenset()


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well."""
    found = []
    if not _FUNCTION.fullmatch(options["function_name"]):
        found.append(
            f"function_name is {options['function_name']!r}; give the name alone, 1 to 64 letters, digits, hyphens and "
            "underscores."
        )
    alias = options.get("alias")
    if alias is not None and not _ALIAS.fullmatch(alias):
        found.append(
            f"alias is {alias!r}; give 1 to 128 letters, digits, hyphens and underscores that are not all digits."
        )
    keep = options.get("keep")
    if keep is not None and keep < 2:
        found.append(f"keep is {keep}; give 2 or more: the version in use, and one to go back to.")
    return found


def settings(configuration: dict[str, Any]) -> dict[str, Any]:
    """All that a version freezes and that decides what the function does. What AWS leaves out is not there."""
    vpc = configuration.get("VpcConfig") or {}
    snap_start = (configuration.get("SnapStart") or {}).get("ApplyOn")
    found = {
        "code_sha256": configuration.get("CodeSha256"),
        "package_type": configuration.get("PackageType"),
        "image_config": (configuration.get("ImageConfigResponse") or {}).get("ImageConfig"),
        "runtime": configuration.get("Runtime"),
        "handler": configuration.get("Handler"),
        "architectures": configuration.get("Architectures"),
        "layers": [layer["Arn"] if isinstance(layer, dict) else layer for layer in configuration.get("Layers") or []],
        "role": configuration.get("Role"),
        "memory_size": configuration.get("MemorySize"),
        "timeout": configuration.get("Timeout"),
        "ephemeral_storage": (configuration.get("EphemeralStorage") or {}).get("Size"),
        "environment": variables(configuration),
        "kms_key_arn": configuration.get("KMSKeyArn"),
        "dead_letter_arn": (configuration.get("DeadLetterConfig") or {}).get("TargetArn"),
        "tracing_mode": (configuration.get("TracingConfig") or {}).get("Mode"),
        "logging": configuration.get("LoggingConfig"),
        "vpc_subnet_ids": sorted(vpc.get("SubnetIds") or []),
        "vpc_security_group_ids": sorted(vpc.get("SecurityGroupIds") or []),
        "vpc_ipv6": vpc.get("Ipv6AllowedForDualStack"),
        "file_systems": configuration.get("FileSystemConfigs"),
        "snap_start": None if snap_start == "None" else snap_start,
    }
    return {name: value for name, value in found.items() if value}


def variables(configuration: dict[str, Any]) -> dict[str, str]:
    """The environment variables; InputError when AWS did not decrypt them for the caller."""
    environment = configuration.get("Environment") or {}
    if error := environment.get("Error"):
        raise InputError(
            f"The environment of {configuration.get('FunctionName')} version {configuration.get('Version')} cannot be "
            f"read: {error.get('ErrorCode')}: {error.get('Message')}. Allow kms:Decrypt with its key."
        )
    return environment.get("Variables") or {}


def differing(before: dict[str, Any], after: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs between two settings, before and after; of an environment variable only its name."""
    old = {name: value for name, value in before.items() if after.get(name) != value}
    new = {name: value for name, value in after.items() if before.get(name) != value}
    for shown, others, word in ((old, after, _OLD), (new, before, _NEW)):
        if "environment" in shown:
            there = others.get("environment", {})
            shown["environment"] = {
                name: word for name, value in sorted(shown["environment"].items()) if there.get(name) != value
            }
    return old, new


def ordered(numbers: Iterable[str]) -> list[str]:
    """Oldest first."""
    return sorted(numbers, key=int)


def newest_version(function: Function, options: dict[str, Any]) -> str | None:
    """The version that $LATEST is compared with: the newest but for temporary ones, unless it is one itself."""
    names = options["temporary_variables"]
    of_all = is_temporary(function.latest, names)
    found = [version for version, each in function.versions.items() if of_all or not is_temporary(each, names)]
    return ordered(found)[-1] if found else None


def is_temporary(configuration: dict[str, Any], names: Iterable[str]) -> bool:
    """Whether one of these variables marks the version as one that is never to be gone back to."""
    found = variables(configuration)
    return any(name in found for name in names)


def expected(latest: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """$LATEST as it would be, had the task before check mode's changed it."""
    code = {"CodeSha256": options["expect_code_sha256"]} if options["expect_code_sha256"] else {}
    return {**latest, **(options["expect_configuration"] or {}), **code}


def plan(function: Function | None, options: dict[str, Any]) -> Plan:
    """Publish what is not published, let the alias follow, prune."""
    if function is None:
        return _plan_first(options)
    newest = newest_version(function, options)
    old, new = differing(settings(function.versions[newest]) if newest else {}, settings(function.latest))
    publishes = newest is None or bool(old or new)
    target = UNKNOWN if publishes else newest
    steps = []
    if publishes:
        steps.append(Step("publish"))
    alias = function.aliases.get(options["alias"] or "")
    moves = bool(options["alias"]) and (alias is None or alias.version != target or bool(alias.others))
    if moves:
        steps.append(Step("update_alias" if alias else "create_alias"))
    gone = pruned(function, options, target, moves or publishes)
    steps += [Step("delete", {"version": version}) for version in gone]
    numbers = ordered(function.versions)
    before = {"versions": numbers}
    after = {"versions": [each for each in numbers if each not in gone] + ([UNKNOWN] if publishes else [])}
    if options["alias"]:
        before["alias"], after["alias"] = _shown(alias) if alias else {}, {"version": target}
    if newest and (old or new):
        before["settings"], after["settings"] = old, new
    return Plan(before, after, tuple(steps))


def pruned(function: Function, options: dict[str, Any], target: str | None, writes: bool) -> list[str]:
    """The versions that go, oldest first.

    ``keep`` stay: the one that is to be live, the one that the alias leaves, for Lambda may still run it, and then the
    newest. What other aliases and mappings lead to stays besides. A temporary version stays until something else is
    written, so that a run with nothing to do does nothing.
    """
    if options["keep"] is None:
        return []
    name = options["alias"] or ""
    left = function.aliases.get(name)
    led = {version for each, alias in function.aliases.items() if each != name for version in _led(alias)}
    others = led | function.mapped
    held = others | {target} | (_led(left) if left else set())
    temporary = {
        version
        for version, configuration in function.versions.items()
        if is_temporary(configuration, options["temporary_variables"])
    }
    line = [target, *([left.version] if left else []), *reversed(ordered(function.versions))]
    uncounted = temporary | others | {"$LATEST"}
    kept = set([each for each in dict.fromkeys(line) if each not in uncounted][: options["keep"]])
    gone = function.versions.keys() - kept - held
    return ordered(gone if writes else gone - temporary)


def plan_rollback(function: Function | None, options: dict[str, Any]) -> tuple[str, Plan]:
    """The version to go back to, and how; InputError, with the versions there are, when it cannot be."""
    name, alias_name = options["function_name"], options["alias"]
    if function is None:
        raise InputError(f"There is no function {name}.")
    alias = function.aliases.get(alias_name)
    if alias is None:
        raise InputError(f"The function {name} has no alias {alias_name}: deploy it first.")
    target = options["version"] or _before(function, alias.version, options)
    there = f"Versions of {name}: {told_versions(function, alias_name, options)}."
    if target is None:
        raise InputError(f"There is no version before {alias.version}, which is live. {there}")
    if target not in function.versions:
        raise InputError(f"There is no version {target} to go back to. {there}")
    if target == alias.version and not alias.others:
        raise InputError(f"Version {target} is live already. {there}")
    if is_temporary(function.versions[target], options["temporary_variables"]):
        raise InputError(f"Version {target} is a failure drill's, which fails on purpose. {there}")
    live = function.versions.get(alias.version, function.latest)
    old, new = differing(settings(live), settings(function.versions[target]))
    before, after = {"alias": _shown(alias), "settings": old}, {"alias": {"version": target}, "settings": new}
    return target, Plan(before, after, (Step("update_alias"),))


def told_versions(function: Function, alias: str, options: dict[str, Any]) -> str:
    """The versions for a person to choose from, newest first."""
    live = function.aliases.get(alias)
    told = []
    for version in reversed(ordered(function.versions)):
        configuration = function.versions[version]
        words = [f"of {configuration['LastModified'][:19]}"] if configuration.get("LastModified") else []
        if live and version == live.version:
            words.insert(0, "live")
        if is_temporary(configuration, options["temporary_variables"]):
            words.append("of a failure drill")
        told.append(f"{version} ({', '.join(words)})" if words else version)
    return ", ".join(told) or "none"


def _plan_first(options: dict[str, Any]) -> Plan:
    """A function that is yet to be made."""
    after: dict[str, Any] = {"versions": [UNKNOWN]}
    steps = [Step("publish")]
    if options["alias"]:
        after["alias"] = {"version": UNKNOWN}
        steps.append(Step("create_alias"))
    return Plan({}, after, tuple(steps))


def _before(function: Function, live: str, options: dict[str, Any]) -> str | None:
    """The version before the live one; of a live $LATEST, the newest."""
    names = options["temporary_variables"]
    earlier = [
        version
        for version, configuration in function.versions.items()
        if (not live.isdecimal() or int(version) < int(live)) and not is_temporary(configuration, names)
    ]
    return ordered(earlier)[-1] if earlier else None


def _led(alias: Alias) -> set[str]:
    return {alias.version, *alias.others}


def _shown(alias: Alias) -> dict[str, Any]:
    return {"version": alias.version, **({"also": ordered(alias.others)} if alias.others else {})}
