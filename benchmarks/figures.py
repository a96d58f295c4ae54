# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From single measurements to figures: medians and ranges. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.candidates import BASELINE
from benchmarks.spread import Spread, spread


def per_record(measured: dict[str, Any]) -> dict[str, float]:
    """One measurement, with what the stub counted meanwhile, as figures that do not depend on its length."""
    records = measured["records"]
    return {
        "records_per_s": records / measured["wall_s"],
        "cpu_ms": measured["cpu_s"] * 1000 / records,
        "s3_calls": measured["s3_calls"] * 1000 / records,
        "sns_calls": measured["sns_calls"] * 1000 / records,
        "calls": (measured["s3_calls"] + measured["sns_calls"]) * 1000 / records,
        "peak_mb": measured["peak_mb"],
        "log_bytes": measured["log_bytes"] / records,
    }


@dataclass(frozen=True)
class Figures:
    """All that a run of the benchmarks found out.

    Of ``runs``, the keys are candidate and batch size; of ``starts``, the candidate; of ``memory``, layout and event.
    """

    runs: dict[tuple[str, int], dict[str, Spread]]
    starts: dict[str, dict[str, Spread]]
    memory: dict[tuple[str, str], float]
    log_us: dict[str, float]

    def of(self, candidate: str, size: int, name: str) -> float:
        return self.runs[candidate, size][name].median

    def ratio(self, candidate: str, size: int, baseline: str = BASELINE) -> float:
        """How many times the baseline's records a second."""
        return self.of(candidate, size, "records_per_s") / self.of(baseline, size, "records_per_s")


def summarize(raw: dict[str, Any]) -> Figures:
    """The figures of the file that a run writes."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for each in raw["runs"]:
        runs.setdefault((each["candidate"], each["size"]), []).append(per_record(each))
    starts: dict[str, list[dict[str, float]]] = {}
    for each in raw["starts"]:
        kept = {name: value for name, value in each.items() if name.endswith("_ms")}
        starts.setdefault(each["candidate"], []).append(kept)
    return Figures(
        runs={key: _spreads(found) for key, found in runs.items()},
        starts={key: _spreads(found) for key, found in starts.items()},
        memory={(each["layout"], each["event"]): each["peak_mb"] for each in raw["memory"]},
        log_us={each["what"]: each["us_per_line"] for each in raw["log"]},
    )


def _spreads(found: list[dict[str, float]]) -> dict[str, Spread]:
    return {name: spread(each[name] for each in found) for name in found[0]}
