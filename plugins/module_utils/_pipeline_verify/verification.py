# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One verification: look around, write changes, wait for the evidence, clean up, judge."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from .._history.objects import PER_CHANGE, DamagedObject, ObjectName, hours, read_envelopes, read_name
from ..aws import InputError
from . import checks as evidence
from .api import Metrics
from .checks import Check
from .clock import Clock
from .deciding import Rules
from .digest import read_digest
from .envelope import read_message
from .items import AUDIT, NOTIFICATION, Change, check_attributes, large_pad, make_items, plan_changes
from .judging import Judge, mapping_words
from .ledger import DIGEST, Ledger
from .scene import Options, Rooms, Scene, look_around
from .temporary import Identity, Inbox, Writer, remove_leftovers

#: SQS wants a second between a queue's creation and its use.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_QUEUE_PAUSE = 1
#: How far before the start and after now the log's hours are looked at, should clocks differ.
_MARGIN = timedelta(minutes=1)
#: How long a change that must not come is awaited, on top of the mapping's batching window (seconds).
_ABSENCE_SECONDS = 5
#: How many audit objects a look reads at most, so that the queue does not wait; the next look goes on.
_READS_A_LOOK = 100
#: How often a look asks the queue for more: other traffic may never let it run empty.
_RECEIVES_A_LOOK = 50


class Verification:
    """The whole of it. ``cleanup_problems`` says what could not be removed, also when :meth:`run` ends in an error."""

    def __init__(self, rooms: Rooms, metrics: Metrics, options: Options, clock: Clock) -> None:
        self._rooms, self._metrics, self._options, self._clock = rooms, metrics, options, clock
        count = options.items + options.large_item
        self._identity = Identity(options.table_name, secrets.token_hex(8), count, options.awkward_keys)
        self.cleanup_problems: list[str] = []

    def preview(self) -> dict[str, Any]:
        """Check mode: what a run would do. Writes nothing."""
        scene, ledger = self._prepare()
        awaited = len(ledger.expected())
        message = (
            f"Would insert, modify and remove {self._identity.items} item(s) in table {scene.stream.table_name} and "
            f"await {awaited} of {len(ledger.traces)} changes. All that a run reads can be read."
        )
        checks = [self._configuration_check(), Check("mapping", True, mapping_words(scene.mapping))]
        return {"message": message, "checks": _told(checks), "changes": [], "latency": {}, "run_id": ""}

    def run(self) -> tuple[bool, dict[str, Any]]:
        """Whether the pipeline is proven, and the report."""
        scene, ledger = self._prepare()
        start = self._clock.utc()
        deadline = self._prove(scene, ledger, start)
        judge = Judge(scene, self._rooms, self._metrics, self._options, self._clock, ledger)
        checks = [self._configuration_check(), *judge.checks(start, deadline)]
        made = "items, queue and subscription are removed"
        checks.append(evidence.judged("cleanup", self.cleanup_problems, made))
        proven, message = evidence.summary(ledger, checks, judge.where_to_look)
        return proven, {
            "message": message,
            "checks": _told(checks),
            "changes": [ledger.change_report(trace, start, self._clock.utc()) for trace in ledger.traces],
            "latency": ledger.latency(),
            "run_id": ledger.run_id,
        }

    def _configuration_check(self) -> Check:
        """What look_around saw of it: a run does not begin on a function that is configured otherwise."""
        if self._options.function_environment is None:
            return Check("configuration", None, "left out: no function_environment is given")
        return Check("configuration", True, f"the environment of {self._options.function_name} is the inventory's")

    def _prepare(self) -> tuple[Scene, Ledger]:
        """The pipeline, and the changes to be made. Everything that can be refused is refused here."""
        options, identity = self._options, self._identity
        scene = look_around(self._rooms, options, self._clock)
        stream, limit = scene.stream, options.notification_max_bytes
        attributes = check_attributes(options.item_attributes, stream.key_schema)
        pad = large_pad(stream.view_type, limit, attributes) if options.large_item else 0
        items = make_items(stream.key_schema, identity.run_id, options.items, options.awkward_keys, attributes, pad)
        rules = Rules(options.rules, [name for name, _kind in stream.key_schema])
        digested = options.notification_mode == DIGEST
        now = self._clock.utc()
        changes = plan_changes(items, stream, scene.patterns, None if digested else limit, now, rules)
        check_expected(changes, scene.mapping["UUID"])
        notified = options.notification_mode if options.change_topic_arn else None
        return scene, Ledger(identity.run_id, changes, stream, options.audit_bucket, options.audit_prefix, notified)

    def _prove(self, scene: Scene, ledger: Ledger, start: datetime) -> float:
        """Make the changes and wait for them; gives the deadline. Whatever happens, what was made is removed."""
        rooms, run_id = self._rooms, self._identity.run_id
        inbox, writer = Inbox(rooms.topic, scene.queue_arn(run_id)), Writer(rooms.table, run_id)
        try:
            remove_leftovers(rooms.topic, rooms.table, scene, self._clock)
            inbox.open(self._identity.tags)
            self._clock.pause(_QUEUE_PAUSE if rooms.topic else 0)
            for trace in ledger.traces:
                self._clock.check()
                writer.write(trace.change)
                trace.written_at = self._clock.now()
            deadline = self._clock.now() + self._options.timeout
            self._wait(Watch(rooms, inbox, ledger, self._clock, start), deadline, scene.window_seconds)
        finally:
            self.cleanup_problems += writer.clean_up() + inbox.clean_up()
        return deadline

    def _wait(self, watch: Watch, deadline: float, window_seconds: int) -> None:
        ledger, interval = watch.ledger, self._options.poll_interval
        watch.look()
        while not ledger.complete() and self._clock.now() < deadline:
            if ledger.missing(NOTIFICATION) and self._rooms.topic:
                watch.look(interval)  # the queue does the waiting
            else:
                self._clock.pause(interval)
                watch.look()
        if ledger.complete() and ledger.unwanted():
            # They were written before the last change that came, but a batch of their own may be on its way.
            self._clock.pause(window_seconds + _ABSENCE_SECONDS)
            watch.look(thorough=True)


