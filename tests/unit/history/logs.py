"""A bucket in memory, and audit logs of random changes in it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import objects
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.store import Store
from botocore.exceptions import ClientError

PREFIX = "audit-logs/"
FIRST = datetime(2026, 1, 31, 10, tzinfo=UTC)
STREAM = "arn:aws:dynamodb:us-east-1:123456789012:table/Items/stream/{}"
LABEL = "2026-01-01T00:00:00.000"


class FakeS3:
    """A bucket of S3 as far as the history needs it. ``before`` is called with each call's name and request."""

    def __init__(self, page: int = 1000, before: Callable[[str, dict[str, Any]], None] | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.page, self.before = page, before or (lambda name, request: None)
        self.locked: set[str] = set()

    def store(self) -> Store:
        return Store(self, "bucket")

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self.before("list_objects_v2", request)
        after = request.get("ContinuationToken") or request.get("StartAfter", "")
        found = sorted(key for key in self.objects if key.startswith(request["Prefix"]) and key > after)
        page = found[: self.page]
        answer = {"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in page]}
        if len(found) > len(page):
            return {**answer, "IsTruncated": True, "NextContinuationToken": page[-1]}
        return {**answer, "IsTruncated": False}

    def get_object(self, **request: Any) -> dict[str, Any]:
        self.before("get_object", request)
        if request["Key"] not in self.objects:
            raise client_error("NoSuchKey", 404, "GetObject")
        body = self.objects[request["Key"]]
        answer = {"ETag": hashlib.md5(body).hexdigest(), "ContentLength": len(body), "Body": io.BytesIO(body)}
        if "Range" in request:
            if not body:
                raise client_error("InvalidRange", 416, "GetObject")
            if request.get("IfMatch", answer["ETag"]) != answer["ETag"]:
                raise client_error("PreconditionFailed", 412, "GetObject")
            first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
            part = body[first : last + 1]
            answer |= {"Body": io.BytesIO(part), "ContentLength": len(part), "ContentRange": f"bytes x/{len(body)}"}
        return answer

    def put_object(self, **request: Any) -> dict[str, Any]:
        self.before("put_object", request)
        body = request["Body"]
        if request.get("IfNoneMatch") == "*" and request["Key"] in self.objects:
            raise client_error("PreconditionFailed", 412, "PutObject")
        self.objects[request["Key"]] = body if isinstance(body, bytes) else body.read()
        return {}

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        self.before("delete_objects", request)
        errors = []
        for each in request["Delete"]["Objects"]:
            if each["Key"] in self.locked:
                errors.append({"Key": each["Key"], "Code": "AccessDenied", "Message": "Object Lock"})
            else:
                self.objects.pop(each["Key"], None)
        return {"Errors": errors}


def client_error(code: str, status: int, operation: str) -> ClientError:
    answer = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def envelope(
    number: int,
    item: str = "item",
    *,
    old: dict[str, Any] | None = None,
    new: dict[str, Any] | None = None,
    seconds: int = 0,
    label: str = LABEL,
    **more: Any,
) -> dict[str, Any]:
    """A change; which images there are decides its event name, and an item of its own is inserted without any."""
    keys = {"Id": {"S": item}}
    if old is None and new is None:
        new = keys
    moment = datetime.fromtimestamp(FIRST.timestamp() + seconds, UTC)
    found = {
        "schema": "cloudcdc.change/1",
        "eventID": hashlib.md5(f"{label}{number}".encode()).hexdigest(),
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": STREAM.format(label),
        "awsRegion": "us-east-1",
        "sequenceNumber": str(number),
        "sizeBytes": 42,
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "table": "Items",
        "keys": keys,
        **more,
    }
    if old is not None:
        found["oldImage"] = old
    if new is not None:
        found["newImage"] = new
    return found


def line(change: dict[str, Any]) -> bytes:
    return json.dumps(change, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def write_changes(s3: FakeS3, changes: list[dict[str, Any]]) -> list[str]:
    """Each into an object of its own, as with the layout per_change."""
    keys = [objects.per_change_key(change, PREFIX) for change in changes]
    s3.objects.update(dict(zip(keys, map(line, changes), strict=True)))
    return keys


def write_batch(s3: FakeS3, changes: list[dict[str, Any]]) -> list[str]:
    """As with the layout per_batch: an object an hour."""
    hours: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        hours.setdefault(change["timestamp"][:13], []).append(change)
    keys = []
    for found in hours.values():
        keys.append(objects.per_batch_key(found, PREFIX))
        s3.objects[keys[-1]] = gzip.compress(b"".join(line(each) + b"\n" for each in found), mtime=0)
    return keys


def random_changes(source: random.Random, count: int, items: int = 5, span: int = 4 * 3600) -> list[dict[str, Any]]:
    """Changes that follow from each other, in the order of the stream; times rise, over so many seconds."""
    states: dict[str, dict[str, Any] | None] = {}
    seconds = sorted(source.randrange(span) for _count in range(count))
    found = []
    for number, second in enumerate(seconds, 9 * 10**20):
        item = f"item-{source.randrange(items)}"
        old = states.get(item)
        new = {
            "Id": {"S": item},
            "Value": {"N": str(source.randrange(10**9))},
            "Data": {"S": "x" * source.randrange(50)},
        }
        if old is not None and source.random() < 0.3:
            new = None
        states[item] = new
        found.append(envelope(number, item, old=old, new=new, seconds=second))
    return found
