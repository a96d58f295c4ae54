"""The module cloudwatch_alarms, as Ansible runs it, against moto."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import cloudwatch_alarms_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import cloudwatch_alarms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.exceptions import ServiceException

from tests.unit.module_runs import forget_the_callers_aws, told_by, watch_calls

REGION = "eu-central-1"
KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "not-a-secret"}
TOPIC = f"arn:aws:sns:{REGION}:123456789012:alarms"
WRITES = {"PutMetricAlarm", "DeleteAlarms", "TagResource", "UntagResource"}


def alarm(name="orders-errors", **changes):
    """The options of an alarm; a change to None leaves an option out."""
    wanted = {
        "name": name,
        "description": "The function orders failed.",
        "namespace": "AWS/Lambda",
        "metric_name": "Errors",
        "dimensions": {"FunctionName": "orders"},
        "statistic": "Sum",
        "comparison": "GreaterThanOrEqualToThreshold",
        "threshold": 1,
        "period": 300,
        "treat_missing_data": "notBreaching",
        "alarm_actions": [TOPIC],
        **changes,
    }
    return {option: value for option, value in wanted.items() if value is not None}


@pytest.fixture
def cloudwatch(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with mock_aws():
        yield boto3.client("cloudwatch", REGION, **KEYS)


@pytest.fixture
def calls(monkeypatch):
    """The names of the API calls that the module makes."""
    return watch_calls(monkeypatch, cloudwatch_alarms_api)


@pytest.fixture
def run(cloudwatch, calls, capsys):
    """Runs the module and returns what it told Ansible."""

    def run_module(*alarms, check=False, **options):
        keys = {"region": REGION, "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
        calls.clear()
        return told_by(cloudwatch_alarms, capsys, check, **keys, alarms=list(alarms), **options)

    return run_module


def live(cloudwatch):
    return {each["AlarmName"]: each for each in cloudwatch.describe_alarms()["MetricAlarms"]}


def tags_of(cloudwatch, name):
    arn = live(cloudwatch)[name]["AlarmArn"]
    return {tag["Key"]: tag["Value"] for tag in cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]}


def test_check_mode_foretells_a_fresh_target_and_writes_nothing(run, cloudwatch, calls):
    told = run(alarm(), alarm("orders-throttles"), tags={"Project": "cdc"}, check=True)
    assert told["changed"]
    assert set(told["diff"]["after"]) == {"orders-errors", "orders-throttles"}
    assert not WRITES & set(calls)
    assert not live(cloudwatch)


def test_alarms_are_made_with_their_tags_and_then_left_alone(run, cloudwatch, calls):
    told = run(alarm(), alarm("orders-throttles", metric_name="Throttles"), tags={"Project": "cdc"})
    assert told["changed"]
    assert [each["name"] for each in told["cloudwatch_alarms"]] == ["orders-errors", "orders-throttles"]
    assert told["cloudwatch_alarms"][0]["alarm_arn"].endswith(":alarm:orders-errors")
    assert live(cloudwatch)["orders-errors"]["AlarmActions"] == [TOPIC]
    assert live(cloudwatch)["orders-errors"]["TreatMissingData"] == "notBreaching"
    assert tags_of(cloudwatch, "orders-throttles") == {"Project": "cdc"}
    again = run(alarm(), alarm("orders-throttles", metric_name="Throttles"), tags={"Project": "cdc"})
    assert not again["changed"]
    assert not WRITES & set(calls)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 2},
        {"period": 60},
        {"description": "Another."},
        {"dimensions": {"FunctionName": "others"}},
        {"comparison": "GreaterThanThreshold"},
        {"alarm_actions": []},
        {"ok_actions": [TOPIC]},
        {"evaluation_periods": 3, "datapoints_to_alarm": 2},
        {"treat_missing_data": "missing"},
        {"actions_enabled": False},
        {"statistic": None, "extended_statistic": "p99"},
    ],
)
def test_one_changed_setting_changes_that_alarm_alone(run, calls, change):
    run(alarm(), alarm("orders-throttles"))
    foretold = run(alarm(**change), alarm("orders-throttles"), check=True)
    told = run(alarm(**change), alarm("orders-throttles"))
    assert told["changed"]
    assert foretold["diff"] == told["diff"]
    assert calls.count("PutMetricAlarm") == 1
    assert not run(alarm(**change), alarm("orders-throttles"))["changed"]


def test_an_alarm_changed_behind_ansibles_back_is_mended(run, cloudwatch):
    run(alarm(), tags={"Project": "cdc"})
    cloudwatch.disable_alarm_actions(AlarmNames=["orders-errors"])
    assert run(alarm(), tags={"Project": "cdc"})["changed"]
    assert live(cloudwatch)["orders-errors"]["ActionsEnabled"]
    cloudwatch.delete_alarms(AlarmNames=["orders-errors"])
    assert run(alarm(), tags={"Project": "cdc"})["changed"]
    assert tags_of(cloudwatch, "orders-errors") == {"Project": "cdc"}


def test_tags_left_out_stay_and_others_are_purged_unless_told(run, cloudwatch, calls):
    run(alarm(), tags={"Project": "cdc", "Team": "a"})
    assert not run(alarm())["changed"]
    assert "ListTagsForResource" not in calls
    assert run(alarm(), tags={"Team": "b"}, purge_tags=False)["changed"]
    assert tags_of(cloudwatch, "orders-errors") == {"Project": "cdc", "Team": "b"}
    told = run(alarm(), tags={"Team": "b"})
    assert told["changed"]
    assert "PutMetricAlarm" not in calls
    assert tags_of(cloudwatch, "orders-errors") == {"Team": "b"}


def test_absent_deletes_those_that_are_there_in_one_call(run, cloudwatch, calls):
    run(alarm(), alarm("orders-throttles"), alarm("others"))
    gone = [{"name": "orders-errors"}, {"name": "orders-throttles"}, {"name": "never-made"}]
    assert run(*gone, state="absent", check=True)["changed"]
    assert len(live(cloudwatch)) == 3
    told = run(*gone, state="absent")
    assert told["changed"]
    assert told["cloudwatch_alarms"] == []
    assert calls.count("DeleteAlarms") == 1
    assert set(live(cloudwatch)) == {"others"}
    assert not run(*gone, state="absent")["changed"]


def test_more_alarms_than_one_call_takes(run, cloudwatch):
    many = [alarm(f"orders-{number}") for number in range(105)]
    assert run(*many)["changed"]
    assert not run(*many)["changed"]
    assert run(*many, state="absent")["changed"]
    assert not live(cloudwatch)


def test_a_refusal_has_cloudwatchs_own_words(run, cloudwatch, monkeypatch):
    class TooManyAlarms(ServiceException):
        code = "LimitExceeded"

    def refuse(self, **_params):
        raise TooManyAlarms("You have too many alarms.")

    monkeypatch.setattr("moto.cloudwatch.models.CloudWatchBackend.put_metric_alarm", refuse)
    told = run(alarm())
    assert told["failed"]
    assert "You have too many alarms." in told["msg"]
    assert "orders-errors" in told["msg"]


def test_what_cannot_be_is_said_before_aws_is_asked(run, calls):
    told = run(alarm(period=45))
    assert told["failed"]
    assert "multiple of 60" in told["msg"]
    assert not calls


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    threshold=st.one_of(st.integers(0, 10**9), st.floats(0, 1e9, allow_nan=False)),
    dimensions=st.dictionaries(st.text("abcXYZ-_", min_size=1, max_size=8), st.integers(0, 99), max_size=3),
    actions=st.lists(st.sampled_from([TOPIC, TOPIC + "-b", TOPIC + "-c"]), unique=True, max_size=3),
)
def test_whatever_was_made_is_found_unchanged(run, threshold, dimensions, actions):
    wanted = alarm(threshold=threshold, dimensions=dimensions, alarm_actions=actions)
    run(wanted)
    assert not run(wanted)["changed"]
