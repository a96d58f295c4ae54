"""A table older than its log: a baseline under live writes, killed and gone on with, makes the log tell its state."""

from __future__ import annotations

import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.baselines import (
    read_journal,
    read_manifests,
    snapshot_items,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.completeness import (
    completeness,
    moment,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.dynamodb_json import in_json_form
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.items import Items, Start
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.reader import Reader
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.store import Store
from ansible_runs import Project, until

pytestmark = pytest.mark.cloud

TABLE = "UserActivities-warehouse"
PREFIX = "audit-logs/"
ITEMS = 5_000
QUIET = [{"name": "quiet", "event_names": ["MODIFY"], "sinks": ["notify"]}]


def item(number: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    return {
        "Sku": {"S": f"sku-{number:05d}"},
        "Place": {"N": str(number % 7)},
        "Amount": {"N": str(chance.randrange(10**9))},
        "Blob": {"B": chance.randbytes(40)},
        "Tags": {"SS": ["a", f"t{chance.randrange(9)}"]},
        "More": {"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, {"NS": ["1.5", "-2"]}]}}},
    }


def make_table(cloud) -> None:
    """Someone else's table, with items and without a stream."""
    dynamodb = cloud.client("dynamodb")
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "Sku", "KeyType": "HASH"}, {"AttributeName": "Place", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "Sku", "AttributeType": "S"},
            {"AttributeName": "Place", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for start in range(0, ITEMS, 25):
        puts = [{"PutRequest": {"Item": item(number, number)}} for number in range(start, start + 25)]
        assert not dynamodb.batch_write_item(RequestItems={TABLE: puts}).get("UnprocessedItems")


class Writer(threading.Thread):
    """Puts, changes and deletes items, old and new ones, until it is told to end."""

    def __init__(self, cloud) -> None:
        super().__init__(daemon=True)
        # A client of its own, since the thread makes it while the test uses others.
        self._client, self._ended = cloud.client("dynamodb"), threading.Event()
        self.writes = 0

    def run(self) -> None:
        chance = random.Random(6)
        while not self._ended.wait(0.02):
            number = chance.choice((chance.randrange(ITEMS), chance.randrange(300), ITEMS + chance.randrange(200)))
            changed = item(number, chance.randrange(10**6))
            if chance.random() < 0.3:
                keys = {name: changed[name] for name in ("Sku", "Place")}
                self._client.delete_item(TableName=TABLE, Key=keys)
            else:
                self._client.put_item(TableName=TABLE, Item=changed)
            self.writes += 1

    def end(self) -> None:
        self._ended.set()
        self.join()


def live(cloud) -> dict[tuple[str, str], dict[str, Any]]:
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    found = [{name: in_json_form(value) for name, value in each.items()} for page in pages for each in page["Items"]]
    return {(each["Sku"]["S"], each["Place"]["N"]): each for each in found}


def rebuilt(store: Store, manifest: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The items by baseline and log, now."""
    items = Items()
    for keys, each in snapshot_items(store, manifest):
        items.add_snapshot(keys, each)
    reader = Reader(store, PREFIX)
    for change in reader.changes(moment(manifest["watermark"]), datetime.now(UTC) + timedelta(minutes=1)):
        items.add_change(change)
    assert reader.findings.sentences() == []
    found = {}
    for each in items.all(Start(snapshot_until=manifest["end"])):
        assert not each.faults, each.faults
        if each.state is not None:
            found[(each.keys["Sku"]["S"], each.keys["Place"]["N"])] = each.state
    return found


def plain(items: dict) -> dict:
    """Sets have no order."""
    return {key: {**each, "Tags": {"SS": sorted(each["Tags"]["SS"])}} for key, each in items.items()}


@pytest.fixture(scope="module")
def project(cloud, tmp_path_factory) -> Project:
    cloud.reset()
    make_table(cloud)
    project = Project(
        cloud,
        tmp_path_factory.mktemp("baseline"),
        {"warehouse": {}},
        table_attach=True,
        table_name=TABLE,
        audit_layout="per_batch",
        maximum_batching_window_in_seconds=0,
        batch_size=200,
        baseline_object_bytes=20_000,
    )
    project.run("deploy").ok()
    return project


@pytest.fixture(scope="module")
def store(project) -> Store:
    return Store(project.cloud.client("s3"), project.outputs("warehouse")["audit_bucket"])


def result(run) -> dict[str, Any]:
    return next(each for name, _host, each in run.tasks() if name == "Write the table's items into the audit log")


def objects_written(store: Store) -> int:
    return sum(each.key.endswith(".ndjson.gz") for each in store.list(f"{PREFIX}baseline/"))


def test_killed_under_writes_and_gone_on_with_it_makes_the_log_tell_the_table(project, store, cloud):
    (entry,) = read_journal(store, PREFIX)
    assert entry["complete"] and not entry["beginsWithTable"]
    assert not completeness([entry], [], datetime.now(UTC)).complete

    checked = project.run("baseline", "--check").ok()
    assert result(checked)["changed"] and result(checked)["estimate"]["item_count"] == ITEMS
    assert objects_written(store) == 0

    writer = Writer(cloud)
    writer.start()
    try:
        # Slow enough to be killed in the middle, wherever that is.
        with project.started("baseline", "-e", "baseline_items_per_second=600"):
            until(lambda: objects_written(store) > 2, "the first objects of the baseline", 60)
            time.sleep(random.uniform(0, 3))
        assert read_manifests(store, PREFIX) == []
        killed_at = objects_written(store)

        done = result(project.run("baseline").ok())
        assert done["resumed"] and done["committed"] and done["objects"] > killed_at
        assert writer.writes > 100
        time.sleep(1)
    finally:
        writer.end()

    (manifest,) = read_manifests(store, PREFIX)
    assert manifest["id"] == done["baseline_id"]
    told = completeness(read_journal(store, PREFIX), [manifest], datetime.now(UTC))
    assert told.complete and told.baseline == manifest

    expected = plain(live(cloud))
    until(lambda: plain(rebuilt(store, manifest)) == expected, "the log's state of the table", 60)
    assert len(expected) > ITEMS * 0.9
    project.run("replay", "-e", "replay_target=verify").ok()

    report = json.loads((project.folder / "build/baseline/test/warehouse.json").read_text())
    assert report["committed"] and report["item_count"] == manifest["items"]
    # Item data is in the bucket alone.
    assert "sku-" not in json.dumps(report)


def test_it_is_refused_where_the_log_leaves_something_out_and_the_journal_remembers(project, store, cloud):
    before = objects_written(store)
    uuid = project.outputs("warehouse")["event_source_mapping_uuid"]
    cloud.client("lambda").update_event_source_mapping(UUID=uuid, Enabled=False)
    until(lambda: cloud.client("lambda").get_event_source_mapping(UUID=uuid)["State"] == "Disabled", "the end of it")
    refused = project.run("baseline")
    assert f"the event source mapping {uuid} is Disabled, not Enabled" in refused.failures()[0]

    project.options["rules"] = QUIET
    assert "Note what the audit log holds" in project.run("deploy").ok().changed()
    refused = project.run("baseline")
    assert refused.returncode != 0
    assert "the rule quiet keeps changes out of the audit log" in refused.failures()[0]
    # The inventory may say something else than what is deployed.
    project.options["rules"] = []
    refused = project.run("baseline")
    assert "the log's journal says: the rule quiet" in refused.failures()[0]
    assert objects_written(store) == before

    announced = project.run("deploy", "--check").ok()
    assert announced.changed().count("Note what the audit log holds") == 1
    deployed = project.run("deploy").ok()
    assert deployed.changed().count("Note what the audit log holds") == 1
    entries = read_journal(store, PREFIX)
    assert [each["complete"] for each in entries] == [True, False, True]
    # What the rules left out is missing in between for good, and the earlier baseline is of no use any more.
    manifests = read_manifests(store, PREFIX)
    told = completeness(entries, manifests, datetime.now(UTC))
    assert not told.complete and "the rule quiet" in told.reasons[0]

    done = result(project.run("baseline").ok())
    assert done["committed"] and not done["resumed"]
    time.sleep(1)
    told = completeness(read_journal(store, PREFIX), read_manifests(store, PREFIX), datetime.now(UTC))
    assert told.complete and told.baseline["id"] == done["baseline_id"]


def test_a_deploy_that_changes_nothing_writes_nothing_into_the_journal(project, store):
    before = [each.key for each in store.list(f"{PREFIX}journal/")]
    again = project.run("deploy").ok()
    assert again.changed() == []
    noted = [name for name, _host, each in again.tasks() if name == "Note what the audit log holds"]
    assert len(noted) == 1
    assert [each.key for each in store.list(f"{PREFIX}journal/")] == before
