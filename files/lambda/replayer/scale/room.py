# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a replay in parts keeps what lies between its steps: a folder of the audit bucket, outside of the log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from ..history.store import Gone, Listed, Store, error_code
from .request import RequestRefused, is_replay_id

ROOM = ".cloudcdc/replay/"
#: Objects that are fetched, or hours that are listed, at once.
WORKERS = 32
#: For how long S3 keeps what lies between where the bucket locks objects (seconds), and how long the cleaning waits.
_RETAIN_SECONDS = 60
_WAIT_SECONDS = 10
#: What S3 answers when an object is not what a write was meant to go on top of.
_NOT_ON_TOP = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")


class Overtaken(Exception):
    """Another worker is at what this one is at."""


class Room:
    """Where a replay keeps what lies between its steps."""

    def __init__(self, store: Store, client: Any, replay_id: str, locked: bool = False) -> None:
        if not is_replay_id(replay_id):
            raise RequestRefused("replay.id must be up to 64 letters, digits and any of ._-")
        self.store, self._client, self._locked = store, client, locked
        self.folder = f"{ROOM}{replay_id}/"

    def but(self, replay_id: str, locked: bool) -> Room:
        """The same bucket's room of that replay."""
        return Room(self.store, self._client, replay_id, locked)

    def put(self, name: str, body: bytes | IO[bytes], **more: Any) -> str:
        retention = {}
        if self._locked:
            # Instead of the bucket's own, which may be a year.
            until = datetime.now(UTC) + timedelta(seconds=_RETAIN_SECONDS)
            retention = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}
        request = {"Bucket": self.store.bucket, "Key": self.folder + name, "Body": body}
        return self._client.put_object(**request, **retention, **more).get("ETag", "")

    def put_json(self, name: str, value: Any) -> None:
        self.put(name, json.dumps(value, sort_keys=True).encode(), ContentType="application/json")

    def read_json(self, name: str) -> Any:
        """None when there is none of that name."""
        try:
            return json.loads(self.store.read(self.folder + name))
        except Gone:
            return None

    def read_tagged(self, name: str) -> tuple[Any, str | None]:
        """The same with its ETag."""
        try:
            answer = self._client.get_object(Bucket=self.store.bucket, Key=self.folder + name)
        except Exception as exc:
            if error_code(exc) in ("NoSuchKey", "404"):
                return None, None
            raise
        return json.loads(answer["Body"].read()), answer["ETag"]

    def put_on_top(self, name: str, value: Any, etag: str | None) -> str:
        """Write it if what is there has the ETag, or if there is nothing; Overtaken otherwise. The new ETag."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        try:
            return self.put(name, json.dumps(value, sort_keys=True).encode(), **condition)
        except Exception as exc:
            if error_code(exc) in _NOT_ON_TOP:
                raise Overtaken(f"{self.folder}{name} was written by another worker.") from exc
            raise

    def list(self, folder: str) -> Iterator[Listed]:
        return self.store.list(self.folder + folder)

    def is_locked(self) -> bool:
        """Whether the bucket retains what is written to it."""
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self.store.bucket)
        except Exception as exc:
            if error_code(exc) == "ObjectLockConfigurationNotFoundError":
                return False
            raise
        return bool((answer["ObjectLockConfiguration"].get("Rule") or {}).get("DefaultRetention"))

    def remove(self, folders: Iterable[str], remaining: Callable[[], float]) -> bool:
        """Remove every version of all that is in them. Whether it was done before the time is over."""
        for folder in folders:
            while versions := self._versions(self.folder + folder):
                if remaining() < 2 * _WAIT_SECONDS:
                    return False
                request = {"Objects": versions, "Quiet": True}
                answer = self._client.delete_objects(Bucket=self.store.bucket, Delete=request)
                if len(answer.get("Errors", [])) == len(versions):
                    # S3 retains them for a minute.
                    time.sleep(_WAIT_SECONDS)
        return True

    def _versions(self, prefix: str) -> list[dict[str, str]]:
        answer = self._client.list_object_versions(Bucket=self.store.bucket, Prefix=prefix)
        found = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
        return [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found[:1000]]
