# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket: whether it is there, whether it holds data, and whose it is by its tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .aws import AnsibleAWSError, InputError, aws_errors, boto3_tag_list_to_ansible_dict, error_code
from .pipeline_lock import LOCKS

_GONE = ("NoSuchBucket", "404")


def ownership_problem(bucket: str, carried: Mapping[str, str], required: Mapping[str, str], empty: bool) -> str:
    """Why the bucket is not this task's to change or empty; '' when it is.

    A bucket gets its tags after it is made, so one that is empty and has no tags at all may be what a killed run left.
    """
    lacking = [f"{key}={value}" for key, value in required.items() if carried.get(key) != str(value)]
    if not lacking or (empty and not carried):
        return ""
    return (
        f"required_tags: the bucket {bucket} exists, but does not carry the tag {', '.join(lacking)}, so it is not this"
        " task's to change or empty. Use another bucket; to take this one over, put the tag on it."
    )


class Bucket:
    def __init__(self, s3: Any, bucket: str):
        self.s3, self.bucket = s3, bucket

    def owned(self, required: Mapping[str, str]) -> bool | None:
        """Whether it holds no data, None when it is not there; InputError when it is not this task's."""
        try:
            empty = not self.page(1)
            carried = self._tags() if required else {}
        except AnsibleAWSError as exc:
            if error_code(exc) in _GONE:
                return None
            raise
        if problem := ownership_problem(self.bucket, carried, required, empty):
            raise InputError(problem)
        return empty

    def page(self, most: int) -> list[dict[str, str]]:
        """The first versions that are data; the lock of a run is none."""
        start: dict[str, str] = {}
        while True:
            answer = self.list_versions({**start, "MaxKeys": most})
            listed = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
            # The version id goes along even where it is "null", as that of objects older than the bucket's versioning
            # is: without it a versioned bucket only gets a delete marker on top.
            page = [
                {"Key": each["Key"], "VersionId": each["VersionId"]}
                for each in listed
                if not each["Key"].startswith(LOCKS)
            ]
            if page or start or not answer.get("IsTruncated"):
                return page
            # Nothing but the lock: on behind it, whatever it is called.
            start = {"KeyMarker": f"{LOCKS}~"}

    @aws_errors("list the versions in the bucket")
    def list_versions(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.s3.list_object_versions(Bucket=self.bucket, **request, aws_retry=True)

    def _tags(self) -> dict[str, str]:
        try:
            return self._tagging()
        except AnsibleAWSError as exc:
            if error_code(exc) == "NoSuchTagSet":
                return {}
            raise

    @aws_errors("read the tags of the bucket")
    def _tagging(self) -> dict[str, str]:
        return boto3_tag_list_to_ansible_dict(self.s3.get_bucket_tagging(Bucket=self.bucket, aws_retry=True)["TagSet"])
