"""The local poller's life beside the local cloud's server: it is always there, and never outlives it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud_driver import LocalCloud
from poller_scene import Scene, eventually, kill_poller, poller_pid

from local_cloud import processes
from local_cloud.settings import INSTANCE_VARIABLE

pytestmark = pytest.mark.cloud


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LocalCloud]:
    """A cloud of the test's own, not started."""
    one = LocalCloud(home=tmp_path / "home")
    yield one
    one.end()


def processes_of(cloud: LocalCloud) -> list[int]:
    told = json.loads((cloud.home / "server.json").read_text())
    return processes.bearers(INSTANCE_VARIABLE, told["instance_id"])


def test_the_poller_is_started_again_and_ends_with_a_server_that_is_killed(own: LocalCloud, tmp_path: Path):
    own.run("start")
    scene = Scene(own, tmp_path)
    function = scene.function()
    scene.map(function)
    scene.put("a")
    # A function's worker is a child of the server too: it must not keep the poller alive.
    eventually(lambda: function.done() == ["a"])
    for _round in range(3):
        assert processes.alive(kill_poller(own))
    poller, server = poller_pid(own), own.pid
    assert f"stream poller {poller}" in own.run("status")
    os.kill(server, signal.SIGKILL)
    eventually(lambda: not processes.alive(poller), seconds=5)


def test_checkpoints_are_kept_with_the_data_and_forgotten_with_it(own: LocalCloud, tmp_path: Path):
    own.run("start", "--persist")
    scene = Scene(own, tmp_path)
    function = scene.function()
    mapping = scene.map(function)
    scene.put("a", "b")
    checkpoint = own.home / "poller" / "checkpoints" / f"{mapping}.json"
    eventually(lambda: checkpoint.exists() and scene.sequence_number("b") in checkpoint.read_text())
    own.run("stop")
    assert checkpoint.exists()

    own.run("start", "--persist")
    scene.put("c")
    eventually(lambda: "c" in function.done())
    assert function.done() == ["a", "b", "c"]

    own.reset()
    eventually(lambda: not checkpoint.exists())
    own.run("stop")
    own.run("start")
    assert not list((own.home / "poller").rglob("*.json"))


def test_a_cloud_without_a_poller_invokes_nothing_and_says_so(own: LocalCloud, tmp_path: Path):
    own.settings["LOCAL_CLOUD_POLLER"] = "off"
    own.run("start")
    assert "stream poller not running" in own.run("status")
    assert poller_pid(own) is None
    assert len(processes_of(own)) == 1


def test_stopping_leaves_no_process(own: LocalCloud):
    own.run("start")
    pids = processes_of(own)
    assert len(pids) == 2
    own.run("stop")
    assert not [pid for pid in pids if processes.alive(pid)]
