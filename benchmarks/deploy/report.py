# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures as tables, for the terminal and for Markdown. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.deploy.candidates import CANDIDATES
from benchmarks.deploy.figures import limits, of, ratio, row, unknown_to_baseline
from benchmarks.deploy.scene import VERBS
from benchmarks.spread import Spread
from benchmarks.tables import table

_RUN_HEAD = ("one pipeline", "", "wall, s", "CPU, s", "cloud's CPU, s", "tasks run", "items of loops")


def render(raw: Mapping[str, Any]) -> str:
    """Everything, as Markdown."""
    machine = raw["machine"]
    busy = f" The machine was not quiet: its load was {machine['load_before']:.1f} before."
    head = (
        f"Python {machine['python']}, core {machine['core']}, {machine['cpus']} CPUs ({machine['cpu']}), "
        f"{machine['date']}; local cloud; medians of {raw['rounds']} rounds in which the candidates took turns, ranges "
        f"in brackets. CPU is that of all processes of the run, the local cloud's apart."
        f"{busy if machine['load_before'] >= 1 else ''}"
    )
    return "\n\n".join(
        [
            head,
            table(_RUN_HEAD, _runs(raw)),
            "Shares of the baseline's wall time. The baseline makes less than is made today, so the second share is of "
            "its time and of what the tasks for new resources take over `local`; the limits apply to that one.",
            table(("", "verb", "of the baseline", "of the same work", "new resources over local, s"), _shares(raw)),
            _unknown(raw),
            table(("pipelines at once, no-op converge, warm_local", "wall, s", "CPU, s"), _five(raw)),
            "What must hold:",
            table(("limit", "wanted", "measured", "holds"), _limits(raw)),
        ]
    )


def _runs(raw: Mapping[str, Any]) -> list[Sequence[str]]:
    rows = []
    for verb in VERBS:
        for candidate in CANDIDATES:
            found = row(of(raw["runs"], candidate.name, verb))
            rows.append(
                (
                    verb,
                    candidate.title,
                    _spread(found.wall),
                    _spread(found.cpu),
                    f"{found.cloud_cpu.median:.1f}",
                    str(found.tasks),
                    str(found.items),
                )
            )
    return rows


def _shares(raw: Mapping[str, Any]) -> list[Sequence[str]]:
    rows = []
    for candidate in CANDIDATES[1:]:
        for verb in VERBS:
            found = ratio(raw, candidate.name, verb)
            new = ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.new.items())
            rows.append((candidate.title, verb, f"{found.plain:.2f}", f"{found.same_work:.2f}", new))
    return rows


def _unknown(raw: Mapping[str, Any]) -> str:
    names = unknown_to_baseline(raw, "no-op converge")
    if not names:
        return "Every other task of the no-op has a namesake in the baseline."
    listed = "; ".join(names)
    return f"Of no new resource, without a namesake in the baseline, and so at the cost of today's side: {listed}."


def _five(raw: Mapping[str, Any]) -> list[Sequence[str]]:
    rows = []
    for hosts in sorted({run["hosts"] for run in raw["five"]}):
        found = row(of(raw["five"], "warm_local", "no-op converge", hosts))
        rows.append((str(hosts), _spread(found.wall), _spread(found.cpu)))
    return rows


def _limits(raw: Mapping[str, Any]) -> list[Sequence[str]]:
    return [
        (each.text, f"≤ {each.bound:.2f}", f"{each.value:.2f}", "yes" if each.holds else "**no**")
        for each in limits(raw)
    ]


def _spread(found: Spread) -> str:
    return f"{found.median:.1f} ({found.low:.1f}–{found.high:.1f})"
