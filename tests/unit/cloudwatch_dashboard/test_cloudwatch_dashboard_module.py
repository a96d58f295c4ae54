"""The module cloudwatch_dashboard, as Ansible runs it, against moto."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import cloudwatch_dashboard_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import cloudwatch_dashboard
from moto import mock_aws
from moto.cloudwatch.exceptions import DashboardInvalidInputError, ResourceNotFound
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from tests.unit.module_runs import forget_the_callers_aws, told_by, watch_calls

REGION = "eu-central-1"
ARN = "arn:aws:cloudwatch::123456789012:dashboard/orders"
BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "properties": {"markdown": "# Orders < & > ü"}}]}
OTHER = {"widgets": [], "start": "-PT3H"}


@pytest.fixture
def cloudwatch(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with mock_aws():
        yield boto3.client("cloudwatch", REGION, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="not-a-secret")


@pytest.fixture
def calls(monkeypatch):
    """The names of the API calls that the module makes, in order."""
    return watch_calls(monkeypatch, cloudwatch_dashboard_api)


@pytest.fixture
def run(cloudwatch, calls, capsys):
    """Runs the module and returns what it told Ansible."""

    def run_module(check=False, name="orders", **options):
        keys = {"region": REGION, "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
        calls.clear()
        return told_by(cloudwatch_dashboard, capsys, check, **keys, name=name, **options)

    return run_module


def live(cloudwatch):
    return json.loads(cloudwatch.get_dashboard(DashboardName="orders")["DashboardBody"])


def listed(cloudwatch):
    return [each["DashboardName"] for each in cloudwatch.list_dashboards()["DashboardEntries"]]


def warnings(told):
    return [each["event"]["msg"] if isinstance(each, dict) else each for each in told.get("warnings", [])]


@pytest.mark.parametrize("body", [BODY, json.dumps(BODY), json.dumps(BODY, indent=4, ensure_ascii=False) + "\n"])
def test_a_dashboard_is_created_in_one_call_and_a_second_run_changes_nothing(run, calls, cloudwatch, body):
    first = run(body=body)
    assert first["changed"]
    assert first["cloudwatch_dashboard"] == {"dashboard_name": "orders", "dashboard_arn": ARN, "body": BODY}
    assert calls == ["GetDashboard", "PutDashboard", "GetDashboard"]
    assert live(cloudwatch) == BODY
    second = run(body=body)
    assert not second["changed"]
    assert second["cloudwatch_dashboard"] == first["cloudwatch_dashboard"]
    assert second["diff"]["before"] == second["diff"]["after"]
    assert calls == ["GetDashboard"]


def test_a_body_that_was_edited_is_put_right(run, cloudwatch):
    run(body=BODY)
    cloudwatch.put_dashboard(DashboardName="orders", DashboardBody=json.dumps(OTHER))
    told = run(body=BODY)
    assert told["changed"]
    assert told["diff"]["before"]["body"] == OTHER
    assert told["diff"]["after"]["body"] == BODY
    assert live(cloudwatch) == BODY


def test_check_mode_on_a_fresh_target_writes_nothing(run, calls, cloudwatch):
    told = run(body=BODY, check=True)
    assert told["changed"]
    assert told["cloudwatch_dashboard"] == {"dashboard_name": "orders", "body": BODY}
    assert told["diff"] == {"before": {}, "after": told["cloudwatch_dashboard"]}
    assert calls == ["GetDashboard"]
    assert listed(cloudwatch) == []


def test_check_mode_foretells_what_a_run_changes(run, calls, cloudwatch):
    run(body=BODY)
    foretold = run(body=OTHER, check=True)
    assert calls == ["GetDashboard"]
    assert live(cloudwatch) == BODY
    real = run(body=OTHER)
    assert real["changed"]
    assert real["diff"] == foretold["diff"]


def test_a_dashboard_that_cloudwatch_does_not_know_everywhere_yet_is_read_again(run, calls, monkeypatch):
    know, misses = CloudWatchBackend.get_dashboard, []

    def know_late(backend, dashboard):
        if backend.dashboards and len(misses) < 2:
            misses.append(dashboard)
            return None
        return know(backend, dashboard)

    monkeypatch.setattr(CloudWatchBackend, "get_dashboard", know_late)
    assert run(body=BODY)["cloudwatch_dashboard"]["body"] == BODY
    assert len(misses) == 2
    assert calls.count("PutDashboard") == 1


def test_a_dashboard_is_deleted_and_a_second_time_nothing_happens(run, calls, cloudwatch):
    run(body=BODY)
    run(body=BODY, name="others")
    assert run(state="absent", check=True)["changed"]
    assert listed(cloudwatch) == ["orders", "others"]
    told = run(state="absent")
    assert told["changed"]
    assert told["cloudwatch_dashboard"] == {}
    assert "DeleteDashboards" in calls
    assert listed(cloudwatch) == ["others"]
    assert not run(state="absent")["changed"]
    assert calls == ["GetDashboard"]


def test_a_dashboard_that_somebody_else_deletes_meanwhile_is_no_failure(run, monkeypatch, cloudwatch):
    run(body=BODY)

    def gone(backend, dashboards):
        backend.dashboards.clear()
        raise ResourceNotFound("Dashboard does not exist")

    monkeypatch.setattr(CloudWatchBackend, "delete_dashboards", gone)
    told = run(state="absent")
    assert (told["changed"], told["cloudwatch_dashboard"]) == (True, {})


def test_what_cloudwatch_says_of_a_body_that_it_takes_is_a_warning(run, monkeypatch, cloudwatch):
    put = CloudWatchResponse.put_dashboard
    messages = [
        {"DataPath": "/widgets/0/properties", "Message": "Should have required property 'region'"},
        {"Message": "Not all of it shows"},
    ]

    def put_with_messages(response):
        put(response)
        return ActionResult({"DashboardValidationMessages": messages})

    monkeypatch.setattr(CloudWatchResponse, "put_dashboard", put_with_messages)
    told = run(body=BODY)
    assert told["changed"]
    assert warnings(told) == [
        "CloudWatch of the dashboard orders, /widgets/0/properties: Should have required property 'region'",
        "CloudWatch of the dashboard orders: Not all of it shows",
    ]
    assert live(cloudwatch) == BODY


def test_what_cloudwatch_refuses_reaches_the_user_in_its_own_words(run, monkeypatch):
    def refuse(response):
        raise DashboardInvalidInputError("The field widgets/0/type is unknown")

    monkeypatch.setattr(CloudWatchResponse, "put_dashboard", refuse)
    told = run(body=BODY)
    assert told["failed"]
    assert told["msg"].startswith("Failed to put the CloudWatch dashboard: An error occurred (InvalidParameterInput)")
    assert told["error"]["code"] == "InvalidParameterInput"
    assert told["error"]["message"] == "The field widgets/0/type is unknown"


def test_bad_input_is_refused_before_any_call(run, calls):
    for options, part in (
        ({"body": "not json"}, "body is not JSON"),
        ({"body": {"widget": []}}, "the list widgets"),
        ({"body": BODY, "name": "two words"}, "name is 'two words'"),
        ({}, "body"),
    ):
        told = run(**options)
        assert told["failed"]
        assert part in told["msg"]
        assert calls == []
