# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of a drill's changes, seen in the stream and in the audit log, whatever its layout."""

from __future__ import annotations

from datetime import datetime

from .._history.objects import PER_BATCH, DamagedObject, ObjectName, read_envelopes
from .._pipeline_verify.api import AuditLog
from .._pipeline_verify.items import AUDIT
from .api import StreamEnd
from .changes import HEALTHY, Trace
from .failure_records import FailureRecord


class Watch:
    """Changes of the drill, their places in the stream and their audit objects."""

    def __init__(self, audit: AuditLog, stream: StreamEnd, prefix: str, traces: list[Trace], since: datetime) -> None:
        self.stream, self.traces = stream, traces
        self._audit, self._prefix, self._since = audit, prefix, since
        self.records: list[FailureRecord] = []
        #: Audit objects that could not be read, with what is wrong with them.
        self.damaged: dict[str, str] = {}
        self._read: set[str] = set()

    def look(self) -> None:
        """Take in what is there now; where the changes are in the stream is only seen from its opening on."""
        if any(trace.number is None for trace in self.traces):
            self._find()
        for trace in self._sought():
            self._take(str(trace.own_key))
        for hour in sorted({str(trace.hour) for trace in self._sought()}):
            self._look_at_batches(hour)

    def _sought(self) -> list[Trace]:
        """The changes that may be in the audit log and were not found yet."""
        return [trace for trace in self.traces if trace.own_key and not trace.audited]

    def _look_at_batches(self, hour: str) -> None:
        """Read the hour's objects of a batch that can hold what is sought. Each is read once, since none changes."""
        sought = [trace for trace in self._sought() if trace.hour == hour]

        def may_hold(name: ObjectName, written: datetime) -> bool:
            fresh = name.layout == PER_BATCH and written >= self._since
            return fresh and any(name.covers(trace.number) for trace in sought)

        for key in self._audit.find(hour, may_hold):
            if key not in self._read:
                self._take(key)

    def _take(self, key: str) -> None:
        body = None if key in self._read else self._audit.read(key)
        if body is None:
            return
        self._read.add(key)
        try:
            held = read_envelopes(key, body)
        except DamagedObject as exc:
            self.damaged[key] = str(exc)
            return
        for trace in self.traces:
            trace.take_audit(key, held, self._prefix)

    def all_audited(self, records: list[FailureRecord] | None = None) -> bool:
        """Whether all that should be are audited; with ``records`` only those that they cover, and the healthy ones."""
        self.look()
        awaited = [trace for trace in self.traces if trace.change.awaited(AUDIT)]
        if records is not None:
            awaited = [trace for trace in awaited if trace.part == HEALTHY or trace.covered(records)]
        return all(trace.audited for trace in awaited)

    def _find(self) -> None:
        for shard_id, record in self.stream.read():
            for trace in self.traces:
                if trace.is_record(record):
                    trace.place(shard_id, record, self._prefix)
