# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures as tables, for the terminal and for Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.replay.figures import Run, chosen, limits, per_thousand, rate
from benchmarks.tables import table

_TARGETS = {"none": "read only", "function": "function", "table": "table"}
_HEAD = (
    "layout",
    "changes",
    "hours",
    "target",
    "a GET, ms",
    "changes/s",
    "CPU-µs a change",
    "S3 calls",
    "target calls",
)


def render(raw: Mapping[str, Any]) -> str:
    """Everything, as Markdown."""
    machine, runs = raw["machine"], raw["runs"]
    busy = f" The machine was not quiet: its load was {machine['load_before']:.1f} before."
    head = (
        f"Python {machine['python']}, {machine['cpus']} CPUs ({machine['cpu']}), {machine['date']}. Calls are those "
        f"for 1 000 changes.{busy if machine['load_before'] >= 1 else ''}"
    )
    return "\n\n".join(
        [
            head,
            table(_HEAD, [_speed(run) for run in runs]),
            "Peak memory, MB, Python itself included:",
            table(("layout", "target", "hours", *map(_number, _counts(runs))), _memory(runs)),
            "What must hold:",
            table(("limit", "wanted", "measured", "holds"), _limits(runs)),
        ]
    )


def _speed(run: Run) -> Sequence[str]:
    to_bucket, to_target = per_thousand(run)
    return (
        run["layout"],
        _number(run["count"]),
        str(run["hours"]),
        _TARGETS[run["target"]],
        f"{run.get('get_ms', 0):g}",
        _number(round(rate(run))),
        f"{1_000_000 * run['cpu_s'] / run['count']:.0f}",
        f"{to_bucket:.1f}",
        f"{to_target:.1f}" if run["sent"] else "–",
    )


def _counts(runs: Sequence[Run]) -> list[int]:
    return sorted({run["count"] for run in chosen(runs, get_ms=0)})


def _memory(runs: Sequence[Run]) -> list[Sequence[str]]:
    rows = dict.fromkeys((run["layout"], run["target"], run["hours"]) for run in chosen(runs, get_ms=0))
    found = []
    for layout, target, hours in rows:
        of_row = chosen(runs, layout=layout, target=target, hours=hours, get_ms=0)
        peaks = {run["count"]: f"{run['peak_mb']:.0f}" for run in of_row}
        cells = [peaks.get(count, "") for count in _counts(runs)]
        found.append((layout, _TARGETS[target], str(hours), *cells))
    return found


def _limits(runs: Sequence[Run]) -> list[Sequence[str]]:
    return [
        (each.text, f"≤ {each.bound:g} {each.unit}".strip(), f"{each.value:.3g}", "yes" if each.holds else "**no**")
        for each in limits(runs)
    ]


def _number(value: int) -> str:
    return f"{value:,}".replace(",", " ")
