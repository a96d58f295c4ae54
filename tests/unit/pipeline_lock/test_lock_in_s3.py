"""Taking, renewing and releasing: never two owners, whatever comes in between."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock import MARGIN
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_lock_api import (
    LockHeld,
    LockLost,
    NoBucket,
    PipelineLock,
)
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from lock_model import LockBucket
from moto import mock_aws

LEASE = 60


class Runner:
    """One run: when it may write is what its own clock says, which goes right and shows some other time."""

    def __init__(self, s3: LockBucket, name: str, offset: float):
        self.s3, self.name, self.offset = s3, name, offset
        self.lock: PipelineLock | None = None
        self.dead = False

    def clock(self) -> float:
        return self.s3.now + self.offset

    def sleep(self, seconds: float) -> None:
        self.s3.now += seconds

    def take(self, others: list[Runner], wait: float = 0) -> None:
        lock = PipelineLock(self.s3, "audit", "lock", f"{self.name} {self.s3.now}", LEASE, self.clock, self.sleep)
        gone = {other.name for other in others if other.dead}
        try:
            lock.take({"token": lock.token, "lease": LEASE, "process": self.name}, wait, lambda name: name in gone)
        except LockHeld:
            return
        self.lock, self.dead = lock, False

    def renew(self) -> None:
        try:
            self.lock.renew()
        except LockLost:
            self.lock = None

    def release(self) -> None:
        self.lock.release()
        self.lock = None

    def may_write(self) -> bool:
        """As long as its lease is not over by its own count, it asks nobody."""
        return self.lock is not None and not self.dead and self.clock() - self.lock.held_from < LEASE


class NeverTwoOwners(RuleBasedStateMachine):
    """Three runs, requests that take their time, and others' requests between any two of one run."""

    def __init__(self):
        super().__init__()
        self.s3 = LockBucket()
        self.runs = [Runner(self.s3, name, offset) for name, offset in (("a", 0), ("b", 1e6), ("c", -5000.5))]
        self.between = []
        self.s3.before = self.meanwhile

    def meanwhile(self, _call):
        if not self.between:
            return
        seconds, number, act = self.between.pop()
        self.s3.now += seconds
        other = self.runs[number]
        if act == "take" and other.lock is None:
            other.take(self.runs)
        elif act != "take" and other.lock is not None and not other.dead and other is not self.acting:
            getattr(other, act)()
        self.nobody_doubts()

    interruptions = st.lists(
        st.tuples(st.floats(0, 2 * LEASE), st.integers(0, 2), st.sampled_from(["take", "renew", "release"])), max_size=3
    )

    @rule(seconds=st.floats(0, 2 * LEASE))
    def time_passes(self, seconds):
        self.s3.now += seconds

    @rule(number=st.integers(0, 2), act=st.sampled_from(["take", "renew", "release"]), between=interruptions,
          lost=st.booleans(), wait=st.sampled_from([0, 0, 100]))  # fmt: skip
    def a_run_acts(self, number, act, between, lost, wait):
        self.acting = self.runs[number]
        self.between = [each for each in between if self.runs[each[1]] is not self.acting]
        self.s3.lost = ["put_object"] if lost else []
        if self.acting.lock is None:
            if act == "take":
                self.acting.take(self.runs, wait)
        elif not self.acting.dead:
            if act == "renew":
                self.acting.renew()
            if act == "release":
                self.acting.release()
        self.between, self.s3.lost = [], []

    @rule(number=st.integers(0, 2))
    def a_run_is_killed(self, number):
        if self.runs[number].lock:
            self.runs[number].dead = True

    @rule(number=st.integers(0, 2))
    def a_killed_run_is_started_anew(self, number):
        if self.runs[number].dead:
            self.runs[number].lock, self.runs[number].dead = None, False
            # Its former process is another than the new one.
            self.runs[number].name += "'"

    @invariant()
    def nobody_doubts(self):
        assert sum(run.may_write() for run in self.runs) <= 1


