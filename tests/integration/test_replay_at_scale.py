"""A replay at scale in the local cloud gives what the reader gives, to each target; stopped, it goes on."""

from __future__ import annotations

import json
import random
import time
import uuid

import pytest
from ansible_runs import Project, until
from replayer.history.dynamodb_json import same_attributes
from replayer.history.reader import Reader
from replayer.history.store import Store

from tests.leftovers import resources
from tests.unit.history.logs import FIRST, PREFIX, FakeS3, random_changes, write_batch, write_changes

pytestmark = pytest.mark.cloud

ACCOUNT = "us-east-1:000000000000"


@pytest.fixture(scope="module")
def scene(cloud, tmp_path_factory):
    cloud.reset()
    project = Project(
        cloud,
        tmp_path_factory.mktemp("scale"),
        {"activities": {}},
        replay_at_scale=True,
        compaction=True,
        compaction_schedule="",
        replay_at_scale_concurrency=4,
        replay_at_scale_slice_objects=20,
        replay_at_scale_targets=[
            f"arn:aws:sqs:{ACCOUNT}:replayed*",
            f"arn:aws:sqs:{ACCOUNT}:activity-replay-*",
            f"arn:aws:sns:{ACCOUNT}:replayed",
            f"arn:aws:dynamodb:{ACCOUNT}:table/Copy*",
        ],
    )
    project.run("deploy").ok()
    made = Scene(cloud, project)
    made.write_log()
    return made


class Scene:
    def __init__(self, cloud, project):
        self.cloud, self.project = cloud, project
        self.s3, self.states, self.sqs = (cloud.client(name) for name in ("s3", "stepfunctions", "sqs"))
        self.outputs = project.outputs("activities")
        self.bucket, self.machine = self.outputs["audit_bucket"], self.outputs["replay_state_machine_arn"]
        self.store = Store(self.s3, self.bucket)

    def write_log(self):
        """Three hours of both layouts; the first one is compacted."""
        source, fake = random.Random(11), FakeS3()
        self.changes = random_changes(source, 400, items=30, span=3 * 3600)
        write_changes(fake, self.changes[:200])
        for start in range(195, 400, 9):
            write_batch(fake, self.changes[start : start + 9])
        for key, body in fake.objects.items():
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        told = {"from": "2026-01-31T10:00:00Z", "to": "2026-01-31T10:59:00Z"}
        found = self.states.start_execution(
            stateMachineArn=self.outputs["compaction_state_machine_arn"], input=json.dumps(told)
        )
        assert self.ended(found["executionArn"])["status"] == "SUCCEEDED"
        reader = Reader(self.store, PREFIX, workers=8)
        assert [each.envelope for each in reader.changes(FIRST, FIRST.replace(hour=23))] == self.changes

    def start(self, target, **more):
        told = {
            "replay": {"id": f"r-{uuid.uuid4().hex[:8]}", "time": "2026-02-02T00:00:00Z"},
            "table_name": "Items",
            "from": "2026-01-31T10:00:00Z",
            "to": "2026-01-31T23:00:00Z",
            "target": target,
            "lanes": 2,
            **more,
        }
        started = self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(told))
        return told["replay"]["id"], started["executionArn"]

    def ended(self, execution):
        def look():
            found = self.states.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return until(look, "the end of the execution")

    def room(self, replay):
        return [each.key.rpartition("/")[2] for each in self.store.list(f".cloudcdc/replay/{replay}/")]

    def result(self, replay):
        return json.loads(self.store.read(f".cloudcdc/replay/{replay}/result.json"))

    def run(self, target, **more):
        replay, execution = self.start(target, **more)
        ended = self.ended(execution)
        assert ended["status"] == "SUCCEEDED", ended
        # Nothing of the log is left beside it.
        assert set(self.room(replay)) <= {
            "log.json", "partitions.json", "plan.json", "request.json", "result.json", "slices.json",
        }  # fmt: skip
        result = self.result(replay)
        assert result["complete"]
        return replay, result

    def received(self, queue):
        found = []
        while messages := self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(each["Body"])["details"] for each in messages]
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
        return found


def plain(envelopes):
    """Without the mark, in the order of the stream."""
    found = [{name: value for name, value in each.items() if name != "replay"} for each in envelopes]
    return sorted(found, key=lambda each: int(each["sequenceNumber"]))


def test_every_change_reaches_a_queue_once(scene):
    queue = scene.sqs.create_queue(QueueName="replayed")["QueueUrl"]
    replay, result = scene.run({"kind": "queue", "queue_url": queue})
    received = scene.received(queue)
    assert plain(received) == scene.changes
    assert {each["replay"]["id"] for each in received} == {replay}
    assert result["partitions"] > 1 and result["slices"] > result["partitions"]


