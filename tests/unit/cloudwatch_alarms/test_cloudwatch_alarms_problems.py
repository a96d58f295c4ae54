"""What a set of alarms may not be is said before AWS is asked."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_alarms import problems

ALARM = {
    "name": "orders-errors",
    "description": None,
    "namespace": "AWS/Lambda",
    "metric_name": "Errors",
    "dimensions": {"FunctionName": "orders"},
    "statistic": "Sum",
    "extended_statistic": None,
    "unit": None,
    "comparison": "GreaterThanOrEqualToThreshold",
    "threshold": 1.0,
    "period": 300,
    "evaluation_periods": 1,
    "datapoints_to_alarm": None,
    "treat_missing_data": "missing",
    "actions_enabled": True,
    "alarm_actions": None,
    "ok_actions": None,
    "insufficient_data_actions": None,
}


def found(state="present", **changes):
    return problems({"state": state, "alarms": [{**ALARM, **changes}]})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"period": 10},
        {"period": 86_400},
        {"period": 3600, "evaluation_periods": 168},
        {"statistic": None, "extended_statistic": "p99.9"},
        {"statistic": None, "extended_statistic": "tm90"},
        {"statistic": None, "extended_statistic": "TC(0.005:0.030)"},
        {"evaluation_periods": 3, "datapoints_to_alarm": 2},
        {"name": "x" * 255, "description": "x" * 1024, "alarm_actions": ["arn"] * 5},
    ],
)
def test_what_cloudwatch_takes_is_taken(changes):
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "alarms[0].name"),
        ({"name": "x" * 256}, "255"),
        ({"metric_name": None}, "no metric_name"),
        ({"threshold": None}, "no threshold"),
        ({"period": None}, "no period"),
        ({"period": 45}, "multiple of 60"),
        ({"period": 0}, "multiple of 60"),
        ({"period": 300, "evaluation_periods": 289}, "86400 at most"),
        ({"period": 3600, "evaluation_periods": 169}, "604800 at most"),
        ({"evaluation_periods": 0}, "1 or more"),
        ({"datapoints_to_alarm": 2}, "1 to evaluation_periods"),
        ({"statistic": None}, "one of statistic and extended_statistic"),
        ({"extended_statistic": "p99"}, "one of statistic and extended_statistic"),
        ({"statistic": None, "extended_statistic": "median"}, "percentile"),
        ({"dimensions": {str(i): "x" for i in range(31)}}, "31 dimensions"),
        ({"ok_actions": ["arn"] * 6}, "6 ok_actions"),
        ({"description": "x" * 1025}, "1024"),
    ],
)
def test_what_cloudwatch_refuses_is_named(changes, said):
    (problem,) = found(**changes)
    assert said in problem


def test_two_alarms_of_one_name_are_refused():
    (problem,) = problems({"state": "present", "alarms": [ALARM, dict(ALARM)]})
    assert "2 alarms with the name orders-errors" in problem


def test_to_delete_a_name_is_enough():
    assert found(state="absent", metric_name=None, threshold=None, period=None, statistic=None) == []
