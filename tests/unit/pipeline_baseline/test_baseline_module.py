"""The module pipeline_baseline, as Ansible runs it, against moto."""

from __future__ import annotations

import io
import json
import zipfile

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.baselines import (
    read_manifests,
    snapshot_items,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.store import Store
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import pipeline_baseline, pipeline_journal
from moto import mock_aws

from tests.unit.module_runs import forget_the_callers_aws, told_by

CLIENT = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
KEYS = {"region": "us-east-1", "access_key": "x", "secret_key": "y"}
ASKED = {**KEYS, "bucket": "log", "table_name": "Items", "function_name": "processor", "segments": 2}


@pytest.fixture
def store(monkeypatch, capsys):
    forget_the_callers_aws(monkeypatch)
    with mock_aws():
        s3, dynamodb, lambda_ = (boto3.client(name, **CLIENT) for name in ("s3", "dynamodb", "lambda"))
        s3.create_bucket(Bucket="log")
        table = dynamodb.create_table(
            TableName="Items",
            KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        for number in range(30):
            dynamodb.put_item(TableName="Items", Item={"Id": {"S": f"item {number}"}, "Bytes": {"B": b"\xff"}})
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = boto3.client("iam", **CLIENT).create_role(RoleName="role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as package:
            package.writestr("it.py", "")
        lambda_.create_function(
            FunctionName="processor",
            Runtime="python3.13",
            Role=role,
            Handler="it.f",
            Code={"ZipFile": code.getvalue()},
        )
        lambda_.create_event_source_mapping(
            FunctionName="processor", EventSourceArn=table["LatestStreamArn"], StartingPosition="TRIM_HORIZON"
        )
        told_by(pipeline_journal, capsys, **KEYS, bucket="log", table_name="Items", settle_seconds=0)
        yield Store(s3, "log")


@pytest.fixture
def run(capsys):
    return lambda check=False, **options: told_by(pipeline_baseline, capsys, check, **{**ASKED, **options})


def test_it_writes_every_item(store, run):
    told = run()
    assert told["changed"] and told["committed"] and told["item_count"] == 30, told
    (manifest,) = read_manifests(store, "audit-logs/")
    assert manifest["keySchema"] == [{"name": "Id", "type": "S"}]
    found = list(snapshot_items(store, manifest))
    assert len({keys["Id"]["S"] for keys, _item in found}) == 30
    assert {item["Bytes"]["B"] for _keys, item in found} == {"/w=="}


def test_check_mode_writes_nothing(store, run):
    before = [each.key for each in store.list("")]
    told = run(check=True)
    assert told["changed"] and not told["committed"] and told["estimate"]["item_count"] == 30
    assert [each.key for each in store.list("")] == before


def test_it_is_refused_with_the_reason(store, run):
    told = run(function_name="another")
    assert told["failed"] and "no event source mapping of the function another" in told["msg"]
    told = run(segments=99)
    assert told["failed"] and told["msg"] == "segments must be from 1 to 32, not 99."
    assert read_manifests(store, "audit-logs/") == []
