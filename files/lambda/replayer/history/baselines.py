# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Baselines and the journal of the log: names, forms and reading.

A baseline is the table's items as a scan found them, in objects of gzip lines, and a manifest that is written last:
what has none is not there. The journal has an entry for each time that a deploy changed what the log holds.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from .completeness import moment
from .dynamodb_json import canonical_json, in_json_form
from .objects import DamagedObject
from .store import Gone, Store

ITEM_SCHEMA = "cloudcdc.snapshot/1"
MANIFEST_SCHEMA = "cloudcdc.baseline/1"
JOURNAL_SCHEMA = "cloudcdc.log/1"
#: What one object may unpack to at most. A scan collects less, and one page of it more.
UNPACKED_MAX_BYTES = 64 * 1024 * 1024

_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_ID_TIME = "%Y%m%dT%H%M%SZ"
_GZIP = 16 + zlib.MAX_WBITS

Attributes = dict[str, Any]


def baseline_id(watermark: datetime, token: str) -> str:
    """A baseline's name: its watermark, and eight hex digits of a run's own."""
    return f"{watermark:{_ID_TIME}}-{token[:8]}"


def is_baseline_id(text: str) -> bool:
    return bool(_ID.fullmatch(text))


def baselines_folder(prefix: str) -> str:
    return f"{prefix}baseline/"


def baseline_folder(prefix: str, name: str) -> str:
    return f"{baselines_folder(prefix)}{name}/"


def manifest_key(prefix: str, name: str) -> str:
    return f"{baseline_folder(prefix, name)}manifest.json"


def begin_key(prefix: str, name: str) -> str:
    """The object that a run begins with: what it needs to be resumed."""
    return f"{baseline_folder(prefix, name)}progress/begin.json"


def progress_key(prefix: str, name: str, segment: int) -> str:
    return f"{baseline_folder(prefix, name)}progress/{segment:04d}.json"


def page_key(prefix: str, name: str, segment: int, page: int) -> str:
    return f"{baseline_folder(prefix, name)}{segment:04d}-{page:08d}.ndjson.gz"


def journal_folder(prefix: str) -> str:
    return f"{prefix}journal/"


def journal_key(prefix: str, entry: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(canonical_json(entry).encode()).hexdigest()[:8]
    return f"{journal_folder(prefix)}{moment(entry['since']):{_ID_TIME}}-{digest}.json"


def item_line(item: Attributes, key_names: Iterable[str]) -> bytes:
    """An item of a scan, as boto3 has it, as a line of a baseline."""
    whole = {name: in_json_form(value) for name, value in item.items()}
    told = {"schema": ITEM_SCHEMA, "keys": {name: whole[name] for name in key_names}, "item": whole}
    return canonical_json(told).encode("utf-8", "surrogatepass") + b"\n"


def packed(lines: Iterable[bytes]) -> bytes:
    """The content of an object of a baseline: the same lines give the same bytes."""
    return gzip.compress(b"".join(lines), compresslevel=6, mtime=0)


def page_items(key: str, body: bytes) -> list[tuple[Attributes, Attributes]]:
    """Keys and attributes of each item in an object of a baseline; DamagedObject when it is none."""
    gunzip = zlib.decompressobj(_GZIP)
    try:
        text = gunzip.decompress(body, UNPACKED_MAX_BYTES + 1)
    except zlib.error as exc:
        raise DamagedObject(key, "it is no gzip data, or its checksum is wrong") from exc
    if len(text) > UNPACKED_MAX_BYTES or not gunzip.eof or gunzip.unused_data:
        raise DamagedObject(key, "it is too large, or its gzip data does not end where it does")
    return [_item(key, line, number) for number, line in enumerate(text.splitlines(), 1)]


def read_manifests(store: Store, prefix: str) -> list[dict[str, Any]]:
    """The manifests of all baselines that are whole, the oldest first."""
    folder = baselines_folder(prefix)
    found = []
    for name in baseline_ids(store, prefix):
        try:
            found.append(read_manifest(store, f"{folder}{name}/manifest.json"))
        except Gone:
            continue
    return found


def baseline_ids(store: Store, prefix: str) -> list[str]:
    """The names of all baselines, whole or not, the oldest first; a call for each."""
    folder, found = baselines_folder(prefix), []
    after = ""
    while True:
        first = next((each.key for page in store.pages(folder, after) for each in page), None)
        if first is None:
            return found
        name = first[len(folder) :].partition("/")[0]
        if is_baseline_id(name):
            found.append(name)
        # '0' is the character after '/', so this is behind all that the baseline has.
        after = f"{folder}{name}0"


def read_manifest(store: Store, key: str) -> dict[str, Any]:
    """A baseline's manifest; Gone without one, DamagedObject when it is none."""

    def check(told: dict[str, Any]) -> None:
        moment(told["watermark"]), moment(told["end"])
        str(told["id"]), str(told["streamArn"]), told["tableId"]
        for each in told["objects"]:
            if not each["key"].startswith(key.rpartition("/")[0]):
                raise ValueError("key")
            int(each["items"]), str(each["sha256"])

    return _document(store, key, MANIFEST_SCHEMA, "manifest of a baseline", check)


def read_journal(store: Store, prefix: str) -> list[dict[str, Any]]:
    """The entries of the log's journal, the oldest first."""
    return [read_entry(store, each.key) for each in store.list(journal_folder(prefix)) if each.key.endswith(".json")]


def newest_entry(store: Store, prefix: str) -> dict[str, Any] | None:
    """The journal's last entry; None when it has none."""
    keys = [each.key for each in store.list(journal_folder(prefix)) if each.key.endswith(".json")]
    return read_entry(store, keys[-1]) if keys else None


def read_entry(store: Store, key: str) -> dict[str, Any]:
    """One entry of the journal; DamagedObject when it is none."""

    def check(told: dict[str, Any]) -> None:
        moment(told["since"])
        for name in ("settled", "tableCreated"):
            if told.get(name):
                moment(told[name])
        if not isinstance(told["complete"], bool):
            raise ValueError("complete")

    return _document(store, key, JOURNAL_SCHEMA, "entry of the log's journal", check)


def snapshot_items(store: Store, manifest: Mapping[str, Any]) -> Iterator[tuple[Attributes, Attributes]]:
    """Keys and attributes of every item of a baseline, object by object; DamagedObject where one is not as it was."""
    for each in manifest["objects"]:
        key = each["key"]
        try:
            body = store.read(key)
        except Gone as exc:
            raise DamagedObject(key, "it is gone, and the baseline's manifest names it") from exc
        if hashlib.sha256(body).hexdigest() != each["sha256"]:
            raise DamagedObject(key, "its SHA-256 is not that in the manifest")
        items = page_items(key, body)
        if len(items) != each["items"]:
            raise DamagedObject(key, "it holds another number of items than the manifest says")
        yield from items


def _item(key: str, line: bytes, number: int) -> tuple[Attributes, Attributes]:
    try:
        told = json.loads(line.decode("utf-8", "surrogatepass"))
        if told["schema"] == ITEM_SCHEMA and isinstance(told["keys"], dict) and isinstance(told["item"], dict):
            return told["keys"], told["item"]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    # Outside of the except clause: the decoder's own error holds what it read.
    raise DamagedObject(key, f"line {number} holds no item")


def _document(
    store: Store, key: str, schema: str, what: str, check: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    try:
        told = json.loads(store.read(key))
        if told["schema"] != schema:
            raise ValueError("schema")
        check(told)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise DamagedObject(key, f"it is no {what} ({type(exc).__name__})") from exc
    return told
