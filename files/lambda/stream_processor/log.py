# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The function's log: one JSON object a line, with counts and sequence numbers, never item data."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Log:
    """Writes lines of its level and above to standard output, which Lambda sends to CloudWatch Logs."""

    def __init__(self, level: str):
        self._least = LEVELS.index(level)

    def is_for(self, level: str) -> bool:
        """Whether lines of the level are written."""
        return LEVELS.index(level) >= self._least

    def line(self, level: str, message: str, **fields: Any) -> None:
        """One line; ``timestamp`` and ``level`` are what Lambda's own log-level filter looks for."""
        if not self.is_for(level):
            return
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        # print, not logging: the root logger drops INFO unless somebody gave it a handler.
        line = {"timestamp": moment, "level": level, "message": message, **fields}
        print(json.dumps(line, separators=(",", ":")), flush=True)
