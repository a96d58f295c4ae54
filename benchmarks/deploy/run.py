# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures deploys: ``python -m benchmarks.deploy.run`` (make bench-deploy sets up what it needs).

All candidates run on one local cloud, in rounds in which they take turns, so that what disturbs the machine for a while
disturbs them all. Ends with code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from typing import Any

from ansible import release

from benchmarks import output
from benchmarks.deploy import figures, report
from benchmarks.deploy.candidates import CANDIDATES, LOCAL, WARM_LOCAL, baseline_checkout, compile_all
from benchmarks.deploy.scene import VERBS, Cloud, Scene
from benchmarks.machine import machine
from benchmarks.output import ROOT

DOCS = ROOT / "docs" / "deploy-performance.md"
_ROUNDS = 3
_MANY = 5


def measure_all(rounds: int, work: Path) -> dict[str, Any]:
    """Everything, as the file that the figures are made from."""
    raw: dict[str, Any] = {"machine": {**machine(), "core": release.__version__}, "rounds": rounds}
    checkouts = {True: baseline_checkout(work / "baseline_checkout"), False: ROOT}
    for checkout in checkouts.values():
        compile_all(checkout)
    with Cloud(_free_port(), work / "cloud") as cloud:
        scenes = {each: Scene(cloud, each, checkouts[each.of_baseline], work / each.name) for each in CANDIDATES}
        raw["runs"] = []
        for number in range(rounds):
            for candidate in CANDIDATES[number % len(CANDIDATES) :] + CANDIDATES[: number % len(CANDIDATES)]:
                cloud.run("reset")
                for verb in VERBS:
                    raw["runs"].append(_told(scenes[candidate].measure(verb)))
                    if candidate is LOCAL and verb == "first converge":
                        raw["alarms"] = scenes[LOCAL].alarms()
        raw["five"] = _five(cloud, work, rounds)
    return raw


def _five(cloud: Cloud, work: Path, rounds: int) -> list[dict[str, Any]]:
    """No-ops of five pipelines and of one of them, in turns."""
    cloud.run("reset")
    scene = Scene(cloud, WARM_LOCAL, ROOT, work / "five", hosts=_MANY)
    _told(scene.measure("first converge"))
    return [_told(scene.measure("no-op converge", limit)) for _round in range(rounds) for limit in ("pipeline1", "")]


def _told(run: dict[str, Any]) -> dict[str, Any]:
    title = {each.name: each.title for each in CANDIDATES}[run["candidate"]]
    print(
        f"{title:24} {run['hosts']} x {run['verb']:14} {run['wall_s']:6.1f} s, CPU {run['cpu_s']:6.1f} s",
        file=sys.stderr,
        flush=True,
    )
    return run


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy.run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--write-docs", action="store_true", help=f"no run: put the last one into docs/{DOCS.name}")
    asked = parser.parse_args(argv)
    if asked.write_docs:
        output.write_docs(DOCS, {"figures": report.render(output.read("deploy"))})
        return 0
    raw = measure_all(asked.rounds, output.OUTPUT / "deploy")
    return output.finish("deploy", raw, report.render(raw), figures.limits(raw))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
