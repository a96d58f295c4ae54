# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is compared, and how much of it is enough for a steady figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

SIZES = (10, 100, 1000)
BASELINE = "recipe"


@dataclass(frozen=True)
class Candidate:
    """A handler, its environment, and how many records of it to measure."""

    name: str
    title: str
    module: str
    batches: Mapping[int, int]  # of each size in a round
    warm_up: int  # records of the batch that opens the connections
    env: Mapping[str, str] = field(default_factory=dict)
    once: tuple[int, ...] = ()  # sizes that take so long that one round has to do
    items: str = "recipe"  # what the batches are made of
    baseline: str = BASELINE

    @property
    def ours(self) -> bool:
        return self.module == _OURS


_OURS = "stream_processor.handler"
_SERIAL = {10: 4, 100: 1, 1000: 1}
_BOTO3_THREADS = {10: 15, 100: 4, 1000: 1}
_FAST = {10: 40, 100: 10, 1000: 3}

CANDIDATES = (
    Candidate("recipe", "recipe-style (boto3)", "benchmarks.recipe_style", _SERIAL, 5, once=(1000,)),
    Candidate("powertools", "Powertools BatchProcessor", "benchmarks.powertools_style", _SERIAL, 5, once=(1000,)),
    Candidate(
        "boto3_per_change",
        "boto3, 32 threads, per_change",
        "benchmarks.boto3_threads",
        _BOTO3_THREADS,
        100,
        {"AUDIT_LAYOUT": "per_change"},
    ),
    Candidate(
        "boto3_per_batch",
        "boto3, 32 threads, per_batch",
        "benchmarks.boto3_threads",
        _BOTO3_THREADS,
        100,
        {"AUDIT_LAYOUT": "per_batch"},
    ),
    Candidate("per_change", "**ours, per_change**", _OURS, _FAST, 320, {"AUDIT_LAYOUT": "per_change"}),
    Candidate("per_batch", "**ours, per_batch**", _OURS, _FAST, 320, {"AUDIT_LAYOUT": "per_batch"}),
    Candidate(
        "digest",
        "ours, per_batch, digest",
        _OURS,
        _FAST,
        320,
        {"AUDIT_LAYOUT": "per_batch", "NOTIFICATION_MODE": "digest"},
    ),
)
_BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}
#: Some of them with larger items.
CANDIDATES += tuple(
    replace(
        _BY_NAME[name],
        name=f"{name}_wide",
        title=f"{_BY_NAME[name].title}, items of 1 KB",
        batches={size: _BY_NAME[name].batches[size] for size in (100, 1000)},
        items="wide",
        baseline="recipe_wide",
    )
    for name in (BASELINE, "per_change", "per_batch")
)
