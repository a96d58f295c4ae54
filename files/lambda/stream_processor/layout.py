# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of the audit objects. Pure: the same changes always have the same name, and no others have it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from .envelope import item_hash

PER_CHANGE, PER_BATCH = "per_change", "per_batch"
LAYOUTS = (PER_CHANGE, PER_BATCH)

_SEQUENCE_NUMBER_DIGITS = 40  # the longest a stream sends; padded to it, listing order is stream order


def hour_prefix(envelope: dict[str, Any], prefix: str) -> str:
    """The folder of the change's own UTC hour: a retry an hour later still finds its names."""
    stamp = envelope["timestamp"]  # 2026-01-31T08:15:00Z
    return f"{prefix}{stamp[:4]}/{stamp[5:7]}/{stamp[8:10]}/{stamp[11:13]}/"


def per_change(envelope: dict[str, Any], prefix: str, item: str = "") -> str:
    """One object a change. ``item`` is its item hash, where that is known already."""
    return f"{hour_prefix(envelope, prefix)}{_padded(envelope)}-{item or item_hash(envelope['keys'])}.json"


def per_batch(envelopes: Sequence[dict[str, Any]], prefix: str) -> str:
    """One object for these changes, all of one hour: the same changes in the same order have the same name."""
    numbers = sorted(_padded(envelope) for envelope in envelopes)
    identity = batch_hash(envelopes)[:16]
    return f"{hour_prefix(envelopes[0], prefix)}{numbers[0]}-{numbers[-1]}-{identity}.ndjson.gz"


def batch_hash(envelopes: Iterable[dict[str, Any]]) -> str:
    """The SHA-256, in hex, over the changes' ``eventID`` in their order."""
    identities = "\n".join(envelope["eventID"] for envelope in envelopes)
    return hashlib.sha256(identities.encode("utf-8", "surrogatepass")).hexdigest()


def _padded(envelope: dict[str, Any]) -> str:
    return envelope["sequenceNumber"].zfill(_SEQUENCE_NUMBER_DIGITS)
