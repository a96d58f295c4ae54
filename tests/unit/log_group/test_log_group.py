"""The module log_group, as Ansible runs it, against moto."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import log_group
from moto import mock_aws

from tests.unit.module_runs import forget_the_callers_aws, told_by

NAME = "/aws/lambda/orders"
ASKED = {"name": NAME, "retention_in_days": 30, "tags": {"team": "data"}}


@pytest.fixture
def logs(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    with mock_aws():
        client = boto3.client("logs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
        # Its name begins with the other's.
        client.create_log_group(logGroupName=f"{NAME}-other")
        yield client


@pytest.fixture
def run(capsys):
    def run(check=False, **options):
        keys = {"region": "us-east-1", "access_key": "x", "secret_key": "y"}
        return told_by(log_group, capsys, check, **keys, **options)

    return run


def there(logs):
    found = [each for each in logs.describe_log_groups()["logGroups"] if each["logGroupName"] == NAME]
    return found and (found[0].get("retentionInDays"), logs.list_tags_log_group(logGroupName=NAME)["tags"])


def test_a_group_is_made_once(logs, run):
    assert run(**ASKED)["changed"]
    assert there(logs) == (30, {"team": "data"})
    assert not run(**ASKED)["changed"]
    assert len(logs.describe_log_groups()["logGroups"]) == 2


def test_check_mode_announces_it_and_makes_nothing(logs, run):
    told = run(check=True, **ASKED)
    assert told["changed"] and told["diff"]["before"] == {}
    assert told["diff"]["after"] == {
        "name": NAME, "retention_in_days": 30, "kms_key_arn": None, "tags": {"team": "data"},
    }  # fmt: skip
    assert there(logs) == []


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ({"retention_in_days": 7}, (7, {"team": "data"})),
        ({"tags": {"team": "ops"}}, (30, {"team": "ops"})),
        ({"tags": {}}, (30, {})),
        ({"tags": {"more": "tags"}, "purge_tags": False}, (30, {"team": "data", "more": "tags"})),
    ],
)
def test_each_change_is_announced_and_then_made(logs, run, change, after):
    run(**ASKED)
    announced = run(check=True, **{**ASKED, **change})
    assert announced["changed"]
    assert there(logs) == (30, {"team": "data"})
    made = run(**{**ASKED, **change})
    assert made["changed"] and made["diff"] == announced["diff"]
    assert there(logs) == after
    assert not run(**{**ASKED, **change})["changed"]


def test_a_retention_that_was_taken_away_is_announced_and_put_back(logs, run):
    run(**ASKED)
    logs.delete_retention_policy(logGroupName=NAME)
    assert run(check=True, **ASKED)["changed"]
    assert there(logs) == (None, {"team": "data"})
    run(**ASKED)
    assert there(logs) == (30, {"team": "data"})


def test_what_is_not_asked_for_stays(logs, run):
    run(**ASKED)
    assert not run(name=NAME)["changed"]
    assert there(logs) == (30, {"team": "data"})


def test_a_number_of_days_that_there_is_not_is_refused_and_leaves_the_group(logs, run):
    run(**ASKED)
    told = run(name=NAME, retention_in_days=8)
    assert told["failed"] and "must be one of" in told["msg"]
    assert there(logs) == (30, {"team": "data"})
