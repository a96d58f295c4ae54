# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of the benchmarks leaves: its figures in build/bench, and their tables in the documentation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks.tables import plain, replace_between

ROOT = Path(__file__).resolve().parents[1]
#: Figures and their tables.
OUTPUT = ROOT / "build" / "bench"


class Limit(Protocol):
    """What must hold."""

    @property
    def holds(self) -> bool:
        """Whether it does."""


def read(name: str) -> dict[str, Any]:
    """The figures of the last run."""
    return json.loads((OUTPUT / f"{name}.json").read_text(encoding="utf-8"))


def finish(name: str, raw: Mapping[str, Any], text: str, limits: Sequence[Limit]) -> int:
    """Keep the figures, show the tables, and tell whether all holds, as an exit code."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    file = OUTPUT / f"{name}.json"
    file.write_text(json.dumps(raw, indent=1), encoding="utf-8")
    (OUTPUT / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")
    print(plain(text))
    held = sum(each.holds for each in limits)
    print(f"{held} of {len(limits)} limits hold; {file.relative_to(ROOT)}, {name}.md beside it")
    return 0 if held == len(limits) else 1


def write_docs(docs: Path, tables: Mapping[str, str]) -> None:
    """Put the tables between their markers."""
    text = docs.read_text(encoding="utf-8")
    for name, content in tables.items():
        text = replace_between(text, f"<!-- {name}: begin -->", f"<!-- {name}: end -->", content)
    docs.write_text(text, encoding="utf-8")
