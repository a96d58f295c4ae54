# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lambda's way in: ``stream_processor.handler.lambda_handler``."""

from __future__ import annotations

import functools
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config import read_settings
from .envelope import MalformedRecord
from .log import Log
from .metrics import batch_numbers, embedded
from .processor import Processor
from .transport import AwsTransport

if TYPE_CHECKING:
    from .rules import Rules

#: A deploy puts the pipeline's rules there. As a file they may be as long as they like; variables end at 4 KB.
RULES_FILE = Path(__file__).with_name("rules.json")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Process a batch; the answer says from which sequence number on Lambda must deliver again."""
    processor, log = _runtime()
    return handle(event, context, processor, log)


@functools.cache
def _runtime() -> tuple[Processor, Log]:
    """Settings, rules and connections, made once for the life of the function's environment."""
    settings = read_settings(os.environ)
    return Processor(settings, AwsTransport(), _rules()), Log(settings.log_level)


def _rules() -> Rules | None:
    if not RULES_FILE.exists():
        return None
    from .rules import load_rules

    return load_rules(json.loads(RULES_FILE.read_text(encoding="utf-8")))


def handle(event: dict[str, Any], context: Any, processor: Processor, log: Log) -> dict[str, Any]:
    """The same, with what it works with given."""
    started = time.monotonic()
    records = _records(event)
    outcome = processor.process(records, context.get_remaining_time_in_millis)
    if outcome.failure:
        failure = asdict(outcome.failure)
        if not log.is_for("DEBUG"):
            del failure["aws_message"]
        log.line("ERROR", "record failed", request_id=context.aws_request_id, **failure)
    now = time.time()
    numbers = batch_numbers(records, outcome, now)
    log.line(
        "INFO",
        "batch",
        request_id=context.aws_request_id,
        **numbers,
        duration_ms=round((time.monotonic() - started) * 1000),
        **embedded(numbers, processor.settings.metrics_namespace, context.function_name, now),
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
