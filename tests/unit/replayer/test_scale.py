"""A replay in parts gives what one reader gives, whatever moves or is killed meanwhile."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replayer.compaction import Compaction, closed_hours
from replayer.history import baselines
from replayer.history.answers import Failed, Processed
from replayer.history.delivery import Unit
from replayer.history.items import key_digest
from replayer.history.reader import Reader
from replayer.history.store import Store
from replayer.history.targets import TableTarget
from replayer.scale import planning
from replayer.scale.planning import plan
from replayer.scale.request import Request, RequestRefused
from replayer.scale.result import clean, collect
from replayer.scale.room import Overtaken, Room
from replayer.scale.sending import apply
from replayer.scale.splitting import Split, check_slices

from tests.unit.history.logs import (
    FIRST,
    PREFIX,
    FakeS3,
    client_error,
    envelope,
    random_changes,
    write_batch,
    write_changes,
)

TOLD = {
    "replay": {"id": "r1", "time": "2026-02-02T00:00:00Z"},
    "table_name": "Items",
    "from": "2026-01-31T10:00:00Z",
    "to": "2026-01-31T23:00:00Z",
    "target": {"kind": "queue", "queue_url": "https://q"},
    "lanes": 2,
}


class Killed(Exception):
    """The run ends here."""


def tag(body):
    return hashlib.md5(body).hexdigest()


class Bucket(FakeS3):
    """With versions, as far as the room needs them."""

    def __init__(self, *args, retention=None, **options):
        super().__init__(*args, **options)
        self.retention, self.until = retention, {}

    def put_object(self, **request):
        if "ObjectLockRetainUntilDate" in request:
            self.until[request["Key"]] = request["ObjectLockRetainUntilDate"]
        there = self.objects.get(request["Key"])
        if "IfMatch" in request and (there is None or request["IfMatch"] != tag(there)):
            raise client_error("PreconditionFailed", 412, "PutObject")
        super().put_object(**request)
        return {"ETag": tag(self.objects[request["Key"]])}

    def get_object_lock_configuration(self, **_request):
        if self.retention is None:
            raise client_error("ObjectLockConfigurationNotFoundError", 404, "GetObjectLockConfiguration")
        return {"ObjectLockConfiguration": {"Rule": {"DefaultRetention": self.retention}}}

    def list_object_versions(self, Prefix, **_request):
        found = sorted(key for key in self.objects if key.startswith(Prefix))
        return {"Versions": [{"Key": key, "VersionId": "null"} for key in found]}


class Target:
    """Takes changes, or refuses those of some items."""

    def __init__(self, refused=()):
        self.sent, self.refused = [], refused

    def unit(self, change, at):
        return Unit(at, key_digest(change.keys), change, 1, change.event_name, {"number": str(change.number)})

    def fits(self, batch, size, unit):
        return len(batch) < 3

    def send(self, batch):
        for place, unit in enumerate(batch):
            if unit.body.keys["Id"]["S"] in self.refused:
                return Processed(place) if place else Failed("Refused")
            self.sent.append(unit.body.envelope)
        return Processed(len(batch))


class Table:
    """A table that takes BatchWriteItem."""

    def __init__(self):
        self.items, self.writes = {}, 0

    def batch_write_item(self, RequestItems):
        for request in RequestItems["Copy"]:
            item = request["PutRequest"]["Item"]
            assert item["Id"]["S"] not in self.items or self.items[item["Id"]["S"]] == item
            self.items[item["Id"]["S"]] = item
            self.writes += 1
        return {}


class Replay:
    """All steps, as the state machine takes them."""

    def __init__(self, s3, told=None, target=None, wanted=lambda change: True, slice_objects=4, remaining=900.0):
        self.s3, self.told, self.wanted, self.slice_objects = s3, told or TOLD, wanted, slice_objects
        self.target, self.remaining = target or Target(), remaining
        self.store = Store(s3, "bucket")

    def room(self):
        return Room(self.store, self.s3, self.told["replay"]["id"])

    def plan(self):
        self.planned = plan(self.room(), PREFIX, self.told, slice_objects=self.slice_objects, concurrency=3)
        self.request = Request.read(self.room().read_json("request.json"))
        return self.room().read_json("slices.json")

    def split(self, part):
        return Split(self.room(), PREFIX, self.request, self.wanted, memory_bytes=3000, workers=2).run(part)

    def apply(self, partition):
        for _loop in range(50):
            told = apply(self.room(), self.request, partition, self.target, rate=0, remaining=lambda: self.remaining)
            if told["done"]:
                return
        raise AssertionError("it never ends")

    def run(self):
        for part in self.plan():
            self.split(part)
        check_slices(self.room(), self.request)
        for partition in self.room().read_json("partitions.json"):
            self.apply(partition)
        collect(self.room(), self.request)
        return self.room().read_json("result.json")


def log(seed, count=40, span=3 * 3600, page=5, **options):
    source, s3 = random.Random(seed), Bucket(page, **options)
    changes = random_changes(source, count, span=span)
    rest = list(changes)
    while rest:
        size = source.randint(1, 4)
        (write_batch if source.random() < 0.5 else write_changes)(s3, rest[:size])
        rest = rest[size - (1 if size > 1 and source.random() < 0.3 else 0) :]
    return s3, changes


def compact(s3, source, share=0.5):
    for hour in list(closed_hours(Store(s3, "bucket"), PREFIX, FIRST, FIRST + timedelta(hours=9))):
        if source.random() < share:
            Compaction(Store(s3, "bucket"), PREFIX, hour, max_sources=source.randint(2, 30), workers=2).run()


def write_baseline(s3, body):
    """Of one object; gives the manifest's name."""
    name = "20260131T090000Z-00000000"
    key, manifest = baselines.page_key(PREFIX, name, 0, 0), baselines.manifest_key(PREFIX, name)
    told = {
        "schema": baselines.MANIFEST_SCHEMA,
        "id": name,
        "streamArn": "any",
        "tableId": "any",
        "watermark": "2026-01-31T09:00:00Z",
        "end": "2026-01-31T09:00:01Z",
        "objects": [{"key": key, "items": 1, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}],
    }
    s3.objects |= {key: body, manifest: json.dumps(told).encode()}
    return manifest


