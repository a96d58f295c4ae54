# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a replay in parts is asked to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..history.changes import EVENT_NAMES

TABLE = "table"
KINDS = ("function", "queue", "topic", TABLE)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RequestRefused(ValueError):
    """What was asked for cannot be, or not of this log."""


def is_replay_id(text: Any) -> bool:
    """Whether it can be the id of a replay, which is a folder's name."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Request:
    """What a replay is asked to do."""

    id: str
    #: What each change carries as ``replay``.
    marker: dict[str, str]
    table_name: str
    start: datetime
    end: datetime
    event_names: tuple[str, ...]
    keys: dict[str, Any] | None
    match: str | None
    target: dict[str, Any]
    #: The name of the manifest of the baseline that the state of a table begins with.
    baseline: str | None
    lanes: int
    rate: float
    timeout: float
    partitions: int = 0
    locked: bool = False

    @classmethod
    def read(cls, told: dict[str, Any]) -> Request:
        """RequestRefused, with what would be right, when it is none."""
        marker = told.get("replay") or {}
        if not is_replay_id(marker.get("id")):
            raise RequestRefused("replay.id must be up to 64 letters, digits and any of ._-")
        target = told.get("target") or {}
        if target.get("kind") not in KINDS:
            raise RequestRefused(f"target.kind must be one of {', '.join(KINDS)}, not {target.get('kind')!r}.")
        names = tuple(told.get("event_names") or ())
        if not set(names) <= set(EVENT_NAMES):
            raise RequestRefused(f"event_names may hold {', '.join(EVENT_NAMES)}.")
        if target["kind"] == TABLE and (names or told.get("match")):
            raise RequestRefused("The target table needs every change: leave event_names and match out.")
        if not told.get("table_name"):
            raise RequestRefused("table_name is missing: the table whose changes are replayed.")
        start, end = _moment(told, "from"), _moment(told, "to")
        if start > end:
            raise RequestRefused(f"from ({told['from']}) is later than to ({told['to']}).")
        return cls(
            id=marker["id"],
            marker={"id": marker["id"], "time": str(marker.get("time", ""))},
            table_name=told["table_name"],
            start=start,
            end=end,
            event_names=names,
            keys=told.get("keys"),
            match=told.get("match"),
            target=target,
            baseline=told.get("baseline"),
            lanes=int(told.get("lanes") or 4),
            rate=float(told.get("rate") or 0),
            timeout=float(told.get("timeout") or 300),
            partitions=int(told.get("partitions") or 0),
            locked=bool(told.get("locked")),
        )


def _moment(told: dict[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(told.get(name)))
    except ValueError:
        moment = None
    if moment is None or moment.utcoffset() != timedelta(0):
        raise RequestRefused(f"{name} must be a moment in ISO 8601 and UTC, such as 2026-01-31T08:00:00Z.")
    return moment.replace(microsecond=0)
