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
_PREFIX_MAX = 512  # of the 1024 bytes of an S3 key; our own part is 76

_DRILL_TOKEN = re.compile(r"([0-9a-f]{64})?")

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
    drill_token: str = ""  # the hash of the one item that a failure drill has us refuse; '' outside of drills


def read_settings(env: Mapping[str, str]) -> Settings:
    """The settings, or a ConfigError that names every variable that is wrong."""
    settings = Settings(
        bucket=env.get("S3_BUCKET_NAME", ""),
        topic_arn=env.get("SNS_TOPIC_ARN", ""),
        prefix=env.get("AUDIT_PREFIX", "audit-logs/"),
        layout=env.get("AUDIT_LAYOUT", "per_change"),
        notification_max_bytes=_whole_number(env.get("NOTIFICATION_MAX_BYTES", "262144")),
        log_level=env.get("LOG_LEVEL", "INFO"),
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
