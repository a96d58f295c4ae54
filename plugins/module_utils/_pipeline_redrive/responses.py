# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the function's answer says of a batch. Pure; the rules are those of ReportBatchItemFailures.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from __future__ import annotations

import json
from typing import Any

from .changes import Change
from .planner import Failed, Outcome, Processed

_BAD = Failed("InvalidBatchResponse", "The function's answer is not one of a partial batch response.")


def judge(batch: list[Change], payload: bytes, function_error: str | None, partial_responses: bool) -> Outcome:
    """The outcome of an invocation that ran; without ``partial_responses`` only a report that can be read counts."""
    answer = _json(payload)
    if function_error:
        error = answer if isinstance(answer, dict) else {}
        return Failed(str(error.get("errorType") or function_error), str(error.get("errorMessage") or ""))
    reported = _reported(answer)
    places = {change.number: place for place, change in enumerate(batch)}
    if reported is not None and all(isinstance(each, str) and each in places for each in reported):
        return Processed(min((places[each] for each in reported), default=len(batch)))
    return _BAD if partial_responses else Processed(len(batch))


def _reported(answer: Any) -> list[Any] | None:
    """The reported sequence numbers; None when the answer cannot be read as a report."""
    if answer in (None, [], {}):
        return []
    if not isinstance(answer, dict) or "batchItemFailures" not in answer:
        return None
    failures = answer["batchItemFailures"] or []
    if not isinstance(failures, list):
        return None
    return [each.get("itemIdentifier") if isinstance(each, dict) else None for each in failures]


def _json(payload: bytes) -> Any:
    if not payload:
        return None
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
