# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One replay: read the log, choose, send or compare."""

from __future__ import annotations

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .._history.baselines import manifest_key
from .._history.changes import EVENT_NAMES, Change, iso
from .._history.delivery import Delivery, Unit
from .._history.items import Items, Start
from .._history.store import Store
from .._history.targets import FunctionTarget, QueueTarget, TableTarget, TopicTarget
from .._pipeline_redrive.progress import Progress
from .._pipeline_verify.clock import Clock
from ..aws import InputError
from .api import Cloud, Functions, Table
from .at_scale import AtScale, Executions, request
from .cost import estimate
from .log import Log
from .options import FILE, FUNCTION, QUEUE, STATES, TABLE, TOPIC, VERIFY, Options
from .state import State
from .tables import TargetTable, check_keys, key_schema
from .verifying import Verification

#: Failing changes and differing items that are told one by one; all are counted.
MOST_TOLD = 1000


class Replay:
    """The whole of it. :meth:`report` is right at any time, also when :meth:`run` ends in an error."""

    def __init__(self, options: Options, cloud: Cloud, clock: Clock, progress: Progress, state: State) -> None:
        self._options, self._cloud, self._clock = options, cloud, clock
        self._progress, self._state = progress, state
        self._begun = clock.now()
        self._store: Store = cloud.store(options.bucket)
        self._log = Log(options, self._store, clock, self._say)
        self._table: TargetTable | None = None
        self._delivery: Delivery | None = None
        self._verification: Verification | None = None
        self._scale: AtScale | None = None
        self._in_aws = False
        self._marker: dict[str, str] = {}
        self._finished = False
        self._written = False
        self._errors: list[dict[str, Any]] = []
        self.error_file: str | None = None

    # --- what it was asked for

    @property
    def changed(self) -> bool:
        """Whether anything was sent or written."""
        sent = self._delivery is not None and self._delivery.batches > 0
        created = self._table is not None and self._table.created
        return created or sent or self._written or bool(self._scale and self._scale.started)

    def run(self) -> None:
        """Do it; InputError before anything is written when it cannot be done."""
        options = self._options
        self._take_up()
        if self._state.end is not None:
            self._finished = True
            return
        self._check_target()
        if options.target not in STATES:
            self._log.begin()
        # One that was begun goes on where it was begun, also when the log has been compacted or has grown since.
        header = self._state.header
        self._in_aws = bool(header.get("at_scale")) if header else self._is_for_scale()
        if self._in_aws and not options.dry_run:
            self._at_scale()
        elif options.target == VERIFY:
            self._verify()
        elif options.target == TABLE:
            self._write_table()
        elif options.dry_run:
            for _change in self._log.changes():
                pass
        elif options.target == FILE:
            self._write_file()
        else:
            self._send()
        self._finished = True

    def _take_up(self) -> None:
        """Begin, or go on where an earlier run of this id stopped."""
        options, log, now = self._options, self._log, self._clock.utc().replace(microsecond=0)
        replay_id = options.replay_id or f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._state.load(f"{options.table_name}-{replay_id}")
        header = self._state.header
        if log.until and log.until > now + timedelta(minutes=1):
            raise InputError(f"to ({iso(log.until)}) is in the future. It is {iso(now)} now.")
        if log.since and log.since > now:
            raise InputError(f"from ({iso(log.since)}) is in the future. It is {iso(now)} now.")
        if header is None:
            log.until = log.until or now
            self._marker = {"id": replay_id, "time": iso(now)}
            return
        if header["asked"] != json.loads(json.dumps(options.fingerprint())):
            changed = [name for name, value in options.fingerprint().items() if header["asked"].get(name) != value]
            raise InputError(
                f"Replay {header['id']} was begun with other options ({', '.join(changed)}), so it cannot be continued "
                "with these. Give those of then, or another replay_id."
            )
        if log.until and iso(log.until) != header["to"]:
            raise InputError(
                f"Replay {header['id']} was begun with to {header['to']}. Give that, or another replay_id."
            )
        self._marker = {"id": header["id"], "time": header["time"]}
        log.until = datetime.fromisoformat(header["to"])

    def _begin(self) -> None:
        asked = self._options.fingerprint()
        self._state.begin({**self._marker, "asked": asked, "to": iso(self._log.until), "at_scale": self._in_aws})

    def _say(self, change: Change) -> None:
        if not self._progress.due:
            return
        sent = sum(self._delivery.counts.values()) if self._delivery else 0
        seconds = self._clock.now() - self._begun
        whole = (self._log.until - self._log.since).total_seconds() or 1
        share = (datetime.fromisoformat(change.time) - self._log.since).total_seconds() / whole
        left = f", about {seconds * (1 - share) / share:.0f} s left" if share > 0.01 and seconds > 1 else ""
        count = sum(self._log.selected.values())
        self._progress.say(
            f"read {count} changes, up to {change.time}, {count / max(seconds, 0.001):.0f}/s; sent {sent}{left}"
        )

    # --- where to

    def _check_target(self) -> None:
        options, there = self._options, Functions(self._cloud)
        missing = None
        if options.target == FUNCTION and not there.function(options.function_name, options.qualifier):
            missing = f"function {options.function_name}{':' + options.qualifier if options.qualifier else ''}"
        elif options.target == QUEUE and not there.queue(options.queue_url):
            missing = f"queue {options.queue_url}"
        elif options.target == TOPIC and not there.topic(options.topic_arn):
            missing = f"topic {options.topic_arn}"
        elif options.target == FILE and Path(options.path).is_dir():
            raise InputError(f"path must name a file, and {options.path} is a folder. Nothing was written.")
        if missing:
            raise InputError(f"There is no {missing} to replay to. Nothing was sent.")

    def _send(self) -> None:
        options = self._options
        if options.target == FUNCTION:
            target = FunctionTarget(
                self._cloud.sender("lambda"),
                options.function_name,
                options.qualifier,
                options.batch_size,
                self._marker,
                options.notify,
            )
        elif options.target == QUEUE:
            target = QueueTarget(self._cloud.sender("sqs"), options.queue_url, options.bucket, self._marker)
        else:
            target = TopicTarget(self._cloud.sender("sns"), options.topic_arn, options.bucket, self._marker)
        units = (target.unit(change, _at(change)) for change in self._log.changes())
        self._deliver(target, units)

    def _deliver(self, target: Any, units: Iterator[Unit]) -> None:
        options = self._options
        self._begin()
        self._delivery = Delivery(
            target,
            options.concurrency,
            self._state,
            self._state.positions,
            rate=options.rate,
            timeout=options.timeout,
            check=self._clock.check,
            on_failure=self._note_error,
        )
        self._delivery.run(units)
        if not self._delivery.failing and not self._log.findings.count:
            self._state.finish({"counts": dict(self._delivery.counts), "bytes": self._delivery.bytes})

    def _note_error(self, unit: Unit, error_type: str, text: str) -> None:
        if text and len(self._errors) < MOST_TOLD:
            self._errors.append({**unit.told, "error_type": error_type, "error_message": text})

    def _write_file(self) -> None:
        """All or nothing: another file of the name is replaced at the end."""
        path = Path(self._options.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for change in self._log.changes():
                    file.write(change.line + b"\n")
            if not self._log.findings.count:
                new.replace(path)
                self._written = True
        finally:
            new.unlink(missing_ok=True)

    # --- in AWS

    def _is_for_scale(self) -> bool:
        """Whether there are more objects than one machine is asked to read, and the state machine can do it."""
        options = self._options
        if not options.at_scale or options.dry_run or options.limit or options.target in (VERIFY, FILE):
            return False
        return self._log.holds_more_than(options.at_scale_objects)

    def _at_scale(self) -> None:
        options, log, baseline = self._options, self._log, None
        if options.target == TABLE:
            self._check_table()
            complete = log.complete_at(log.until)
            log.since = complete.start
            # By its name: an execution takes 256 KiB, and a manifest may name many objects.
            baseline = manifest_key(options.prefix, complete.baseline["id"]) if complete.baseline else None
        self._begin()
        if self._table:
            self._table.make(self._marker["id"], self._clock.pause)
        executions = Executions(self._cloud("stepfunctions"), options.at_scale)
        self._scale = AtScale(executions, self._store, self._clock, self._progress, self._marker["id"])
        self._scale.run(request(options, self._marker, log.since, log.until, baseline))
        if self._scale.result.get("complete"):
            self._state.finish({"counts": self._scale.result["sent"], "bytes": self._scale.result["bytes"]})

    # --- states

    def _write_table(self) -> None:
        log = self._log
        self._check_table()
        items, start = self._items()
        if log.findings.count:
            raise InputError(
                f"The log cannot be read whole, so the state at {iso(log.until)} cannot be told: "
                f"{' '.join(log.findings.sentences()[:10])} Nothing was written."
            )
        if self._options.dry_run:
            for item in items.all(start):
                self._verification.take_history(item)
            return
        self._begin()
        self._table.make(self._marker["id"], self._clock.pause)
        target = TableTarget(self._cloud.sender("dynamodb"), self._options.target_table)

        def units() -> Iterator[Unit]:
            for item in items.all(start):
                self._verification.take_history(item)
                if item.state is not None:
                    yield target.unit(item)

        self._deliver(target, units())

    def _check_table(self) -> None:
        self._table = TargetTable(self._cloud, self._options)
        self._table.check(begun=self._state.header is not None)

    def _items(self) -> tuple[Items, Start]:
        """All items of the log, whose histories are going to be looked at."""
        self._verification = Verification(self._options.differences_file)
        return self._log.items()

    def _verify(self) -> None:
        options = self._options
        table = Table(self._cloud, options.table_name)
        described = table.describe()
        if not described:
            raise InputError(f"There is no table {options.table_name} to compare with.")
        self._clock.follow(described)
        begun = self._log.until = self._clock.utc().replace(microsecond=0)
        schema = key_schema(described)
        check_keys(options, schema)
        names = tuple(name for name, _kind in schema)
        # What is changed from here on is in flight: it is read again at the end.
        items, start = self._items()
        if options.dry_run:
            for item in items.all(start):
                self._verification.take_history(item)
            return
        log = self._log
        self._verification.compare(
            items, start, table, names, options, self._clock, self._say_scan, log.later_changes(begun), log.items_again
        )

    def _say_scan(self, count: int) -> None:
        self._progress.say(f"compared with {count} items of the table")

    # --- what came of it

    def complete(self) -> bool:
        """Whether all that was asked for was done, and nothing was wrong."""
        delivery, verification = self._delivery, self._verification
        if not self._finished or self._log.findings.count:
            return False
        if self._scale:
            return bool(self._scale.result.get("complete"))
        if delivery and (delivery.failing or delivery.held):
            return False
        return verification is None or verification.agrees()

    def report(self) -> dict[str, Any]:
        """What the module returns."""
        delivery, log, findings = self._delivery, self._log, self._log.findings
        counts = delivery.counts if delivery else Counter()
        if self._state.end:
            counts = Counter(self._state.end.get("counts", {}))
        failing = delivery.failing if delivery else []
        report = {
            "replay_id": self._marker.get("id"),
            "complete": self.complete(),
            "message": self.message(),
            "from": iso(log.since) if log.since else None,
            "to": iso(log.until) if log.until else None,
            "counts": {
                "selected": sum(log.selected.values()),
                **{name.lower(): log.selected[name] for name in EVENT_NAMES},
                "bytes": log.selected_bytes,
                "sent": sum(counts.values()),
                "skipped": delivery.skipped if delivery else 0,
                "failing": len(failing),
                "held_back": delivery.held if delivery else 0,
                "duplicates": log.duplicates,
                "objects": log.objects,
                "other_tables": log.others,
            },
            "failing": failing[:MOST_TOLD],
            "damaged": [{"key": key, "reason": reason} for key, reason in findings.damaged.items()],
            "foreign": findings.foreign,
            "conflicting": [list(pair) for pair in findings.conflicting],
            "calls": log.calls,
            "cost": estimate(self._options, log.selected, log.selected_bytes, log.calls, self._states()),
            "duration": round(self._clock.now() - self._begun, 1),
        }
        if self._verification:
            report["states"] = self._verification.report()
        return report | self._scale.report(report["counts"]) if self._scale else report

    def _states(self) -> int:
        return self._verification.existing if self._verification else 0

    def message(self) -> str:
        """What came of it, in a sentence."""
        options, delivery = self._options, self._delivery
        if self._state.end is not None:
            return f"Replay {self._marker['id']} was complete before: {self._state.end.get('counts')}."
        if self._scale:
            return self._scale.message(options.target, "items" if options.target == TABLE else "changes")
        selected = sum(self._log.selected.values())
        findings = self._log.findings.count
        wrong = f" {findings} objects of the log cannot be used." if findings else ""
        if options.target == VERIFY and self._verification:
            return self._verification.message() + wrong
        if options.dry_run:
            what = f"{selected} changes would be replayed."
            if options.target == TABLE:
                what = f"{self._states()} items would be written, as {selected} changes left them."
            return what + wrong
        if options.target == FILE:
            done = (
                f"{selected} changes written to {options.path}." if not findings else f"{options.path} was not written."
            )
            return done + wrong
        if not delivery:
            return f"Nothing was sent.{wrong}"
        what = "items" if options.target == TABLE else "changes"
        sent = f"{sum(delivery.counts.values())} {what} sent to the {options.target}"
        left = f"; {len(delivery.failing)} failing, {delivery.held} held back behind them" if delivery.failing else ""
        gaps = ""
        if self._verification and not self._verification.agrees():
            gaps = f" {self._verification.message()}"
        return f"{sent}{left}.{gaps}{wrong}"

    def write_errors(self) -> None:
        """The function's own words, which may hold item data, into a file of their own."""
        path = self._options.error_file
        if not path or self._options.dry_run:
            return
        Path(path).unlink(missing_ok=True)
        if self._errors:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(json.dumps(each) + "\n" for each in self._errors)
            self.error_file = path


def _at(change: Change) -> bytes:
    """Its place among all changes of the log: the hour, the stream, the number."""
    return change.time[:13].encode() + b" " + change.place
