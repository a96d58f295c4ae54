"""What is tried again, how often, and with which pauses."""

from __future__ import annotations

import pytest
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.transport import TransportError
from stream_processor.transport.retries import ATTEMPTS, Passing, call, refused, refused_entry

from tests.unit.stream_processor.aws_server import FakeTime

ERROR = TransportError("ClientError", "SlowDown")


class Attempts:
    """Fails as it is told, then succeeds."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.made = 0

    def __call__(self, attempt):
        self.made += 1
        assert attempt.number == self.made
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def test_the_first_attempt_is_made_at_once():
    time = FakeTime()
    assert call(Attempts(), time.now + 1, time.clock) == "done"
    assert time.pauses == []


def test_pauses_double_and_throttles_pause_longer():
    for throttled, pauses in ((False, [0.05, 0.1, 0.2, 0.4]), (True, [0.5, 1, 2, 4])):
        time = FakeTime()
        assert call(Attempts(*[Passing(ERROR, throttled)] * 4), time.now + 60, time.clock) == "done"
        assert time.pauses == pauses


def test_a_pause_is_any_part_of_its_longest():
    time = FakeTime(share=0.25)
    call(Attempts(Passing(ERROR, True)), time.now + 60, time.clock)
    assert time.pauses == [0.125]


def test_attempts_end():
    time, attempts = FakeTime(), Attempts(*[Passing(ERROR)] * 100)
    with pytest.raises(TransportError) as failed:
        call(attempts, time.now + 60, time.clock)
    assert failed.value is ERROR
    assert attempts.made == ATTEMPTS


def test_a_final_failure_is_not_tried_again():
    time, attempts = FakeTime(), Attempts(ERROR)
    with pytest.raises(TransportError):
        call(attempts, time.now + 60, time.clock)
    assert attempts.made == 1


@given(st.floats(-1, 20), st.lists(st.booleans(), max_size=6), st.floats(0, 1), st.floats(0, 3))
def test_no_attempt_begins_at_the_deadline_or_later(seconds, throttles, share, takes):
    time = FakeTime(share)
    deadline = time.now + seconds
    begun = []
    failures = [Passing(ERROR, throttled) for throttled in throttles]

    def attempt(_this):
        begun.append(time.now)
        time.now += takes
        if failures:
            raise failures.pop(0)

    try:
        call(attempt, deadline, time.clock)
    except TransportError as exc:
        assert exc.error_type == ("ClientError" if begun else "OutOfTime")
    assert all(moment < deadline for moment in begun)
    # Nor is one waited for that would.
    assert time.now <= max(deadline, *begun, 1000.0) + takes


@pytest.mark.parametrize("code", [*ThrottledRetryableChecker._THROTTLED_ERROR_CODES, "KMSThrottling", "Throttled"])
def test_every_code_that_botocore_takes_for_a_throttle_passes(code):
    # Two of them are other services', which mean a conflict by them.
    if code not in ("TransactionInProgressException", "PriorRequestNotComplete"):
        assert refused(400, code).throttled


def test_every_passing_answer_of_botocore_s_passes():
    for code in TransientRetryableChecker._TRANSIENT_ERROR_CODES:
        assert isinstance(refused(400, code), Passing) or code == "PriorRequestNotComplete"
    for status in TransientRetryableChecker._TRANSIENT_STATUS_CODES:
        assert isinstance(refused(status, str(status)), Passing)


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (400, "InvalidParameter"), (409, "BucketTaken")])
def test_other_errors_are_final(status, code):
    failure = refused(status, code)
    assert isinstance(failure, TransportError)
    assert (failure.error_type, failure.aws_code) == ("ClientError", code)


def test_an_entry_is_final_where_its_sender_is_at_fault_and_not_too_fast():
    assert isinstance(refused_entry("InvalidParameter", True), TransportError)
    assert not refused_entry("InternalError", False).throttled
    assert refused_entry("KMSThrottling", True).throttled
