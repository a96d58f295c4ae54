# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lambda's calls for event source mappings, and the waiting that they need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .aws import AnsibleAWSError, aws_errors, error_code, error_message

#: Short at first and growing slowly, so that little is waited in vain.
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 0.2, 4.0, 1.5

_TRANSITIONAL = ("Creating", "Enabling", "Updating", "Disabling", "Deleting")
#: What Lambda says of a role, or of a policy, that is too new for it.
_PROPAGATION = ("execution role does not have permissions", "cannot be assumed", "ensure the role can perform")


class Deadline:
    """A time to stop at. ``clock`` has ``monotonic`` and ``sleep``, as the module ``time`` does."""

    def __init__(self, seconds: float, clock: Any = time):
        self.seconds = seconds
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._pause = _FIRST_PAUSE

    def pause(self) -> bool:
        """Sleep, each time longer, and answer True; answer False at once when the time is over."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            return False
        self._clock.sleep(min(self._pause, left))
        self._pause = min(_GROWTH * self._pause, _LONGEST_PAUSE)
        return True


class MappingApi:
    """One method a call. What is not there is None, or empty; any other error of AWS is an AnsibleAWSError."""

    def __init__(self, client: Any):
        self._client = client

    def get(self, uuid: str) -> dict[str, Any] | None:
        return _unless_missing(lambda: self._get(uuid), None)

    def tags(self, arn: str) -> dict[str, str]:
        return _unless_missing(lambda: self._tags(arn), {})

    def mappings(self, event_source_arn: str | None = None) -> list[dict[str, Any]]:
        """All mappings, or those of one source. Filters that are encrypted are missing; :meth:`complete` has them."""
        return _unless_missing(lambda: self._list(event_source_arn), [])

    @aws_errors("list event source mappings")
    def _list(self, event_source_arn: str | None) -> list[dict[str, Any]]:
        request = {"EventSourceArn": event_source_arn} if event_source_arn else {}
        found = []
        while True:
            answer = self._client.list_event_source_mappings(aws_retry=True, **request)
            found += answer["EventSourceMappings"]
            if not answer.get("NextMarker"):
                return found
            request["Marker"] = answer["NextMarker"]

    def complete(self, listed: dict[str, Any]) -> dict[str, Any] | None:
        """A listed mapping with its filters, which the list leaves out when they are encrypted."""
        return self.get(listed["UUID"]) if listed.get("KMSKeyArn") else listed

    @aws_errors("get event source mapping")
    def _get(self, uuid: str) -> dict[str, Any]:
        return _body(self._client.get_event_source_mapping(UUID=uuid, aws_retry=True))

    @aws_errors("list tags of event source mapping")
    def _tags(self, arn: str) -> dict[str, str]:
        return self._client.list_tags(Resource=arn, aws_retry=True).get("Tags") or {}

    @aws_errors("create event source mapping")
    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        return _body(self._client.create_event_source_mapping(aws_retry=True, **request))

    @aws_errors("update event source mapping")
    def update(self, uuid: str, request: dict[str, Any]) -> dict[str, Any]:
        return _body(self._client.update_event_source_mapping(UUID=uuid, aws_retry=True, **request))

    @aws_errors("delete event source mapping")
    def delete(self, uuid: str) -> dict[str, Any]:
        return _body(self._client.delete_event_source_mapping(UUID=uuid, aws_retry=True))

    @aws_errors("tag event source mapping")
    def tag(self, arn: str, request: dict[str, Any]) -> None:
        self._client.tag_resource(Resource=arn, aws_retry=True, **request)

    @aws_errors("untag event source mapping")
    def untag(self, arn: str, request: dict[str, Any]) -> None:
        self._client.untag_resource(Resource=arn, aws_retry=True, **request)


def _unless_missing(call: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return call()
    except AnsibleAWSError as exc:
        if error_code(exc) == "ResourceNotFoundException":
            return otherwise
        raise


def settled(api: MappingApi, mapping: dict[str, Any], deadline: Deadline) -> dict[str, Any] | None:
    """The mapping once it is in no transition any more; None when it is gone."""
    while mapping["State"] in _TRANSITIONAL:
        if not deadline.pause():
            raise AnsibleAWSError(
                message=f"Event source mapping {mapping['UUID']} is still {mapping['State']} after "
                f"{deadline.seconds} s (wait_timeout). AWS goes on with it: run again to wait longer."
            )
        found = api.get(mapping["UUID"])
        # A mapping that was just made may not be visible everywhere yet.
        if found is None and mapping["State"] != "Creating":
            return None
        mapping = found or mapping
    return mapping


def patiently(call: Callable[[], Any], roles: Deadline, states: Deadline) -> Any:
    """Call again while AWS's refusal passes by itself: a role too new for Lambda, or a mapping in transition."""
    while True:
        try:
            return call()
        except AnsibleAWSError as exc:
            deadline = roles if _is_propagation(exc) else states if _is_in_use(exc) else None
            if deadline is None:
                raise
            if not deadline.pause():
                raise AnsibleAWSError(
                    message=f"{exc.message}, tried again for {deadline.seconds} s", exception=exc.exception
                ) from exc


def _is_propagation(exc: AnsibleAWSError) -> bool:
    return error_code(exc) == "InvalidParameterValueException" and any(
        phrase in error_message(exc) for phrase in _PROPAGATION
    )


def _is_in_use(exc: AnsibleAWSError) -> bool:
    return error_code(exc) == "ResourceInUseException"


def _body(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
