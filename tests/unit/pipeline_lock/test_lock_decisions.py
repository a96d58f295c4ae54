"""What a lock that is there means, when it is to be renewed, and which process is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import pipeline_lock, pipeline_lock_process
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock import Found, is_due, verdict

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def found(age: float | None = 10, **record) -> Found:
    return Found(etag='"1"', modified=NOON, age=age, record={"token": "theirs", "lease": 900, **record})


@pytest.mark.parametrize(
    ("lock", "gone", "expected"),
    [
        (found(), False, "held"),
        (found(age=903), False, "held"),
        (found(age=904), False, "expired"),
        (found(age=904, lease=3600), False, "held"),
        (found(age=904, token="mine"), False, "ours"),
        (found(age=None), False, "held"),
        (found(), True, "dead"),
        (found(lease="forever"), False, "held"),
        (found(age=904, lease=10**9), False, "expired"),
    ],
)
def test_a_lock_is_another_runs_until_its_own_lease_is_over_by_s3s_clock(lock, gone, expected):
    assert verdict(lock, "mine", 900, gone) == expected


def test_what_is_no_lock_of_ours_holds_for_the_lease_of_the_one_who_asks():
    for body in (b"", b"[]", b"not json"):
        assert pipeline_lock.parsed(body) == {}
    odd = Found(etag='"1"', modified=NOON, age=100)
    assert verdict(odd, "", 90, False) == "expired"
    assert verdict(odd, "", 99, False) == "held"


def test_a_lock_is_due_after_a_third_of_its_lease():
    held = {"held": True, "held_from": 1000.0, "lease": 900}
    assert [is_due(held, now) for now in (1000.0, 1299.9, 1300.0)] == [False, False, True]
    for nothing in ({}, {"skipped": True}, {"held": False, "held_from": 0.0, "lease": 1}, None):
        assert not is_due(nothing, 10.0**9)


def test_who_comes_second_is_told_who_since_when_until_when_and_what_to_do():
    lock = found(holder="ann@desk, process 7, deploy.yml", since="2026-01-31T11:50:00Z")
    said = pipeline_lock.held_message("s3://audit/lock.json", lock, 900, waited=12.0)
    for words in (
        "s3://audit/lock.json",
        "ann@desk, process 7, deploy.yml, since 2026-01-31T11:50:00Z",
        "until 2026-01-31T12:15:03Z",
        "waited 12 s",
        "ddb_stream_pipeline_lock_wait",
    ):
        assert words in said
    assert "waited" not in pipeline_lock.held_message("s3://audit/lock.json", lock, 900, waited=0)


def test_the_record_says_its_moment_in_utc_and_nothing_that_is_secret():
    since = datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=1)))
    assert pipeline_lock.record("mine", "ann@desk", 900, since, {"pid": 7}) == {
        "schema": "cloudcdc.lock/1",
        "token": "mine",
        "holder": "ann@desk",
        "since": "2026-01-31T12:00:00Z",
        "lease": 900,
        "process": {"pid": 7},
    }


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")


@needs_proc
def test_a_process_is_gone_when_it_ended_and_when_another_has_its_number():
    running = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    named = pipeline_lock_process.identity(running.pid)
    assert not pipeline_lock_process.is_gone(named)
    assert pipeline_lock_process.is_gone({**named, "started": "1"})
    running.kill()
    # Killed, but not waited for by its parent yet.
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
    assert pipeline_lock_process.is_gone(named)
    running.communicate()
    assert pipeline_lock_process.is_gone(named)


@needs_proc
@pytest.mark.parametrize("elsewhere", ["boot", "pid_namespace", "time_namespace"])
def test_nobody_is_thought_gone_who_runs_elsewhere_or_is_not_named(elsewhere):
    gone = {**pipeline_lock_process.identity(os.getpid()), "started": "1"}
    assert pipeline_lock_process.is_gone(gone)
    assert not pipeline_lock_process.is_gone({**gone, elsewhere: "another"})
    assert not pipeline_lock_process.is_gone({name: value for name, value in gone.items() if name != elsewhere})
    for unnamed in (None, {}, {**gone, "pid": "7"}, {**gone, "pid": -1}):
        assert not pipeline_lock_process.is_gone(unnamed)


def test_the_clock_is_one_for_all_processes():
    before = pipeline_lock_process.clock()
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; from {pipeline_lock_process.__name__} import clock; print(clock())"
    )
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert before < float(there.stdout) < pipeline_lock_process.clock()
