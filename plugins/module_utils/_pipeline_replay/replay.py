# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One replay: read the log, choose, send or compare."""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .._change_rules.change import Change as RuleChange
from .._change_rules.expression import compile_expression
from .._change_rules.values import EvaluationError, is_true
from .._history.baselines import manifest_key, read_journal, read_manifests, snapshot_items
from .._history.changes import Change, iso
from .._history.completeness import Completeness, completeness
from .._history.delivery import Delivery, Stopped, Unit
from .._history.items import Items, Start, key_digest
from .._history.reader import Reader, covering_prefixes
from .._history.store import Store
from .._history.targets import FunctionTarget, QueueTarget, TableTarget, TopicTarget
from .._pipeline_redrive.progress import Progress
from .._pipeline_verify.clock import Clock
from ..aws import InputError
from .api import Cloud, Functions, Table
from .at_scale import AtScale, Executions
from .cost import estimate
from .options import FILE, FUNCTION, QUEUE, STATES, TABLE, TOPIC, VERIFY, Options
from .state import State
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
        self._reader = Reader(self._store, options.prefix, check=clock.check)
        self._selected: Counter[str] = Counter()
        self._selected_bytes = 0
        self._others = 0
        self._delivery: Delivery | None = None
        self._verification: Verification | None = None
        self._scale: AtScale | None = None
        self._in_aws = False
        self._since, self._until = options.since, options.until
        self._marker: dict[str, str] = {}
        self._finished = False
        self._created = self._written = False
        self._errors: list[dict[str, Any]] = []
        self._completeness: Completeness | None = None
        self.error_file: str | None = None

    # --- what it was asked for

    @property
    def changed(self) -> bool:
        """Whether anything was sent or written."""
        sent = self._delivery is not None and self._delivery.batches > 0
        return self._created or sent or self._written or bool(self._scale and self._scale.started)

    def run(self) -> None:
        """Do it; InputError before anything is written when it cannot be done."""
        options = self._options
        self._take_up()
        if self._state.end is not None:
            self._finished = True
            return
        self._check_target()
        if self._since is None and options.target not in STATES:
            self._since = self._reader.begin()
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
            for _change in self._changes():
                pass
        elif options.target == FILE:
            self._write_file()
        else:
            self._send()
        self._finished = True

    def _take_up(self) -> None:
        """Begin, or go on where an earlier run of this id stopped."""
        options, now = self._options, self._clock.utc().replace(microsecond=0)
        replay_id = options.replay_id or f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        self._state.load(f"{options.table_name}-{replay_id}")
        header = self._state.header
        if self._until and self._until > now + timedelta(minutes=1):
            raise InputError(f"to ({iso(self._until)}) is in the future. It is {iso(now)} now.")
        if self._since and self._since > now:
            raise InputError(f"from ({iso(self._since)}) is in the future. It is {iso(now)} now.")
        if header is None:
            self._until = self._until or now
            self._marker = {"id": replay_id, "time": iso(now)}
            return
        if header["asked"] != json.loads(json.dumps(options.fingerprint())):
            changed = [name for name, value in options.fingerprint().items() if header["asked"].get(name) != value]
            raise InputError(
                f"Replay {header['id']} was begun with other options ({', '.join(changed)}), so it cannot be continued "
                "with these. Give those of then, or another replay_id."
            )
        if self._until and iso(self._until) != header["to"]:
            raise InputError(
                f"Replay {header['id']} was begun with to {header['to']}. Give that, or another replay_id."
            )
        self._marker = {"id": header["id"], "time": header["time"]}
        self._until = datetime.fromisoformat(header["to"])

    def _begin(self) -> None:
        asked = self._options.fingerprint()
        self._state.begin({**self._marker, "asked": asked, "to": iso(self._until), "at_scale": self._in_aws})

    # --- what is in the log

    def _changes(self) -> Iterator[Change]:
        """The changes that are asked for, in order."""
        if self._since is None:
            return
        wanted = self._filter()
        found = (change for change in self._reader.changes(self._since, self._until) if wanted(change))
        for change in itertools.islice(found, self._options.limit or None):
            self._selected[change.event_name] += 1
            self._selected_bytes += len(change.line)
            self._say(change)
            yield change

    def _filter(self) -> Callable[[Change], bool]:
        options = self._options
        digest = key_digest(options.keys) if options.keys else None
        evaluate = compile_expression(options.match) if options.match else None

        def wanted(change: Change) -> bool:
            if change.envelope["table"] != options.table_name:
                self._others += 1
                return False
            if options.event_names and change.event_name not in options.event_names:
                return False
            if digest is not None and key_digest(change.keys) != digest:
                return False
            try:
                return evaluate is None or is_true(evaluate(RuleChange(change.envelope)))
            except EvaluationError as exc:
                number = change.envelope["sequenceNumber"]
                raise Stopped(f"match cannot be asked of change {number} in {change.source}: {exc}.") from exc

        return wanted

    def _say(self, change: Change) -> None:
        if not self._progress.due:
            return
        sent = sum(self._delivery.counts.values()) if self._delivery else 0
        seconds = self._clock.now() - self._begun
        whole = (self._until - self._since).total_seconds() or 1
        share = (datetime.fromisoformat(change.time) - self._since).total_seconds() / whole
        left = f", about {seconds * (1 - share) / share:.0f} s left" if share > 0.01 and seconds > 1 else ""
        count = sum(self._selected.values())
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
        units = (target.unit(change, _at(change)) for change in self._changes())
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
        if not self._delivery.failing and not self._reader.findings.count:
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
                for change in self._changes():
                    file.write(change.line + b"\n")
            if not self._reader.findings.count:
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
        since = self._since or self._reader.begin()
        if since is None:
            return False
        prefixes = covering_prefixes(since, self._until, options.prefix)
        found = itertools.chain.from_iterable(map(self._store.list, prefixes))
        return next(itertools.islice(found, options.at_scale_objects, None), None) is not None

    def _at_scale(self) -> None:
        options, baseline = self._options, None
        if options.target == TABLE:
            schema = self._check_table()
            complete = self._complete_at(self._until)
            self._since = complete.start
            # By its name: an execution takes 256 KiB, and a manifest may name many objects.
            baseline = manifest_key(options.prefix, complete.baseline["id"]) if complete.baseline else None
        self._begin()
        if options.target == TABLE:
            self._make_table(schema)
        request = {
            "replay": self._marker,
            "table_name": options.table_name,
            "from": iso(self._since),
            "to": iso(self._until),
            "target": self._scale_target(),
            "event_names": list(options.event_names),
            "keys": options.keys,
            "match": options.match,
            "baseline": baseline,
            "rate": options.rate,
            "timeout": options.timeout,
        }
        executions = Executions(self._cloud("stepfunctions"), options.at_scale)
        self._scale = AtScale(executions, self._store, self._clock, self._progress, self._marker["id"])
        self._scale.run({name: value for name, value in request.items() if value not in (None, [])})
        if self._scale.result.get("complete"):
            self._state.finish({"counts": self._scale.result["sent"], "bytes": self._scale.result["bytes"]})

    def _scale_target(self) -> dict[str, Any]:
        options = self._options
        target: dict[str, Any] = {"kind": options.target}
        if options.target == FUNCTION:
            target |= {"function_name": options.function_name, "batch_size": options.batch_size}
            target |= {"qualifier": options.qualifier} if options.qualifier else {}
            return target | ({"notify": True} if options.notify else {})
        if options.target == TABLE:
            return target | {"table": options.target_table}
        name = "queue_url" if options.target == QUEUE else "topic_arn"
        return target | {name: getattr(options, name)}

    # --- states

    def _write_table(self) -> None:
        options = self._options
        schema = self._check_table()
        items, start = self._items()
        if self._reader.findings.count:
            raise InputError(
                f"The log cannot be read whole, so the state at {iso(self._until)} cannot be told: "
                f"{' '.join(self._reader.findings.sentences()[:10])} Nothing was written."
            )
        if options.dry_run:
            for item in items.all(start):
                self._note_item(item)
            return
        self._begin()
        self._make_table(schema)
        target = TableTarget(self._cloud.sender("dynamodb"), options.target_table)

        def units() -> Iterator[Unit]:
            for item in items.all(start):
                self._note_item(item)
                if item.state is not None:
                    yield target.unit(item)

        self._deliver(target, units())

    def _make_table(self, schema: tuple[tuple[str, str], ...]) -> None:
        table = Table(self._cloud, self._options.target_table)
        if schema:
            table.create(schema, {"cloudcdc:replay": self._marker["id"]})
            self._created = True
        # An earlier run of this replay may have ended before it was made.
        table.wait(self._clock.pause)

    def _note_item(self, item: Any) -> None:
        self._verification.take_history(item)

    def _items(self) -> tuple[Items, Any]:
        """All items of the log up to the time that is asked for, with where they begin."""
        options = self._options
        self._completeness = self._complete_at(self._until)
        start = items_start(self._completeness)
        self._since = self._completeness.start
        self._verification = Verification(options.differences_file)
        items = Items()
        digest = key_digest(options.keys) if options.keys else None
        baseline = self._completeness.baseline
        for keys, item in snapshot_items(self._store, baseline) if baseline else ():
            self._clock.check()
            if digest is None or key_digest(keys) == digest:
                items.add_snapshot(keys, item)
        for change in self._changes():
            if change.event_name != "REMOVE" and change.image is None:
                raise InputError(
                    f"{change.source} has a change without its new image: the stream's view type was not "
                    "NEW_AND_OLD_IMAGES then, so the state of items cannot be told from the log."
                )
            items.add_change(change)
        return items, start

    def _complete_at(self, moment: datetime) -> Completeness:
        journal = read_journal(self._store, self._options.prefix)
        of_table = [each for each in journal if each["tableArn"].endswith(f":table/{self._options.table_name}")]
        if journal and not of_table:
            raise InputError(
                f"The log in {self._options.bucket} below {self._options.prefix} is not of a table "
                f"{self._options.table_name}, by its journal. Nothing was written."
            )
        manifests = read_manifests(self._store, self._options.prefix)
        found = completeness(of_table, manifests, moment, self._clock.utc())
        if not found.complete:
            raise InputError(
                f"The log does not tell the state of all items at {iso(moment)}: {' '.join(found.reasons)} "
                "Nothing was written. playbooks/baseline.yml makes a log complete from now on."
            )
        return found

    def _check_table(self) -> tuple[tuple[str, str], ...]:
        """The key schema to create the target with; nothing when it is there. InputError when it cannot be used."""
        options = self._options
        source = Table(self._cloud, options.table_name).describe()
        wanted = _schema(source) if source else options.key_schema
        if not wanted:
            raise InputError(
                f"The table {options.table_name} does not exist any more, so its key schema has to be given: "
                "hash_key_name, hash_key_type and, if it has one, range_key_name, range_key_type."
            )
        self._check_keys(wanted)
        found = Table(self._cloud, options.target_table).describe()
        if not found:
            return wanted
        # By another name: DynamoDB takes a table's ARN for its name.
        if source and source["Table"]["TableArn"] == found["Table"]["TableArn"]:
            raise InputError(
                f"target_table must not be the table that the changes are of, and {options.target_table} is "
                f"{options.table_name}. Nothing was written."
            )
        if _schema(found) != wanted:
            raise InputError(
                f"The table {options.target_table} has the key schema {_spelt(_schema(found))}, and the changes are of "
                f"items with {_spelt(wanted)}. Give a table with that key schema, or a name of which there is none. "
                "Nothing was written."
            )
        if self._state.header is None and not Table(self._cloud, options.target_table).is_empty():
            raise InputError(
                f"The table {options.target_table} holds items already, so it would not become what "
                f"{options.table_name} was. Give an empty table, or a name of which there is none. Nothing was written."
            )
        return ()

    def _check_keys(self, schema: tuple[tuple[str, str], ...]) -> None:
        """InputError when no item of a table with this key schema has the keys that are asked for."""
        keys = self._options.keys
        if keys and {name: next(iter(value)) for name, value in keys.items()} != dict(schema):
            given = tuple((name, next(iter(value))) for name, value in keys.items())
            raise InputError(
                f"keys must be those of the table {self._options.table_name}, {_spelt(schema)}, not {_spelt(given)}."
            )

    def _verify(self) -> None:
        options = self._options
        table = Table(self._cloud, options.table_name)
        described = table.describe()
        if not described:
            raise InputError(f"There is no table {options.table_name} to compare with.")
        self._clock.follow(described)
        self._until = self._clock.utc().replace(microsecond=0)
        schema = _schema(described)
        self._check_keys(schema)
        names = tuple(name for name, _kind in schema)
        begun = self._until
        # What is changed from here on is in flight: it is read again at the end.
        items, start = self._items()
        if options.dry_run:
            for item in items.all(start):
                self._note_item(item)
            return
        later = self._later_changes(begun)
        self._verification.compare(
            items, start, table, names, options, self._clock, self._say_scan, later, self._items_again
        )

    def _items_again(self, digests: set[bytes]) -> Items:
        """All that the log has of these items by now."""
        items, baseline = Items(), self._completeness.baseline
        for keys, item in snapshot_items(self._store, baseline) if baseline else ():
            if key_digest(keys) in digests:
                items.add_snapshot(keys, item)
        reader = Reader(self._store, self._options.prefix, check=self._clock.check)
        for change in reader.changes(self._since, self._clock.utc() + timedelta(minutes=5)):
            if change.envelope["table"] == self._options.table_name and key_digest(change.keys) in digests:
                items.add_change(change)
        return items

    def _later_changes(self, begun: datetime) -> Callable[[], Iterator[Change]]:
        """Reads again what was changed since a little before the comparison began, of this table."""

        def changes() -> Iterator[Change]:
            reader = Reader(self._store, self._options.prefix, check=self._clock.check)
            end = self._clock.utc() + timedelta(minutes=5)
            for change in reader.changes(begun - timedelta(minutes=5), end):
                if change.envelope["table"] == self._options.table_name:
                    yield change

        return changes

    def _say_scan(self, count: int) -> None:
        self._progress.say(f"compared with {count} items of the table")

    # --- what came of it

    def complete(self) -> bool:
        """Whether all that was asked for was done, and nothing was wrong."""
        delivery, verification = self._delivery, self._verification
        if not self._finished or self._reader.findings.count:
            return False
        if self._scale:
            return bool(self._scale.result.get("complete"))
        if delivery and (delivery.failing or delivery.held):
            return False
        return verification is None or verification.agrees()

    def report(self) -> dict[str, Any]:
        """What the module returns."""
        delivery, findings = self._delivery, self._reader.findings
        counts = delivery.counts if delivery else Counter()
        if self._state.end:
            counts = Counter(self._state.end.get("counts", {}))
        failing = delivery.failing if delivery else []
        report = {
            "replay_id": self._marker.get("id"),
            "complete": self.complete(),
            "message": self.message(),
            "from": iso(self._since) if self._since else None,
            "to": iso(self._until) if self._until else None,
            "counts": {
                "selected": sum(self._selected.values()),
                **{name.lower(): self._selected[name] for name in ("INSERT", "MODIFY", "REMOVE")},
                "bytes": self._selected_bytes,
                "sent": sum(counts.values()),
                "skipped": delivery.skipped if delivery else 0,
                "failing": len(failing),
                "held_back": delivery.held if delivery else 0,
                "duplicates": self._reader.duplicates,
                "objects": self._reader.objects,
                "other_tables": self._others,
            },
            "failing": failing[:MOST_TOLD],
            "damaged": [{"key": key, "reason": reason} for key, reason in findings.damaged.items()],
            "foreign": findings.foreign,
            "conflicting": [list(pair) for pair in findings.conflicting],
            "calls": dict(sorted(self._store.calls.items())),
            "cost": estimate(self._options, self._selected, self._selected_bytes, self._store.calls, self._states()),
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
        selected = sum(self._selected.values())
        findings = self._reader.findings.count
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


def items_start(found: Completeness) -> Start:
    """Where the items begin of a log that is complete so."""
    return Start(snapshot_until=found.baseline["end"]) if found.baseline else Start(empty=True)


def _schema(described: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    table = described["Table"]
    kinds = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    keys = sorted(table["KeySchema"], key=lambda each: each["KeyType"])  # HASH, RANGE
    return tuple((each["AttributeName"], kinds[each["AttributeName"]]) for each in keys)


def _spelt(schema: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in schema)
