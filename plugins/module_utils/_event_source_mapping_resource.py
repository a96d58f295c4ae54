# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The event source mapping that a module was asked for: how it is found, read and written."""

from __future__ import annotations

import time
from typing import Any

from ._event_source_mapping_api import Deadline, MappingApi, patiently, settled
from .aws import AnsibleAWSError, InputError, error_code
from .event_source_mapping import (
    current_settings,
    describe,
    plan_absent,
    plan_present,
    reads_table_stream,
    same_function,
    stream_is_known,
    wanted,
)
from .runner import Plan


class MappingResource:
    """Found by UUID, or by stream and function without version or alias. See runner.Resource for the methods."""

    def __init__(self, options: dict[str, Any], client: Any, clock: Any = time):
        self._options = options
        self._api = MappingApi(client)
        self._clock = clock
        self._mapping: dict[str, Any] = {}
        self._written: dict[str, Any] | None = None  # AWS's answer to our last write

    def read(self) -> dict[str, Any] | None:
        mapping = self._written_state() if self._written else self._find()
        # Before a write, always: only a mapping that is in no transition says whether it is enabled.
        if mapping and (self._options["wait"] or not self._written):
            mapping = settled(self._api, mapping, self._deadline("wait_timeout"))
        self._mapping = mapping or {}
        if mapping is None:
            return None
        if not reads_table_stream(mapping):
            raise InputError(
                f"Mapping {mapping['UUID']} reads {mapping.get('EventSourceArn')}, which is no DynamoDB stream; "
                "this module manages mappings of DynamoDB streams only."
            )
        return current_settings(mapping, self._api.tags(mapping["EventSourceMappingArn"]))

    def plan(self, current: dict[str, Any] | None) -> Plan:
        if self._options["state"] == "absent":
            return plan_absent(current)
        if current is None and self._options["uuid"]:
            raise InputError(
                f"There is no event source mapping with uuid {self._options['uuid']}; leave uuid out and give "
                "function_name and event_source_arn to make one."
            )
        return plan_present(current, wanted(self._options))

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            getattr(self, f"_{step.call}")(step.request)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        if self._options["state"] == "absent":
            return {}
        return {"event_source_mapping": describe(self._mapping, state)}

    def _find(self) -> dict[str, Any] | None:
        if self._options["uuid"]:
            return self._api.get(self._options["uuid"])
        stream = self._options["event_source_arn"]
        if not stream_is_known(stream):
            return None
        function = self._options["function_name"]
        matches = [each for each in self._api.mappings(stream) if same_function(function, each["FunctionArn"])]
        live = [each for each in matches if each["State"] != "Deleting"]
        if len(live) > 1:
            raise InputError(
                f"{len(live)} mappings lead from {stream} to {function}: {', '.join(each['UUID'] for each in live)}. "
                "Give the uuid of the one that is meant; each of them delivers every change."
            )
        return self._api.complete((live or matches)[0]) if matches else None

    def _written_state(self) -> dict[str, Any] | None:
        """The mapping after our last write, whose answer may tell the state before it and hides encrypted filters."""
        answer = self._written or {}
        found = self._api.get(answer["UUID"])
        return answer if found is None and answer["State"] == "Creating" else found

    def _deadline(self, option: str) -> Deadline:
        return Deadline(self._options[option], self._clock)

    def _patiently(self, call: Any) -> Any:
        return patiently(call, roles=self._deadline("propagation_timeout"), states=self._deadline("wait_timeout"))

    def _create_event_source_mapping(self, request: dict[str, Any]) -> None:
        deadline = self._deadline("wait_timeout")
        while True:
            try:
                self._written = self._patiently(lambda: self._api.create(request))
                return
            except AnsibleAWSError as exc:
                if error_code(exc) != "ResourceConflictException":
                    raise
                # Another run made it since we looked, or it is on its way out: take it up, or try again.
                current = self.read()
                if current is not None:
                    self.apply(self.plan(current))
                    return
                if not deadline.pause():
                    raise

    def _update_event_source_mapping(self, request: dict[str, Any]) -> None:
        self._written = self._patiently(lambda: self._api.update(self._mapping["UUID"], request))

    def _delete_event_source_mapping(self, request: dict[str, Any]) -> None:
        try:
            self._written = self._patiently(lambda: self._api.delete(self._mapping["UUID"]))
        except AnsibleAWSError as exc:
            # Someone else's deletion came first.
            if error_code(exc) != "ResourceNotFoundException":
                raise

    def _tag_resource(self, request: dict[str, Any]) -> None:
        self._api.tag(self._mapping["EventSourceMappingArn"], request)

    def _untag_resource(self, request: dict[str, Any]) -> None:
        self._api.untag(self._mapping["EventSourceMappingArn"], request)
