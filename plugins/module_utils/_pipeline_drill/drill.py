# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The phases of a failure drill. Between them the play sets the function's configuration and redrives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from .._pipeline_verify.api import AuditLog, Cloud, Function, Table
from .._pipeline_verify.clock import Clock
from .._pipeline_verify.deciding import Rules
from .._pipeline_verify.items import AUDIT, check_attributes, item_keys
from .._pipeline_verify.temporary import Identity, remove_leftovers
from ..aws import AnsibleAWSError, InputError
from .api import Alarms, AlarmTopic, FailureBucket, FailureQueue, StreamEnd
from .changes import (
    AWKWARD,
    HEALTHY,
    Trace,
    check_audited,
    drill_items,
    judge_failing,
    judge_recovered,
    others,
    plan,
    poison_of,
    token_of,
)
from .failure_records import FailureRecord
from .scene import (
    DRILL_ID,
    DrillScene,
    Options,
    check_alarms,
    check_environment,
    check_mapping,
    failure_destination,
    look,
)
from .watching import Watch

#: SQS wants a second between a queue's creation and its use.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
_QUEUE_PAUSE = 1
#: How long after the repair a change may still be between two tries of Lambda, on top of the batching window (seconds).
_RETRY_PAUSE = 60
#: Failure records are dated in milliseconds and AWS's time is known in whole seconds.
_MARGIN = timedelta(seconds=2)
#: How far S3's time may be from that of the drill's start.
_CLOCKS = timedelta(minutes=1)
#: Durations of the report, each from one moment to another.
_DURATIONS = (
    ("to_destination", "written", "destination"),
    ("to_alarm", "written", "alarm"),
    ("to_recovery", "written", "recovered"),
    ("to_quiet_alarm", "written", "quiet"),
    ("total", "begun", "ended"),
)


