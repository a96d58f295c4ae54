# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An audit log of so many changes, in each layout, as the pipeline's function and compaction write it."""

from __future__ import annotations

import functools
import gzip
import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from replayer.history import generations, objects

from benchmarks.replay import folder

PREFIX = "audit-logs/"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
LAYOUTS = ("per_change", "per_batch", "compacted")
#: Changes an invocation of the function gets.
BATCH = 100
_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2025-12-31T00:00:00.000"
_FIRST_NUMBER = 4_210_800_000_000_028_133_746_025
#: Of the changes, so many are to one item.
_OF_AN_ITEM = 10
#: Different images; made once, since a million take their time.
_VARIANTS = 997


def write(place: Path, layout: str, count: int, hours: int) -> None:
    """The log of so many changes, spread evenly over so many hours, in a folder."""
    make = {"per_change": _per_change, "per_batch": _per_batch, "compacted": _compacted}[layout]
    per_hour = count // hours
    folder.write(place, itertools.chain.from_iterable(make(hour, per_hour) for hour in range(hours)))


def envelope(number: int, hour: int, second: int) -> dict[str, Any]:
    """A MODIFY of an order of about 500 bytes in DynamoDB JSON; its text has about 1 300."""
    moment = BEGIN + timedelta(hours=hour, seconds=second)
    return {
        **_rest(number % _VARIANTS),
        "eventID": f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "sequenceNumber": str(_FIRST_NUMBER + number),
        "timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "keys": {"OrderId": {"S": f"order-{number // _OF_AN_ITEM:012d}"}},
    }


@functools.cache
def _rest(variant: int) -> dict[str, Any]:
    source = random.Random(variant)
    return {
        "schema": "cloudcdc.change/1",
        "eventName": "MODIFY",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": _STREAM,
        "awsRegion": "eu-west-1",
        "sizeBytes": 900,
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "table": "Orders",
        "oldImage": _image(variant, source),
        "newImage": _image(variant + 1, source),
        "changedAttributes": ["Status", "Total"],
    }


def _image(state: int, source: random.Random) -> dict[str, Any]:
    return {
        "Customer": {"S": f"customer-{source.randrange(10**6):06d}"},
        "Status": {"S": ("OPEN", "PAID", "SHIPPED", "CLOSED")[state % 4]},
        "Total": {"N": str(source.randrange(10**6))},
        "Lines": {
            "L": [
                {"M": {"Sku": {"S": f"sku-{source.randrange(10**6):08d}"}, "Count": {"N": str(place + 1)}}}
                for place in range(4)
            ]
        },
        "Note": {"S": f"{source.getrandbits(256):064x}"},
    }


@functools.cache
def _text(variant: int) -> str:
    """The line of such a change, with room for what is its own."""
    own = {"eventID": "%s", "sequenceNumber": "%s", "timestamp": "%s", "keys": {"OrderId": {"S": "%s"}}}
    return json.dumps({**_rest(variant), **own}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _lines(hour: int, count: int) -> Iterator[tuple[dict[str, Any], bytes]]:
    for place in range(count):
        number = hour * count + place
        found = envelope(number, hour, place * 3600 // count)
        order = found["keys"]["OrderId"]["S"]
        # The members are sorted: eventID, keys, sequenceNumber, timestamp.
        text = _text(number % _VARIANTS) % (found["eventID"], order, found["sequenceNumber"], found["timestamp"])
        yield found, text.encode()


def _per_change(hour: int, count: int) -> Iterator[tuple[str, bytes]]:
    for found, line in _lines(hour, count):
        yield objects.per_change_key(found, PREFIX), line


def _per_batch(hour: int, count: int) -> Iterator[tuple[str, bytes]]:
    lines = _lines(hour, count)
    while batch := list(itertools.islice(lines, BATCH)):
        key = objects.per_batch_key([found for found, _line in batch], PREFIX)
        yield key, gzip.compress(b"".join(line + b"\n" for _found, line in batch), compresslevel=1, mtime=0)


def _compacted(hour: int, count: int) -> Iterator[tuple[str, bytes]]:
    folder_of_hour = objects.hour_prefix(PREFIX, BEGIN + timedelta(hours=hour))
    data = gzip.compress(b"".join(line + b"\n" for _found, line in _lines(hour, count)), compresslevel=1, mtime=0)
    # Of the sources only the names are left, of batches.
    names = [f"{number:040d}-{number:040d}-{number:016x}.ndjson.gz" for number in range(-(-count // BATCH))]
    sources = gzip.compress("".join(f"{name}\n" for name in names).encode(), compresslevel=1, mtime=0)
    made = generations.Generation(
        key=generations.manifest_key(folder_of_hour, 1),
        number=1,
        changes=count,
        counts={"MODIFY": count},
        first=str(_FIRST_NUMBER),
        last=str(_FIRST_NUMBER + count - 1),
        data_key=generations.data_key(folder_of_hour, 1, "0" * 16),
        data_sha256=hashlib.sha256(data).hexdigest(),
        data_bytes=len(data),
        sources_key=generations.sources_key(folder_of_hour, 1, "0" * 16),
        sources_sha256=hashlib.sha256(sources).hexdigest(),
        sources=len(names),
    )
    yield made.data_key, data
    yield made.sources_key, sources
    yield made.key, made.manifest()
