# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How audited changes become calls to SNS: message by message, packed, or one digest for all of them. Pure.

https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html: up to ten messages a call, and the size limit of one
message for all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .change import Change
from .config import DIGEST, PER_CHANGE, Settings
from .digest import build_digest, whereabouts
from .layout import batch_hash
from .notification import Notification, build_notification
from .transport import Message, Order

MOST_MESSAGES = 10
#: What a topic takes unless its MaximumMessageSize says more.
_USUAL_BYTES = 256 * 1024


@dataclass(frozen=True)
class Part:
    """One message, and the changes it tells of."""

    changes: tuple[Change, ...]
    message: Message
    size: int
    claim_check: bool = False

    @property
    def first(self) -> int:
        """The position of its first change in the batch."""
        return self.changes[0].position

    @property
    def last(self) -> int:
        return self.changes[-1].position


@dataclass(eq=False)
class Parcel:
    """The messages of one call, in the order of their changes."""

    parts: list[Part] = field(default_factory=list)
    size: int = 0

    @property
    def items(self) -> list[str]:
        """It must not overtake an earlier parcel with one of these items."""
        return [change.item for part in self.parts for change in part.changes]

    @property
    def last(self) -> int:
        """The position of the last change in it."""
        return self.parts[-1].last


class PerChange:
    """A message a change, as many in a call as fit."""

    #: Whether it may be given changes whose audit is not certain yet: what fails is cut off behind them.
    ahead = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._most_bytes = max(_USUAL_BYTES, settings.notification_max_bytes)
        # When SNS fails one message of a call, a later one of the same item would overtake it. Subscribers of a FIFO
        # topic would see that; those of a standard topic have to expect it anyway.
        self._one_an_item = settings.fifo
        self._open = Parcel()

    def add(self, change: Change) -> list[Parcel]:
        """Take an audited change; the parcels that are full with it or before it."""
        part, full = self._part(change), []
        too_large = self._open.size + part.size > self._most_bytes
        if too_large or (self._one_an_item and change.item in self._open.items):
            full += self.rest()
        self._open.parts.append(part)
        self._open.size += part.size
        return full + (self.rest() if len(self._open.parts) == MOST_MESSAGES else [])

    def rest(self) -> list[Parcel]:
        """The parcel that is not full, if there is anything in it."""
        parcel, self._open = self._open, Parcel()
        return [parcel] if parcel.parts else []

    def _part(self, change: Change) -> Part:
        audit = {"bucket": self._settings.bucket, "key": change.key}
        # Where nothing is redacted the audit object's text is that of the notification too.
        spelt = change.spelt if change.notified is change.audited else ""
        change.spelt = ""
        limit = self._settings.notification_max_bytes
        note = build_notification(change.notified, audit, limit, spelt, change.heading)
        order = Order(change.item, change.notified["eventID"]) if self._settings.fifo else None
        return Part((change,), _message(note, order), note.size, note.claim_check)


class Digest:
    """One message for all changes of a batch. The same in form as :class:`PerChange`."""

    ahead = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changes: list[Change] = []

    def add(self, change: Change) -> list[Parcel]:
        change.spelt = ""
        self._changes.append(change)
        return []

    def rest(self) -> list[Parcel]:
        changes, self._changes = self._changes, []
        if not changes:
            return []
        envelopes = [change.notified for change in changes]
        audited = [(change.audited, change.key) for change in changes if change.audited]
        settings = self._settings
        audit = whereabouts(settings.bucket, settings.prefix, settings.layout, audited) if audited else None
        note = build_digest(envelopes, audit)
        order = Order("digest", batch_hash(envelopes)) if settings.fifo else None
        return [Parcel([Part(tuple(changes), _message(note, order), note.size)], note.size)]


def _message(note: Notification, order: Order | None) -> Message:
    return Message(note.message, note.subject, note.attributes, order)


MODES: dict[str, type[PerChange] | type[Digest]] = {PER_CHANGE: PerChange, DIGEST: Digest}
