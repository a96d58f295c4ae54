"""The module state_machine, as Ansible runs it, against moto."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import state_machine_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import state_machine
from moto import mock_aws

from tests.unit.module_runs import forget_the_callers_aws, told_by, watch_calls

ROLE = "arn:aws:iam::123456789012:role/orders-states"
DEFINITION = {"StartAt": "End", "States": {"End": {"Type": "Pass", "End": True}}}
OTHER = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
SCHEDULE = {"name": "orders", "expression": "rate(1 hour)", "role_arn": ROLE}
ASKED = {"name": "orders", "definition": DEFINITION, "role_arn": ROLE, "tags": {"team": "data"}, "schedule": SCHEDULE}
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:orders"


@pytest.fixture
def clients(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "y"}
    with mock_aws():
        yield boto3.client("stepfunctions", **keys), boto3.client("events", **keys)


@pytest.fixture
def run(capsys):
    def run(check=False, **options):
        keys = {"region": "us-east-1", "access_key": "x", "secret_key": "y"}
        return told_by(state_machine, capsys, check, **keys, **options)

    return run


def machines(clients):
    return [each["name"] for each in clients[0].list_state_machines()["stateMachines"]]


def rules(clients):
    return [(each["Name"], each.get("ScheduleExpression")) for each in clients[1].list_rules()["Rules"]]


def test_machine_and_schedule_are_made_once(clients, run):
    made = run(**ASKED)
    assert made["changed"] and made["state_machine_arn"] == ARN
    found = clients[0].describe_state_machine(stateMachineArn=ARN)
    assert json.loads(found["definition"]) == DEFINITION and found["roleArn"] == ROLE
    (target,) = clients[1].list_targets_by_rule(Rule="orders")["Targets"]
    assert (target["Arn"], target["RoleArn"], target["Input"]) == (ARN, ROLE, "{}")
    again = run(**ASKED)
    assert not again["changed"] and again["state_machine"] == made["state_machine"]


def test_check_mode_announces_both_and_makes_nothing(clients, run):
    told = run(check=True, **ASKED)
    assert told["changed"] and told["diff"]["before"] == {}
    assert told["diff"]["after"]["schedule"]["expression"] == "rate(1 hour)"
    assert machines(clients) == [] and rules(clients) == []
    assert run(**ASKED)["diff"] == told["diff"]


@pytest.mark.parametrize(
    "change",
    [
        {"definition": OTHER},
        {"role_arn": f"{ROLE}-other"},
        {"tags": {"team": "ops"}},
        {"tags": {"more": "tags"}, "purge_tags": False},
        {"schedule": {**SCHEDULE, "expression": "rate(2 hours)"}},
        {"schedule": {**SCHEDULE, "role_arn": f"{ROLE}-other"}},
        {"schedule": {"name": "orders"}},
    ],
)
def test_each_change_is_announced_and_then_made(clients, run, change):
    run(**ASKED)
    before = run(**ASKED)["state_machine"]
    announced = run(check=True, **{**ASKED, **change})
    assert announced["changed"] and run(**ASKED)["state_machine"] == before
    made = run(**{**ASKED, **change})
    assert made["changed"] and made["diff"] == announced["diff"]
    assert made["state_machine"] == announced["state_machine"]
    assert not run(**{**ASKED, **change})["changed"]


def test_what_was_changed_by_hand_is_put_back(clients, run):
    run(**ASKED)
    clients[1].disable_rule(Name="orders")
    clients[0].untag_resource(resourceArn=ARN, tagKeys=["team"])
    assert run(**ASKED)["changed"]
    assert clients[1].describe_rule(Name="orders")["State"] == "ENABLED"
    assert not run(**ASKED)["changed"]


def test_a_definition_that_is_only_written_otherwise_is_left_alone(clients, run):
    run(**ASKED)
    assert not run(**{**ASKED, "definition": json.dumps(DEFINITION, indent=4)})["changed"]


def test_what_is_not_asked_for_stays(clients, run, monkeypatch):
    run(**ASKED)
    asked = {name: value for name, value in ASKED.items() if name not in ("schedule", "tags")}
    calls = watch_calls(monkeypatch, state_machine_api)
    assert not run(**asked)["changed"]
    assert calls == ["GetCallerIdentity", "DescribeStateMachine", "ListTagsForResource"]
    assert rules(clients) == [("orders", "rate(1 hour)")]


def test_both_are_deleted_once_and_a_rest_too(clients, run):
    run(**ASKED)
    gone = {"name": "orders", "state": "absent", "schedule": {"name": "orders"}}
    assert run(check=True, **gone)["changed"] and machines(clients) == ["orders"]
    clients[0].delete_state_machine(stateMachineArn=ARN)
    assert run(**gone)["changed"]
    assert machines(clients) == [] and rules(clients) == []
    assert not run(**gone)["changed"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "or ders"}, "name is 'or ders'"),
        ({"definition": "{"}, "definition is not JSON"),
        ({"definition": {"States": {}}}, "definition.StartAt is None"),
        ({"definition": [1]}, "Amazon States Language"),
        ({"schedule": {**SCHEDULE, "expression": "hourly"}}, "rate(1 hour)"),
        ({"schedule": {**SCHEDULE, "name": "a/b"}}, "schedule.name is 'a/b'"),
        ({"schedule": {"name": "orders", "expression": "rate(1 hour)"}}, "schedule.role_arn is missing"),
    ],
)
def test_bad_input_is_refused_before_a_call(clients, run, monkeypatch, change, said):
    calls = watch_calls(monkeypatch, state_machine_api)
    told = run(**{**ASKED, **change})
    assert told["failed"] and said in told["msg"]
    assert calls == []


def test_a_key_is_set_and_taken_away(clients):
    from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.state_machine import plan

    options = {"name": "orders", "state": "present", "definition": json.dumps(DEFINITION), "role_arn": ROLE}
    there = {"name": "orders", "definition": DEFINITION, "role_arn": ROLE, "kms_key_arn": "", "tags": {}}
    keyed = plan(there, {**options, "kms_key_arn": "arn:key"}, ARN, "")
    (step,) = keyed.steps
    assert step.request["encryptionConfiguration"]["kmsKeyId"] == "arn:key" and "definition" in step.request
    assert plan(keyed.after, {**options, "kms_key_arn": "arn:key"}, ARN, "").steps == ()
    assert plan(keyed.after, options, ARN, "").steps == ()
    (step,) = plan(keyed.after, {**options, "kms_key_arn": ""}, ARN, "").steps
    assert step.request["encryptionConfiguration"] == {"type": "AWS_OWNED_KEY"}
