"""An HTTP server that plays AWS as a test has scripted it, faults included, and a clock that nobody waits for."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from stream_processor.transport import AwsTransport
from stream_processor.transport.retries import Clock

TOPIC = "arn:aws:sns:us-east-1:123456789012:changes"


@dataclass
class Seen:
    """A request as it arrived, and the number of its connection."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Reply:
    """An answer. ``raw`` instead of all else; ``then_close`` ends the connection without having said so."""

    status: int = 200
    body: bytes = b""
    headers: tuple[str, ...] = ()
    raw: bytes | None = None
    then_close: bool = False

    def to_bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Reason", f"Content-Length: {len(self.body)}", *self.headers, "", ""]
        return "\r\n".join(lines).encode() + self.body


def hang_up(_connection: socket.socket, _over: threading.Event) -> None:
    """The request has arrived, its answer never does."""


def silence(_connection: socket.socket, over: threading.Event) -> None:
    over.wait()


def dribble(connection: socket.socket, over: threading.Event) -> None:
    """An answer without an end, a byte at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while not over.wait(0.01):
        connection.sendall(b"a")


Reaction = Reply | Callable[[socket.socket, threading.Event], None]


class AwsServer:
    """Answers one request after the other by ``script``, and 200 without a body when there is nothing left in it."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self.script: deque[Reaction] = deque()
        self.requests: list[Seen] = []
        self._tls = tls
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._connections: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        return len(self._connections)

    def replies(self, *reactions: Reaction) -> None:
        self.script.extend(reactions)

    def close(self) -> None:
        self._over.set()
        # shutdown wakes accept; close alone would leave it waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._connections.append(connection)
                number = len(self._connections)
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as incoming:
                while self._answer(connection, incoming, number):
                    pass

    def _answer(self, connection: socket.socket, incoming, number: int) -> bool:
        request = _read_request(incoming, number)
        if not request:
            return False
        try:
            reaction = self.script.popleft()
        except IndexError:
            reaction = Reply()
        self.requests.append(request)
        if not isinstance(reaction, Reply):
            reaction(connection, self._over)
            return False
        connection.sendall(reaction.to_bytes())
        return not reaction.then_close


def _read_request(incoming, number: int) -> Seen | None:
    line = incoming.readline().decode()
    if not line:
        return None
    method, path, _version = line.split()
    headers = {}
    while (line := incoming.readline().decode().rstrip("\r\n")) != "":
        name, _colon, value = line.partition(": ")
        headers[name.lower()] = value
    body = incoming.read(int(headers["content-length"]))
    return Seen(method, path, headers, body, number)


class FakeTime:
    """Stands still but for the pauses, which it keeps. ``share`` is the random part of each that is waited."""

    def __init__(self, share: float = 1.0):
        self.now = 1000.0
        self.pauses: list[float] = []
        self.clock = Clock(lambda: self.now, self._sleep, lambda: share)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Aws:
    """A server, a transport that speaks to it, and the time between them."""

    def __init__(self, server: AwsServer):
        self.server = server
        self.time = FakeTime()
        self.env = {
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": server.url,
        }
        self.transport = AwsTransport(self.env, self.time.clock)

    @property
    def pauses(self) -> list[float]:
        return self.time.pauses

    def put(self, key: str = "k.json", body: bytes = b"{}", seconds: float = 60) -> bool:
        deadline = self.time.clock.monotonic() + seconds
        return self.transport.put_object_if_absent("audit-bucket", key, body, "application/json", deadline)

    def publish(self, *messages, topic: str = TOPIC, seconds: float = 60):
        return self.transport.publish(topic, messages, self.time.clock.monotonic() + seconds)


@contextmanager
def aws_server(tls: ssl.SSLContext | None = None) -> Iterator[AwsServer]:
    server = AwsServer(tls)
    try:
        yield server
    finally:
        server.close()


def s3_error(status: int, code: str) -> Reply:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>k.json of customer 7</Message></Error>"
    return Reply(status, body.encode())


def sns_error(status: int, code: str) -> Reply:
    body = (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>customer 7</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
    return Reply(status, body.encode())


def published() -> Reply:
    return Reply(
        body=b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId>'
        b"</PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
    )


def batch_result(accepted=(), failed=()) -> Reply:
    """PublishBatch's answer; ``failed`` has (position, code, SenderFault)."""
    good = "".join(f"<member><MessageId>m</MessageId><Id>{each}</Id></member>" for each in accepted)
    bad = "".join(
        f"<member><Id>{each}</Id><Code>{code}</Code><Message>customer 7</Message>"
        f"<SenderFault>{str(fault).lower()}</SenderFault></member>"
        for each, code, fault in failed
    )
    body = (
        '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>'
        f"<Failed>{bad}</Failed><Successful>{good}</Successful>"
        "</PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"
    )
    return Reply(body=body.encode())


def real_clock() -> Clock:
    return Clock(time.monotonic, time.sleep, lambda: 0.0)
