# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One batch on its way: what may be begun when, and where it ends.

Every record before the *cut* is to be audited and announced. A failure moves the cut to its record, and what lies
behind the cut is left to Lambda, which delivers it again. Notifications wait for the *front*: all records before it are
audited. So nothing is announced that is not audited, and nothing from a failed audit on. Changes of one item go one
after the other, all others side by side. The threads only make calls; everything is decided here, in one of them.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from .announcing import MODES, Parcel
from .audit import LAYOUTS, AuditObject
from .change import Change, prepare
from .order import InOrder
from .outcome import Failure, Outcome, failure
from .transport import TransportError
from .workers import Calls, Done

if TYPE_CHECKING:
    from .processor import Processor

#: Calls begun for each thread: the one that it makes, and one that waits, so that it is never idle.
_AHEAD = 2
#: How long calls behind the cut are waited for, when all before it is done (seconds).
_DRAIN_SECONDS = 1.0
_AUDITED, _FINISHED = 1, 2


class Clock:
    """When the work on a batch has to end; moments of time.monotonic()."""

    def __init__(self, remaining_ms: int) -> None:
        now, remaining = time.monotonic(), remaining_ms / 1000
        # A tenth is left for what hangs and for the answer; no more than two seconds.
        work = remaining - min(2.0, remaining / 10)
        #: Objects of many changes are begun when all are prepared, so that must not take all the time.
        self.prepare_until = now + work * 0.5
        #: Objects get three quarters, so that what is audited can be announced before the end.
        self.audit_until, self.until = now + work * 0.75, now + work
        #: By then such calls have timed out, unless they hang in a name look-up.
        self.audit_wait_until, self.wait_until = now + work * 0.8, now + (work + remaining) / 2


