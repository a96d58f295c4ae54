"""Compaction in the local cloud: from the role's option to one file an hour, whoever is killed on the way."""

from __future__ import annotations

import json
import random
import threading
import time

import pytest
from ansible_runs import Project, until
from replayer.history.generations import FOLDER, read_generations
from replayer.history.reader import Reader
from replayer.history.store import Store
from test_identities import granted, used

from tests.leftovers import resources
from tests.unit.history.logs import FIRST, PREFIX, FakeS3, envelope, random_changes, write_batch, write_changes

pytestmark = pytest.mark.cloud

HOUR = f"{PREFIX}2026/01/31/10/"
RANGE = {"from": "2026-01-31T00:00:00Z", "to": "2026-02-01T00:00:00Z"}


@pytest.fixture(scope="module")
def scene(cloud, tmp_path_factory):
    cloud.reset()
    queue = cloud.client("sqs").create_queue(QueueName="downstream")["QueueUrl"]
    project = Project(
        cloud,
        tmp_path_factory.mktemp("compaction"),
        {"activities": {}},
        compaction=True,
        compaction_max_sources=25,
        compaction_hand_on={"queue_arn": "arn:aws:sqs:us-east-1:000000000000:downstream"},
        replayer_timeout=60,
    )
    project.run("deploy").ok()
    return Scene(cloud, project, queue)


class Scene:
    def __init__(self, cloud, project, queue):
        self.cloud, self.project, self.queue = cloud, project, queue
        self.s3, self.states = cloud.client("s3"), cloud.client("stepfunctions")
        outputs = project.outputs("activities")
        self.bucket, self.machine = outputs["audit_bucket"], outputs["compaction_state_machine_arn"]
        self.function = outputs["replayer_function_arn"]
        self.store = Store(self.s3, self.bucket)

    def write(self, fake: FakeS3) -> None:
        for key, body in fake.objects.items():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def keys(self, prefix: str = HOUR) -> list[str]:
        return [each.key for each in self.store.list(prefix)]

    def sources(self, prefix: str = HOUR) -> list[str]:
        return [key for key in self.keys(prefix) if FOLDER not in key]

    def manifests(self, prefix: str = HOUR):
        return read_generations(self.store, self.keys(prefix))

    def read(self):
        reader = Reader(self.store, PREFIX, workers=8)
        found = [each.envelope for each in reader.changes(FIRST.replace(hour=0), FIRST.replace(hour=23))]
        assert reader.findings.sentences() == []
        return found

    def empty(self) -> None:
        self.store.delete(self.keys(f"{PREFIX}2026/01/") + self.keys(".cloudcdc/handed-on/"))
        self.cloud.client("sqs").purge_queue(QueueUrl=self.queue)

    def start(self, **told) -> str:
        return self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(told))["executionArn"]

    def ended(self, execution: str) -> dict:
        def look():
            found = self.states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return until(look, "the end of the execution")

    def run(self, **told) -> dict:
        found = self.ended(self.start(**{**RANGE, **told}))
        assert found["status"] == "SUCCEEDED", found
        return json.loads(found["output"])

    def handed_on(self) -> list[str]:
        sqs, found = self.cloud.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for each in messages:
                found.append(json.loads(each["Body"])["manifest"])
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=each["ReceiptHandle"])
        return sorted(found)


@pytest.fixture
def empty(scene):
    scene.empty()
    return scene


