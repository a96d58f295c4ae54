# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTP/1.1 over connections that are kept: as much of it as AWS's answers need.

http.client costs three times the CPU time a request, most of it in reading headers as if they were an e-mail's, and a
quarter of the import; docs/performance.md has the figures. It is the oracle of this reader in the tests.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from .answers import BadAnswer
from .endpoints import Endpoint
from .interface import TransportError
from .retries import Attempt

_CONNECT_SECONDS = 1
_HANDSHAKE_SECONDS = 10  # at 128 MB a function has a fourteenth of a CPU for all its handshakes
_ANSWER_SECONDS = 3  # of a first attempt; each further one has twice the time
_BYTES_A_SECOND = 1_000_000  # a body may be sent as slowly as that

_HEAD_MAX = 64 * 1024
_BODY_MAX = 1024 * 1024  # a PublishBatch's answer is 2 KB
_ONE_SEND_MAX = 64 * 1024  # a body up to this is copied behind its head, to go in one send

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?(?=\r\n|\Z)")
_FIELD = re.compile(
    rb"\r\n(content-length|transfer-encoding|connection)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n|\Z)", re.I
)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")


class Answer(NamedTuple):
    """A response; ``keep`` says whether its connection can be used again."""

    status: int
    body: bytes
    keep: bool


class Ended(ConnectionError):
    """The other side has no more to say."""


class Stale(ConnectionError):
    """The connection ended before anything of an answer came."""


class Connection:
    """One connection. After any exception of ``exchange`` it can only be closed."""

    def __init__(self, sock: socket.socket, monotonic: Callable[[], float]):
        self._sock = sock
        self._monotonic = monotonic
        self._buffer = b""

    def exchange(self, head: bytes, body: bytes, until: float) -> Answer:
        """Send a request and read its answer. TimeoutError, ConnectionError (Stale), another OSError, or BadAnswer."""
        try:
            if len(body) <= _ONE_SEND_MAX:
                self._send(head + body, until)
            else:
                self._send(head, until)
                self._send(body, until)
            self._receive(until)
        except TimeoutError:
            raise
        except OSError:
            raise Stale from None
        return self._read(until)

    def is_silent(self) -> bool:
        """Whether nothing came since the last answer: neither the end, nor what would be taken for the next answer."""
        self._sock.setblocking(False)
        try:
            self._sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def close(self) -> None:
        self._sock.close()

    def _send(self, data: bytes, until: float) -> None:
        # Not sendall: over TLS it grants the time-out to each record anew.
        sent = 0
        view = memoryview(data)
        while sent < len(data):
            self._sock.settimeout(_left(until, self._monotonic))
            sent += self._sock.send(view[sent:])

    def _receive(self, until: float) -> None:
        self._sock.settimeout(_left(until, self._monotonic))
        data = self._sock.recv(16384)
        if not data:
            raise Ended
        self._buffer += data

    def _read(self, until: float) -> Answer:
        status = 100
        while status < 200:  # 1xx is only a preface
            status, minor, fields = self._head(until)
        keep = minor == b"1" and b"close" not in fields.get(b"connection", b"").lower()
        if status in (204, 304):
            body = b""
        elif b"transfer-encoding" in fields:
            if fields[b"transfer-encoding"].lower() != b"chunked":
                raise BadAnswer("an unknown transfer encoding")
            body = self._chunks(until)
        elif b"content-length" in fields:
            length = fields[b"content-length"]
            if not length.isdigit() or len(length) > 9:
                raise BadAnswer("a length that is no number")
            body = self._take(int(length), until)
        else:
            body, keep = self._rest(until), False
        # More than the answer: nobody knows what it belongs to.
        return Answer(status, body, keep and not self._buffer)

    def _head(self, until: float) -> tuple[int, bytes, dict[bytes, bytes]]:
        head = self._until(b"\r\n\r\n", until)
        line = _STATUS.match(head)
        if not line:
            raise BadAnswer("no HTTP/1 status")
        fields: dict[bytes, bytes] = {}
        for name, value in _FIELD.findall(head):
            if fields.setdefault(name.lower(), value) != value:
                raise BadAnswer("contradicting headers")
        return int(line[2]), line[1], fields

    def _chunks(self, until: float) -> bytes:
        body = b""
        while True:
            size = _CHUNK_SIZE.fullmatch(self._until(b"\r\n", until))
            if not size:
                raise BadAnswer("no chunk size")
            length = int(size[1], 16)
            if not length:
                break
            if len(body) + length > _BODY_MAX:
                raise BadAnswer("too long")
            body += self._take(length, until)
            if self._take(2, until) != b"\r\n":
                raise BadAnswer("a chunk without its end")
        while self._until(b"\r\n", until):  # trailers
            pass
        return body

    def _rest(self, until: float) -> bytes:
        try:
            while len(self._buffer) <= _BODY_MAX:
                self._receive(until)
        except Ended:
            body, self._buffer = self._buffer, b""
            return body
        raise BadAnswer("too long")

    def _until(self, mark: bytes, until: float) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _HEAD_MAX:
                raise BadAnswer("too long")
            self._receive(until)
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _take(self, length: int, until: float) -> bytes:
        if length > _BODY_MAX:
            raise BadAnswer("too long")
        while len(self._buffer) < length:
            self._receive(until)
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken


