"""Signals end a run between two steps; moments are AWS's."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import (
    Clock,
    Interrupted,
    Signals,
)

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def none_ignored():
    """Whoever started the tests may have chosen to ignore signals, as nohup does, and shells for their background."""
    former = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_ends_the_run_at_its_next_pause_and_not_before(number):
    with Signals() as signals:
        os.kill(os.getpid(), number)
        signal.getsignal(number)  # the handler has run by now, and nothing was raised

        with pytest.raises(Interrupted, match=number.name):
            Clock(signals).pause(60)


def test_handlers_are_what_they_were_before():
    before = [signal.getsignal(number) for number in ENDING]
    with Signals():
        assert [signal.getsignal(number) for number in ENDING] != before

    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_signal_that_is_ignored_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            signals.check()
    finally:
        signal.signal(signal.SIGHUP, former)


def test_outside_the_main_thread_a_run_goes_without_handlers():
    failures = []

    def run():
        try:
            with Signals() as signals:
                signals.check()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert failures == []


def test_moments_follow_awss_clock_and_an_answer_without_a_date_changes_nothing():
    clock = Clock(Signals())
    theirs = datetime.now(UTC) + timedelta(hours=3)

    clock.follow({"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(theirs, usegmt=True)}}})
    for nothing in ({}, {"ResponseMetadata": {"HTTPHeaders": {"date": "soon"}}}):
        clock.follow(nothing)

    assert timedelta(hours=2, minutes=59) < clock.utc() - datetime.now(UTC) < timedelta(hours=3, minutes=1)