TestNeverTwoOwners = NeverTwoOwners.TestCase


@pytest.fixture
def s3():
    return LockBucket()


def taken(s3, name="first", wait=0, gone=()):
    lock = PipelineLock(
        s3, "audit", "lock", name, LEASE, lambda: s3.now, lambda seconds: setattr(s3, "now", s3.now + seconds)
    )
    return lock, lock.take({"token": name, "lease": LEASE, "process": name}, wait, lambda process: process in gone)


def test_a_dead_owner_and_an_expired_one_are_followed_at_once_and_a_live_one_is_not(s3):
    assert taken(s3, "first")[1] == ""
    with pytest.raises(LockHeld, match="renewed 2026-01-01T00:00:00Z"):
        taken(s3, "second")
    assert taken(s3, "second", gone={"first"})[1] == "dead"
    s3.now += LEASE + MARGIN
    with pytest.raises(LockHeld):
        taken(s3, "third")
    s3.now += 1
    assert taken(s3, "third")[1] == "expired"


def test_who_lost_it_learns_so_before_it_writes_and_does_not_release_the_others(s3):
    first, _took_over = taken(s3, "first")
    s3.now += LEASE + MARGIN + 1
    second, _took_over = taken(s3, "second")
    with pytest.raises(LockLost, match="now another run's"):
        first.renew()
    assert not first.release()
    second.renew()
    assert second.release()
    with pytest.raises(LockLost, match="is gone"):
        second.renew()


def test_an_owner_that_was_late_keeps_a_lock_that_nobody_took(s3):
    first, _took_over = taken(s3, "first")
    s3.now += 10 * LEASE
    first.renew()
    assert first.held_from == s3.now


def test_who_waits_gets_it_when_it_is_released_or_over(s3):
    taken(s3, "first")
    lock, took_over = taken(s3, "second", wait=2 * LEASE)
    assert took_over == "expired" and s3.now < LEASE + MARGIN + 7
    began = s3.now
    with pytest.raises(LockHeld, match="waited 20 s"):
        taken(s3, "third", wait=20)
    assert s3.now == pytest.approx(began + 20)
    assert lock.release()


@pytest.mark.parametrize("act", ["take", "renew"])
def test_a_request_whose_answer_was_lost_is_known_for_ones_own(s3, act):
    if act == "renew":
        lock, _took_over = taken(s3, "first")
    s3.lost = ["put_object"]
    if act == "renew":
        lock.renew()
    else:
        lock, _took_over = taken(s3, "first")
    s3.lost = []
    lock.renew()


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")


class WithRetry:
    """Takes aws_retry as the module's client does, and tells the time, which moto does not."""

    def __init__(self, client, date="Sat, 31 Jan 2026 12:00:00 GMT"):
        self.client, self.date = client, date

    def __getattr__(self, name):
        def call(aws_retry, **request):
            answer = getattr(self.client, name)(**request)
            answer["ResponseMetadata"]["HTTPHeaders"]["date"] = self.date
            return answer

        return call


@pytest.mark.parametrize("versioned", [False, True])
def test_nothing_is_left_of_a_lock_that_was_released(aws, versioned):
    aws.create_bucket(Bucket="audit")
    if versioned:
        aws.put_bucket_versioning(Bucket="audit", VersioningConfiguration={"Status": "Enabled"})
    for token in ("first", "second"):
        lock = PipelineLock(WithRetry(aws), "audit", ".cloudcdc/lock/orders.json", token, LEASE)
        assert lock.take({"token": token, "lease": LEASE}, 0, lambda process: False) == ""
        lock.renew()
        assert lock.release()
    left = aws.list_object_versions(Bucket="audit")
    assert not left.get("Versions") and not left.get("DeleteMarkers")


def test_a_bucket_that_is_not_there_holds_no_lock(aws):
    lock = PipelineLock(WithRetry(aws), "audit", "lock", "first", LEASE)
    with pytest.raises(NoBucket):
        lock.take({}, 0, lambda process: False)
    assert not lock.release()
