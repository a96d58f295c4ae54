# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change on its way through the function: what of it is to be audited, and what to be announced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .config import DIGEST, Settings
from .envelope import is_expiry, item_digest, to_envelope
from .notification import Heading, whole
from .outcome import DrillRefused, Failure, failure

if TYPE_CHECKING:
    from .rules import Rules

_NO_HEADING = Heading()


@dataclass(eq=False, slots=True)
class Change:
    """One change of the batch. Its envelope as a sink gets it; None where the sink does not get it."""

    position: int
    event_name: str
    expired: bool
    item: str  # the item hash
    audited: dict[str, Any] | None
    notified: dict[str, Any] | None
    heading: Heading = _NO_HEADING
    key: str = ""  # of the audit object
    spelt: str = ""  # canonical JSON of ``audited``, once somebody needed it
    replayed: bool = False


def prepare(position: int, record: Any, number: str, settings: Settings, rules: Rules | None) -> Change | Failure:
    """The record as a change, decided by the rules. Any trouble is this record's failure alone."""
    stage = "envelope"
    try:
        envelope = to_envelope(record)
        digest = item_digest(envelope["keys"])
        stage = "drill"
        if digest == settings.drill_token:  # nothing else in a record is asked
            raise DrillRefused
        change = Change(position, envelope["eventName"], is_expiry(envelope), digest[:16], envelope, envelope)
        stage = "rules"
        if rules is not None:
            change = _decided(change, envelope, settings, rules)
        return _replayed(change, record["replay"]) if "replay" in envelope else change
    except Exception as exc:
        return failure(number, stage, exc)


def _decided(change: Change, envelope: dict[str, Any], settings: Settings, rules: Rules) -> Change:
    decision = rules.decide(envelope)
    change.heading = Heading(decision.subject, decision.attributes)
    change.notified = decision.notified(envelope) if decision.notify else None
    audit = decision.audit or _needs_claim_check(change, settings)
    change.audited = decision.audited(envelope) if audit else None
    return change


def _replayed(change: Change, marker: dict[str, Any]) -> Change:
    """A change that came out of the log is not written to it again, and announced only when the replay asks for it."""
    change.audited, change.replayed = None, True
    change.key = str(marker.get("audit_key", ""))  # for a claim check
    if marker.get("notify") is not True:
        change.notified = None
    return change


def _needs_claim_check(change: Change, settings: Settings) -> bool:
    """Whether the notification is too large: then it needs an audit object to name, whatever the rules say."""
    if change.notified is None or settings.notification_mode == DIGEST:
        return False
    return whole(change.notified, heading=change.heading).size > settings.notification_max_bytes
