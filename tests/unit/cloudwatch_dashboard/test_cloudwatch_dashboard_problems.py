"""What the options of cloudwatch_dashboard may not be, and the sentence that says so."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_dashboard import problems

METRIC = {
    "type": "metric",
    "properties": {"region": "eu-central-1", "metrics": [["AWS/Lambda", "Errors", "FunctionName", "orders"]]},
}
TEXT = {"type": "text", "properties": {"markdown": "# Orders"}}
ALARM = {"type": "alarm", "properties": {"alarms": ["arn:aws:cloudwatch:eu-central-1:123456789012:alarm:a"]}}


def told(body, name="orders"):
    text = body if isinstance(body, str) else json.dumps(body)
    return problems({"name": name, "state": "present", "body": text})


def told_of(widget):
    return told({"widgets": [TEXT, widget]})


def with_properties(widget, **properties):
    return {**widget, "properties": {**widget["properties"], **properties}}


@pytest.mark.parametrize(
    "body",
    [
        {"widgets": []},
        {"widgets": [METRIC, TEXT, ALARM]},
        {"widgets": [{**TEXT, "x": 0, "y": 0, "width": 24, "height": 1000}, {**TEXT, "x": 23, "y": 9999, "width": 1}]},
        {"widgets": [{"type": "metric", "properties": {"region": "eu-central-1", "annotations": {"alarms": ["arn"]}}}]},
        {"widgets": [with_properties(METRIC, metrics=[[{"expression": "m1 / PERIOD(m1)"}]] * 500)]},
        {"widgets": [{"type": "made-up-next-year", "properties": {}}] * 500},
        {"widgets": [], "variables": [{}] * 25, "start": "-PT3H", "periodOverride": "inherit"},
        {"widgets": [], "start": "2026-01-01T00:00:00.000Z", "end": "2026-01-02T00:00:00.000Z"},
    ],
)
def test_what_cloudwatch_takes_is_accepted(body):
    assert told(body) == []


@pytest.mark.parametrize("name", ["", "two words", "a" * 256, "orders.eu", "orders\n"])
def test_a_name_that_cloudwatch_does_not_take_is_told(name):
    assert told({"widgets": []}, name) == [f"name is {name!r}; give 1 to 255 letters, digits, hyphens and underscores."]


@pytest.mark.parametrize("body", ["", "widgets", "{'widgets': []}", '{"widgets": [NaN]}', "[" * 100_000])
def test_text_that_is_no_json_is_told(body):
    found = told(body)
    assert len(found) == 1
    assert found[0].startswith("body is not JSON: ")


@pytest.mark.parametrize("body", [[], "text", None, 5, {}, {"widgets": {}}, {"widgets": None}, {"Widgets": []}])
def test_a_body_without_widgets_is_told(body):
    assert told(json.dumps(body)) == [
        'body must be an object with the list widgets, which may be empty: {"widgets": []}.'
    ]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"widgets": [TEXT] * 501}, "body has 501 widgets; CloudWatch takes at most 500."),
        ({"variables": [{}] * 26}, "body.variables must be a list of at most 25"),
        ({"variables": {}}, "body.variables must be a list"),
        ({"end": "2026-01-02T00:00:00.000Z"}, "body has end without start"),
        ({"periodOverride": "never"}, "body.periodOverride is 'never'; use one of auto, inherit."),
        (
            {"widgets": [with_properties(METRIC, metrics=[["AWS/Lambda", "Errors"]] * 500)] * 5 + [METRIC]},
            "body has 2501 metrics in all its widgets; CloudWatch takes at most 2500.",
        ),
    ],
)
def test_what_is_wrong_with_the_body_is_told(more, part):
    found = told({"widgets": [], **more})
    assert len(found) == 1
    assert part in found[0]


@pytest.mark.parametrize(
    ("widget", "rest"),
    [
        ("text", " must be an object."),
        ({"properties": {}}, " has no type; give one, such as metric, text or alarm."),
        ({"type": "", "properties": {}}, " has no type; give one, such as metric, text or alarm."),
        ({"type": "log"}, " has no properties; every widget needs an object of them."),
        ({"type": "log", "properties": []}, " has no properties; every widget needs an object of them."),
        ({**TEXT, "x": 24, "y": 0}, ".x is 24; give a whole number from 0 to 23."),
        ({**TEXT, "x": 0, "y": -1}, ".y is -1; give a whole number 0 or higher."),
        ({**TEXT, "x": 0, "y": 0.5}, ".y is 0.5; give a whole number 0 or higher."),
        ({**TEXT, "width": 25}, ".width is 25; give a whole number from 1 to 24."),
        ({**TEXT, "height": "6"}, ".height is '6'; give a whole number from 1 to 1000."),
        ({**TEXT, "height": True}, ".height is True; give a whole number from 1 to 1000."),
        ({**TEXT, "y": 3}, " has only one of x and y; give both, or neither for the next free place."),
        ({**TEXT, "x": 3}, " has only one of x and y; give both, or neither for the next free place."),
        ({"type": "text", "properties": {}}, ".properties.markdown is missing; a text widget needs it."),
        (
            with_properties(METRIC, region=None),
            ".properties.region is missing; a metric widget needs the region of its metrics.",
        ),
        (
            {"type": "metric", "properties": {"region": "eu-central-1"}},
            ".properties has neither metrics nor annotations; give one of them.",
        ),
        (
            with_properties(METRIC, metrics=[["AWS/Lambda", "Errors"]] * 501),
            ".properties.metrics has 501 members; CloudWatch takes at most 500.",
        ),
        *(
            (
                with_properties(METRIC, metrics=metrics),
                '.properties.metrics must be a list of lists, such as [["AWS/Lambda", "Errors", "FunctionName", '
                '"orders"]].',
            )
            for metrics in (["AWS/Lambda", "Errors"], [[]], {}, "AWS/Lambda")
        ),
        *(
            (with_properties(ALARM, alarms=alarms), ".properties.alarms must be a list of 1 to 100 ARNs of alarms.")
            for alarms in ([], ["arn"] * 101, "arn", None)
        ),
    ],
)
def test_what_is_wrong_with_a_widget_is_told_with_its_place(widget, rest):
    assert told_of(widget) == [f"body.widgets[1]{rest}"]


def test_every_problem_is_told_at_once():
    assert len(told({"widgets": ["text", {**TEXT, "x": -1}], "end": "now"}, "two words")) == 5


def test_a_dashboard_that_is_to_go_needs_no_body():
    assert problems({"name": "orders", "state": "absent", "body": None}) == []