class Pool:
    """The connections to one endpoint, for all threads. The one used last is used first, so that few stay in use."""

    def __init__(
        self, endpoint: Endpoint, tls: Callable[[], ssl.SSLContext], monotonic: Callable[[], float] = time.monotonic
    ):
        self._endpoint = endpoint
        self._tls = tls
        self._monotonic = monotonic
        self._idle: list[Connection] = []  # append and pop are atomic

    def exchange(self, head: bytes, body: bytes, attempt: Attempt) -> Answer:
        """One attempt's request, sent once more over a new connection when a kept one turns out to be closed."""
        seconds = _ANSWER_SECONDS * 2 ** (attempt.number - 1) + len(body) / _BYTES_A_SECOND
        deadline = attempt.deadline
        kept = self._kept()
        if kept:
            try:
                return self._use(kept, head, body, self._until(seconds, deadline))
            except Stale:
                self._forget()
            except TimeoutError:
                self._forget()
                raise
        return self._use(self._connect(deadline), head, body, self._until(seconds, deadline))

    def _use(self, connection: Connection, head: bytes, body: bytes, until: float) -> Answer:
        try:
            answer = connection.exchange(head, body, until)
        except BaseException:
            connection.close()
            raise
        if answer.keep:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def _kept(self) -> Connection | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if connection.is_silent():
                    return connection
                connection.close()
        return None

    def _forget(self) -> None:
        """Close what is idle: Lambda froze this process, perhaps for long, and then they ended together."""
        while connection := self._kept():
            connection.close()

    def _connect(self, deadline: float) -> Connection:
        tls = self._tls() if self._endpoint.scheme == "https" else None
        sock = self._connected(self._until(_CONNECT_SECONDS, deadline))
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                sock.settimeout(_left(self._until(_HANDSHAKE_SECONDS, deadline), self._monotonic))
                sock = tls.wrap_socket(sock, server_hostname=self._endpoint.host)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, self._monotonic)

    def _connected(self, until: float) -> socket.socket:
        """Connected to the first address that takes us; socket.create_connection would wait in full for each."""
        error: OSError = ConnectionError()
        for family, kind, protocol, _name, address in socket.getaddrinfo(
            self._endpoint.host, self._endpoint.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(_left(until, self._monotonic))
                sock.connect(address)
                return sock
            except OSError as exc:
                sock.close()
                error = exc
        raise error

    def _until(self, seconds: float, deadline: float) -> float:
        return min(self._monotonic() + seconds, deadline)


class Tls:
    """The TLS settings, made at first use and once: reading the certificate authorities takes 40 CPU-ms."""

    def __init__(self, env: Mapping[str, str]):
        self._env = env
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        with self._lock:
            if not self._context:
                bundle = self._env.get("AWS_CA_BUNDLE") or None
                is_folder = bundle is not None and Path(bundle).is_dir()
                try:
                    self._context = ssl.create_default_context(
                        cafile=None if is_folder else bundle, capath=bundle if is_folder else None
                    )
                except OSError:
                    raise TransportError("InvalidCABundle") from None
            return self._context


def request_head(method: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """The request up to its body."""
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{method} {path} HTTP/1.1\r\n{fields}user-agent: cloudcdc\r\ncontent-length: {length}\r\n\r\n".encode()


def _left(until: float, monotonic: Callable[[], float]) -> float:
    left = until - monotonic()
    if left <= 0:
        raise TimeoutError
    return left
