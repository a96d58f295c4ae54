# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keeper of one task: reads it, forks it, ends it when its worker is gone, and tells its exit status.

It is to the task what the shell is over ``local``: its parent, and the leader of its session. It does not need the
root any more.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import wire
from . import task
from .compiled import Code
from .surroundings import Surroundings


@dataclass(frozen=True)
class Scene:
    """What the root prepared for every task."""

    surroundings: Surroundings
    code: Code
    #: What the main module of a new interpreter holds, and its sys.path.
    fresh: dict[str, Any]
    fresh_path: list[str]


def main(connection: socket.socket, owner: int, code: int, scene: Scene) -> task.Task:
    """Returns in the task's process, and never in the keeper's."""
    end = 1
    try:
        end = _keep(connection, owner, code, scene)
    finally:
        if not isinstance(end, task.Task):
            os._exit(end)
    return end


def _keep(connection: socket.socket, owner: int, code: int, scene: Scene) -> int | task.Task:
    """The keeper's exit code, or the task when this is its process."""
    os.setsid()
    if wire.peer_user(connection) != os.geteuid():
        return 1
    request, descriptors = wire.receive(connection)
    os.fchdir(descriptors[-1])
    environment = scene.surroundings.environment(request.environment, request.assigned, str(Path.cwd()))
    connection.sendall(wire.REFUSED if environment is None else wire.READY)
    if environment is None or wire.receive_exactly(connection, 1) != wire.GO:
        return 0
    pid = os.fork()
    if not pid:
        connection.close()
        task.take_over(descriptors[:3], environment, request.umask, code)
        scene.code.use(code)
        return task.Task(request.source, task.fresh_main(scene.fresh, scene.fresh_path))
    for descriptor in descriptors:
        os.close(descriptor)
    _wait(connection, owner, pid)
    return 0


def _wait(connection: socket.socket, owner: int, pid: int) -> None:
    """Until the task has ended, which is told, or has to: its worker has left, or ansible-playbook has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ended = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(owner, select.POLLIN)
    poll.register(connection, select.POLLRDHUP)
    ready = _ready(poll)
    if not ready & {ended, owner} and _word(connection) == wire.DETACH:
        poll.unregister(connection)
        ready = _ready(poll)
    if ended not in ready:
        # A worker that is terminated takes its process group with it; the task is in ours.
        os.killpg(0, signal.SIGTERM)
    _pid, status = os.waitpid(pid, 0)
    with suppress(OSError):
        connection.sendall(wire.STATUS.pack(os.waitstatus_to_exitcode(status)))


def _ready(poll: select.poll) -> set[int]:
    return {descriptor for descriptor, _event in poll.poll()}


def _word(connection: socket.socket) -> bytes:
    with suppress(OSError):
        return connection.recv(1, socket.MSG_DONTWAIT)
    return b""
