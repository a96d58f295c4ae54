"""Baselines and the journal are read back as they were written, and what is damaged is named."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history import baselines
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import DamagedObject
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.history.logs import PREFIX, FakeS3

NAME = "20260131T100000Z-0a1b2c3d"
ITEMS = [{"Id": {"S": f"item {number}"}, "Bytes": {"BS": [b"\x00\xff", b"b"]}} for number in range(5)]


def stored(s3: FakeS3, items: list[dict[str, Any]], name: str = NAME, each: int = 2) -> dict[str, Any]:
    """A baseline of these items, two an object."""
    objects = []
    for page, start in enumerate(range(0, len(items), each)):
        key, part = baselines.page_key(PREFIX, name, 0, page), items[start : start + each]
        body = baselines.packed(baselines.item_line(item, ["Id"]) for item in part)
        s3.objects[key] = body
        objects.append({"key": key, "items": len(part), "sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)})
    manifest = {"schema": "cloudcdc.baseline/1", "id": name, "tableId": "t", "streamArn": "s", "objects": objects}
    manifest |= {"watermark": "2026-01-31T10:00:00Z", "end": "2026-01-31T10:00:09Z"}
    s3.objects[baselines.manifest_key(PREFIX, name)] = json.dumps(manifest).encode()
    return manifest


def test_items_come_back_as_envelopes_have_them():
    s3 = FakeS3()
    manifest = stored(s3, ITEMS)
    found = list(baselines.snapshot_items(s3.store(), manifest))
    assert [keys for keys, _item in found] == [{"Id": item["Id"]} for item in ITEMS]
    assert found[0][1] == {"Id": {"S": "item 0"}, "Bytes": {"BS": ["AP8=", "Yg=="]}}


@given(st.lists(st.text(), max_size=5, unique=True))
def test_any_text_survives(texts):
    s3 = FakeS3()
    manifest = stored(s3, [{"Id": {"S": text}} for text in texts])
    assert [keys["Id"]["S"] for keys, _item in baselines.snapshot_items(s3.store(), manifest)] == texts


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (None, "it is gone"),
        (b"no gzip", "SHA-256"),
        (gzip.compress(b"{}\n", mtime=0), "SHA-256"),
    ],
)
def test_an_object_that_is_not_as_it_was_is_named(body, why):
    s3 = FakeS3()
    manifest = stored(s3, ITEMS)
    key = manifest["objects"][1]["key"]
    if body is None:
        del s3.objects[key]
    else:
        s3.objects[key] = body
    with pytest.raises(DamagedObject, match=why) as found:
        list(baselines.snapshot_items(s3.store(), manifest))
    assert found.value.key == key


@pytest.mark.parametrize("text", [b"{", b"{}", b'{"schema":"cloudcdc.snapshot/1","keys":1,"item":{}}', b"secret"])
def test_a_line_that_is_none_is_named_without_its_content(text):
    with pytest.raises(DamagedObject, match="line 1 holds no item") as found:
        baselines.page_items("key", gzip.compress(text))
    assert "secret" not in str(found.value)


def test_only_baselines_with_a_manifest_are_there():
    s3 = FakeS3(page=2)
    stored(s3, ITEMS, "20260131T110000Z-0a1b2c3d")
    stored(s3, ITEMS)
    s3.objects[baselines.page_key(PREFIX, "20260131T103000Z-00000000", 0, 0)] = b""
    s3.objects[f"{PREFIX}baseline/notes.txt"] = b""
    names = [each["id"] for each in baselines.read_manifests(s3.store(), PREFIX)]
    assert names == [NAME, "20260131T110000Z-0a1b2c3d"]
    assert len(baselines.baseline_ids(s3.store(), PREFIX)) == 3


def test_a_manifest_that_is_none_is_named():
    s3 = FakeS3()
    stored(s3, ITEMS)
    s3.objects[baselines.manifest_key(PREFIX, NAME)] = b'{"schema": "another"}'
    with pytest.raises(DamagedObject, match="no manifest"):
        baselines.read_manifests(s3.store(), PREFIX)


def test_the_journal_is_read_in_its_order():
    s3 = FakeS3()
    entries = [
        {"schema": "cloudcdc.log/1", "since": f"2026-01-{day}T10:00:00Z", "complete": day % 2 == 0}
        for day in (11, 12, 13)
    ]
    for entry in reversed(entries):
        s3.objects[baselines.journal_key(PREFIX, entry)] = json.dumps(entry).encode()
    assert baselines.read_journal(s3.store(), PREFIX) == entries
    assert baselines.newest_entry(s3.store(), PREFIX) == entries[-1]
    assert baselines.newest_entry(FakeS3().store(), PREFIX) is None
    s3.objects[f"{PREFIX}journal/20260201T000000Z-00000000.json"] = b"[]"
    with pytest.raises(DamagedObject, match="no entry of the log's journal"):
        baselines.read_journal(s3.store(), PREFIX)


def test_names_tell_the_time_and_sort_by_it():
    name = baselines.baseline_id(datetime(2026, 1, 31, 10, 0, 5, tzinfo=UTC), "0123456789abcdef")
    assert name == "20260131T100005Z-01234567"
    assert baselines.is_baseline_id(name) and not baselines.is_baseline_id(f"{name}/x")
