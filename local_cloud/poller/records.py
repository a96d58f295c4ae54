"""AWS's answers as the poller's own words: a mapping's settings, and stream records as Lambda's events hold them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from local_cloud.poller.model import RETENTION_SECONDS, Settings

_STREAM = re.compile(r"arn:[^:]+:dynamodb:[^:]+:[^:]+:table/(?P<table>[^/]+)/stream/(?P<label>.+)")


def is_stream(arn: str) -> bool:
    return bool(_STREAM.fullmatch(arn))


def table_and_label(stream_arn: str) -> tuple[str, str]:
    found = _STREAM.fullmatch(stream_arn)
    if not found:
        raise ValueError(f"not the ARN of a DynamoDB stream: {stream_arn}")
    return found["table"], found["label"]


def function_name(function_arn: str) -> str:
    """The function's bare name; its ARN may end in a version or an alias."""
    return function_arn.split(":")[6]


def settings_of(mapping: Mapping[str, Any], retention_seconds: int = RETENTION_SECONDS) -> Settings:
    """One of ListEventSourceMappings' mappings as settings."""
    filters = (mapping.get("FilterCriteria") or {}).get("Filters") or []
    return Settings(
        batch_size=mapping.get("BatchSize", 100),
        window_seconds=mapping.get("MaximumBatchingWindowInSeconds", 0),
        parallelization_factor=mapping.get("ParallelizationFactor", 1),
        maximum_retry_attempts=mapping.get("MaximumRetryAttempts", -1),
        maximum_record_age_seconds=mapping.get("MaximumRecordAgeInSeconds", -1),
        bisect=mapping.get("BisectBatchOnFunctionError", False),
        partial_responses="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
        tumbling_window_seconds=mapping.get("TumblingWindowInSeconds", 0),
        patterns=tuple(each["Pattern"] for each in filters if each.get("Pattern")),
        retention_seconds=retention_seconds,
    )


def destination_of(mapping: Mapping[str, Any]) -> str:
    """The ARN that discarded records are told to; '' for none."""
    return ((mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination") or ""


def counts_events(mapping: Mapping[str, Any]) -> bool:
    return "EventCount" in ((mapping.get("MetricsConfig") or {}).get("Metrics") or [])


def lambda_record(record: Mapping[str, Any], stream_arn: str) -> dict[str, Any]:
    """What GetRecords answered for a change, as Lambda puts it into the event: all JSON, binary values in base64."""
    change = {**record["dynamodb"]}
    change["ApproximateCreationDateTime"] = int(change["ApproximateCreationDateTime"].timestamp())
    for image in ("Keys", "NewImage", "OldImage"):
        if image in change:
            change[image] = _plain(change[image])
    told = {**record, "dynamodb": change, "eventSourceARN": stream_arn}
    if identity := record.get("userIdentity"):
        told["userIdentity"] = {name[0].lower() + name[1:]: value for name, value in identity.items()}
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
