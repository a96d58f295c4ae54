"""The function's environment variables."""

from __future__ import annotations

import pytest
from stream_processor.config import ConfigError, Settings, read_settings

GOOD = {"S3_BUCKET_NAME": "audit-bucket", "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:activity-notifications"}


def test_defaults():
    assert read_settings(GOOD) == Settings(
        bucket="audit-bucket",
        topic_arn=GOOD["SNS_TOPIC_ARN"],
        prefix="audit-logs/",
        layout="per_change",
        notification_max_bytes=262144,
        log_level="INFO",
        notification_mode="per_change",
        concurrency=64,
        metrics_namespace="CloudCDC",
    )


def test_everything_can_be_given():
    given = {
        "AUDIT_PREFIX": "cdc/table=orders/",
        "AUDIT_LAYOUT": "per_batch",
        "NOTIFICATION_MODE": "digest",
        "CONCURRENCY": "16",
        "METRICS_NAMESPACE": "",
        "NOTIFICATION_MAX_BYTES": "1048576",
        "LOG_LEVEL": "ERROR",
        "DRILL_TOKEN": "0f" * 32,
    }
    read = read_settings({**GOOD, **given})
    assert (read.prefix, read.notification_max_bytes, read.log_level) == ("cdc/table=orders/", 1048576, "ERROR")
    assert (read.layout, read.notification_mode, read.concurrency) == ("per_batch", "digest", 16)
    assert read.metrics_namespace == ""
    assert read.drill_token == "0f" * 32


@pytest.mark.parametrize("name", ["changes", "changes.fifo", "c" * 251 + ".fifo"])
def test_the_change_topic_may_be_standard_or_fifo(name):
    arn = f"arn:aws:sns:us-east-1:123456789012:{name}"
    assert read_settings({**GOOD, "SNS_TOPIC_ARN": arn}).topic_arn == arn


def test_the_id_of_a_drill_is_not_the_functions_business():
    assert read_settings({**GOOD, "DRILL_ID": "anything"}) == read_settings(GOOD)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S3_BUCKET_NAME", ""),
        ("S3_BUCKET_NAME", "No_Bucket"),
        ("SNS_TOPIC_ARN", ""),
        ("SNS_TOPIC_ARN", "arn:aws:sqs:us-east-1:123456789012:queue"),
        ("SNS_TOPIC_ARN", "invalid-arn"),
        ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:.fifo"),
        ("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:" + "c" * 252 + ".fifo"),
        ("DRILL_TOKEN", "yes"),
        ("DRILL_TOKEN", "0F" * 32),
        ("DRILL_TOKEN", "0f" * 32 + "\n"),
        ("AUDIT_PREFIX", ""),
        ("AUDIT_PREFIX", "audit-logs"),
        ("AUDIT_PREFIX", "/audit-logs/"),
        ("AUDIT_PREFIX", "audit//logs/"),
        ("AUDIT_PREFIX", "audit/../logs/"),
        ("AUDIT_PREFIX", "./"),
        ("AUDIT_PREFIX", "audit logs/"),
        ("AUDIT_PREFIX", "a" * 512 + "/"),
        ("AUDIT_LAYOUT", "per_day"),
        ("NOTIFICATION_MODE", "never"),
        ("CONCURRENCY", "0"),
        ("CONCURRENCY", "129"),
        ("CONCURRENCY", "many"),
        ("METRICS_NAMESPACE", "AWS/Lambda"),
        ("METRICS_NAMESPACE", "with space"),
        ("NOTIFICATION_MAX_BYTES", "256 KB"),
        ("NOTIFICATION_MAX_BYTES", "32767"),
        ("NOTIFICATION_MAX_BYTES", "1048577"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name) as refused:
        read_settings({**GOOD, name: value})
    others = {"S3_BUCKET_NAME", "SNS_TOPIC_ARN", "AUDIT_PREFIX", "AUDIT_LAYOUT", "NOTIFICATION_MAX_BYTES", "LOG_LEVEL"}
    others |= {"NOTIFICATION_MODE", "CONCURRENCY", "METRICS_NAMESPACE"}
    assert value not in str(refused.value) or name != "DRILL_TOKEN"
    assert not any(other in str(refused.value) for other in others - {name})


def test_all_that_is_missing_is_named_at_once():
    with pytest.raises(ConfigError, match="S3_BUCKET_NAME.*SNS_TOPIC_ARN"):
        read_settings({})
