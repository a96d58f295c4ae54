#!/usr/bin/env python
"""Counts what `make test` ran, from the reports in build/test; fails when something failed or nothing ran."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

REPORTS = Path(__file__).resolve().parents[1] / "build/test"


def counts(report: Path) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of one JUnit report."""
    passed = failed = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        out = int(suite.get("skipped", 0))
        passed += int(suite.get("tests", 0)) - bad - out
        failed += bad
        skipped += out
    return passed, failed, skipped


def main() -> int:
    total = [0, 0, 0]
    for report in sorted(REPORTS.glob("*.xml")):
        found = counts(report)
        total = [one + other for one, other in zip(total, found, strict=True)]
        print(f"{report.stem}: {found[0]} passed, {found[1]} failed, {found[2]} skipped")
    passed, failed, skipped = total
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
