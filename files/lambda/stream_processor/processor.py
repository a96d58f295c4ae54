# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Batches of stream records: what stays from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .config import Settings
from .envelope import sequence_number
from .outcome import Outcome
from .run import Clock, Run
from .transport import Transport
from .workers import Workers

if TYPE_CHECKING:
    from .rules import Rules


class Processor:
    """Does the batches of one function environment, one after the other."""

    def __init__(self, settings: Settings, transport: Transport, rules: Rules | None = None) -> None:
        self.settings, self.transport, self.rules = settings, transport, rules
        self.workers = Workers(settings.concurrency)

    def process(self, records: list[Any], remaining_ms: Callable[[], int]) -> Outcome:
        """Audit and announce the changes up to the first that fails.

        A record without a sequence number cannot be reported, so the batch is refused as a whole (MalformedRecord),
        before anything of it is done: Lambda then retries or bisects it without repeating notifications.
        """
        clock = Clock(remaining_ms())
        numbers = [sequence_number(record) for record in records]
        return Run(self, records, numbers, clock).go()

    def close(self) -> None:
        """End the threads. Lambda has no use for it, tests have."""
        self.workers.close()
