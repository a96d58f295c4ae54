"""What the tests of pipeline_verify share: a stream, its changes, and the function's own code to process them."""

from __future__ import annotations

from datetime import UTC, datetime

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import items
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.items import Change, Stream

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


def changes_of(of_stream: Stream, *, count=1, attributes=None, patterns=(), pad=0, limit=262144) -> list[Change]:
    made = items.make_items(of_stream.key_schema, RUN_ID, count, True, attributes or {}, pad)
    return items.plan_changes(made, of_stream, patterns, limit, NOW)


def record_of(change: Change, of_stream: Stream, number: int) -> dict:
    """The stream record that AWS would make of a change."""
    record = items.predicted_record(
        change.event_name, change.item.keys, change.old_image, change.new_image, of_stream, NOW
    )
    record["eventID"] = f"{number:032x}"
    record["dynamodb"].update(SequenceNumber=str(number), SizeBytes=42)
    return record
