"""Random changes under faults and kills: each is in the audit log or named by a failure record, and redrive ends it.

CDC_SOAK=1 (make soak) makes the full counts.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from ansible_runs import Project
from cloud_driver import LocalCloud

from local_cloud import processes
from local_cloud.settings import INSTANCE_VARIABLE
from tests import random_changes
from tests.accounting import Account, Pipeline, rebuilt

pytestmark = pytest.mark.cloud

SOAK = os.environ.get("CDC_SOAK") == "1"
CHANGES = 5_000 if SOAK else 600
STEADY = 10_000 if SOAK else 500
KILLS = 20 if SOAK else 4
#: How long the last change may take, all faults being over (seconds).
SETTLE_SECONDS = 300

#: The failure bucket is spared: what cannot be delivered there is dropped, as on AWS.
AUDIT_LOG = {"service": "s3", "operation": "PutObject", "path": "/activity-audit-*"}
#: SNS's Publish and PublishBatch.
NOTIFICATIONS = {"service": "sns", "operation": "Publish*"}
#: Every call is tried up to five times, so this refuses some calls for good, and lets some fail only seemingly.
FAULTS = [
    {**AUDIT_LOG, "rate": 0.4, "answer": 503},
    {**AUDIT_LOG, "rate": 0.05, "answer": 500, "lost": True},
    {**AUDIT_LOG, "rate": 0.05, "delay": 0.5},
    {**NOTIFICATIONS, "rate": 0.4, "answer": 503},
    {**NOTIFICATIONS, "rate": 0.05, "answer": 500, "lost": True},
    {**NOTIFICATIONS, "rate": 0.05, "delay": 0.5},
]


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A local cloud of its own, since its processes are killed."""
    cloud = LocalCloud(home=tmp_path_factory.mktemp("troubled"))
    try:
        cloud.run("start")
        yield cloud
    finally:
        cloud.end()


@pytest.fixture(
    scope="module",
    params=[("queue", "per_change"), ("bucket", "per_batch")],
    ids=["queue-per_change", "bucket-per_batch"],
)
def project(request, troubled, tmp_path_factory) -> Project:
    """A pipeline that gives up soon, so that there is something to redrive."""
    destination, layout = request.param
    project = Project(
        troubled,
        tmp_path_factory.mktemp("project"),
        {"activities": {}},
        maximum_batching_window_in_seconds=0,
        maximum_retry_attempts=0,
        maximum_record_age_in_seconds=-1,
        parallelization_factor=10,
        batch_size=25,
        failure_destination=destination,
        audit_layout=layout,
    )
    project.run("deploy").ok()
    return project


@pytest.fixture
def pipeline(project) -> Pipeline:
    return Pipeline(project.outputs("activities"))