def by_item(changes):
    found = defaultdict(list)
    for each in changes:
        found[json.dumps(each["keys"])].append(each)
    return found


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_every_change_is_sent_once_and_in_order_while_hours_are_compacted(seed):
    source = random.Random(seed)
    s3, changes = log(seed)
    compact(s3, source)
    replay = Replay(s3, slice_objects=source.randint(1, 9))
    parts = replay.plan()
    for part in source.sample(parts, len(parts)):
        compact(s3, source, 0.2)
        replay.split(part)
    result = replay.run()
    assert by_item(replay.target.sent) == by_item(changes)
    assert result["complete"] and sum(result["sent"].values()) == len(changes)
    assert sum(result["selected"].values()) - result["duplicates"] == len(changes)
    assert read(s3) == changes


def read(s3):
    return [each.envelope for each in Reader(Store(s3, "bucket"), PREFIX).changes(FIRST, FIRST + timedelta(days=1))]


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30)
def test_compaction_between_two_calls_of_a_split_hides_nothing(seed):
    source = random.Random(seed)
    s3, changes = log(seed, count=25)
    replay = Replay(s3)
    count, at, busy = itertools.count(), source.randrange(60), []

    def other(_name, _request):
        if replay.__dict__.get("planned") and not busy and next(count) == at:
            busy.append(True)
            compact(s3, source, 1)

    s3.before = other
    result = replay.run()
    assert by_item(replay.target.sent) == by_item(changes) and result["complete"]


@given(seed=st.integers(0, 10**6), hours=st.integers(0, 3), baseline=st.booleans())
@settings(max_examples=30)
def test_a_table_becomes_what_it_was_at_the_time(seed, hours, baseline):
    source = random.Random(seed)
    s3, changes = log(seed)
    compact(s3, source)
    until = f"2026-01-31T{10 + hours}:30:00Z"
    told = {**TOLD, "to": until, "target": {"kind": "table", "table": "Copy"}}
    wanted = {}
    if baseline:
        old = {"Id": {"S": "old"}, "B": {"B": b"xy"}}
        body = baselines.packed([baselines.item_line(old, ["Id"])])
        told["baseline"] = write_baseline(s3, body)
        wanted["old"] = old
    for each in changes:
        if each["timestamp"] <= until:
            wanted[each["keys"]["Id"]["S"]] = each.get("newImage")
    table = Table()
    result = Replay(s3, told, TableTarget(table, "Copy")).run()
    assert table.items == {item: state for item, state in wanted.items() if state}
    assert table.writes == len(table.items) and result["complete"]


