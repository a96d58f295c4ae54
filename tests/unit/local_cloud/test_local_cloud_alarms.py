"""What an alarm's periods make of its state, and what a queue's messages make of its metrics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.alarms import QUIET_SECONDS, TELL_SECONDS, QueueMetrics, alarm_state, queue_metrics

KEEP, GONE = "", "INSUFFICIENT_DATA"


# Periods are newest first: X breaches, 0 does not, - is missing. The answers are those AWS documents for 3 of 3.
@pytest.mark.parametrize(
    ("periods", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("XXX", "ALARM", "ALARM", "ALARM", "ALARM"),
        ("0XX", "OK", "OK", "OK", "OK"),
        ("0--", "OK", "OK", "OK", "OK"),
        ("---", GONE, KEEP, "ALARM", "OK"),
        ("--X", "ALARM", KEEP, "ALARM", "OK"),
        ("X--", KEEP, KEEP, "ALARM", "OK"),
    ],
)
def test_missing_data_is_treated_as_the_alarm_says(periods, missing, ignore, breaching, not_breaching):
    breaches = [{"X": True, "0": False, "-": None}[each] for each in periods]
    ways = {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}
    assert {way: alarm_state(breaches, 3, way) for way in ways} == ways


PERIODS = st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=8)
WAYS = st.sampled_from(["missing", "ignore", "breaching", "notBreaching"])


@given(breaches=PERIODS, missing=WAYS, data=st.data())
def test_an_alarm_goes_off_exactly_when_enough_periods_can_be_breaches(breaches, missing, data):
    needed = data.draw(st.integers(1, len(breaches)))
    state = alarm_state(breaches, needed, missing)
    if breaches.count(True) >= needed:
        assert state == "ALARM"
    if breaches.count(True) + breaches.count(None) < needed:
        assert state == "OK"
    if None not in breaches:
        assert state == ("ALARM" if breaches.count(True) >= needed else "OK")


def test_a_queues_metrics_count_received_messages_and_the_age_of_the_oldest():
    messages = [
        {"visible_at": 90, "sent_at": 90, "receive_count": 0},
        {"visible_at": 130, "sent_at": 40, "receive_count": 1},
        {"visible_at": 105, "sent_at": 95, "receive_count": 0},  # delayed: neither visible nor received
    ]
    assert queue_metrics(messages, 100) == {
        "ApproximateNumberOfMessagesVisible": 1,
        "ApproximateNumberOfMessagesNotVisible": 1,
        "ApproximateAgeOfOldestMessage": 60,
    }


def test_an_empty_queue_has_no_age():
    assert set(queue_metrics([], 100).values()) == {0}


def test_a_queue_is_told_when_it_changes_and_now_and_then_until_it_is_left_alone():
    queues, message = QueueMetrics(), {"visible_at": 0, "sent_at": 1000, "receive_count": 0}
    assert queues.due("q", [], 1000) == {}
    assert queues.due("q", [message], 1001)["ApproximateNumberOfMessagesVisible"] == 1
    assert queues.due("q", [message], 1002) == {}
    assert queues.due("other", [message], 1002)
    assert queues.due("q", [message], 1001 + TELL_SECONDS)["ApproximateAgeOfOldestMessage"] == 1 + TELL_SECONDS
    emptied = 1002 + TELL_SECONDS
    assert queues.due("q", [], emptied)["ApproximateNumberOfMessagesVisible"] == 0
    assert queues.due("q", [], emptied + TELL_SECONDS)
    assert queues.due("q", [], emptied + QUIET_SECONDS) == {}
