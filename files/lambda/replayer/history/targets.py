# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a replay sends to: a function, a table, a queue or a topic. Clients of botocore's form are given."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import Any

from .answers import NOT_RUN, TOO_LARGE, Failed, NotRun, Outcome, Processed, judge
from .changes import Change
from .delivery import Unit
from .dynamodb_json import in_request_form
from .items import Item, key_digest
from .records import compact, message, stream_record, told, write_request
from .store import BROKEN, error_code, status

#: What an invocation takes is 6 MB; that much is left for what is around the records.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_MAX_BYTES = 6 * 1024 * 1024 - 64 * 1024
_ENTRIES = 10
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_WRITES, _WRITE_BYTES = 25, 16 * 1024 * 1024 - 64 * 1024
#: Another try may succeed. Over all services; https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
_PUT_OFF = (
    *NOT_RUN,
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "KmsThrottled",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestThrottled",
    "RequestTimeout",
    "ThrottledException",
)
#: Names of botocore's errors of a connection that was never made, or broke off.
_NO_CONNECTION = ("ConnectTimeoutError", "ConnectionClosedError", "EndpointConnectionError", *BROKEN)


class FunctionTarget:
    """Hands changes to a function, in the form and with the answers of an event source mapping."""

    def __init__(
        self,
        client: Any,
        name: str,
        qualifier: str | None,
        batch_size: int,
        marker: dict[str, str],
        notify: bool = False,
    ) -> None:
        """The client must not repeat invocations by itself, nor time out before the function does."""
        self._client, self._batch_size, self._marker, self._notify = client, batch_size, marker, notify
        self._request = {"FunctionName": name, "InvocationType": "RequestResponse"}
        if qualifier:
            self._request["Qualifier"] = qualifier

    def unit(self, change: Change, at: bytes) -> Unit:
        body = compact(stream_record(change, self._marker, self._notify))
        digest = key_digest(change.keys)
        # Not the change itself: many wait, and its envelope takes many times the memory of its text.
        content = (change.stream_arn, change.number, body)
        return Unit(at, digest, content, len(body) + 1, change.event_name, told(change, digest))

    def fits(self, batch: list[Unit], size: int, unit: Unit) -> bool:
        if len(batch) >= self._batch_size or size + unit.size > EVENT_MAX_BYTES:
            return False
        (one_stream, one_number, _one), (stream, number, _body) = batch[-1].body, unit.body
        # A report names the lowest sequence number, so these must rise in a batch.
        return one_stream == stream and one_number < number

    def send(self, batch: list[Unit]) -> Outcome:
        event = b'{"Records":[' + b",".join(unit.body[2] for unit in batch) + b"]}"
        try:
            answer = self._client.invoke(**self._request, Payload=event)
            payload, function_error = answer["Payload"].read(), answer.get("FunctionError")
        except Exception as exc:
            if error_code(exc) in TOO_LARGE:
                return Failed(error_code(exc))
            return _put_off(exc)
        numbers = [unit.told["sequence_number"] for unit in batch]
        # Only a function behind a mapping that asks for reports has to give one.
        return judge(numbers, payload, function_error, partial_responses=False)


