# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The bucket that holds the audit log, and how often it was asked.

Works with any client of botocore's form that it is given; AWS's errors come out as they are.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, TypeVar

#: Of a large object so many bytes are fetched at once: a broken connection costs one piece, not all.
PIECE_BYTES = 16 * 1024 * 1024
_TRIES = 3
_GONE = ("NoSuchKey", "404")
_TAKEN = ("PreconditionFailed", "412")
#: Another write to this name was under way; it may have failed since.
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
_CONFLICT = ("ConditionalRequestConflict", "409")
#: What S3 says of a range of an object without content.
_NO_SUCH_RANGE = ("InvalidRange", "416")
#: botocore's names for a body that breaks off; its classes are not imported, since nothing else of it is needed.
BROKEN = ("ReadTimeoutError", "IncompleteReadError", "ResponseStreamingError", "ProtocolError")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Listed:
    """An object of a listing."""

    key: str
    size: int
    #: When it was written, by S3's clock.
    modified: datetime | None = None


class Gone(Exception):
    """An object that was listed is there no more."""


class Store:
    """One bucket. Its methods may be called from several threads."""

    def __init__(self, client: Any, bucket: str, is_broken: Callable[[Exception], bool] | None = None) -> None:
        """``is_broken`` says of an error whether the connection broke off, so that another try may succeed."""
        self._client, self.bucket = client, bucket
        self._is_broken = is_broken or _is_broken
        self._lock = threading.Lock()
        #: Calls by their name.
        self.calls: Counter[str] = Counter()

    def pages(self, prefix: str, after: str = "") -> Iterator[list[Listed]]:
        """The objects whose names begin with the prefix, behind one name, by name, a call a page."""
        request = {"Bucket": self.bucket, "Prefix": prefix, **({"StartAfter": after} if after else {})}
        while True:
            self._count("ListObjectsV2")
            answer = self._client.list_objects_v2(**request)
            yield [
                Listed(each["Key"], each.get("Size", 0), each.get("LastModified"))
                for each in answer.get("Contents", [])
            ]
            if not answer.get("IsTruncated"):
                return
            request["ContinuationToken"] = answer["NextContinuationToken"]

    def list(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """The same, one by one."""
        for page in self.pages(prefix, after):
            yield from page

    def read(self, key: str) -> bytes:
        """An object's content; Gone when there is none of that name."""
        return self._tried(self._whole, key)

    def fetch(self, key: str) -> tuple[IO[bytes], str]:
        """A large object as a file without a name, at its beginning, and the SHA-256 of its content in hex."""
        file, digest = tempfile.TemporaryFile(), hashlib.sha256()  # noqa: SIM115
        etag, total = None, None
        while total is None or file.tell() < total:
            start = file.tell()
            piece, etag, total = self._tried(self._piece, key, start, etag)
            digest.update(piece)
            file.write(piece)
        file.seek(0)
        return file, digest.hexdigest()

    def put(self, key: str, body: bytes | IO[bytes], content_type: str = "application/json") -> None:
        """Write an object, whatever is there."""
        self._count("PutObject")
        self._client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

    def put_if_absent(self, key: str, body: bytes | IO[bytes], content_type: str = "application/json") -> bool:
        """Whether the object was written: not when there is one of that name, which stays as it is."""
        for attempt in range(_TRIES):
            self._count("PutObject")
            try:
                self._client.put_object(
                    Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*"
                )
            except Exception as exc:
                code = error_code(exc)
                if code in _TAKEN:
                    return False
                if code not in _CONFLICT or attempt == _TRIES - 1:
                    raise
                if hasattr(body, "seek"):
                    body.seek(0)
            else:
                return True
        raise AssertionError("unreachable")

    def delete(self, keys: list[str]) -> dict[str, str]:
        """Remove objects; gives AWS's error code for each that stays."""
        kept = {}
        for start in range(0, len(keys), 1000):
            objects = [{"Key": key} for key in keys[start : start + 1000]]
            self._count("DeleteObjects")
            answer = self._client.delete_objects(Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
            kept |= {each["Key"]: each.get("Code", "") for each in answer.get("Errors", [])}
        return kept

    def _whole(self, key: str) -> bytes:
        return self._get(key)["Body"].read()

    def _piece(self, key: str, start: int, etag: str | None) -> tuple[bytes, str, int]:
        condition = {"IfMatch": etag} if etag else {}
        wanted = f"bytes={start}-{start + PIECE_BYTES - 1}"
        try:
            answer = self._get(key, Range=wanted, **condition)
        except Exception as exc:
            if start == 0 and error_code(exc) in _NO_SUCH_RANGE:
                return b"", "", 0
            raise
        total = int(answer["ContentRange"].rpartition("/")[2]) if "ContentRange" in answer else answer["ContentLength"]
        return answer["Body"].read(), answer["ETag"], total

    def _get(self, key: str, **more: Any) -> dict[str, Any]:
        self._count("GetObject")
        try:
            return self._client.get_object(Bucket=self.bucket, Key=key, **more)
        except Exception as exc:
            if error_code(exc) in _GONE:
                raise Gone(key) from exc
            raise

    def _tried(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        # The client repeats calls that fail, but not bodies that break off.
        for attempt in range(_TRIES):
            try:
                return call(*arguments)
            except Exception as exc:
                if attempt == _TRIES - 1 or not self._is_broken(exc):
                    raise
        raise AssertionError("unreachable")

    def _count(self, name: str) -> None:
        with self._lock:
            self.calls[name] += 1


def error_code(exc: Exception) -> str:
    """The code of AWS's answer; nothing when the error is none."""
    return str(_answer(exc).get("Error", {}).get("Code", ""))


def status(exc: Exception) -> int:
    """The HTTP status of AWS's answer; 0 when the error is none."""
    return _answer(exc).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def _answer(exc: Exception) -> dict[str, Any]:
    # botocore's errors of a connection have the attribute too, and nothing in it.
    return getattr(exc, "response", None) or {}


def _is_broken(exc: Exception) -> bool:
    return type(exc).__name__ in BROKEN
