# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verification is asked to do, checked; and what it finds before it writes anything."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from ..aws import InputError
from ..option_checks import check_prefix, check_ranges
from .api import AuditLog, Cloud, Function, Logs, Mappings, Table, Topic
from .clock import Clock
from .items import Stream, key_schema

#: States that a mapping leaves by itself.
_TRANSITIONAL = ("Creating", "Enabling", "Updating")
#: What a failure drill puts into the function's environment, and takes out again at its end.
_DRILL_VARIABLES = ("DRILL_ID", "DRILL_TOKEN")
_TOPIC_ARN = re.compile(r"arn:[^:]+:sns:[^:]+:[0-9]{12}:[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Options:
    """The module's options, under their own names."""

    table_name: str
    function_name: str
    event_source_mapping_uuid: str | None
    audit_bucket: str
    audit_prefix: str
    change_topic_arn: str | None
    log_group: str
    items: int
    item_attributes: dict[str, Any]
    awkward_keys: bool
    large_item: bool
    notification_max_bytes: int
    timeout: int
    poll_interval: int
    metrics: tuple[str, ...]
    metrics_timeout: int
    qualifier: str | None = None
    function_environment: dict[str, str] | None = None
    notification_mode: str = "per_change"
    rules: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, params: dict[str, Any]) -> Options:
        """InputError when an option cannot be."""
        taken = {name: params[name] for name in cls.__dataclass_fields__ if name in params}
        taken["function_name"] = function_name(params["function_name"])
        if params["log_group"] is None:
            taken["log_group"] = f"/aws/lambda/{taken['function_name']}"
        taken["item_attributes"] = params["item_attributes"] or {}
        taken["metrics"] = tuple(dict.fromkeys(params["metrics"]))
        taken["rules"] = tuple(params["rules"] or ())
        check_ranges(taken, _RANGES)
        check_prefix("audit_prefix", taken["audit_prefix"])
        if taken["change_topic_arn"] and not _TOPIC_ARN.fullmatch(taken["change_topic_arn"]):
            raise InputError(f"change_topic_arn must be the ARN of an SNS topic, not {taken['change_topic_arn']!r}.")
        return cls(**taken)


_RANGES = {
    "items": (1, 100),
    "notification_max_bytes": (32768, 1048576),
    "timeout": (1, 3000),
    "poll_interval": (1, 20),
    "metrics_timeout": (0, 3600),
}


def function_name(text: str) -> str:
    """The plain name in a function's name or ARN, with or without a version or alias."""
    return text.rpartition("function:")[2].split(":")[0]


@dataclass(frozen=True)
class Scene:
    """The pipeline as it stands."""

    stream: Stream
    mapping: dict[str, Any]

    @property
    def patterns(self) -> list[str]:
        return [each["Pattern"] for each in (self.mapping.get("FilterCriteria") or {}).get("Filters", [])]

    @property
    def window_seconds(self) -> int:
        return self.mapping.get("MaximumBatchingWindowInSeconds") or 0

    @property
    def queue_prefix(self) -> str:
        """How the names of this pipeline's temporary queues begin."""
        identity = f"{self.stream.table_arn} {function_name(self.mapping['FunctionArn'])}"
        return f"cloudcdc-verify-{hashlib.sha256(identity.encode()).hexdigest()[:8]}-"

    def queue_arn(self, run_id: str) -> str:
        partition, account_id = self.stream.table_arn.split(":")[1], self.stream.table_arn.split(":")[4]
        return f"arn:{partition}:sqs:{self.stream.region}:{account_id}:{self.queue_prefix}{run_id}"


@dataclass(frozen=True)
class Rooms:
    """Where the pipeline works, ready to be called. The topic and the logs may be left out."""

    table: Table
    mappings: Mappings
    audit: AuditLog
    topic: Topic | None
    logs: Logs | None
    function: Function | None = None

    @classmethod
    def of(cls, cloud: Cloud, options: Options) -> Rooms:
        return cls(
            Table(cloud, options.table_name),
            Mappings(cloud),
            AuditLog(cloud, options.audit_bucket),
            Topic(cloud, options.change_topic_arn) if options.change_topic_arn else None,
            Logs(cloud, options.log_group) if options.log_group else None,
            Function(cloud, options.function_name, options.qualifier)
            if options.function_environment is not None
            else None,
        )


def look_around(rooms: Rooms, options: Options, clock: Clock) -> Scene:
    """Read the pipeline; InputError or AWS's own error when it cannot be verified as it stands. Writes nothing."""
    answer = rooms.table.describe()
    clock.follow(answer)
    stream = read_stream(answer["Table"])
    if rooms.function:
        check_environment(rooms.function.name, rooms.function.environment(), options.function_environment or {})
    uuid = options.event_source_mapping_uuid or find_uuid(rooms.mappings, stream, options.function_name)
    mapping = _settled(rooms.mappings, uuid, options, clock)
    check_mapping(mapping, stream, options)
    rooms.audit.check(options.audit_prefix)
    if rooms.topic:
        rooms.topic.check()
    if rooms.logs:
        rooms.logs.check()
    return Scene(stream, mapping)


