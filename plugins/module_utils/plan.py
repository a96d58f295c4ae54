# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a module found and what it is going to do. Pure, and quick to import: filters of each task do it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class InputError(Exception):
    """What the user asked for cannot be; said before anything is written."""


@dataclass(frozen=True)
class Step:
    """One write: the name of the client's method, and the request it takes."""

    call: str
    request: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What is, what will be, and the writes that lead there. No steps: nothing to change."""

    before: dict[str, Any]
    after: dict[str, Any]
    steps: tuple[Step, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.steps)
