# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measures all candidates: ``python -m benchmarks.run`` (make bench sets up what it needs).

Every measurement is a process of its own, in rounds through all candidates, so that what disturbs the machine for a
while disturbs them all. Ends with code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import costs, events, limits, output, report
from benchmarks.bench import Bench
from benchmarks.candidates import CANDIDATES, SIZES, Candidate
from benchmarks.figures import summarize
from benchmarks.machine import machine
from benchmarks.output import ROOT
from benchmarks.stub import Stub

DOCS = ROOT / "docs" / "performance.md"
_ROUNDS = 3
_START_ROUNDS = 5
_LATENCIES = {"s3_ms": 30, "sns_ms": 15}
_STARTS = ("recipe", "powertools", "per_change", "per_batch")  # the others start like one of these


def plan(rounds: int, sizes: tuple[int, ...], candidates: list[Candidate]) -> Iterator[tuple[Candidate, int]]:
    """What to run, in order: round by round, and in a round size by size through all candidates."""
    for number in range(rounds):
        for size in sizes:
            for candidate in candidates:
                if size in candidate.batches and (number == 0 or size not in candidate.once):
                    yield candidate, size


def measure_all(function: Path, rounds: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Everything, as the file that the figures are made from."""
    ours = {candidate.name: candidate for candidate in CANDIDATES if candidate.name in limits.LAYOUTS}
    raw: dict[str, Any] = {"machine": machine(), "stub": _LATENCIES, "rounds": rounds, "runs": [], "starts": []}
    with Stub(**_LATENCIES) as stub, tempfile.TemporaryDirectory() as work:
        bench = Bench(stub, function, Path(work))
        for _round in range(_START_ROUNDS):
            raw["starts"] += [bench.start(candidate) for candidate in CANDIDATES if candidate.name in _STARTS]
        _say("cold starts measured")
        logs = {"with metrics": {}, "without metrics": {"METRICS_NAMESPACE": ""}}
        raw["log"] = [bench.log(ours["per_change"], what, env) for what, env in logs.items()]
        raw["metrics"] = bench.metrics(ours["per_change"])
        raw["memory"] = [
            bench.memory(candidate, name, make())
            for name, make in (("small", events.small), ("large", events.large))
            for candidate in ours.values()
        ]
        _say("memory of the largest events measured")
        for candidate, size in plan(rounds, sizes, list(CANDIDATES)):
            raw["runs"].append(bench.run(candidate, size))
            _say(_progress(raw["runs"][-1]))
    return raw


def _progress(run: dict[str, Any]) -> str:
    speed, cpu = run["records"] / run["wall_s"], run["cpu_s"] / run["records"] * 1000
    return f"{run['candidate']:17} batch {run['size']:4}: {speed:7.1f} records/s, {cpu:5.2f} CPU-ms a record"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def write_docs(raw: dict[str, Any]) -> None:
    """The tables of docs/performance.md, from the last run."""
    figures = summarize(raw)
    tables = {
        "figures": report.render(raw, figures, limits.check(figures)),
        "costs": report.render_costs(raw, figures),
        "lanes": report.render_lanes(figures),
    }
    output.write_docs(DOCS, tables)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument(
        "--function", type=Path, default=ROOT / "files" / "lambda", help="folder of the function's package"
    )
    parser.add_argument("--write-docs", action="store_true", help="no run: put the last one into docs/performance.md")
    asked = parser.parse_args(argv)
    if asked.write_docs:
        write_docs(output.read("function"))
        return 0
    raw = measure_all(asked.function.resolve(), asked.rounds, SIZES)
    figures = summarize(raw)
    verdicts = limits.check(figures)
    raw["limits"] = [
        {
            "limit": each.limit.text,
            "layout": each.limit.layout,
            "bound": each.limit.bound,
            "value": each.value,
            "holds": each.holds,
        }
        for each in verdicts
    ]
    raw["costs"] = [
        {"candidate": name, "size": size, **asdict(cost), "total": cost.total}
        for (name, size), cost in costs.table(figures).items()
    ]
    text = f"{report.render(raw, figures, verdicts)}\n\n{report.render_costs(raw, figures)}"
    return output.finish("function", raw, text, verdicts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
