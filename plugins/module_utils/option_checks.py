# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What several modules check of their options. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .plan import InputError

#: By option the least and the most that it may be; None: no most.
Ranges = Mapping[str, "tuple[float, float | None]"]


def check_ranges(values: Mapping[str, Any], ranges: Ranges) -> None:
    """InputError when an option is out of its range."""
    for name, (least, most) in ranges.items():
        if values[name] < least or (most is not None and values[name] > most):
            wanted = f"{least} or more" if most is None else f"from {least} to {most}"
            raise InputError(f"{name} must be {wanted}, not {values[name]}.")


def check_prefix(name: str, prefix: str) -> None:
    """InputError when a prefix of object names is not a folder's."""
    if not prefix.endswith("/"):
        raise InputError(f"{name} must end with a slash, as in audit-logs/, not {prefix!r}.")


def read_range(params: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """The options ``from`` and ``to``; InputError when one is no time, or when no time is between them."""
    since, until = (_moment(params, name) for name in ("from", "to"))
    if since and until and since > until:
        raise InputError(f"from ({params['from']}) is later than to ({params['to']}): the range holds no time.")
    return since, until


def read_moment(text: Any) -> datetime | None:
    """A time in ISO 8601, UTC where it names no zone; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _moment(params: Mapping[str, Any], name: str) -> datetime | None:
    if not params[name]:
        return None
    moment = read_moment(params[name])
    if moment is None:
        raise InputError(f"{name} must be a time in ISO 8601, such as 2026-01-31T14:00:00Z, not {params[name]!r}.")
    return moment
