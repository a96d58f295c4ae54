"""The bucket: what S3 answers, and what becomes of it."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import store as module
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.store import Gone
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from tests.unit.history.logs import FakeS3, client_error


class Failing(FakeS3):
    """Raises the given errors, one a call of that name, before it answers."""

    def __init__(self, call: str, *errors: Exception) -> None:
        super().__init__(before=self._fail)
        self._call, self.errors, self.calls = call, list(errors), 0

    def _fail(self, name: str, _request: dict[str, Any]) -> None:
        if name == self._call:
            self.calls += 1
            if self.errors:
                raise self.errors.pop(0)


def conflict():
    return client_error("ConditionalRequestConflict", 409, "PutObject")


def test_an_object_is_written_only_where_there_is_none():
    s3 = FakeS3()

    assert s3.store().put_if_absent("a", b"one") is True
    assert s3.store().put_if_absent("a", b"two") is False
    assert s3.objects["a"] == b"one"


@pytest.mark.parametrize("conflicts", [1, 2])
def test_after_a_conflict_it_is_written_again_from_its_beginning(conflicts):
    s3 = Failing("put_object", *(conflict() for _each in range(conflicts)))
    body = io.BytesIO(b"content")
    # botocore has read the body by the time that S3 refuses it.
    s3.before = lambda name, request, fail=s3.before: (request["Body"].read(), fail(name, request), body.seek(0))

    assert s3.store().put_if_absent("a", body) is True
    assert s3.objects["a"] == b"content"


def test_after_a_conflict_the_object_of_another_is_left_as_it_is():
    s3 = Failing("put_object", conflict())
    s3.objects["a"] = b"theirs"

    assert s3.store().put_if_absent("a", b"mine") is False
    assert s3.objects["a"] == b"theirs"


def test_a_conflict_without_end_and_other_errors_come_out():
    s3 = Failing("put_object", *(conflict() for _each in range(9)))
    with pytest.raises(ClientError, match="ConditionalRequestConflict"):
        s3.store().put_if_absent("a", b"")
    assert s3.calls == 3
    with pytest.raises(ClientError, match="AccessDenied"):
        Failing("put_object", client_error("AccessDenied", 403, "PutObject")).store().put_if_absent("a", b"")


BROKEN = [
    ReadTimeoutError(endpoint_url="x"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ResponseStreamingError(error="x"),
]


@pytest.mark.parametrize("error", BROKEN, ids=lambda error: type(error).__name__)
def test_a_body_that_breaks_off_is_read_again_and_not_without_end(error):
    s3 = Failing("get_object", error, error)
    s3.objects["a"] = b"content"
    assert s3.store().read("a") == b"content"

    s3 = Failing("get_object", *[error] * 9)
    with pytest.raises(type(error)):
        s3.store().read("a")
    assert s3.calls == 3


def test_an_object_that_is_not_there_is_gone_and_other_errors_come_out():
    with pytest.raises(Gone, match="a"):
        FakeS3().store().read("a")
    with pytest.raises(Gone):
        FakeS3().store().fetch("a")
    with pytest.raises(ClientError, match="AccessDenied"):
        Failing("get_object", client_error("AccessDenied", 403, "GetObject")).store().read("a")


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 35])
def test_a_large_object_is_fetched_in_pieces(monkeypatch, size):
    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    s3 = Failing("get_object")
    s3.objects["a"] = bytes(range(size))

    file, digest = s3.store().fetch("a")

    assert file.read() == s3.objects["a"]
    assert digest == hashlib.sha256(s3.objects["a"]).hexdigest()
    assert s3.calls == max(1, -(-size // 10))


def test_a_piece_that_breaks_off_is_fetched_again_alone(monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    s3 = FakeS3()
    s3.objects["a"] = bytes(range(25))
    asked, errors = [], list(BROKEN[:2])

    def before(name, request):
        asked.append(request["Range"])
        if request["Range"] == "bytes=10-19" and errors:
            raise errors.pop()

    s3.before = before

    assert s3.store().fetch("a")[0].read() == s3.objects["a"]
    assert asked == ["bytes=0-9", *["bytes=10-19"] * 3, "bytes=20-29"]


def test_pieces_of_two_objects_are_not_put_together(monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 10)
    s3 = FakeS3()
    s3.objects["a"] = b"a" * 25

    def before(name, request):
        if request["Range"] == "bytes=10-19":
            s3.objects["a"] = b"b" * 25

    s3.before = before

    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.store().fetch("a")


def test_a_listing_asks_page_by_page_and_calls_are_counted():
    s3 = FakeS3(page=2)
    s3.objects = {f"log/{number}": b"x" * number for number in range(5)} | {"other": b""}
    store = s3.store()

    pages = [[each.key for each in page] for page in store.pages("log/")]

    assert pages == [["log/0", "log/1"], ["log/2", "log/3"], ["log/4"]]
    assert [(each.key, each.size) for each in store.list("log/", after="log/2")] == [("log/3", 3), ("log/4", 4)]
    assert store.calls == {"ListObjectsV2": 4}


def test_objects_are_removed_a_thousand_a_call_and_those_that_stay_are_told():
    s3 = FakeS3()
    keys = [f"{number:04d}" for number in range(1500)]
    s3.objects = dict.fromkeys(keys, b"")
    s3.locked = {"0007", "1400"}
    store = s3.store()

    assert store.delete(keys) == {"0007": "AccessDenied", "1400": "AccessDenied"}
    assert set(s3.objects) == s3.locked
    assert store.calls["DeleteObjects"] == 2
