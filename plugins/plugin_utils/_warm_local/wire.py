# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a worker and the server say to each other over the Unix socket.

The worker sends a request with four descriptors. The server answers READY when it has all it needs and is able to run
the task, REFUSED when it is not. Until the worker says GO nothing has run, so it may give up and run the task itself.
At last the server sends the exit status. A worker that leaves before says DETACH when the task shall go on without it,
until the run ends; without that word the task is terminated.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

READY, REFUSED, GO, DETACH = b"r", b"x", b"g", b"d"
#: As waitpid tells it: an exit code, or a signal's number below zero.
STATUS = struct.Struct("!i")
#: stdin, stdout, stderr, working directory.
DESCRIPTORS = 4

_SIZES = struct.Struct("!II")
_PEER = struct.Struct("iII")


@dataclass(frozen=True)
class Request:
    """One task: the Python source to run, and the surroundings that ``local`` would give it."""

    source: bytes
    #: Of the worker.
    environment: Mapping[str, str]
    #: What the command sets in front of the interpreter.
    assigned: Mapping[str, str]
    umask: int


def send(connection: socket.socket, request: Request, descriptors: Sequence[int]) -> None:
    header = {"environment": dict(request.environment), "assigned": dict(request.assigned), "umask": request.umask}
    encoded = json.dumps(header).encode("ascii")
    socket.send_fds(connection, [_SIZES.pack(len(encoded), len(request.source))], list(descriptors))
    connection.sendall(encoded)
    connection.sendall(request.source)


def receive(connection: socket.socket) -> tuple[Request, list[int]]:
    """The request and its descriptors; ConnectionError when the worker left before it was complete."""
    sizes, descriptors, _flags, _address = socket.recv_fds(
        connection, _SIZES.size, DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
    )
    if len(sizes) != _SIZES.size or len(descriptors) != DESCRIPTORS:
        raise ConnectionError("no request")
    header_size, source_size = _SIZES.unpack(sizes)
    header = json.loads(receive_exactly(connection, header_size))
    source = receive_exactly(connection, source_size)
    return Request(source, header["environment"], header["assigned"], header["umask"]), descriptors


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """That many bytes; ConnectionError when the other side ends before."""
    received = bytearray()
    while len(received) < size:
        part = connection.recv(min(size - len(received), 1 << 20))
        if not part:
            raise ConnectionError("the other side left")
        received += part
    return bytes(received)


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return _PEER.unpack(credentials)[1]


def address(folder: int) -> str:
    """The socket's address in the folder with this descriptor. It is never too long, and no one can swap the folder."""
    return str(Path("/proc/self/fd", str(folder), SOCKET))


SOCKET = "socket"
