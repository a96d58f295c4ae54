# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every call that a redrive makes to AWS. What the answers mean is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .._history.answers import NOT_RUN, TOO_LARGE
from .._pipeline_verify.api import Logs
from .._pipeline_verify.api import Mappings as StreamMappings
from ..aws import AnsibleAWSError, AnsibleAWSModule, aws_errors, client, error_code
from .failure_records import plain_function_name

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as NoConnection

#: A message that a killed run held comes back after so long (seconds). While a run works it is extended.
VISIBILITY_SECONDS = 300
_BATCH = 10
#: S3 deletes so many objects at once.
_OBJECTS = 1000
#: Longer than a function may run (seconds).
_INVOKE_SECONDS = 910

__all__ = ["Bucket", "Function", "Logs", "Mapping", "Mappings", "Queue", "Streams", "Unavailable"]


class Cloud:
    """Clients, made at their first use. Invocations have one of their own: nobody but the run may repeat them."""

    def __init__(self, module: AnsibleAWSModule, concurrency: int) -> None:
        self._module, self._concurrency = module, concurrency
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            # A shard takes five reads a second, shared with every other reader.
            self._clients[service] = client(self._module, service, passing=["LimitExceededException"])
        return self._clients[service]

    def invoker(self) -> Any:
        config = {
            **(self._module.params.get("aws_config") or {}),
            "read_timeout": _INVOKE_SECONDS,
            "retries": {"max_attempts": 0},
            "max_pool_connections": self._concurrency,
        }
        return self._module.client("lambda", config=config)


class Queue:
    """The failure queue."""

    def __init__(self, cloud: Cloud, url: str) -> None:
        self._client, self.url = cloud("sqs"), url

    @aws_errors("receive from the failure queue")
    def receive(self, wait_seconds: int) -> list[dict[str, Any]]:
        answer = self._client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=wait_seconds,
            VisibilityTimeout=VISIBILITY_SECONDS,
            aws_retry=True,
        )
        return answer.get("Messages", [])

    @aws_errors("read the failure queue's attributes")
    def in_flight(self) -> int:
        """How many messages somebody has received and not deleted, as far as SQS can tell."""
        name = "ApproximateNumberOfMessagesNotVisible"
        answer = self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name], aws_retry=True)
        return int(answer["Attributes"][name])

    @aws_errors("change the visibility of failure records")
    def set_visibility(self, handles: Iterable[str], seconds: int) -> None:
        # A receipt that is no longer valid is told in the answer: somebody else has the message, or it is deleted.
        for entries in _entries(handles, VisibilityTimeout=seconds):
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries, aws_retry=True)

    @aws_errors("delete failure records")
    def delete(self, handles: Iterable[str]) -> list[str]:
        """Gives those that SQS did not delete: they come again, and their changes with them."""
        handles, kept = list(handles), []
        for entries in _entries(handles):
            answer = self._client.delete_message_batch(QueueUrl=self.url, Entries=entries, aws_retry=True)
            kept += [handles[int(each["Id"])] for each in answer.get("Failed", [])]
        return kept


def _entries(handles: Iterable[str], **more: Any) -> Iterator[list[dict[str, Any]]]:
    every = [{"Id": str(place), "ReceiptHandle": handle, **more} for place, handle in enumerate(handles)]
    for start in range(0, len(every), _BATCH):
        yield every[start : start + _BATCH]


