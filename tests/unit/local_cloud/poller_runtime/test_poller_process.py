"""How the poller is started beside the server: its settings, its environment, its command line."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from local_cloud import settings, supervisor
from local_cloud.poller.__main__ import parser
from local_cloud.settings import INSTANCE_VARIABLE, CloudError, from_environment


@pytest.mark.parametrize("name", ["LOCAL_CLOUD_POLLER", "LOCAL_CLOUD_PATCHES", "LOCAL_CLOUD_STREAM_RETENTION"])
@pytest.mark.parametrize("value", ["perhaps", "-1", "0"])
def test_a_setting_that_makes_no_sense_is_refused(name: str, value: str):
    with pytest.raises(CloudError, match=f"{name} is '{value}': give "):
        from_environment({name: value})


def test_a_bare_ministack_polls_by_itself():
    assert from_environment({}).supervised
    assert not from_environment({"LOCAL_CLOUD_PATCHES": "off"}).supervised
    assert not from_environment({"LOCAL_CLOUD_POLLER": "off"}).supervised


def test_the_server_hands_its_settings_on(tmp_path: Path):
    given = {"LOCAL_CLOUD_HOME": str(tmp_path), "LOCAL_CLOUD_POLLER": "off", "LOCAL_CLOUD_STREAM_RETENTION": "60"}
    asked = from_environment(given)
    assert from_environment(settings.server_environment(asked, {}, "id", False)) == asked


def test_the_poller_sees_this_cloud_and_nothing_of_the_users_own(tmp_path: Path):
    asked = from_environment({"LOCAL_CLOUD_HOME": str(tmp_path)})
    outside = {INSTANCE_VARIABLE: "id", "AWS_PROFILE": "mine", "HTTP_PROXY": "http://proxy", "PATH": "/bin"}
    environment = settings.poller_environment(asked, outside)
    assert environment[INSTANCE_VARIABLE] == "id"
    assert environment["AWS_ENDPOINT_URL"] == asked.endpoint
    assert not {"AWS_PROFILE", "HTTP_PROXY"} & environment.keys()


@pytest.mark.parametrize(("kept", "seconds"), [("", 86400), ("60", 60)])
def test_the_supervisors_command_is_one_that_the_poller_takes(kept: str, seconds: int):
    asked = from_environment({"LOCAL_CLOUD_STREAM_RETENTION": kept})
    taken = parser().parse_args(supervisor.command(asked)[3:])
    assert (taken.endpoint_url, taken.state) == (asked.endpoint, asked.poller_state)
    assert (taken.retention_seconds, taken.until_stdin_closes, taken.metrics) == (seconds, True, "on")


class Ended:
    """A poller's process that has ended already."""

    pid = 7

    def wait(self, timeout: float | None = None) -> int:
        return -9

    def terminate(self) -> None: ...

    kill = terminate


def test_a_poller_that_cannot_be_started_is_tried_again_and_one_that_ended_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    starts, told, again = [], [], threading.Event()

    def start(*_asked: Any, **_more: Any) -> Ended:
        starts.append(len(starts))
        if len(starts) == 1:
            raise OSError("Cannot allocate memory")
        if len(starts) == 3:
            again.set()
        return Ended()

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(supervisor, "_answers", lambda _settings: True)
    monkeypatch.setattr(supervisor, "REST_SECONDS", 0.001)
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.001)
    monkeypatch.setenv(INSTANCE_VARIABLE, "id")
    one = supervisor.Supervisor(from_environment({"LOCAL_CLOUD_HOME": str(tmp_path)}), told.append)
    one.start()
    assert again.wait(10)
    one.end()
    assert told[:3] == [7, None, 7]
