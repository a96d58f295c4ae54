# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lambda's way in: ``stream_processor.handler.lambda_handler``."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from .config import read_settings
from .envelope import MalformedRecord, creation_time
from .log import Log
from .processor import Outcome, Processor
from .transport import BotoTransport


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch; the answer says from which sequence number on Lambda must deliver again."""
    processor, log = _runtime()
    return handle(event, context, processor, log)


@functools.cache
def _runtime() -> tuple[Processor, Log]:
    """Settings and clients, made once for the life of the function's environment."""
    settings = read_settings(os.environ)
    return Processor(settings, BotoTransport()), Log(settings.log_level)


def handle(event: dict[str, Any], context: Any, processor: Processor, log: Log) -> dict[str, Any]:
    """The same, with what it works with given."""
    started = time.monotonic()
    records = _records(event)
    outcome = processor.process(records, context.get_remaining_time_in_millis)
    if outcome.failure:
        log.line("ERROR", "record failed", request_id=context.aws_request_id, **asdict(outcome.failure))
    log.line(
        "INFO",
        "batch",
        request_id=context.aws_request_id,
        **_counts(records, outcome),
        newest_change_age_ms=_newest_change_age_ms(records),
        duration_ms=round((time.monotonic() - started) * 1000),
    )
    response: dict[str, Any] = {"batchItemFailures": outcome.batch_item_failures}
    if "state" in event:  # a tumbling window fails unless its state comes back
        response["state"] = event["state"]
    return response


def _records(event: dict[str, Any]) -> list[Any]:
    """The batch. At the end of a tumbling window there may be none; any other event must have some list of them."""
    records = event.get("Records", [] if "window" in event else None)
    if not isinstance(records, list):
        raise MalformedRecord("the event has no list of Records: it is not from a DynamoDB stream")
    return records


def _counts(records: list[dict[str, Any]], outcome: Outcome) -> dict[str, Any]:
    """The batch in numbers; ``failures`` counts the failed record and those left undone after it."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    return {
        "records": len(records),
        "by_event_name": dict(outcome.events),
        "expired": outcome.expired,
        "audited": outcome.audited,
        "already_there": outcome.already_there,
        "notified": outcome.notified,
        "claim_checked": outcome.claim_checked,
        "failures": len(outcome.undone),
        "first_sequence_number": numbers[0] if numbers else None,
        "last_sequence_number": numbers[-1] if numbers else None,
    }


def _newest_change_age_ms(records: list[dict[str, Any]]) -> int | None:
    """How far the function is behind its newest record; None when no record tells its time."""
    times = []
    for record in records:
        try:
            times.append(creation_time(record))
        except MalformedRecord:  # reported as that record's failure already
            continue
    return round((datetime.now(UTC) - max(times)).total_seconds() * 1000) if times else None
