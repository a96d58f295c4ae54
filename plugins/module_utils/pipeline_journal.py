# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy has to write into the journal of its log. Pure.

An entry says what is logged from its time on. So one that says less than the one before it is written before anything
is changed, and one that says more only after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ._history.baselines import JOURNAL_SCHEMA
from ._history.completeness import DROPS, iso, log_faults, moment, rules_kind

#: A stream is as old as its table when they are no more than so many seconds apart.
_TOGETHER = timedelta(seconds=3)
#: The stream forgets after 24 hours. A mapping that begins earlier than this reads it from its first change on.
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
_REMEMBERED = timedelta(hours=20)
_DAY = 86_400
#: What does not count when entries are compared.
_OF_ITS_TIME = ("since", "settled", "continues")
_ROLLED_BACK = "the function was rolled back, and a version of it had rules that leave something out of the log"


@dataclass(frozen=True)
class Decision:
    """The entry that is to be written now, None for none; and whether one is to be written once all is changed."""

    entry: dict[str, Any] | None
    pending: bool = False


def decide(
    newest: Mapping[str, Any] | None, table: Mapping[str, Any] | None, options: Mapping[str, Any], now: datetime
) -> Decision:
    """What the deploy has to say. ``table`` is as DescribeTable has it, None where it is yet to be made."""
    entry = _said(table, options)
    same = newest is not None and _same_log(newest, entry)
    continues = same and not _interrupted(newest, options, now)
    if continues:
        entry["beginsWithTable"] = bool(newest["beginsWithTable"])
        if not _differ(newest, entry):
            return Decision(None)
    else:
        entry["beginsWithTable"] = _begins_with_table(table, options, now)
    entry["continues"] = continues
    # What is there may leave out more than the entry says, until the deploy has changed it.
    grows = options["mapped"] and entry["complete"] and not (continues and newest["complete"])
    if grows and options["phase"] == "before":
        return Decision(None, pending=True)
    late = not options["mapped"] and options["starting_position"] == "LATEST"
    return Decision(_dated(entry, newest, options, now, settles=grows or late))


def decide_rollback(entries: Sequence[Mapping[str, Any]], options: Mapping[str, Any], now: datetime) -> Decision:
    """What a rollback has to say: an earlier version's rules are not known, unless none ever left anything out."""
    if not entries or not entries[-1]["complete"] or all(each.get("rules") != DROPS for each in entries):
        return Decision(None)
    entry = {**entries[-1], "complete": False, "rules": DROPS, "reasons": [_ROLLED_BACK], "continues": True}
    entry["reachesBack"] = _reaches_back(options)
    entry.pop("settled", None)
    return Decision(_dated(entry, entries[-1], options, now, settles=False))


def without_time(entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """What an entry says, as diff mode shows it."""
    return {name: value for name, value in (entry or {}).items() if name not in _OF_ITS_TIME}


def _said(table: Mapping[str, Any] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    table = table or {}
    stream = table.get("StreamSpecification") or {}
    # In check mode, a stream that is yet to be made has no ARN.
    there = stream.get("StreamEnabled") and stream.get("StreamViewType") == options["stream_view_type"]
    filters, rules = bool(options["filter_criteria"]), options["rules"]
    reasons = log_faults(options["stream_view_type"], filters, rules, options["enabled"])
    return {
        "schema": JOURNAL_SCHEMA,
        "tableArn": table.get("TableArn"),
        "tableId": table.get("TableId"),
        "tableCreated": iso(_made(table)) if table else None,
        "streamArn": table.get("LatestStreamArn") if there else None,
        "viewType": options["stream_view_type"],
        "filters": filters,
        "rules": rules_kind(rules),
        "complete": not reasons,
        "reasons": reasons,
        "reachesBack": _reaches_back(options) if reasons else 0,
        "expirationDays": options["expiration_days"] or None,
    }


def _same_log(newest: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return all(newest.get(name) == entry[name] for name in ("tableId", "streamArn"))


def _differ(newest: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    return without_time(newest) != without_time(entry)


def _interrupted(newest: Mapping[str, Any], options: Mapping[str, Any], now: datetime) -> bool:
    """Whether nobody read the stream for so long that it may have forgotten changes."""
    if options["mapped"]:
        return False
    return options["starting_position"] != "TRIM_HORIZON" or now - moment(newest["since"]) > _REMEMBERED


def _begins_with_table(table: Mapping[str, Any] | None, options: Mapping[str, Any], now: datetime) -> bool:
    """Whether the mapping that is to be made reads every change that the table ever had."""
    if options["mapped"] or options["starting_position"] != "TRIM_HORIZON":
        return False
    if table is None:
        return True
    made = _made(table)
    try:
        label = datetime.fromisoformat(table["LatestStreamLabel"]).replace(tzinfo=timezone.utc)
    except (KeyError, ValueError):
        return False
    return (options["table_created"] or abs(label - made) <= _TOGETHER) and now - made < _REMEMBERED


def _made(table: Mapping[str, Any]) -> datetime:
    return table["CreationDateTime"].astimezone(timezone.utc)


def _reaches_back(options: Mapping[str, Any]) -> int:
    """How old a change may be that is handled next: it may have waited so long."""
    age = options["maximum_record_age_in_seconds"]
    return _DAY if age is None or age < 0 else min(age, _DAY)


def _dated(
    entry: dict[str, Any],
    newest: Mapping[str, Any] | None,
    options: Mapping[str, Any],
    now: datetime,
    settles: bool,
) -> dict[str, Any]:
    since = now.replace(microsecond=0)
    if newest is not None:
        # The names of the entries sort by their times.
        since = max(since, moment(newest["since"]) + timedelta(seconds=1))
    dated = {**entry, "since": iso(since)}
    if settles and options["settle_seconds"]:
        dated["settled"] = iso(since + timedelta(seconds=options["settle_seconds"]))
    return dated
