# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks AWS for a pipeline's live state, question by question. A question that is refused leaves the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..aws import AnsibleAWSError, error_message
from .api import Aws

#: Where Lambda puts failure records in a bucket.
_FAILURE_RECORDS = "aws/lambda/"


class Look:
    """What is seen of one pipeline. A part that is missing is None; a part that AWS did not tell is in unreadable."""

    def __init__(self, aws: Aws, options: dict[str, Any], now: datetime) -> None:
        self._aws, self._options, self._now = aws, options, now
        self.missing: list[str] = []
        self.unreadable: list[dict[str, str]] = []

    def take(self) -> dict[str, Any]:
        options = self._options
        table = self._ask("table", lambda: self._aws.table(options["table_name"]))
        stream = (table or {}).get("LatestStreamArn")
        mapping = self._mapping(stream)
        function = self._function(mapping)
        return {
            "checked_at": _text(self._now),
            "table": table and _table(table),
            "event_source_mapping": mapping,
            "function": function,
            "metrics": self._metrics(mapping),
            "failure_queue": self._failure_queue(),
            "failure_bucket": self._failure_bucket(),
            "alarms": self._alarms(),
            "last_change": self._last_change(),
            "missing": self.missing,
            "unreadable": self.unreadable,
        }

    def _ask(self, what: str, call: Callable[[], Any], otherwise: Any = None) -> Any:
        """The answer; where AWS refuses it, the other one, and the refusal is remembered."""
        try:
            found = call()
        except AnsibleAWSError as exc:
            self._unreadable(what, exc)
            return otherwise
        if found is None:
            self.missing.append(what)
        return found

    def _unreadable(self, what: str, exc: AnsibleAWSError) -> None:
        self.unreadable.append({"resource": what, "reason": f"{exc.message}: {error_message(exc) or exc.exception}"})

    def _mapping(self, stream: str | None) -> dict[str, Any] | None:
        found = self._ask(
            "event source mapping", lambda: self._aws.mappings(self._options["function_name"], stream) or None
        )
        # One is the rule; a table that was made anew has left another behind.
        return _mapping(found[0], stream, len(found)) if found else None

    def _function(self, mapping: dict[str, Any] | None) -> dict[str, Any] | None:
        name, qualifier = self._options["function_name"], (mapping or {}).get("qualifier", "")

        def ask() -> dict[str, Any] | None:
            """What the mapping invokes; where that is gone, the function itself."""
            invoked = self._aws.function(name, qualifier) if qualifier else None
            found = invoked or self._aws.function(name)
            return found and _function(found, qualifier, not qualifier or invoked is not None)

        return self._ask("function", ask)

    def _metrics(self, mapping: dict[str, Any] | None) -> dict[str, Any]:
        function = {"FunctionName": self._options["function_name"]}
        asked = {
            "iterator_age": _metric("AWS/Lambda", "IteratorAge", function, "Maximum"),
            "invocations": _metric("AWS/Lambda", "Invocations", function, "Sum"),
            "errors": _metric("AWS/Lambda", "Errors", function, "Sum"),
            "throttles": _metric("AWS/Lambda", "Throttles", function, "Sum"),
            "delivery_failures": _metric("AWS/Lambda", "DestinationDeliveryFailures", function, "Sum"),
        }
        if queue := self._options["failure_queue_url"].rpartition("/")[2]:
            asked["oldest_failure"] = _metric(
                "AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}, "Maximum"
            )
        if mapping:
            of = {"EventSourceMappingUUID": mapping["uuid"]}
            asked["dropped"] = _metric("AWS/Lambda", "DroppedEventCount", of, "Sum")
            asked["delivered"] = _metric("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", of, "Sum")
        minutes = self._options["minutes"]
        found = self._ask("metrics", lambda: self._aws.metrics(asked, self._now, minutes), {})
        age = found.get("iterator_age") or [None]
        counts = ("invocations", "errors", "throttles", "dropped", "delivered", "delivery_failures")
        return {
            "minutes": minutes,
            "iterator_age_ms": age[0],
            "iterator_age_ms_highest": max(age) if age[0] is not None else None,
            # No point at all is no event, once the metrics were told.
            **{name: int(sum(found[name])) if name in found else None for name in counts},
            "oldest_failure_seconds": next(iter(found.get("oldest_failure", [])), None),
        }

    def _failure_queue(self) -> dict[str, Any] | None:
        url = self._options["failure_queue_url"]
        found = self._ask("failure queue", lambda: self._aws.queue(url)) if url else None
        return found and {
            "messages": int(found["ApproximateNumberOfMessages"]),
            "in_flight": int(found["ApproximateNumberOfMessagesNotVisible"]),
            "delayed": int(found["ApproximateNumberOfMessagesDelayed"]),
        }

    def _failure_bucket(self) -> dict[str, Any] | None:
        bucket = self._options["failure_bucket"]
        if not bucket:
            return None
        holds = self._ask("failure bucket", lambda: self._aws.holds_objects(bucket, _FAILURE_RECORDS))
        return {"name": bucket, "holds_failures": holds}

    def _alarms(self) -> list[dict[str, Any]]:
        names = self._options["alarm_names"]
        found = self._ask("alarms", lambda: self._aws.alarms(names)) if names else {}
        if found is None:
            return []
        self.missing += [f"alarm {name}" for name in names if name not in found]
        return [_alarm(found[name]) for name in names if name in found]

    def _last_change(self) -> dict[str, Any] | None:
        bucket, prefix = self._options["audit_bucket"], self._options["audit_prefix"]
        hour = self._ask("audit bucket", lambda: self._aws.newest_hour(bucket, prefix))
        if not hour:
            return None
        year, month, day, clock = hour[len(prefix) : -1].split("/")
        written = self._ask("audit log", lambda: (self._aws.newest_write(bucket, hour),), (None,))[0]
        return {"hour": f"{year}-{month}-{day}T{clock}:00:00Z", "audited_at": _text(written)}