class Bucket:
    """The failure bucket."""

    def __init__(self, cloud: Cloud, name: str, prefix: str) -> None:
        self._client, self.name, self.prefix = cloud("s3"), name, prefix

    @aws_errors("list the failure bucket")
    def keys(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        return [each["Key"] for page in pages for each in page.get("Contents", [])]

    @aws_errors("read a failure record")
    def read(self, key: str) -> str | None:
        """The object's text; None when it is gone."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, aws_retry=True)
        except self._client.exceptions.NoSuchKey:
            return None
        return answer["Body"].read().decode("utf-8", "replace")

    def delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _OBJECTS):
            self._delete(keys[start : start + _OBJECTS])

    @aws_errors("delete failure records")
    def _delete(self, keys: list[str]) -> None:
        wanted = {"Objects": [{"Key": key} for key in keys], "Quiet": True}
        answer = self._client.delete_objects(Bucket=self.name, Delete=wanted, aws_retry=True)
        for error in answer.get("Errors", []):
            raise AnsibleAWSError(message=f"Failed to delete failure records: {error['Code']}: {error['Message']}")


class Streams:
    """The table's streams."""

    def __init__(self, cloud: Cloud) -> None:
        self._client = cloud("dynamodbstreams")

    def pages(
        self, stream_arn: str, shard_id: str, position: dict[str, str], empty_pages: int
    ) -> Iterator[list[dict[str, Any]]]:
        """A shard's pages from a position on, to its end, or until so many in a row are empty."""
        iterator = self._iterator(stream_arn, shard_id, position)
        empty = 0
        while iterator and empty < empty_pages:
            try:
                answer = self._records(iterator)
            except AnsibleAWSError as exc:
                if error_code(exc) != "ExpiredIteratorException":
                    raise
                iterator = self._iterator(stream_arn, shard_id, position)
                continue
            records = answer.get("Records", [])
            empty = 0 if records else empty + 1
            if records:
                number = records[-1]["dynamodb"]["SequenceNumber"]
                position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
            yield records
            iterator = answer.get("NextShardIterator")

    @aws_errors("find the failed changes in the stream")
    def _iterator(self, stream_arn: str, shard_id: str, position: dict[str, str]) -> str:
        request = {"StreamArn": stream_arn, "ShardId": shard_id, **position}
        return self._client.get_shard_iterator(**request, aws_retry=True)["ShardIterator"]

    @aws_errors("read the failed changes from the stream")
    def _records(self, iterator: str) -> dict[str, Any]:
        return self._client.get_records(ShardIterator=iterator, aws_retry=True)


@dataclass(frozen=True)
class Mapping:
    """What a redrive wants to know of an event source mapping."""

    patterns: tuple[str, ...]
    partial_responses: bool
    last_modified: datetime

    def unchanged_since(self, moment: datetime) -> bool:
        return self.last_modified <= moment


class Mappings:
    """The mappings of streams, by stream and function."""

    def __init__(self, cloud: Cloud) -> None:
        self._mappings = StreamMappings(cloud)

    def find(self, stream_arn: str, function_name: str) -> Mapping | None:
        """The one mapping from the stream to the function, whatever version or alias it follows."""
        found = self._mappings.of_stream(stream_arn)
        found = [each for each in found if plain_function_name(each["FunctionArn"]) == function_name]
        if len(found) != 1 or found[0].get("FilterCriteriaError"):
            return None
        (mapping,) = found
        filters = (mapping.get("FilterCriteria") or {}).get("Filters", [])
        return Mapping(
            patterns=tuple(each["Pattern"] for each in filters),
            partial_responses="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
            last_modified=mapping["LastModified"],
        )


class Unavailable(Exception):
    """The function did not run; a later try may get through."""


class TooLarge(Exception):
    """The event is larger than an invocation takes."""


class Function:
    """The function that processes the stream."""

    def __init__(self, cloud: Cloud, name: str, qualifier: str | None) -> None:
        self._client, self.name = cloud.invoker(), name
        self._request = {"FunctionName": name, "InvocationType": "RequestResponse"}
        if qualifier:
            self._request["Qualifier"] = qualifier

    @aws_errors("invoke the function")
    def invoke(self, event: bytes) -> tuple[bytes, str | None]:
        """The function's answer, and FunctionError when it failed."""
        try:
            answer = self._client.invoke(**self._request, Payload=event)
            return answer["Payload"].read(), answer.get("FunctionError")
        except ClientError as exc:
            code = error_code(exc)
            if code in TOO_LARGE:
                raise TooLarge(code) from exc
            if code in NOT_RUN or exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                raise Unavailable(code) from exc
            raise
        except (NoConnection, HTTPClientError) as exc:
            raise Unavailable(type(exc).__name__) from exc