def read_stream(table: dict[str, Any]) -> Stream:
    """The stream of a table from DescribeTable's answer; InputError when the table cannot be tested."""
    name = table["TableName"]
    if table.get("TableStatus") not in ("ACTIVE", "UPDATING"):
        raise InputError(f"The table {name} is {table.get('TableStatus')}; it must be ACTIVE to take test items.")
    specification = table.get("StreamSpecification") or {}
    if not specification.get("StreamEnabled"):
        raise InputError(f"The table {name} has no stream enabled, so nothing can come out of the pipeline.")
    return Stream(
        table_name=name,
        table_arn=table["TableArn"],
        stream_arn=table["LatestStreamArn"],
        region=table["TableArn"].split(":")[3],
        view_type=specification["StreamViewType"],
        key_schema=key_schema(table),
    )


def find_uuid(mappings: Mappings, stream: Stream, name: str) -> str:
    """The UUID of the one mapping from the stream to the function, whatever version or alias it follows."""
    found = [each for each in mappings.of_stream(stream.stream_arn) if function_name(each["FunctionArn"]) == name]
    if not found:
        raise InputError(
            f"No event source mapping leads from the stream of table {stream.table_name} to the function {name}."
        )
    if len(found) > 1:
        uuids = ", ".join(sorted(each["UUID"] for each in found))
        raise InputError(
            f"More than one event source mapping leads from the stream of table {stream.table_name} to the function "
            f"{name}: {uuids}. Name one in event_source_mapping_uuid."
        )
    return found[0]["UUID"]


def _settled(mappings: Mappings, uuid: str, options: Options, clock: Clock) -> dict[str, Any]:
    """The mapping, after the end of a transitional state."""
    deadline = clock.now() + options.timeout
    mapping = mappings.get(uuid)
    while mapping.get("State") in _TRANSITIONAL and clock.now() < deadline:
        clock.pause(options.poll_interval)
        mapping = mappings.get(uuid)
    return mapping


def check_mapping(mapping: dict[str, Any], stream: Stream, options: Options) -> None:
    """InputError when changes would not get through this mapping, or what does cannot be foretold."""
    name = f"The event source mapping {mapping['UUID']}"
    if mapping.get("EventSourceArn") != stream.stream_arn:
        raise InputError(
            f"{name} reads {mapping.get('EventSourceArn')}, but the table's stream is {stream.stream_arn}; "
            "a stream that was switched off and on again needs a new mapping."
        )
    if function_name(mapping["FunctionArn"]) != options.function_name:
        raise InputError(f"{name} leads to {mapping['FunctionArn']}, not to the function {options.function_name}.")
    if mapping.get("State") != "Enabled":
        raise InputError(f"{name} is {mapping.get('State')}, not Enabled, so no change gets through; enable it first.")
    if mapping.get("FilterCriteriaError"):
        error = mapping["FilterCriteriaError"]
        raise InputError(f"{name} has filters that cannot be read: {error.get('ErrorCode')}: {error.get('Message')}")
    window = mapping.get("MaximumBatchingWindowInSeconds") or 0
    if window >= options.timeout:
        raise InputError(
            f"timeout ({options.timeout} s) must be longer than the mapping's batching window ({window} s), "
            "which alone can hold a change back for so long."
        )


def check_environment(function: str, live: dict[str, Any], wanted: dict[str, str]) -> None:
    """InputError when the live function's variables are not those it should have. Values are never told."""
    if error := live.get("Error"):
        told = f"{error.get('ErrorCode')}: {error.get('Message')}"
        raise InputError(f"The environment of the function {function} cannot be read: {told}")
    found = live.get("Variables") or {}
    differing = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    if not differing:
        return
    told = f"The environment of the function {function} is not the inventory's: {', '.join(differing)}"
    if any(name in found for name in _DRILL_VARIABLES):
        # The id is random and names the drill's report; the token stays untold.
        drill = found.get("DRILL_ID") or "without DRILL_ID"
        raise InputError(f"A failure drill ({drill}) was not ended: run playbooks/deploy.yml, which ends it. {told}.")
    raise InputError(
        f"{told}. Somebody changed it or rolled it back, or the inventory was not deployed: run playbooks/deploy.yml."
    )


def last_result_fails(mapping: dict[str, Any]) -> bool:
    """Whether Lambda says that its last batch failed."""
    return str(mapping.get("LastProcessingResult") or "").upper().startswith(("PROBLEM", "FAILED"))
