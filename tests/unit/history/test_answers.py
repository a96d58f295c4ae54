"""What the function's answer says of a batch."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.answers import (
    Failed,
    Processed,
    judge,
)

BATCH = ["8", "9", "100"]


def told(answer, error=None, partial=True):
    return judge(BATCH, json.dumps(answer).encode(), error, partial)


def report(*numbers):
    return {"batchItemFailures": [{"itemIdentifier": each} for each in numbers]}


@pytest.mark.parametrize("answer", [None, {}, [], {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_every_form_of_success_is_one(answer):
    assert told(answer) == Processed(3)
    assert judge(BATCH, b"", None, True) == Processed(3)


def test_what_is_before_the_lowest_reported_number_is_done():
    assert told(report("100", "9")) == Processed(1)


@pytest.mark.parametrize(
    "answer",
    [report(""), report(None), report("7"), report("9", "7"), {"failures": []}, "fine", [1], 5,
     {"batchItemFailures": "8"}, {"batchItemFailures": ["8"]}],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_fails_the_batch(answer):
    assert isinstance(told(answer), Failed)
    # A mapping without partial responses does not look at the answer.
    assert told(answer, partial=False) == Processed(3)


def test_a_report_counts_even_where_the_mapping_does_not_look_at_it():
    assert told(report("9"), partial=False) == Processed(1)


def test_a_functions_error_keeps_its_type_and_its_text_apart():
    outcome = told({"errorType": "KeyError", "errorMessage": "'secret'"}, error="Unhandled")
    assert outcome == Failed("KeyError", "'secret'")
    assert judge(BATCH, b"not json", "Unhandled", True).error_type == "Unhandled"
