# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a replay is, in a file: so that one that was interrupted goes on where it stopped.

One JSON object a line, added before a lane goes on. The first says what is replayed, the others where a lane is. A
killed run may leave half a line at the end, which is not counted.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import IO, Any

from .._history.delivery import Position
from ..aws import InputError

SCHEMA = "cloudcdc.replay/1"


class State:
    """The file. Without one, nothing is remembered."""

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else None
        self._path: Path | None = None
        self._file: IO[str] | None = None
        self._lock = threading.Lock()
        self.header: dict[str, Any] | None = None
        self.positions: dict[int, Position] = {}
        #: What the run reported that came to its end.
        self.end: dict[str, Any] | None = None

    def load(self, name: str) -> None:
        """Take in what an earlier run of this name left; InputError when the file is something else."""
        self._path = self._folder / f"{name}.state" if self._folder else None
        if not self._path or not self._path.exists():
            return
        whole = self._path.read_text(encoding="utf-8")
        lines = whole.split("\n")[:-1]  # what follows the last line's end is half a line
        try:
            found = [json.loads(line) for line in lines]
            if found and found[0]["schema"] != SCHEMA:
                raise ValueError("schema")
            self.header = found[0] if found else None
            for line in found[1:]:
                if "lane" in line:
                    self.positions[line["lane"]] = Position.read(line)
                self.end = line.get("end")
        except (ValueError, KeyError, TypeError) as exc:
            raise InputError(
                f"{self._path} is not the state of a replay. Give another replay_id, or remove the file."
            ) from exc
        self._cut(len("\n".join(lines)) + 1 if lines else 0, whole)

    def begin(self, header: dict[str, Any]) -> None:
        """Write from here on; the header only when there is none yet."""
        if not self._path:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Readable by its owner only, as all that comes of a replay.
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(handle, "a", encoding="utf-8")
        if self.header is None:
            self.header = {"schema": SCHEMA, **header}
            self._write(self.header)

    def write(self, lane: int, line: dict[str, Any]) -> None:
        """Take down where a lane is."""
        self._write({"lane": lane, **line})

    def finish(self, report: dict[str, Any]) -> None:
        """All is sent."""
        self._write({"end": report})

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            with self._lock:
                self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
                self._file.flush()

    def _cut(self, size: int, whole: str) -> None:
        if size < len(whole) and self._path:
            with self._path.open("r+", encoding="utf-8") as file:
                file.truncate(size)
