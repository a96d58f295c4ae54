# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket in a folder, and a client of botocore's form over it that holds nothing of it in memory.

The objects are in one file, one after the other, and an index has a line for each, sorted by name.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OBJECTS, _INDEX = "objects", "index"
_PAGE = 1000
#: An index line is shorter.
_LINE_BYTES = 1024


class NoSuchKey(Exception):
    """As botocore tells it."""

    response = {"Error": {"Code": "NoSuchKey"}}


def write(folder: Path, objects: Iterable[tuple[str, bytes]]) -> None:
    """Make the bucket of objects, given in the order of their names."""
    folder.mkdir(parents=True)
    offset, former = 0, ""
    with (folder / _OBJECTS).open("wb") as bodies, (folder / _INDEX).open("w", encoding="utf-8") as index:
        for key, body in objects:
            if key <= former:
                raise ValueError(f"{key} comes behind {former}")
            bodies.write(body)
            index.write(f"{key}\t{offset}\t{len(body)}\n")
            offset, former = offset + len(body), key


class Client:
    """What the reader asks S3 for. Each answer with an object comes after so many milliseconds."""

    def __init__(self, folder: Path, get_ms: float = 0) -> None:
        self._get_seconds = get_ms / 1000
        self._bodies = os.open(folder / _OBJECTS, os.O_RDONLY)
        self._index = os.open(folder / _INDEX, os.O_RDONLY)
        self._index_bytes = os.fstat(self._index).st_size

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        prefix, after = request["Prefix"], request.get("StartAfter", "")
        at = int(request.get("ContinuationToken") or self._find(max(prefix, after)))
        found: list[dict[str, Any]] = []
        while True:
            chunk = os.pread(self._index, 256 * _LINE_BYTES, at)
            for line in chunk[: chunk.rfind(b"\n") + 1].splitlines():
                key, _offset, size = line.decode().split("\t")
                if not key.startswith(prefix):
                    return {"Contents": found, "IsTruncated": False}
                if len(found) == _PAGE:
                    return {"Contents": found, "IsTruncated": True, "NextContinuationToken": str(at)}
                at += len(line) + 1
                if key > after:
                    found.append({"Key": key, "Size": int(size)})
            if not chunk:
                return {"Contents": found, "IsTruncated": False}

    def get_object(self, **request: Any) -> dict[str, Any]:
        if self._get_seconds:
            time.sleep(self._get_seconds)
        key = request["Key"]
        line = os.pread(self._index, _LINE_BYTES, self._find(key)).partition(b"\n")[0].decode()
        name, _tab, place = line.partition("\t")
        if name != key:
            raise NoSuchKey(key)
        offset, size = map(int, place.split("\t"))
        if "Range" not in request:
            body = os.pread(self._bodies, size, offset)
            return {"Body": io.BytesIO(body), "ContentLength": size, "ETag": key}
        first, last = map(int, request["Range"].removeprefix("bytes=").split("-"))
        body = os.pread(self._bodies, min(last + 1, size) - first, offset + first)
        return {
            "Body": io.BytesIO(body),
            "ContentLength": len(body),
            "ContentRange": f"bytes {first}-{first + len(body) - 1}/{size}",
            "ETag": hashlib.md5(key.encode()).hexdigest(),
        }

    def _find(self, key: str) -> int:
        """Where the first line of the index is whose name is not before this one."""
        low, high = 0, self._index_bytes
        while low < high:
            middle = (low + high) // 2
            begin = self._line_begin(middle)
            line = os.pread(self._index, _LINE_BYTES, begin).partition(b"\n")[0]
            if line.partition(b"\t")[0].decode() < key:
                low = begin + len(line) + 1
            else:
                high = begin
        return low

    def _line_begin(self, place: int) -> int:
        begin = max(0, place - _LINE_BYTES)
        return begin + os.pread(self._index, place - begin, begin).rfind(b"\n") + 1
