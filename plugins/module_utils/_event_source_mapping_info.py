# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Event source mappings as a list, for those who only read."""

from __future__ import annotations

from typing import Any

from ._event_source_mapping_api import MappingApi
from .event_source_mapping import current_settings, describe, reads_table_stream, same_version, stream_is_known


def find_mappings(options: dict[str, Any], api: MappingApi) -> list[dict[str, Any]]:
    """The mappings that fit every option that is given, as the user sees them."""
    return described([mapping for mapping in _candidates(options, api) if _fits(options, mapping)], api)


def described(mappings: list[dict[str, Any]], api: MappingApi) -> list[dict[str, Any]]:
    """Listed mappings as the user sees them."""
    complete = [api.complete(mapping) for mapping in mappings]
    return [_described(mapping, api.tags(mapping["EventSourceMappingArn"])) for mapping in complete if mapping]


def _candidates(options: dict[str, Any], api: MappingApi) -> list[dict[str, Any]]:
    if options["uuid"]:
        mapping = api.get(options["uuid"])
        return [mapping] if mapping else []
    source = options["event_source_arn"]
    if source and not stream_is_known(source):
        return []
    return api.mappings(source)


def _fits(options: dict[str, Any], mapping: dict[str, Any]) -> bool:
    """Also by function: AWS does not say whether its own filter finds the mappings of versions and aliases."""
    function, source = options["function_name"], options["event_source_arn"]
    return (not function or same_version(function, mapping["FunctionArn"])) and (
        not source or source == mapping.get("EventSourceArn")
    )


def _described(mapping: dict[str, Any], tags: dict[str, str]) -> dict[str, Any]:
    if reads_table_stream(mapping):
        return describe(mapping, current_settings(mapping, tags))
    return {**describe(mapping), "tags": tags}
