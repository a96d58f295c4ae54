# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a replay is asked to do, checked before anything is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._change_rules.expression import problems
from .._history.changes import EVENT_NAMES, iso
from .._history.dynamodb_json import attributes_problem, in_stream_form
from ..aws import InputError
from ..option_checks import check_ranges, read_range

FUNCTION, TABLE, VERIFY, QUEUE, TOPIC, FILE = "function", "table", "verify", "queue", "topic", "file"
#: The option that says where to, by target.
_WHERE = {FUNCTION: "function_name", TABLE: "target_table", QUEUE: "queue_url", TOPIC: "topic_arn", FILE: "path"}
#: What these two tell is the state of items, so they need all changes.
STATES = (TABLE, VERIFY)
_RANGES = {
    "batch_size": (1, 10000),
    "at_scale_objects": (0, None),
    "concurrency": (1, 64),
    "limit": (0, None),
    "rate": (0, None),
    "timeout": (1, 86400),
    "settle_seconds": (0, 3600),
}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Options:
    """The module's options, under their own names; times are read."""

    table_name: str
    bucket: str
    prefix: str
    target: str
    since: datetime | None
    until: datetime | None
    event_names: tuple[str, ...]
    keys: dict[str, Any] | None
    match: str | None
    function_name: str | None
    qualifier: str | None
    notify: bool
    target_table: str | None
    key_schema: tuple[tuple[str, str], ...]
    queue_url: str | None
    topic_arn: str | None
    path: str | None
    replay_id: str | None
    batch_size: int
    concurrency: int
    rate: int
    limit: int
    timeout: int
    settle_seconds: int
    at_scale: str | None
    at_scale_objects: int
    state_dir: str | None
    progress_file: str | None
    error_file: str | None
    differences_file: str | None
    dry_run: bool

    @classmethod
    def read(cls, params: dict[str, Any], check_mode: bool) -> Options:
        """InputError when an option cannot be."""
        check_ranges(params, _RANGES)
        target = params["target"]
        _check_where(target, params)
        # In whole seconds, as the log has its times.
        since, until = (moment and moment.replace(microsecond=0) for moment in read_range(params))
        _check_filters(target, params)
        if params["replay_id"] and not _ID.fullmatch(params["replay_id"]):
            raise InputError(
                f"replay_id must be up to 64 letters, digits and any of ._-, not beginning with one of these, not "
                f"{params['replay_id']!r}."
            )
        same = ("table_name", "bucket", "prefix", "target", "function_name", "qualifier", "notify", "target_table")
        same += ("queue_url", "topic_arn", "path", "replay_id", "batch_size", "concurrency", "rate", "limit", "timeout")
        same += (
            "at_scale_objects",
            "settle_seconds",
            "state_dir",
            "progress_file",
            "error_file",
            "differences_file",
            "match",
        )
        return cls(
            **{name: params[name] for name in same},
            at_scale=params["state_machine_arn"],
            since=since,
            until=until,
            event_names=tuple(params["event_names"] or ()),
            # As the log spells them: a number may be given as one, or with zeros that DynamoDB cuts off.
            keys={name: in_stream_form(value) for name, value in params["keys"].items()} if params["keys"] else None,
            key_schema=_key_schema(params),
            dry_run=params["dry_run"] or check_mode,
        )

    @property
    def filtered(self) -> bool:
        """Whether it is asked for less than all changes of its time."""
        return bool(self.event_names or self.keys or self.match)

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same when a replay is continued."""
        return {
            "table_name": self.table_name,
            "bucket": self.bucket,
            "prefix": self.prefix,
            "target": self.target,
            "to_what": getattr(self, _WHERE[self.target]) if self.target in _WHERE else None,
            "from": iso(self.since) if self.since else None,
            "event_names": sorted(self.event_names),
            "keys": self.keys,
            "match": self.match,
            "notify": self.notify,
            "limit": self.limit,
            "concurrency": self.concurrency,
        }


def _check_where(target: str, params: dict[str, Any]) -> None:
    wanted = _WHERE.get(target)
    if wanted and not params[wanted]:
        raise InputError(f"target {target} needs {wanted}: where to replay to.")
    for other, option in _WHERE.items():
        if other != target and params[option] and option != "function_name":
            raise InputError(f"{option} is for the target {other}, and the target is {target}. Leave one of them out.")
    if target == TABLE and params["target_table"] == params["table_name"]:
        raise InputError(
            f"target_table must not be the table that the changes are of ({params['table_name']}): a replay would "
            "write the past over the present. Give another table; one that does not exist is made."
        )


def _check_filters(target: str, params: dict[str, Any]) -> None:
    for name in params["event_names"] or ():
        if name not in EVENT_NAMES:
            raise InputError(f"event_names may hold {', '.join(EVENT_NAMES)}, not {name!r}.")
    if params["match"] and (found := problems(params["match"])):
        raise InputError(f"match cannot be used: {' '.join(found)}")
    if params["keys"] is not None:
        problem = attributes_problem(params["keys"]) if params["keys"] else "there are none"
        if problem:
            raise InputError(
                f'keys must be an item\'s whole primary key as DynamoDB JSON, {{"Id": {{"S": "a"}}}}: {problem}.'
            )
    narrowed = [name for name in ("event_names", "match", "limit") if params[name]]
    if target in STATES and narrowed:
        raise InputError(
            f"target {target} needs every change of an item, so it cannot be combined with {' and '.join(narrowed)}."
        )
    if target in STATES and params["from"]:
        raise InputError(
            f"target {target} tells the state of items, which begins where the log is complete. Leave from out; to "
            "says of which time the state is."
        )
    if target == VERIFY and params["to"]:
        raise InputError("target verify compares with what the table holds now. Leave to out.")


def _key_schema(params: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    names = (("hash_key_name", "hash_key_type"), ("range_key_name", "range_key_type"))
    if params["range_key_name"] and not params["hash_key_name"]:
        raise InputError(f"range_key_name ({params['range_key_name']}) needs hash_key_name: the table's partition key.")
    # The first letter is what DynamoDB calls the type.
    return tuple((params[name], (params[kind] or "STRING")[0]) for name, kind in names if params[name])
