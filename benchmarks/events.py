# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Batches as Lambda hands them over. Deterministic: the same arguments give the same event, on every machine."""

from __future__ import annotations

import json
import random
from typing import Any

#: A synchronous invocation takes no more: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_MAX_BYTES = 6 * 1024 * 1024

_STREAM_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/UserActivities/stream/2026-01-01T00:00:00.000"
_FIRST_SECOND = 1767225600  # 2026-01-01T00:00:00Z
_FIRST_NUMBER = 10**20
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789 "
_LARGE_ITEM_BYTES = 400 * 1024  # the most an item may have


def usual(size: int, first: int = 0) -> dict[str, Any]:
    """A batch of updates of the recipe's items, old and new image both; ``first`` numbers its first record.

    Every record is of another item, so nothing has to wait for its predecessor.
    """
    return _event([_recipe_update(number) for number in range(first, first + size)])


def wide(size: int, first: int = 0) -> dict[str, Any]:
    """The same with items of about 1 KB and every attribute type."""
    return _event([_wide_update(number) for number in range(first, first + size)])


#: What a candidate's batches can be made of.
MADE_OF = {"recipe": usual, "wide": wide}


def small(size: int = 10_000) -> dict[str, Any]:
    """As many new items of some twenty bytes as a batch may have: all overhead, no content."""
    return _event([_insert(number, {"N": {"N": str(number)}}) for number in range(size)])


def large(size: int = 15) -> dict[str, Any]:
    """New items of the greatest size DynamoDB allows, as many as an event has room for."""
    return _event([_insert(number, {"Text": {"S": _text(number, _LARGE_ITEM_BYTES - 100)}}) for number in range(size)])


def to_json(event: dict[str, Any]) -> bytes:
    """The event as Lambda sends it."""
    return json.dumps(event, separators=(",", ":")).encode()


def _event(records: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Records": records}


def _recipe_update(number: int) -> dict[str, Any]:
    """The attributes that the recipe's first sample item has, and its update of them."""
    keys = _keys(number)
    old = {
        **keys,
        "ActivityType": {"S": "LOGIN"},
        "Timestamp": {"N": str(_FIRST_SECOND)},
        "IPAddress": {"S": f"192.168.1.{number % 256}"},
        "UserAgent": {"S": "Mozilla/5.0"},
    }
    new = {**old, "ActivityType": {"S": "LOGOUT"}, "Timestamp": {"N": str(_FIRST_SECOND + number)}}
    return _record(number, "MODIFY", {"Keys": keys, "OldImage": old, "NewImage": new})


def _wide_update(number: int) -> dict[str, Any]:
    keys = _keys(number)
    chance = random.Random(number)
    old = {
        **keys,
        "Action": {"S": chance.choice(["login", "purchase", "view", "logout"])},
        "Amount": {"N": f"{chance.randrange(10**6) / 100:.2f}"},
        "CreatedAt": {"S": "2026-01-01T00:00:00Z"},
        "UpdatedAt": {"S": "2026-01-01T00:00:00Z"},
        "IPAddress": {"S": f"192.0.2.{number % 256}"},
        "UserAgent": {"S": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
        "Status": {"S": "OPEN"},
        "Tags": {"SS": ["mobile", "retail", "returning"]},
        "Device": {"M": {"os": {"S": "linux"}, "trusted": {"BOOL": True}, "label": {"NULL": True}}},
        "Lines": {"L": [{"M": {"sku": {"S": f"SKU-{n:06}"}, "count": {"N": str(n % 9 + 1)}}} for n in range(4)]},
        "Note": {"S": _text(number, 480)},
    }
    new = {**old, "Status": {"S": "CLOSED"}, "UpdatedAt": {"S": "2026-01-01T00:05:00Z"}, "Score": {"N": str(number)}}
    return _record(number, "MODIFY", {"Keys": keys, "OldImage": old, "NewImage": new})


def _insert(number: int, attributes: dict[str, Any]) -> dict[str, Any]:
    keys = {"Id": {"S": f"{number:06}"}}
    return _record(number, "INSERT", {"Keys": keys, "NewImage": {**keys, **attributes}})


def _keys(number: int) -> dict[str, Any]:
    return {"UserId": {"S": f"user-{number % 5000:05}"}, "ActivityId": {"S": f"2026-01-01/activity-{number:09}"}}


def _text(seed: int, length: int) -> str:
    return "".join(random.Random(seed).choices(_LETTERS, k=length))


def _record(number: int, event_name: str, change: dict[str, Any]) -> dict[str, Any]:
    return {
        "eventID": f"{number:032x}",
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": _FIRST_SECOND,
            **change,
            "SequenceNumber": str(_FIRST_NUMBER + number),
            "SizeBytes": 2000 if event_name == "MODIFY" else 42,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": _STREAM_ARN,
    }
