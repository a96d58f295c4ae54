"""The transport's connections: kept, shared by threads, replaced, verified, given up in time."""

from __future__ import annotations

import ipaddress
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from stream_processor.transport import AwsTransport, TransportError, http

from tests.unit.stream_processor.aws_server import (
    Aws,
    Reply,
    aws_server,
    dribble,
    hang_up,
    real_clock,
    silence,
)


@pytest.fixture
def aws():
    with aws_server() as server:
        yield Aws(server)
        assert not server.script, "answers that nobody asked for"


def connections(aws):
    return [request.connection for request in aws.server.requests]


def test_a_connection_is_kept(aws):
    for _unused in range(5):
        assert aws.put() is True
    assert connections(aws) == [1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    "last", [Reply(headers=("Connection: close",)), Reply(raw=b"HTTP/1.0 200 OK\r\n\r\n", then_close=True)]
)
def test_a_connection_that_the_server_ends_is_not_used_again(aws, last):
    aws.server.replies(last)
    aws.put()
    aws.put()
    assert connections(aws) == [1, 2]


def test_a_connection_that_ended_while_lambda_slept_is_replaced_without_an_attempt(aws):
    aws.server.replies(Reply(then_close=True))
    aws.put()
    aws.time.now += 600
    assert aws.put() is True
    assert connections(aws) == [1, 2]
    assert aws.pauses == []


def test_a_connection_that_ends_at_its_next_request_is_replaced_without_an_attempt(aws):
    aws.server.replies(Reply(), hang_up)
    aws.put()
    assert aws.put() is True
    assert connections(aws) == [1, 1, 2]
    assert aws.pauses == []


def test_the_replacement_of_a_connection_counts_as_an_attempt(aws):
    aws.server.replies(Reply(), hang_up, hang_up)
    aws.put()
    assert aws.put() is True
    assert connections(aws) == [1, 1, 2, 3]
    assert len(aws.pauses) == 1


def together(aws, calls):
    """Make so many calls at once, on a connection each."""
    meeting = threading.Barrier(calls)

    def meet(connection, _over):
        meeting.wait()
        connection.sendall(Reply().to_bytes())
        # The connection stays open, and ends when this thread does.
        connection.recv(1)

    aws.server.replies(*[meet] * calls)
    with ThreadPoolExecutor(calls) as threads:
        assert all(threads.map(lambda _unused: aws.put(), range(calls)))


def test_when_one_kept_connection_turns_out_dead_none_of_the_others_is_tried(aws):
    together(aws, 3)
    assert aws.server.connections == 3
    # Each of the three ends when it is written to.
    assert aws.put() is True
    assert aws.server.connections == 4
    assert aws.put() is True
    assert (aws.server.connections, aws.pauses) == (4, [])


def test_threads_share_the_connections_and_mix_nothing_up(aws):
    with ThreadPoolExecutor(16) as threads:
        done = threads.map(lambda number: aws.put(f"{number}.json", b"%d" % number * 100), range(400))
        assert all(done)
    assert aws.server.connections <= 16
    bodies = {request.path: request.body for request in aws.server.requests}
    assert bodies == {f"/audit-bucket/{number}.json": b"%d" % number * 100 for number in range(400)}


def test_a_small_request_goes_in_one_send(aws, monkeypatch):
    sends = []
    send = http.Connection._send
    monkeypatch.setattr(http.Connection, "_send", lambda *args: (sends.append(len(args[1])), send(*args)))
    aws.put(body=b"x" * 1000)
    assert len(sends) == 1


def test_a_silent_server_is_given_up_and_tried_again(aws, monkeypatch):
    monkeypatch.setattr(http, "_ANSWER_SECONDS", 0.05)
    aws.server.replies(silence)
    assert aws.put() is True
    assert connections(aws) == [1, 2]
    assert len(aws.pauses) == 1


def test_a_slow_server_gets_twice_the_time_at_each_further_attempt(aws, monkeypatch):
    granted = []
    until = http.Pool._until
    monkeypatch.setattr(
        http.Pool, "_until", lambda self, seconds, deadline: granted.append(seconds) or until(self, seconds, deadline)
    )
    aws.server.replies(*[Reply(503)] * 3)
    assert aws.put(body=b"") is True
    assert [seconds for seconds in granted if seconds >= 3][-4:] == [3, 6, 12, 24]


def test_what_comes_unasked_is_not_taken_for_the_next_answer(aws):
    """It would pass a refused object off as written."""

    def twice(connection, over):
        connection.sendall(Reply().to_bytes())
        over.wait(0.1)
        connection.sendall(Reply().to_bytes())
        over.wait()

    aws.server.replies(twice, Reply(403))
    assert aws.put() is True
    time.sleep(0.3)
    with pytest.raises(TransportError, match="403"):
        aws.put()
    assert connections(aws) == [1, 2]


def test_a_silent_server_is_given_up_at_the_deadline(aws):
    aws.server.replies(silence)
    with pytest.raises(TransportError) as failed:
        aws.put(seconds=0.05)
    assert (failed.value.error_type, failed.value.aws_code) == ("Timeout", "")


def test_an_answer_that_never_ends_is_given_up_at_the_deadline(aws):
    # Every byte comes in time; only all of them do not.
    aws.server.replies(dribble)
    transport = AwsTransport(aws.env, real_clock())
    deadline = time.monotonic() + 0.2
    with pytest.raises(TransportError, match="Timeout"):
        transport.put_object_if_absent("audit-bucket", "k.json", b"{}", "application/json", deadline)
    assert time.monotonic() >= deadline


def test_a_large_body_has_more_time(aws, monkeypatch):
    granted = []
    use = http.Pool._use
    monkeypatch.setattr(http.Pool, "_use", lambda *args: (granted.append(args[4]), use(*args))[1])
    aws.put(body=b"x" * 2_000_000)
    aws.put(body=b"")
    aws.put(body=b"", seconds=1)
    now = aws.time.now
    assert granted == [now + 5, now + 3, now + 1]


@pytest.fixture
def authority(tmp_path):
    """A certificate for 127.0.0.1 that nobody else trusts: the server's TLS settings, and the file to trust it by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    bundle, private = tmp_path / "bundle.pem", tmp_path / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(bundle, private)
    return tls, bundle


def test_a_server_is_trusted_by_the_bundle_of_the_environment(authority):
    tls, bundle = authority
    with aws_server(tls) as server:
        aws = Aws(server)
        aws.env["AWS_CA_BUNDLE"] = str(bundle)
        assert aws.put() is True
        assert aws.put(body=b"x" * 300_000) is True
        assert connections(aws) == [1, 1]


def test_a_kept_tls_connection_that_ended_is_replaced_without_an_attempt(authority):
    tls, bundle = authority
    with aws_server(tls) as server:
        aws = Aws(server)
        aws.env["AWS_CA_BUNDLE"] = str(bundle)
        server.replies(Reply(), hang_up)
        aws.put()
        assert aws.put() is True
        assert (connections(aws), aws.pauses) == ([1, 1, 2], [])


def test_a_server_that_nobody_vouches_for_gets_nothing(authority):
    with aws_server(authority[0]) as server:
        aws = Aws(server)
        with pytest.raises(TransportError, match="CertificateError"):
            aws.put()
        assert (server.requests, aws.pauses) == ([], [])


def test_a_bundle_that_cannot_be_read_fails_by_its_type(authority, tmp_path):
    with aws_server(authority[0]) as server:
        aws = Aws(server)
        aws.env["AWS_CA_BUNDLE"] = str(tmp_path / "nowhere.pem")
        with pytest.raises(TransportError, match="InvalidCABundle"):
            aws.put()
