# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One redrive: read every failure record, fetch the changes, send them, delete what is done, give back the rest."""

from __future__ import annotations

import dataclasses
import json
import secrets
import stat
from datetime import datetime, timedelta
from os import O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY, fchmod, fdopen
from os import open as os_open
from pathlib import Path
from typing import Any

from .._history.answers import REPORTED
from .._pipeline_verify.clock import Clock
from ..aws import AnsibleAWSError
from .api import Function, Logs
from .changes import Change
from .failure_records import FailureRecord, Foreign, read_failure_record
from .fetching import Fetcher
from .options import Options
from .planner import Failure, Planner
from .progress import Progress
from .selection import Fetched, in_order, in_time, overlapping, without_overtaking
from .sending import Sender
from .sources import BucketSource, QueueSource

#: An invocation's event is at most 6 MB; the rest of the event takes a little.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
BATCH_BYTES = 6 * 1024 * 1024 - 1024
#: Payloads of a bucket's records that are kept from reading until they are sent; others are read again.
_PAYLOAD_BYTES = 64 * 1024 * 1024
#: Done failure records are deleted when there are so many, or after so many seconds.
_DELETE_COUNT, _DELETE_SECONDS = 100, 1
#: The function's log is looked at so long for the reasons of failures (seconds).
_LOG_SECONDS = 10


