"""The deploy benchmark's figures: what is counted, what a ratio is of, and when a limit is missed."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from benchmarks.deploy import figures, report
from benchmarks.deploy.candidates import CANDIDATES
from benchmarks.deploy.scene import VERBS
from benchmarks.spread import Spread

ALARMS = 10


def task(name: str, seconds: float, ran: int = 1, items: int = 0) -> dict[str, Any]:
    return {
        "task": name,
        "action": "x",
        "ran": ran,
        "skipped": 1 - ran,
        "items": items,
        "changed": 0,
        "seconds": seconds,
    }


#: 2 s of them are a dashboard, 8 of the 10 s of alarms are of alarms that the baseline has not.
TODAY = [
    task("Create or adjust the table", 3),
    task("Not for this one", 0.1, ran=0),
    task("Create or adjust the alarms", 10, items=ALARMS),
    task("Create, adjust or remove the dashboard", 2),
    task("Ask where failures go so far", 1),
]
THEN = [task("Create or adjust the table", 3), task("Create or adjust the alarm topic", 1)]


def run(candidate: str, verb: str, wall: float, hosts: int = 1) -> dict[str, Any]:
    tasks = THEN if candidate == "baseline" else TODAY
    return {
        "candidate": candidate,
        "verb": verb,
        "hosts": hosts,
        "wall_s": wall,
        "cpu_s": wall / 2,
        "cloud_cpu_s": 1.0,
        "tasks": tasks,
    }


def raw_run(warm: float = 14.9, five: float = 34.0) -> dict[str, Any]:
    walls = {"baseline": 20.0, "local": 33.0, "warm_local": warm}
    return {
        "machine": {"python": "3", "core": "2", "cpus": 2, "cpu": "x", "date": "today", "load_before": 0.1},
        "rounds": 3,
        "alarms": ALARMS,
        "runs": [
            run(candidate.name, verb, walls[candidate.name] + jitter)
            for jitter in (0, -0.5, 0.5)
            for candidate in CANDIDATES
            for verb in VERBS
        ],
        "five": [run("warm_local", "no-op converge", wall, hosts) for hosts, wall in ((1, 10.0), (5, five))] * 3,
    }


def test_skipped_tasks_are_not_counted_and_items_are_counted_apart():
    found = figures.row(figures.of(raw_run()["runs"], "local", "no-op converge"))
    assert (found.tasks, found.items) == (4, ALARMS)
    assert found.wall == Spread(33.0, 32.5, 33.5)


def test_only_what_is_new_since_is_added_to_the_baseline():
    new = figures.new_work(figures.of(raw_run()["runs"], "local", "no-op converge"), ALARMS)
    taken = {resource: seconds for resource, seconds in new.items() if seconds}
    assert taken == {"dashboard": 2.0, "further alarms": pytest.approx(8.0)}
    found = figures.ratio(raw_run(), "warm_local", "no-op converge")
    assert found.plain == pytest.approx(14.9 / 20)
    assert found.same_work == pytest.approx(14.9 / 30)


def test_as_many_alarms_as_the_baseline_has_are_no_new_work():
    new = figures.new_work(figures.of(raw_run()["runs"], "local", "no-op converge"), figures.BASELINE_ALARMS)
    assert new["further alarms"] == 0


def test_an_alarm_topic_is_no_alarm():
    assert not any(since.tasks.fullmatch("Create or adjust the alarm topic") for since in figures.SINCE)


def test_what_has_no_namesake_in_the_baseline_is_named():
    assert figures.unknown_to_baseline(raw_run(), "no-op converge") == ["Ask where failures go so far"]
    assert "Ask where failures go so far" in report.render(raw_run())


@pytest.mark.parametrize(
    ("raw", "missed"),
    [
        (raw_run(), []),
        (raw_run(warm=16.0), ["no-op converge"]),
        (raw_run(warm=17.0), ["first converge", "no-op converge"]),
        (raw_run(five=36.0), ["no-op converge of five"]),
    ],
)
def test_a_limit_is_missed_when_its_figure_is(raw, missed):
    found = [limit.text for limit in figures.limits(raw) if not limit.holds]
    assert len(found) == len(missed)
    assert all(text.startswith(begin) for text, begin in zip(found, missed, strict=True))
    assert report.render(raw).count("**no**") == len(missed)


def test_what_outlives_its_starter_is_measured_too(tmp_path):
    result = tmp_path / "result.json"
    daemon = "import os, time\nif os.fork():\n    os._exit(3)\nwhile time.process_time() < 0.3: pass\n"
    # In a process of its own, since it adopts whoever loses his parent.
    command = [sys.executable, "-m", "benchmarks.deploy.measured", str(result), sys.executable, "-c", daemon]
    subprocess.run(command, check=True)
    found = json.loads(result.read_text())
    assert (found["code"], found["left"]) == (3, False)
    assert found["cpu_s"] >= 0.3
