# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs one task in the server, and hands back what ``local`` would."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from . import wire
from .house import House, Unavailable


class Lost(Exception):
    """The task was started, but its exit status never came."""


@dataclass(frozen=True)
class Outcome:
    """``status`` is an exit code, or a signal's number below zero."""

    status: int
    stdout: bytes
    stderr: bytes


def run(house: House, source: bytes, assigned: dict[str, str], directory: str) -> Outcome:
    """Run Python source in the run's server.

    Unavailable means that nothing has run: the caller runs it another way. Any other exception leaves the task
    running, as ``local`` does.
    """
    request = wire.Request(source, dict(os.environ), assigned, _umask())
    with ExitStack() as resources:
        connection = resources.enter_context(house.connect())
        readers = _hand_over(connection, request, directory, resources)
        with _detached_by_exception(connection):
            output = _read_all(readers)
            connection.settimeout(None)
            try:
                (status,) = wire.STATUS.unpack(wire.receive_exactly(connection, wire.STATUS.size))
            except OSError as error:
                raise Lost("the process that kept the module ended before the module") from error
            return Outcome(status, output[0], output[1])


def _hand_over(connection: socket.socket, request: wire.Request, directory: str, resources: ExitStack) -> list[int]:
    """Send the request and start it; the descriptors to read its output from."""
    with ExitStack() as handed:
        try:
            stdin, nothing = os.pipe()
            handed.callback(os.close, stdin)
            os.close(nothing)
            readers, descriptors = [], [stdin]
            for _stream in ("stdout", "stderr"):
                reader, writer = os.pipe()
                resources.callback(os.close, reader)
                handed.callback(os.close, writer)
                readers.append(reader)
                descriptors.append(writer)
            descriptors.append(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))
            handed.callback(os.close, descriptors[-1])
            wire.send(connection, request, descriptors)
            answer = wire.receive_exactly(connection, 1)
            if answer != wire.READY:
                raise Unavailable("the server cannot run this task as a new interpreter would")
            connection.sendall(wire.GO)
        except OSError as error:
            raise Unavailable(f"the server does not answer: {error}") from error
    return readers


@contextmanager
def _detached_by_exception(connection: socket.socket) -> Iterator[None]:
    """A task's timeout ends the wait, not the module: so it is over ``local``, as long as the run goes on."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            connection.sendall(wire.DETACH)
        raise


def _read_all(readers: list[int]) -> list[bytes]:
    """All that is written to the pipes, until their last writers have closed them."""
    parts: dict[int, list[bytes]] = {reader: [] for reader in readers}
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        while selector.get_map():
            for key, _events in selector.select():
                part = os.read(key.fd, 1 << 16)
                parts[key.fd].append(part)
                if not part:
                    selector.unregister(key.fd)
    return [b"".join(parts[reader]) for reader in readers]


def _umask() -> int:
    """This process's; it can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
