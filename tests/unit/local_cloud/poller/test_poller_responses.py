"""What a function's answer says about its batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.poller.responses import failed_from

# As text the last one would come first.
NUMBERS = ["98", "99", "100"]


def failures(*identifiers):
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize(
    "response",
    [None, [], {}, "", {"batchItemFailures": []}, {"batchItemFailures": None}, {"state": {}}],
)
def test_nothing_reported_is_success_of_the_whole_batch(response):
    assert failed_from(response, NUMBERS) is None


@pytest.mark.parametrize(
    "response",
    [
        failures(""),
        failures(None),
        failures("7"),
        failures(99),
        failures("99", "7"),
        {"batchItemFailures": [{"ItemIdentifier": "99"}]},
        {"batchItemFailures": [{}]},
        {"batchItemFailures": ["99"]},
        {"batchItemFailures": {"itemIdentifier": "99"}},
        {"batchItemFailures": "99"},
        {"batchItemFailures": [None]},
        ["99"],
        "done",
        0,
        False,
        True,
    ],
)
def test_what_cannot_be_understood_is_failure_of_the_whole_batch(response):
    assert failed_from(response, NUMBERS) == 0


@pytest.mark.parametrize(
    ("response", "place"),
    [
        (failures("98"), 0),
        (failures("99"), 1),
        (failures("100"), 2),
        (failures("100", "99"), 1),
        (failures("99", "99"), 1),
    ],
)
def test_the_batch_goes_on_from_the_lowest_sequence_number_that_is_reported(response, place):
    assert failed_from(response, NUMBERS) == place


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(NUMBERS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["batchItemFailures", "itemIdentifier", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(anything)
def test_no_answer_breaks_the_poller(response):
    assert failed_from(response, NUMBERS) in (None, 0, 1, 2)
