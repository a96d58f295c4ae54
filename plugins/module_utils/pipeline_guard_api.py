# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the guard looks at: the buckets, the table, and the mappings of the region, which one list gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import dynamodb_table as table
from ._event_source_mapping_api import MappingApi
from ._event_source_mapping_info import described
from .aws import InputError
from .dynamodb_table_api import TableApi
from .event_source_mapping import same_function
from .pipeline_guard import is_live, mapping_problems, table_problems
from .s3_bucket import Bucket


def look(
    options: Mapping[str, Any], tables: TableApi, mappings: MappingApi, buckets: Iterable[Bucket] = ()
) -> dict[str, Any]:
    """The mappings of the function and the table's stream; InputError when the deploy must not go on."""
    foreign = list(_foreign(buckets, options["owner_tags"]))
    description = tables.describe()
    current = None
    if description is not None:
        tags = None if options["attach"] else _tags(tables, description["TableArn"])
        current = table.settings_of(description, tags)
    stream = description.get("LatestStreamArn") if description and current["stream_enabled"] else None
    found = foreign + table_problems(current, options)
    listed = mappings.mappings()
    of_others = [
        each
        for each in listed
        if stream
        and each.get("EventSourceArn") == stream
        and is_live(each)
        and not same_function(options["function_name"], each["FunctionArn"])
    ]
    tags_of = {each["UUID"]: mappings.tags(each["EventSourceMappingArn"]) for each in of_others}
    found += mapping_problems(listed, tags_of, stream, options)
    if found:
        raise InputError(" ".join(found))
    own = [each for each in listed if same_function(options["function_name"], each["FunctionArn"])]
    there = description is not None
    return {"table_exists": there, "stream_arn": stream, "event_source_mappings": described(own, mappings)}


def _foreign(buckets: Iterable[Bucket], tags: Mapping[str, str]) -> Iterator[str]:
    """Why a bucket that is there cannot be this pipeline's."""
    for each in buckets:
        try:
            each.owned(tags)
        except InputError as exc:
            yield str(exc)


def _tags(tables: TableApi, arn: str) -> dict[str, str]:
    """The table's tags. One that was made a moment ago, by a run that was killed, may not show its own yet."""
    tags = tables.tags(arn)
    while not tags and tables.may_pause():
        tags = tables.tags(arn)
    return tags
