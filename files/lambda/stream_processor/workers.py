# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The threads that call AWS while others wait for its answers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Done(NamedTuple):
    """A call that ended: what it was made for, its result or the exception it raised, and how long it took."""

    task: Any
    result: Any
    error: Exception | None
    seconds: float


class Workers:
    """At most so many threads. They start when they are needed, and stay for the life of the environment."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._unfinished = 0

    def submit(self, call: Callable[[], None]) -> None:
        """Have the call made as soon as a thread is free. It must not raise."""
        with self._lock:
            if self._threads < min(self._unfinished + 1, self.most):
                self._start_another()
            self._unfinished += 1
        self._calls.put(call)

    def _start_another(self) -> None:
        # A daemon: one that hangs in a name look-up must not keep the process from ending.
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no room for another one; those that are there do the work
            if not self._threads:
                raise
        else:
            self._threads += 1

    def close(self) -> None:
        """Let the threads end once they have nothing left to do."""
        for _unused in range(self._threads):
            self._calls.put(None)

    def _work(self) -> None:
        while call := self._calls.get():
            call()
            del call  # while this thread waits, nothing of the batch is to stay because of it
            with self._lock:
                self._unfinished -= 1


class Calls:
    """The calls of one batch. What an earlier batch left behind, when time ran out, does not come here."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._ended: queue.SimpleQueue = queue.SimpleQueue()
        self.in_flight = 0

    def start(self, task: Any, call: Callable[[], Any]) -> None:
        """Have ``call`` made for ``task``."""
        self.in_flight += 1
        self._workers.submit(lambda: self._ended.put(_made(task, call)))

    def have_ended(self) -> bool:
        """Whether there is a call that has ended and was not asked for yet."""
        return not self._ended.empty()

    def next(self, timeout: float) -> Done | None:
        """The next call that ends, or None when none does within the time (seconds)."""
        try:
            done = self._ended.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None
        self.in_flight -= 1
        return done


def _made(task: Any, call: Callable[[], Any]) -> Done:
    began, result, error = time.monotonic(), None, None
    try:
        result = call()
    # Whatever it is, it is this call's failure; the batch decides what follows from it.
    except Exception as exc:
        error = exc
    return Done(task, result, error, time.monotonic() - began)
