# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A replay that AWS runs: started, followed, and its result read (docs/replay-at-scale.md)."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from datetime import datetime
from typing import Any

from .._history.changes import EVENT_NAMES, iso
from .._history.store import Gone, Store
from .._pipeline_redrive.progress import Progress
from .._pipeline_verify.clock import Clock
from ..aws import AnsibleAWSError, aws_errors
from .options import FUNCTION, QUEUE, TABLE, Options

ROOM = ".cloudcdc/replay/"
#: Seconds between two looks at an execution.
_LOOK_SECONDS = 2.0


class Executions:
    """The state machine's executions."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client, self._arn = client, arn

    @aws_errors("find running executions of the replay")
    def running(self, replay_id: str) -> str | None:
        """The execution of this replay that has not ended; None when there is none."""
        request = {"stateMachineArn": self._arn, "statusFilter": "RUNNING"}
        while True:
            answer = self._client.list_executions(**request, aws_retry=True)
            for each in answer["executions"]:
                if each["name"].rpartition("-")[0] == replay_id:
                    return each["executionArn"]
            if not answer.get("nextToken"):
                return None
            request["nextToken"] = answer["nextToken"]

    @aws_errors("start the replay's state machine")
    def start(self, replay_id: str, request: dict[str, Any]) -> str:
        """A name is taken for 90 days, so each start has one of its own."""
        answer = self._client.start_execution(
            stateMachineArn=self._arn,
            name=f"{replay_id}-{secrets.token_hex(4)}",
            input=json.dumps(request, sort_keys=True),
            aws_retry=True,
        )
        return answer["executionArn"]

    @aws_errors("look at the replay's execution")
    def describe(self, execution: str) -> dict[str, Any]:
        return self._client.describe_execution(executionArn=execution, aws_retry=True)


class AtScale:
    """One replay in AWS."""

    def __init__(self, executions: Executions, store: Store, clock: Clock, progress: Progress, replay_id: str) -> None:
        self._executions, self._store, self._clock, self._progress = executions, store, clock, progress
        self._id, self._folder = replay_id, f"{ROOM}{replay_id}/"
        self._begun = clock.now()
        self.execution: str | None = None
        #: What the execution left in result.json.
        self.result: dict[str, Any] = {}
        self.started = False

    def run(self, request: dict[str, Any]) -> None:
        """Start it, or follow the execution of it that runs already, until it ends."""
        self.execution = self._executions.running(self._id)
        if not self.execution:
            self.execution = self._executions.start(self._id, request)
            self.started = True
        while True:
            told = self._executions.describe(self.execution)
            if told["status"] != "RUNNING":
                break
            self._say()
            self._clock.pause(_LOOK_SECONDS)
        self.result = self._read("result.json") or {}
        # An execution that sent all but what failed ends as failed, and its result says what.
        if told["status"] != "SUCCEEDED" and not (self.result and told.get("error") == "ReplayIncomplete"):
            cause = str(told.get("cause") or "no cause is told")
            raise AnsibleAWSError(
                message=f"The execution {self.execution} ended as {told['status']}: {told.get('error', '')} {cause}"
            )

    def report(self, counts: dict[str, int]) -> dict[str, Any]:
        """What the execution says of itself, in the words of a local replay's report."""
        told = self.result
        selected, findings = told.get("selected", {}), told.get("findings", {})
        own = {
            "selected": sum(selected.values()),
            **{name.lower(): selected.get(name, 0) for name in EVENT_NAMES},
            "sent": sum(told.get("sent", {}).values()),
            "failing": told.get("failing_count", 0),
            "held_back": told.get("held_back", 0),
            **{name: told.get(name, 0) for name in ("bytes", "duplicates", "objects")},
        }
        return {
            "execution_arn": self.execution,
            "counts": {**counts, **own},
            "failing": told.get("failing", []),
            "damaged": [{"key": key, "reason": reason} for key, reason in findings.get("damaged", {}).items()],
            "foreign": findings.get("foreign", []),
            "conflicting": findings.get("conflicting", []),
        }

    def message(self, target: str, what: str) -> str:
        """What came of it, in a sentence or two."""
        told = self.result
        if not told:
            return f"The execution {self.execution} has left no result yet."
        failing, missing = told["failing_count"], len(told["unfinished_partitions"])
        sent = f"{sum(told['sent'].values())} {what} sent to the {target} by AWS"
        left = f"; {failing} failing, {told['held_back']} held back behind them" if failing else ""
        gaps = f" {missing} partitions are not finished." if missing else ""
        wrong = told["findings"].get("count", 0)
        return f"{sent}{left}.{gaps}" + (f" {wrong} objects of the log cannot be used." if wrong else "")

    def _say(self) -> None:
        if not self._progress.due:
            return
        planned = self._read("plan.json")
        if not planned:
            self._progress.say("the log is being listed")
            return
        parts = (("slices", planned["slices"], "read"), ("results", planned["partitions"], "sent"))
        done = {name: sum(1 for _each in self._store.list(f"{self._folder}{name}/")) for name, _whole, _done in parts}
        told = ", ".join(f"{done[name]} of {whole} {name} {verb}" for name, whole, verb in parts)
        share = sum(done[name] / whole for name, whole, _verb in parts if whole) / len(parts)
        seconds = self._clock.now() - self._begun
        left = f", about {seconds * (1 - share) / share:.0f} s left" if share > 0.01 else ""
        self._progress.say(f"{told}{left}".replace("results sent", "partitions sent"))

    def _read(self, name: str) -> dict[str, Any] | None:
        with suppress(Gone):
            return json.loads(self._store.read(self._folder + name))
        return None


def request(
    options: Options, marker: dict[str, str], since: datetime, until: datetime, baseline: str | None
) -> dict[str, Any]:
    """The execution's input, as docs/replay-at-scale.md has it. ``baseline`` is the name of a manifest."""
    told = {
        "replay": marker,
        "table_name": options.table_name,
        "from": iso(since),
        "to": iso(until),
        "target": _target(options),
        "event_names": list(options.event_names),
        "keys": options.keys,
        "match": options.match,
        "baseline": baseline,
        "rate": options.rate,
        "timeout": options.timeout,
    }
    return {name: value for name, value in told.items() if value not in (None, [])}


def _target(options: Options) -> dict[str, Any]:
    target: dict[str, Any] = {"kind": options.target}
    if options.target == FUNCTION:
        target |= {"function_name": options.function_name, "batch_size": options.batch_size}
        target |= {"qualifier": options.qualifier} if options.qualifier else {}
        return target | ({"notify": True} if options.notify else {})
    if options.target == TABLE:
        return target | {"table": options.target_table}
    name = "queue_url" if options.target == QUEUE else "topic_arn"
    return target | {name: getattr(options, name)}
