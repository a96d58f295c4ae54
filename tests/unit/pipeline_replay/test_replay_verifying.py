"""What is in flight settles, what is wrong is named, and neither is kept without bounds."""

from __future__ import annotations

import json
import stat
from datetime import timedelta

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.changes import read_change
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import canonical_json
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.items import Items, Start
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_replay import verifying
from test_replay_options import read

from tests.unit.history.logs import FIRST, envelope, line


def item(name: str, value: int = 1) -> dict:
    return {"Id": {"S": name}, "Value": {"N": str(value)}}


def keys(name: str) -> dict:
    return {"Id": {"S": name}}


class World:
    """A table and its log, and what happens to them while time passes."""

    def __init__(self) -> None:
        self.live: dict[str, dict] = {}
        self.log: list[tuple[dict, str]] = []
        self.happens: list = []
        self.time = 0.0
        self.asked = self.reads = self.rereads = 0

    # The table's part.

    def scan(self, _segments, _pace, _check, _names):
        return ((keys(name), each) for name, each in list(self.live.items()))

    def get(self, wanted):
        self.asked += 1
        found = {canonical_json(each): self.live.get(each["Id"]["S"]) for each in wanted}
        return {text: each for text, each in found.items() if each is not None}

    # The clock's part.

    def now(self):
        return self.time

    def utc(self):
        return FIRST + timedelta(seconds=1000 + self.time)

    def check(self):
        return None

    def pause(self, seconds):
        self.time += seconds
        if self.happens:
            self.happens.pop(0)()

    # The log's part.

    def logged(self, number: int, name: str, source: str = "x", **more) -> None:
        self.log.append((envelope(number, name, **more), source))

    def changes(self):
        self.reads += 1
        return [read_change(line(each), source) for each, source in self.log]

    def items(self, digests=None) -> Items:
        found = Items()
        for change in self.changes():
            found.add_change(change)
        return found

    def again(self, digests):
        self.rereads += 1
        if self.happens:
            self.happens.pop(0)()
        return self.items()

    def compare(self, file: str | None = None, settle: int = 10, log: Items | None = None) -> verifying.Verification:
        found = verifying.Verification(file)
        options = read("verify", settle_seconds=settle)
        start = Start(empty=True)
        items = log or self.items()
        found.compare(items, start, self, ("Id",), options, self, lambda count: None, self.changes, self.again)
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_what_is_the_same_is_not_asked_for_again(world):
    world.live = {"a": item("a")}
    world.logged(1, "a", new=item("a"))

    found = world.compare()

    assert found.agrees() and world.asked == 0
    assert (found.report()["in_log"], found.report()["in_table"]) == (1, 1)


def test_a_change_that_reaches_the_log_later_settles(world):
    world.live = {"a": item("a", 2), "new": item("new")}
    world.logged(1, "a", new=item("a"))
    world.logged(2, "gone", new=item("gone"))
    world.happens = [
        lambda: world.logged(3, "a", old=item("a"), new=item("a", 2), seconds=5),
        lambda: world.logged(4, "new", new=item("new"), seconds=5),
        lambda: world.logged(5, "gone", old=item("gone"), seconds=5),
    ]

    found = world.compare()

    assert found.agrees() and found.settled == 3
    assert world.time == 3
    assert found.message() == "Audit log and table agree: 2 items, 2 changes."


def test_a_change_that_is_made_while_it_is_compared_settles(world):
    world.live = {"a": item("a", 2)}
    world.logged(1, "a", new=item("a"))

    def written_on():
        # Logged at once, but the table has been asked already.
        world.logged(2, "a", old=item("a"), new=item("a", 2), seconds=5)
        world.live["a"] = item("a", 3)
        world.logged(3, "a", old=item("a", 2), new=item("a", 3), seconds=1001)

    world.happens = [written_on]

    assert world.compare().agrees()


@pytest.mark.parametrize(("settle", "times"), [(0, 1), (5, 6)])
def test_what_does_not_settle_is_asked_for_until_the_deadline_and_then_named(world, settle, times):
    world.live = {"a": item("a", 9)}
    world.logged(1, "a", "audit-logs/a.json", new=item("a"))

    found = world.compare(settle=settle)

    assert not found.agrees() and world.asked == times
    (different,) = found.report()["different"]
    assert (different["kind"], different["audit_key"]) == ("differs", "audit-logs/a.json")
    assert found.message() == "Audit log and table do not agree. 1 items differ."


def test_a_fault_that_the_next_reading_does_not_show_is_none(world):
    world.live = {"a": item("a", 3)}
    world.logged(1, "a", new=item("a", 1))
    world.logged(3, "a", old=item("a", 2), new=item("a", 3))
    world.happens = [lambda: world.logged(2, "a", old=item("a", 1), new=item("a", 2))]

    found = world.compare()

    assert found.agrees() and world.rereads == 1


def test_a_fault_stays_one_when_its_changes_are_compacted_meanwhile(world):
    world.live = {"a": item("a", 3)}
    world.logged(1, "a", "one", new=item("a", 1))
    world.logged(3, "a", "two", old=item("a", 2), new=item("a", 3))

    def compacted():
        world.log = [(each, "compacted") for each, _source in world.log]

    world.happens = [compacted]

    found = world.compare()

    assert found.fault_count == 1 and not found.agrees()
    assert "(one, two)" in found.report()["faults"][0]


def test_many_that_differ_are_counted_and_not_waited_for(world, monkeypatch):
    monkeypatch.setattr(verifying, "_MOST_IN_FLIGHT", 50)
    monkeypatch.setattr(verifying, "MOST_TOLD", 10)
    for number in range(1, 81):
        world.logged(number, f"item-{number}", new=item(f"item-{number}"))

    found = world.compare()

    assert world.asked == 0
    assert (found.report()["different_count"], len(found.report()["different"])) == (80, 10)
    assert len(found._differing) == 50


def test_many_faults_are_counted_and_not_all_kept(world, monkeypatch):
    monkeypatch.setattr(verifying, "_MOST_IN_FLIGHT", 50)
    monkeypatch.setattr(verifying, "MOST_TOLD", 10)
    for number in range(1, 81):
        world.live[f"item-{number}"] = item(f"item-{number}", 2)
        world.logged(number, f"item-{number}", old=item(f"item-{number}"), new=item(f"item-{number}", 2))

    found = world.compare()

    assert world.rereads == 0 and not found.agrees()
    assert (found.report()["fault_count"], len(found.report()["faults"])) == (80, 10)
    assert len(found._faulty) == 50


def test_the_keys_of_what_differs_are_written_for_the_owner_only(world, tmp_path):
    target = tmp_path / "another"
    target.write_text("kept")
    file = tmp_path / "made" / "differences"
    file.parent.mkdir()
    file.symlink_to(target)
    world.logged(1, "a", new=item("a"))

    found = world.compare(str(file), settle=0)

    assert found.report()["differences_file"] == str(file)
    assert json.loads(file.read_text())["keys"] == keys("a")
    assert stat.S_IMODE(file.lstat().st_mode) == 0o600 and target.read_text() == "kept"

    world.live = {"a": item("a")}
    assert world.compare(str(file)).report()["differences_file"] is None
    assert not file.exists()
