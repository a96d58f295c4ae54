"""The whole way of a run, against a stand-in that is as strict and as late as AWS."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.dynamodb_table_api import (
    TableApi,
    TableResource,
    key_finder,
    table_info,
)
from aws_table import ARN, MANAGED_KEY, AwsTable, error
from hypothesis import given, settings
from hypothesis import strategies as st

NEW = {"hash_key_name": "Id", "billing_mode": "PAY_PER_REQUEST"}
VIEWS = ["NEW_AND_OLD_IMAGES", "NEW_IMAGE", "OLD_IMAGE", "KEYS_ONLY"]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Kms:
    def __init__(self):
        self.asked = []

    def describe_key(self, KeyId, aws_retry=False):
        self.asked.append(KeyId)
        return {"KeyMetadata": {"Arn": MANAGED_KEY}}


def run(aws, check_mode=False, kms=None, timeout=600, **options):
    """One run of the module: (changed, result, plan)."""
    options = {"state": "present", "name": "orders", "wait": True, "purge_tags": True, **options}
    clock = Clock()
    api = TableApi(aws, options["name"], timeout, clock, clock.sleep)
    resource = TableResource(api, options, key_finder(lambda: kms or Kms()), check_mode)
    plan = resource.plan(resource.read())
    state = plan.after
    if plan.changed and not check_mode:
        resource.apply(plan)
        state = resource.read() or {}
    return plan.changed, resource.result(state), plan


def read_actions(aws):
    return {name for name, _request in aws.calls} - set(aws.writes)


# Creation


def test_a_new_table_is_there_with_its_stream_when_the_run_ends():
    aws = AwsTable(late=2)
    changed, result, _plan = run(aws, **NEW, stream_view_type="NEW_IMAGE", tags={"Team": "a"})
    assert changed
    assert result["table"]["table_status"] == "ACTIVE"
    assert result["latest_stream_arn"] == aws.tables["orders"]["LatestStreamArn"]
    assert result["table"]["tags"] == {"Team": "a"}
    assert aws.writes == ["create_table"]


def test_recovery_and_time_to_live_wait_for_the_table_and_its_backups():
    aws = AwsTable(late=3)
    _changed, result, _plan = run(aws, **NEW, point_in_time_recovery_enabled=True, ttl_attribute="at")
    assert result["table"]["point_in_time_recovery"]["point_in_time_recovery_status"] == "ENABLED"
    assert result["table"]["time_to_live"]["attribute_name"] == "at"
    assert not run(aws, **NEW, point_in_time_recovery_enabled=True, ttl_attribute="at")[0]


def test_check_mode_on_a_fresh_target_predicts_and_writes_nothing():
    aws = AwsTable()
    changed, result, plan = run(aws, check_mode=True, **NEW, stream_view_type="KEYS_ONLY")
    assert (changed, result["table_arn"], result["latest_stream_arn"]) == (True, None, None)
    assert result["table"]["stream_specification"]["stream_view_type"] == "KEYS_ONLY"
    assert (aws.writes, plan.before, plan.after["stream_enabled"]) == ([], {}, True)


def test_bad_options_are_refused_before_any_call():
    aws = AwsTable()
    with pytest.raises(InputError, match="3 to 255"):
        run(aws, **NEW, **{"name": "x"})
    assert aws.calls == []


def test_creation_without_its_key_is_refused_before_any_write():
    aws = AwsTable()
    with pytest.raises(InputError, match="hash_key_name is needed"):
        run(aws, billing_mode="PAY_PER_REQUEST")
    assert aws.writes == []


def test_a_table_made_by_another_meanwhile_is_adjusted():
    aws = AwsTable()
    real, looks = aws._describe_table, []

    def not_at_first(TableName):
        looks.append(TableName)
        if len(looks) == 1:
            aws._create_table(TableName, **_creation())
            raise error("ResourceNotFoundException", "not found")
        return real(TableName)

    aws._describe_table = not_at_first
    _changed, result, _plan = run(aws, **NEW, stream_view_type="KEYS_ONLY")
    assert result["table"]["stream_specification"]["stream_enabled"]
    assert aws.writes == ["create_table", "update_table"]


def test_a_table_of_another_made_meanwhile_is_not_touched():
    aws = AwsTable()
    run(aws, **NEW)
    aws.hidden["orders"] = 1
    with pytest.raises(InputError, match="required_tags: the table orders exists"):
        run(aws, **NEW, tags={"Team": "a"}, required_tags={"Team": "a"})
    assert aws.writes == ["create_table", "create_table"]


def test_a_table_whose_tags_are_not_listed_yet_is_not_taken_for_someone_elses():
    aws = AwsTable()
    own = {"tags": {"Team": "a"}, "required_tags": {"Team": "a"}}
    run(aws, **NEW, **own)
    listed, looks = aws._list_tags_of_resource, []

    def late(ResourceArn, **page):
        looks.append(ResourceArn)
        return {"Tags": []} if len(looks) == 1 else listed(ResourceArn, **page)

    aws._list_tags_of_resource = late
    changed, _result, _plan = run(aws, **NEW, **own)
    assert changed is False


def _creation():
    return {
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }


def test_without_waiting_the_run_ends_at_the_creation():
    aws = AwsTable(late=50)
    _changed, result, _plan = run(aws, **NEW, stream_view_type="KEYS_ONLY", tags={"a": "b"}, wait=False)
    assert (result["table"]["table_status"], result["table"]["tags"]) == ("CREATING", {"a": "b"})
    assert result["latest_stream_arn"] == aws.tables["orders"]["LatestStreamArn"]


def test_tags_that_aws_does_not_list_yet_are_returned_as_written():
    aws = AwsTable()
    aws._list_tags_of_resource = lambda **_request: {"Tags": []}
    assert run(aws, **NEW, tags={"a": "1"})[1]["table"]["tags"] == {"a": "1"}
    assert run(aws, tags={"a": "2"})[1]["table"]["tags"] == {"a": "2"}


# Interrupted runs


@pytest.mark.parametrize("survived", range(1, 6))
def test_a_run_cut_short_anywhere_is_completed_by_the_next(survived):
    wish = {
        **NEW,
        "stream_view_type": "KEYS_ONLY",
        "point_in_time_recovery_enabled": True,
        "ttl_attribute": "at",
        "tags": {"Team": "a"},
        "required_tags": {"Team": "a"},
        "allow_stream_replacement": True,
    }
    aws = AwsTable(late=1)
    if survived > 3:
        run(aws, **{**wish, "stream_view_type": "NEW_IMAGE"})
    with pytest.raises(KeyboardInterrupt):
        _run_until(aws, len(aws.writes) + survived - 3 * (survived > 3), wish)
    run(aws, **wish)
    assert not run(aws, **wish)[0]


def _run_until(aws, writes, wish):
    """Run, and die right after the given number of writes, or at the end."""
    original = AwsTable.__getattr__

    class Mortal(AwsTable):
        def __getattr__(self, name):
            call = original(self, name)

            def dying(**request):
                answer = call(**request)
                if len(self.writes) >= writes:
                    raise KeyboardInterrupt
                return answer

            return dying

    mortal = Mortal()
    mortal.__dict__ = aws.__dict__
    run(mortal, **wish)


def test_a_table_in_the_middle_of_a_change_is_waited_for():
    aws = AwsTable(late=3)
    run(aws, **NEW, wait=False)
    changed, _result, _plan = run(aws, **NEW, deletion_protection_enabled=True)
    assert changed and aws.tables["orders"]["DeletionProtectionEnabled"]


def test_a_table_being_deleted_is_made_anew():
    aws = AwsTable(late=3)
    run(aws, **NEW)
    run(aws, state="absent", wait=False)
    changed, result, _plan = run(aws, **NEW)
    assert changed and result["table"]["table_status"] == "ACTIVE"


def test_waiting_ends_with_what_the_table_was_doing():
    aws = AwsTable(late=1000)
    with pytest.raises(AnsibleAWSError, match="orders is still .* after 60 seconds"):
        run(aws, **NEW, timeout=60)


def test_a_table_busy_for_too_long_fails_with_the_words_of_aws():
    aws = AwsTable()
    run(aws, **NEW)
    aws._update_table = lambda **request: (_unused for _unused in ()).throw(
        error("ResourceInUseException", "being backed up")
    )
    with pytest.raises(AnsibleAWSError, match="Failed to update the table: .*being backed up"):
        run(aws, **NEW, deletion_protection_enabled=True, timeout=60)


# Existing tables


def test_attaching_needs_two_permissions_and_touches_the_stream_alone():
    aws = AwsTable(late=1)
    run(aws, **NEW, deletion_protection_enabled=True, tags={"Owner": "them"}, ttl_attribute="at")
    aws.calls.clear()
    _changed, result, plan = run(aws, stream_view_type="NEW_AND_OLD_IMAGES")
    assert {name for name, _request in aws.calls} == {"describe_table", "update_table"}
    assert {name for name in plan.after if plan.before[name] != plan.after[name]} == {
        "stream_enabled",
        "stream_view_type",
    }
    assert result["latest_stream_arn"]
    assert not run(aws, stream_view_type="NEW_AND_OLD_IMAGES")[0]


@pytest.mark.parametrize(
    ("option", "action"),
    [
        ({"tags": {"a": "b"}}, "list_tags_of_resource"),
        ({"required_tags": {}}, None),
        ({"point_in_time_recovery_enabled": False}, "describe_continuous_backups"),
        ({"ttl_attribute": ""}, "describe_time_to_live"),
    ],
)
def test_only_what_an_option_needs_is_read(option, action):
    aws = AwsTable()
    run(aws, **NEW)
    aws.calls.clear()
    run(aws, **option)
    assert read_actions(aws) == {"describe_table", action} - {None}


def test_a_stream_is_not_replaced_without_the_word():
    aws = AwsTable()
    _changed, first, _plan = run(aws, **NEW, stream_view_type="NEW_IMAGE")
    with pytest.raises(InputError, match="allow_stream_replacement=true"):
        run(aws, stream_view_type="KEYS_ONLY")
    assert aws.writes == ["create_table"]
    _changed, second, _plan = run(aws, stream_view_type="KEYS_ONLY", allow_stream_replacement=True)
    assert first["latest_stream_arn"] != second["latest_stream_arn"]


def test_an_alias_is_looked_up_only_to_compare_it_with_a_key():
    aws, kms = AwsTable(), Kms()
    assert run(aws, kms=kms, **NEW)[0]
    assert run(aws, kms=kms, kms_key_id="alias/aws/dynamodb")[0]
    assert kms.asked == []
    assert not run(aws, kms=kms, kms_key_id="alias/aws/dynamodb")[0]
    assert not run(aws, kms=kms, kms_key_id=MANAGED_KEY)[0]
    assert kms.asked == ["alias/aws/dynamodb"]
    assert run(aws, kms=kms, kms_key_id="")[0]
    assert not run(aws, kms=kms, kms_key_id="AWS_OWNED")[0]


def test_a_denied_call_keeps_the_words_of_aws():
    aws = AwsTable()
    aws.denied = {"create_table"}
    with pytest.raises(AnsibleAWSError, match="Failed to create the table: .*not authorized to perform"):
        run(aws, **NEW)


def test_a_refused_change_of_time_to_live_says_when_to_run_again():
    aws = AwsTable()
    run(aws, **NEW, ttl_attribute="old")
    real = aws._update_time_to_live

    def once(**request):
        aws._update_time_to_live = lambda **_request: (_unused for _unused in ()).throw(
            error("ValidationException", "Time to live has been modified multiple times within a fixed interval")
        )
        return real(**request)

    aws._update_time_to_live = once
    with pytest.raises(AnsibleAWSError, match=r"an hour.*modified multiple times within a fixed interval"):
        run(aws, ttl_attribute="new")
    aws._update_time_to_live = real
    _changed, result, _plan = run(aws, ttl_attribute="new")
    assert result["table"]["time_to_live"]["attribute_name"] == "new"


# Deletion


def test_deletion_waits_until_the_table_is_gone():
    aws = AwsTable(late=3)
    run(aws, **NEW, wait=False)
    aws.hidden.clear()
    changed, result, plan = run(aws, state="absent")
    assert (changed, result["table"], aws.tables, plan.after) == (True, {}, {}, {})
    assert run(aws, state="absent")[0] is False


def test_a_deletion_under_way_is_no_change():
    aws = AwsTable(late=3)
    run(aws, **NEW)
    assert run(aws, state="absent", wait=False)[0]
    assert not run(aws, state="absent")[0]
    assert aws.tables == {}


def test_deletion_needs_no_more_than_it_must_read():
    aws = AwsTable()
    run(aws, **NEW)
    aws.calls.clear()
    ignored = {"tags": {"a": "b"}, "ttl_attribute": "at", "point_in_time_recovery_enabled": True}
    run(aws, state="absent", **ignored)
    assert {name for name, _request in aws.calls} == {"describe_table", "delete_table"}


def test_a_table_of_others_is_not_deleted():
    aws = AwsTable()
    run(aws, **NEW, tags={"Team": "b"})
    with pytest.raises(InputError, match="not this task's to delete"):
        run(aws, state="absent", required_tags={"Team": "a"})
    assert run(aws, state="absent", required_tags={"Team": "b"})[0]


def test_a_protected_table_fails_with_the_words_of_aws_and_the_way_out():
    aws = AwsTable()
    run(aws, **NEW, deletion_protection_enabled=True)
    with pytest.raises(AnsibleAWSError, match=r"deletion_protection_enabled=false.*currently protected"):
        run(aws, state="absent")
    with pytest.raises(InputError, match="would not be deleted"):
        run(aws, state="absent", check_mode=True)


# Description


def test_info_tells_everything_that_it_may_read():
    aws = AwsTable()
    run(aws, **NEW, tags={"a": "1", "b": "2"}, ttl_attribute="at", point_in_time_recovery_enabled=True)
    facts = table_info(TableApi(aws, "orders"))
    assert facts["tags"] == {"a": "1", "b": "2"}
    assert facts["point_in_time_recovery"]["recovery_period_in_days"] == 35
    assert facts["time_to_live"] == {"time_to_live_status": "ENABLED", "attribute_name": "at"}
    assert table_info(TableApi(aws, "invoices")) is None


def test_info_leaves_out_what_it_may_not_read():
    aws = AwsTable()
    run(aws, **NEW, ttl_attribute="at")
    aws.denied = {"list_tags_of_resource", "describe_continuous_backups"}
    facts = table_info(TableApi(aws, "orders"))
    assert (facts["tags"], facts["point_in_time_recovery"]) == (None, None)
    assert facts["time_to_live"]["attribute_name"] == "at"
    aws.denied = {"describe_table"}
    with pytest.raises(AnsibleAWSError, match="describe the table"):
        table_info(TableApi(aws, "orders"))


# Any options on any table

ANY_BILLING = st.one_of(
    st.fixed_dictionaries(
        {
            "billing_mode": st.just("PROVISIONED"),
            "read_capacity": st.integers(1, 9),
            "write_capacity": st.integers(1, 9),
        }
    ),
    st.fixed_dictionaries(
        {"billing_mode": st.just("PAY_PER_REQUEST")},
        optional={
            "max_read_request_units": st.integers(1, 9) | st.just(-1),
            "max_write_request_units": st.integers(1, 9) | st.just(-1),
        },
    ),
)
ANY_STREAM = st.one_of(
    st.just({}),
    st.just({"stream_enabled": False}),
    st.fixed_dictionaries({"stream_view_type": st.sampled_from(VIEWS)}, optional={"stream_enabled": st.just(True)}),
)
ANY_RECOVERY = st.one_of(
    st.just({}),
    st.just({"point_in_time_recovery_enabled": False}),
    st.fixed_dictionaries(
        {"point_in_time_recovery_enabled": st.just(True)}, optional={"recovery_period_in_days": st.integers(1, 35)}
    ),
)
ANY_REST = st.fixed_dictionaries(
    {},
    optional={
        "deletion_protection_enabled": st.booleans(),
        "kms_key_id": st.sampled_from(["", "AWS_OWNED", "alias/aws/dynamodb", f"{MANAGED_KEY}-b"]),
        "ttl_attribute": st.sampled_from(["", "at", "until"]),
        "table_class": st.sampled_from(["STANDARD", "STANDARD_INFREQUENT_ACCESS"]),
        "tags": st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3),
        "purge_tags": st.booleans(),
    },
)


def merged(*parts):
    return {name: value for part in parts for name, value in part.items()}


ANY_OPTIONS = st.builds(merged, ANY_STREAM, ANY_RECOVERY, ANY_REST, ANY_BILLING | st.just({}))
NEW_OPTIONS = st.builds(merged, ANY_STREAM, ANY_RECOVERY, ANY_REST, ANY_BILLING)


def everything(aws):
    """All that the stand-in knows of the table, by AWS's names."""
    table = {name: value for name, value in aws.tables["orders"].items() if not name.startswith("LatestStream")}
    ttl = aws.ttl.get("orders", {})
    return {
        **table,
        "Tags": aws.tags[ARN + "orders"],
        "Backups": aws.backups.get("orders", {"PointInTimeRecoveryStatus": "DISABLED"}),
        "Ttl": ttl.get("AttributeName") if ttl.get("TimeToLiveStatus") == "ENABLING" else None,
    }