class Redrive:
    """The whole of it. :meth:`report` is right at any time, also when :meth:`run` ends in an error."""

    def __init__(
        self,
        source: QueueSource | BucketSource,
        fetcher: Fetcher,
        function: Function,
        logs: Logs | None,
        options: Options,
        clock: Clock,
        progress: Progress,
        marker: dict[str, str],
    ) -> None:
        self._source, self._fetcher, self._function, self._logs = source, fetcher, function, logs
        self._options, self._clock, self._progress, self._marker = options, clock, progress, marker
        self._begun = clock.now()
        self._foreign: list[dict[str, str]] = []
        self._records: list[FailureRecord] = []
        self._other_time: list[FailureRecord] = []
        self._fetched: list[Fetched] = []
        self._taken: list[Fetched] = []
        self._planner = Planner([], 1, BATCH_BYTES)
        self._deleted: set[str] = set()
        self._sent = False
        self._started_sending = 0.0
        self._reasons: dict[str, dict[str, str]] = {}
        self._let_go: set[str] = set()

    def run(self) -> None:
        """Do it; ends in Interrupted, Stopped or AWS's error when it cannot be done to the end."""
        try:
            self._read()
            self._take()
            if not self._options.dry_run:
                self._send()
        finally:
            # Whatever ended the run: what is not done must be there for the next one.
            self._source.give_back_all()
            self._progress.say(self.message(), now=True)

    def _read(self) -> None:
        kept_bytes = 0
        for source, text in self._source.read(wait_for_others=not self._options.dry_run).items():
            try:
                record = self._parse(source, text)
            except Foreign as exc:
                self._foreign.append({"id": source, "reason": str(exc)})
                continue
            if not in_time(record, self._options.since, self._options.until):
                self._other_time.append(record)
                continue
            if record.payload:
                kept_bytes += len(text)
                if kept_bytes > _PAYLOAD_BYTES:
                    record = dataclasses.replace(record, payload=None)
                    self._let_go.add(source)
            self._records.append(record)
        # Nobody waits for these any longer.
        self._source.give_back([each["id"] for each in self._foreign])
        self._source.give_back([record.source for record in self._other_time])

    def _parse(self, source: str, text: str) -> FailureRecord:
        return read_failure_record(source, text, self._options.table_name, self._options.function_name)

    def _payload(self, record: FailureRecord) -> Any:
        if record.source not in self._let_go:
            return record.payload
        text = self._source.read_again(record.source)
        return self._parse(record.source, text).payload if text else None

    def _take(self) -> None:
        """Fetch, oldest first, until the limit; then leave out what would overtake what is left out."""
        waiting, limit = in_order(self._records), self._options.limit
        count = 0
        while waiting and (not limit or count < limit):
            some = waiting[: limit - count] if limit else waiting
            waiting = waiting[len(some) :]
            fetched = self._fetcher.fetch(some, self._payload)
            self._fetched += fetched
            # Of what is gone altogether nothing can be sent, so it does not count.
            count += sum(1 for each in fetched if each.changes)
        rest = overlapping([each.record for each in self._fetched], waiting)
        self._taken = without_overtaking(self._fetched, self._fetcher.fetch(rest, self._payload))

    def _send(self) -> None:
        outstanding: dict[Change, list[Fetched]] = {}
        left: dict[Fetched, int] = {}
        for each in self._taken:
            changes = set(each.changes)
            left[each] = len(changes)
            for change in changes:
                outstanding.setdefault(change, []).append(each)
        self._planner = Planner(outstanding, self._options.batch_size, BATCH_BYTES)
        total = len(outstanding)
        partial = {arn: self._partial_responses(arn) for arn in {change.stream_arn for change in outstanding}}
        done: list[str] = []
        self._sent, self._started_sending = bool(outstanding), self._clock.now()
        delete_at = self._clock.now() + _DELETE_SECONDS

        def settled(recovered: list[Change]) -> None:
            nonlocal delete_at
            for change in recovered:
                for each in outstanding[change]:
                    left[each] -= 1
                    if not left[each] and not each.gone:
                        done.append(each.record.source)
            if len(done) >= _DELETE_COUNT or self._clock.now() >= delete_at:
                self._delete(done)
                delete_at = self._clock.now() + _DELETE_SECONDS
            self._source.tick()
            self._progress.sent(self._settled_count(), total, self._clock.now() - self._started_sending)

        sender = Sender(self._function, partial.__getitem__, self._clock, self._options.timeout)
        try:
            sender.send(self._planner, self._options.concurrency, settled)
        finally:
            self._delete(done)
        self._find_reasons()

    def _settled_count(self) -> int:
        planner = self._planner
        return len(planner.recovered) + len(planner.failing) + len(planner.held)

    def _partial_responses(self, stream_arn: str) -> bool:
        mapping = self._fetcher.mapping(stream_arn)
        return mapping is None or mapping.partial_responses

    def _delete(self, done: list[str]) -> None:
        if done:
            self._deleted.update(self._source.delete(done))
            done.clear()

    def _find_reasons(self) -> None:
        """A report names no error, but this collection's function logs one, without item data."""
        unknown = {each.change.number for each in self._planner.failing if each.error_type == REPORTED}
        if not self._logs or not unknown:
            return
        since = self._clock.utc() - timedelta(seconds=self._clock.now() - self._begun + 60)
        deadline = self._clock.now() + _LOG_SECONDS
        while unknown - self._reasons.keys() and self._clock.now() < deadline:
            try:
                lines = self._logs.search('"record failed"', since)
            except AnsibleAWSError:
                return  # another function than this collection's, or none of its log to be read: the report stands
            for line in lines:
                self._reasons.update(read_reason(line, unknown))
            if unknown - self._reasons.keys():
                self._clock.pause(1)

    def write_errors(self) -> str | None:
        """The texts of the function's errors, in a file that only its owner can read; the path if there is one."""
        path = self._options.error_file
        if not path or self._options.dry_run:
            return None
        told = [each for each in self._planner.failing if each.text]
        Path(path).unlink(missing_ok=True)
        if not told:
            return None
        mode = stat.S_IRUSR | stat.S_IWUSR
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with fdopen(os_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode), "w", encoding="utf-8") as file:
            fchmod(file.fileno(), mode)
            for each in told:
                line = {"sequence_number": each.change.number, "error_type": each.error_type, "error": each.text}
                file.write(json.dumps(line) + "\n")
        return path

    @property
    def changed(self) -> bool:
        """Whether anything was sent or deleted."""
        return self._sent or bool(self._deleted)

    @property
    def complete(self) -> bool:
        """Whether nothing of what the run was asked for is left."""
        unsent = self._not_sent() and not self._options.dry_run
        return not (self._planner.failing or unsent or any(each.gone for each in self._fetched))

    def report(self) -> dict[str, Any]:
        planner = self._planner
        return {
            "message": self.message(),
            "run_id": self._marker["id"],
            "counts": self.counts(),
            "recovered": len(planner.recovered),
            "still_failing": [self._failing(each) for each in planner.failing],
            "held_back": [_named(change) for change in planner.held],
            "gone": [each.gone.report() for each in self._fetched if each.gone],
            "foreign": list(self._foreign),
            "complete": self.complete,
            "duration": round(self._clock.now() - self._begun, 1),
        }

    def counts(self) -> dict[str, int]:
        planner = self._planner
        changes = {change for each in self._taken for change in each.changes}
        read = len(self._records) + len(self._other_time) + len(self._foreign)
        return {
            "failure_records": read,
            "taken": len(self._taken),
            "outside_time": len(self._other_time),
            "beyond_limit": len(self._records) - len(self._taken),
            "foreign": len(self._foreign),
            "gone": sum(1 for each in self._fetched if each.gone),
            "deleted": len(self._deleted),
            "kept": read - len(self._deleted),
            "changes": len(changes),
            "recovered": len(planner.recovered),
            "still_failing": len(planner.failing),
            "held_back": len(planner.held),
            "not_sent": len(self._not_sent()),
        }

    def message(self) -> str:
        counts = self.counts()
        if not counts["failure_records"]:
            return "Nothing to redrive: there is no failure record."
        if self._options.dry_run:
            words = [
                f"Would redrive {_many(counts['changes'], 'change')} of {_many(counts['taken'], 'failure record')}"
            ]
        elif not counts["taken"]:
            words = [f"Nothing was redriven of {_many(counts['failure_records'], 'failure record')}"]
        else:
            words = [
                f"{counts['recovered']} of {_many(counts['changes'], 'change')} recovered, "
                f"{counts['deleted']} of {_many(counts['failure_records'], 'failure record')} deleted"
            ]
        for name, phrase in _LEFT.items():
            if counts[name] and not (name == "not_sent" and self._options.dry_run):
                words.append(phrase.format(_many(counts[name], _COUNTED[name])))
        return "; ".join(words) + "."

    def _not_sent(self) -> set[Change]:
        planner = self._planner
        settled = {*planner.recovered, *planner.held, *(each.change for each in planner.failing)}
        return {change for each in self._taken for change in each.changes} - settled

    def _failing(self, failure: Failure) -> dict[str, Any]:
        reason = self._reasons.get(failure.change.number, {})
        return {**_named(failure.change), "error_type": failure.error_type, **reason}


