# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A stand-in for S3 and SNS with settable latencies and failures: one process, loopback only.

It shares the machine with what is measured, so it does as little as it can: it reads HTTP by hand, keeps names and
sizes instead of contents, and looks into a body only for the members of a batch. Requests must be signed, but the
signature is not checked. On the command line: ``python -m benchmarks.stub``; in Python: ``with Stub() as stub``.

Under ``/_stub/`` it is told what to do: GET counters, POST settings (JSON, the fields of Settings), reset, stop.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import re
import subprocess
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_ROOT = Path(__file__).resolve().parents[1]
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {200: b"OK", 400: b"Bad Request", 403: b"Forbidden", 404: b"Not Found", 412: b"Precondition Failed"}
# Without an anchor, which would make the search slow; content holds no "=" that is not encoded.
_MEMBER_ID = re.compile(rb"PublishBatchRequestEntries\.(?:member|entry)\.\d+\.Id=([^&]*)")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")
_MESSAGE_ID = "00000000-0000-4000-8000-%012d"
_METADATA = "<ResponseMetadata><RequestId>stub</RequestId></ResponseMetadata>"


@dataclass
class Settings:
    """How long the stub takes for an answer, and which share of the calls goes wrong."""

    s3_ms: float = 30
    sns_ms: float = 15
    s3_fail: float = 0  # refused with 503 SlowDown, nothing is done
    s3_lost: float = 0  # done, but the connection closes without an answer
    sns_fail: float = 0  # refused with 400 Throttled
    sns_lost: float = 0
    sns_entry_fail: float = 0  # an entry of a batch that is answered but not accepted
    seed: int = 1


@dataclass
class Counters:
    """What the stub was asked for since its start or the last reset."""

    s3_calls: int = 0
    s3_objects: int = 0  # written
    s3_bytes: int = 0  # of the objects written
    s3_already_there: int = 0  # 412
    sns_calls: int = 0
    sns_messages: int = 0  # accepted
    sns_bytes: int = 0  # of request bodies
    failures: int = 0  # answers refused or lost on purpose
    connections: int = 0
    errors: int = 0  # requests that are none of the calls known here


@dataclass
class Request:
    method: bytes
    path: bytes
    head: bytes  # header lines, lower case
    body: bytes


Answer = tuple[float, int, str, bytes]  # latency in ms, status (0: close without an answer), content type, body


