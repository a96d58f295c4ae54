# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock that is one S3 object: what stands in it, what an object found there means, and the words about it. Pure.

An object of S3 has a time of its own, LastModified, and each answer says S3's time now. So a lock's age is a difference
of two times of one clock, whatever the clocks of those who ask say. The owner counts its own time from before the
request that wrote the object, so it never thinks itself the owner for longer than S3 does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

#: Where locks are. Nothing here is data of a pipeline.
FOLDER = ".cloudcdc/"
#: Of it, what is no data.
LOCKS = f"{FOLDER}lock/"
#: Both times of S3 are cut to whole seconds, and its machines' clocks may differ a little.
MARGIN = 3
#: A longer lease is none that this collection writes.
LONGEST_LEASE = 86_400

OURS, EXPIRED, DEAD, HELD = "ours", "expired", "dead", "held"


@dataclass(frozen=True)
class Found:
    """The lock's object as S3 gave it. ``age`` is None where S3 did not say what time it is."""

    etag: str
    modified: datetime
    age: float | None
    record: dict[str, Any] = field(default_factory=dict)
    #: Its version, where the bucket keeps versions, and whether that version is under retention.
    version: str = ""
    retained: bool = False


def record(token: str, holder: str, lease: int, since: datetime, process: Mapping[str, Any] | None) -> dict[str, Any]:
    """What stands in the object. Nothing of it is secret."""
    return {
        "schema": "cloudcdc.lock/1",
        "token": token,
        "holder": holder,
        "since": since.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lease": lease,
        "process": dict(process or {}),
    }


def parsed(body: bytes) -> dict[str, Any]:
    """What stands in an object; empty for one that is no lock of ours."""
    try:
        there = json.loads(body)
    except ValueError:
        return {}
    return there if isinstance(there, dict) else {}


def lease_of(found: Found, otherwise: int) -> int:
    """The lease its owner wrote, ``otherwise`` where there is none to read."""
    lease = found.record.get("lease")
    return lease if isinstance(lease, int) and 0 < lease <= LONGEST_LEASE else otherwise


def verdict(found: Found, token: str, otherwise: int, gone: bool) -> str:
    """What an object that is there means for the one who asks with ``token``. ``gone``: its owner's process is."""
    if token and found.record.get("token") == token:
        return OURS
    if gone:
        return DEAD
    if found.age is not None and found.age > lease_of(found, otherwise) + MARGIN:
        return EXPIRED
    return HELD


def is_due(lock: Any, now: float) -> bool:
    """Whether a lock that a task holds is to be renewed before the next write: a third of its lease is over.

    Until the whole lease is over nobody can have taken it, so what begins before and is done in the two thirds left
    needs no asking. ``lock`` is the result of the task that took it; anything else is no lock.
    """
    if not isinstance(lock, Mapping) or not lock.get("held"):
        return False
    return now - float(lock["held_from"]) >= int(lock["lease"]) / 3


def held_message(where: str, found: Found, otherwise: int, waited: float) -> str:
    """For the one who comes second: who, since when, until when, what to do."""
    lease = lease_of(found, otherwise)
    until = found.modified + timedelta(seconds=lease + MARGIN)
    waiting = f" This run waited {waited:.0f} s for it." if waited else ""
    return (
        f"Another run has the lock {where}: {_who(found)}. It has it until {_moment(until)} at least, and renews it"
        f" while it goes on.{waiting} Nothing was changed. Run again when it is done, or give seconds to wait (in the"
        " role: ddb_stream_pipeline_lock_wait). If that run is dead, its lock ends by itself at that time; to end it at"
        " once, and only if it is dead for certain, delete that object."
    )


def lost_message(where: str, found: Found | None) -> str:
    """For an owner whose lock is another's by now."""
    whose = f"is now another run's: {_who(found)}" if found else "is gone: another run had it, or somebody deleted it"
    return (
        f"The lock {where} {whose}. This run stops before its next write. What it did so far is done; look at what"
        " the other run does, then run again."
    )


def _who(found: Found) -> str:
    holder = found.record.get("holder") or "unknown"
    since = found.record.get("since")
    return f"{holder}{f', since {since}' if since else ''}, renewed {_moment(found.modified)}"


def _moment(when: datetime) -> str:
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