def check_expected(changes: list[Change], uuid: str) -> None:
    """InputError when no change is to be in the audit log for certain: then nothing could be proven."""
    if not any(change.expected for change in changes):
        raise InputError(
            f"The filters of the event source mapping {uuid} let none of the test changes through for certain, so "
            "nothing could be proven; give item_attributes that they let through."
        )
    if not any(change.awaited(AUDIT) for change in changes):
        raise InputError(
            "The rules let none of the test changes into the audit log for certain, so nothing could be proven; give "
            "item_attributes of a change that they let into it."
        )


class Watch:
    """Brings what the queue and the audit log have to the ledger."""

    def __init__(self, rooms: Rooms, inbox: Inbox, ledger: Ledger, clock: Clock, start: datetime) -> None:
        self.ledger = ledger
        self._audit, self._inbox, self._clock, self._start = rooms.audit, inbox, clock, start
        #: Names of audit objects: asked for because a notification told of them; read; found and still to be read.
        self._asked: set[str] = set()
        self._read: set[str] = set()
        self._found: dict[str, ObjectName] = {}

    def look(self, wait_seconds: int = 0, thorough: bool = False) -> None:
        """Take in what is there now; wait so long for a first message. ``thorough`` leaves no object for later."""
        self._receive(wait_seconds)
        # An audit object is there before the notification that tells of it, so asking once is enough.
        for key in self.ledger.audit_keys_to_read():
            if key not in self._asked | self._read:
                self._asked.add(key)
                self._take(key)
        if self._objects_matter():
            self._list()
            self._take_found(None if thorough else _READS_A_LOOK)

    def _receive(self, wait_seconds: int) -> None:
        for turn in range(_RECEIVES_A_LOOK):
            self._clock.check()
            messages = self._inbox.receive(0 if turn else wait_seconds)
            for message in messages:
                self._take_message(message)
            if not messages:
                return

    def _take_message(self, received: dict[str, Any]) -> None:
        if self.ledger.digested:
            digest = read_digest(received, self.ledger.stream.stream_arn)
            if digest:
                self.ledger.take_digest(digest, self._clock.now())
        else:
            message = read_message(received)
            if message:
                self.ledger.take_message(message, self._clock.now())

    def _objects_matter(self) -> bool:
        return bool(self.ledger.missing(AUDIT) or self.ledger.unwanted())

    def _list(self) -> None:
        for hour in hours(self._start - _MARGIN, self._clock.utc() + _MARGIN, self.ledger.prefix):
            self._clock.check()
            for key in self._audit.find(hour, self._may_hold):
                name = read_name(key)
                if name and key not in self._read:
                    self._found[key] = name

    def _may_hold(self, name: ObjectName, written: datetime) -> bool:
        """Whether a change of the run can be in the object."""
        if name.layout == PER_CHANGE:
            return name.hash in self.ledger.hashes
        return written >= self._start - _MARGIN

    def _take_found(self, most: int | None) -> None:
        """Read what was found, the likeliest first, as long as it matters."""
        numbers = self.ledger.numbers_to_find()

        def unlikely(key: str) -> bool:
            name = self._found[key]
            return name.layout != PER_CHANGE and not any(name.covers(number) for number in numbers)

        for key in sorted(self._found, key=unlikely)[:most]:
            if not self._objects_matter():
                return
            self._clock.check()
            self._take(key)

    def _take(self, key: str) -> None:
        self._found.pop(key, None)
        body = self._audit.read(key)
        if body is None:
            return
        self._read.add(key)
        try:
            self.ledger.take_audit(key, read_envelopes(key, body), self._clock.now())
        except DamagedObject as exc:
            self.ledger.take_damaged(exc)


def _told(checks: list[Check]) -> list[dict[str, Any]]:
    return [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks]
