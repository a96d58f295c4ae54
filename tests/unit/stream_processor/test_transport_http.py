"""The reader of HTTP answers, with http.client as the oracle."""

from __future__ import annotations

import http.client
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.transport import http as ours
from stream_processor.transport.answers import BadAnswer


class Pieces:
    """A socket that has the answer ready, and gives it out in pieces."""

    def __init__(self, data, size=16384):
        self.data, self.size = data, size
        self.sent = b""

    def makefile(self, _mode):
        return io.BytesIO(self.data)

    def settimeout(self, _seconds):
        pass

    def send(self, data):
        self.sent += bytes(data[:1000])
        return min(len(data), 1000)

    def recv(self, limit):
        size = min(self.size, limit)
        piece, self.data = self.data[:size], self.data[size:]
        return piece

    def close(self):
        pass


def read(data, size=16384):
    ticks = itertools.count()
    # A minute is a thousand of these ticks: a reader that never comes to an end runs out of it.
    return ours.Connection(Pieces(data, size), lambda: next(ticks) * 0.001).exchange(b"HEAD", b"body", 60)


def http_client_s(data):
    response = http.client.HTTPResponse(Pieces(data), method="PUT")
    response.begin()
    body = response.read()
    return response.status, body, not response.will_close


NAMES = st.sampled_from(["Server", "x-amz-id-2", "X-Content-Length", "Date", "ETag", "connection-id"])
VALUES = st.text("abc =/:;,\"'", max_size=20)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
STATUSES = st.sampled_from([200, 204, 304, 400, 403, 404, 409, 412, 429, 500, 503])
SPACES = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def answers(draw):
    status = draw(STATUSES)
    body = b"" if status in (204, 304) else draw(st.binary(max_size=200))
    fields = [f"{name}: {value}" for name, value in draw(HEADERS)]
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if status not in (204, 304):
        if framing == "length":
            name = draw(st.sampled_from(["Content-Length", "content-length", "CONTENT-LENGTH"]))
            fields.append(f"{name}:{draw(SPACES)}{len(body)}{draw(SPACES)}")
        elif framing == "chunked":
            fields.append(f"Transfer-Encoding:{draw(SPACES)}chunked")
            body = chunked(draw, body)
    if draw(st.booleans()):
        fields.append(f"Connection:{draw(SPACES)}{draw(st.sampled_from(['close', 'Close', 'keep-alive']))}")
    lines = [
        f"HTTP/1.1 {status}{draw(st.sampled_from(['', ' ', ' OK', ' Not Found']))}",
        *draw(st.permutations(fields)),
    ]
    preface = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    return preface + "\r\n".join([*lines, "", ""]).encode() + body


def chunked(draw, body):
    parts = []
    while body:
        size = draw(st.integers(1, len(body)))
        extension = draw(st.sampled_from(["", ";x=1", " "]))
        parts.append(
            f"{draw(st.sampled_from(['%x', '%X', '0%x'])) % size}{extension}\r\n".encode() + body[:size] + b"\r\n"
        )
        body = body[size:]
    trailer = draw(st.sampled_from([b"", b"x-amz-checksum: a\r\n"]))
    return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


@given(answers(), st.integers(1, 100))
def test_an_answer_is_read_as_http_client_reads_it(data, size):
    assert tuple(read(data, size)) == http_client_s(data)


@given(answers(), st.data())
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(data, draw):
    part = data[: draw.draw(st.integers(0, len(data) - 1))]
    try:
        answer = read(part)
    except (ConnectionError, BadAnswer):
        return
    # Without a length the end of the connection is the end of the body: http.client cannot tell either.
    assert not answer.keep
    assert tuple(answer) == http_client_s(part)


@given(st.binary() | st.binary().map(lambda rest: b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest))
def test_whatever_comes_is_read_or_refused(data):
    try:
        answer = read(data)
    except (ConnectionError, BadAnswer):
        return
    assert 200 <= answer.status <= 599


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: -1",
        b"Content-Length: 1e3",
        b"Content-Length: 99999999999",
        b"Content-Length: 99999999",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Transfer-Encoding: gzip",
        b"X: " + b"x" * 100_000,
    ],
)
def test_an_answer_that_aws_would_not_send_is_refused(head):
    with pytest.raises(BadAnswer):
        read(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + b"x" * 2_000_000)


@pytest.mark.parametrize("framing", [b"Server: S3", b"Transfer-Encoding: chunked"])
def test_a_body_without_end_is_refused(framing):
    body = b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n"
    with pytest.raises(BadAnswer, match="too long"):
        read(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + body * 20)


def test_a_connection_with_more_than_the_answer_is_not_kept():
    assert not read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK").keep


def test_a_connection_that_ends_before_the_answer_is_stale_and_one_in_it_is_not():
    with pytest.raises(ours.Stale):
        read(b"")
    with pytest.raises(ConnectionError) as broken:
        read(b"HTTP/1.1 200")
    assert not isinstance(broken.value, ours.Stale)


def test_what_a_socket_takes_in_parts_is_sent_whole():
    sock = Pieces(b"HTTP/1.1 204 No Content\r\n\r\n")
    body = bytes(range(256)) * 300
    ours.Connection(sock, lambda: 0.0).exchange(b"head", body, 60)
    assert sock.sent == b"head" + body


def test_a_request_s_head_names_the_length_of_its_body():
    head = ours.request_head("PUT", "/k", {"host": "h", "x-a": "b"}, 7)
    lines = head.decode().split("\r\n")
    assert lines[0] == "PUT /k HTTP/1.1"
    assert {"host: h", "x-a: b", "content-length: 7"} <= set(lines)
    assert lines[-2:] == ["", ""]
