# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One notification for a whole batch, ``cloudcdc.digest/1``: what happened and where it is kept, without data. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from .canonical import to_json
from .envelope import is_expiry
from .layout import PER_BATCH, hour_prefix
from .notification import Notification

SCHEMA = "cloudcdc.digest/1"


def build_digest(envelopes: Sequence[dict[str, Any]], audit: dict[str, Any] | None) -> Notification:
    """The digest of these changes, at least one; ``audit`` says where they are audited, None where they are not."""
    numbers = sorted((envelope["sequenceNumber"] for envelope in envelopes), key=int)
    moments = sorted(envelope["timestamp"] for envelope in envelopes)
    digest = {
        "schema": SCHEMA,
        "table": envelopes[0]["table"],
        "eventSourceARN": envelopes[0]["eventSourceARN"],
        "counts": dict(Counter(envelope["eventName"] for envelope in envelopes)),
        "expired": sum(map(is_expiry, envelopes)),
        "firstSequenceNumber": numbers[0],
        "lastSequenceNumber": numbers[-1],
        "firstTimestamp": moments[0],
        "lastTimestamp": moments[-1],
    }
    if audit:
        digest["audit"] = audit
    attributes = {"schema": SCHEMA, "table": envelopes[0]["table"]}
    return Notification(to_json(digest), "DynamoDB Activity: digest", attributes)


def whereabouts(bucket: str, prefix: str, layout: str, audited: Iterable[tuple[dict[str, Any], str]]) -> dict[str, Any]:
    """Where audited changes are, of which each is given with its object's name: the objects, or the hours' folders."""
    if layout == PER_BATCH:
        return {"bucket": bucket, "keys": sorted({key for _unused, key in audited})}
    return {"bucket": bucket, "prefixes": sorted({hour_prefix(envelope, prefix) for envelope, _unused in audited})}