def test_a_replay_that_is_killed_goes_on_and_repeats_one_batch_a_lane_at_most():
    fresh, changes = log(7, count=25)
    seen = []
    fresh.before = lambda name, request: seen.append(name)
    Replay(fresh).run()
    steps = len(seen)
    for step in range(3, steps, 5):
        s3, _changes = log(7, count=25)
        target, count = Target(), itertools.count()

        def kill(_name, _request, count=count, step=step):
            if next(count) >= step:
                raise Killed

        s3.before = kill
        with pytest.raises(Killed):
            Replay(s3, target=target).run()
        s3.before = lambda name, request: None
        result = Replay(s3, target=target).run()
        assert result["complete"], step
        once = by_item(_once(target.sent))
        assert once == by_item(changes), step
        # Lanes of three partitions, two each, three changes a batch.
        assert len(target.sent) - len(changes) <= 3 * 2 * 3, step


def _once(sent):
    return list({each["eventID"]: each for each in sent}.values())


def test_what_fails_holds_its_item_back_and_is_tried_again():
    s3, changes = log(3)
    target = Target(refused={"item-1"})
    result = Replay(s3, target=target).run()
    others = [each for each in changes if each["keys"]["Id"]["S"] != "item-1"]
    assert by_item(target.sent) == by_item(others)
    assert not result["complete"] and result["failing_count"] == 1
    assert result["held_back"] == len(changes) - len(others) - 1
    target.refused = ()
    assert Replay(s3, target=target).run()["complete"]
    assert by_item(target.sent) == by_item(changes)


def test_filters_and_other_tables():
    s3, changes = log(5)
    write_changes(s3, [envelope(10**22, "x", table="Other")])
    replay = Replay(s3, wanted=lambda change: change.event_name == "INSERT")
    assert replay.run()["sent"].keys() == {"INSERT"}
    keys = changes[0]["keys"]
    replay = Replay(s3, {**TOLD, "replay": {"id": "r2", "time": ""}, "keys": keys})
    replay.run()
    assert replay.target.sent == [each for each in changes if each["keys"] == keys]


def test_damaged_objects_are_named_and_a_table_is_not_written_from_such_a_log():
    s3, changes = log(5)
    bad = write_changes(s3, [envelope(10**22, "bad")])[0]
    s3.objects[bad] = b"{"
    foreign = f"{PREFIX}2026/01/31/10/5-what-is-this"
    s3.objects[foreign] = b""
    replay = Replay(s3)
    result = replay.run()
    assert not result["complete"]
    assert list(result["findings"]["damaged"]) == [bad] and result["findings"]["foreign"] == [foreign]
    assert by_item(replay.target.sent) == by_item(changes)

    told = {**TOLD, "replay": {"id": "r2", "time": ""}, "target": {"kind": "table", "table": "Copy"}}
    table = Table()
    with pytest.raises(RequestRefused, match=bad):
        Replay(s3, told, TableTarget(table, "Copy")).run()
    assert table.items == {}


def test_copies_of_a_change_that_differ_are_told():
    s3, _changes = log(5)
    one = envelope(10**22, "item", new={"Id": {"S": "item"}, "N": {"N": "1"}})
    write_changes(s3, [one])
    write_batch(s3, [{**one, "newImage": {"Id": {"S": "item"}, "N": {"N": "2"}}}])
    result = Replay(s3, slice_objects=1).run()
    assert not result["complete"] and result["findings"]["conflicting_copies"] == 1


