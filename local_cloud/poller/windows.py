"""Tumbling windows: which one a record belongs to, and the state it carries. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

#: The most a window's state holds, serialised.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html
STATE_BYTES = 1024 * 1024


@dataclass
class OpenWindow:
    start: int
    end: int
    state: dict[str, Any] = field(default_factory=dict)

    def saved(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "state": self.state}


def window_of(created: float, length: int) -> OpenWindow:
    """The window of a record: windows stand side by side, counted from the epoch."""
    start = int(created // length) * length
    return OpenWindow(start, start + length)


def state_of(response: Any) -> dict[str, Any] | None:
    """The state that a function returned; None when there is none."""
    state = response.get("state") if isinstance(response, dict) else None
    return state if isinstance(state, dict) else None


def size_of(state: dict[str, Any]) -> int:
    return len(json.dumps(state))
