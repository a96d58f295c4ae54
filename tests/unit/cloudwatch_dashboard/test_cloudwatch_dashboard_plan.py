"""Whatever is there and whatever is asked: one write leads there, and a second run changes nothing."""

from __future__ import annotations

import json

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import cloudwatch_dashboard
from hypothesis import given
from hypothesis import strategies as st

ARN = "arn:aws:cloudwatch::123456789012:dashboard/orders"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
bodies = st.fixed_dictionaries({"widgets": st.just([])}, optional={"titles": values, "start": st.text()})


def asked(body, state="present"):
    return {"name": "orders", "state": state, "body": body if isinstance(body, str) else json.dumps(body)}


def live(text):
    """What is there once the text is put: CloudWatch keeps it as it came."""
    return cloudwatch_dashboard.dashboard_state({"DashboardName": "orders", "DashboardArn": ARN, "DashboardBody": text})


def put(plan):
    (step,) = plan.steps
    assert step.call == "put_dashboard"
    assert step.request["DashboardName"] == "orders"
    return live(step.request["DashboardBody"])


def identical(one, other):
    """Equal, with True and 1, or 1 and 1.0, told apart."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@given(bodies)
def test_a_dashboard_is_created_as_asked_and_stays_it(body):
    plan = cloudwatch_dashboard.plan(None, asked(body))
    assert plan.before == {}
    assert plan.after == {"dashboard_name": "orders", "body": body}
    made = put(plan)
    assert made == {**plan.after, "dashboard_arn": ARN}
    assert not cloudwatch_dashboard.plan(made, asked(body)).changed


@given(bodies, bodies)
def test_a_dashboard_changes_exactly_when_its_body_says_something_else(first, second):
    current = live(json.dumps(first))
    plan = cloudwatch_dashboard.plan(current, asked(second))
    assert plan.changed == (not identical(first, second))
    assert plan.before == current
    if plan.changed:
        assert identical(put(plan), plan.after)


@given(bodies, st.integers(0, 4))
def test_how_a_body_is_written_does_not_matter(body, indent):
    members = dict(reversed(body.items()))
    current = live(json.dumps(body, indent=indent, ensure_ascii=False))
    assert not cloudwatch_dashboard.plan(current, asked(json.dumps(members))).changed


def test_true_is_not_one():
    current = live('{"widgets": [], "stacked": 1}')
    assert cloudwatch_dashboard.plan(current, asked('{"widgets": [], "stacked": true}')).changed


def test_a_body_that_is_no_json_is_replaced():
    current = live("not json")
    assert current["body"] == "not json"
    assert put(cloudwatch_dashboard.plan(current, asked({"widgets": []})))["body"] == {"widgets": []}


def test_a_dashboard_is_deleted_once():
    plan = cloudwatch_dashboard.plan(live('{"widgets": []}'), asked("", state="absent"))
    assert [(step.call, step.request) for step in plan.steps] == [("delete_dashboards", {"DashboardNames": ["orders"]})]
    assert plan.after == {}
    assert not cloudwatch_dashboard.plan(None, asked("", state="absent")).changed
