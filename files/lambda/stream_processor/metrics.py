# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The batch in numbers, for the log and, in the embedded metric format, for CloudWatch. Pure.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import contextlib
from typing import Any

from .envelope import MalformedRecord, creation_seconds
from .outcome import Outcome

_COUNT, _MILLISECONDS = "Count", "Milliseconds"
#: Members of the batch line that CloudWatch keeps as metrics of the function.
METRICS = {
    "inserted": _COUNT,
    "modified": _COUNT,
    "removed": _COUNT,
    "expired": _COUNT,
    "audited": _COUNT,
    "already_there": _COUNT,
    "notified": _COUNT,
    "claim_checked": _COUNT,
    "filtered": _COUNT,
    "replayed": _COUNT,
    "failures": _COUNT,
    "newest_change_age_ms": _MILLISECONDS,
    "s3_ms": _MILLISECONDS,
    "sns_ms": _MILLISECONDS,
}


def batch_numbers(records: list[dict[str, Any]], outcome: Outcome, now: float) -> dict[str, Any]:
    """What the batch line says; ``failures`` counts the failed record and those left undone after it.

    ``now`` is in seconds since 1970. The milliseconds in S3 and SNS are those of all calls, made side by side or not.
    """
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    return {
        "records": len(records),
        "inserted": outcome.events["INSERT"],
        "modified": outcome.events["MODIFY"],
        "removed": outcome.events["REMOVE"],
        "expired": outcome.expired,
        "audited": outcome.audited,
        "already_there": outcome.already_there,
        "notified": outcome.notified,
        "claim_checked": outcome.claim_checked,
        "filtered": outcome.filtered,
        "replayed": outcome.replayed,
        "failures": len(outcome.undone),
        "s3_calls": outcome.calls["s3"],
        "s3_ms": round(outcome.seconds["s3"] * 1000),
        "sns_calls": outcome.calls["sns"],
        "sns_ms": round(outcome.seconds["sns"] * 1000),
        "first_sequence_number": numbers[0] if numbers else None,
        "last_sequence_number": numbers[-1] if numbers else None,
        "newest_change_age_ms": _newest_change_age_ms(records, now),
    }


def embedded(numbers: dict[str, Any], namespace: str, function_name: str, now: float) -> dict[str, Any]:
    """What makes CloudWatch take the batch line's numbers as metrics; nothing without a namespace."""
    if not namespace:
        return {}
    # A metric without a value would make CloudWatch refuse the line.
    metrics = [{"Name": name, "Unit": unit} for name, unit in METRICS.items() if numbers[name] is not None]
    directive = {"Namespace": namespace, "Dimensions": [["FunctionName"]], "Metrics": metrics}
    return {"FunctionName": function_name, "_aws": {"Timestamp": int(now * 1000), "CloudWatchMetrics": [directive]}}


def _newest_change_age_ms(records: list[dict[str, Any]], now: float) -> int | None:
    """How far the function is behind its newest record; None when no record tells its time. Replays tell nothing."""
    times = []
    for record in (each for each in records if "replay" not in each):
        with contextlib.suppress(MalformedRecord):  # reported as that record's failure already
            times.append(creation_seconds(record))
    return round((now - max(times)) * 1000) if times else None
