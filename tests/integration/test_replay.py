"""The audit log rebuilds the table as it was at any time, feeds new consumers, and proves to agree with the table.

CDC_SOAK=1 (make soak) makes the full counts.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import signal
import stat
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import Project, until
from replayer.compaction import Compaction
from replayer.history.store import Store

from tests import random_changes, same_items
from tests.accounting import Pipeline

pytestmark = pytest.mark.cloud

SOAK = os.environ.get("CDC_SOAK") == "1"
CHANGES, ITEMS = (20_000, 500) if SOAK else (450, 40)
KILLS = 10 if SOAK else 2
#: The share of changes that leave an item of nearly 400 KB.
LARGE = 0.005

#: Notes what it is handed, batch by batch, in a file of this machine: the local cloud runs functions on it.
RECORDER = """
import json, os, time

def handler(event, context):
    line = [
        [each["replay"]["id"], each["eventID"], each["dynamodb"]["SequenceNumber"], each["dynamodb"]["Keys"]]
        for each in event["Records"]
    ]
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps(line) + chr(10))
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return {"batchItemFailures": []}
"""


class Scene:
    """A pipeline whose table was changed in three rounds, and what the table held after each."""

    def __init__(self, cloud, folder: Path, layout: str) -> None:
        self.cloud, self.folder, self.layout = cloud, folder, layout
        self.project = Project(
            cloud,
            folder,
            {"activities": {}},
            maximum_batching_window_in_seconds=0,
            parallelization_factor=10,
            batch_size=50,
            audit_layout=layout,
            replay_settle_seconds=20,
            replay_at_scale=True,
            replay_at_scale_concurrency=4,
            replay_at_scale_slice_objects=20,
            replay_at_scale_targets=["arn:aws:dynamodb:us-east-1:000000000000:table/UserActivities-cdc-test-scaled"],
        )
        self.project.run("deploy").ok()
        self.outputs = self.project.outputs("activities")
        self.table = self.outputs["table_name"]
        #: (time, the items by their keys' JSON)
        self.moments: list[tuple[str, dict[str, Any]]] = []
        for part in range(3):
            self.change(CHANGES // 3, seed=part)
            # Nothing is written in the second of the moment, nor in the one after it.
            time.sleep(1.1)
            self.moments.append((time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), self.items(self.table)))
            time.sleep(1.1)
        self.wait()

    def change(self, count: int, seed: int, items: int = ITEMS) -> None:
        random_changes.make(self.cloud.client("dynamodb"), self.table, count, items, seed, LARGE)

    def wait(self) -> None:
        """Until the log has all."""
        pipeline = Pipeline(self.outputs)
        until(lambda: not pipeline.account().missing, "every change in the log", 300)

    def items(self, table: str) -> dict[str, Any]:
        return same_items.items(self.cloud.client("dynamodb"), table)

    def replay(self, target: str, *arguments: str):
        return self.project.run("replay", "-e", f"replay_target={target}", *arguments)

    def compact(self) -> None:
        """Every hour, also the one that is not over, into several generations."""
        prefix = self.outputs["audit_prefix"]
        store = Store(self.cloud.client("s3"), self.outputs["audit_bucket"])
        for hour in sorted({key[: len(prefix) + len("YYYY/MM/DD/HH/")] for key in self.names()}):
            done, after = False, ""
            while not done:
                compaction = Compaction(store, prefix, hour, max_sources=CHANGES // 5, max_bytes=10**9)
                outcome = compaction.run(after)
                done, after = outcome.done, outcome.after

    def verify(self):
        """What is altered on purpose does not settle."""
        return self.replay("verify", "-e", "ddb_stream_pipeline_replay_settle_seconds=2")

    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "build/replay/test/activities.json").read_text())

    def names(self) -> list[str]:
        pages = self.cloud.client("s3").get_paginator("list_objects_v2")
        prefix = self.outputs["audit_prefix"] + "20"
        found = pages.paginate(Bucket=self.outputs["audit_bucket"], Prefix=prefix)
        return [each["Key"] for page in found for each in page.get("Contents", [])]

    def read(self, key: str) -> bytes:
        return self.cloud.client("s3").get_object(Bucket=self.outputs["audit_bucket"], Key=key)["Body"].read()

    def put(self, key: str, body: bytes) -> None:
        self.cloud.client("s3").put_object(Bucket=self.outputs["audit_bucket"], Key=key, Body=body)

    def remove(self, key: str) -> None:
        self.cloud.client("s3").delete_object(Bucket=self.outputs["audit_bucket"], Key=key)


LAYOUTS = ["per_change", "per_batch"]
#: What does not depend on the layout is tried with one of them.
once = pytest.mark.parametrize("scene", LAYOUTS if SOAK else ["per_batch"], indirect=True)


@pytest.fixture(scope="module", params=LAYOUTS)
def scene(request, cloud, tmp_path_factory) -> Scene:
    cloud.reset()
    return Scene(cloud, tmp_path_factory.mktemp(request.param), request.param)


def test_a_table_becomes_exactly_what_it_was_at_each_of_three_times(scene):
    for place, (moment, items) in enumerate(scene.moments):
        table = f"UserActivities-cdc-test-was-{place}"
        scene.replay("table", "-e", f"replay_table={table}", "-e", f"replay_to={moment}").ok()

        assert scene.items(table) == items
        assert scene.report()["complete"] is True


def test_log_and_table_agree_and_check_mode_changes_nothing(scene):
    run = scene.replay("verify").ok()
    report = scene.report()

    assert run.changed() == []
    assert report["message"].startswith("Audit log and table agree")
    assert report["states"]["in_table"] == len(scene.items(scene.table))
    assert report["states"]["changes"] == report["counts"]["selected"]
    before = len(scene.names())
    scene.replay("function", "--check").ok()
    assert scene.report()["counts"]["selected"] == report["counts"]["selected"]
    assert scene.report()["counts"]["sent"] == 0
    assert len(scene.names()) == before


@once
def test_aws_makes_the_same_of_the_log_as_one_machine(scene):
    moment, items = scene.moments[1]

    run = scene.replay(
        "table",
        *("-e", "replay_table=UserActivities-cdc-test-scaled", "-e", f"replay_to={moment}"),
        *("-e", "ddb_stream_pipeline_replay_at_scale_objects=0"),
    ).ok()

    assert scene.items("UserActivities-cdc-test-scaled") == items
    assert "Read the log and replay it" in run.changed()
    assert scene.report()["counts"]["sent"] == len(items)


def test_changes_that_are_made_meanwhile_are_no_difference(scene):
    with scene.project.started("replay", "-e", "replay_target=verify") as run:
        while run.poll() is None:
            scene.change(20, seed=random.randrange(10**6))
        assert run.returncode == 0, (scene.report()["message"], scene.report()["states"])


def altered(scene: Scene, body: bytes) -> bytes:
    """The object with another value in its first new image."""
    lines = [json.loads(line) for line in (gzip.decompress(body) if scene.layout == "per_batch" else body).splitlines()]
    envelope = next(each for each in lines if "newImage" in each)
    envelope["newImage"]["nonce"] = {"S": "altered"}
    text = b"\n".join(json.dumps(each, sort_keys=True, separators=(",", ":")).encode() for each in lines)
    return gzip.compress(text + b"\n") if scene.layout == "per_batch" else text


def told(scene: Scene) -> str:
    """All that the run said was wrong, in one text."""
    report = scene.report()
    assert report["complete"] is False
    states = report["states"]
    return json.dumps([states["faults"], states["different"], report["damaged"], report["foreign"]])


def test_an_altered_a_missing_and_an_extra_object_are_each_named(scene):
    scene.wait()
    keys = scene.names()
    inserted = next(key for key in keys if b'"newImage"' in text_of(scene, key))
    body = scene.read(inserted)

    scene.put(inserted, altered(scene, body))
    assert scene.verify().returncode != 0
    assert inserted in told(scene)

    scene.remove(inserted)
    assert scene.verify().returncode != 0
    number = json.loads(text_of_body(scene, body).splitlines()[0])
    items = scene.report()["states"]
    assert item_hash(number["keys"]) in json.dumps([items["faults"], items["different"]])

    scene.put(inserted, body)
    # A change that nobody made, in an object whose name is right.
    envelope = json.loads(text_of_body(scene, body).splitlines()[0])
    envelope |= {"sequenceNumber": str(int(envelope["sequenceNumber"]) + 1), "eventID": "f" * 32}
    extra = extra_key(scene, envelope)
    line = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()
    scene.put(extra, gzip.compress(line + b"\n") if scene.layout == "per_batch" else line)
    assert scene.verify().returncode != 0
    assert extra in told(scene)

    scene.remove(extra)
    scene.verify().ok()


def text_of(scene: Scene, key: str) -> bytes:
    return text_of_body(scene, scene.read(key))


def text_of_body(scene: Scene, body: bytes) -> bytes:
    return gzip.decompress(body) if scene.layout == "per_batch" else body


def item_hash(keys: dict[str, Any]) -> str:
    from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import item_hash

    return item_hash(keys)


def extra_key(scene: Scene, envelope: dict[str, Any]) -> str:
    from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import objects

    name = objects.per_batch_key if scene.layout == "per_batch" else objects.per_change_key
    return name([envelope] if scene.layout == "per_batch" else envelope, scene.outputs["audit_prefix"])


@once
def test_keys_of_items_that_differ_are_in_a_file_of_the_owner_only(scene):
    client = scene.cloud.client("dynamodb")
    keys = {"UserId": {"S": "unlogged"}, "ActivityId": {"S": "unlogged"}}
    # As if the log had lost it: the mapping does not see what the stream does not have any more.
    hour = scene.names()
    client.put_item(TableName=scene.table, Item={**keys, "nonce": {"S": "secret-value"}})
    scene.wait()
    (lost,) = set(scene.names()) - set(hour)
    body = scene.read(lost)
    scene.remove(lost)

    run = scene.verify()

    assert run.returncode != 0
    assert item_hash(keys) in run.output
    assert "unlogged" not in run.output
    file = Path(scene.report()["states"]["differences_file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line)["keys"] for line in file.read_text().splitlines()] == [keys]
    assert "secret-value" not in file.read_text() + run.output
    scene.put(lost, body)
    scene.verify().ok()
    assert not file.exists()


def recorder(scene: Scene, name: str, **variables: str) -> tuple[str, Path]:
    """A function of that name, and the file that it notes into."""
    code, notes = io.BytesIO(), scene.folder / f"{name}.notes"
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("recorder.py", RECORDER)
    scene.cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="recorder.handler",
        Role=scene.outputs["role_arn"],
        Timeout=60,
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"NOTES": str(notes), **variables}},
    )
    return name, notes


def noted(notes: Path) -> list[list[Any]]:
    return [each for line in notes.read_text().splitlines() for each in json.loads(line)] if notes.exists() else []


def envelopes(scene: Scene) -> dict[str, dict[str, Any]]:
    found = {}
    for key in scene.names():
        for line in text_of(scene, key).splitlines():
            envelope = json.loads(line)
            found[envelope["eventID"]] = envelope
    return found


@once
def test_a_replay_that_is_killed_again_and_again_delivers_every_change_to_a_function(scene):
    name, notes = recorder(scene, f"stream-processor-recorder-{scene.layout}", PAUSE="0.05")
    wanted = envelopes(scene)
    until_now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    arguments = ["-e", "replay_target=function", "-e", f"replay_function={name}", "-e", "replay_id=first"]
    arguments += ["-e", f"replay_to={until_now}", "-e", "ddb_stream_pipeline_replay_batch_size=10"]
    source = random.Random(scene.layout)
    for _kill in range(KILLS):
        before = len(noted(notes))
        with scene.project.started("replay", *arguments) as run:
            until(lambda b=before, r=run: len(noted(notes)) > b or r.poll() is not None, "something sent", 60)
            time.sleep(source.random())

    scene.project.run("replay", *arguments).ok()

    found = noted(notes)
    assert {each[0] for each in found} == {"first"}
    assert {each[1] for each in found} == set(wanted)
    # At most one batch of ten a lane comes again after each kill.
    assert len(found) - len(wanted) <= KILLS * 8 * 10
    last: dict[str, int] = {}
    seen: set[str] = set()
    for _id, event_id, number, keys in found:
        item = json.dumps(keys, sort_keys=True)
        if event_id not in seen:
            assert int(number) > last.get(item, 0), "an item's changes came out of order"
            last[item] = int(number)
        seen.add(event_id)
    # All is done, so it does nothing again.
    run = scene.project.run("replay", *arguments).ok()
    assert run.changed() == []
    assert len(noted(notes)) == len(found)


@once
def test_a_run_that_is_asked_to_end_says_how_to_go_on(scene):
    name, notes = recorder(scene, f"stream-processor-asked-{scene.layout}", PAUSE="0.2")
    arguments = ["-e", "replay_target=function", "-e", f"replay_function={name}", "-e", "replay_id=second"]
    arguments += ["-e", "ddb_stream_pipeline_replay_batch_size=5", "-e", "ddb_stream_pipeline_replay_concurrency=2"]
    with scene.project.started("replay", *arguments) as run:
        until(lambda: noted(notes), "something sent", 60)
        run.send_signal(signal.SIGINT)
        run.wait(timeout=60)
    state = list((scene.folder / "build/replay/test").glob("*-second.state"))
    assert len(state) == 1
    assert stat.S_IMODE(state[0].stat().st_mode) == 0o600

    other = scene.project.run("replay", *arguments, "-e", "replay_limit=3")

    assert other.returncode != 0
    assert "begun with other options (limit)" in other.failures()[0]


@once
def test_a_queue_gets_every_change_in_the_form_of_a_notification(scene):
    sqs = scene.cloud.client("sqs")
    url = sqs.create_queue(QueueName=f"activity-replay-{scene.layout}")["QueueUrl"]

    scene.replay("queue", "-e", f"replay_queue_url={url}", "-e", "replay_event_names=REMOVE", "-e", "replay_id=q").ok()

    wanted = {each["eventID"] for each in envelopes(scene).values() if each["eventName"] == "REMOVE"}
    found = Counter()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            body = json.loads(message["Body"])
            assert body["details"]["replay"]["id"] == "q"
            assert body["details"]["eventName"] == "REMOVE"
            found[body["details"]["eventID"]] += 1
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert set(found) == wanted
    assert set(found.values()) <= {1}


@once
def test_what_an_item_was_is_told_by_its_keys_or_an_expression(scene):
    envelope = next(iter(envelopes(scene).values()))
    file = scene.folder / "item.ndjson"
    keys = json.dumps({"replay_keys": envelope["keys"]})

    run = scene.replay("file", "-e", keys, "-e", f"replay_file={file}").ok()

    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert found == sorted(
        (each for each in envelopes(scene).values() if each["keys"] == envelope["keys"]),
        key=lambda each: int(each["sequenceNumber"]),
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert envelope["keys"]["UserId"]["S"] not in run.output
    match = json.dumps({"replay_match": f"eventName == 'INSERT' && keys.UserId == '{envelope['keys']['UserId']['S']}'"})
    scene.replay("file", "-e", match, "-e", f"replay_file={file}").ok()
    assert {json.loads(line)["eventName"] for line in file.read_text().splitlines()} == {"INSERT"}


@once
def test_the_pipelines_own_function_writes_nothing_to_the_log_again(scene):
    before = scene.names()

    scene.replay("function").ok()

    assert scene.names() == before


@once
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-e", "replay_target=everywhere"], "replay_target must be one of function, table, verify"),
        (["-e", "replay_from=2026-02-01", "-e", "replay_to=2026-01-01"], "the range holds no time"),
        (["-e", "replay_function=stream-processor-nobody"], "There is no function stream-processor-nobody"),
        (["-e", "ddb_stream_pipeline_audit_bucket_name=activity-audit-nowhere"], "There is no audit bucket"),
        (["-e", "replay_target=table", "-e", "replay_table=UserActivities-other-keys"], "has the key schema Other (S)"),
        (["-e", "replay_target=table", "-e", "replay_table=UserActivities-not-empty"], "holds items already"),
        (["-e", "ddb_stream_pipeline_table_name=UserActivities-unknown", "-e", "replay_target=table",
          "-e", "replay_table=UserActivities-new"], "is not of a table UserActivities-unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(scene, arguments, words):
    client = scene.cloud.client("dynamodb")
    there = client.list_tables()["TableNames"]
    for name, keys in (
        ("UserActivities-other-keys", ["Other"]),
        ("UserActivities-not-empty", ["UserId", "ActivityId"]),
    ):
        if name not in there:
            client.create_table(
                TableName=name,
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                BillingMode="PAY_PER_REQUEST",
            )
            client.put_item(TableName=name, Item={key: {"S": "there"} for key in keys})
    before = (sorted(client.list_tables()["TableNames"]), scene.names())

    run = scene.project.run("replay", "-e", "replay_target=function", *arguments)

    assert run.returncode != 0
    assert words in run.failures()[0]
    assert (sorted(client.list_tables()["TableNames"]), scene.names()) == before


def test_compacted_the_log_tells_the_same(scene):
    scene.wait()
    scene.compact()
    assert {key.rpartition("/")[0].rpartition("/")[2] for key in scene.names()} == {".compacted"}

    for place, (moment, items) in enumerate(scene.moments):
        table = f"UserActivities-cdc-test-compacted-{place}"
        scene.replay("table", "-e", f"replay_table={table}", "-e", f"replay_to={moment}").ok()
        assert scene.items(table) == items
    scene.verify().ok()
