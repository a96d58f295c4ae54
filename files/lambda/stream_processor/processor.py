# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A batch of stream records, in order: the audit object of each, then its notification, up to the first failure."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .canonical import to_bytes
from .config import Settings
from .envelope import MalformedRecord, is_expiry, item_digest, item_hash, sequence_number, to_envelope
from .layout import LAYOUTS
from .notification import build_notification
from .transport import CALL_SECONDS, Order, Transport, TransportError

#: A record is begun only with this much time left: both of its calls may take as long as they can.
RESERVE_MS = 2 * CALL_SECONDS * 1000


class DrillRefused(Exception):
    """A failure drill has this item refused; it says so in the function's own configuration."""


@dataclass(frozen=True)
class Failure:
    """Why a record failed, without anything of the record but its sequence number."""

    sequence_number: str
    stage: str  # deadline, envelope, drill, audit or notify
    error_type: str
    aws_code: str = ""
    detail: str = ""


@dataclass
class Outcome:
    """What became of a batch."""

    events: Counter = field(default_factory=Counter)
    expired: int = 0
    audited: int = 0
    already_there: int = 0
    notified: int = 0
    claim_checked: int = 0
    failure: Failure | None = None
    undone: list[str] = field(default_factory=list)  # sequence numbers of the failed record and those after it

    @property
    def batch_item_failures(self) -> list[dict[str, str]]:
        """What Lambda is told: it delivers everything from the lowest sequence number on again."""
        return [{"itemIdentifier": min(self.undone, key=int)}] if self.undone else []


class Processor:
    """Does the batches of one function environment."""

    def __init__(self, settings: Settings, transport: Transport):
        self._settings = settings
        self._transport = transport
        self._object_name = LAYOUTS[settings.layout]
        self._fifo = settings.topic_arn.endswith(".fifo")

    def process(self, records: list[Any], remaining_ms: Callable[[], int]) -> Outcome:
        """Do the records in order and stop at the first failure: what comes later must not overtake it.

        A record without a sequence number cannot be reported, so the batch is refused as a whole (MalformedRecord),
        before anything of it is done: Lambda then retries or bisects it without repeating notifications.
        """
        numbers = [sequence_number(record) for record in records]
        # A timeout would fail the whole batch. With a short function timeout half of it has to do as reserve.
        reserve = min(RESERVE_MS, remaining_ms() // 2)
        outcome = Outcome()
        for position, record in enumerate(records):
            if remaining_ms() < reserve:
                outcome.failure = Failure(numbers[position], "deadline", "OutOfTime")
            else:
                outcome.failure = self._attempt(record, numbers[position], outcome)
            if outcome.failure:
                outcome.undone = numbers[position:]
                break
        return outcome

    def _attempt(self, record: Any, number: str, outcome: Outcome) -> Failure | None:
        stage = "envelope"
        try:
            envelope = to_envelope(record)
            if self._settings.drill_token:
                stage = "drill"
                _refuse(envelope["keys"], self._settings.drill_token)
            stage = "audit"
            key = self._audit(envelope, outcome)
            stage = "notify"
            self._notify(envelope, key, outcome)
        # Whatever it is, it is this record's failure: the records before it are done and stay done.
        except Exception as exc:
            return _failure(number, stage, exc)
        outcome.events[envelope["eventName"]] += 1
        outcome.expired += is_expiry(envelope)
        return None

    def _audit(self, envelope: dict[str, Any], outcome: Outcome) -> str:
        key = self._object_name(envelope, self._settings.prefix)
        body = to_bytes(envelope)
        if self._transport.put_object_if_absent(self._settings.bucket, key, body, "application/json"):
            outcome.audited += 1
        else:
            outcome.already_there += 1
        return key

    def _notify(self, envelope: dict[str, Any], key: str, outcome: Outcome) -> None:
        audit = {"bucket": self._settings.bucket, "key": key}
        note = build_notification(envelope, audit, self._settings.notification_max_bytes)
        order = Order(item_hash(envelope["keys"]), envelope["eventID"]) if self._fifo else None
        self._transport.publish(self._settings.topic_arn, note.message, note.subject, note.attributes, order)
        outcome.notified += 1
        outcome.claim_checked += note.claim_check


def _refuse(keys: dict[str, Any], token: str) -> None:
    """DrillRefused when the keys are those of the drill's item. Nothing else in a record is asked."""
    if item_digest(keys) == token:
        raise DrillRefused


def _failure(number: str, stage: str, exc: Exception) -> Failure:
    if isinstance(exc, TransportError):
        return Failure(number, stage, exc.error_type, exc.aws_code)
    if isinstance(exc, (MalformedRecord, DrillRefused)):
        return Failure(number, stage, type(exc).__name__, detail=str(exc))
    # Any other error's text may hold item data; where it was raised does not.
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return Failure(number, stage, type(exc).__name__, detail=f"{Path(frame.filename).name}:{frame.lineno}")
