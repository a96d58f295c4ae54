"""How versions are read and written, with an AWS that is slow, changes meanwhile, or refuses."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_version_api import (
    LambdaRollback,
    LambdaVersion,
)
from version_support import ARN, OPTIONS, Clock, FakeLambda, configuration, drill, refusal

ROLLBACK = {"function_name": "processor", "alias": "live", "version": None, "temporary_variables": ["DRILL_ID"]}


def run(client, check=False, **options):
    """What run_resource does: the result, with changed."""
    resource = LambdaVersion({**OPTIONS, **options}, client, check, Clock())
    return _run(resource, check)


def roll(client, check=False, **options):
    return _run(LambdaRollback({**ROLLBACK, **options}, client), check)


def _run(resource, check):
    plan = resource.plan(resource.read())
    state = plan.after
    if plan.changed and not check:
        resource.apply(plan)
        state = resource.read() or {}
    return {"changed": plan.changed, **resource.result(state)}


def test_a_change_is_published_awaited_and_made_live():
    client = FakeLambda(1, 2, live="2")
    client.update(MemorySize=512)
    assert run(client) == {
        "changed": True,
        "lambda_version": {
            "function_name": "processor",
            "version": "3",
            "versions": ["1", "2", "3"],
            "alias": "live",
            "alias_arn": f"{ARN}:live",
        },
    }
    assert client.calls == [("publish_version", "3"), ("update_alias", "3")]
    client.calls.clear()
    assert run(client)["changed"] is False
    assert client.calls == []


def test_a_version_that_another_module_has_just_published_is_awaited_before_the_alias_leads_to_it():
    client = FakeLambda(1)
    client.versions["1"]["pending"] = 3
    assert run(client)["changed"]
    assert client.calls == [("create_alias", "1")]


def test_check_mode_writes_and_awaits_nothing():
    client = FakeLambda(1, live="1")
    client.latest["LastUpdateStatus"] = "InProgress"
    told = run(client, check=True, expect_configuration={"FunctionName": "processor", "Timeout": 9})
    assert told["changed"]
    assert told["lambda_version"]["version"] == "(known after publishing)"
    assert client.calls == []


@pytest.mark.parametrize(
    "expected",
    [
        {"expect_configuration": {"Timeout": 9}},
        {"expect_configuration": {"Layers": ["layer:1"]}},
        {"expect_code_sha256": "other"},
    ],
)
def test_check_mode_counts_what_the_task_before_would_change_as_changed(expected):
    assert run(FakeLambda(1, live="1"), check=True, **expected)["changed"]
    # A run that is no check finds the function as that task has left it.
    assert not run(FakeLambda(1, live="1"), **expected)["changed"]


def test_check_mode_sees_that_a_function_edited_by_hand_would_be_mended():
    client = FakeLambda(1, live="1")
    live = client.latest
    client.update(Timeout=9, CodeSha256="others", Layers=[{"Arn": "layer:1"}])
    assert run(client, check=True)["changed"]
    mended = {"Timeout": live["Timeout"], "Layers": []}
    assert not run(client, check=True, expect_configuration=mended, expect_code_sha256="code")["changed"]


def test_a_function_that_is_not_there_is_an_error_but_in_check_mode():
    client = FakeLambda()
    client.latest = None
    told = run(client, check=True)
    assert told["changed"]
    assert told["lambda_version"]["versions"] == ["(known after publishing)"]
    with pytest.raises(InputError, match="There is no function processor; make it before"):
        run(client)


def test_where_aws_sees_nothing_to_publish_nothing_is_changed():
    client = FakeLambda(1, live="1")
    client.update(Timeout=9)
    client.last_published = client.versions["1"]
    told = run(client)
    assert told["changed"] is False
    assert told["lambda_version"]["version"] == "1"
    assert client.calls == []


def test_a_revision_that_changed_by_itself_is_read_anew():
    client = FakeLambda(1, live="1")
    client.update(Timeout=9)
    once = iter([client.update])
    client.before = lambda call, _request: next(once, lambda: None)() if call == "publish_version" else None
    assert run(client)["lambda_version"]["version"] == "2"


@pytest.mark.parametrize("change", [{"Timeout": 10}, {"CodeSha256": "others"}])
def test_another_change_in_between_is_refused(change):
    client = FakeLambda(1, live="1")
    client.update(Timeout=9)
    client.before = lambda call, _request: client.update(**change)
    with pytest.raises(AnsibleAWSError, match="Somebody else is changing processor: nothing was published"):
        run(client)
    assert client.calls == []


@pytest.mark.parametrize("place", ["State", "LastUpdateStatus"])
def test_a_function_that_failed_is_not_published(place):
    client = FakeLambda(1, live="1")
    client.update(Timeout=9, **{place: "Failed", f"{place}Reason": "the key is gone", f"{place}ReasonCode": "KMS"})
    with pytest.raises(
        InputError, match=r"processor version \$LATEST failed to become active: the key is gone \(KMS\)"
    ):
        run(client)
    assert client.calls == []


def test_a_version_that_failed_does_not_become_live():
    client = FakeLambda(1, 2, live="1")
    client.versions["2"] |= {"State": "Failed", "StateReason": "no snapshot", "StateReasonCode": "FunctionError"}
    with pytest.raises(InputError, match="version 2 failed to become active: no snapshot"):
        run(client)
    assert client.calls == []


def test_waiting_ends():
    client = FakeLambda(1, live="1")
    client.latest["LastUpdateStatus"] = "InProgress"
    with pytest.raises(InputError, match=r"still Active, its update InProgress, after 60 s \(wait_timeout\)"):
        run(client)


def test_old_versions_go_last_and_mappings_are_asked_for_only_then():
    client = FakeLambda(1, 2, 3, 4, live="4")
    client.mappings = [
        {"FunctionArn": f"{ARN}:2"},
        {"FunctionArn": f"{ARN}:live"},
        {"FunctionArn": f"{ARN}-other:1"},
        {"FunctionArn": ARN},
    ]
    client.update(Timeout=9)
    assert run(client, keep=2)["lambda_version"]["versions"] == ["2", "4", "5"]
    assert [call for call in client.calls if call[0] != "list_event_source_mappings"] == [
        ("publish_version", "5"),
        ("update_alias", "5"),
        ("delete_function", "1"),
        ("delete_function", "3"),
    ]


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ResourceConflictException"])
def test_a_version_that_is_gone_or_taken_up_meanwhile_is_no_error(code):
    client = FakeLambda(1, 2, 3, live="3")

    def refuse(call, _request):
        raise refusal(code)

    client.before = refuse
    assert run(client, keep=2)["changed"] is False


def test_a_rollback_moves_the_alias_alone():
    client = FakeLambda(1, 2, 3, live="3")
    client.versions["2"]["Environment"] = {"Variables": {"OTHER": "secret"}}
    told = roll(client)
    assert told == {
        "changed": True,
        "lambda_rollback": {
            "function_name": "processor",
            "alias": "live",
            "version": "2",
            "former_version": "3",
            "versions": ["1", "2", "3"],
            "settings": ["memory_size"],
            "variables": ["LOG_LEVEL", "OTHER"],
        },
    }
    assert client.calls == [("update_alias", "2")]


def test_a_rollback_in_check_mode_writes_nothing():
    client = FakeLambda(1, 2, live="2")
    assert roll(client, check=True)["lambda_rollback"]["version"] == "1"
    assert client.calls == []


@pytest.mark.parametrize("state", ["Pending", "Inactive", "Failed"])
def test_a_version_that_is_not_active_is_refused_with_those_there_are(state):
    client = FakeLambda(1, 2, live="2")
    client.versions["1"]["State"] = state
    with pytest.raises(InputError, match=rf"Version 1 is {state}, not Active\..*Versions of processor: 2 \(live"):
        roll(client)
    assert client.calls == []


def test_a_rollback_that_somebody_else_forestalls_is_refused():
    client = FakeLambda(1, 2, live="2")

    def forestall(_call, _request):
        client.aliases["live"]["RevisionId"] = "other"

    client.before = forestall
    with pytest.raises(AnsibleAWSError, match="move the Lambda function's alias"):
        roll(client)


def test_after_a_rollback_the_same_state_is_made_live_again_without_a_new_version():
    client = FakeLambda(1, 2, live="2")
    roll(client)
    told = run(client)
    assert told["changed"]
    assert told["lambda_version"]["version"] == "2"
    assert client.calls == [("update_alias", "1"), ("update_alias", "2")]


def test_a_drill_leaves_no_version_to_go_back_to():
    client = FakeLambda(1, 2, live="2")
    whole = client.latest
    client.update(**{"Environment": drill()["Environment"]})
    assert run(client)["lambda_version"]["version"] == "3"
    client.update(Environment=whole["Environment"])
    assert run(client)["lambda_version"]["version"] == "2"
    assert run(client)["changed"] is False
    assert roll(client)["lambda_rollback"]["version"] == "1"
    client.latest = configuration(Timeout=9)
    assert run(client)["lambda_version"]["versions"] == ["1", "2", "4"]
