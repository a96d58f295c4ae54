"""What the tests of pipeline_verify share: a stream, its changes, and the function's own code to process them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import items
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.deciding import Rules
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.items import Change, Stream
from botocore.exceptions import ClientError
from stream_processor.transport import Message, TransportError

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders"
STREAM_ARN = f"{TABLE_ARN}/stream/2026-01-01T00:00:00.000"
NOW = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
PREFIX = "audit-logs/"
BUCKET = "audit-bucket"
RUN_ID = "0123456789abcdef"
#: The module's options as Ansible hands them over, defaults included.
PARAMS = {
    "table_name": "Orders",
    "function_name": "processor",
    "event_source_mapping_uuid": None,
    "audit_bucket": BUCKET,
    "audit_prefix": PREFIX,
    "change_topic_arn": "arn:aws:sns:us-east-1:123456789012:changes",
    "notification_mode": "per_change",
    "rules": [],
    "log_group": None,
    "items": 3,
    "item_attributes": {},
    "awkward_keys": True,
    "large_item": False,
    "notification_max_bytes": 262144,
    "timeout": 120,
    "poll_interval": 1,
    "metrics": ["function", "stream"],
    "metrics_timeout": 300,
}
VIEW_TYPES = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")


def stream(*key_schema: tuple[str, str], view_type: str = "NEW_AND_OLD_IMAGES") -> Stream:
    return Stream("Orders", TABLE_ARN, STREAM_ARN, "us-east-1", view_type, key_schema or (("Id", "S"),))


def changes_of(
    of_stream: Stream, *, count=1, attributes=None, patterns=(), pad=0, limit=262144, rules=()
) -> list[Change]:
    made = items.make_items(of_stream.key_schema, RUN_ID, count, True, attributes or {}, pad)
    return items.plan_changes(made, of_stream, patterns, limit, NOW, Rules(rules))


def record_of(change: Change, of_stream: Stream, number: int) -> dict:
    """The stream record that AWS would make of a change."""
    record = items.predicted_record(
        change.event_name, change.item.keys, change.old_image, change.new_image, of_stream, NOW
    )
    record["eventID"] = f"{number:032x}"
    record["dynamodb"].update(SequenceNumber=str(number), SizeBytes=42)
    return record


class MotoTransport:
    """What the function needs of AWS, by boto3, so that moto sees it."""

    def __init__(self) -> None:
        self._s3, self._sns = boto3.client("s3"), boto3.client("sns")

    def put_object_if_absent(self, bucket: str, key: str, body: bytes, content_type: str, deadline: float) -> bool:
        try:
            self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")
        except ClientError as exc:
            if exc.response["Error"]["Code"] == "PreconditionFailed":
                return False
            raise TransportError("ClientError", exc.response["Error"]["Code"]) from exc
        return True

    def publish(self, topic_arn: str, messages: Sequence[Message], deadline: float) -> list[TransportError | None]:
        return [self._publish(topic_arn, message) for message in messages]

    def _publish(self, topic_arn: str, message: Message) -> TransportError | None:
        attributes: dict[str, Any] = {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        }
        try:
            self._sns.publish(
                TopicArn=topic_arn, Message=message.text, Subject=message.subject, MessageAttributes=attributes
            )
        except ClientError as exc:
            return TransportError("ClientError", exc.response["Error"]["Code"])
        return None
