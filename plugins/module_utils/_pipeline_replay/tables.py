# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether items of one table can be written into another, and whether keys are those of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..aws import InputError
from .api import Cloud, Table
from .options import Options

#: Names and types of a table's keys, the partition key first.
Schema = tuple[tuple[str, str], ...]


class TargetTable:
    """The table that a replay writes."""

    def __init__(self, cloud: Cloud, options: Options) -> None:
        self._cloud, self._options = cloud, options
        self._table = Table(cloud, options.target_table)
        self._missing: Schema = ()
        #: Whether it was made by this run.
        self.created = False

    def check(self, begun: bool) -> None:
        """InputError when it cannot be used; with ``begun`` an earlier run of this replay may have written to it."""
        options = self._options
        source = Table(self._cloud, options.table_name).describe()
        wanted = key_schema(source) if source else options.key_schema
        if not wanted:
            raise InputError(
                f"The table {options.table_name} does not exist any more, so its key schema has to be given: "
                "hash_key_name, hash_key_type and, if it has one, range_key_name, range_key_type."
            )
        check_keys(options, wanted)
        found = self._table.describe()
        if not found:
            self._missing = wanted
            return
        # By another name: DynamoDB takes a table's ARN for its name.
        if source and source["Table"]["TableArn"] == found["Table"]["TableArn"]:
            raise InputError(
                f"target_table must not be the table that the changes are of, and {options.target_table} is "
                f"{options.table_name}. Nothing was written."
            )
        if key_schema(found) != wanted:
            raise InputError(
                f"The table {options.target_table} has the key schema {_spelt(key_schema(found))}, and the changes are "
                f"of items with {_spelt(wanted)}. Give a table with that key schema, or a name of which there is none. "
                "Nothing was written."
            )
        if not begun and not self._table.is_empty():
            raise InputError(
                f"The table {options.target_table} holds items already, so it would not become what "
                f"{options.table_name} was. Give an empty table, or a name of which there is none. Nothing was written."
            )

    def make(self, replay_id: str, pause: Callable[[float], None]) -> None:
        """Make it if there is none, after :meth:`check`, and wait until it can be written."""
        if self._missing:
            self._table.create(self._missing, {"cloudcdc:replay": replay_id})
            self.created = True
        # An earlier run of this replay may have ended before it was made.
        self._table.wait(pause)


def check_keys(options: Options, schema: Schema) -> None:
    """InputError when no item of a table with this key schema has the keys that are asked for."""
    keys = options.keys
    if keys and {name: next(iter(value)) for name, value in keys.items()} != dict(schema):
        given = tuple((name, next(iter(value))) for name, value in keys.items())
        raise InputError(
            f"keys must be those of the table {options.table_name}, {_spelt(schema)}, not {_spelt(given)}."
        )


def key_schema(described: dict[str, Any]) -> Schema:
    """That of DescribeTable's answer."""
    table = described["Table"]
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    keys = sorted(table["KeySchema"], key=lambda each: each["KeyType"])  # HASH, RANGE
    return tuple((each["AttributeName"], kinds[each["AttributeName"]]) for each in keys)


def _spelt(schema: Schema) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in schema)
