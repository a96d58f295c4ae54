"""The poller as a whole: which mappings it follows."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fake_aws import FUNCTION, STREAM

from local_cloud.poller import service
from local_cloud.poller.model import Saved
from local_cloud.poller.service import Poller
from local_cloud.poller.store import Store


class Runner:
    """What a mapping's runner is told."""

    def __init__(self, _service: Any, mapping: dict[str, Any]) -> None:
        if "FunctionArn" not in mapping:
            raise KeyError("FunctionArn")
        self.told = [mapping]
        self.forgotten = False

    def update(self, mapping: dict[str, Any]) -> None:
        self.told.append(mapping)

    def forget(self) -> None:
        self.forgotten = True


@pytest.fixture
def poller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Poller:
    monkeypatch.setattr(service, "MappingRunner", Runner)
    return Poller(tmp_path, "http://127.0.0.1:1", "us-east-1")


def test_two_pollers_never_work_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    first = Store(tmp_path)
    first.lock(lambda: None)
    second = threading.Thread(target=Poller, args=(tmp_path, "http://127.0.0.1:1", "us-east-1"), daemon=True)
    second.start()
    told, deadline = "", time.monotonic() + 10
    while "another poller has the state folder" not in told:
        assert second.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
        told += capsys.readouterr().out
    first._lock_file.close()
    second.join(10)
    assert not second.is_alive()


def listed(uuid: str, **more: str) -> dict[str, str]:
    return {"UUID": uuid, "EventSourceArn": STREAM, "FunctionArn": FUNCTION, "State": "Enabled", **more}


def apply(poller: Poller, *mappings: dict[str, str]) -> None:
    poller._apply({each["UUID"]: dict(each) for each in mappings})


def test_mappings_are_followed_until_they_are_gone(poller: Poller):
    apply(poller, listed("a"), listed("b", State="Deleting"))
    runner = poller._runners["a"]
    assert list(poller._runners) == ["a"]
    apply(poller, listed("a", LastProcessingResult="OK"))
    assert runner.told == [listed("a"), listed("a")]
    for _time in range(service.GONE_AFTER):
        assert not runner.forgotten
        apply(poller)
    assert runner.forgotten
    assert not poller._runners


def test_a_mapping_that_one_listing_leaves_out_keeps_its_place(poller: Poller, tmp_path: Path):
    checkpoint, result = tmp_path / "checkpoints" / "a.json", tmp_path / "results" / "a"
    poller._store.mapping("a", STREAM).place({"shard": Saved("7")})
    poller._store.tell("a", "OK")
    for _time in range(service.GONE_AFTER):
        apply(poller)
        apply(poller, listed("a"))
    assert checkpoint.exists()
    assert result.exists()
    for _time in range(service.GONE_AFTER):
        apply(poller)
    assert not checkpoint.exists()
    assert not result.exists()


def test_a_mapping_that_cannot_be_followed_is_told_once_and_keeps_no_other_from_going_on(
    poller: Poller, capsys: pytest.CaptureFixture[str]
):
    broken = listed("a")
    del broken["FunctionArn"]
    for _time in range(3):
        apply(poller, broken, listed("b"))
    assert list(poller._runners) == ["b"]
    assert len(poller._runners["b"].told) == 3
    assert capsys.readouterr().out.count('"mapping": "a"') == 1
    apply(poller, listed("a"), listed("b"))
    assert list(poller._runners) == ["b", "a"]
