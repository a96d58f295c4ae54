# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every call that a baseline makes to AWS. What the answers mean is decided elsewhere."""

from __future__ import annotations

import json
from typing import Any

from .._history import baselines
from .._history.dynamodb_json import canonical_json, in_request_form
from .._history.objects import DamagedObject
from .._history.store import Gone, Store
from .._pipeline_verify.api import Cloud, Mappings
from .._pipeline_verify.clock import Clock
from ..aws import AnsibleAWSError, aws_errors, error_code

__all__ = ["Cloud", "Mappings", "Objects", "Table"]


class Table:
    """The table, which is only read."""

    def __init__(self, cloud: Cloud, name: str, clock: Clock) -> None:
        self._client, self._clock, self.name = cloud("dynamodb"), clock, name

    @aws_errors("read the table")
    def describe(self) -> dict[str, Any] | None:
        """The table, None when there is none. The clock is AWS's from here on."""
        try:
            answer = self._client.describe_table(TableName=self.name, aws_retry=True)
        except self._client.exceptions.ResourceNotFoundException:
            return None
        self._clock.follow(answer)
        return answer["Table"]

    @aws_errors("scan the table")
    def scan(self, segment: int, segments: int, after: dict[str, Any] | None, limit: int | None) -> dict[str, Any]:
        """A page of a segment, read so that every write before it is in it."""
        request: dict[str, Any] = {"Limit": limit} if limit else {}
        if after:
            request["ExclusiveStartKey"] = {name: in_request_form(value) for name, value in after.items()}
        return self._client.scan(
            TableName=self.name,
            Segment=segment,
            TotalSegments=segments,
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
            **request,
            aws_retry=True,
        )


class Objects:
    """The baselines and the journal of an audit log. May be used by several threads."""

    def __init__(self, cloud: Cloud, bucket: str, prefix: str) -> None:
        self._client, self.bucket, self.prefix = cloud("s3"), bucket, prefix
        self._store = Store(self._client, bucket)

    def journal(self) -> list[dict[str, Any]] | None:
        """The journal's entries; None when there is no bucket."""
        try:
            return self._journal()
        except AnsibleAWSError as exc:
            if error_code(exc) == "NoSuchBucket":
                return None
            raise

    @aws_errors("read the journal of the log")
    def _journal(self) -> list[dict[str, Any]]:
        return baselines.read_journal(self._store, self.prefix)

    @aws_errors("list the baselines")
    def ids(self) -> list[str]:
        return baselines.baseline_ids(self._store, self.prefix)

    @aws_errors("read an object of the baseline")
    def read(self, key: str) -> bytes | None:
        """An object's content, None when there is none."""
        try:
            return self._store.read(key)
        except Gone:
            return None

    def document(self, key: str) -> dict[str, Any] | None:
        """The same of one that holds JSON."""
        body = self.read(key)
        if body is None:
            return None
        try:
            return json.loads(body)
        except ValueError as exc:
            raise DamagedObject(key, "it holds no JSON") from exc

    @aws_errors("write an object of the baseline")
    def add(self, key: str, body: bytes, content_type: str) -> bool:
        """Whether it was written: not when there is one of that name."""
        return self._store.put_if_absent(key, body, content_type)

    @aws_errors("write the progress of the baseline")
    def write(self, key: str, told: dict[str, Any]) -> None:
        self._store.put(key, json.dumps(told).encode())

    @aws_errors("write into the journal of the log")
    def note(self, entry: dict[str, Any]) -> None:
        """Add an entry to the journal, encrypted as a deploy's."""
        self._client.put_object(
            Bucket=self.bucket,
            Key=baselines.journal_key(self.prefix, entry),
            Body=canonical_json(entry).encode() + b"\n",
            ContentType="application/json",
            ServerSideEncryption="AES256",
        )
