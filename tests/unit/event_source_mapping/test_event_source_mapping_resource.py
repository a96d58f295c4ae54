"""The whole flow against a Lambda that is slow, busy, racing or gone. Nobody waits: the clock is ours."""

from __future__ import annotations

import pytest
from ansible_collections.amazon.aws.plugins.module_utils.modules import AnsibleAWSModule
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_resource import (
    MappingResource,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.runner import run_resource
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules.event_source_mapping import ARGUMENTS
from esm_support import FUNCTION, KEY, OTHER_STREAM, QUEUE, STREAM, FakeClock, FakeLambda, client_error

NO_RIGHTS = client_error(
    "InvalidParameterValueException",
    "The provided execution role does not have permissions to call SendMessage on SQS",
)
NO_STREAM_RIGHTS = client_error(
    "InvalidParameterValueException",
    "Cannot access stream arn:aws:dynamodb:us-east-1:111111111111:table/orders/stream/2026-01-01T00:00:00.000. Please "
    "ensure the role can perform the GetRecords, GetShardIterator, DescribeStream, and ListStreams Actions on your "
    "stream in IAM.",
)
NO_ROLE = client_error(
    "InvalidParameterValueException", "The role defined for the function cannot be assumed by Lambda."
)
NO_STREAM = client_error("InvalidParameterValueException", "Stream not found: " + STREAM)
IN_USE = client_error("ResourceInUseException", "Cannot update the event source mapping: it is in use.")
CONFLICT = client_error("ResourceConflictException", "An event source mapping already exists: UUID 0a1b2c3d")


class Left(Exception):
    """The module ended."""


class FakeModule:
    """What the runner needs of a module; errors are told by amazon.aws's own code."""

    def __init__(self, check):
        self.check_mode, self._diff = check, True
        self.told = {}

    def exit_json(self, **told):
        self.told = told
        raise Left

    def fail_json(self, **told):
        self.exit_json(failed=True, **told)

    def fail_json_aws_error(self, exc):
        AnsibleAWSModule.fail_json_aws_error(self, exc)

    def fail_json_aws(self, exception, msg=None):
        AnsibleAWSModule.fail_json_aws(self, exception, msg=msg)

    def _gather_versions(self):
        return {}


def run(fake, check=False, clock=None, **given):
    """Run the module's flow with these options, at defaults for the others; answers what it told."""
    options = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
    if "uuid" not in given:
        options.update(function_name=FUNCTION, event_source_arn=STREAM)
    options.update(given)
    module = FakeModule(check)
    with pytest.raises(Left):
        run_resource(module, MappingResource(options, fake, clock or FakeClock()))
    return module.told


def test_creation_is_one_request_with_settings_and_tags():
    fake = FakeLambda()
    told = run(fake, batch_size=10, on_failure_destination=QUEUE, tags={"Project": "p"})
    assert told["changed"]
    assert fake.writes == ["create_event_source_mapping"]
    (request,) = fake.requests("create_event_source_mapping")
    assert request["Tags"] == {"Project": "p"}
    assert told["event_source_mapping"]["state"] == "Enabled"
    assert told["event_source_mapping"]["tags"] == {"Project": "p"}


def test_a_second_run_writes_nothing():
    fake = FakeLambda()
    options = {"batch_size": 10, "on_failure_destination": QUEUE, "filter_criteria": [{"eventName": ["INSERT"]}]}
    first = run(fake, **options)
    fake.calls.clear()
    second = run(fake, **options)
    assert (second["changed"], fake.writes) == (False, [])
    assert second["event_source_mapping"] == first["event_source_mapping"]
    assert second["diff"]["before"] == second["diff"]["after"]


def test_an_update_changes_the_mapping_that_is_there():
    fake = FakeLambda()
    uuid = fake.add(tags={"Old": "1"})
    told = run(fake, batch_size=5, enabled=False, tags={"New": "2"})
    assert fake.writes == ["untag_resource", "tag_resource", "update_event_source_mapping"]
    assert told["event_source_mapping"]["uuid"] == uuid
    assert told["event_source_mapping"]["state"] == "Disabled"
    assert told["event_source_mapping"]["tags"] == {"New": "2"}


def test_disabling_and_enabling_again():
    fake = FakeLambda(slow=2)
    fake.add()
    assert run(fake, enabled=False)["event_source_mapping"]["state"] == "Disabled"
    assert not run(fake, enabled=False)["changed"]
    assert run(fake, enabled=True)["event_source_mapping"]["state"] == "Enabled"


def test_moving_to_an_alias_changes_the_one_mapping():
    fake = FakeLambda()
    uuid = fake.add()
    told = run(fake, function_name=f"{FUNCTION}:live")
    assert fake.requests("update_event_source_mapping") == [{"UUID": uuid, "FunctionName": f"{FUNCTION}:live"}]
    assert told["event_source_mapping"]["function_arn"] == f"{FUNCTION}:live"
    assert not run(fake, function_name=f"{FUNCTION}:live")["changed"]


def test_a_mapping_is_found_by_uuid_and_may_move_to_another_function():
    fake = FakeLambda()
    uuid = fake.add()
    run(fake, uuid=uuid, function_name="other")
    assert fake.requests("update_event_source_mapping") == [{"UUID": uuid, "FunctionName": "other"}]
    assert fake.requests("list_event_source_mappings") == []


def test_a_uuid_that_does_not_exist_is_told():
    told = run(FakeLambda(), uuid="00000000-0000-0000-0000-00000000dead", batch_size=5)
    assert told["failed"]
    assert "There is no event source mapping with uuid 00000000-0000-0000-0000-00000000dead" in told["msg"]


def test_the_mapping_is_found_on_any_page():
    fake = FakeLambda(page=2)
    for number in range(4):
        fake.add(function=f"{FUNCTION}-{number}")
    uuid = fake.add()
    assert run(fake)["event_source_mapping"]["uuid"] == uuid
    assert [request["Marker"] for request in fake.requests("list_event_source_mappings")] == ["0", "2", "4"]


def test_mappings_of_other_functions_and_streams_are_left_alone():
    fake = FakeLambda()
    fake.add(function=f"{FUNCTION}-2")
    fake.add(source=OTHER_STREAM)
    told = run(fake)
    assert fake.writes == ["create_event_source_mapping"]
    assert told["event_source_mapping"]["uuid"] not in list(fake.records)[:2]


def test_more_than_one_match_is_an_error_that_names_them():
    fake = FakeLambda()
    uuids = [fake.add(), fake.add(function=f"{FUNCTION}:live")]
    for state in ("present", "absent"):
        told = run(fake, state=state)
        assert told["failed"]
        assert ", ".join(uuids) in told["msg"]
    assert fake.writes == []


def test_a_mapping_on_its_way_out_does_not_count_beside_a_live_one():
    fake = FakeLambda()
    fake.enter(fake.add(), "Deleting", None, looks=1)
    uuid = fake.add(function=f"{FUNCTION}:live")
    assert run(fake, function_name=f"{FUNCTION}:live")["event_source_mapping"]["uuid"] == uuid


def test_a_mapping_of_another_kind_of_source_is_not_touched():
    fake = FakeLambda()
    uuid = fake.add(source=QUEUE)
    told = run(fake, uuid=uuid, batch_size=5)
    assert told["failed"]
    assert "no DynamoDB stream" in told["msg"]
    assert run(fake, uuid=uuid, state="absent")["failed"]
    assert fake.writes == []


@pytest.mark.parametrize("state", ["Creating", "Enabling", "Updating"])
def test_a_transition_is_waited_for_before_comparing(state):
    fake, clock = FakeLambda(), FakeClock()
    fake.enter(fake.add(BatchSize=5), state, "Enabled", looks=3)
    told = run(fake, clock=clock, batch_size=5, enabled=True)
    assert (told["changed"], fake.writes) == (False, [])
    assert told["event_source_mapping"]["state"] == "Enabled"
    assert len(clock.naps) == 4


def test_a_mapping_being_disabled_is_enabled_again():
    fake = FakeLambda()
    fake.enter(fake.add(), "Disabling", "Disabled", looks=1)
    told = run(fake, enabled=True)
    assert told["changed"]
    assert told["event_source_mapping"]["state"] == "Enabled"


def test_a_deletion_under_way_is_waited_for_and_then_the_mapping_is_made():
    fake = FakeLambda()
    old = fake.add()
    fake.enter(old, "Deleting", None, looks=2)
    told = run(fake)
    assert told["changed"]
    assert fake.writes == ["create_event_source_mapping"]
    assert list(fake.records) == [told["event_source_mapping"]["uuid"]]


def test_the_end_of_our_own_changes_is_waited_for():
    fake = FakeLambda(slow=3)
    assert run(fake)["event_source_mapping"]["state"] == "Enabled"
    assert run(fake, batch_size=7)["event_source_mapping"]["state"] == "Enabled"
    assert run(fake, state="absent") == {"changed": True, "diff": {"before": _settings_of(7), "after": {}}}
    assert fake.records == {}


def _settings_of(batch_size):
    fake = FakeLambda()
    fake.add(BatchSize=batch_size)
    return run(fake)["diff"]["before"]


def test_without_wait_the_state_is_told_as_it_is():
    fake, clock = FakeLambda(slow=3), FakeClock()
    assert run(fake, clock=clock, wait=False)["event_source_mapping"]["state"] == "Creating"
    assert clock.naps == []
    fake = FakeLambda(slow=3)
    fake.add()
    assert run(fake, clock=clock, wait=False, enabled=False)["event_source_mapping"]["state"] == "Disabling"
    assert clock.naps == []


def test_without_wait_a_change_under_way_is_waited_for_all_the_same():
    fake, clock = FakeLambda(), FakeClock()
    fake.enter(fake.add(), "Updating", "Disabled", looks=3)
    assert not run(fake, clock=clock, wait=False, enabled=False)["changed"]
    assert clock.naps != []


class LaggingLambda(FakeLambda):
    """Its answer to an update still tells the state from before."""

    def update_event_source_mapping(self, aws_retry, UUID, **request):
        return {**super().update_event_source_mapping(aws_retry, UUID, **request), "State": "Enabled"}


def test_the_answer_to_a_change_is_not_taken_for_its_end():
    fake, clock = LaggingLambda(slow=2), FakeClock()
    fake.add()
    assert run(fake, clock=clock, enabled=False)["event_source_mapping"]["state"] == "Disabled"
    assert clock.naps != []


def test_a_new_mapping_that_is_not_visible_yet_is_waited_for():
    fake = FakeLambda(slow=1)
    fake.errors["get_event_source_mapping"] = [client_error("ResourceNotFoundException", "does not exist")] * 2
    assert run(fake)["event_source_mapping"]["state"] == "Enabled"


def test_a_state_that_does_not_end_is_named_when_the_time_is_over():
    fake, clock = FakeLambda(), FakeClock()
    uuid = fake.add()
    fake.enter(uuid, "Updating", "Enabled", looks=1000)
    told = run(fake, clock=clock, wait_timeout=30, batch_size=5)
    assert told["failed"]
    assert f"Event source mapping {uuid} is still Updating after 30 s (wait_timeout)" in told["msg"]
    assert sum(clock.naps) == 30
    assert fake.writes == []


def test_a_mapping_in_use_is_tried_again():
    fake = FakeLambda()
    fake.add()
    fake.errors["update_event_source_mapping"] = [IN_USE, IN_USE]
    fake.errors["delete_event_source_mapping"] = [IN_USE]
    assert run(fake, batch_size=5)["event_source_mapping"]["batch_size"] == 5
    assert len(fake.requests("update_event_source_mapping")) == 3
    assert run(fake, state="absent")["changed"]
    assert fake.records == {}


def test_a_mapping_that_stays_in_use_ends_in_aws_own_words():
    fake, clock = FakeLambda(), FakeClock()
    fake.add()
    fake.errors["update_event_source_mapping"] = IN_USE
    told = run(fake, clock=clock, batch_size=5, wait_timeout=20)
    assert "tried again for 20 s" in told["msg"]
    assert "(ResourceInUseException)" in told["msg"]
    assert told["error"]["code"] == "ResourceInUseException"
    assert sum(clock.naps) == 20


@pytest.mark.parametrize("refusal", [NO_RIGHTS, NO_STREAM_RIGHTS, NO_ROLE])
def test_a_role_too_new_for_lambda_is_tried_again(refusal):
    fake = FakeLambda()
    fake.errors["create_event_source_mapping"] = [refusal] * 3
    assert run(fake)["changed"]
    fake.errors["update_event_source_mapping"] = [refusal]
    assert run(fake, on_failure_destination=QUEUE)["changed"]


def test_a_role_that_stays_refused_ends_in_aws_own_words():
    fake, clock = FakeLambda(), FakeClock()
    fake.errors["create_event_source_mapping"] = NO_RIGHTS
    told = run(fake, clock=clock, propagation_timeout=10)
    assert told["failed"]
    assert "The provided execution role does not have permissions to call SendMessage on SQS" in told["msg"]
    assert "tried again for 10 s" in told["msg"]
    assert sum(clock.naps) == pytest.approx(10)


@pytest.mark.parametrize("refusal", [NO_STREAM, client_error("AccessDeniedException", "role cannot be assumed")])
def test_any_other_refusal_is_told_at_once_in_aws_own_words(refusal):
    fake, clock = FakeLambda(), FakeClock()
    fake.errors["create_event_source_mapping"] = refusal
    told = run(fake, clock=clock)
    assert told["msg"].endswith(refusal.response["Error"]["Message"])
    assert told["error"]["code"] == refusal.response["Error"]["Code"]
    assert clock.naps == []


class RacingLambda(FakeLambda):
    """Another run makes the mapping after we have looked."""

    def create_event_source_mapping(self, aws_retry, **request):
        if not self.records:
            self.add(BatchSize=50)
        return super().create_event_source_mapping(aws_retry, **request)


def test_a_mapping_that_another_run_made_meanwhile_is_taken_up():
    fake = RacingLambda()
    told = run(fake, batch_size=5, tags={"a": "b"})
    assert not told.get("failed")
    assert len(fake.records) == 1
    assert (told["event_source_mapping"]["batch_size"], told["event_source_mapping"]["tags"]) == (5, {"a": "b"})


def test_a_mapping_that_another_run_made_otherwise_is_told():
    told = run(RacingLambda(), starting_position="LATEST")
    assert "made with starting_position TRIM_HORIZON" in told["msg"]


def test_a_conflict_with_a_mapping_that_goes_away_is_tried_again():
    fake = FakeLambda()
    fake.errors["create_event_source_mapping"] = [CONFLICT, CONFLICT]
    assert run(fake)["changed"]
    assert len(fake.records) == 1


def test_a_conflict_that_stays_ends_in_aws_own_words():
    fake, clock = FakeLambda(), FakeClock()
    fake.errors["create_event_source_mapping"] = CONFLICT
    told = run(fake, clock=clock, wait_timeout=12)
    assert "UUID 0a1b2c3d" in told["msg"]
    assert sum(clock.naps) == pytest.approx(12)


def test_removal_of_what_is_not_there_changes_nothing():
    fake = FakeLambda()
    fake.add(source=OTHER_STREAM)
    assert run(fake, state="absent") == {"changed": False, "diff": {"before": {}, "after": {}}}
    assert fake.writes == []


def test_a_deletion_that_someone_else_began_is_waited_for():
    fake = FakeLambda()
    fake.enter(fake.add(), "Deleting", None, looks=3)
    assert not run(fake, state="absent")["changed"]
    assert (fake.records, fake.writes) == ({}, [])


def test_a_deletion_that_someone_else_finished_first_is_no_error():
    fake = FakeLambda()
    uuid = fake.add()
    fake.errors["delete_event_source_mapping"] = [client_error("ResourceNotFoundException", "does not exist")]
    fake.errors["get_event_source_mapping"] = [client_error("ResourceNotFoundException", "does not exist")]
    told = run(fake, state="absent")
    assert not told.get("failed")
    assert fake.requests("delete_event_source_mapping") == [{"UUID": uuid}]


def test_check_mode_tells_the_change_and_writes_nothing():
    fake = FakeLambda()
    told = run(fake, check=True, batch_size=10)
    assert told["changed"]
    assert told["event_source_mapping"]["batch_size"] == 10
    fake.add()
    told = run(fake, check=True, batch_size=10)
    assert told["diff"]["before"]["batch_size"] == 100
    assert told["diff"]["after"]["batch_size"] == 10
    assert run(fake, check=True, state="absent")["changed"]
    assert not run(fake, check=True)["changed"]
    assert fake.writes == []


def test_check_mode_takes_a_stream_that_is_not_there_yet():
    fake = FakeLambda()
    placeholder = STREAM.rpartition("/")[0] + "/(known after deploy)"
    told = run(fake, check=True, event_source_arn=placeholder, function_name="stream-processor:live")
    assert told["changed"]
    assert told["event_source_mapping"]["function_arn"] == f"{FUNCTION}:live"
    assert not run(fake, check=True, state="absent", event_source_arn=placeholder)["changed"]
    assert fake.calls == []


def test_a_stream_that_aws_does_not_know_has_no_mapping():
    fake = FakeLambda()
    fake.errors["list_event_source_mappings"] = client_error("ResourceNotFoundException", "no such stream")
    assert run(fake, check=True)["changed"]
    assert not run(fake, state="absent")["changed"]


def test_encrypted_filters_are_read_with_the_call_that_decrypts_them():
    fake = FakeLambda()
    pattern = {"eventName": ["INSERT"]}
    run(fake, filter_criteria=[pattern], kms_key_arn=KEY)
    told = run(fake, filter_criteria=[pattern], kms_key_arn=KEY)
    assert not told["changed"]
    assert told["event_source_mapping"]["filter_criteria"] == [pattern]


def test_a_refused_read_is_told_in_aws_own_words():
    fake = FakeLambda()
    denied = client_error("AccessDeniedException", "User is not authorized", "ListEventSourceMappings")
    fake.errors["list_event_source_mappings"] = denied
    told = run(fake)
    assert told["msg"].startswith("Failed to list event source mappings: ")
    assert "(AccessDeniedException)" in told["msg"]
    fake = FakeLambda()
    fake.add()
    fake.errors["list_tags"] = denied
    assert "Failed to list tags of event source mapping" in run(fake)["msg"]
    assert fake.writes == []
