"""What a function's answer says about its batch, with ReportBatchItemFailures. Pure.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def failed_from(response: Any, sequence_numbers: Sequence[str]) -> int | None:
    """The index of the first record to deliver again; None: the whole batch succeeded.

    Whatever cannot be understood is a failure of the whole batch, so that nothing is taken for done that may not be.
    """
    if response is None or response in ({}, [], ""):
        return None
    if not isinstance(response, dict):
        return 0
    failures = response.get("batchItemFailures")
    if failures is None or failures == []:
        return None
    if not isinstance(failures, list):
        return 0
    places = {number: index for index, number in enumerate(sequence_numbers)}
    found = [_place(failure, places) for failure in failures]
    # A batch is in stream order, so the lowest sequence number is the first place.
    return 0 if None in found else min(found)


def _place(failure: Any, places: dict[str, int]) -> int | None:
    identifier = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    return places.get(identifier) if isinstance(identifier, str) else None
