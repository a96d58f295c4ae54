"""The pure side of dynamodb_table: rules, settings, plans."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table import (
    conflicts,
    is_alias,
    plan_absent,
    plan_present,
    problems,
    same_key,
    settings_of,
    settled,
    table_facts,
)

NEW = {
    "state": "present",
    "name": "orders",
    "hash_key_name": "OrderId",
    "billing_mode": "PROVISIONED",
    "read_capacity": 5,
    "write_capacity": 5,
}
BY_REQUEST = {"billing_mode": "PAY_PER_REQUEST", "read_capacity": None, "write_capacity": None}
DESCRIPTION = {
    "TableName": "orders",
    "TableArn": "arn:aws:dynamodb:us-east-1:123456789012:table/orders",
    "TableStatus": "ACTIVE",
    "KeySchema": [
        {"AttributeName": "OrderId", "KeyType": "HASH"},
        {"AttributeName": "At", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "At", "AttributeType": "N"},
        {"AttributeName": "OrderId", "AttributeType": "S"},
    ],
    "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
}
STREAM = {
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    "LatestStreamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/orders/stream/1",
    "LatestStreamLabel": "1",
}
ON_DEMAND = {"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}, "ProvisionedThroughput": {}}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd"


def table(**more):
    return settings_of({**DESCRIPTION, **more}, tags={}, backups={}, ttl={})


def plan(current, **options):
    return plan_present(current, {"state": "present", "name": "orders", **options}, DESCRIPTION["TableArn"])


def requests(plan):
    return [step.request for step in plan.steps]


# Rules that need no table


def test_complete_options_have_no_problems():
    assert problems(NEW) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "ab"}, "3 to 255"),
        ({"name": None, "table_name": "a/b/c"}, "'a/b/c'"),
        ({"name": None}, "name must be"),
        ({"hash_key_name": None}, "hash_key_name is needed"),
        ({"hash_key_name": ""}, "partition key"),
        ({"range_key_name": "OrderId"}, "two attributes"),
        ({"ttl_attribute": "x" * 256}, "ttl_attribute must be at most 255"),
        ({"write_capacity": None}, "read_capacity and write_capacity are needed"),
        ({"billing_mode": None, "read_capacity": None}, "read_capacity and write_capacity are needed"),
        ({"read_capacity": 0}, "read_capacity must be at least 1 (it is 0)"),
        ({"billing_mode": "PAY_PER_REQUEST"}, "read_capacity and write_capacity cannot be given"),
        ({"max_read_request_units": 5}, "max_read_request_units cannot be given with billing_mode=PROVISIONED"),
        ({"billing_mode": None, "max_write_request_units": 5}, "only be given with billing_mode=PAY_PER_REQUEST"),
        ({**BY_REQUEST, "max_read_request_units": 0}, "-1 for no maximum"),
        ({"stream_enabled": True}, "stream_view_type is needed"),
        ({"stream_enabled": False, "stream_view_type": "KEYS_ONLY"}, "leave out one of the two"),
        ({"recovery_period_in_days": 7}, "needs point_in_time_recovery_enabled=true"),
        ({"recovery_period_in_days": 36, "point_in_time_recovery_enabled": True}, "from 1 to 35"),
        ({"recovery_period_in_days": 7, "point_in_time_recovery_enabled": False}, "cannot be given with"),
        ({"required_tags": {"Team": "a"}}, "next run refuses"),
        ({"required_tags": {"Team": "a"}, "tags": {"Team": "b"}}, "see Team"),
    ],
)
def test_impossible_options_are_told_in_one_sentence(options, words):
    (sentence,) = problems({**NEW, **options})
    assert words in sentence


def test_every_problem_is_told_at_once():
    assert len(problems({"state": "present", "name": "x", "read_capacity": 0, "write_capacity": 0})) == 4


def test_an_existing_table_needs_nothing_but_its_name():
    assert problems({"state": "present", "name": "orders", "stream_enabled": True}, exists=True) == []


def test_options_of_a_provisioned_table_may_leave_its_capacity_to_others():
    assert problems({"name": "orders", "billing_mode": "PROVISIONED"}, exists=True) == []


def test_no_maximum_goes_with_every_billing_mode():
    assert problems({**NEW, "max_read_request_units": -1, "max_write_request_units": -1}) == []


def test_required_tags_that_the_tags_hold_are_no_problem():
    assert problems({**NEW, "tags": {"Team": 7, "A": "b"}, "required_tags": {"Team": "7"}}) == []
    unpurged = {"tags": {"A": "b"}, "required_tags": {"Team": "a"}, "purge_tags": False}
    assert problems({**NEW, **unpurged}, exists=True) == []


def test_deleting_needs_a_name_only():
    assert problems({"state": "absent", "name": "orders", "read_capacity": -3}) == []
    assert len(problems({"state": "absent", "name": "o"})) == 1


# Rules of the table that is there


def test_a_table_that_fits_has_no_conflicts():
    given = {"hash_key_name": "OrderId", "hash_key_type": "STRING", "range_key_name": "At", "range_key_type": "NUMBER"}
    assert conflicts(table(), given) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hash_key_name": "Id"}, "hash_key_name cannot be changed after creation: the table orders has OrderId, Id"),
        ({"hash_key_type": "BINARY"}, "has STRING, BINARY is asked for"),
        ({"range_key_name": ""}, "has At, none is asked for"),
        ({"range_key_type": "STRING"}, "has NUMBER, STRING is asked for"),
        ({"max_read_request_units": 7}, "whose billing mode is PROVISIONED"),
        ({"recovery_period_in_days": 7}, "it is off for the table orders"),
        ({"stream_enabled": True}, "stream_view_type is needed"),
        ({"required_tags": {"Team": "a"}}, "does not carry the tag Team=a (it has no such tag)"),
    ],
)
def test_what_the_table_does_not_allow_is_told(options, words):
    (sentence,) = conflicts(table(), options)
    assert words in sentence


def test_capacity_for_a_table_paid_by_request_is_refused():
    (sentence,) = conflicts(table(**ON_DEMAND), {"read_capacity": 7})
    assert "read_capacity cannot be given for the table orders" in sentence


def test_a_sort_key_type_alone_is_no_conflict_for_a_table_without_sort_key():
    alone = table(KeySchema=DESCRIPTION["KeySchema"][:1])
    assert conflicts(alone, {"range_key_name": "", "range_key_type": "STRING"}) == []
    assert len(conflicts(alone, {"range_key_name": "At", "range_key_type": "STRING"})) == 1


@pytest.mark.parametrize("options", [{"stream_view_type": "KEYS_ONLY"}, {"stream_enabled": False}])
def test_a_live_stream_is_replaced_or_switched_off_on_explicit_word_only(options):
    (sentence,) = conflicts(table(**STREAM), options)
    assert "allow_stream_replacement=true" in sentence
    assert "new stream" in sentence or "new one" in sentence
    assert conflicts(table(**STREAM), {**options, "allow_stream_replacement": True}) == []


@pytest.mark.parametrize("options", [{"stream_view_type": "NEW_IMAGE"}, {"stream_enabled": True}])
def test_a_stream_that_is_as_asked_is_no_conflict(options):
    assert conflicts(table(**STREAM), options) == []


def test_switching_to_provisioned_needs_both_capacities():
    (sentence,) = conflicts(table(**ON_DEMAND), {"billing_mode": "PROVISIONED", "read_capacity": 5})
    assert "are needed to switch the table orders" in sentence


def test_switching_to_provisioned_with_indexes_is_refused_by_their_names():
    switch = {"billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 5}
    (sentence,) = conflicts(table(**ON_DEMAND), switch, ["by_date"])
    assert "(by_date)" in sentence
    assert conflicts(table(**ON_DEMAND), switch) == []


def test_a_required_tag_with_another_value_is_refused_with_both_values():
    theirs = {**table(), "tags": {"Team": "b"}}
    (sentence,) = conflicts(theirs, {"required_tags": {"Team": "a"}})
    assert "the tag Team=a (it has Team=b), so it is not this task's to change" in sentence
    assert "leave out everything but its name and stream_view_type" in sentence
    (sentence,) = conflicts(theirs, {"state": "absent", "required_tags": {"Team": "a"}})
    assert "to delete" in sentence
    assert conflicts(theirs, {"state": "absent", "required_tags": {"Team": "b"}}) == []


# Settings


def test_a_table_without_billing_summary_is_provisioned():
    found = settings_of(DESCRIPTION)
    assert (found["billing_mode"], found["read_capacity"], found["max_read_request_units"]) == ("PROVISIONED", 5, None)


def test_a_table_paid_by_request_has_no_capacities_and_its_maxima():
    found = table(**ON_DEMAND, OnDemandThroughput={"MaxReadRequestUnits": 9})
    assert (found["read_capacity"], found["max_read_request_units"], found["max_write_request_units"]) == (None, 9, -1)


def test_settings_that_were_not_read_are_not_claimed():
    assert not {"tags", "ttl_attribute", "point_in_time_recovery_enabled"} & set(settings_of(DESCRIPTION))


@pytest.mark.parametrize(("status", "attribute"), [("ENABLING", "at"), ("DISABLING", ""), ("DISABLED", "")])
def test_a_change_of_time_to_live_under_way_counts_as_done(status, attribute):
    found = settings_of(DESCRIPTION, ttl={"TimeToLiveStatus": status, "AttributeName": "at"})
    assert found["ttl_attribute"] == attribute


def test_a_disabled_encryption_description_is_the_key_that_aws_owns():
    assert table(SSEDescription={"Status": "DISABLED", "SSEType": "KMS"})["kms_key_id"] == "AWS_OWNED"


@pytest.mark.parametrize(
    ("more", "done"),
    [
        ({}, True),
        ({"TableStatus": "UPDATING"}, False),
        ({"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"}, True),
        ({"SSEDescription": {"Status": "UPDATING"}}, False),
    ],
)
def test_a_table_is_settled_when_nothing_is_under_way(more, done):
    assert settled({**DESCRIPTION, **more}) is done


def test_a_table_that_is_not_there_is_settled():
    assert settled(None)


@pytest.mark.parametrize("key", [KEY, "1234abcd", "alias/a"])
def test_a_key_is_recognised_by_arn_id_and_alias(key):
    there = KEY if key != "alias/a" else "arn:aws:kms:us-east-1:123456789012:alias/a"
    assert same_key(key, there)
    assert not same_key(f"x{key}", there)
    assert not same_key(key, "AWS_OWNED")


def test_aliases_are_told_from_keys():
    assert is_alias("alias/a") and is_alias("arn:aws:kms:us-east-1:123456789012:alias/a")
    assert not any(map(is_alias, (KEY, "1234abcd", "", None)))


# Plans


def test_creation_is_one_call_with_everything_it_takes():
    options = {
        **NEW,
        **BY_REQUEST,
        "range_key_name": "At",
        "range_key_type": "NUMBER",
        "max_write_request_units": 9,
        "stream_view_type": "KEYS_ONLY",
        "deletion_protection_enabled": True,
        "kms_key_id": KEY,
        "table_class": "STANDARD_INFREQUENT_ACCESS",
        "tags": {"b": 1, "a": "x"},
    }
    assert requests(plan_present(None, options)) == [
        {
            "TableName": "orders",
            "KeySchema": DESCRIPTION["KeySchema"],
            "AttributeDefinitions": [
                {"AttributeName": "OrderId", "AttributeType": "S"},
                {"AttributeName": "At", "AttributeType": "N"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "OnDemandThroughput": {"MaxWriteRequestUnits": 9},
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
            "DeletionProtectionEnabled": True,
            "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY},
            "TableClass": "STANDARD_INFREQUENT_ACCESS",
            "Tags": [{"Key": "a", "Value": "x"}, {"Key": "b", "Value": "1"}],
        }
    ]


def test_recovery_and_time_to_live_follow_the_creation():
    plan = plan_present(None, {**NEW, "point_in_time_recovery_enabled": True, "ttl_attribute": "expires_at"})
    assert [step.call for step in plan.steps] == ["create_table", "update_continuous_backups", "update_time_to_live"]
    assert plan.before == {}


def test_attaching_switches_the_stream_on_and_does_nothing_else():
    changed = plan(table(), stream_view_type="NEW_IMAGE")
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}}
    assert requests(changed) == [{"TableName": "orders", **stream}]
    assert not plan(table(**STREAM), stream_view_type="NEW_IMAGE").changed


def test_a_stream_is_replaced_by_switching_it_off_and_on():
    changed = plan(table(**STREAM), stream_view_type="KEYS_ONLY", allow_stream_replacement=True)
    assert [request["StreamSpecification"] for request in requests(changed)] == [
        {"StreamEnabled": False},
        {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    ]


def test_a_change_of_one_setting_shows_as_exactly_that():
    changed = plan(table(), read_capacity=6)
    assert set(changed.before) == set(changed.after)
    assert {name for name in changed.after if changed.before[name] != changed.after[name]} == {"read_capacity"}
    throughput = {"ReadCapacityUnits": 6, "WriteCapacityUnits": 5}
    assert requests(changed) == [{"TableName": "orders", "ProvisionedThroughput": throughput}]


def test_a_switch_of_the_billing_mode_is_one_call():
    to_demand = plan(table(), billing_mode="PAY_PER_REQUEST", max_read_request_units=9)
    maxima = {"MaxReadRequestUnits": 9}
    assert requests(to_demand) == [
        {"TableName": "orders", "BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": maxima}
    ]
    back = plan(table(**ON_DEMAND), billing_mode="PROVISIONED", read_capacity=1, write_capacity=2)
    throughput = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 2}
    assert requests(back) == [
        {"TableName": "orders", "BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput}
    ]


def test_removing_one_maximum_keeps_the_other():
    there = table(**ON_DEMAND, OnDemandThroughput={"MaxReadRequestUnits": 9, "MaxWriteRequestUnits": 8})
    changed = plan(there, max_read_request_units=-1)
    assert requests(changed)[0]["OnDemandThroughput"] == {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 8}


def test_each_kind_of_change_is_a_call_of_its_own():
    changed = plan(
        table(),
        read_capacity=9,
        stream_view_type="KEYS_ONLY",
        deletion_protection_enabled=True,
        kms_key_id=KEY,
        table_class="STANDARD_INFREQUENT_ACCESS",
    )
    assert [sorted(request) for request in requests(changed)] == [
        ["DeletionProtectionEnabled", "TableName"],
        ["ProvisionedThroughput", "TableName"],
        ["TableClass", "TableName"],
        ["SSESpecification", "TableName"],
        ["StreamSpecification", "TableName"],
    ]


@pytest.mark.parametrize("asked", ["", "AWS_OWNED"])
def test_the_key_that_aws_owns_can_be_asked_for(asked):
    encrypted = table(SSEDescription={"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY})
    assert requests(plan(encrypted, kms_key_id=asked))[0]["SSESpecification"] == {"Enabled": False}
    assert not plan(table(), kms_key_id=asked).changed


def test_the_key_that_aws_manages_is_asked_for_without_its_name():
    request = requests(plan(table(), kms_key_id="alias/aws/dynamodb"))[0]
    assert request["SSESpecification"] == {"Enabled": True, "SSEType": "KMS"}


def test_an_alias_of_the_key_that_is_there_is_no_change():
    encrypted = table(SSEDescription={"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY})
    options = {"name": "orders", "kms_key_id": "alias/mine"}
    assert not plan_present(encrypted, options, key_arn=KEY).changed
    assert plan_present(encrypted, options, key_arn=f"{KEY}5").changed


def test_another_time_to_live_attribute_takes_two_calls():
    there = {**table(), "ttl_attribute": "old"}
    assert [request["TimeToLiveSpecification"] for request in requests(plan(there, ttl_attribute="new"))] == [
        {"Enabled": False, "AttributeName": "old"},
        {"Enabled": True, "AttributeName": "new"},
    ]


def test_a_recovery_period_alone_keeps_recovery_on():
    on = {**table(), "point_in_time_recovery_enabled": True, "recovery_period_in_days": 35}
    (request,) = requests(plan(on, recovery_period_in_days=7))
    assert request["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True,
        "RecoveryPeriodInDays": 7,
    }


def test_recovery_that_is_on_keeps_its_period():
    on = {**table(), "point_in_time_recovery_enabled": True, "recovery_period_in_days": 7}
    assert not plan(on, point_in_time_recovery_enabled=True).changed


def test_tags_are_added_and_purged_but_those_of_aws():
    there = {**table(), "tags": {"a": "1", "b": "2", "aws:cloudformation:stack-name": "s"}}
    changed = plan(there, tags={"a": "1", "c": "3"})
    assert [(step.call, step.request) for step in changed.steps] == [
        ("tag_resource", {"ResourceArn": DESCRIPTION["TableArn"], "Tags": [{"Key": "c", "Value": "3"}]}),
        ("untag_resource", {"ResourceArn": DESCRIPTION["TableArn"], "TagKeys": ["b"]}),
    ]
    assert changed.after["tags"] == {"a": "1", "c": "3", "aws:cloudformation:stack-name": "s"}
    assert [step.call for step in plan(there, tags={"c": "3"}, purge_tags=False).steps] == ["tag_resource"]


def test_deletion_is_planned_once():
    assert [step.call for step in plan_absent(table()).steps] == ["delete_table"]
    assert not plan_absent(None).changed


# What the user sees


def test_a_planned_table_shows_what_is_known_and_none_for_the_rest():
    facts = table_facts({}, plan_present(None, {**NEW, "stream_view_type": "KEYS_ONLY"}).after)
    assert facts["key_schema"] == [{"attribute_name": "OrderId", "key_type": "HASH"}]
    assert facts["provisioned_throughput"] == {"read_capacity_units": 5, "write_capacity_units": 5}
    assert [facts[name] for name in ("table_arn", "table_status", "latest_stream_arn")] == [None, None, None]


def test_a_stream_to_come_has_no_arn_yet():
    there = {**DESCRIPTION, **STREAM}
    replaced = plan(table(**STREAM), stream_view_type="KEYS_ONLY", allow_stream_replacement=True).after
    assert table_facts(there, replaced)["latest_stream_arn"] is None
    assert table_facts(there, table(**STREAM))["latest_stream_arn"] == STREAM["LatestStreamArn"]


def test_the_attributes_of_indexes_are_shown_too():
    definitions = [*DESCRIPTION["AttributeDefinitions"], {"AttributeName": "Date", "AttributeType": "S"}]
    facts = table_facts({**DESCRIPTION, "AttributeDefinitions": definitions}, table())
    assert {"attribute_name": "Date", "attribute_type": "S"} in facts["attribute_definitions"]


def test_what_was_not_read_is_shown_as_none():
    facts = table_facts(DESCRIPTION, settings_of(DESCRIPTION))
    assert (facts["tags"], facts["point_in_time_recovery"], facts["time_to_live"]) == (None, None, None)