class Drill:
    """One phase of a drill. ``drill`` is what the next phase, and the report, need to know; it holds no item data."""

    def __init__(self, cloud: Cloud, options: Options, clock: Clock) -> None:
        self._cloud, self._options, self._clock = cloud, options, clock
        self._table = Table(cloud, options.table_name)
        self._audit = AuditLog(cloud, options.audit_bucket)
        self._alarms = Alarms(cloud)
        self._topic = AlarmTopic(cloud, options.alarm_topic_arn)
        self.drill: dict[str, Any] = dict(options.drill)
        self.cleanup_problems: list[str] = []

    def run(self) -> str:
        """The phase that the options name; says what came out. An error leaves nothing of the drill behind."""
        phases = {"prepare": self.prepare, "fail": self.fail, "recover": self.recover, "clean": self.clean}
        phase = phases[self._options.phase]
        try:
            phase()
        except BaseException:
            self._tidy()
            raise
        return self._message()

    # The phases.

    def preview(self) -> str:
        """Check mode: what a drill would do. Writes nothing."""
        scene, inserts, _removes = self._ready()
        failing = sum(trace.part != HEALTHY for trace in inserts)
        return (
            f"Would insert {len(inserts)} item(s) into the table {scene.stream.table_name}, let {failing} of these "
            f"changes fail (drill_mode {self._options.mode}) and await them in {scene.destination_arn}, then redrive "
            "them and remove the items. All that a drill reads can be read."
        )

    def prepare(self) -> None:
        """Refuse what cannot be drilled; then open the queue that the alarm's message is to come to."""
        scene, inserts, _removes = self._ready()
        arn = scene.queue_arn(self.drill["id"])
        remove_leftovers(self._topic, self._table, scene, self._clock)
        identity = Identity(scene.stream.table_name, self.drill["id"], len(inserts), AWKWARD)
        self.drill["queue_arn"] = arn
        self.drill["queue_url"] = self._topic.create_queue(arn, identity.tags)
        self.drill["subscription_arn"] = self._topic.subscribe(arn)
        self._clock.pause(_QUEUE_PAUSE)

    def fail(self) -> None:
        """Make the changes, and see them come to the failure destination and set off the alarm."""
        scene = self._look()
        found = self._environment().get(DRILL_ID)
        if found != self.drill["id"]:
            raise InputError(
                f"The function's DRILL_ID is {found}, not {self.drill['id']}: it is not set up for this drill."
            )
        inserts, _removes = self._planned(scene)
        watch = self._watch(scene, inserts)
        destination = failure_destination(self._cloud, scene, self._options)
        watch.stream.open()
        for trace in inserts:
            self._clock.check()
            self._table.insert(trace.change.item, self.drill["id"])
        self._moment("written")
        try:
            self._see_failing(watch, destination)
        finally:
            self._note(inserts, watch.records)

    def recover(self) -> None:
        """After the redrive: every change is processed, the items go, and all is as it was before the drill."""
        scene = self._look()
        inserts, removes = self._planned(scene)
        destination = failure_destination(self._cloud, scene, self._options)
        delivered = [FailureRecord.from_told(told) for told in self.drill["failure_records"]]
        recovery = self._watch(scene, inserts)
        if self._await_recovery(recovery, delivered, scene.window_seconds):
            self._moment("recovered")
            self._await(lambda: not _ours(inserts, destination.look(self._started)))
        watch = self._watch(scene, removes)
        watch.stream.open()
        for trace in removes:
            self._clock.check()
            self._table.remove(trace.change.item.keys, self.drill["id"])
        self._await(watch.all_audited)
        kept = _ours(inserts, destination.look(self._started))
        self.drill["problems"] += {**recovery.damaged, **watch.damaged}.values()
        self._judge_recovery(scene, inserts, removes, kept, delivered)
        if not self.drill["problems"]:
            self._await_quiet_alarm()
        self._end(inserts, delivered)

    def clean(self) -> None:
        """After a drill that broke off: remove what it made, and say what became of its changes."""
        self.drill["problems"].append("The drill broke off")
        delivered = [FailureRecord.from_told(told) for told in self.drill["failure_records"]]
        inserts: list[Trace] = []
        try:
            if "written" in self.drill["moments"]:
                scene = look(self._cloud, self._options, self._clock)
                inserts, _removes = self._planned(scene)
                self._watch(scene, inserts).look()
                kept = _ours(inserts, failure_destination(self._cloud, scene, self._options).look(self._started))
                self._tell_lost(inserts, kept)
        except (AnsibleAWSError, InputError) as exc:  # the rest must still be removed
            self.drill["problems"].append(str(exc))
        self._end(inserts, delivered)

    def _end(self, inserts: list[Trace], delivered: list[FailureRecord]) -> None:
        self._tidy()
        self.drill["cleaned"] = not self.cleanup_problems
        self.drill["problems"] += self.cleanup_problems
        self._moment("ended")
        self._note(inserts, delivered)

    # Before the first write.

    def _ready(self) -> tuple[DrillScene, list[Trace], list[Trace]]:
        """The pipeline and the changes to come. Everything that can be refused is refused here."""
        options = self._options
        scene = look(self._cloud, options, self._clock)
        check_mapping(scene.mapping, scene.destination_arn, options.mode)
        check_environment(self._environment())
        self._begin(scene)
        inserts, removes = self._planned(scene)
        check_audited(inserts, scene.mapping["UUID"])
        self.drill["token"] = token_of(poison_of([trace.change.item for trace in inserts]))
        failure_destination(self._cloud, scene, options).look(self._started)
        StreamEnd(self._cloud, scene.stream.stream_arn).open()
        check_alarms(self._alarms.describe(options.arrived_alarm, options.destination_alarm), options)
        for name in (options.arrived_alarm, options.destination_alarm):
            if not self._await(lambda name=name: self._alarms.state(name) != "ALARM"):
                raise InputError(
                    f"The alarm {name} is in ALARM, and still was after {options.timeout} s, so it could not be seen "
                    "going off: changes of others have failed. Remove their cause, run playbooks/redrive.yml, and "
                    "drill again when the alarm is OK."
                )
        self.drill["started"] = _iso(self._clock.utc() - _MARGIN)
        return scene, inserts, removes

    def _begin(self, scene: DrillScene) -> None:
        self.drill = {
            "id": secrets.token_hex(8),
            "mode": self._options.mode,
            "items": self._options.healthy_items + 1,
            "key_schema": [list(key) for key in scene.stream.key_schema],
            "started": _iso(self._clock.utc() - _MARGIN),
            "destination": scene.destination_arn,
            "changes": [],
            "failure_records": [],
            "other_changes": 0,
            "dropped": [],
            "left": [],
            "problems": [],
            "undelivered": False,
            "moments": {},
            "durations": {},
            "cleaned": False,
        }
        self._moment("begun")

    def _look(self) -> DrillScene:
        scene = look(self._cloud, self._options, self._clock)
        check_mapping(scene.mapping, scene.destination_arn, self.drill["mode"])
        return scene

    def _environment(self) -> dict[str, str]:
        function = Function(self._cloud, self._options.function_name, self._options.qualifier)
        return function.environment().get("Variables") or {}

    def _planned(self, scene: DrillScene) -> tuple[list[Trace], list[Trace]]:
        stream, drill = scene.stream, self.drill
        attributes = check_attributes(self._options.item_attributes, stream.key_schema)
        items = drill_items(stream, drill["id"], drill["items"], attributes)
        rules = Rules(self._options.rules, [name for name, _kind in stream.key_schema])
        inserts, removes = plan(drill["mode"], items, stream, scene.patterns, self._clock.utc(), rules)
        for trace, told in zip(inserts, drill["changes"], strict=False):  # none yet before the phase fail
            trace.take(told)
        return inserts, removes

    def _watch(self, scene: DrillScene, traces: list[Trace]) -> Watch:
        stream = StreamEnd(self._cloud, scene.stream.stream_arn)
        return Watch(self._audit, stream, self._options.audit_prefix, traces, self._started - _CLOCKS)

    # While it fails.

    def _see_failing(self, watch: Watch, destination: FailureQueue | FailureBucket) -> None:
        options, drill = self._options, self.drill
        failing = [trace for trace in watch.traces if trace.part != HEALTHY]
        healthy = [trace for trace in watch.traces if trace.part == HEALTHY]

        def settled() -> bool:
            watch.look()
            drill["undelivered"] = self._alarms.state(options.destination_alarm) == "ALARM"
            watch.records = _ours(watch.traces, destination.look(self._started))
            there = all(trace.covered(watch.records) for trace in failing)
            return drill["undelivered"] or (there and all(trace.audited for trace in healthy))

        arrived = self._await(settled) and not drill["undelivered"]
        if arrived:
            self._moment("destination")
            self._see_alarm()
        # Once more: what should not come has had its time.
        watch.look()
        found = destination.look(self._started)
        watch.records = _ours(watch.traces, found)
        drill["other_changes"] = others(watch.traces, found)
        if drill["undelivered"]:
            drill["problems"].append(
                f"The alarm {options.destination_alarm} went off: Lambda could not deliver a failure record to "
                f"{drill['destination']}"
            )
        elif not arrived:
            drill["problems"].append(f"Not all that was awaited came within {options.timeout} s")
        drill["problems"] += judge_failing(watch.traces, watch.records) + list(watch.damaged.values())

    def _see_alarm(self) -> None:
        """Its state, and its message on the alarm topic. The queue is left alone meanwhile, so its depth is right."""
        name, seen = self._options.arrived_alarm, {"state": False, "message": False}

        def gone_off() -> bool:
            seen["state"] |= self._alarms.state(name) == "ALARM"
            for message in self._topic.alarm_messages(self.drill["queue_url"]):
                seen["message"] |= message.get("AlarmName") == name and message.get("NewStateValue") == "ALARM"
            return all(seen.values())

        if self._await(gone_off):
            self._moment("alarm")
            return
        if not seen["state"]:
            self.drill["problems"].append(f"The alarm {name} did not go off within {self._options.timeout} s")
        if not seen["message"]:
            topic = self._options.alarm_topic_arn
            self.drill["problems"].append(f"No message of the alarm {name} came out of {topic}")

    # After the redrive.

    def _await_recovery(self, watch: Watch, delivered: list[FailureRecord], window_seconds: int) -> bool:
        """Whether every change was processed; those that Lambda has dropped are not awaited for long."""
        if not self.drill["undelivered"]:
            return self._await(watch.all_audited)
        self._await(lambda: watch.all_audited(delivered))
        return self._await(watch.all_audited, min(self._options.timeout, window_seconds + _RETRY_PAUSE))

    def _judge_recovery(
        self,
        scene: DrillScene,
        inserts: list[Trace],
        removes: list[Trace],
        kept: list[FailureRecord],
        delivered: list[FailureRecord],
    ) -> None:
        now = self._clock.utc()
        faults = {trace.name: trace.faults(scene.stream, self._started, now) for trace in inserts + removes}
        lost = self._tell_lost(inserts, kept)
        judged = [trace for trace in inserts if trace.part == HEALTHY or trace.covered(delivered)]
        problems = judge_recovered(judged, lost, faults)
        for trace in removes:
            if trace.change.awaited(AUDIT) and not trace.audited:
                problems.append(f"{trace.name}, after the drill, was not processed")
            problems += [f"{trace.name}: {fault}" for fault in faults[trace.name]]
        if kept and not lost:
            names = ", ".join(record.name for record in kept)
            problems.append(f"{self.drill['destination']} still holds failure records of the drill: {names}")
        self.drill["problems"] += problems

    def _tell_lost(self, inserts: list[Trace], kept: list[FailureRecord]) -> list[Trace]:
        """Name the changes that were not processed: those that a failure record keeps, and those that none does."""
        lost = [trace for trace in inserts if not trace.audited]
        left = [trace for trace in lost if trace.covered(kept)]
        dropped = [trace for trace in lost if trace not in left]
        self.drill["left"] = [trace.told() for trace in left]
        self.drill["dropped"] = [trace.told() for trace in dropped]
        if left:
            names = ", ".join(record.name for record in kept)
            self.drill["problems"].append(
                f"Not recovered, and still in {self.drill['destination']} ({names}): {_names(left)}; run "
                "playbooks/redrive.yml"
            )
        if dropped:
            self.drill["problems"].append(f"Dropped, with no failure record that names it: {_names(dropped)}")
        return lost

    def _await_quiet_alarm(self) -> None:
        name = self._options.arrived_alarm
        if self._await(lambda: self._alarms.state(name) != "ALARM"):
            self._moment("quiet")
        else:
            self.drill["problems"].append(
                f"The alarm {name} is still in ALARM {self._options.timeout} s after the redrive"
            )

    # What the phases share.

    @property
    def _started(self) -> datetime:
        return datetime.strptime(self.drill["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)

    def _message(self) -> str:
        problems = self.drill["problems"]
        if problems:
            return f"The drill {self.drill['id']} has failed. {'. '.join(problems)}."
        words = {
            "prepare": "is prepared",
            "fail": "has seen its changes fail, their failure records arrive and the alarm go off",
            "recover": "is passed: every change was recovered, and nothing of the drill remains",
            "clean": "is over",
        }
        return f"The drill {self.drill['id']} {words[self._options.phase]}."

    def _await(self, holds: Callable[[], bool], seconds: float | None = None) -> bool:
        """Whether it came to hold in the time of one wait."""
        deadline = self._clock.now() + (self._options.timeout if seconds is None else seconds)
        while not holds():
            if self._clock.now() >= deadline:
                return False
            self._clock.pause(self._options.poll_interval)
        return True

    def _moment(self, name: str) -> None:
        """Phases are processes of one machine, so its own time tells how long they took."""
        moments = self.drill["moments"]
        moments[name] = time.time()
        spans = {told: (moments.get(begin), moments.get(end)) for told, begin, end in _DURATIONS}
        self.drill["durations"] = {
            told: round(end - begin, 1) for told, (begin, end) in spans.items() if None not in (begin, end)
        }

    def _note(self, inserts: list[Trace], records: list[FailureRecord]) -> None:
        self.drill["changes"] = [trace.told() for trace in inserts]
        self.drill["failure_records"] = [record.told() for record in records]

    def _tidy(self) -> None:
        """Remove items, queue and subscription, as far as they are there; what cannot be is said."""
        self._attempt("the drill's items", self._remove_items)
        self._attempt("the temporary queue with its subscription", self._remove_queue)

    def _attempt(self, what: str, removal: Callable[[], None]) -> None:
        try:
            removal()
        except Exception as exc:  # whatever it is, the rest must still be removed
            self.cleanup_problems.append(f"{what} could not be removed: {exc}")

    def _remove_items(self) -> None:
        """What is somebody else's under these keys stays."""
        if self._options.phase == "prepare":
            return
        schema = [tuple(each) for each in self.drill["key_schema"]]
        for number in range(self.drill["items"]):
            self._table.clear(item_keys(schema, self.drill["id"], number, AWKWARD), self.drill["id"])

    def _remove_queue(self) -> None:
        if not self.drill.get("queue_url"):
            return
        arn = self.drill.get("subscription_arn")
        for each in [arn] if arn else self._topic.subscriptions(self.drill["queue_arn"]):
            self._topic.unsubscribe(each)
        self._topic.delete_queue(self.drill["queue_url"])


def _ours(traces: list[Trace], records: list[FailureRecord]) -> list[FailureRecord]:
    return [record for record in records if any(record.covers(trace.shard_id, trace.number) for trace in traces)]


def _names(traces: list[Trace]) -> str:
    return ", ".join(trace.name for trace in traces)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
