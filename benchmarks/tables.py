# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables in Markdown, for a terminal and in the documentation. Pure."""

from __future__ import annotations

from collections.abc import Sequence

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(markdown: str) -> str:
    """The same for a terminal: columns in line, no marks."""
    lines: list[str] = []
    rows: list[list[str]] = []
    for line in [*markdown.replace("**", "").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        lines += _aligned(rows)
        rows = []
        lines.append(line)
    return "\n".join(lines)


def replace_between(text: str, begin: str, end: str, content: str) -> str:
    """The text with what stands between two markers replaced."""
    before, found_begin, rest = text.partition(begin)
    _old, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"the markers {begin} and {end} are not both there, in this order")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _aligned(table: list[list[str]]) -> list[str]:
    rows = [row for row in table if not set("".join(row)) <= {"-", ":"}]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