class Run:
    """The work on one batch."""

    def __init__(self, processor: Processor, records: list[Any], numbers: list[str], clock: Clock) -> None:
        settings = processor.settings
        self._processor, self._settings, self._transport = processor, settings, processor.transport
        self._records, self._numbers, self._clock = records, numbers, clock
        self._layout = LAYOUTS[settings.layout](settings.prefix)
        self._announcer = MODES[settings.notification_mode](settings)
        self._calls = Calls(processor.workers)
        self._most_open = _AHEAD * settings.concurrency
        self._objects: InOrder[AuditObject] = InOrder()
        self._parcels: InOrder[Parcel] = InOrder()
        self._open_objects = self._open_parcels = 0  # begun, or waiting for others of their items
        self._changes: list[Change] = []  # those prepared so far
        self._complete = False  # whether all are that are to be
        self._audits_over = False
        self._state = bytearray(len(records))
        self._told = 0  # so many of the changes the announcer has
        self._outbox: deque[Parcel] = deque()
        # How far all are audited, how far all are finished, and where the work ends.
        self._front, self._finished, self._cut = 0, 0, len(records)
        self._outcome = Outcome()

    def go(self) -> Outcome:
        """Do it all, or as much as can be done."""
        while self._begin_what_can_be():
            done = self._calls.next(self._wait_until() - time.monotonic())
            if done is None:
                if self._audits_over or self._is_finished():
                    break
                # Objects hang. What is audited before them can still be announced.
                self._audits_over = True
                self._out_of_time(self._front)
            elif isinstance(done.task, AuditObject):
                self._written(done)
            else:
                self._published(done)
        # Normally there is nothing left; what is, for whatever reason, is never passed off as done.
        if not self._is_finished():
            self._out_of_time(self._finished)
        return self._summed_up()

    def _begin_what_can_be(self) -> bool:
        """Whether there is anything to wait for then."""
        while len(self._changes) < self._cut and self._open_objects < self._most_open:
            self._prepare(len(self._changes))
        if len(self._changes) >= self._cut and not self._complete:
            self._complete = True
            self._begin_objects(self._layout.rest())
        self._announce()
        return self._calls.in_flight > 0

    def _is_finished(self) -> bool:
        while self._finished < self._cut and self._state[self._finished] == _FINISHED:
            self._finished += 1
        return self._finished >= self._cut and not self._open_parcels

    def _wait_until(self) -> float:
        if self._is_finished():
            return min(time.monotonic() + _DRAIN_SECONDS, self._clock.wait_until)
        return self._clock.wait_until if self._audits_over else self._clock.audit_wait_until

    def _prepare(self, position: int) -> None:
        number = self._numbers[position]
        until = self._clock.prepare_until if self._layout.in_bulk else self._clock.audit_until
        if time.monotonic() >= until:
            self._out_of_time(position)
            return
        change = prepare(position, self._records[position], number, self._settings, self._processor.rules)
        if isinstance(change, Failure):
            self._fail(position, change)
            return
        self._changes.append(change)
        if change.audited is None:
            self._is_audited(change)
            return
        try:
            objects = self._layout.add(change)
        except Exception as exc:
            self._fail(position, failure(number, "audit", exc))
        else:
            self._begin_objects(objects)

    # --- audit

    def _begin_objects(self, objects: list[AuditObject]) -> None:
        for each in objects:
            self._open_objects += 1
            if self._objects.add(each, each.items):
                self._begin_object(each)

    def _begin_object(self, each: AuditObject) -> None:
        self._calls.start(each, lambda: self._write(each))

    def _write(self, each: AuditObject) -> bool | None:
        """In a thread: whether the object was written or there already; None when it need not be any more."""
        if each.first >= self._cut:
            return None
        bucket, until = self._settings.bucket, self._clock.audit_until
        return self._transport.put_object_if_absent(bucket, each.key, each.body(), each.content_type, until)

    def _written(self, done: Done) -> None:
        self._open_objects -= 1
        if done.error is None and done.result is None:
            return
        self._count_call("s3", done)
        first, changes = done.task.first, done.task.changes
        if done.error:
            self._fail(first, failure(self._numbers[first], "audit", done.error))
            return
        if done.result:
            self._outcome.audited += len(changes)
        else:
            self._outcome.already_there += len(changes)
        for change in changes:
            self._is_audited(change)
        for freed in self._objects.done(done.task):
            self._begin_object(freed)

    def _is_audited(self, change: Change) -> None:
        self._state[change.position] = _FINISHED if change.notified is None else _AUDITED

    # --- announcement

    def _announce(self) -> None:
        """Send what is audited without a gap, no more at a time than there are threads for.

        Making the messages of a large batch takes a while, so it stops when there is something to be taken in.
        """
        while self._front < self._cut and self._state[self._front]:
            self._front += 1
        self._send()
        while self._has_room() and self._told < min(self._cut, len(self._changes)):
            change = self._changes[self._told]
            if not self._may_be_told(change):
                break
            if time.monotonic() >= self._clock.until:
                self._out_of_time(self._told)
                break
            self._tell(change)
            self._send()
        if self._complete and self._told >= self._cut:
            self._outbox += self._announcer.rest()
            self._send()

    def _has_room(self) -> bool:
        return len(self._outbox) + self._open_parcels < self._most_open and not self._calls.have_ended()

    def _may_be_told(self, change: Change) -> bool:
        """Messages are made while objects are being written, where the text for them is there already."""
        return bool(self._state[change.position]) or (self._announcer.ahead and bool(change.spelt))

    def _tell(self, change: Change) -> None:
        self._told += 1
        if change.notified is None:
            return
        try:
            self._outbox += self._announcer.add(change)
        except Exception as exc:
            self._fail(change.position, failure(self._numbers[change.position], "notify", exc))

    def _send(self) -> None:
        while self._outbox and self._front >= min(self._outbox[0].last + 1, self._cut):
            parcel = self._outbox.popleft()
            self._open_parcels += 1
            if self._parcels.add(parcel, parcel.items):
                self._begin_parcel(parcel)

    def _begin_parcel(self, each: Parcel) -> None:
        self._calls.start(each, lambda: self._publish(each))

    def _publish(self, each: Parcel) -> list[TransportError | None]:
        """In a thread: SNS's answer to each part that is still before the cut. What is not, comes last."""
        messages = [part.message for part in each.parts if part.last < self._cut]
        return self._transport.publish(self._settings.topic_arn, messages, self._clock.until) if messages else []

    def _published(self, done: Done) -> None:
        self._open_parcels -= 1
        parts = done.task.parts
        if done.error or done.result:
            self._count_call("sns", done)
        if done.error:
            self._fail(parts[0].first, failure(self._numbers[parts[0].first], "notify", done.error))
        for part, error in zip(parts, done.result or (), strict=False):
            if error:
                self._fail(part.first, failure(self._numbers[part.first], "notify", error))
                continue
            self._outcome.notified += len(part.changes)
            self._outcome.claim_checked += part.claim_check
            for change in part.changes:
                self._state[change.position] = _FINISHED
        for freed in self._parcels.done(done.task):
            self._begin_parcel(freed)

    # --- the end

    def _fail(self, position: int, why: Failure) -> None:
        """What counts is the failure of the lowest record: it and all behind it come again."""
        if position < self._cut:
            self._cut, self._outcome.failure = position, why

    def _out_of_time(self, position: int) -> None:
        if position < self._cut:
            self._fail(position, failure(self._numbers[position], "deadline", TransportError("OutOfTime")))

    def _count_call(self, service: str, done: Done) -> None:
        self._outcome.calls[service] += 1
        self._outcome.seconds[service] += done.seconds

    def _summed_up(self) -> Outcome:
        outcome = self._outcome
        for change in self._changes[: self._cut]:
            outcome.events[change.event_name] += 1
            outcome.expired += change.expired
            outcome.replayed += change.replayed
            outcome.filtered += change.audited is None and change.notified is None and not change.replayed
        outcome.undone = self._numbers[self._cut :]
        return outcome
