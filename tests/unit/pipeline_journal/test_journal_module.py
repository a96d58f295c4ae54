"""The module pipeline_journal, as Ansible runs it, against moto."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_journal
from moto import mock_aws

from tests.unit.module_runs import forget_the_callers_aws, told_by

KEYS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
ASKED = {"bucket": "log", "table_name": "Items", "settle_seconds": 0}
QUIET = [{"name": "quiet", "sinks": []}]


@pytest.fixture
def s3(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    with mock_aws():
        client = boto3.client("s3", **KEYS)
        client.create_bucket(Bucket="log")
        boto3.client("dynamodb", **KEYS).create_table(
            TableName="Items",
            KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        yield client


@pytest.fixture
def run(capsys):
    def run(check=False, **options):
        keys = {"region": "us-east-1", "access_key": "KEYID", "secret_key": "KEYSECRET"}
        return told_by(pipeline_journal, capsys, check, **keys, **options)

    return run


def entries(s3) -> list[dict]:
    listed = s3.list_objects_v2(Bucket="log", Prefix="audit-logs/journal/").get("Contents", [])
    return [json.loads(s3.get_object(Bucket="log", Key=each["Key"])["Body"].read()) for each in listed]


def test_an_entry_is_written_once(s3, run):
    told = run(**ASKED)
    assert told["changed"] and told["diff"]["before"] == {} and told["diff"]["after"]["complete"]
    (entry,) = entries(s3)
    assert told["entry"] == entry
    again = run(**ASKED, mapped=True)
    assert not again["changed"] and again["entry"] == entry and again["diff"]["before"] == again["diff"]["after"]
    assert entries(s3) == [entry]


def test_check_mode_announces_it_and_writes_nothing(s3, run):
    assert run(check=True, **ASKED)["changed"]
    assert entries(s3) == []


def test_check_mode_of_a_fresh_target_knows_neither_bucket_nor_table(s3, run):
    told = run(check=True, bucket="none", table_name="None")
    assert told["changed"] and told["entry"]["beginsWithTable"] and told["entry"]["tableId"] is None


def test_what_leaves_more_out_is_written_before_and_what_leaves_less_out_after(s3, run):
    run(**ASKED)
    told = run(**ASKED, mapped=True, rules=QUIET)
    assert told["changed"] and not told["entry"]["complete"]
    told = run(**ASKED, mapped=True)
    assert told["pending"] and not told["changed"]
    told = run(**ASKED, mapped=True, phase="after")
    assert told["changed"] and not told["pending"]
    assert [each["complete"] for each in entries(s3)] == [True, False, True]


def test_a_rollback_is_written_only_where_rules_left_something_out(s3, run):
    rolled_back = {"bucket": "log", "rolled_back": True}
    assert not run(**rolled_back)["changed"]
    run(**ASKED, rules=QUIET)
    run(**ASKED, mapped=True, phase="after")
    assert run(check=True, **rolled_back)["changed"]
    assert run(**rolled_back)["changed"]
    assert "rolled back" in entries(s3)[-1]["reasons"][0]
    assert not run(**rolled_back)["changed"]


def test_a_damaged_entry_is_named(s3, run):
    s3.put_object(Bucket="log", Key="audit-logs/journal/20260131T100000Z-00000000.json", Body=b"{")
    told = run(**ASKED)
    assert told["failed"] and "20260131T100000Z-00000000.json is damaged" in told["msg"]


def test_a_bucket_that_is_not_there_is_told_in_aws_s_words(s3, run):
    told = run(**{**ASKED, "bucket": "none"})
    assert told["failed"] and "NoSuchBucket" in json.dumps(told)
