# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From single measurements to figures and verdicts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: What each run is asked: its layout, how many changes over how many hours, what they are sent to.
Asked = Mapping[str, Any]
Run = Mapping[str, Any]

#: Megabytes that reading any number of changes may take.
MOST_MB = 300
#: So many changes of an hour are sorted on disk; from there on, memory grows no more than this.
LEAST_SORTED, MOST_GROWTH = 100_000, 1.5


@dataclass(frozen=True)
class Limit:
    text: str
    bound: float
    value: float
    unit: str = ""

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


def plan(changes: int) -> list[dict[str, Any]]:
    """What is measured for logs of up to so many changes: a log each, with the runs on it."""
    small, middle = max(changes // 100, 100), max(changes // 10, 100)
    delayed = max(middle // 5, 100)
    reading = {"target": "none"}
    sending = [reading, {"target": "function"}, {"target": "table"}]
    return [
        *(_log(layout, middle, 1, sending) for layout in ("per_change", "per_batch", "compacted")),
        _log("per_change", delayed, 1, [{**reading, "get_ms": 15}]),
        _log("per_batch", middle, 100, [{**reading, "get_ms": 15}, *sending]),
        _log("per_batch", small, 1, sending),
        _log("per_batch", small, 100, [reading]),
        _log("per_batch", changes, 1, [reading]),
        _log("per_batch", changes, 100, [reading]),
    ]


def _log(layout: str, count: int, hours: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    # Evenly over the hours.
    return {"layout": layout, "count": count // hours * hours, "hours": hours, "runs": runs}


def rate(run: Run) -> float:
    """Changes a second of wall time."""
    return run["count"] / run["wall_s"]


def per_thousand(run: Run) -> tuple[float, float]:
    """Calls for 1 000 changes: to the bucket, to the target."""
    return tuple(1000 * calls / run["count"] for calls in (sum(run["calls"].values()), run["sent"]))


def chosen(runs: Iterable[Run], **wanted: Any) -> list[Run]:
    return [run for run in runs if all(run.get(name, 0) == value for name, value in wanted.items())]


def limits(runs: Iterable[Run]) -> list[Limit]:
    """The memory of the largest logs. That it does not grow, only for logs that have to be sorted on disk."""
    runs = list(runs)
    batches = chosen(runs, layout="per_batch", target="none", get_ms=0)
    most = max(run["count"] for run in batches)
    found = []
    for hours, words in ((1, "in one hour"), (100, "spread over 100 hours")):
        (largest,) = chosen(batches, count=most, hours=hours)
        found.append(Limit(f"reading {most} changes, {words}: peak memory", MOST_MB, largest["peak_mb"], "MB"))
    sent = max(run["peak_mb"] for run in runs if run["target"] != "none")
    found.append(Limit("sending to a function and a table: peak memory", MOST_MB, sent, "MB"))
    in_one = sorted(chosen(batches, hours=1), key=lambda run: run["count"])
    largest, before = in_one[-1], in_one[-2]
    if before["count"] >= LEAST_SORTED:
        words = f"reading in one hour: memory of {largest['count']} changes, times that of {before['count']}"
        found.append(Limit(words, MOST_GROWTH, largest["peak_mb"] / before["peak_mb"]))
        found.append(Limit("reading per_batch: calls for 1 000 changes", 11, per_thousand(largest)[0]))
    return found