TOUCHES = {
    "StreamSpecification": {"stream_enabled", "stream_view_type"},
    "Backups": {"point_in_time_recovery_enabled", "recovery_period_in_days"},
    "DeletionProtectionEnabled": {"deletion_protection_enabled"},
    "SSEDescription": {"kms_key_id"},
    "TableClassSummary": {"table_class"},
    "Ttl": {"ttl_attribute"},
    "Tags": {"tags"},
    "BillingModeSummary": {"billing_mode"},
    "ProvisionedThroughput": {"billing_mode"},
    "OnDemandThroughput": {"billing_mode"},
}


def shows(facts, options):
    """Whether the facts returned show every option given."""
    if "tags" in options:
        tags = facts["tags"]
        if not options["tags"].items() <= tags.items():
            return False
        if options.get("purge_tags", True) and tags != options["tags"]:
            return False
    stream, recovery, ttl = (facts[name] for name in ("stream_specification", "point_in_time_recovery", "time_to_live"))
    key = facts["sse_description"]["kms_master_key_arn"]
    seen = {
        "billing_mode": facts["billing_mode"],
        "read_capacity": facts["provisioned_throughput"]["read_capacity_units"],
        "write_capacity": facts["provisioned_throughput"]["write_capacity_units"],
        **facts["on_demand_throughput"],
        **stream,
        "point_in_time_recovery_enabled": recovery and recovery["point_in_time_recovery_status"] == "ENABLED",
        "recovery_period_in_days": recovery and recovery["recovery_period_in_days"],
        "deletion_protection_enabled": facts["deletion_protection_enabled"],
        "kms_key_id": key,
        "ttl_attribute": ttl and (ttl["attribute_name"] or ""),
        "table_class": facts["table_class"],
    }
    wish = {name: value for name, value in options.items() if name not in ("tags", "purge_tags")}
    if "kms_key_id" in wish:
        wish["kms_key_id"] = {"": None, "AWS_OWNED": None, "alias/aws/dynamodb": MANAGED_KEY}.get(
            wish["kms_key_id"], wish["kms_key_id"]
        )
    return all(seen[name] == value for name, value in wish.items())


