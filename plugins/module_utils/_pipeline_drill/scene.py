# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a failure drill is asked to do, checked; and what it finds before it writes anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from .._pipeline_verify.api import AuditLog, Cloud, Mappings, Table
from .._pipeline_verify.clock import Clock
from .._pipeline_verify.scene import Rooms, Scene, function_name, look_around
from ..aws import InputError
from ..option_checks import check_prefix, check_ranges
from .api import AlarmTopic, FailureBucket, FailureQueue

#: What a drill puts into the function's environment.
DRILL_ID = "DRILL_ID"
DRILL_TOKEN = "DRILL_TOKEN"

_RANGES = {"healthy_items": (1, 50), "timeout": (1, 3600), "poll_interval": (1, 20)}


@dataclass(frozen=True)
class Options:
    """The module's options, under their own names."""

    phase: str
    mode: str
    table_name: str
    function_name: str
    qualifier: str | None
    event_source_mapping_uuid: str | None
    audit_bucket: str
    audit_prefix: str
    failure_queue_url: str | None
    alarm_topic_arn: str
    arrived_alarm: str
    destination_alarm: str
    healthy_items: int
    item_attributes: dict[str, Any]
    rules: tuple[dict[str, Any], ...]
    timeout: int
    poll_interval: int
    drill: dict[str, Any]

    @classmethod
    def read(cls, params: dict[str, Any]) -> Options:
        """InputError when an option cannot be."""
        taken = {name: params[name] for name in cls.__dataclass_fields__}
        taken["function_name"] = function_name(params["function_name"])
        taken["item_attributes"] = params["item_attributes"] or {}
        taken["rules"] = tuple(params["rules"] or ())
        taken["drill"] = params["drill"] or {}
        check_ranges(taken, _RANGES)
        check_prefix("audit_prefix", taken["audit_prefix"])
        if taken["phase"] != "prepare" and "id" not in taken["drill"]:
            raise InputError(f"phase {taken['phase']} needs drill, as the phase before it returned it.")
        return cls(**taken)


class DrillScene(Scene):
    """The pipeline as it stands, with the drill's own names in it."""

    @property
    def queue_prefix(self) -> str:
        """How the names of this pipeline's temporary queues begin."""
        identity = f"{self.stream.table_arn} {function_name(self.mapping['FunctionArn'])}"
        return f"cloudcdc-drill-{hashlib.sha256(identity.encode()).hexdigest()[:8]}-"

    @property
    def destination_arn(self) -> str:
        return (self.mapping.get("DestinationConfig") or {}).get("OnFailure", {}).get("Destination", "")


def look(cloud: Cloud, options: Options, clock: Clock) -> DrillScene:
    """Read the pipeline; InputError or AWS's own error when it cannot be drilled as it stands. Writes nothing."""
    rooms = Rooms(
        Table(cloud, options.table_name),
        Mappings(cloud),
        AuditLog(cloud, options.audit_bucket),
        AlarmTopic(cloud, options.alarm_topic_arn),
        None,
    )
    found = look_around(rooms, options, clock)
    return DrillScene(found.stream, found.mapping)


def check_mapping(mapping: dict[str, Any], destination_arn: str, mode: str) -> None:
    """InputError when what fails would not come to the failure destination in time, or healthy changes would too."""
    name = f"The event source mapping {mapping['UUID']}"
    if not destination_arn:
        raise InputError(
            f"{name} has no on-failure destination, so what fails is lost; run playbooks/deploy.yml first."
        )
    if mapping.get("MaximumRetryAttempts", -1) == -1:
        raise InputError(
            f"{name} retries until a change expires (maximum_retry_attempts -1), so a failure would come to its "
            "destination only then; set maximum_retry_attempts to 0 or more, and deploy."
        )
    if mode == "poison" and not mapping.get("BisectBatchOnFunctionError") and mapping.get("BatchSize") != 1:
        raise InputError(
            f"{name} does not bisect batches, so a poison change would take the other changes of its batch along; set "
            "bisect_batch_on_function_error (or batch_size 1) and deploy, or drill with drill_mode=break."
        )


def check_environment(environment: dict[str, str]) -> None:
    """InputError when the function is still, or already, in another drill."""
    if DRILL_ID in environment or DRILL_TOKEN in environment:
        raise InputError(
            f"The function's environment is that of the failure drill {environment.get(DRILL_ID, '(without an id)')}, "
            "which is going on or was killed; if it was killed, run playbooks/deploy.yml, which ends it."
        )


def check_alarms(alarms: dict[str, dict[str, Any]], options: Options) -> None:
    """InputError when an alarm is missing, or would tell nobody."""
    for name in (options.arrived_alarm, options.destination_alarm):
        alarm = alarms.get(name)
        if alarm is None:
            raise InputError(f"There is no alarm {name}; run playbooks/deploy.yml first.")
        if not alarm.get("ActionsEnabled") or options.alarm_topic_arn not in alarm.get("AlarmActions", []):
            raise InputError(
                f"The alarm {name} does not send to {options.alarm_topic_arn}, so nobody would be told; run "
                "playbooks/deploy.yml first."
            )


def failure_destination(cloud: Cloud, scene: DrillScene, options: Options) -> FailureQueue | FailureBucket:
    """Where failure records can be looked at: a topic's are in the queue that is subscribed to it."""
    arn, stream_arn = scene.destination_arn, scene.stream.stream_arn
    if arn.split(":")[2] == "s3":
        return FailureBucket(cloud, arn.rpartition(":")[2], scene.mapping["UUID"], stream_arn)
    if not options.failure_queue_url:
        raise InputError(f"failure_queue_url is needed: the mapping sends its failure records to {arn}.")
    return FailureQueue(cloud, options.failure_queue_url, stream_arn)
