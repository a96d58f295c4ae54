# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy would take over, cut off or crowd, said before its first write. Pure.

A mapping's place in its stream cannot be handed to another mapping. So a function, table or stream under another name
begins anew, and whoever only meant to rename something loses changes, or gets a day of them twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import dynamodb_table as table
from .event_source_mapping import reads_table_stream, same_function

#: More readers of a shard are throttled: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html (Simultaneous
#: readers) and LimitExceededException in https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_GetRecords.html
MOST_READERS = 2

_TOLD = (
    "If that is meant, say so: -e ddb_stream_pipeline_replacement_allowed=true (docs/safety.md says what becomes of the"
    " changes)."
)


def is_live(mapping: Mapping[str, Any]) -> bool:
    """A disabled mapping counts: it has a place in the stream, and reads on when it is enabled."""
    return mapping["State"] != "Deleting"


def table_problems(current: Mapping[str, Any] | None, options: Mapping[str, Any]) -> list[str]:
    """Why the table that is there cannot be this pipeline's, or its stream not what is asked for."""
    name = options["table_name"]
    if options["attach"]:
        if current is None:
            return [f"There is no table {name} to attach to (ddb_stream_pipeline_table_attach)."]
        return _attached_problems(current, options)
    if current is None:
        return []
    asked = {
        "state": "present",
        "allow_stream_replacement": True,
        **{key: options[key] for key in ("hash_key_name", "hash_key_type", "range_key_name", "range_key_type")},
        "required_tags": options["owner_tags"],
    }
    found = table.conflicts(current, asked)
    if found or not _another_view(current, options) or options["replacement_allowed"]:
        return found
    return [
        f"The stream of the table {name} has the view type {current['stream_view_type']}, "
        f"{options['stream_view_type']} is asked for. A stream's view type cannot be changed: the table would get "
        "a new stream. Changes in the old one that the function has not processed by then reach it only as long "
        "as its mapping to the old stream is left, and every other reader of the table's stream is cut off. "
        f"{_TOLD}"
    ]


def _attached_problems(current: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
    if not _another_view(current, options):
        return []
    there = current["stream_view_type"]
    return [
        f"The stream of the table {current['name']} has the view type {there}, {options['stream_view_type']} is "
        "asked for. The table belongs to someone else, and its readers would lose their place in the stream, so "
        f"it is not changed: set ddb_stream_pipeline_stream_view_type to {there}, or ask the table's owner."
    ]


def _another_view(current: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return current["stream_enabled"] and current["stream_view_type"] != options["stream_view_type"]


def mapping_problems(
    mappings: list[dict[str, Any]], tags: Mapping[str, dict[str, str]], stream: str | None, options: Mapping[str, Any]
) -> list[str]:
    """Why the pipeline's mapping must not be made or moved. ``tags`` are those of the stream's mappings by UUID."""
    live = [each for each in mappings if is_live(each)]
    own = [each for each in live if same_function(options["function_name"], each["FunctionArn"])]
    on_stream = [each for each in live if stream and each.get("EventSourceArn") == stream]
    others = [each for each in on_stream if each not in own]
    found = [] if options["replacement_allowed"] else _renames(own, others, tags, options)
    if len(others) >= MOST_READERS and not any(each in own for each in on_stream):
        found.append(
            f"The stream of the table {options['table_name']} has {len(others)} readers already: "
            f"{', '.join(map(_named, others))}. AWS lets two read a shard at the same time and throttles more, so "
            "a third would slow all of them down. Disabled ones count, since each of them may be enabled again. "
            "Let one of these functions do the work, feed the change topic of the one pipeline to more "
            "subscribers, or delete a mapping that is not needed any more."
        )
    return [*found, *_moved_positions(own, stream, options)]


def _renames(
    own: list[dict[str, Any]],
    others: list[dict[str, Any]],
    tags: Mapping[str, dict[str, str]],
    options: Mapping[str, Any],
) -> list[str]:
    found = []
    position = options["starting_position"]
    lost = (
        "changes until it has begun are lost to it"
        if position == "LATEST"
        else "up to 24 hours of changes are announced again"
    )
    owner = options["owner_tags"].items()
    for each in others:
        if owner <= tags.get(each["UUID"], {}).items():
            found.append(
                f"This pipeline's mapping {_named(each)} reads the stream already, and its function would be "
                f"{options['function_name']} now. A mapping's place in the stream cannot be handed on: the new one "
                f"would begin at {position}, so {lost}; and the old function would go on beside it. Keep the "
                "former function's name (ddb_stream_pipeline_function_name), or tear the pipeline down under its "
                f"former name first, without its data. {_TOLD}"
            )
    for each in own:
        table_read = table_of(each)
        if table_read and table_read != options["table_name"]:
            found.append(
                f"The function {options['function_name']} reads the table {table_read}, by the mapping "
                f"{each['UUID']}, and the pipeline's table would be {options['table_name']} now. Nothing moves the "
                "items, nor the changes that the function has not processed yet: the pipeline would begin with "
                f"another table's stream, at {position}, and the function would go on reading {table_read} too. "
                "Keep the former table's name (ddb_stream_pipeline_table_name), give the new table a pipeline of "
                f"its own, or tear this one down first. {_TOLD}"
            )
    return found


def _moved_positions(own: list[dict[str, Any]], stream: str | None, options: Mapping[str, Any]) -> list[str]:
    """The starting position is asked for once, when the mapping is made."""
    return [
        f"The mapping {each['UUID']} began at {each['StartingPosition']}, {options['starting_position']} is asked for"
        " (ddb_stream_pipeline_starting_position). It counts when a mapping is made and cannot be changed: set it to"
        f" {each['StartingPosition']}. To begin anew, tear the pipeline down, without its data, and deploy again."
        for each in own
        if stream
        and each.get("EventSourceArn") == stream
        and each.get("StartingPosition") not in (None, options["starting_position"])
    ]


def table_of(mapping: Mapping[str, Any]) -> str:
    """The name of the table whose stream the mapping reads; empty for another kind of source."""
    if not reads_table_stream(dict(mapping)):
        return ""
    return mapping["EventSourceArn"].partition(":table/")[2].partition("/")[0]


def _named(mapping: Mapping[str, Any]) -> str:
    return f"{mapping['UUID']} of the function {mapping['FunctionArn'].partition(':function:')[2]} ({mapping['State']})"