class Trouble:
    """Kills what it is told to kill, evenly over the time that the changes take."""

    def __init__(self, cloud: LocalCloud, victims: list[Callable[[LocalCloud], bool]]) -> None:
        self.cloud, self.victims = cloud, victims
        self.kills = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Trouble:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        wanted = KILLS * len(self.victims)
        while self.kills < wanted and not self._over.wait(0.5):
            self.kills += self.victims[self.kills % len(self.victims)](self.cloud)

    def wait(self, seconds: float) -> None:
        """Until all the kills are done."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), f"only {self.kills} kills within {seconds} s"


def kill_poller(cloud: LocalCloud) -> bool:
    with suppress(ProcessLookupError, KeyError, ValueError):
        os.kill(json.loads((cloud.home / "server.json").read_text())["poller_pid"], signal.SIGKILL)
        return True
    return False


def kill_worker(cloud: LocalCloud) -> bool:
    """Kill one process that runs a function. Whether there was one."""
    record = json.loads((cloud.home / "server.json").read_text())
    others = {record["pid"], record.get("poller_pid")}
    for pid in processes.bearers(INSTANCE_VARIABLE, record["instance_id"]):
        if pid not in others:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def told(pipeline: Pipeline, queue: str) -> set[str]:
    """The eventIDs that subscribers were told of."""
    found = set()
    while messages := pipeline.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found |= {json.loads(message["Body"])["details"]["eventID"] for message in messages}
        entries = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)
        ]
        pipeline.sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    return found


def assert_accounted(account: Account, changes: int) -> None:
    assert len(account.stream) == changes
    assert not account.unaccounted, account.line()
    assert not account.strangers, account.line()
    assert not account.doubled, account.line()


def redriven(project: Project, pipeline: Pipeline) -> Account:
    """Redrive until no failure record is left; a healthy pipeline takes one run."""
    run = project.run("redrive").ok()
    account = pipeline.settled(audited=True, timeout=SETTLE_SECONDS)
    assert not account.failures, run.output[-2000:]
    return account


def test_faults_and_kills_lose_nothing_and_the_audit_log_rebuilds_the_table(troubled, project, pipeline):
    outputs = pipeline.outputs
    queue = troubled.subscribed_queue(outputs["change_topic_arn"], "subscriber")
    before = len(pipeline.stream())
    troubled.run("faults", json.dumps({"seed": 7, "rules": FAULTS}))
    try:
        with Trouble(troubled, [kill_poller, kill_worker]) as trouble:
            random_changes.make(troubled.client("dynamodb"), outputs["table_name"], CHANGES, CHANGES // 10, seed=7)
            trouble.wait(60 + 5 * KILLS)
    finally:
        troubled.run("faults", "off")
    account = pipeline.settled(timeout=SETTLE_SECONDS)
    assert_accounted(account, before + CHANGES)

    account = redriven(project, pipeline)
    assert_accounted(account, before + CHANGES)
    assert not account.missing, account.line()
    assert rebuilt(account.audited) == pipeline.items()
    assert told(pipeline, queue) <= account.audited.keys()


def test_what_is_given_up_under_faults_is_named_and_comes_back(troubled, project, pipeline):
    """Without kills, so that every loss would be the poller's or the function's own."""
    before = len(pipeline.stream())
    # A refusal, which no call tries again.
    every = [{**each, "rate": 0.6, "answer": 403} for each in (AUDIT_LOG, NOTIFICATIONS)]
    troubled.run("faults", json.dumps({"seed": 8, "rules": every}))
    try:
        random_changes.make(troubled.client("dynamodb"), pipeline.outputs["table_name"], 60, 12, seed=8)
        account = pipeline.settled(timeout=SETTLE_SECONDS)
    finally:
        troubled.run("faults", "off")
    assert_accounted(account, before + 60)
    assert account.failures, "the faults were to make the mapping give something up"

    account = redriven(project, pipeline)
    assert not account.missing, account.line()
    assert rebuilt(account.audited) == pipeline.items()


def test_a_second_redrive_finds_nothing(project):
    run = project.run("redrive").ok()
    assert run.changed() == []


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
def test_calls_that_fail_at_random_leave_each_change_once_in_the_audit_log(troubled, tmp_path, layout):
    """Without giving up: one call in ten fails, some for good; Lambda tries until all is done. No redrive, no kills."""
    project = Project(
        troubled,
        tmp_path,
        {f"steady-{layout}".replace("_", "-"): {}},
        maximum_batching_window_in_seconds=0,
        maximum_retry_attempts=-1,
        maximum_record_age_in_seconds=-1,
        parallelization_factor=4,
        batch_size=100,
        audit_layout=layout,
    )
    (name,) = project.hosts
    project.run("deploy").ok()
    pipeline = Pipeline(project.outputs(name))
    queue = troubled.subscribed_queue(pipeline.outputs["change_topic_arn"], name)
    one_in_ten = [
        {**each, "rate": rate, "answer": answer}
        for each in (AUDIT_LOG, NOTIFICATIONS)
        for rate, answer in ((0.07, 503), (0.03, 403))
    ]
    troubled.run("faults", json.dumps({"seed": 10, "rules": one_in_ten}))
    try:
        random_changes.make(troubled.client("dynamodb"), pipeline.outputs["table_name"], STEADY, STEADY // 10, seed=10)
        account = pipeline.settled(audited=True, timeout=SETTLE_SECONDS)
    finally:
        troubled.run("faults", "off")
    assert_accounted(account, STEADY)
    assert not account.missing, account.line()
    assert not account.failures, account.line()
    assert rebuilt(account.audited) == pipeline.items()
    notified = told(pipeline, queue)
    assert notified <= account.audited.keys()
