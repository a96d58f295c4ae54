# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The function's settings, from its environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .layout import LAYOUTS
from .log import LEVELS

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TOPIC = re.compile(r"arn:[^:]+:sns:[^:]+:[0-9]{12}:(?=.{1,256}$)[A-Za-z0-9_-]+(\.fifo)?")
# S3's safe characters and '='; no empty, '.' or '..' folder, which some S3 clients cannot address.
_PREFIX = re.compile(r"((?!\.{1,2}/)[A-Za-z0-9!_.*'()=-]+/)+")
_PREFIX_MAX = 512  # of the 1024 bytes of an S3 key; our own part is up to 121

_DRILL_TOKEN = re.compile(r"([0-9a-f]{64})?")

PER_CHANGE, DIGEST = "per_change", "digest"
NOTIFICATION_MODES = (PER_CHANGE, DIGEST)
#: Threads; each has a connection of its own, and an environment of Lambda may have 1024 of both.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MOST_CONCURRENCY = 128
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html (Namespace of PutMetricData)
_NAMESPACE = re.compile(r"(?!AWS/)([A-Za-z0-9._/#:-]{1,255})?")

#: A notification without images always fits into this: keys are at most 3 KB, six times that when all is escaped.
NOTIFICATION_MIN_BYTES = 32 * 1024
#: SNS's limit for a topic whose MaximumMessageSize is raised to the full.
NOTIFICATION_MAX_BYTES = 1024 * 1024


class ConfigError(ValueError):
    """An environment variable is missing, or its value cannot be used."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; see docs/envelope.md for the variables."""

    bucket: str
    topic_arn: str
    prefix: str
    layout: str
    notification_max_bytes: int
    log_level: str
    notification_mode: str = PER_CHANGE
    concurrency: int = 64
    metrics_namespace: str = ""
    drill_token: str = ""  # the hash of the one item that a failure drill has us refuse; '' outside of drills

    @property
    def fifo(self) -> bool:
        """Whether the change topic is a FIFO topic; SNS tells it by the name."""
        return self.topic_arn.endswith(".fifo")


def read_settings(env: Mapping[str, str]) -> Settings:
    """The settings, or a ConfigError that names every variable that is wrong."""
    settings = Settings(
        bucket=env.get("S3_BUCKET_NAME", ""),
        topic_arn=env.get("SNS_TOPIC_ARN", ""),
        prefix=env.get("AUDIT_PREFIX", "audit-logs/"),
        layout=env.get("AUDIT_LAYOUT", "per_change"),
        notification_max_bytes=_whole_number(env.get("NOTIFICATION_MAX_BYTES", "262144")),
        log_level=env.get("LOG_LEVEL", "INFO"),
        notification_mode=env.get("NOTIFICATION_MODE", PER_CHANGE),
        concurrency=_whole_number(env.get("CONCURRENCY", "64")),
        metrics_namespace=env.get("METRICS_NAMESPACE", "CloudCDC"),
        drill_token=env.get("DRILL_TOKEN", ""),
    )
    problems = [f"{name} {wanted}" for name, wanted in _problems(settings)]
    if problems:
        raise ConfigError(f"The function's environment cannot be used: {'; '.join(problems)}.")
    return settings


def _problems(settings: Settings) -> list[tuple[str, str]]:
    checks = [
        (_BUCKET.fullmatch(settings.bucket), "S3_BUCKET_NAME", "must be the name of the audit bucket"),
        (_TOPIC.fullmatch(settings.topic_arn), "SNS_TOPIC_ARN", "must be the ARN of the change topic"),
        (
            _PREFIX.fullmatch(settings.prefix) and len(settings.prefix) <= _PREFIX_MAX,
            "AUDIT_PREFIX",
            f"must be folder names of S3-safe characters, each ended by '/', at most {_PREFIX_MAX} long",
        ),
        (settings.layout in LAYOUTS, "AUDIT_LAYOUT", f"must be one of {', '.join(LAYOUTS)}"),
        (
            NOTIFICATION_MIN_BYTES <= settings.notification_max_bytes <= NOTIFICATION_MAX_BYTES,
            "NOTIFICATION_MAX_BYTES",
            f"must be a whole number from {NOTIFICATION_MIN_BYTES} to {NOTIFICATION_MAX_BYTES}",
        ),
        (
            settings.notification_mode in NOTIFICATION_MODES,
            "NOTIFICATION_MODE",
            f"must be one of {', '.join(NOTIFICATION_MODES)}",
        ),
        (
            1 <= settings.concurrency <= MOST_CONCURRENCY,
            "CONCURRENCY",
            f"must be a whole number from 1 to {MOST_CONCURRENCY}",
        ),
        (
            _NAMESPACE.fullmatch(settings.metrics_namespace),
            "METRICS_NAMESPACE",
            "must be a name for CloudWatch of up to 255 letters, digits and any of ._/#:-, or nothing",
        ),
        (settings.log_level in LEVELS, "LOG_LEVEL", f"must be one of {', '.join(LEVELS)}"),
        (
            _DRILL_TOKEN.fullmatch(settings.drill_token),
            "DRILL_TOKEN",
            "must be the SHA-256 of an item's keys in 64 hex digits, or absent",
        ),
    ]
    return [(name, wanted) for holds, name, wanted in checks if not holds]


def _whole_number(text: str) -> int:
    """The number, or -1, which no setting allows."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
