"""S3 with a clock of its own, as far as a lock sees it: conditional requests, versions, the time in each answer."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from botocore.exceptions import ClientError

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LockBucket:
    """One bucket. ``before`` is called as each request arrives and as each answer leaves, for what else happens."""

    def __init__(self) -> None:
        self.now = 0.0
        self.body: bytes | None = None
        self.modified = EPOCH
        self.before: Callable[[str], None] = lambda call: None
        #: Names of calls whose answer is lost; botocore then sends the request again.
        self.lost: list[str] = []

    def get_object(self, Bucket: str, Key: str, aws_retry: bool) -> dict[str, Any]:
        self.before("get_object")
        if self.body is None:
            raise _error("NoSuchKey", "GetObject")
        return {
            "Body": io.BytesIO(self.body),
            "ETag": self._etag(),
            "LastModified": self.modified,
            "ResponseMetadata": self._answer(),
        }

    def put_object(self, Body: bytes, aws_retry: bool, **request: Any) -> dict[str, Any]:
        self.before("put_object")
        for _attempt in range(2 if self._loses("put_object") else 1):
            refused = self._refused(request)
            if not refused:
                self.body, self.modified = Body, self._whole_seconds()
        self.before("its answer")
        if refused:
            raise _error(refused, "PutObject")
        return {"ResponseMetadata": self._answer()}

    def delete_object(self, aws_retry: bool, **request: Any) -> dict[str, Any]:
        self.before("delete_object")
        refused = self._refused(request)
        if refused:
            raise _error(refused, "DeleteObject")
        self.body = None
        return {"ResponseMetadata": self._answer()}

    def get_object_lock_configuration(self, Bucket: str, aws_retry: bool) -> dict[str, Any]:
        raise _error("ObjectLockConfigurationNotFoundError", "GetObjectLockConfiguration")

    def _refused(self, request: dict[str, Any]) -> str:
        if request.get("IfNoneMatch") == "*":
            return "PreconditionFailed" if self.body is not None else ""
        if self.body is None:
            return "NoSuchKey"
        return "" if request["IfMatch"] == self._etag() else "PreconditionFailed"

    def _loses(self, call: str) -> bool:
        if call not in self.lost:
            return False
        self.lost.remove(call)
        return True

    def _etag(self) -> str:
        return f'"{hashlib.md5(self.body or b"").hexdigest()}"'

    def _whole_seconds(self) -> datetime:
        return EPOCH + timedelta(seconds=int(self.now))

    def _answer(self) -> dict[str, Any]:
        return {"HTTPHeaders": {"date": format_datetime(self._whole_seconds(), usegmt=True)}}


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as S3 says"}}, operation)
