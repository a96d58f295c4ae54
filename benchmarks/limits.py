# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must hold, in one table, and whether it does. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.candidates import BASELINE, SIZES
from benchmarks.figures import Figures

LAYOUTS = ("per_change", "per_batch")


@dataclass(frozen=True)
class Limit:
    text: str
    layout: str
    value: Callable[[Figures], float]
    bound: float
    at_least: bool = False  # otherwise at most

    def holds(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


@dataclass(frozen=True)
class Verdict:
    limit: Limit
    value: float
    holds: bool


def _speed(size: int, layout: str, bound: float) -> Limit:
    text = f"times the recipe-style baseline's records/s, batch {size}"
    return Limit(text, layout, lambda figures: figures.ratio(layout, size), bound, at_least=True)


def _cost(name: str, text: str, layout: str, bound: float) -> Limit:
    return Limit(f"{text}, batch 100", layout, lambda figures: figures.of(layout, 100, name), bound)


def _start(layout: str) -> list[Limit]:
    return [
        Limit("cold import, CPU-ms", layout, lambda f: f.starts[layout]["import_ms"].median, 100),
        Limit(
            "cold import, share of the baseline's",
            layout,
            lambda f: f.starts[layout]["import_ms"].median / f.starts[BASELINE]["import_ms"].median,
            1 / 3,
        ),
    ]


def _memory(layout: str) -> list[Limit]:
    def share(size: int) -> Callable[[Figures], float]:
        return lambda figures: figures.of(layout, size, "peak_mb") / figures.of(BASELINE, size, "peak_mb")

    shares = [Limit(f"peak memory, share of the baseline's, batch {size}", layout, share(size), 1.0) for size in SIZES]
    return [
        *shares,
        Limit("10 000 small records, peak MB", layout, lambda f: f.memory[layout, "small"], 256),
        Limit("6 MB of 400 KB items, peak MB", layout, lambda f: f.memory[layout, "large"], 256),
    ]


LIMITS: tuple[Limit, ...] = (
    _speed(10, "per_change", 9),
    _speed(10, "per_batch", 9),
    _speed(100, "per_change", 30),
    _speed(100, "per_batch", 80),
    _speed(1000, "per_change", 50),
    _speed(1000, "per_batch", 330),
    _cost("cpu_ms", "CPU-ms a record", "per_change", 0.9),
    _cost("cpu_ms", "CPU-ms a record", "per_batch", 0.25),
    _cost("calls", "API calls per 1 000 changes", "per_change", 1100),
    _cost("calls", "API calls per 1 000 changes", "per_batch", 110),
    *(limit for layout in LAYOUTS for limit in (*_start(layout), *_memory(layout))),
)


def check(figures: Figures) -> list[Verdict]:
    """Every limit with its figure."""
    verdicts = []
    for limit in LIMITS:
        value = limit.value(figures)
        verdicts.append(Verdict(limit, value, limit.holds(value)))
    return verdicts
