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


@pytest.fixture(scope="module")
def met(cloud, tmp_path_factory):
    """Two deploys of a new pipeline that met: the project, the first run and the second."""
    cloud.reset()
    project = orders(cloud, tmp_path_factory.mktemp("orders"))
    with ThreadPoolExecutor(1) as side:
        first = side.submit(project.run, "deploy")
        until(lambda: lock(cloud), "the first deploy's lock")
        second = project.run("deploy")
        assert not first.done(), "too late to meet the first one"
        return project, first.result(), second


def test_of_two_deploys_at_once_one_stops_and_says_whose_turn_it_is(cloud, met):
    _project, first, second = met
    first.ok()
    assert second.returncode != 0
    for words in ("Another run has the lock", "deploy.yml", "It has it until", "ddb_stream_pipeline_lock_wait"):
        assert words in second.failures()[0]
    assert second.changed() == []
    assert lock(cloud) == {}


def test_a_killed_deploy_blocks_nobody_on_its_machine_and_a_lock_is_no_change(cloud, met):
    project, *_runs = met
    with project.started("deploy") as killed:
        until(lambda: lock(cloud), "the lock of the deploy to be killed")
        killed.kill()
    assert lock(cloud)["holder"].endswith(f"process {killed.pid}, deploy.yml")
    assert project.run("deploy").ok().changed() == []
    assert lock(cloud) == {}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("function_name=stream-processor-renamed", "its function would be stream-processor-renamed now"),
        ("table_name=UserActivities-renamed", "the pipeline's table would be UserActivities-renamed now"),
        ("stream_view_type=KEYS_ONLY", "the table would get a new stream"),
        ("starting_position=LATEST", "began at TRIM_HORIZON, LATEST is asked for"),
    ],
)
def test_what_would_lose_the_place_in_the_stream_is_refused_in_check_mode_too(met, option, words):
    project, *_runs = met
    run = project.run("deploy", "--check", "-e", f"ddb_stream_pipeline_{option}")
    assert run.returncode != 0 and words in run.failures()[0]


def test_a_protected_environment_is_torn_down_only_by_its_name(cloud, met):
    project, *_runs = met
    project.options["protected"] = True
    before = resources(cloud.endpoint)
    for name in ((), ("-e", "teardown_confirm=production")):
        run = project.run("teardown", "-e", "teardown_delete_data=true", *name)
        assert run.returncode != 0 and "-e teardown_confirm=test" in run.failures()[0]
    assert resources(cloud.endpoint) == before
    project.run("teardown", "-e", "teardown_delete_data=true", "-e", "teardown_confirm=test").ok()
    assert resources(cloud.endpoint) == {}


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