class _Messages(ABC):
    """What queues and topics have in common: ten messages a call, each with an answer of its own."""

    def __init__(self, client: Any, to: str, bucket: str, marker: dict[str, Any]) -> None:
        self._client, self._to, self._bucket, self._marker = client, to, bucket, marker
        self._fifo = to.endswith(".fifo")

    def unit(self, change: Change, at: bytes) -> Unit:
        text, digest = message(change, self._marker, self._bucket), key_digest(change.keys)
        entry = self._entry(change, digest, text)
        return Unit(at, digest, entry, len(text.encode()), change.event_name, told(change, digest))

    def fits(self, batch: list[Unit], size: int, unit: Unit) -> bool:
        # The limit of one message is that of the ten together.
        if len(batch) >= _ENTRIES or size + unit.size > 256 * 1024 - 1024 * (len(batch) + 1):
            return False
        # Of a batch some messages may fail, so with an order to keep it has one change an item.
        return not self._fifo or all(each.item != unit.item for each in batch)

    def send(self, batch: list[Unit]) -> Outcome:
        entries = [{"Id": str(place), **unit.body} for place, unit in enumerate(batch)]
        try:
            failed = {int(each["Id"]): each for each in self._call(entries).get("Failed", [])}
        except Exception as exc:
            return _put_off(exc)
        if not failed:
            return Processed(len(batch))
        first = min(failed)
        code, put_off = str(failed[first].get("Code")), not failed[first].get("SenderFault")
        if put_off and first == 0:
            return NotRun(code)
        return Processed(first, code, str(failed[first].get("Message", "")), put_off)

    def _entry(self, change: Change, digest: bytes, text: str) -> dict[str, Any]:
        attributes = {"eventName": change.event_name, "table": change.envelope["table"], "replay": self._marker["id"]}
        entry: dict[str, Any] = {
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }
        if self._fifo:
            # Within five minutes the same id is dropped: the change itself may have come just before.
            identity = f"{change.event_id}\n{self._marker['id']}".encode("utf-8", "surrogatepass")
            entry["MessageGroupId"] = digest.hex()[:16]
            entry["MessageDeduplicationId"] = hashlib.sha256(identity).hexdigest()
        return entry | self._body(change, text)

    @abstractmethod
    def _body(self, change: Change, text: str) -> dict[str, Any]:
        """The change's part of an entry."""

    @abstractmethod
    def _call(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Send the entries; AWS's answer."""


class QueueTarget(_Messages):
    """Sends changes to a queue, as a queue that subscribes to the change topic with raw delivery gets them."""

    def _body(self, change: Change, text: str) -> dict[str, Any]:
        return {"MessageBody": text}

    def _call(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return self._client.send_message_batch(QueueUrl=self._to, Entries=entries)


class TopicTarget(_Messages):
    """Publishes changes to a topic, as the pipeline's own notifications."""

    def _body(self, change: Change, text: str) -> dict[str, Any]:
        return {"Message": text, "Subject": f"DynamoDB Activity: {change.event_name}"}

    def _call(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        return self._client.publish_batch(TopicArn=self._to, PublishBatchRequestEntries=entries)


class TableTarget:
    """Writes the state of items into a table. Each item is written once, so their order does not matter."""

    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def unit(self, item: Item) -> Unit:
        content = (write_request(item), in_request_form({"M": item.keys})["M"])
        size = len(compact(item.state))
        return Unit(item.digest, item.digest, content, size, "PUT", {"item": item.hash, "audit_key": item.source})

    def fits(self, batch: list[Unit], size: int, unit: Unit) -> bool:
        return len(batch) < _WRITES and size + unit.size <= _WRITE_BYTES

    def send(self, batch: list[Unit]) -> Outcome:
        requests = [request for request, _keys in (unit.body for unit in batch)]
        try:
            answer = self._client.batch_write_item(RequestItems={self._name: requests})
        except Exception as exc:
            return _put_off(exc)
        left = answer.get("UnprocessedItems", {}).get(self._name, [])
        if not left:
            return Processed(len(batch))
        # Writing an item again changes nothing, so what stands before the first that is left counts as done.
        # By the keys: the members of a set may come back in another order.
        items = [each["PutRequest"]["Item"] for each in left]
        done = next((place for place, unit in enumerate(batch) if _is_among(items, unit.body[1])), 0)
        return Processed(done, put_off=True) if done else NotRun("UnprocessedItems")


def _put_off(exc: Exception) -> NotRun:
    """Another try may get through; the error itself where it will not."""
    code = error_code(exc)
    if code in _PUT_OFF or status(exc) >= 500:
        return NotRun(code)
    if type(exc).__name__ in _NO_CONNECTION:
        return NotRun(type(exc).__name__)
    raise exc


def _is_among(items: list[dict[str, Any]], keys: dict[str, Any]) -> bool:
    return any(all(item.get(name) == value for name, value in keys.items()) for item in items)
