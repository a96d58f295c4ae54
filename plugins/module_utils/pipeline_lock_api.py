# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock in S3: taking, renewing and releasing it by conditional requests, which S3 decides one after the other.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from .aws import AnsibleAWSError, InputError, aws_errors, error_code
from .pipeline_lock import DEAD, EXPIRED, OURS, Found, held_message, lost_message, parsed, verdict

#: How S3 says that a condition does not hold, or that another conditional request came in between.
_REFUSED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409", "NoSuchKey", "404")
_MISSING = ("NoSuchKey", "404")
#: Seconds of retention in a bucket whose objects get one by default: the shortest that S3 takes for certain. Else the
#: lock could not be deleted, nor the bucket, before that default is over.
_RETENTION = 3
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


class LockHeld(InputError):
    """Another run has it."""


class LockLost(InputError):
    """It was this run's, and is no more."""


class NoBucket(InputError):
    """There is no bucket, so there is no lock in it."""


class PipelineLock:
    """The lock in one object, for the run that ``token`` names."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        key: str,
        token: str,
        lease: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.s3, self.bucket, self.key, self.token, self.lease = s3, bucket, key, token, lease
        self._clock, self._sleep = clock, sleep
        #: From when on the owner counts: the clock before the last request that wrote the object.
        self.held_from = 0.0

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def take(self, record: dict[str, Any], wait: float, is_gone: Callable[[Any], bool]) -> str:
        """Take it, waiting so many seconds at most for another run. What it took over: '', 'expired' or 'dead'."""
        began, pause = self._clock(), _FIRST_PAUSE
        retain_until = self._default_retention()
        while True:
            if self._put(record, {"IfNoneMatch": "*"}, retain_until):
                return ""
            found = self.find()
            if found is None:
                # Released a moment ago.
                self._sleep(0.1)
                continue
            state = verdict(found, self.token, self.lease, is_gone(found.record.get("process")))
            if state == OURS:
                # S3 took one of these requests, and its answer was lost.
                self.held_from = began
                return ""
            if state in (EXPIRED, DEAD) and self._replace(found, record):
                return state
            waited = self._clock() - began
            if state not in (EXPIRED, DEAD):
                if waited >= wait:
                    raise LockHeld(held_message(self.where, found, self.lease, waited if wait else 0))
                self._sleep(min(pause, wait - waited))
                pause = min(2 * pause, _LONGEST_PAUSE)
            if retain_until:
                retain_until = self._default_retention()

    def renew(self) -> None:
        """Write it anew, so that its lease begins again; LockLost when it is another's."""
        found = self.find()
        if found is None or verdict(found, self.token, self.lease, False) != OURS:
            raise LockLost(lost_message(self.where, found))
        if not self._replace(found, found.record):
            found = self.find()
            # What else wrote it than this very request, whose answer was lost?
            if found is None or verdict(found, self.token, self.lease, False) != OURS:
                raise LockLost(lost_message(self.where, found))

    def release(self) -> bool:
        """Remove it, if it is this run's; False when it is not any more."""
        found = self.find()
        if found is None or verdict(found, self.token, self.lease, False) != OURS:
            return False
        return self._delete(found)

    @aws_errors("read the lock")
    def _get(self) -> dict[str, Any]:
        answer = self.s3.get_object(Bucket=self.bucket, Key=self.key, aws_retry=True)
        return {**answer, "Body": answer["Body"].read()}

    def find(self) -> Found | None:
        """The object, None when there is none."""
        try:
            answer = self._get()
        except AnsibleAWSError as exc:
            if error_code(exc) not in (*_MISSING, "NoSuchBucket"):
                raise
            return None
        now = time_of(answer)
        return Found(
            etag=answer["ETag"],
            modified=answer["LastModified"],
            age=(now - answer["LastModified"]).total_seconds() if now else None,
            record=parsed(answer["Body"]),
            version=answer.get("VersionId") or "",
            retained=bool(answer.get("ObjectLockMode")),
        )

    def _replace(self, found: Found, record: dict[str, Any]) -> bool:
        until = datetime.now(timezone.utc) if found.retained else None
        if found.retained and found.age is not None:
            until = found.modified + timedelta(seconds=found.age)
        return self._put(record, {"IfMatch": found.etag}, until + timedelta(seconds=_RETENTION) if until else None)

    def _put(self, record: dict[str, Any], condition: dict[str, str], retain_until: datetime | None) -> bool:
        began = self._clock()
        try:
            self._write(record, condition, retain_until)
        except AnsibleAWSError as exc:
            if error_code(exc) == "NoSuchBucket":
                raise NoBucket(f"There is no bucket {self.bucket} for the lock.") from exc
            if error_code(exc) not in _REFUSED:
                raise
            # Where it was but the answer that was lost, the count begins here too.
            self.held_from = began
            return False
        self.held_from = began
        return True

    @aws_errors("write the lock")
    def _write(self, record: dict[str, Any], condition: dict[str, str], retain_until: datetime | None) -> None:
        retention: dict[str, Any] = {}
        if retain_until:
            retention = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": retain_until}
        self.s3.put_object(
            Bucket=self.bucket,
            Key=self.key,
            Body=json.dumps(record, sort_keys=True).encode(),
            ContentType="application/json",
            # So that no right on the bucket's KMS key is needed; nothing in it is secret.
            ServerSideEncryption="AES256",
            **condition,
            **retention,
            aws_retry=True,
        )

    def _default_retention(self) -> datetime | None:
        """Until when a lock written now is to be retained; None where the bucket retains nothing by itself."""
        try:
            answer = self._object_lock()
        except AnsibleAWSError as exc:
            if error_code(exc) == "NoSuchBucket":
                raise NoBucket(f"There is no bucket {self.bucket} for the lock.") from exc
            if error_code(exc) != "ObjectLockConfigurationNotFoundError":
                raise
            return None
        if not (answer["ObjectLockConfiguration"].get("Rule") or {}).get("DefaultRetention"):
            return None
        return (time_of(answer) or datetime.now(timezone.utc)) + timedelta(seconds=_RETENTION)

    @aws_errors("read the Object Lock configuration of the bucket")
    def _object_lock(self) -> dict[str, Any]:
        return self.s3.get_object_lock_configuration(Bucket=self.bucket, aws_retry=True)

    def _delete(self, found: Found) -> bool:
        try:
            answer = self._remove(found.etag)
        except AnsibleAWSError as exc:
            if error_code(exc) not in _REFUSED:
                raise
            return False
        if answer.get("DeleteMarker"):
            self._sweep(answer["VersionId"])
        return True

    @aws_errors("remove the lock")
    def _remove(self, etag: str) -> dict[str, Any]:
        return self.s3.delete_object(Bucket=self.bucket, Key=self.key, IfMatch=etag, aws_retry=True)

    @aws_errors("remove old versions of the lock")
    def _sweep(self, marker: str) -> None:
        """Where the bucket keeps versions: remove those below our delete marker, then the marker.

        By version, so that it does not matter who takes the lock meanwhile. The marker goes only when nothing is left
        below it that would come to light.
        """
        answer = self.s3.list_object_versions(Bucket=self.bucket, Prefix=self.key, aws_retry=True)
        listed = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
        ours = [each for each in listed if each["Key"] == self.key]
        newest = next((each["LastModified"] for each in ours if each["VersionId"] == marker), None)
        if newest is None or answer.get("IsTruncated"):
            return
        below = [
            {"Key": self.key, "VersionId": each["VersionId"]}
            for each in ours
            if each["VersionId"] != marker and not each["IsLatest"] and each["LastModified"] <= newest
        ]
        if below:
            done = self.s3.delete_objects(Bucket=self.bucket, Delete={"Objects": below, "Quiet": True}, aws_retry=True)
            if done.get("Errors"):
                # Under retention still. A later release removes them.
                return
        self.s3.delete_object(Bucket=self.bucket, Key=self.key, VersionId=marker, aws_retry=True)


def time_of(answer: dict[str, Any]) -> datetime | None:
    """S3's own time when it answered."""
    text = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(text) if text else None