class Service:
    """What S3 and SNS answer. Knows nothing of sockets."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.counters = Counters()
        self.sizes: dict[str, int] = {}
        self._random = random.Random(settings.seed)

    def answer(self, request: Request) -> Answer:
        """One answer for one request."""
        if b"\r\nauthorization:" not in request.head:
            self.counters.errors += 1
            return 0, 403, "application/xml", _error("AccessDenied")
        if request.method == b"PUT":
            return self._put_object(request)
        action = _ACTION.search(request.body) if request.method == b"POST" else None
        if action and action[1] in (b"Publish", b"PublishBatch"):
            return self._publish(request.body, action[1] == b"PublishBatch")
        self.counters.errors += 1
        return 0, 404, "application/xml", _error("NotImplemented")

    def control(self, request: Request) -> Answer:
        """The stub's own path."""
        verb = request.path.decode().removeprefix("/_stub/")
        if verb == "settings":
            known = {field.name for field in fields(Settings)}
            self.settings = Settings(**{k: v for k, v in json.loads(request.body).items() if k in known})
            self._random = random.Random(self.settings.seed)
        elif verb == "reset":
            self.counters = Counters()
            self.sizes.clear()
        elif verb != "counters":
            return 0, 404, "text/plain", b"counters, settings, reset or stop\n"
        return 0, 200, "application/json", json.dumps(asdict(self.counters)).encode()

    def _put_object(self, request: Request) -> Answer:
        settings, counters = self.settings, self.counters
        counters.s3_calls += 1
        if self._happens(settings.s3_fail):
            return settings.s3_ms, 503, "application/xml", _error("SlowDown")
        name = unquote(request.path.partition(b"?")[0].decode("ascii"))
        if name in self.sizes and b"\r\nif-none-match:" in request.head:
            counters.s3_already_there += 1
            return settings.s3_ms, 412, "application/xml", _error("PreconditionFailed")
        # With a checksum behind the content, the body has a frame around it.
        size = int(_header(request.head, b"x-amz-decoded-content-length") or len(request.body))
        self.sizes[name] = size
        counters.s3_objects += 1
        counters.s3_bytes += size
        return settings.s3_ms, 0 if self._happens(settings.s3_lost) else 200, "", b""

    def _publish(self, body: bytes, is_batch: bool) -> Answer:
        settings, counters = self.settings, self.counters
        counters.sns_calls += 1
        counters.sns_bytes += len(body)
        if self._happens(settings.sns_fail):
            return settings.sns_ms, 400, "text/xml", _sns_error("Throttled")
        content = self._published_batch(_MEMBER_ID.findall(body)) if is_batch else self._published()
        return settings.sns_ms, 0 if self._happens(settings.sns_lost) else 200, "text/xml", content.encode()

    def _published(self) -> str:
        result = f"<PublishResult><MessageId>{self._message_id()}</MessageId></PublishResult>"
        return (
            f'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">{result}{_METADATA}</PublishResponse>'
        )

    def _published_batch(self, ids: list[bytes]) -> str:
        done, failed = [], []
        for entry in ids:
            name = unquote(entry.decode("ascii"))
            if self._happens(self.settings.sns_entry_fail):
                failed.append(
                    f"<member><Id>{name}</Id><Code>InternalError</Code><SenderFault>false</SenderFault></member>"
                )
            else:
                done.append(f"<member><Id>{name}</Id><MessageId>{self._message_id()}</MessageId></member>")
        result = f"<Successful>{''.join(done)}</Successful><Failed>{''.join(failed)}</Failed>"
        return (
            '<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
            f"<PublishBatchResult>{result}</PublishBatchResult>{_METADATA}</PublishBatchResponse>"
        )

    def _message_id(self) -> str:
        self.counters.sns_messages += 1
        return _MESSAGE_ID % self.counters.sns_messages

    def _happens(self, rate: float) -> bool:
        if not rate or self._random.random() >= rate:
            return False
        self.counters.failures += 1
        return True


def _error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>stub</Message></Error>".encode()


def _sns_error(code: str) -> bytes:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>stub</Message></Error>"
    return f"<ErrorResponse>{error}<RequestId>stub</RequestId></ErrorResponse>".encode()


