# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the options of a mapping on a DynamoDB stream may be, alone and together. Pure.

Ranges and combinations: https://docs.aws.amazon.com/lambda/latest/api/API_CreateEventSourceMapping.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .filter_pattern import pattern_problems

#: A function's name in every form that AWS takes: name, ARN, partial ARN, each with or without version or alias.
FUNCTION = re.compile(
    r"(?:arn:[^:]+:lambda:(?P<region>[a-z0-9-]+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]+))?"
)

_IDENTITY = ("uuid", "function_name", "event_source_arn")
_RANGES = {
    "batch_size": (1, 10_000),
    "maximum_batching_window_in_seconds": (0, 300),
    "maximum_retry_attempts": (-1, 10_000),
    "parallelization_factor": (1, 10),
    "tumbling_window_in_seconds": (0, 900),
}
_CHOICES = {
    "starting_position": ("TRIM_HORIZON", "LATEST"),
    "function_response_types": ("ReportBatchItemFailures",),
    "metrics": ("EventCount",),
}
# The last part of each may be a placeholder: in check mode, what the run would make has no ARN yet.
_STREAM = re.compile(r"arn:[^:]+:dynamodb:[^:]+:[^:]+:table/[^/]+/stream/.+")
_DESTINATION = re.compile(r"arn:[^:]+:(?:(?:sqs|sns):[^:]+:[^:]+:[^:]+|s3:::[^:/]+)")
_KEY = re.compile(r"arn:[^:]+:kms:[^:]+:[^:]+:key/.+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

_MOST_FILTERS = 10
_MOST_TAGS = 50


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each option, or pair of options, that AWS would refuse, with what to change.

    ``options`` are the module's by name. One that is missing or None counts as left out.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("state") == "absent":
        # What a mapping would have been does not matter to its removal.
        given = {name: value for name, value in given.items() if name in _IDENTITY}
    checks = (_identity, _numbers, _choices, _destination, _filters, _key, _tags)
    return [*(sentence for check in checks for sentence in check(given)), *combination_problems(given)]


def combination_problems(options: dict[str, Any]) -> list[str]:
    """What each option alone may be, but not together."""
    window, factor = (_integer(options.get(name)) for name in ("tumbling_window_in_seconds", "parallelization_factor"))
    if not window or not factor or window < 0 or factor <= 1:
        return []
    return [
        f"tumbling_window_in_seconds is {window} and parallelization_factor is {factor}: a tumbling window needs "
        "one lane a shard; set parallelization_factor to 1, or tumbling_window_in_seconds to 0."
    ]


def _identity(given: dict[str, Any]) -> Iterator[str]:
    uuid, function, stream = (given.get(name) for name in _IDENTITY)
    if uuid is not None and not _UUID.fullmatch(str(uuid)):
        yield f"uuid is {uuid!r}; give the 36 characters that AWS answered when the mapping was made."
    if function is not None and not FUNCTION.fullmatch(str(function)):
        yield (
            f"function_name is {function!r}; give a name (at most 64 letters, digits, hyphens and underscores), "
            "a function ARN, or the ARN of a version or alias."
        )
    if stream is not None and not _STREAM.fullmatch(str(stream)):
        yield (
            f"event_source_arn is {stream!r}; give the ARN of the table's stream (LatestStreamArn of the table): "
            "arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>."
        )


def _numbers(given: dict[str, Any]) -> Iterator[str]:
    for name, (lowest, highest) in _RANGES.items():
        value = _integer(given.get(name))
        if name in given and (value is None or not lowest <= value <= highest):
            yield f"{name} is {given[name]!r}; give a whole number from {lowest} to {highest}."
    age = _integer(given.get("maximum_record_age_in_seconds"))
    if "maximum_record_age_in_seconds" in given and (age is None or not (age == -1 or 60 <= age <= 604_800)):
        yield (
            f"maximum_record_age_in_seconds is {given['maximum_record_age_in_seconds']!r}; give 60 to 604800, or -1 "
            "for as long as the stream keeps its records."
        )


def _choices(given: dict[str, Any]) -> Iterator[str]:
    for name, choices in _CHOICES.items():
        values = given[name] if isinstance(given.get(name), list) else [given[name]] if name in given else []
        for value in values:
            if value not in choices:
                yield f"{name} is {value!r}; a mapping on a DynamoDB stream takes {' or '.join(choices)}."


def _destination(given: dict[str, Any]) -> Iterator[str]:
    arn = given.get("on_failure_destination") or ""
    if not arn:
        return
    if not _DESTINATION.fullmatch(arn):
        yield (
            f"on_failure_destination is {arn!r}; give the ARN of an SQS queue, an SNS topic or an S3 bucket, "
            "or an empty string to remove it."
        )
    elif arn.endswith(".fifo"):
        yield (
            f"on_failure_destination is {arn!r}, which is FIFO; Lambda delivers stream failures to standard queues "
            "and topics only: give one whose name does not end in .fifo."
        )


def _filters(given: dict[str, Any]) -> Iterator[str]:
    patterns = given.get("filter_criteria", [])
    if not isinstance(patterns, list):
        yield 'filter_criteria must be a list of patterns, such as [{"eventName": ["INSERT"]}].'
        return
    if len(patterns) > _MOST_FILTERS:
        yield (
            f"filter_criteria has {len(patterns)} patterns; AWS takes 5, or up to {_MOST_FILTERS} with a raised quota: "
            "put alternatives of one field into one list, or use $or."
        )
    for index, pattern in enumerate(patterns):
        for sentence in pattern_problems(pattern):
            yield f"filter_criteria[{index}]: {sentence}."


def _key(given: dict[str, Any]) -> Iterator[str]:
    arn = given.get("kms_key_arn") or ""
    if arn and not _KEY.fullmatch(arn):
        yield (
            f"kms_key_arn is {arn!r}; give the ARN of a KMS key (arn:aws:kms:<region>:<account>:key/<id>), not an "
            "alias, or an empty string to encrypt with no key of your own."
        )


def _tags(given: dict[str, Any]) -> Iterator[str]:
    tags = given.get("tags", {})
    if not isinstance(tags, dict):
        yield "tags must be a dictionary of names and values."
        return
    if len(tags) > _MOST_TAGS:
        yield f"tags has {len(tags)} entries; AWS takes up to {_MOST_TAGS} a resource."
    for name, value in tags.items():
        if str(name).lower().startswith("aws:"):
            yield f"tags holds {name!r}; names that begin with aws: are AWS's own: choose another."
        if not isinstance(value, (str, int, float)) or not 1 <= len(str(name)) <= 128 or len(str(value)) > 256:
            yield f"tags: {name!r} must have 1 to 128 characters and a plain value of at most 256."


def _integer(value: Any) -> int | None:
    """A whole number, also as text, as inventories and ``-e`` give it; None for anything else."""
    if isinstance(value, bool):
        return None
    return int(value) if isinstance(value, int) or re.fullmatch(r"-?\d+", str(value)) else None
