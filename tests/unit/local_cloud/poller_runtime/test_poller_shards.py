"""Mappings under way against a stream in memory: shards that split, end, leave the stream, or may not be read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FUNCTION, STREAM, FakeAws, FakeLambda, FakeStreams, FakeSts, Shard, record, refusal

from local_cloud.poller import mapping as mapping_module
from local_cloud.poller import shard as shard_module
from local_cloud.poller.mapping import MappingRunner, Service
from local_cloud.poller.metrics import Metrics
from local_cloud.poller.store import Store


def eventually(look: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return seen


class World:
    """One mapping and what it works on."""

    def __init__(self, folder: Path) -> None:
        self.streams, self.function, self.sts = FakeStreams(), FakeLambda(), FakeSts()
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.mapping = {
            "UUID": "uuid-1", "EventSourceArn": STREAM, "FunctionArn": FUNCTION, "State": "Enabled",
            "StartingPosition": "TRIM_HORIZON", "BatchSize": 1,
        }  # fmt: skip
        self.runners: list[MappingRunner] = []

    def log(self, event: str, **details: Any) -> None:
        self.told.append({"event": event, **details})

    def start(self) -> MappingRunner:
        """Start the poller's part for the mapping, as after a restart."""
        service = Service(
            aws=FakeAws(dynamodbstreams=self.streams),
            lambda_client=self.function,
            sts=self.sts,
            store=Store(self.folder),
            metrics=Metrics(None, self.log),
            log=self.log,
        )
        self.runners.append(MappingRunner(service, dict(self.mapping)))
        return self.runners[-1]

    def halt(self) -> None:
        """End without a word, as a kill does: what is in the folder stays."""
        for runner in self.runners:
            runner._gone = True
            runner.running = False
            runner.look_again()
            runner._thread.join()
            for each in runner._shards.values():
                each._thread.join()
        self.runners = []

    def saved(self) -> dict[str, dict[str, Any]]:
        path = self.folder / "checkpoints" / "uuid-1.json"
        return json.loads(path.read_text())["shards"] if path.exists() else {}

    def done(self, shard: str) -> int:
        return int(self.saved().get(shard, {}).get("checkpoint") or 0)

    def result(self) -> str:
        path = self.folder / "results" / "uuid-1"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(shard_module, "READ_SECONDS", 0.005)
    monkeypatch.setattr(shard_module, "REST_SECONDS", 0.02)
    monkeypatch.setattr(mapping_module, "REST_SECONDS", 0.02)
    monkeypatch.setattr(mapping_module, "LOOK_SECONDS", 0.02)
    one = World(tmp_path)
    yield one
    one.halt()


def test_children_are_read_after_their_parent_and_several_shards_at_once(world: World):
    world.streams.shards = {
        "parent": Shard([record(1), record(2)], closed=True),
        "left": Shard([record(11)], parent="parent"),
        "right": Shard([record(21)], parent="parent"),
        "other": Shard([record(31)]),
    }
    hold = True

    def handler(event: dict[str, Any]) -> None:
        while hold and event["Records"][0]["dynamodb"]["SequenceNumber"].endswith("02"):
            time.sleep(0.005)

    world.function.handler = handler
    world.start()
    eventually(lambda: {1, 2, 31} <= set(world.function.delivered))
    time.sleep(0.1)
    assert sorted(world.function.delivered) == [1, 2, 31]
    hold = False
    eventually(lambda: {11, 21} <= set(world.function.delivered))
    assert sorted(world.function.delivered) == [1, 2, 11, 21, 31]
    assert world.saved()["parent"]["finished"]


def test_a_shard_that_splits_while_it_is_read_is_followed_by_its_children(world: World):
    world.streams.shards = {"parent": Shard([record(1)])}
    world.start()
    eventually(lambda: world.done("parent") == 1)
    world.streams.shards["child"] = Shard([record(2)], parent="parent")
    world.streams.shards["parent"].closed = True
    eventually(lambda: world.done("child") == 2)
    # Once the parent has left the stream, nothing is remembered of it.
    del world.streams.shards["parent"]
    eventually(lambda: world.saved().keys() == {"child"})
    assert world.function.delivered == [1, 2]