def _header(head: bytes, name: bytes) -> bytes:
    """A header's value, b'' when it is not there."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def unchunk(data: bytes | bytearray, start: int) -> tuple[bytes, int] | None:
    """A body in chunks and where it ends; None when it is not all there yet."""
    parts = []
    while True:
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        size = int(bytes(data[start:line_end]).partition(b";")[0], 16)
        start = line_end + 2
        if size == 0:
            break
        if len(data) < start + size + 2:
            return None
        parts.append(bytes(data[start : start + size]))
        start += size + 2
    while True:  # trailing headers, ended by an empty line
        line_end = data.find(b"\r\n", start)
        if line_end < 0:
            return None
        if line_end == start:
            return b"".join(parts), line_end + 2
        start = line_end + 2


class Connection(asyncio.Protocol):
    """One connection. A request is looked at when the one before it was answered, so answers keep their order."""

    def __init__(self, service: Service, stop: asyncio.Event):
        self._service = service
        self._stop = stop
        self._data = bytearray()
        self._head: bytes | None = None  # of the request whose body is still coming
        self._first_line = b""
        self._body_start = 0
        self._waiting = False  # for an answer's time to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._service.counters.connections += 1

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._waiting:
            self._next()

    def _next(self) -> None:
        request = self._take()
        if request is None:
            return
        if request.path.startswith(b"/_stub/"):
            if request.path == b"/_stub/stop":
                self._stop.set()
            latency, status, kind, body = self._service.control(request)
        else:
            latency, status, kind, body = self._service.answer(request)
        close = status == 0 or _header(request.head, b"connection") == b"close"
        answer = b"" if status == 0 else _http(status, kind, body)
        self._waiting = True
        if latency:
            asyncio.get_running_loop().call_later(latency / 1000, self._send, answer, close)
        else:
            self._send(answer, close)

    def _send(self, answer: bytes, close: bool) -> None:
        self._waiting = False
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if close:
            self._transport.close()
        elif self._data:
            self._next()

    def _take(self) -> Request | None:
        """The next whole request, taken off what was received; None while there is none."""
        if self._head is None and not self._take_head():
            return None
        head = self._head or b""
        if b"\r\ntransfer-encoding: chunked" in head:
            found = unchunk(self._data, self._body_start)
            if found is None:
                return None
            body, end = found
        else:
            end = self._body_start + int(_header(head, b"content-length") or 0)
            if len(self._data) < end:
                return None
            body = bytes(self._data[self._body_start : end])
        del self._data[:end]
        self._head = None
        method, path, _version = self._first_line.split(b" ", 2)
        return Request(method, path, head, body)

    def _take_head(self) -> bool:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return False
        line_end = self._data.find(b"\r\n")
        self._first_line = bytes(self._data[:line_end])
        self._head = bytes(self._data[line_end:end]).lower()
        self._body_start = end + 4
        if b"\r\nexpect: 100-continue" in self._head:
            self._transport.write(_CONTINUE)
        return True


def _http(status: int, kind: str, body: bytes) -> bytes:
    reason = _REASONS.get(status, b"Slow Down")
    head = b"HTTP/1.1 %d %b\r\nx-amz-request-id: stub\r\nContent-Length: %d\r\n" % (status, reason, len(body))
    if kind:
        head += b"Content-Type: %b\r\n" % kind.encode()
    return head + b"\r\n" + body


async def serve(settings: Settings, port: int, until_eof: bool) -> None:
    """Serve until told to stop; prints the port once it listens."""
    stop = asyncio.Event()
    service = Service(settings)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service, stop), "127.0.0.1", port, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    if until_eof:  # whoever started it is gone when its end of the pipe closes
        loop.add_reader(sys.stdin, stop.set)
    await stop.wait()
    await asyncio.sleep(0.05)  # the answer to the stop itself
    server.close()


class Stub:
    """The stub in a process of its own, for the time of a ``with`` block."""

    def __init__(self, **settings: float):
        self._settings = Settings(**settings)
        self._process: subprocess.Popen | None = None
        self.port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Stub:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stub", "--port", "0", "--until-eof"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.port = int(self._process.stdout.readline())
        self.set(**asdict(self._settings))
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=10)

    def counters(self) -> Counters:
        return self._ask("GET", "counters")

    def reset(self) -> None:
        """Forget all objects and counts."""
        self._ask("POST", "reset")

    def set(self, **settings: float) -> None:
        """Latencies and failure rates; those not named get their default."""
        self._ask("POST", "settings", json.dumps(settings))

    def _ask(self, method: str, verb: str, body: str = "") -> Counters:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, f"/_stub/{verb}", body)
            return Counters(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stub", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=4577, help="0: any free one; the port is printed")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input closes")
    for field in fields(Settings):
        kind = int if field.name == "seed" else float
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    asked = vars(parser.parse_args(argv))
    port, until_eof = asked.pop("port"), asked.pop("until_eof")
    asyncio.run(serve(Settings(**asked), port, until_eof))


if __name__ == "__main__":
    main(sys.argv[1:])
