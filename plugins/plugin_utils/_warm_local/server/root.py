# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The root: listens for tasks, forks a keeper for each, and ends when ansible-playbook does."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import wire
from . import keeper, task
from .compiled import Code
from .preload import preload
from .surroundings import Surroundings

_FIRST_PRIVATE = 100


def main(
    listener: int, owner: int, folder: str, given: Mapping[str, str], fresh: dict[str, Any], fresh_path: list[str]
) -> task.Task:
    """The server's life. ``fresh`` is what the main module of a new interpreter holds, ``fresh_path`` its sys.path.

    Returns in a task's process, and never in the root's.
    """
    path = [folder for folder in fresh_path if folder]
    surroundings = Surroundings.of_this_process(given, path)
    preload()
    root = Root(socket.socket(fileno=listener), owner, keeper.Scene(surroundings, Code(path), fresh, fresh_path))
    mine = root.serve()
    if mine:
        return mine
    if root.owner_ended:
        _remove(Path(folder))
    os._exit(0)


@dataclass(frozen=True)
class Kept:
    """A keeper that runs, and the file for the code that its task compiles."""

    pid: int
    ended: int
    code: int


class Root:
    def __init__(self, listener: socket.socket, owner: int, scene: keeper.Scene):
        self.listener, self.owner, self.scene = listener, owner, scene
        self.keepers: dict[int, Kept] = {}
        self.owner_ended = False
        self._poll = select.poll()

    def serve(self) -> task.Task | None:
        """Until ansible-playbook ends, or what is loaded is not what is installed any more. A task in its process."""
        for descriptor in (self.owner, self.listener.fileno()):
            self._poll.register(descriptor, select.POLLIN)
        self._settle()
        while True:
            for descriptor, _event in self._poll.poll():
                if descriptor == self.owner:
                    self.owner_ended = True
                    return None
                if descriptor == self.listener.fileno():
                    connection, _address = self.listener.accept()
                    if self.scene.surroundings.stale():
                        # In this order, so that the next task finds nobody and starts a new server.
                        self.listener.close()
                        connection.sendall(wire.REFUSED)
                        return None
                    mine = self._fork_keeper(connection)
                    if mine:
                        return mine
                else:
                    self._end_keeper(descriptor)

    def _fork_keeper(self, connection: socket.socket) -> task.Task | None:
        """A task in its process, None in the root."""
        code = _out_of_the_way(os.memfd_create("warm_local"))
        pid = os.fork()
        if not pid:
            self._close_all()
            return keeper.main(connection, self.owner, code, self.scene)
        connection.close()
        kept = Kept(pid, os.pidfd_open(pid), code)
        self.keepers[kept.ended] = kept
        self._poll.register(kept.ended, select.POLLIN)
        return None

    def _end_keeper(self, descriptor: int) -> None:
        """Take what its task compiled."""
        self._poll.unregister(descriptor)
        kept = self.keepers.pop(descriptor)
        os.waitpid(kept.pid, 0)
        # What a task that was killed left half written is let go.
        with suppress(EOFError, ValueError, TypeError, OSError):
            if self.scene.code.learn(kept.code):
                self._settle()
        os.close(kept.code)
        os.close(kept.ended)

    def _close_all(self) -> None:
        """In a keeper: the root's descriptors are not its own, but the one that tells ansible-playbook's end."""
        self.listener.close()
        for kept in self.keepers.values():
            os.close(kept.ended)
            os.close(kept.code)

    def _settle(self) -> None:
        """What is loaded stays: no garbage collection of a fork touches it, so its memory stays shared."""
        gc.collect()
        gc.freeze()


def _out_of_the_way(descriptor: int) -> int:
    """A high number for it: a module may count on the numbers of its first descriptors."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE)
    except OSError:
        return descriptor
    os.close(descriptor)
    return moved


def _remove(folder: Path) -> None:
    """What ansible-playbook could not remove any more when it was killed."""
    for name in (wire.SOCKET, "lock"):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
