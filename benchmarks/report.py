# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The figures as tables, for the terminal and for Markdown. Pure."""

from __future__ import annotations

from typing import Any

from benchmarks import costs
from benchmarks.candidates import BASELINE, CANDIDATES, SIZES
from benchmarks.figures import Figures
from benchmarks.limits import Verdict
from benchmarks.spread import Spread
from benchmarks.tables import Row, table


def render(raw: dict[str, Any], figures: Figures, verdicts: list[Verdict]) -> str:
    """Everything, as Markdown."""
    machine = raw["machine"]
    busy = f" The machine was not quiet: its load was {machine['load_before']:.1f} before."
    head = (
        f"Python {machine['python']}, {machine['cpus']} CPUs ({machine['cpu']}), {machine['date']}; S3 answers after "
        f"{raw['stub']['s3_ms']} ms, SNS after {raw['stub']['sns_ms']} ms; medians of {raw['rounds']} rounds (one of "
        f"the serial candidates at batch 1 000), ranges in brackets.{busy if machine['load_before'] >= 1 else ''}"
    )
    return "\n\n".join(
        [
            head,
            table(_RUN_HEAD, run_rows(figures)),
            table(_START_HEAD, start_rows(figures)),
            _log_sentence(raw, figures),
            "What must hold:",
            table(_LIMIT_HEAD, limit_rows(verdicts)),
        ]
    )


def render_costs(raw: dict[str, Any], figures: Figures) -> str:
    """The costs, as Markdown."""
    metrics = raw["metrics"]
    fixed = (
        f"The function's {metrics} metrics cost ${costs.metrics_per_month(metrics):.2f} a pipeline and month besides."
    )
    prices = [(f"${price.dollars:.10g}", price.unit, price.page, price.read) for price in costs.PRICES.values()]
    return "\n\n".join(
        [
            table(_COST_HEAD, cost_rows(figures)),
            fixed if metrics else "The function measured sends no metrics.",
            table(("price", "for", "page", "read"), prices),
        ]
    )


def render_lanes(figures: Figures) -> str:
    """What one lane handles a second by memory size, as Markdown."""
    head = ("changes a second and lane", "batch", *(f"{size} MB" for size in costs.MEMORY_SIZES_MB))
    return table(head, lane_rows(figures))


_RUN_HEAD = ("function", "batch", "records/s", "× baseline", "CPU-ms a record", "calls per 1 000", "peak MB")
_START_HEAD = ("function", "cold import, CPU-ms", "without byte code", "import and first record")
_LIMIT_HEAD = ("limit", "layout", "wanted", "measured", "holds")
_COST_HEAD = ("$ per million changes", "batch", "compute", "invocations", "S3", "SNS", "logs", "total", "of baseline")


def run_rows(figures: Figures) -> list[Row]:
    rows = []
    for size in SIZES:
        for candidate in CANDIDATES:
            found = figures.runs.get((candidate.name, size))
            if found is None:
                continue
            against = candidate.baseline
            ratio = f"{figures.ratio(candidate.name, size, against):.1f}" if (against, size) in figures.runs else ""
            rows.append(
                (
                    candidate.title,
                    f"{size:,}".replace(",", " "),
                    _spread(found["records_per_s"]),
                    ratio,
                    _spread(found["cpu_ms"]),
                    f"{found['calls'].median:.0f}",
                    f"{found['peak_mb'].median:.0f}",
                )
            )
    return rows


def start_rows(figures: Figures) -> list[Row]:
    rows = []
    for candidate in CANDIDATES:
        found = figures.starts.get(candidate.name)
        if found:
            row = (_spread(found[name]) for name in ("import_ms", "source_ms", "first_ms"))
            rows.append((candidate.title, *row))
    return rows


def limit_rows(verdicts: list[Verdict]) -> list[Row]:
    rows = []
    for verdict in verdicts:
        wanted = f"{'≥' if verdict.limit.at_least else '≤'} {_number(verdict.limit.bound)}"
        holds = "yes" if verdict.holds else "**no**"
        rows.append((verdict.limit.text, verdict.limit.layout, wanted, _number(verdict.value), holds))
    return rows


def cost_rows(figures: Figures) -> list[Row]:
    candidates = {candidate.name: candidate for candidate in CANDIDATES}
    found = costs.table(figures)
    rows = []
    for size in SIZES:
        for (name, of_size), cost in found.items():
            if of_size != size:
                continue
            parts = (cost.compute, cost.requests, cost.s3, cost.sns, cost.logs, cost.total)
            baseline = found.get((candidates[name].baseline, size))
            share = f"{100 * cost.total / baseline.total:.0f} %" if baseline else ""
            rows.append(
                (candidates[name].title, f"{size:,}".replace(",", " "), *(f"{part:.3f}" for part in parts), share)
            )
    return rows


def lane_rows(figures: Figures) -> list[Row]:
    rows = []
    for size in SIZES:
        for candidate in CANDIDATES:
            if (candidate.name, size) not in figures.runs or candidate.items != "recipe":
                continue
            if not (candidate.ours or candidate.name == BASELINE):
                continue
            used = costs.usage(figures, candidate, size)
            speeds = (f"{costs.per_second(used, memory):.0f}" for memory in costs.MEMORY_SIZES_MB)
            rows.append((candidate.title, f"{size:,}".replace(",", " "), *speeds))
    return rows


def _log_sentence(raw: dict[str, Any], figures: Figures) -> str:
    line, bare = figures.log_us["with metrics"], figures.log_us["without metrics"]
    return (
        f"A batch's line in the log costs {line:.0f} µs of CPU, {max(0, line - bare):.0f} of them for its "
        f"{raw['metrics']} metrics (measured on an empty batch, so with all that a batch costs besides)."
    )


def _spread(value: Spread) -> str:
    if value.low == value.high:
        return _number(value.median)
    return f"{_number(value.median)} ({_number(value.low)}–{_number(value.high)})"


def _number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
