# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a replay is, in a file: so that one that was interrupted goes on where it stopped.

One JSON object a line, added before a lane goes on. The first says what is replayed, the others where a lane is. A
killed run may leave half a line at the end, which is not counted.
"""

from __future__ import annotations

import fcntl
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
        #: By lane and item, what was written last of those that fail.
        self._failing: dict[int, dict[str, list[Any]]] = {}
        #: The bytes of the file, and how many of them are whole lines.
        self._size = self._whole = 0
        self.header: dict[str, Any] | None = None
        self.positions: dict[int, Position] = {}
        #: What the run reported that came to its end.
        self.end: dict[str, Any] | None = None

    def load(self, name: str) -> None:
        """Take in what an earlier run of this name left; InputError when the file is something else."""
        self._path = self._folder / f"{name}.state" if self._folder else None
        if not self._path or not self._path.exists():
            return
        whole = self._path.read_bytes()
        lines = whole.split(b"\n")[:-1]  # what follows the last line's end is half a line
        try:
            found = [json.loads(line) for line in lines]
            if found:
                self.header = self._header(found[0])
            lanes = {}
            for line in found[1:]:
                if "lane" in line:
                    lanes[int(line["lane"])] = self._merged(line)
                self.end = line.get("end")
            self.positions = {lane: Position.read(line) for lane, line in lanes.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise InputError(
                f"{self._path} is not the state of a replay. Give another replay_id, or remove the file."
            ) from exc
        self._size, self._whole = len(whole), sum(len(line) + 1 for line in lines)

    def begin(self, header: dict[str, Any]) -> None:
        """Write from here on; the header only when there is none yet. InputError while another run does so."""
        if not self._path or self._file:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Readable by its owner only, as all that comes of a replay.
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(handle, "a", encoding="utf-8")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise InputError(self._busy(header)) from exc
        if os.fstat(handle).st_size != self._size:
            raise InputError(self._busy(header))
        self._file.truncate(self._whole)
        if self.header is None:
            self.header = {"schema": SCHEMA, **header}
            self._write(self.header)

    def write(self, lane: int, line: dict[str, Any]) -> None:
        """Take down where a lane is; of what fails, only what is new, since that may be much."""
        if not self._file:
            return
        former, failing = self._failing.get(lane, {}), {each[0]: each for each in line["failing"]}
        news = {"failing": [each for item, each in failing.items() if former.get(item) != each]}
        if over := [item for item in former if item not in failing]:
            news["over"] = over
        self._failing[lane] = failing
        self._write({"lane": lane, **line, **news})

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

    def _busy(self, header: dict[str, Any]) -> str:
        return (
            f"Another run of replay {header['id']} is under way, or was just now, by {self._path}. Wait for its end, "
            "or give another replay_id."
        )

    @staticmethod
    def _header(found: dict[str, Any]) -> dict[str, Any]:
        if found["schema"] != SCHEMA or not {"id", "time", "to", "asked"} <= found.keys():
            raise ValueError("schema")
        return found

    def _merged(self, line: dict[str, Any]) -> dict[str, Any]:
        """A lane's line with all that fails."""
        failing = self._failing.setdefault(line["lane"], {})
        for item in line.get("over", ()):
            failing.pop(item, None)
        failing.update({each[0]: each for each in line["failing"]})
        return {**line, "failing": list(failing.values())}