def test_the_playbook_hands_a_large_replay_over_and_reads_its_result(scene):
    queue = scene.sqs.create_queue(QueueName="activity-replay-large")["QueueUrl"]
    asked = [
        "-e",
        "replay_target=queue",
        "-e",
        f"replay_queue_url={queue}",
        "-e",
        "ddb_stream_pipeline_table_name=Items",
    ]
    report = scene.project.folder / "build/replay/test/activities.json"

    for objects, replay in ((10, "large"), (100_000, "small")):
        limit = f"ddb_stream_pipeline_replay_at_scale_objects={objects}"
        scene.project.run("replay", *asked, "-e", limit, "-e", f"replay_id={replay}").ok()
        told = json.loads(report.read_text())
        assert plain(scene.received(queue)) == scene.changes
        assert ("execution_arn" in told) == (replay == "large")
        assert (told["complete"], told["counts"]["sent"]) == (True, len(scene.changes))
    # It was sent, so it is not sent again.
    assert scene.project.run("replay", *asked, "-e", "replay_id=large").ok().changed() == []


def test_a_table_becomes_what_it_was_at_a_time(scene):
    dynamodb = scene.cloud.client("dynamodb")
    dynamodb.create_table(
        TableName="Copy",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    at = "2026-01-31T11:30:00Z"
    scene.run({"kind": "table", "table": "Copy"}, to=at)
    wanted = {}
    for each in scene.changes:
        if each["timestamp"] <= at:
            wanted[each["keys"]["Id"]["S"]] = each.get("newImage")
    found = {item["Id"]["S"]: item for item in dynamodb.scan(TableName="Copy")["Items"]}
    wanted = {item: image for item, image in wanted.items() if image}
    assert found.keys() == wanted.keys() and len(found) > 10
    assert all(same_attributes(found[item], wanted[item]) for item in found)
    dynamodb.delete_table(TableName="Copy")


def test_the_pipelines_function_and_a_topic_take_what_is_chosen(scene):
    topic = scene.cloud.client("sns").create_topic(Name="replayed")["TopicArn"]
    queue = scene.cloud.subscribed_queue(topic, "of-topic")
    chosen = [each for each in scene.changes if each["eventName"] == "MODIFY"]
    scene.run({"kind": "topic", "topic_arn": topic}, match="eventName == 'MODIFY'", event_names=["MODIFY", "REMOVE"])
    assert plain(scene.received(queue)) == chosen

    before = len(list(scene.store.list(PREFIX)))
    function = {"kind": "function", "function_name": scene.outputs["function_name"], "qualifier": "live"}
    _replay, result = scene.run(function, keys=chosen[0]["keys"])
    assert sum(result["sent"].values()) == sum(each["keys"] == chosen[0]["keys"] for each in scene.changes)
    # What is replayed is not logged again.
    assert len(list(scene.store.list(PREFIX))) == before


def test_a_replay_that_is_stopped_goes_on(scene):
    queue = scene.sqs.create_queue(QueueName="replayed-on")["QueueUrl"]
    target = {"kind": "queue", "queue_url": queue}
    replay, execution = scene.start(target, rate=100)
    until(lambda: any(name == "00.json" for name in scene.room(replay)), "the first batch")
    scene.states.stop_execution(executionArn=execution)
    time.sleep(1)
    scene.run(target, replay={"id": replay, "time": ""}, rate=100)
    received = scene.received(queue)
    once = {each["eventID"]: each for each in received}
    assert plain(once.values()) == scene.changes


def test_what_is_not_allowed_or_damaged_is_told(scene):
    """The replayer may send only where the role lets it, and tells what is wrong in AWS's words."""
    queue = scene.sqs.create_queue(QueueName="somebody-elses")["QueueUrl"]
    replay, execution = scene.start({"kind": "queue", "queue_url": queue})
    ended = scene.ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "ReplayIncomplete")
    assert scene.result(replay)["unfinished_partitions"]
    assert scene.received(queue) == []

    bad = f"{PREFIX}2026/01/31/11/{'9' * 40}-{'a' * 16}.json"
    scene.s3.put_object(Bucket=scene.bucket, Key=bad, Body=b"{")
    replay, execution = scene.start({"kind": "table", "table": "Copy"})
    ended = scene.ended(execution)
    assert ended["error"] == "RequestRefused" and bad in ended["cause"]
    scene.s3.delete_object(Bucket=scene.bucket, Key=bad)

    started = scene.states.start_execution(
        stateMachineArn=scene.machine, input=json.dumps({"clean": True, "replay": {"id": replay}})
    )
    assert scene.ended(started["executionArn"])["status"] == "SUCCEEDED"
    assert not [name for name in scene.room(replay) if name.endswith(".gz")]


def test_all_goes_with_a_teardown(scene):
    scene.project.run("teardown", "-e", "teardown_delete_data=true").ok()
    for name in ("activity-replay-large", "replayed", "replayed-on", "of-topic", "somebody-elses"):
        scene.sqs.delete_queue(QueueUrl=scene.sqs.get_queue_url(QueueName=name)["QueueUrl"])
    for each in scene.cloud.client("sns").list_subscriptions()["Subscriptions"]:
        scene.cloud.client("sns").unsubscribe(SubscriptionArn=each["SubscriptionArn"])
    scene.cloud.client("sns").delete_topic(TopicArn=f"arn:aws:sns:{ACCOUNT}:replayed")
    assert resources(scene.cloud.endpoint) == {}
