# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What subscribers get of a change: the envelope, or a claim check for it where SNS's limit leaves no room. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .canonical import to_json
from .envelope import is_expiry

_DONE = {"INSERT": "created", "MODIFY": "updated", "REMOVE": "deleted"}
#: What gives way, in order, until the notification fits: the audit object has it all.
_CLAIM_CHECKS = (("oldImage", "newImage"), ("oldImage", "newImage", "changedAttributes"))


class NotificationTooLarge(ValueError):
    """Even without all that can be left out it does not fit; no item of DynamoDB has keys that long."""


@dataclass(frozen=True)
class Notification:
    """One SNS message; ``attributes`` are all of type String."""

    message: str
    subject: str
    attributes: dict[str, str]
    claim_check: bool = False

    @functools.cached_property
    def size(self) -> int:
        """Bytes as SNS counts them: the message and each attribute's name, type and value.

        Whether the subject counts is not documented, so it does here.
        """
        texts = [self.message, self.subject]
        for name, value in self.attributes.items():
            texts += [name, "String", value]
        return sum(len(text) if text.isascii() else len(text.encode("utf-8")) for text in texts)


@dataclass(frozen=True)
class Heading:
    """What a rule says a notification is headed with, on top of what it always has."""

    subject: str | None = None
    attributes: Mapping[str, str] | None = None


def whole(envelope: dict[str, Any], spelt: str = "", heading: Heading | None = None) -> Notification:
    """The notification with all of the envelope, whatever its size.

    ``spelt`` is the envelope's canonical JSON, where that is there already: it goes in as it is.
    """
    return _notification(envelope, spelt or to_json(envelope), heading or Heading())


def build_notification(
    envelope: dict[str, Any], audit: dict[str, str], max_bytes: int, spelt: str = "", heading: Heading | None = None
) -> Notification:
    """The notification of a change whose audit object is at ``audit`` (bucket, key), within the size limit."""
    complete = whole(envelope, spelt, heading)
    if complete.size <= max_bytes:
        return complete
    for left_out in _CLAIM_CHECKS:
        details = {name: value for name, value in envelope.items() if name not in left_out}
        smaller = _notification(envelope, to_json({**details, "audit": audit}), heading or Heading(), claim_check=True)
        if smaller.size <= max_bytes:
            return smaller
    raise NotificationTooLarge(f"more than {max_bytes} bytes without images and changedAttributes")


def _notification(envelope: dict[str, Any], details: str, heading: Heading, claim_check: bool = False) -> Notification:
    sentence = _sentence(envelope["eventName"], is_expiry(envelope), envelope["table"])
    return Notification(
        message=f'{{"details":{details},"message":{sentence}}}',
        subject=heading.subject or f"DynamoDB Activity: {envelope['eventName']}",
        attributes={**(heading.attributes or {}), "eventName": envelope["eventName"], "table": envelope["table"]},
        claim_check=claim_check,
    )


@functools.lru_cache(maxsize=64)
def _sentence(event_name: str, expired: bool, table: str) -> str:
    """In JSON. "In" a table something is created or updated, "from" it deleted."""
    done = "expired" if expired else _DONE[event_name]
    return to_json(f"Item {done} {'from' if event_name == 'REMOVE' else 'in'} {table}")
