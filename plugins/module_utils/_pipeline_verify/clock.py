# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The time of a run, and the end of it when a signal asks for one."""

from __future__ import annotations

import signal
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from types import FrameType
from typing import Any

_SLICE_SECONDS = 0.2


class Interrupted(Exception):
    """A signal asked the run to end."""


class Signals:
    """While active, SIGINT, SIGTERM and SIGHUP only ask the run to end.

    The run ends at its next :meth:`check`, between two calls to AWS, so it always knows what it has to remove.
    """

    def __init__(self) -> None:
        self.received = ""
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        # Python lets only the main thread set handlers; a module that runs in another one is stopped by other means.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                former = signal.getsignal(number)
                if former not in (signal.SIG_IGN, None):  # what whoever started this chose to ignore stays ignored
                    self._former[number] = former
                    signal.signal(number, self._note)
        return self

    def __exit__(self, *_exc: object) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = signal.Signals(number).name

    def check(self) -> None:
        if self.received:
            raise Interrupted(self.received)


class Clock:
    """Durations by the local monotonic clock, moments by AWS's."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._ahead = timedelta(0)

    def follow(self, response: dict[str, Any]) -> None:
        """Take AWS's time from an answer: changes, logs and metrics are dated by it, and this machine may differ."""
        told = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        try:
            theirs = parsedate_to_datetime(told)
        except (TypeError, ValueError):
            return
        if theirs.tzinfo is not None:
            self._ahead = theirs - datetime.now(timezone.utc)

    def utc(self) -> datetime:
        return datetime.now(timezone.utc) + self._ahead

    def now(self) -> float:
        return time.monotonic()

    def check(self) -> None:
        """Interrupted when a signal asked for the end."""
        self._signals.check()

    def pause(self, seconds: float) -> None:
        """Wait, but end early when a signal asks for it."""
        end = self.now() + seconds
        while True:
            self.check()
            left = end - self.now()
            if left <= 0:
                return
            time.sleep(min(left, _SLICE_SECONDS))