def log(seed: int, count: int, span: int = 3600) -> tuple[FakeS3, list[dict]]:
    source, fake = random.Random(seed), FakeS3()
    changes = random_changes(source, count, items=20, span=span)
    write_changes(fake, changes[: count // 2])
    for start in range(count // 2, count, 7):
        write_batch(fake, changes[start : start + 7])
    return fake, changes


def test_a_run_compacts_the_closed_hours_and_hands_the_manifests_on(empty):
    fake, changes = log(1, 150, span=3 * 3600)
    empty.write(fake)
    assert empty.read() == changes
    told = empty.run()
    made = empty.manifests(f"{PREFIX}2026/01/31/")
    assert (told["hours"], told["changes"], told["sources"]) == (3, len(changes), len(fake.objects))
    # At most 25 sources a generation.
    assert told["removed"] == len(fake.objects) and len(made) > 3
    assert empty.sources(f"{PREFIX}2026/01/31/") == [] and empty.read() == changes
    assert empty.handed_on() == sorted(each.key for each in made)

    # Nothing is left to do, and a late change makes a further generation.
    assert empty.run() == {"hours": 0, **dict.fromkeys(told.keys() - {"hours"}, 0)}
    late = envelope(10**22, "late", seconds=3599)
    fake.objects.clear()
    write_changes(fake, [late])
    empty.write(fake)
    assert empty.run()["sources"] == 1
    assert late in empty.read() and len(empty.manifests(f"{PREFIX}2026/01/31/")) == len(made) + 1
    assert len(empty.handed_on()) == 1


def test_an_hour_that_is_not_closed_is_left_alone(empty):
    now = time.time()
    fake = FakeS3()
    write_changes(fake, [envelope(1, seconds=int(now - FIRST.timestamp()))])
    empty.write(fake)
    (key,) = list(fake.objects)
    assert empty.run(**{"from": "2026-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"})["hours"] == 0
    assert key in empty.keys(PREFIX)
    empty.store.delete([key])


def test_a_damaged_object_fails_the_run_and_the_rest_is_compacted(empty):
    fake, changes = log(2, 20)
    (bad,) = write_changes(fake, [envelope(10**22, "bad")])
    fake.objects[bad] = b"{"
    empty.write(fake)
    ended = empty.ended(empty.start(**RANGE))
    assert ended["status"] == "FAILED" and ended["error"] == "CompactionIncomplete" and HOUR in ended["cause"]
    assert empty.sources() == [bad]
    lines = empty.cloud.client("logs").filter_log_events(
        logGroupName=f"/aws/lambda/{empty.function.rpartition(':')[2]}", filterPattern=f'"{bad}"'
    )["events"]
    assert lines
    empty.store.delete([bad])
    assert empty.read() == changes


def test_runs_at_once_and_runs_that_are_stopped_lose_and_double_nothing(empty):
    fake, changes = log(3, 200)
    empty.write(fake)
    seen: list[bool] = []
    over = threading.Event()

    def look():
        while not over.is_set():
            seen.append(empty.read() == changes)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        executions = [empty.start(**RANGE) for _run in range(3)]
        time.sleep(1)
        empty.states.stop_execution(executionArn=executions[0])
        for each in executions[1:]:
            empty.ended(each)
        empty.run()
    finally:
        over.set()
        reader.join()
    assert seen and all(seen)
    assert empty.sources() == [] and empty.read() == changes
    assert sum(each.sources for each in empty.manifests()) == len(fake.objects)


def test_the_policies_are_exactly_what_the_work_takes(scene):
    scene.project.options |= {"tags": {"team": "data"}, "compaction_max_sources": 30}
    scene.project.run("deploy").ok()
    scene.project.options |= {"tags": {}, "compaction_schedule": "cron(20 * * * ? *)"}
    scene.project.run("deploy").ok()
    scene.project.run("status", "-e", "status_fail_on=never").ok()
    scene.project.run("teardown").ok()
    scene.project.run("deploy").ok()
    for identity in ("deployer", "reader"):
        taken = {each for each in used(scene.cloud, identity) if each.startswith(("states:", "events:"))}
        assert taken == granted(f"{identity}-scale"), identity


def test_switched_off_it_can_still_be_torn_down(scene):
    scene.empty()
    scene.project.options |= {"compaction": False, "compaction_hand_on": {}}
    scene.project.run("deploy").ok()
    scene.project.run("teardown", "-e", "teardown_delete_data=true").ok()
    scene.cloud.client("sqs").delete_queue(QueueUrl=scene.queue)
    assert resources(scene.cloud.endpoint) == {}