@settings(max_examples=100, deadline=None)
@given(first=NEW_OPTIONS, then=ANY_OPTIONS, late=st.integers(0, 2))
def test_any_table_becomes_what_is_asked_and_keeps_the_rest(first, then, late):
    aws = AwsTable(late)
    _changed, made, _plan = run(aws, hash_key_name="Id", **first)
    assert shows(made["table"], first)
    before = everything(aws)

    aws.calls.clear()
    checked, predicted, checked_plan = run(aws, check_mode=True, allow_stream_replacement=True, **then)
    assert aws.writes == []
    changed, result, plan = run(aws, allow_stream_replacement=True, **then)
    assert (changed, plan.before, plan.after) == (checked, checked_plan.before, checked_plan.after)
    assert changed == bool(aws.writes)
    assert shows(result["table"], then)
    assert shows_same(predicted["table"], result["table"])

    after = everything(aws)
    changed_names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert all(TOUCHES[name] & then.keys() for name in changed_names)

    aws.calls.clear()
    assert run(aws, allow_stream_replacement=True, **then)[0] is False
    assert aws.writes == []


def shows_same(predicted, made):
    """Check mode's table is the real one, but for what only AWS can say."""
    unknown = ("latest_stream_arn", "latest_stream_label", "sse_description")
    return all(predicted[name] == made[name] for name in made if name not in unknown) and (
        predicted["latest_stream_arn"] in (None, made["latest_stream_arn"])
    )
