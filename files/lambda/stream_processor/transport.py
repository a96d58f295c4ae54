# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two calls the function makes to AWS. The processor knows the protocol; how it is spoken is decided here."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_CONNECT_SECONDS = 1
_READ_SECONDS = 3
_ATTEMPTS = 3
_BACKOFF_SECONDS = 3  # botocore's standard mode waits at most 1 s, then at most 2 s
_CONFLICT_PAUSES = (0.1, 0.2)  # S3 answers a conflict at once, so these attempts cost only their pauses

#: The longest one call takes before it fails: what the processor keeps in reserve is measured by this.
CALL_SECONDS = _ATTEMPTS * (_CONNECT_SECONDS + _READ_SECONDS) + _BACKOFF_SECONDS


class TransportError(Exception):
    """A call failed for good. Holds the error's type and AWS's code; AWS's text may name objects, so it stays out."""

    def __init__(self, error_type: str, aws_code: str = ""):
        super().__init__(f"{error_type} {aws_code}".strip())
        self.error_type = error_type
        self.aws_code = aws_code


@dataclass(frozen=True)
class Order:
    """What a FIFO topic orders by, and what it knows a message by that it was sent before."""

    group: str
    deduplication_id: str


class Transport(Protocol):
    """What the processor needs of AWS. Both calls raise TransportError when they fail."""

    def put_object_if_absent(self, bucket: str, key: str, body: bytes, content_type: str) -> bool:
        """Write the object: True when it was written, False when there is one of that name already."""

    def publish(
        self, topic_arn: str, message: str, subject: str, attributes: dict[str, str], order: Order | None
    ) -> None:
        """Publish a message, in order where the topic is a FIFO topic; every attribute is a String."""


class BotoTransport:
    """The protocol over boto3. Clients are made at their first use and kept, as a Lambda environment is reused."""

    def __init__(self, make_client: Callable[[str], Any] | None = None, sleep: Callable[[float], None] = time.sleep):
        self._make_client = make_client or _boto3_client
        self._sleep = sleep

    @functools.cached_property
    def _s3(self) -> Any:
        return self._make_client("s3")

    @functools.cached_property
    def _sns(self) -> Any:
        return self._make_client("sns")

    def put_object_if_absent(self, bucket: str, key: str, body: bytes, content_type: str) -> bool:
        request = {"Bucket": bucket, "Key": key, "Body": body, "ContentType": content_type, "IfNoneMatch": "*"}
        for pause in _CONFLICT_PAUSES:
            try:
                return self._put(request)
            except TransportError as exc:
                if exc.aws_code != "ConditionalRequestConflict":
                    raise
            self._sleep(pause)
        return self._put(request)

    def publish(
        self, topic_arn: str, message: str, subject: str, attributes: dict[str, str], order: Order | None
    ) -> None:
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        request = {"TopicArn": topic_arn, "Message": message, "Subject": subject, "MessageAttributes": typed}
        if order:
            request.update(MessageGroupId=order.group, MessageDeduplicationId=order.deduplication_id)
        _call(self._sns.publish, **request)

    def _put(self, request: dict[str, Any]) -> bool:
        try:
            _call(self._s3.put_object, **request)
        except TransportError as exc:
            # The name belongs to this change alone, so what is there is this change, written by an earlier attempt.
            if exc.aws_code == "PreconditionFailed":
                return False
            raise
        return True


def _call(operation: Callable[..., Any], **request: Any) -> None:
    """Run a botocore operation; its errors leave as TransportError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        operation(**request)
    except ClientError as exc:
        raise TransportError("ClientError", exc.response.get("Error", {}).get("Code", "")) from None
    except BotoCoreError as exc:
        raise TransportError(type(exc).__name__) from None


def _boto3_client(service: str) -> Any:
    """A client whose calls end, retries included, well within the function's timeout."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    return boto3.client(service, config=config)
