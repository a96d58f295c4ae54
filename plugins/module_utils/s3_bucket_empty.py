# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Emptying a bucket: every object, every version, every delete marker; and refusing to, where it is someone else's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

from .aws import AnsibleAWSError, AnsibleAWSModule, InputError, aws_errors, client, error_code
from .pipeline_lock import LOCKS
from .pipeline_lock_api import PipelineLock, time_of
from .plan import Plan, Step
from .s3_bucket import Bucket


class BucketContents(Bucket):
    """The contents of one bucket, for :func:`.runner.run_resource`."""

    def __init__(self, module: AnsibleAWSModule):
        super().__init__(client(module, "s3"), module.params["name"])
        self.required: dict[str, str] = module.params["required_tags"] or {}
        self.refuse_retained: bool = module.params.get("refuse_retained") or False
        self.keep_lock = lock_keeper(self.s3, module.params.get("lock"))
        self.deleted = 0
        self.exists = True
        self.was_empty = True

    def read(self) -> dict[str, Any]:
        empty = self.owned(self.required)
        if empty is None:
            self.exists = False
            return {"empty": True}
        if self.refuse_retained and not empty:
            self._refuse_retained()
        return {"empty": empty}

    def plan(self, current: dict[str, Any] | None) -> Plan:
        self.was_empty = current["empty"]
        steps = () if current["empty"] else (Step("delete_objects", {"Bucket": self.bucket}),)
        return Plan(current, {"empty": True}, steps)

    def apply(self, plan: Plan) -> None:
        # Always the first page: what was deleted is not listed again.
        while page := self.page(1000):
            self.keep_lock()
            self._delete(page)
            self.deleted += len(page)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"deleted": self.deleted, "exists": self.exists, "was_empty": self.was_empty}

    def _answers(self, most: int) -> Iterator[dict[str, Any]]:
        start: dict[str, str] = {}
        while True:
            answer = self.list_versions({**start, "MaxKeys": most})
            yield answer
            if not answer.get("IsTruncated"):
                return
            start = {"KeyMarker": answer["NextKeyMarker"]}
            if answer.get("NextVersionIdMarker"):
                start["VersionIdMarker"] = answer["NextVersionIdMarker"]

    def _refuse_retained(self) -> None:
        """Say until when versions are under Object Lock retention; nothing where the bucket has no Object Lock.

        Retention is asked for version by version, and a log may hold millions. What the bucket retains by itself goes
        by a version's age, so the oldest and the newest of each day stand for the day.
        """
        now = self._object_lock_time()
        if now is None:
            return
        newest: dict[Any, dict[str, Any]] = {}
        oldest: dict[Any, dict[str, Any]] = {}
        for answer in self._answers(1000):
            for each in answer.get("Versions", []):
                if each["Key"].startswith(LOCKS):
                    continue
                day = each["LastModified"].date()
                if day not in newest or each["LastModified"] > newest[day]["LastModified"]:
                    newest[day] = each
                if day not in oldest or each["LastModified"] < oldest[day]["LastModified"]:
                    oldest[day] = each
        asked = {(each["Key"], each["VersionId"]) for each in [*newest.values(), *oldest.values()]}
        until = max((self._retained_until(*version) for version in sorted(asked)), default=now)
        if until > now:
            raise InputError(
                f"The bucket {self.bucket} holds versions under Object Lock retention until"
                f" {until.astimezone(timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')} at least, which nobody may delete"
                " before. Nothing was removed. Run without deleting the data, or again after that time."
            )

    def _object_lock_time(self) -> datetime | None:
        """S3's time, when the bucket has Object Lock; else None."""
        try:
            answer = self._object_lock()
        except AnsibleAWSError as exc:
            if error_code(exc) == "ObjectLockConfigurationNotFoundError":
                return None
            raise
        return time_of(answer) or datetime.now(timezone.utc)

    @aws_errors("read the Object Lock configuration of the bucket")
    def _object_lock(self) -> dict[str, Any]:
        return self.s3.get_object_lock_configuration(Bucket=self.bucket, aws_retry=True)

    def _retained_until(self, key: str, version: str) -> datetime:
        try:
            return self._retention(key, version)["Retention"]["RetainUntilDate"]
        except AnsibleAWSError as exc:
            if error_code(exc) in ("NoSuchObjectLockConfiguration", "NoSuchKey", "NoSuchVersion"):
                return datetime.fromtimestamp(0, timezone.utc)
            raise

    @aws_errors("read the retention of a version in the bucket")
    def _retention(self, key: str, version: str) -> dict[str, Any]:
        return self.s3.get_object_retention(Bucket=self.bucket, Key=key, VersionId=version, aws_retry=True)

    @aws_errors("delete the versions in the bucket")
    def _delete(self, page: list[dict[str, str]]) -> None:
        answer = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": page, "Quiet": True}, aws_retry=True)
        if errors := answer.get("Errors"):
            first = errors[0]
            raise AnsibleAWSError(
                message=f"Failed to delete {len(errors)} of the versions in the bucket {self.bucket}, the first of them"
                f" {first.get('Key')}: {first.get('Code')}: {first.get('Message')}"
            )


def lock_keeper(s3: Any, lock: dict[str, Any] | None) -> Callable[[], None]:
    """A function that renews the run's lock, when a third of its lease is over: a large bucket takes longer than it."""
    if not lock:
        return lambda: None
    held = PipelineLock(s3, lock["bucket"], lock["key"], lock["token"], lock["lease"])
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        now = time.monotonic()
        if now - renewed > lock["lease"] / 3:
            held.renew()
            renewed = now

    return keep
