# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What subscribers get: the envelope, or a claim check for it where SNS's size limit leaves no room. Pure."""

from __future__ import annotations

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

    @property
    def size(self) -> int:
        """Bytes as SNS counts them: the message and each attribute's name, type and value.

        Whether the subject counts is not documented, so it does here.
        """
        texts = [self.message, self.subject]
        for name, value in self.attributes.items():
            texts += [name, "String", value]
        return sum(len(text.encode("utf-8")) for text in texts)


def build_notification(envelope: dict[str, Any], audit: dict[str, str], max_bytes: int) -> Notification:
    """The notification of a change whose audit object is at ``audit`` (bucket, key), within the size limit."""
    whole = _with_details(envelope, envelope)
    if whole.size <= max_bytes:
        return whole
    for left_out in _CLAIM_CHECKS:
        details = {name: value for name, value in envelope.items() if name not in left_out}
        smaller = _with_details(envelope, {**details, "audit": audit}, claim_check=True)
        if smaller.size <= max_bytes:
            return smaller
    raise NotificationTooLarge(f"more than {max_bytes} bytes without images and changedAttributes")


def _with_details(envelope: dict[str, Any], details: dict[str, Any], claim_check: bool = False) -> Notification:
    done = "expired" if is_expiry(envelope) else _DONE[envelope["eventName"]]
    # "in" a table something is created or updated, "from" it deleted.
    preposition = "from" if envelope["eventName"] == "REMOVE" else "in"
    return Notification(
        message=to_json({"message": f"Item {done} {preposition} {envelope['table']}", "details": details}),
        subject=f"DynamoDB Activity: {envelope['eventName']}",
        attributes={"eventName": envelope["eventName"], "table": envelope["table"]},
        claim_check=claim_check,
    )
