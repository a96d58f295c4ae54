"""Whose a bucket is, and that the lock and the guard ask before anything is written, against moto."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket import Bucket
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_guard, pipeline_lock
from module_runs import forget_the_callers_aws, told_by
from moto import mock_aws

OWN = {"cloudcdc:pipeline": "cdc/dev/orders"}
KEYS = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
LOCK = {**KEYS, "bucket": "audit", "key": ".cloudcdc/lock/orders.json", "required_tags": OWN}
GUARD = {
    **KEYS,
    "table_name": "orders",
    "stream_view_type": "NEW_AND_OLD_IMAGES",
    "function_name": "processor",
    "owner_tags": OWN,
    "buckets": ["audit", "failures"],
}
REFUSED = "the bucket audit exists, but does not carry the tag cloudcdc:pipeline=cdc/dev/orders"


class WithRetry:
    """Takes aws_retry as the module's client does."""

    def __init__(self, client):
        self.client = client

    def __getattr__(self, name):
        return lambda aws_retry=False, **request: getattr(self.client, name)(**request)


@pytest.fixture
def s3(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")


def make(s3, name="audit", tags=None, key=""):
    s3.create_bucket(Bucket=name)
    if tags:
        tag_set = [{"Key": key, "Value": value} for key, value in tags.items()]
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_set})
    if key:
        s3.put_object(Bucket=name, Key=key, Body=b"")


def owned(s3):
    return Bucket(WithRetry(s3), "audit").owned(OWN)


@pytest.mark.parametrize(
    ("tags", "key"), [(None, "theirs"), ({"owner": "finance"}, ""), ({"cloudcdc:pipeline": "other"}, "theirs")]
)
def test_a_bucket_of_someone_else_is_refused(s3, tags, key):
    make(s3, tags=tags, key=key)
    with pytest.raises(InputError, match=REFUSED):
        owned(s3)


@pytest.mark.parametrize(("tags", "key"), [(None, ""), (OWN, "ours"), ({**OWN, "team": "a"}, ""), (None, LOCK["key"])])
def test_the_own_one_and_one_that_a_killed_run_left_pass(s3, tags, key):
    make(s3, tags=tags, key=key)
    assert owned(s3) is (key != "ours")


def test_one_that_is_not_there_passes(s3):
    assert owned(s3) is None


def test_no_lock_is_written_into_a_bucket_of_someone_else(s3, capsys):
    make(s3, tags={"owner": "finance"})
    told = told_by(pipeline_lock, capsys, **LOCK)
    assert told["failed"] and REFUSED in told["msg"]
    assert s3.list_objects_v2(Bucket="audit")["KeyCount"] == 0


def test_the_lock_is_taken_in_the_own_bucket_and_not_where_there_is_none(s3, capsys):
    assert told_by(pipeline_lock, capsys, missing_bucket="ignore", **LOCK)["held"] is False
    make(s3, tags=OWN)
    assert told_by(pipeline_lock, capsys, **LOCK)["held"] is True
    assert s3.list_objects_v2(Bucket="audit")["KeyCount"] == 1


@pytest.mark.parametrize("check", [False, True])
def test_the_guard_refuses_each_bucket_of_someone_else(s3, capsys, check):
    make(s3, tags={"owner": "finance"})
    make(s3, "failures", tags={"owner": "finance"})
    told = told_by(pipeline_guard, capsys, check=check, **GUARD)
    assert told["failed"] and REFUSED in told["msg"] and REFUSED.replace("audit", "failures") in told["msg"]


def test_the_guard_lets_the_own_buckets_pass(s3, capsys):
    make(s3, tags=OWN)
    assert told_by(pipeline_guard, capsys, **GUARD)["event_source_mappings"] == []
