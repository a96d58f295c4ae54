# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of the audit objects. Pure: the same change always has the same name, and no two changes share one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from .envelope import item_hash

_SEQUENCE_NUMBER_DIGITS = 40  # the longest a stream sends; padded to it, listing order is stream order


def per_change(envelope: dict[str, Any], prefix: str) -> str:
    """One object a change, in the UTC hour of the change itself: a retry an hour later still finds this name."""
    hour = datetime.fromisoformat(envelope["timestamp"]).strftime("%Y/%m/%d/%H")
    number = envelope["sequenceNumber"].zfill(_SEQUENCE_NUMBER_DIGITS)
    return f"{prefix}{hour}/{number}-{item_hash(envelope['keys'])}.json"


LAYOUTS: dict[str, Callable[[dict[str, Any], str], str]] = {"per_change": per_change}
