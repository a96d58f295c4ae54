# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where failure records lie: a queue that hides what it handed out for a while, or a bucket."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from .._pipeline_verify.clock import Clock
from .api import VISIBILITY_SECONDS, Bucket, Queue
from .progress import Progress

#: A queue is dry when it answered so often with nothing; each of these looks asks all of SQS's servers.
_EMPTY_LOOKS = 3
_LOOK_SECONDS = 1
#: How long another run's messages are waited for: if it was killed, they are back by then.
_PATIENCE_SECONDS = VISIBILITY_SECONDS + 30
_READERS = 8


class QueueSource:
    """The failure queue. What was read stays hidden from others until it is deleted or given back."""

    def __init__(self, queue: Queue, clock: Clock, progress: Progress) -> None:
        self._queue, self._clock, self._progress = queue, clock, progress
        self._handles: dict[str, str] = {}
        self._extend_at: dict[str, float] = {}

    def read(self, wait_for_others: bool) -> dict[str, str]:
        """Every message, by its id.

        A run that works at the same time has some of them. Two runs that share the changes of an item could not keep
        its order, so each gives way until it has the queue for itself.
        """
        deadline = self._clock.now() + _PATIENCE_SECONDS
        while True:
            messages = self._receive_all()
            others = self._queue.in_flight() - len(self._handles)
            if others <= 0 or not wait_for_others or self._clock.now() >= deadline:
                return messages
            self.give_back_all()
            self._wait_for_others(deadline)

    def read_again(self, message_id: str) -> str | None:
        raise KeyError(message_id)  # a message has no payload that could have been let go

    def tick(self) -> None:
        """Keep what was read hidden for longer, where it is time."""
        now = self._clock.now()
        due = [each for each, moment in self._extend_at.items() if moment <= now]
        self._queue.set_visibility([self._handles[each] for each in due], VISIBILITY_SECONDS)
        self._extend_at.update(dict.fromkeys(due, now + VISIBILITY_SECONDS / 2))

    def give_back(self, message_ids: Iterable[str]) -> None:
        self._queue.set_visibility(self._let_go(message_ids), 0)

    def give_back_all(self) -> None:
        self.give_back(list(self._handles))

    def delete(self, message_ids: Iterable[str]) -> list[str]:
        """Gives those that are deleted now."""
        handles = {each: self._handles[each] for each in message_ids if each in self._handles}
        kept = self._queue.delete(handles.values())
        deleted = [each for each, handle in handles.items() if handle not in kept]
        self._let_go(deleted)
        return deleted

    def _let_go(self, message_ids: Iterable[str]) -> list[str]:
        known = [each for each in message_ids if each in self._handles]
        for each in known:
            del self._extend_at[each]
        return [self._handles.pop(each) for each in known]

    def _receive_all(self) -> dict[str, str]:
        messages: dict[str, str] = {}
        empty = 0
        while empty < _EMPTY_LOOKS:
            self._clock.check()
            received = self._queue.receive(_LOOK_SECONDS)
            empty = 0 if received else empty + 1
            now = self._clock.now()
            for message in received:
                messages[message["MessageId"]] = message["Body"]
                self._handles[message["MessageId"]] = message["ReceiptHandle"]
                self._extend_at[message["MessageId"]] = now + VISIBILITY_SECONDS / 2
            self._progress.say(f"{len(messages)} messages read")
            self.tick()
        return messages

    def _wait_for_others(self, deadline: float) -> None:
        while self._clock.now() < deadline:
            self._clock.pause(random.uniform(0.5, 4))  # so that two runs that gave way do not meet again
            others = self._queue.in_flight()
            if others <= 0:
                return
            self._progress.say(f"waiting for {others} messages that another run has")


class BucketSource:
    """The failure bucket. An object that another run deleted meanwhile is simply gone."""

    def __init__(self, bucket: Bucket, clock: Clock, progress: Progress) -> None:
        self._bucket, self._clock, self._progress = bucket, clock, progress

    def read(self, wait_for_others: bool) -> dict[str, str]:
        keys, texts = self._bucket.keys(), {}
        with ThreadPoolExecutor(_READERS) as readers:
            for start in range(0, len(keys), 10 * _READERS):
                self._clock.check()
                some = keys[start : start + 10 * _READERS]
                found = zip(some, readers.map(self._bucket.read, some), strict=True)
                texts.update({key: text for key, text in found if text is not None})
                self._progress.say(f"{len(texts)} of {len(keys)} objects read")
        return texts

    def read_again(self, key: str) -> str | None:
        return self._bucket.read(key)

    def tick(self) -> None:
        """Nothing to keep."""

    def give_back(self, keys: Iterable[str]) -> None:
        """Nothing was taken."""

    def give_back_all(self) -> None:
        """Nothing was taken."""

    def delete(self, keys: Iterable[str]) -> list[str]:
        """Gives those that are deleted now: all."""
        keys = list(keys)
        self._bucket.delete(keys)
        return keys
