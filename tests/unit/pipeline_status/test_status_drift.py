"""Drift, read from the results of a deploy's tasks in check mode."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_status.drift import (
    drift_of,
    errors_of,
    unknown,
    with_drift,
)

OK = {"state": "ok", "reasons": [], "unreadable": []}


def differs(before, after):
    return drift_of({"thing": {"changed": True, "diff": {"before": before, "after": after}}})[0]["differs"]


def test_what_would_not_change_or_was_skipped_is_no_drift():
    results = {"table": {"changed": False}, "failure topic": {"changed": False, "skipped": True}, "function": {}}
    assert with_drift(OK, results) == {**OK, "drift": []}


def test_each_turn_of_a_loop_is_told_by_its_name():
    turns = [{"item": {"name": "errors"}, "changed": True}, {"item": {"name": "dropped"}, "changed": False}]
    assert drift_of({"alarms": {"changed": True, "results": turns}}) == [
        {"resource": "alarms", "name": "errors", "differs": []}
    ]


def test_drift_wants_attention_and_names_what_differs():
    diff = {"before": {"batch_size": 10, "tags": {}}, "after": {"batch_size": 20, "tags": {}}}
    status = with_drift(OK, {"event source mapping": {"changed": True, "diff": diff}, "function": {"changed": True}})
    assert status["state"] == "attention"
    assert status["reasons"][0]["reason"] == (
        "playbooks/deploy.yml would change: event source mapping (batch_size: 10, should be 20), function"
    )


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"name": "x"}, ["missing"]),
        ({"a": {"b": 1}}, {"a": {"b": True}}, ["a.b: 1, should be true"]),
        ({"mode": "PROVISIONED"}, {"mode": "PAY_PER_REQUEST"}, ["mode: PROVISIONED, should be PAY_PER_REQUEST"]),
        ({"tags": {"a": "b"}}, {"tags": {}}, ["tags.a"]),
        ({"a": {"b": 1}}, {"a": {"b": 1}, "c": {"b": 1}}, ["c: missing"]),
        ({"n": 1}, {"n": None}, ["n: 1, should be nothing"]),
        ('{"widgets": [1]}', '{"widgets": []}', ["widgets"]),
        ("one text", "another text", ["its content"]),
    ],
)
def test_of_what_differs_the_name_and_harmless_values_are_told(before, after, told):
    assert differs(before, after) == told


@pytest.mark.parametrize("name", ["environment", "Variables", "api_token", "password", "client_secret"])
def test_no_value_that_could_be_a_secret_is_told(name):
    assert differs({name: {"PIN": 1234}}, {name: {"PIN": 4321}}) == [f"{name}.PIN"]
    assert differs({"endpoint": "https://example.com/?key=1"}, {"endpoint": "https://example.com/?key=2"}) == [
        "endpoint"
    ]


def test_many_differences_are_counted():
    told = differs({str(number): 0 for number in range(30)}, {str(number): 1 for number in range(30)})
    assert len(told) == 21 and told[-1] == "and 10 more"


def test_a_task_that_failed_is_told_with_its_reason_and_leaves_the_others():
    results = {"table": {"failed": True, "msg": "not\nauthorized", "changed": True}, "function": {"changed": True}}
    status = with_drift(OK, results)
    assert [each["resource"] for each in status["drift"]] == ["function"]
    assert status["unreadable"] == errors_of(results) == [{"resource": "table", "reason": "not authorized"}]
    assert "the table could not be compared: not authorized" in [each["reason"] for each in status["reasons"]]


def test_what_is_broken_stays_so_and_comes_first():
    broken = {"state": "broken", "reasons": [{"state": "broken", "reason": "no stream"}], "unreadable": []}
    status = with_drift(broken, {"function": {"changed": True}})
    assert status["state"] == "broken"
    assert [each["state"] for each in status["reasons"]] == ["broken", "attention"]


def test_what_is_not_deployed_has_no_drift():
    absent = {"state": "absent", "reasons": [{"state": "absent", "reason": "it is not deployed"}], "unreadable": []}
    assert with_drift(absent, {"function": {"changed": True}}) == {**absent, "drift": []}


def test_a_pipeline_that_could_not_be_asked_is_unknown():
    assert unknown("why") == {"state": "unknown", "reasons": [{"state": "unknown", "reason": "why"}]}
