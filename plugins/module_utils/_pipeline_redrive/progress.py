# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells of a long run while it goes on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .._pipeline_verify.clock import Clock

#: Seconds between two lines.
_INTERVAL = 2


class Progress:
    """A file with a line every other second; without a file, nothing."""

    def __init__(self, path: str | None, clock: Clock) -> None:
        self._path, self._clock = Path(path) if path else None, clock
        self._next = clock.now() + _INTERVAL
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("", encoding="utf-8")

    @property
    def due(self) -> bool:
        """Whether a line would be written now."""
        return bool(self._path) and self._clock.now() >= self._next

    def say(self, words: str, now: bool = False) -> None:
        """A line, unless the last one was just told."""
        if not self._path or not (now or self.due):
            return
        self._next = self._clock.now() + _INTERVAL
        # A full disk must not end a run, nor keep its report from coming out.
        with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{self._clock.utc():%Y-%m-%dT%H:%M:%SZ} {words}\n")

    def sent(self, done: int, total: int, seconds: float) -> None:
        """How far sending is, how fast, and how long it will take at that rate."""
        rate = done / seconds if seconds > 0 else 0
        left = f", about {round((total - done) / rate)} s left" if rate else ""
        self.say(f"{done} of {total} changes processed, {rate:.0f}/s{left}")
