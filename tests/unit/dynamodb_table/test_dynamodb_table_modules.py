"""The modules from their arguments to AWS's answers, against moto."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

RECIPE = {
    "name": "UserActivities",
    "hash_key_name": "UserId",
    "range_key_name": "ActivityId",
    "billing_mode": "PROVISIONED",
    "read_capacity": 5,
    "write_capacity": 5,
    "stream_view_type": "NEW_AND_OLD_IMAGES",
    "tags": {"Project": "StreamProcessing"},
}


def test_the_table_of_the_recipe_is_created_once(aws, run_table):
    made = run_table(**RECIPE)
    assert made["changed"]
    there = aws.describe_table(TableName="UserActivities")["Table"]
    assert there["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert (made["table_arn"], made["latest_stream_arn"]) == (there["TableArn"], there["LatestStreamArn"])
    assert made["table"]["tags"] == {"Project": "StreamProcessing"}
    again = run_table(**RECIPE)
    assert (again["changed"], again["diff"]["before"]) == (False, again["diff"]["after"])
    assert again["latest_stream_arn"] == made["latest_stream_arn"]


def test_check_mode_on_a_fresh_target_makes_nothing(aws, run_table):
    told = run_table(**RECIPE, _check=True)
    assert (told["changed"], told["table_arn"], told["latest_stream_arn"]) == (True, None, None)
    assert (told["diff"]["before"], told["diff"]["after"]["read_capacity"]) == ({}, 5)
    assert aws.list_tables()["TableNames"] == []


def test_a_new_capacity_is_the_only_difference(aws, run_table):
    run_table(**RECIPE)
    changed = run_table(**{**RECIPE, "read_capacity": 7})
    before, after = changed["diff"]["before"], changed["diff"]["after"]
    assert {**before, "read_capacity": 7} == after
    assert aws.describe_table(TableName="UserActivities")["Table"]["ProvisionedThroughput"]["ReadCapacityUnits"] == 7


def test_check_mode_leaves_an_existing_table_alone(aws, run_table):
    run_table(**RECIPE)
    told = run_table(**{**RECIPE, "billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None},
                     _check=True)  # fmt: skip
    assert (told["changed"], told["table"]["billing_mode"]) == (True, "PAY_PER_REQUEST")
    summary = aws.describe_table(TableName="UserActivities")["Table"]["BillingModeSummary"]
    assert summary["BillingMode"] == "PROVISIONED"


def test_update_keeps_options_left_out(aws, run_table):
    run_table(**RECIPE, deletion_protection_enabled=True, point_in_time_recovery_enabled=True, ttl_attribute="at")
    assert run_table(name="UserActivities", write_capacity=9)["changed"]
    there = aws.describe_table(TableName="UserActivities")["Table"]
    assert there["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert there["DeletionProtectionEnabled"]
    assert there["StreamSpecification"]["StreamEnabled"]
    backups = aws.describe_continuous_backups(TableName="UserActivities")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert aws.describe_time_to_live(TableName="UserActivities")["TimeToLiveDescription"]["AttributeName"] == "at"
    assert aws.list_tags_of_resource(ResourceArn=there["TableArn"])["Tags"] == [
        {"Key": "Project", "Value": "StreamProcessing"}
    ]


def test_attaching_to_a_table_of_someone_else_switches_its_stream_on(aws, run_table):
    aws.create_table(
        TableName="inventory",
        KeySchema=[{"AttributeName": "Sku", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Sku", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
    )
    attached = run_table(table_name="inventory", stream_view_type="NEW_IMAGE")
    assert attached["changed"] and attached["latest_stream_arn"]
    assert attached["table"]["attribute_definitions"] == [{"attribute_name": "Sku", "attribute_type": "B"}]
    assert not run_table(table_name="inventory", stream_view_type="NEW_IMAGE")["changed"]


def test_another_key_is_refused(aws, run_table):
    run_table(**RECIPE)
    told = run_table(**{**RECIPE, "range_key_type": "NUMBER"})
    assert told["failed"]
    assert told["msg"].startswith(
        "range_key_type cannot be changed after creation: the table UserActivities has STRING"
    )


def test_settings_beside_the_table_come_and_go(aws, run_table):
    run_table(**RECIPE)
    on = {"point_in_time_recovery_enabled": True, "recovery_period_in_days": 7, "ttl_attribute": "expires_at"}
    made = run_table(name="UserActivities", **on)
    assert made["table"]["point_in_time_recovery"]["recovery_period_in_days"] == 7
    assert not run_table(name="UserActivities", **on)["changed"]
    off = {"point_in_time_recovery_enabled": False, "ttl_attribute": "", "tags": {}}
    gone = run_table(name="UserActivities", **off)
    assert (gone["changed"], gone["table"]["tags"], gone["table"]["time_to_live"]["attribute_name"]) == (True, {}, None)
    assert not run_table(name="UserActivities", **off)["changed"]


def test_an_encrypted_table_is_recognised_by_the_alias_of_its_key(aws, run_table):
    encrypted = {**RECIPE, "kms_key_id": "alias/aws/dynamodb"}
    assert run_table(**encrypted)["table"]["sse_description"]["status"] == "ENABLED"
    assert not run_table(**encrypted)["changed"]


def test_a_key_that_is_not_there_fails_with_the_words_of_aws(aws, run_table):
    run_table(**RECIPE, kms_key_id="alias/aws/dynamodb")
    told = run_table(name="UserActivities", kms_key_id="alias/missing")
    assert told["failed"] and "find the KMS key" in told["msg"] and "NotFoundException" in told["msg"]


def test_a_table_with_indexes_is_not_switched_to_provisioned(aws, run_table):
    aws.create_table(
        TableName="orders",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("Id", "Date")],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_date",
                "KeySchema": [{"AttributeName": "Date", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    told = run_table(name="orders", billing_mode="PROVISIONED", read_capacity=1, write_capacity=1)
    assert told["failed"] and "(by_date)" in told["msg"]


def test_a_deletion_is_done_once(aws, run_table):
    run_table(**RECIPE)
    assert run_table(name="UserActivities", state="absent", _check=True)["changed"]
    assert aws.list_tables()["TableNames"] == ["UserActivities"]
    gone = run_table(name="UserActivities", state="absent")
    assert (gone["changed"], gone["table"], gone["diff"]["after"]) == (True, {}, {})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.describe_table(TableName="UserActivities")
    assert not run_table(name="UserActivities", state="absent")["changed"]


def test_a_protected_table_stays(aws, run_table):
    run_table(**RECIPE, deletion_protection_enabled=True)
    told = run_table(name="UserActivities", state="absent")
    assert (
        told["failed"] and "deletion_protection_enabled=false" in told["msg"] and "ValidationException" in told["msg"]
    )
    assert run_table(name="UserActivities", deletion_protection_enabled=False)["changed"]
    assert run_table(name="UserActivities", state="absent")["changed"]


def test_a_table_with_the_tags_of_others_is_left_alone(aws, run_table):
    run_table(**RECIPE)
    ours = {"Project": "ours"}
    told = run_table(**{**RECIPE, "tags": ours}, required_tags=ours)
    assert told["failed"] and "does not carry the tag Project=ours (it has Project=StreamProcessing)" in told["msg"]
    assert run_table(name="UserActivities", state="absent", required_tags=ours)["failed"]
    assert aws.list_tables()["TableNames"] == ["UserActivities"]


def test_info_describes_a_table_or_says_that_there_is_none(aws, run_table, run_info):
    nothing = run_info(name="UserActivities")
    assert (nothing["changed"], nothing["tables"]) == (False, [])
    made = run_table(**RECIPE)
    (found,) = run_info(name="UserActivities")["tables"]
    assert found["latest_stream_arn"] == made["latest_stream_arn"]
    assert found["tags"] == {"Project": "StreamProcessing"}
    assert found["time_to_live"]["time_to_live_status"] == "DISABLED"