def test_other_options_under_the_same_id_are_refused():
    s3, _changes = log(5, count=4)
    Replay(s3).plan()
    with pytest.raises(RequestRefused, match=r"other options \(to\)"):
        Replay(s3, {**TOLD, "to": "2026-01-31T11:00:00Z"}).plan()
    with pytest.raises(RequestRefused, match=r"other options \(table_name\)"):
        Replay(s3, {name: value for name, value in TOLD.items() if name != "table_name"}).plan()
    on = Replay(s3, {**TOLD, "replay": {"id": "r1", "time": "later"}, "rate": 7, "match": None})
    on.plan()
    assert (on.request.marker["time"], on.request.rate) == (TOLD["replay"]["time"], 7)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"from": "yesterday"}, "from must be a moment"),
        ({"from": "2026-02-01T00:00:00Z"}, "is later than to"),
        ({"to": None}, "to must be a moment"),
        ({"table_name": ""}, "table_name is missing"),
        ({"event_names": ["UPSERT"]}, "event_names may hold"),
        ({"target": {"kind": "file"}}, "target.kind must be"),
        ({"baseline": "audit-logs/2026/01/31/10/x"}, "baseline must be the name of a manifest"),
        ({"target": {"kind": "table"}, "event_names": ["INSERT"]}, "needs every change"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(change, said):
    s3, _changes = log(5, count=4)
    before = dict(s3.objects)
    with pytest.raises(RequestRefused, match=said):
        Replay(s3, {**TOLD, **change}).plan()
    assert s3.objects == before


def test_a_filter_that_is_left_out_or_added_later_is_another_option():
    s3, _changes = log(5, count=4)
    Replay(s3, {**TOLD, "match": "eventName == 'INSERT'"}).plan()
    with pytest.raises(RequestRefused, match=r"other options \(event_names, match\)"):
        Replay(s3, {**TOLD, "event_names": ["INSERT"]}).plan()


def test_a_replay_that_began_with_the_log_may_go_on_without_a_begin():
    s3, _changes = log(5)
    told = {name: value for name, value in TOLD.items() if name != "from"}
    one, other, third = Replay(s3, told), Replay(s3, told), Replay(s3, {**told, "from": None})
    one.plan(), other.plan(), third.plan()
    assert one.planned == other.planned == third.planned


def test_the_range_begins_with_the_log_when_none_is_given():
    s3, changes = log(5)
    replay = Replay(s3, {name: value for name, value in TOLD.items() if name != "from"})
    assert replay.run()["from"] == "2026-01-31T10:00:00Z"
    assert len(replay.target.sent) == len(changes)
    with pytest.raises(RequestRefused, match="There is no change"):
        Replay(Bucket(), {name: value for name, value in TOLD.items() if name != "from"}).plan()


def test_a_short_time_is_gone_on_from():
    s3, changes = log(9, count=60)
    replay = Replay(s3)
    for part in replay.plan():
        replay.split(part)
    check_slices(replay.room(), replay.request)
    loops = 0
    for partition in range(replay.planned["partitions"]):
        # Each time a few looks at the clock more.
        for looks in itertools.count(5, 5):
            left = iter([900.0] * looks)
            told = apply(
                replay.room(),
                replay.request,
                partition,
                replay.target,
                rate=0,
                remaining=lambda left=left: next(left, 1.0),
            )
            loops += 1
            if told["done"]:
                break
    assert loops > replay.planned["partitions"]
    assert by_item(_once(replay.target.sent)) == by_item(changes)


def test_what_lies_between_is_retained_for_a_minute_where_the_bucket_retains_and_removed_at_the_end():
    s3, _changes = log(5, retention={"Mode": "COMPLIANCE", "Days": 365})
    replay = Replay(s3)
    replay.plan()
    room = Room(replay.store, s3, "r1", replay.request.locked)
    for part in room.read_json("slices.json"):
        Split(room, PREFIX, replay.request, lambda change: True).run(part)
    split = [key for key in s3.objects if "/split/" in key]
    assert split and all(s3.until[key] - datetime.now(UTC) < timedelta(minutes=2) for key in split)
    assert clean(room, lambda: 900.0) == {"done": True}
    left = sorted(key.rpartition("/")[2] for key in s3.objects if key.startswith(".cloudcdc/"))
    assert left == ["partitions.json", "plan.json", "request.json", "slices.json"]


def test_a_worker_that_was_left_behind_ends_when_its_lanes_are_taken_over():
    s3, changes = log(5)
    replay = Replay(s3)
    for part in replay.plan():
        replay.split(part)
    taken, sent = [], replay.target.send

    def send(batch):
        if not taken:
            # Another worker does the whole partition meanwhile.
            taken.append(True)
            replay.apply(partition)
        return sent(batch)

    for partition in replay.room().read_json("partitions.json"):
        taken.clear()
        other = Target()
        other.sent, other.send = replay.target.sent, send
        with pytest.raises(Overtaken):
            apply(replay.room(), replay.request, partition, other, rate=0, remaining=lambda: 900.0)
    assert by_item(_once(replay.target.sent)) == by_item(changes)
    # A batch a lane of each.
    assert len(replay.target.sent) - len(changes) <= replay.planned["partitions"] * 2 * 3


def test_many_objects_make_larger_slices(monkeypatch):
    monkeypatch.setattr(planning, "MOST_SLICES", 5)
    s3, changes = log(5)
    replay = Replay(s3, slice_objects=1)
    assert len(replay.plan()) <= 5
    replay.run()
    assert len(replay.target.sent) == len(changes)