def test_a_restart_goes_on_after_what_was_done(world: World):
    world.streams.shards = {"a": Shard([record(1), record(2)])}
    world.start()
    eventually(lambda: world.done("a") == 2)
    world.halt()
    world.streams.shards["a"].records.append(record(3))
    world.start()
    eventually(lambda: world.done("a") == 3)
    assert world.function.delivered == [1, 2, 3]


def test_latest_is_the_moment_of_creation_for_every_shard_though_restarts_come_between(world: World):
    world.mapping |= {"StartingPosition": "LATEST", "State": "Creating"}
    world.streams.shards = {
        "closed": Shard([record(1)], closed=True),
        "open": Shard([record(2), record(3)]),
        "empty": Shard(),
    }
    world.start()
    eventually(world.saved)
    world.halt()
    world.streams.shards["open"].records.append(record(4))
    world.streams.shards["empty"].records.append(record(5))
    world.streams.shards["child"] = Shard([record(6)], parent="closed")
    world.mapping["State"] = "Enabled"
    world.start()
    eventually(lambda: len(world.function.delivered) == 3)
    assert sorted(world.function.delivered) == [4, 5, 6]


def test_an_expired_iterator_is_renewed_at_the_place_that_was_reached(world: World):
    world.streams.shards = {"a": Shard([record(1), record(2)])}
    world.start()
    eventually(lambda: world.done("a") == 2)
    world.streams.generation += 1
    world.streams.shards["a"].records.append(record(3))
    eventually(lambda: world.done("a") == 3)
    assert world.function.delivered == [1, 2, 3]


def test_where_records_left_the_stream_reading_goes_on_and_the_gap_is_told(world: World):
    world.streams.shards = {"a": Shard([record(1), record(2)])}
    world.start()
    eventually(lambda: world.done("a") == 2)
    world.halt()
    world.streams.shards["a"].records += [record(3), record(4)]
    world.streams.trim("a", 3)
    world.start()
    eventually(lambda: world.done("a") == 4)
    assert world.function.delivered == [1, 2, 4]
    gap = next(each for each in world.told if each["event"] == "records may have left the stream before they were read")
    assert (int(gap["after"]), int(gap["before"])) == (2, 4)


@pytest.mark.parametrize(
    "error",
    [
        refusal("ProvisionedThroughputExceededException"),
        refusal("InternalServerError"),
        refusal("LimitExceededException"),
    ],
)
def test_reading_that_is_refused_is_tried_again_and_told_meanwhile(world: World, error: Exception):
    world.streams.shards = {"a": Shard([record(1)])}
    world.streams.refusals["GetRecords"] = [error] * 3
    world.start()
    eventually(lambda: {"event": "problem", "mapping": "uuid-1", "where": "a", "message": "so AWS says"} in world.told)
    eventually(lambda: world.done("a") == 1)
    eventually(lambda: world.result() == "OK")


def test_a_stream_that_is_gone_is_looked_for_quietly(world: World):
    world.streams.shards = {"a": Shard([record(1)])}
    world.streams.refusals["DescribeStream"] = [refusal("ResourceNotFoundException")] * 3
    world.start()
    eventually(lambda: world.done("a") == 1)
    assert not [each for each in world.told if each["event"] == "problem"]


def test_a_shard_that_the_stream_forgot_is_given_up_and_its_children_are_read(world: World):
    world.streams.shards = {"parent": Shard([record(1)])}
    world.start()
    eventually(lambda: world.done("parent") == 1)
    world.streams.shards = {"child": Shard([record(2)], parent="parent")}
    world.streams.generation += 1
    eventually(lambda: world.done("child") == 2)
    eventually(lambda: [each for each in world.told if each["event"] == "the stream has the shard no more"])


