"""The module dynamodb_table against the local cloud: real streams, and the permissions that it takes."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import dynamodb_table, dynamodb_table_info

pytestmark = pytest.mark.cloud

NAME = "module-dynamodb-table"
REGION = "us-east-1"
NEW = {"hash_key_name": "Id", "billing_mode": "PAY_PER_REQUEST"}


@pytest.fixture
def run(cloud, capsys):
    """Runs a module on the table NAME, as the account's administrator or with other keys; what it told Ansible."""

    def run_module(module=dynamodb_table, keys=None, check=False, **options):
        keys = keys or cloud.credentials()
        connection = {
            "endpoint_url": cloud.endpoint,
            "region": REGION,
            "access_key": keys["aws_access_key_id"],
            "secret_key": keys["aws_secret_access_key"],
        }
        given = {**connection, "name": NAME, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    yield run_module
    run_module(deletion_protection_enabled=False, **NEW)
    assert not run_module(state="absent").get("failed")


def changed(told):
    assert not told.get("failed"), told["msg"]
    return told["changed"]


@pytest.fixture
def user(cloud):
    """Makes a user who may do the given actions on the table, and nothing else; its keys."""
    iam = cloud.client("iam")
    iam.create_user(UserName=NAME)

    def allowed(*actions):
        statement = {"Effect": "Allow", "Action": actions, "Resource": f"arn:aws:dynamodb:*:*:table/{NAME}"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=NAME, PolicyName="table", PolicyDocument=document)
        return keys

    key = iam.create_access_key(UserName=NAME)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    yield allowed
    iam.delete_user_policy(UserName=NAME, PolicyName="table")
    iam.delete_access_key(UserName=NAME, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=NAME)


def newest_record(cloud, stream_arn):
    streams = cloud.client("dynamodbstreams")
    shard = streams.describe_stream(StreamArn=stream_arn)["StreamDescription"]["Shards"][0]["ShardId"]
    start = {"StreamArn": stream_arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    records = streams.get_records(ShardIterator=streams.get_shard_iterator(**start)["ShardIterator"])["Records"]
    return records[-1]["dynamodb"]


def test_a_replaced_stream_holds_what_is_asked(cloud, run):
    first = run(**NEW, stream_view_type="KEYS_ONLY")
    assert changed(first)
    refused = run(stream_view_type="NEW_AND_OLD_IMAGES")
    assert refused["failed"] and "allow_stream_replacement=true" in refused["msg"]
    replaced = run(stream_view_type="NEW_AND_OLD_IMAGES", allow_stream_replacement=True)
    assert changed(replaced) and replaced["latest_stream_arn"] != first["latest_stream_arn"]
    cloud.client("dynamodb").put_item(TableName=NAME, Item={"Id": {"S": "a"}, "Note": {"S": "b"}})
    assert newest_record(cloud, replaced["latest_stream_arn"])["NewImage"] == {"Id": {"S": "a"}, "Note": {"S": "b"}}
    assert not changed(run(stream_view_type="NEW_AND_OLD_IMAGES"))


def test_a_table_goes_from_provisioned_to_everything_at_once_and_back(cloud, run):
    plain = {"billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 5}
    hardened = {
        "billing_mode": "PAY_PER_REQUEST",
        "max_read_request_units": 50,
        "max_write_request_units": 40,
        "stream_view_type": "NEW_IMAGE",
        "point_in_time_recovery_enabled": True,
        "deletion_protection_enabled": True,
        "kms_key_id": "alias/aws/dynamodb",
        "ttl_attribute": "expires_at",
        "table_class": "STANDARD_INFREQUENT_ACCESS",
        "tags": {"Team": "a"},
    }
    assert changed(run(hash_key_name="Id", hash_key_type="NUMBER", **plain))
    predicted = run(check=True, **hardened)
    made = run(**hardened)
    assert changed(predicted) and changed(made)
    assert made["diff"] == predicted["diff"]
    assert not changed(run(**hardened))
    assert changed(run(max_read_request_units=-1))
    (found,) = run(dynamodb_table_info)["tables"]
    assert found["on_demand_throughput"] == {"max_read_request_units": -1, "max_write_request_units": 40}
    assert found["table_class"] == "STANDARD_INFREQUENT_ACCESS"
    assert (found["tags"], found["time_to_live"]["attribute_name"]) == ({"Team": "a"}, "expires_at")
    softened = {
        **plain,
        "point_in_time_recovery_enabled": False,
        "deletion_protection_enabled": False,
        "kms_key_id": "",
        "ttl_attribute": "",
        "table_class": "STANDARD",
        "tags": {},
    }
    assert changed(run(**softened))
    assert not changed(run(**softened))


def test_a_binary_sort_key_is_kept(cloud, run):
    keys = {"range_key_name": "At", "range_key_type": "BINARY"}
    assert changed(run(**NEW, **keys))
    assert not changed(run(**NEW, **keys))
    assert run(**NEW, range_key_name="")["msg"].startswith("range_key_name cannot be changed after creation")


def test_attaching_takes_two_permissions(run, user):
    assert changed(run(**NEW, tags={"Owner": "them"}, deletion_protection_enabled=True))
    keys = user("dynamodb:DescribeTable", "dynamodb:UpdateTable")
    assert changed(run(keys=keys, stream_view_type="NEW_AND_OLD_IMAGES"))
    assert not changed(run(keys=keys, stream_view_type="NEW_AND_OLD_IMAGES"))
    (found,) = run(dynamodb_table_info, keys=keys)["tables"]
    assert (found["tags"], found["time_to_live"], found["point_in_time_recovery"]) == (None, None, None)


def test_a_missing_permission_fails_with_the_words_of_aws(run, user):
    assert changed(run(**NEW))
    told = run(keys=user("dynamodb:DescribeTable"), stream_view_type="NEW_AND_OLD_IMAGES")
    assert told["failed"]
    assert "Failed to update the table" in told["msg"]
    assert "dynamodb:UpdateTable" in told["msg"]


def test_a_table_of_others_is_neither_changed_nor_deleted(cloud, run):
    assert changed(run(**NEW, tags={"Owner": "them"}))
    ours = {"Owner": "us"}
    assert "Owner=us" in run(**NEW, tags=ours, required_tags=ours)["msg"]
    assert "not this task's to delete" in run(state="absent", required_tags=ours)["msg"]
    assert changed(run(state="absent", required_tags={"Owner": "them"}))
    assert NAME not in cloud.client("dynamodb").list_tables()["TableNames"]