_LEFT = {
    "still_failing": "{} still failing",
    "held_back": "{} held back behind them",
    "not_sent": "{} not sent",
    "gone": "{} with changes that have left the stream",
    "foreign": "{} of somebody else, left alone",
    "outside_time": "{} outside the given time",
    "beyond_limit": "{} beyond the limit",
}
_COUNTED = {
    **dict.fromkeys(("still_failing", "held_back", "not_sent"), "change"),
    **dict.fromkeys(("gone", "outside_time", "beyond_limit"), "failure record"),
    "foreign": "message",
}


def new_marker(moment: datetime) -> dict[str, str]:
    """What every record of a run carries: the run's id, and when it began."""
    return {"id": secrets.token_hex(8), "time": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def read_reason(line: str, numbers: set[str]) -> dict[str, dict[str, str]]:
    """Why a change failed, from a log line of this collection's function; empty for any other line."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    if (
        not isinstance(told, dict)
        or told.get("message") != "record failed"
        or told.get("sequence_number") not in numbers
    ):
        return {}
    # Only these three: they are names, and never hold item data.
    reason = {name: str(told[name]) for name in ("error_type", "stage", "aws_code") if told.get(name)}
    return {told["sequence_number"]: reason}


def _named(change: Change) -> dict[str, str]:
    return {
        "sequence_number": change.number,
        "event_id": change.event_id,
        "event_name": change.event_name,
        "item": change.item,
        "shard_id": change.shard_id,
    }


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
