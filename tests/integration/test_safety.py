"""One run at a time on a pipeline; nothing that is someone's, or holds something, is lost by accident."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_runs import Project, until

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

BUCKET = "activity-audit-cdc-test-orders-000000000000-us-east-1"
LOCK = ".cloudcdc/lock/orders.json"


@pytest.fixture
def fresh(cloud):
    cloud.reset()
    return cloud


def orders(cloud, folder: Path, **options) -> Project:
    return Project(cloud, folder, {"orders": {}}, **options)


def lock(cloud) -> dict:
    """What the lock says; empty when there is none."""
    s3 = cloud.client("s3")
    try:
        return json.loads(s3.get_object(Bucket=BUCKET, Key=LOCK)["Body"].read())
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return {}


def test_of_two_deploys_at_once_one_stops_and_a_killed_one_blocks_nobody(fresh, tmp_path):
    project = orders(fresh, tmp_path)
    with ThreadPoolExecutor(1) as side:
        first = side.submit(project.run, "deploy")
        until(lambda: lock(fresh), "the first deploy's lock")
        second = project.run("deploy")
        assert not first.done(), "too late to meet the first one"
        assert second.returncode != 0
        for words in ("Another run has the lock", "deploy.yml", "It has it until", "ddb_stream_pipeline_lock_wait"):
            assert words in second.failures()[0]
        assert second.changed() == []
        first.result().ok()
    assert lock(fresh) == {}

    with project.started("deploy") as killed:
        until(lambda: lock(fresh), "the lock of the deploy to be killed")
        killed.kill()
    assert lock(fresh)["holder"].endswith(f"process {killed.pid}, deploy.yml")
    # It takes the lock over at once, and a lock is no change.
    assert project.run("deploy").ok().changed() == []
    assert lock(fresh) == {}


def test_a_run_that_lost_its_lock_stops_before_its_next_write_and_leaves_the_lock_to_its_new_owner(fresh, tmp_path):
    project = orders(fresh, tmp_path)
    s3 = fresh.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    tags = [{"Key": "cloudcdc:pipeline", "Value": "cdc/test/orders"}]
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": tags})
    # Of a machine that is no more: it goes by its lease.
    s3.put_object(Bucket=BUCKET, Key=LOCK, Body=json.dumps({"token": "old", "holder": "ann@gone", "lease": 1}))
    waits = ["-e", "ddb_stream_pipeline_lock_wait=60", "-e", "__ddb_stream_pipeline_lock_lease=3"]
    with ThreadPoolExecutor(1) as side:
        late = side.submit(project.run, "deploy", *waits)
        until(lambda: lock(fresh).get("holder", "ann@gone") != "ann@gone", "the expired lock is taken over")
        s3.put_object(Bucket=BUCKET, Key=LOCK, Body=json.dumps({"token": "new", "holder": "eve@desk", "lease": 900}))
        stopped = late.result()
    assert stopped.returncode != 0
    assert "is now another run's: eve@desk" in stopped.failures()[0]
    assert lock(fresh)["token"] == "new"
    assert "function" not in resources(fresh.endpoint)
