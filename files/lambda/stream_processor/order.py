# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which calls may be made at the same time: those of different items. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

Task = TypeVar("Task", bound=Hashable)


class InOrder(Generic[Task]):
    """Tasks that each touch some items; of two that share an item the earlier one has to be done first."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Task]] = {}
        self._items: dict[Task, tuple[str, ...]] = {}
        self._blocked: dict[Task, int] = {}  # in how many lines the task is not the first

    def add(self, task: Task, items: Collection[str]) -> bool:
        """Put the task in the line of each of its items. True when it may begin at once."""
        blocked = 0
        self._items[task] = tuple(dict.fromkeys(items))
        for item in self._items[task]:
            line = self._lines.setdefault(item, deque())
            blocked += bool(line)
            line.append(task)
        if blocked:
            self._blocked[task] = blocked
        return not blocked

    def done(self, task: Task) -> list[Task]:
        """Take a finished task out; gives those that may begin now."""
        freed = []
        for item in self._items.pop(task):
            line = self._lines[item]
            line.popleft()
            if not line:
                del self._lines[item]
                continue
            following = line[0]
            self._blocked[following] -= 1
            if not self._blocked[following]:
                del self._blocked[following]
                freed.append(following)
        return freed
