# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is proven by logs, metrics and the mapping itself, and what the user is told in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from . import checks as evidence
from .api import Metrics
from .checks import Check
from .clock import Clock
from .items import AUDIT, NOTIFICATION
from .ledger import Ledger
from .scene import Options, Rooms, Scene, last_result_fails

#: How long before the start log lines are looked for, should clocks differ.
_MARGIN = timedelta(minutes=1)
_METRICS_PAUSE = 5
_LOG_PATTERN = '{ ($.message = "batch") || ($.message = "record failed") }'


class Judge:
    """Collects the checks of a run that has made its changes and waited for them."""

    def __init__(
        self, scene: Scene, rooms: Rooms, metrics: Metrics, options: Options, clock: Clock, ledger: Ledger
    ) -> None:
        self._scene, self._rooms, self._metrics = scene, rooms, metrics
        self._options, self._clock, self._ledger = options, clock, ledger
        self._mapping = scene.mapping
        self._log_lines: list[dict[str, Any]] = []

    def checks(self, start: datetime, deadline: float) -> list[Check]:
        """Every check but that of the clean-up. Metrics are awaited only when all the rest holds."""
        options, ledger, now = self._options, self._ledger, self._clock.utc()
        found = [
            evidence.channel_check(ledger, AUDIT, "audit", options.timeout, start, now),
            evidence.channel_check(ledger, NOTIFICATION, "notification", options.timeout, start, now),
            evidence.order_check(ledger),
            evidence.filter_check(ledger, len(self._scene.patterns)),
            evidence.rule_check(ledger, len(options.rules)),
            evidence.claim_check_check(ledger, options.large_item),
            *self._log_checks(start, deadline),
            self._mapping_check(deadline),
        ]
        return found + self._metric_checks(start, all(check.ok is not False for check in found))

    def where_to_look(self) -> str:
        """Where the reason is most likely found, with what is known of it already."""
        words = mapping_words(self._mapping)
        words = f"{words[0].upper()}{words[1:]}."
        failures = evidence.logged_failures(self._log_lines)
        if failures:
            words += f" The function logged failed records: {', '.join(failures)}."
        places = [f"log group {self._options.log_group}"] if self._options.log_group else []
        on_failure = (self._mapping.get("DestinationConfig") or {}).get("OnFailure") or {}
        if on_failure.get("Destination"):
            places.append(f"the failure destination {on_failure['Destination']}")
        return f"{words} Look in {' and in '.join(places)}." if places else words

    def _log_checks(self, start: datetime, deadline: float) -> list[Check]:
        logs, numbers, since = self._rooms.logs, self._ledger.sequence_numbers(), start - _MARGIN
        if not logs:
            reason = "left out: log_group is empty"
            return [Check("logs", None, reason), Check("logs_without_item_data", None, reason)]

        def covered() -> bool:
            self._log_lines = _json_lines(logs.search(_LOG_PATTERN, since))
            return not evidence.uncovered_numbers(numbers, self._log_lines)

        self._until(covered, deadline)
        leaks = len(logs.search(f'"{self._ledger.run_id}"', since))
        problems = [f"{leaks} line(s) in log group {logs.group} hold data of the test items"] if leaks else []
        well = f"no line in {logs.group} holds data of the test items"
        return [
            evidence.log_check(numbers, self._log_lines, logs.group),
            evidence.judged("logs_without_item_data", problems, well),
        ]

    def _mapping_check(self, deadline: float) -> Check:
        def healthy() -> bool:
            self._mapping = self._rooms.mappings.get(self._scene.mapping["UUID"])
            return self._mapping.get("State") == "Enabled" and not last_result_fails(self._mapping)

        well = self._until(healthy, deadline)
        words = mapping_words(self._mapping)
        return evidence.judged("mapping", [] if well else [words], words)

    def _metric_checks(self, start: datetime, worth_waiting: bool) -> list[Check]:
        options, stream = self._options, self._scene.stream
        of_stream = {"TableName": stream.table_name, "StreamLabel": stream.label, "Operation": "GetRecords"}
        written = len(self._ledger.traces)
        asked = {
            "function": ("AWS/Lambda", "Invocations", {"FunctionName": options.function_name}, 1),
            "stream": ("AWS/DynamoDB", "ReturnedRecordsCount", of_stream, written),
        }
        deadline, checks = self._clock.now() + options.metrics_timeout, []
        for name, metric in asked.items():
            reason = (
                "metrics does not name it"
                if name not in options.metrics
                else "metrics_timeout is 0"
                if not options.metrics_timeout
                else "the changes are not proven"
                if not worth_waiting
                else ""
            )
            title = f"{name}_metrics"
            left_out = Check(title, None, f"left out: {reason}")
            checks.append(left_out if reason else self._metric_check(title, *metric, start, deadline))
        return checks

    def _metric_check(
        self,
        title: str,
        namespace: str,
        metric: str,
        dimensions: dict[str, str],
        least: int,
        start: datetime,
        deadline: float,
    ) -> Check:
        """Whether the sum since the run's first minute is high enough: CloudWatch's finest period is a minute."""
        minute, total = start.replace(second=0, microsecond=0), 0.0

        def there() -> bool:
            nonlocal total
            total = self._metrics.sum(namespace, metric, dimensions, minute, self._clock.utc() + _MARGIN)
            return total >= least

        spoken = f"{namespace} {metric} ({', '.join(f'{key}={value}' for key, value in dimensions.items())})"
        if self._until(there, deadline, _METRICS_PAUSE):
            return Check(title, True, f"{spoken} is {total:g} since the run's first minute")
        problem = f"{spoken} is {total:g} after {self._options.metrics_timeout} s, not at least {least}"
        return evidence.judged(title, [problem], "")

    def _until(self, holds: Callable[[], bool], deadline: float, pause: int = 0) -> bool:
        """Ask until it holds or the deadline is over; at least once."""
        while not holds():
            if self._clock.now() >= deadline:
                return False
            self._clock.pause(max(pause, self._options.poll_interval))
        return True


def mapping_words(mapping: dict[str, Any]) -> str:
    """The mapping's state in words."""
    result = mapping.get("LastProcessingResult") or "none"
    return f"the event source mapping {mapping['UUID']} is {mapping.get('State')}, its last result: {result}"


def _json_lines(messages: list[str]) -> list[dict[str, Any]]:
    """The messages that are JSON objects; the rest are not the function's own lines."""
    found = []
    for message in messages:
        try:
            line = json.loads(message)
        except ValueError:
            continue
        if isinstance(line, dict):
            found.append(line)
    return found
