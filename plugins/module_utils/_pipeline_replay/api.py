# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every call that a replay makes to AWS, but for those on the log's objects and those that send."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from .._history.delivery import Pace
from .._history.dynamodb_json import in_json_form, in_request_form
from .._history.items import canonical_json
from .._history.reader import WORKERS
from .._history.store import Store
from ..aws import AnsibleAWSError, AnsibleAWSModule, aws_errors, client, error_code

with suppress(ImportError):  # AnsibleAWSModule says so.
    from botocore.exceptions import BotoCoreError, ClientError

#: Longer than a function may run (seconds).
_INVOKE_SECONDS = 910
_GET_ITEMS = 100
#: So often BatchGetItem may give nothing at all, with growing pauses.
_MOST_IN_VAIN = 10
#: A table is made within a minute or so; longer means that something is wrong (seconds).
_CREATE_SECONDS = 300


class Cloud:
    """Clients, made at their first use."""

    def __init__(self, module: AnsibleAWSModule, concurrency: int) -> None:
        self._module, self._concurrency = module, concurrency
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client(self._module, service)
        return self._clients[service]

    def parallel(self, service: str, connections: int, **more: Any) -> Any:
        """A client for so many calls at once, which repeats them as botocore does unless told otherwise."""
        config = {**(self._module.params.get("aws_config") or {}), "max_pool_connections": connections, **more}
        return self._module.client(service, config=config)

    def store(self, bucket: str) -> Store:
        return Store(self.parallel("s3", WORKERS + 2, retries={"max_attempts": 8, "mode": "standard"}), bucket)

    def sender(self, service: str) -> Any:
        """A client that repeats nothing: the run itself does."""
        return self.parallel(
            service, self._concurrency, retries={"max_attempts": 0}, read_timeout=_INVOKE_SECONDS, connect_timeout=10
        )


def missing(exc: Exception) -> bool:
    """Whether AWS says that there is no such thing."""
    return error_code(exc) in (
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "NotFound",
        "NotFoundException",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "404",
    )


class Table:
    """A table: the live one, or one that a replay writes."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._client, self.name = cloud("dynamodb"), name
        self._cloud = cloud

    @aws_errors("read the table's description")
    def describe(self) -> dict[str, Any] | None:
        """What AWS says of it; None when it does not exist."""
        try:
            return self._client.describe_table(TableName=self.name, aws_retry=True)
        except ClientError as exc:
            if missing(exc):
                return None
            raise

    @aws_errors("look whether the table is empty")
    def is_empty(self) -> bool:
        return not self._client.scan(TableName=self.name, Limit=1, ConsistentRead=True, aws_retry=True)["Items"]

    @aws_errors("create the table")
    def create(self, schema: tuple[tuple[str, str], ...], tags: dict[str, str]) -> None:
        """Make it."""
        kinds = ("HASH", "RANGE")
        self._client.create_table(
            TableName=self.name,
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for (name, _type), kind in zip(schema, kinds, strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in schema],
            BillingMode="PAY_PER_REQUEST",
            Tags=[{"Key": key, "Value": value} for key, value in sorted(tags.items())],
            aws_retry=True,
        )

    def wait(self, pause: Callable[[float], None]) -> None:
        """Until it can be written."""
        end = time.monotonic() + _CREATE_SECONDS
        while True:
            found = self.describe()
            if found and found["Table"]["TableStatus"] == "ACTIVE":
                return
            if time.monotonic() > end:
                raise AnsibleAWSError(
                    message=f"The table {self.name} did not become active within {_CREATE_SECONDS} s."
                )
            pause(1)

    def scan(
        self, segments: int, pace: Pace, check: Callable[[], None], names: tuple[str, ...]
    ) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every item with its keys, by consistent reads, in so many segments at once."""
        scanner = self._cloud.parallel("dynamodb", segments, retries={"max_attempts": 10, "mode": "standard"})
        stop = threading.Event()
        with ThreadPoolExecutor(segments) as pool:
            positions: dict[Any, tuple[int, dict[str, Any]]] = {}

            def begin(segment: int, more: dict[str, Any]) -> None:
                positions[pool.submit(self._page, scanner, segment, segments, more, pace, stop)] = (segment, more)

            try:
                for segment in range(segments):
                    begin(segment, {})
                while positions:
                    (done, *_others), _rest = wait(positions, return_when=FIRST_COMPLETED)
                    segment, _more = positions.pop(done)
                    page = done.result()
                    if page.get("LastEvaluatedKey"):
                        begin(segment, {"ExclusiveStartKey": page["LastEvaluatedKey"]})
                    check()
                    for item in page["Items"]:
                        plain = {name: in_json_form(value) for name, value in item.items()}
                        yield {name: plain[name] for name in names}, plain
            finally:
                stop.set()

    @aws_errors("scan the table")
    def _page(self, scanner: Any, segment: int, segments: int, more: Any, pace: Pace, stop: threading.Event) -> Any:
        page = scanner.scan(TableName=self.name, Segment=segment, TotalSegments=segments, ConsistentRead=True, **more)
        pace.wait(len(page["Items"]), stop)
        return page

    @aws_errors("read items")
    def get(self, keys: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """What these keys' items are now, by the keys' canonical JSON."""
        found = {}
        for start in range(0, len(keys), _GET_ITEMS):
            wanted = [in_request_form({"M": each})["M"] for each in keys[start : start + _GET_ITEMS]]
            in_vain = 0
            while wanted:
                request = {self.name: {"Keys": wanted, "ConsistentRead": True}}
                answer = self._client.batch_get_item(RequestItems=request, aws_retry=True)
                for item in answer["Responses"].get(self.name, []):
                    plain = {name: in_json_form(value) for name, value in item.items()}
                    found[canonical_json({name: plain[name] for name in keys[start]})] = plain
                left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
                # A page may have no room for all; none at all is a throttle.
                in_vain = in_vain + 1 if len(left) == len(wanted) else 0
                if in_vain > _MOST_IN_VAIN:
                    raise AnsibleAWSError(message=f"{self.name} gave none of {len(left)} items in {in_vain} tries.")
                if in_vain:
                    time.sleep(min(0.05 * 2**in_vain, 5))
                wanted = left
        return found


class Functions:
    """Whether what is sent to is there."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @aws_errors("find the function")
    def function(self, name: str, qualifier: str | None) -> bool:
        more = {"Qualifier": qualifier} if qualifier else {}
        return self._there(lambda: self._cloud("lambda").get_function_configuration(FunctionName=name, **more))

    @aws_errors("find the queue")
    def queue(self, url: str) -> bool:
        return self._there(lambda: self._cloud("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"]))

    @aws_errors("find the topic")
    def topic(self, arn: str) -> bool:
        return self._there(lambda: self._cloud("sns").get_topic_attributes(TopicArn=arn))

    @staticmethod
    def _there(call: Callable[[], Any]) -> bool:
        try:
            call()
        except ClientError as exc:
            if missing(exc):
                return False
            raise
        return True


def as_aws_error(exc: Exception, description: str) -> AnsibleAWSError | None:
    """An error of botocore as the other calls raise theirs; None when it is none."""
    if isinstance(exc, (BotoCoreError, ClientError)):
        return AnsibleAWSError(message=f"Failed to {description}", exception=exc)
    return None
