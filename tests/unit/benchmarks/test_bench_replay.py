"""The replay benchmark's figures, its bucket in a folder, and that what it measures is what the log holds."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from replayer.history.reader import Reader
from replayer.history.store import Gone, Store

from benchmarks import output
from benchmarks.replay import figures, folder, log, measured, report, run
from benchmarks.replay.folder import Client

MACHINE = {"python": "3.13.0", "cpus": 2, "cpu": "x", "date": "2026-01-31", "load_before": 0.1}


def figure(asked, peak=60.0):
    return {
        **asked,
        "wall_s": 2.0,
        "cpu_s": 1.0,
        "peak_mb": peak,
        "calls": {"GetObject": asked["count"] // 100},
        "sent": 5,
    }


def runs(changes=1_000_000, peak=lambda asked: 60.0):
    found = []
    for each in figures.plan(changes):
        for one in each["runs"]:
            asked = {**{name: each[name] for name in ("layout", "count", "hours")}, **one}
            found.append(figure(asked, peak(asked)))
    return found


def test_every_layout_and_target_is_measured_and_the_largest_logs_both_ways():
    found = runs()
    assert {(each["layout"], each["target"]) for each in found} == {
        (layout, target) for layout in log.LAYOUTS for target in ("none", "function", "table")
    }
    assert {each["hours"] for each in found if each["count"] == 1_000_000} == {1, 100}
    assert {each["count"] for each in found if not each.get("get_ms")} == {10_000, 100_000, 1_000_000}


@pytest.mark.parametrize(
    ("peak", "missed"),
    [
        (lambda asked: 60.0, 0),
        (lambda asked: 301.0 if asked["count"] == 1_000_000 and asked["hours"] == 100 else 60.0, 1),
        (lambda asked: 91.0 if asked["count"] == 1_000_000 and asked["hours"] == 1 else 60.0, 1),
        (lambda asked: 301.0 if asked["target"] == "table" else 60.0, 1),
    ],
)
def test_a_limit_is_missed_where_memory_grows(peak, missed):
    assert sum(not each.holds for each in figures.limits(runs(peak=peak))) == missed


def test_small_logs_are_not_held_to_memory_that_does_not_grow():
    growing = runs(20_000, peak=lambda asked: 20.0 + asked["count"] / 500)
    assert all(each.holds for each in figures.limits(growing))


def test_the_report_shows_every_run_and_limit():
    text = report.render({"machine": MACHINE, "changes": 10**6, "runs": runs()})
    assert text.count("| read only |") > 8 and "| yes |" in text and "**no**" not in text
    assert "not quiet" not in text


def test_the_bucket_in_a_folder_lists_and_gives_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "_PAGE", 7)
    objects = {f"log/{number:03d}{'x' * (number % 90)}": b"%d" % number * (number % 5) for number in range(300)}
    folder.write(tmp_path / "bucket", sorted(objects.items()))
    store = Store(Client(tmp_path / "bucket"), "bucket")

    assert [each.key for each in store.list("log/")] == sorted(objects)
    assert [each.key for each in store.list("log/01", after="log/015" + "x" * 15)] == sorted(objects)[16:20]
    assert list(store.list("none/")) == []
    for key, body in objects.items():
        assert store.read(key) == body
    with pytest.raises(Gone):
        store.read("log/0000")


@pytest.mark.parametrize("layout", log.LAYOUTS)
@pytest.mark.parametrize("hours", [1, 3])
def test_a_log_holds_its_changes_in_every_layout(tmp_path, layout, hours):
    log.write(tmp_path / "log", layout, 303, hours)

    reader = Reader(Store(Client(tmp_path / "log"), "bucket"), log.PREFIX)
    found = list(reader.changes(log.BEGIN, log.BEGIN + timedelta(hours=hours)))

    assert [change.envelope for change in found] == [
        log.envelope(number, number // (303 // hours), number % (303 // hours) * 3600 // (303 // hours))
        for number in range(303)
    ]
    assert reader.findings.sentences() == []


@pytest.mark.parametrize(("target", "calls"), [("none", 0), ("function", 10), ("table", 8)])
def test_what_is_measured_is_all_of_it(tmp_path, target, calls):
    about = {"folder": str(tmp_path / "log"), "layout": "per_batch", "count": 1000, "hours": 1}
    measured.write_log(about)

    found = measured.measure({**about, "target": target})

    assert found["changes"] == 1000 and found["calls"] == {"ListObjectsV2": 2, "GetObject": 10}
    assert calls <= found["sent"] <= 3 * calls
    assert found["peak_mb"] > 10


def test_a_whole_run_ends_with_its_files(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(output, "OUTPUT", tmp_path)
    monkeypatch.setattr(output, "ROOT", tmp_path)
    monkeypatch.setattr(run, "_in_a_process", lambda asked: figure(asked) if asked["what"] == "run" else {})

    assert run.main(["--changes", "20000"]) == 0

    assert json.loads((tmp_path / "replay.json").read_text())["changes"] == 20_000
    assert {each.name for each in tmp_path.iterdir()} == {"replay.json", "replay.md"}
    assert "limits hold" in capsys.readouterr().out