def test_a_shard_that_is_gone_leaves_no_problem_behind(world: World):
    world.streams.shards = {"parent": Shard([record(1)])}
    world.streams.refusals["GetShardIterator"] = [refusal("AccessDeniedException")] * 1000
    world.start()
    eventually(lambda: world.result() == "PROBLEM: so AWS says")
    world.streams.shards = {"child": Shard([record(2)], parent="parent")}
    world.streams.refusals.clear()
    eventually(lambda: world.done("child") == 2)
    eventually(lambda: world.result() == "OK")


def test_a_mapping_that_is_disabled_reads_nothing_and_one_that_is_updating_goes_on(world: World):
    world.streams.shards = {"a": Shard([record(1)])}
    world.mapping["State"] = "Disabled"
    runner = world.start()
    for state in ("Updating", "Disabled"):
        runner.update({**world.mapping, "State": state})
        time.sleep(0.05)
        assert world.streams.asked == []
    runner.update({**world.mapping, "State": "Enabled"})
    eventually(lambda: world.done("a") == 1)
    runner.update({**world.mapping, "State": "Updating", "BatchSize": 5})
    world.streams.shards["a"].records.append(record(2))
    eventually(lambda: world.done("a") == 2)
    runner.update({**world.mapping, "State": "Disabling"})
    time.sleep(0.05)
    world.streams.shards["a"].records.append(record(3))
    time.sleep(0.05)
    assert world.function.delivered == [1, 2]


def test_reading_ahead_stops_while_the_function_cannot_run(world: World):
    world.streams.shards = {"a": Shard([record(number) for number in range(1, 3001)])}
    world.mapping["BatchSize"] = 100
    world.function.refusals = [refusal("TooManyRequestsException")] * 1000
    world.start()
    eventually(lambda: len(world.function.refusals) < 999)
    time.sleep(0.05)
    limits = [each["Limit"] for each in world.streams.operations("GetRecords")]
    assert sum(limits) <= 1000
    assert world.saved()["a"]["checkpoint"] is None


def test_an_error_of_the_poller_itself_does_not_end_the_mapping(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shard_module, "RESTART_SECONDS", 0.01)
    offer, failed = shard_module.ShardEngine.offer, []

    def breaks_once(engine: Any, records: Any, now: float) -> None:
        if not failed:
            failed.append(True)
            raise KeyError("a mistake")
        offer(engine, records, now)

    monkeypatch.setattr(shard_module.ShardEngine, "offer", breaks_once)
    world.streams.shards = {"a": Shard([record(1)])}
    world.start()
    eventually(lambda: world.done("a") == 1)
    assert world.function.delivered == [1]


def test_the_role_is_assumed_as_the_function_and_anew_when_it_changes_or_is_refused(world: World):
    world.streams.shards = {"a": Shard()}
    world.start()
    eventually(world.saved)
    assert world.sts.assumed == [{"RoleArn": world.function.role, "RoleSessionName": "orders"}]
    world.streams.refusals["GetRecords"] = [refusal("ExpiredTokenException")]
    eventually(lambda: len(world.sts.assumed) == 2)
    world.function.role = "arn:aws:iam::123456789012:role/other"
    eventually(lambda: world.sts.assumed[-1]["RoleArn"].endswith("/other"))


def test_filters_that_cannot_be_read_stop_the_mapping_and_say_so(world: World):
    world.streams.shards = {"a": Shard([record(1)])}
    world.mapping["FilterCriteria"] = {"Filters": [{"Pattern": "no JSON"}]}
    runner = world.start()
    eventually(lambda: world.result().startswith("PROBLEM: Invalid filter pattern definition."))
    assert world.streams.asked == []
    runner.update({**world.mapping, "FilterCriteria": {"Filters": []}})
    eventually(lambda: world.done("a") == 1)
