# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The run of a baseline: looks, refuses, scans, and commits with the manifest.

A change after the watermark is in the log, since the mapping was enabled before; what was changed before it is in the
scan. So the state at a time after the scan is an item's last change since the watermark, or else what the scan has.
"""

from __future__ import annotations

import json
import secrets
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .._history import baselines
from .._history.completeness import completeness, iso, log_faults, moment
from .._history.objects import DamagedObject
from .._pipeline_redrive.progress import Progress
from .._pipeline_verify.clock import Clock
from ..aws import InputError
from ..event_source_mapping import same_function
from .api import Mappings, Objects, Table
from .options import Options
from .pacing import Limit, Pace, units_of
from .scanning import Plan, Scan, Segment

BEGIN_SCHEMA = "cloudcdc.baseline-begin/1"
#: A change's time and this run's are from two clocks of AWS.
_MARGIN = timedelta(seconds=5)
#: The scan may have ended so much later than it seems.
_END_MARGIN = timedelta(seconds=2)
#: What began earlier is begun anew: the stream forgets after 24 hours, so what failed since then may be lost by now.
_RESUMABLE = timedelta(hours=24)
#: An older entry of the journal is repeated where a lifecycle deletes the log.
_FRESH = timedelta(days=1)
_ENABLED = ("Enabled", "Updating")
_LEAST_UNITS = 1.0


class Ended(Exception):
    """Another segment failed."""


@dataclass(frozen=True)
class Scene:
    """What the run found, all of it as it must be."""

    table: dict[str, Any]
    journal: list[dict[str, Any]]

    @property
    def identity(self) -> dict[str, Any]:
        """The names by which a baseline and an entry of the journal are told to be of this stream."""
        return {"tableId": self.table.get("TableId"), "streamArn": self.table["LatestStreamArn"]}

    @property
    def settled(self) -> datetime:
        """From when on the log is complete for certain."""
        newest = self.journal[-1]
        return moment(newest.get("settled") or newest["since"])


class Baseline:
    """One run."""

    def __init__(
        self, options: Options, table: Table, mappings: Mappings, objects: Objects, clock: Clock, progress: Progress
    ) -> None:
        self._options, self._table, self._mappings, self._objects = options, table, mappings, objects
        self._clock, self._progress, self._began = clock, progress, clock.now()
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._begin: dict[str, Any] = {}
        self._segments: list[Segment] = []
        self._manifest: dict[str, Any] | None = None
        self._estimate: dict[str, Any] | None = None
        self._units = 0.0
        self._items = 0
        self._dry = self.resumed = self.changed = False

    def run(self, dry: bool) -> None:
        """InputError when it cannot be; by then nothing is written, or what is written is no baseline."""
        self._dry = dry
        scene = self._look()
        self._choose(scene)
        if self._manifest:
            return
        self._estimate = self._estimated(scene.table)
        if dry:
            self.changed = True
            return
        if not self.resumed:
            self._start(scene)
        self.changed = True
        self._scan(scene)
        self._commit()

    def report(self) -> dict[str, Any]:
        told = self._manifest or self._begin
        done = self._manifest or {}
        return {
            "message": self.message(),
            "baseline_id": told.get("id"),
            "resumed": self.resumed,
            "committed": bool(self._manifest),
            "watermark": told.get("watermark"),
            "end": done.get("end"),
            "item_count": done.get("items", sum(each.items for each in self._segments)),
            "bytes": done.get("bytes", sum(each.bytes for each in self._segments)),
            "objects": len(done["objects"]) if done else sum(len(each.objects) for each in self._segments),
            "read_capacity": round(self._units, 1),
            "estimate": self._estimate,
            "duration": round(self._clock.now() - self._began, 1),
        }

    def message(self) -> str:
        if self._manifest:
            items, end = self._manifest["items"], self._manifest["end"]
            return (
                f"The baseline {self._manifest['id']} has {items} item{'' if items == 1 else 's'}: the log tells the "
                f"state of the table from {end} on."
            )
        if not self._estimate:
            return "No baseline was begun."
        if self._dry:
            told = self._estimate
            about = f"about {told['item_count']} items and {told['read_capacity']} units of read capacity"
            return (
                f"Would go on with the baseline {self._begin['id']}, in all {about}."
                if self._begin
                else f"Would begin a baseline of {about}."
            )
        return f"The baseline {self._begin['id']} is not complete." if self._begin else "No baseline was begun."

    def _look(self) -> Scene:
        """InputError when the live set-up would not log every change from now on."""
        name = self._options.table_name
        table = self._table.describe()
        if table is None:
            raise InputError(f"There is no table {name}.")
        stream = table.get("StreamSpecification") or {}
        view = stream.get("StreamViewType") if stream.get("StreamEnabled") else None
        found: list[str] = []
        filters = False
        if view:
            found, filters = self._mapping_problems(table["LatestStreamArn"])
        found += log_faults(view, filters, self._options.rules)
        try:
            journal = self._objects.journal()
        except DamagedObject as exc:
            raise InputError(f"The journal of the log cannot be read: {exc}.") from exc
        if journal is None:
            found.append(f"there is no audit bucket {self._objects.bucket}: run playbooks/deploy.yml")
        elif not journal:
            found.append("the log has no journal: run playbooks/deploy.yml, which begins one")
        elif not found:
            scene = Scene(table, journal)
            if any(journal[-1].get(key) != value for key, value in scene.identity.items()):
                found.append("the log's journal is about another stream of the table: run playbooks/deploy.yml")
            found += [f"the log's journal says: {reason}" for reason in journal[-1].get("reasons", [])]
        if found:
            raise InputError(
                f"A baseline of {name} would be of no use, since not every change from now on is logged whole: "
                f"{'; '.join(found)}."
            )
        return Scene(table, journal or [])

    def _mapping_problems(self, stream: str) -> tuple[list[str], bool]:
        function = self._options.function_name
        ours = [
            each for each in self._mappings.of_stream(stream) if same_function(function, each.get("FunctionArn", ""))
        ]
        if not ours:
            return [f"no event source mapping of the function {function} reads the table's stream"], False
        found = [
            f"the event source mapping {each['UUID']} is {each.get('State')}, not Enabled"
            for each in ours
            if each.get("State") not in _ENABLED
        ]
        return found, any((each.get("FilterCriteria") or {}).get("Filters") for each in ours)

    def _choose(self, scene: Scene) -> None:
        """Which baseline: the one asked for, the newest that is not complete, or a new one."""
        asked = self._options.baseline_id
        if self._options.new:
            return
        now = self._clock.utc()
        ids = [asked] if asked else self._objects.ids()
        for name in reversed(ids):
            # The name has the watermark, so older ones need not be looked at.
            if not asked and f"{now - _RESUMABLE:%Y%m%dT%H%M%SZ}" > name:
                return
            begin = self._objects.document(baselines.begin_key(self._objects.prefix, name))
            manifest = self._objects.document(baselines.manifest_key(self._objects.prefix, name))
            if asked and begin is None:
                raise InputError(f"There is no baseline {name} in s3://{self._objects.bucket}/{self._objects.prefix}.")
            if manifest is not None:
                # The newest is complete, so there is nothing to go on with.
                self._manifest = manifest if asked else None
                return
            if begin is None:
                continue
            problem = self._not_resumable(begin, scene, now)
            if not problem:
                self._begin, self.resumed = begin, True
                return
            if asked:
                raise InputError(f"The baseline {name} cannot be gone on with: {problem} Begin a new one.")

    def _not_resumable(self, begin: dict[str, Any], scene: Scene, now: datetime) -> str:
        if any(begin.get(key) != value for key, value in scene.identity.items()):
            return "it is of another stream or table."
        if now - moment(begin["watermark"]) > _RESUMABLE:
            return f"it began at {begin['watermark']}, more than 24 hours ago."
        return self._gap(begin, scene.journal, now)

    def _gap(self, begin: dict[str, Any], journal: list[dict[str, Any]], end: datetime) -> str:
        """Why the log lacks changes since the watermark; nothing when it has them all."""
        end = end.replace(microsecond=0)
        answer = completeness(journal, [{**begin, "end": iso(end)}], end, self._clock.utc())
        return "" if answer.baseline else " ".join(answer.reasons)

    def _start(self, scene: Scene) -> None:
        # A mapping or rules that were changed a moment ago may not do yet as they were told.
        settled = scene.settled + _MARGIN + timedelta(seconds=1)
        while self._clock.utc() < settled:
            self._progress.say(f"waits until {iso(settled)}, when the last deploy's changes have settled")
            self._clock.pause(min(2.0, (settled - self._clock.utc()).total_seconds()))
        watermark = self._clock.utc().replace(microsecond=0) - _MARGIN
        begin = {
            "schema": BEGIN_SCHEMA,
            "id": baselines.baseline_id(watermark, secrets.token_hex(4)),
            "table": scene.table["TableName"],
            "tableArn": scene.table["TableArn"],
            **scene.identity,
            "watermark": iso(watermark),
            "segments": self._options.segments,
            "keySchema": _key_schema(scene.table),
        }
        self._begin = begin
        newest = scene.journal[-1]
        if newest.get("expirationDays") and watermark - moment(newest["since"]) > _FRESH:
            # So that the lifecycle does not delete what the journal says before it deletes the baseline.
            repeated = {**newest, "since": iso(watermark), "continues": True}
            repeated.pop("settled", None)
            self._objects.note(repeated)
        key = baselines.begin_key(self._objects.prefix, begin["id"])
        self._objects.add(key, json.dumps(begin).encode(), "application/json")

    def _scan(self, scene: Scene) -> None:
        begin = self._begin
        prefix, name, count = self._objects.prefix, begin["id"], begin["segments"]
        for number in range(count):
            told = self._objects.document(baselines.progress_key(prefix, name, number)) if self.resumed else None
            self._segments.append(Segment.read(number, told))
        before = sum(each.items for each in self._segments)
        units, table = self._rate(scene.table), scene.table
        size = table.get("TableSizeBytes", 0) / table["ItemCount"] if table.get("ItemCount") else 0
        items = self._options.items_per_second

        def pause(seconds: float) -> None:
            if self._stop.is_set():
                raise Ended
            self._clock.pause(seconds)

        def took(count: int, _size: int, units: float) -> None:
            with self._lock:
                self._items += count
                self._units += units
                self._tell(before, table.get("ItemCount", 0))

        plan = Plan(
            name=name,
            segments=count,
            key_names=[each["name"] for each in begin["keySchema"]],
            object_bytes=self._options.object_bytes,
            units=Pace(units, self._clock.now),
            items=Pace(items, self._clock.now),
            limit=Limit(units, items, count, size),
            now=self._clock.now,
            pause=pause,
            took=took,
        )
        with ThreadPoolExecutor(count) as pool:
            runs = [pool.submit(Scan(plan, each, self._table, self._objects).run) for each in self._segments]
            try:
                done, _rest = wait(runs, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
        for run in (*done, *runs):
            failed = run.exception()
            if failed and not isinstance(failed, Ended):
                raise failed

    def _tell(self, before: int, about: int) -> None:
        seconds = self._clock.now() - self._began
        rate = self._items / seconds if seconds > 0 else 0
        left = f", about {round(max(0, about - before - self._items) / rate)} s left" if rate and about else ""
        self._progress.say(f"{before + self._items} items of about {about}, {rate:.0f}/s{left}")

    def _commit(self) -> None:
        """The manifest makes it a baseline; before that, the log must have had every change until now."""
        end = self._clock.utc().replace(microsecond=0) + _END_MARGIN + timedelta(seconds=1)
        self._clock.pause((end - self._clock.utc()).total_seconds())
        scene = self._look()
        begin = self._begin
        if problem := self._gap(begin, scene.journal, end):
            raise InputError(f"The baseline {begin['id']} is not committed: {problem} Begin a new one.")
        objects = [each for segment in self._segments for each in segment.objects]
        names = ("id", "table", "tableArn", "tableId", "streamArn", "watermark", "keySchema")
        manifest = {
            "schema": baselines.MANIFEST_SCHEMA,
            **{each: begin[each] for each in names},
            "end": iso(end),
            "items": sum(each["items"] for each in objects),
            "bytes": sum(each["bytes"] for each in objects),
            "objects": objects,
        }
        key = baselines.manifest_key(self._objects.prefix, begin["id"])
        if not self._objects.add(key, json.dumps(manifest).encode(), "application/json"):
            # Another run went on with the same baseline, to the same objects, or this one's answer was lost.
            manifest = self._objects.document(key) or manifest
        self._manifest = manifest

    def _rate(self, table: dict[str, Any]) -> float:
        """Read capacity units a second: as asked, or half of what a table has that is not paid for by request."""
        provisioned = (table.get("ProvisionedThroughput") or {}).get("ReadCapacityUnits") or 0
        return self._options.read_capacity or (max(_LEAST_UNITS, provisioned / 2) if provisioned else 0)

    def _estimated(self, table: dict[str, Any]) -> dict[str, Any]:
        """DynamoDB counts about every six hours."""
        items, size, rate = table.get("ItemCount", 0), table.get("TableSizeBytes", 0), self._rate(table)
        seconds = [units_of(size) / rate] if rate else []
        if self._options.items_per_second:
            seconds.append(items / self._options.items_per_second)
        return {
            "item_count": items,
            "bytes": size,
            "read_capacity": units_of(size),
            "read_capacity_per_second": rate,
            "seconds": round(max(seconds)) if seconds else None,
        }


def _key_schema(table: dict[str, Any]) -> list[dict[str, str]]:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    names = [each["AttributeName"] for each in table["KeySchema"]]
    return [{"name": name, "type": types[name]} for name in names]
