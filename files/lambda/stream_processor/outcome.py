# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of a batch, and why a record failed."""

from __future__ import annotations

import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .transport import TransportError


class DrillRefused(Exception):
    """A failure drill has this item refused; it says so in the function's own configuration."""

    tellable = True


@dataclass(frozen=True)
class Failure:
    """Why a record failed, without anything of the record but its sequence number."""

    sequence_number: str
    stage: str  # deadline, envelope, drill, rules, audit or notify
    error_type: str
    aws_code: str = ""
    detail: str = ""
    aws_message: str = ""  # may name objects


@dataclass
class Outcome:
    """What became of a batch."""

    events: Counter = field(default_factory=Counter)
    expired: int = 0
    audited: int = 0
    already_there: int = 0
    notified: int = 0
    claim_checked: int = 0
    filtered: int = 0  # changes that the rules keep from both audit log and topic
    replayed: int = 0
    failure: Failure | None = None
    undone: list[str] = field(default_factory=list)  # sequence numbers of the failed record and those after it
    calls: Counter = field(default_factory=Counter)  # by service; a call and its retries are one
    seconds: Counter = field(default_factory=Counter)  # how long those calls took, added up

    @property
    def batch_item_failures(self) -> list[dict[str, str]]:
        """What Lambda is told: it delivers everything from the lowest sequence number on again."""
        return [{"itemIdentifier": min(self.undone, key=int)}] if self.undone else []


def failure(number: str, stage: str, exc: Exception) -> Failure:
    """What may be told of an error: AWS's text and that of unexpected errors may hold item data."""
    if isinstance(exc, TransportError):
        out_of_time = exc.error_type == "OutOfTime"
        stage = "deadline" if out_of_time else stage
        return Failure(number, stage, exc.error_type, exc.aws_code, aws_message=exc.aws_message)
    if getattr(exc, "tellable", False):  # its text holds nothing of the item
        return Failure(number, stage, type(exc).__name__, detail=str(exc))
    frame = traceback.extract_tb(exc.__traceback__)[-1]
    return Failure(number, stage, type(exc).__name__, detail=f"{Path(frame.filename).name}:{frame.lineno}")