def _metric(namespace: str, name: str, dimensions: dict[str, str], statistic: str) -> dict[str, Any]:
    of = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Metric": {"Namespace": namespace, "MetricName": name, "Dimensions": of}, "Stat": statistic}


def _table(table: dict[str, Any]) -> dict[str, Any]:
    stream = table.get("StreamSpecification") or {}
    enabled = bool(stream.get("StreamEnabled"))
    return {
        "name": table["TableName"],
        "status": table["TableStatus"],
        "stream_arn": table.get("LatestStreamArn") if enabled else None,
        "stream_view_type": stream.get("StreamViewType") if enabled else None,
    }


def _mapping(mapping: dict[str, Any], stream: str | None, count: int) -> dict[str, Any]:
    parts = mapping["FunctionArn"].split(":")
    return {
        "uuid": mapping["UUID"],
        "state": mapping["State"],
        "last_processing_result": mapping.get("LastProcessingResult") or "",
        "state_transition_reason": mapping.get("StateTransitionReason") or "",
        "function_arn": mapping["FunctionArn"],
        "qualifier": parts[7] if len(parts) > 7 else "",
        "on_the_tables_stream": mapping.get("EventSourceArn") == stream if stream else None,
        "count": count,
    }


def _function(found: dict[str, Any], qualifier: str, invoked: bool) -> dict[str, Any]:
    return {
        "name": found["FunctionName"],
        "state": found.get("State", "Active"),
        "state_reason": found.get("StateReason") or "",
        "last_update_status": found.get("LastUpdateStatus", "Successful"),
        "last_update_status_reason": found.get("LastUpdateStatusReason") or "",
        "version": found["Version"],
        "qualifier": qualifier,
        "qualifier_is_there": invoked,
        "last_modified": found["LastModified"],
    }


def _alarm(alarm: dict[str, Any]) -> dict[str, Any]:
    # When the state was written last says less: that can be the same state once more.
    since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return {
        "name": alarm["AlarmName"],
        "state": alarm["StateValue"],
        "since": _text(since),
        "reason": alarm.get("StateReason") or "",
        "actions_enabled": alarm.get("ActionsEnabled", True),
    }


def _text(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
