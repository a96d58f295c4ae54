# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of a batch that was sent, and what a function's answer says of one. Pure.

The rules are those of ReportBatchItemFailures:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: The error type of a change that the function reported: its answer has no room for one.
REPORTED = "BatchItemFailure"
#: Lambda did not run the function; another try may.
#: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
NOT_RUN = (
    "CodeArtifactUserPendingException",
    "EC2ThrottledException",
    "ENILimitReachedException",
    "EFSMountTimeoutException",
    "RequestLimitExceeded",
    "ResourceConflictException",
    "ResourceNotReadyException",
    "ServiceException",
    "ServiceUnavailable",
    "SnapStartNotReadyException",
    "SnapStartTimeoutException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
TOO_LARGE = ("RequestEntityTooLargeException", "RequestTooLargeException", "413")


class Outcome:
    """How the sending of a batch ended."""


@dataclass(frozen=True)
class Processed(Outcome):
    """The first ``count`` are done; the next one, if there is one, was refused."""

    count: int
    error_type: str = REPORTED
    text: str = ""
    #: What follows was not refused, there was no room for it: another try may get through.
    put_off: bool = False


@dataclass(frozen=True)
class Failed(Outcome):
    """The batch failed as a whole. ``text`` may hold item data."""

    error_type: str
    text: str = ""


@dataclass(frozen=True)
class NotRun(Outcome):
    """A throttle, or an error of the service: nobody failed."""

    reason: str


_BAD = Failed("InvalidBatchResponse", "The function's answer is not one of a partial batch response.")


def judge(numbers: Sequence[str], payload: bytes, function_error: str | None, partial_responses: bool) -> Outcome:
    """The outcome of an invocation that ran, for a batch of changes with these sequence numbers.

    Without ``partial_responses`` only a report that can be read counts.
    """
    answer = _json(payload)
    if function_error:
        error = answer if isinstance(answer, dict) else {}
        return Failed(str(error.get("errorType") or function_error), str(error.get("errorMessage") or ""))
    reported = _reported(answer)
    places = {number: place for place, number in enumerate(numbers)}
    if reported is not None and all(isinstance(each, str) and each in places for each in reported):
        return Processed(min((places[each] for each in reported), default=len(numbers)))
    return _BAD if partial_responses else Processed(len(numbers))


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
