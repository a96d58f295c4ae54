# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From single runs to figures and verdicts. Pure.

The baseline does not make all that is made today. So there are two ratios: the plain one, against the baseline's time
alone, and the one for the same work, against the baseline's time and what today's tasks for the resources that are new
since take over ``local``. The limits apply to the second.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.spread import Spread, spread

Runs = list[dict[str, Any]]

#: Alarms that the baseline makes for a pipeline.
BASELINE_ALARMS = 2


@dataclass(frozen=True)
class Since:
    """A resource that is new since the baseline: the tasks that make or remove it, by name.

    Only what is a resource of its own is here: not what is done otherwise than in the baseline, or asked more often.
    """

    resource: str
    tasks: re.Pattern[str]


SINCE = (
    Since("dashboard", re.compile(r".*\bdashboard\b.*")),
    Since("further alarms", re.compile(r".*\bthe alarms\b.*")),
    Since("version and alias", re.compile(r".*\bPublish a version\b.*")),
    Since("run lock", re.compile(r".*\bthe pipeline's lock\b.*")),
    Since("journal of the log", re.compile(r".*\bNote what the audit log holds\b.*")),
    Since("guard", re.compile(r".*\bRefuse what would take over\b.*")),
)


@dataclass(frozen=True)
class Row:
    """One candidate and verb."""

    wall: Spread
    cpu: Spread
    cloud_cpu: Spread
    #: Executed once for a host; items of loops are counted apart.
    tasks: int
    items: int


@dataclass(frozen=True)
class Ratio:
    """Of a candidate's wall time, for one verb."""

    wall: float
    baseline: float
    #: Seconds over ``local`` of the tasks for what is new, by resource.
    new: Mapping[str, float]

    @property
    def plain(self) -> float:
        return self.wall / self.baseline

    @property
    def same_work(self) -> float:
        return self.wall / (self.baseline + sum(self.new.values()))


@dataclass(frozen=True)
class Limit:
    text: str
    bound: float
    value: float

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


def of(runs: Runs, candidate: str, verb: str, hosts: int = 1) -> Runs:
    return [run for run in runs if (run["candidate"], run["verb"], run["hosts"]) == (candidate, verb, hosts)]


def row(runs: Runs) -> Row:
    """Of the rounds of one candidate and verb."""
    tasks = runs[-1]["tasks"]
    return Row(
        wall=spread(run["wall_s"] for run in runs),
        cpu=spread(run["cpu_s"] for run in runs),
        cloud_cpu=spread(run["cloud_cpu_s"] for run in runs),
        tasks=sum(task["ran"] for task in tasks),
        items=sum(task["items"] for task in tasks),
    )


def new_work(local_runs: Runs, alarms: int) -> dict[str, float]:
    """What the tasks for new resources take over ``local``: medians of the rounds, by resource."""
    further = max(0, alarms - BASELINE_ALARMS) / alarms if alarms else 0.0
    found = {}
    for since in SINCE:
        share = further if since.resource == "further alarms" else 1.0
        found[since.resource] = share * statistics.median(
            sum(task["seconds"] for task in run["tasks"] if task["ran"] and since.tasks.fullmatch(task["task"]))
            for run in local_runs
        )
    return found


def ratio(raw: Mapping[str, Any], candidate: str, verb: str) -> Ratio:
    runs = raw["runs"]
    return Ratio(
        wall=row(of(runs, candidate, verb)).wall.median,
        baseline=row(of(runs, "baseline", verb)).wall.median,
        new=new_work(of(runs, "local", verb), raw["alarms"]),
    )


def side_by_side(raw: Mapping[str, Any]) -> float:
    """The no-op of five pipelines in one's wall time, both in the same environment."""
    runs = raw["five"]
    many = max(run["hosts"] for run in runs)
    one, five = (row(of(runs, "warm_local", "no-op converge", hosts)).wall.median for hosts in (1, many))
    return five / one


def limits(raw: Mapping[str, Any]) -> list[Limit]:
    bounds = {"first converge": 0.55, "no-op converge": 0.5}
    found = [
        Limit(
            f"{verb} over warm_local, share of the same work's by the baseline over local",
            bound,
            ratio(raw, "warm_local", verb).same_work,
        )
        for verb, bound in bounds.items()
    ]
    return [*found, Limit("no-op converge of five pipelines over warm_local, times one's", 3.5, side_by_side(raw))]


def unknown_to_baseline(raw: Mapping[str, Any], verb: str) -> list[str]:
    """Tasks that ran today, are of no new resource, and have no namesake in the baseline: renamed, or more work."""
    theirs = {task["task"] for run in of(raw["runs"], "baseline", verb) for task in run["tasks"]}
    mine = [task["task"] for run in of(raw["runs"], "local", verb)[-1:] for task in run["tasks"] if task["ran"]]
    return [
        name
        for name in dict.fromkeys(mine)
        if name not in theirs and not any(since.tasks.fullmatch(name) for since in SINCE)
    ]
