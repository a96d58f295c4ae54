# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends what the planner hands out, several batches at a time, and repeats what did not run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from .._history.answers import Failed, NotRun, Outcome, judge
from .._pipeline_verify.clock import Clock
from ..aws import AnsibleAWSError
from .api import Function, TooLarge, Unavailable
from .changes import Change, event
from .planner import Planner

#: How long a run that has to end waits for the invocations that it has begun (seconds).
_GRACE_SECONDS = 30
_LOOK_SECONDS = 0.2
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 20


class Stopped(Exception):
    """The run ends before all is sent, with the reason."""


class Sender:
    """One run's invocations. The main thread plans and settles; the others only wait for the function."""

    def __init__(self, function: Function, partial: Callable[[str], bool], clock: Clock, timeout: int) -> None:
        """``partial`` says of a stream's mapping whether it takes partial batch responses."""
        self._function, self._partial, self._clock, self._timeout = function, partial, clock, timeout
        self._todo: queue.SimpleQueue[list[Change]] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[list[Change], Outcome | Exception]] = queue.SimpleQueue()
        self._in_flight = 0
        self._delay = 0.0

    def send(self, planner: Planner, concurrency: int, settled: Callable[[list[Change]], None]) -> None:
        """Until all is recovered, failing or held back; ``settled`` is told regularly what was recovered."""
        for _number in range(concurrency):
            # Daemons: a function that does not answer must not keep a run from ending.
            threading.Thread(target=self._work, daemon=True).start()
        try:
            self._loop(planner, concurrency, settled)
        except BaseException:
            self._drain(planner, settled)
            raise

    def _loop(self, planner: Planner, concurrency: int, settled: Callable[[list[Change]], None]) -> None:
        progress_at, resume_at = self._clock.now(), 0.0
        while True:
            self._clock.check()
            while self._in_flight < concurrency and self._clock.now() >= resume_at:
                batch = planner.next_batch()
                if not batch:
                    break
                self._todo.put(batch)
                self._in_flight += 1
            if not self._in_flight and self._clock.now() >= resume_at:
                return
            ended = self._next_ended(_LOOK_SECONDS)
            if ended is None:
                settled([])
                continue
            batch, outcome = ended
            settled(planner.settle(batch, outcome))
            if isinstance(outcome, NotRun):
                self._delay = min(max(2 * self._delay, _FIRST_DELAY), _LONGEST_DELAY)
                resume_at = self._clock.now() + self._delay
                if self._clock.now() - progress_at > self._timeout:
                    raise Stopped(f"Lambda did not run the function for {self._timeout} s: {outcome.reason}.")
                continue
            self._delay = 0.0
            # The clock of the timeout starts anew whenever the function ran.
            progress_at = self._clock.now()

    def _next_ended(self, seconds: float) -> tuple[list[Change], Outcome] | None:
        try:
            batch, outcome = self._ended.get(timeout=seconds)
        except queue.Empty:
            return None
        self._in_flight -= 1
        if isinstance(outcome, Exception):
            raise outcome
        return batch, outcome

    def _drain(self, planner: Planner, settled: Callable[[list[Change]], None]) -> None:
        """Take in what was begun, so that its failure records can be deleted."""
        deadline = self._clock.now() + _GRACE_SECONDS
        while self._in_flight and self._clock.now() < deadline:
            try:
                ended = self._next_ended(_LOOK_SECONDS)
            except (AnsibleAWSError, OSError):
                continue
            if ended:
                settled(planner.settle(*ended))

    def _work(self) -> None:
        while True:
            batch = self._todo.get()
            try:
                outcome: Outcome | Exception = self._invoke(batch)
            except Exception as exc:  # the main thread decides
                outcome = exc
            self._ended.put((batch, outcome))

    def _invoke(self, batch: list[Change]) -> Outcome:
        try:
            payload, function_error = self._function.invoke(event(batch))
        except Unavailable as exc:
            return NotRun(str(exc))
        except TooLarge as exc:
            return Failed(str(exc))
        return judge([change.number for change in batch], payload, function_error, self._partial(batch[0].stream_arn))
