"""Whatever is there and whatever is asked: one run leads there, and a second one changes nothing."""

from __future__ import annotations

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import sns_topic
from hypothesis import given, settings
from hypothesis import strategies as st
from sns_model import ARN, SnsModel

PREFIX = "arn:aws:sqs:eu-central-1:123456789012:"
ENDPOINTS = [
    ("email", "a@example.com"),
    ("https", "https://example.com"),
    ("sms", "+12065550100"),
    *[("sqs", PREFIX + name) for name in "abc"],
]
SETTINGS = ("display_name", "kms_master_key_id")

filters = st.one_of(
    st.just({}),
    st.just({"filter_policy": {}}),
    st.builds(
        lambda rules, scope: {"filter_policy": {"table": rules}, "filter_policy_scope": scope},
        st.lists(st.sampled_from(["a", "b", 1, True]), min_size=1, max_size=2),
        st.sampled_from(["MessageAttributes", "MessageBody"]),
    ),
    st.just({"filter_policy": {"details": {"table": ["a"]}}, "filter_policy_scope": "MessageBody"}),
)


@st.composite
def subscriptions(draw):
    listed = []
    for protocol, endpoint in draw(st.lists(st.sampled_from(ENDPOINTS), unique=True)):
        item = {"protocol": protocol, "endpoint": endpoint, **draw(filters)}
        if protocol == "sqs":
            item["raw_message_delivery"] = draw(st.sampled_from([None, True, False]))
            item["dead_letter_target_arn"] = draw(st.sampled_from([None, "", PREFIX + "dead", PREFIX + "letters"]))
        listed.append(item)
    return listed


tags = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"))
asked = st.fixed_dictionaries(
    {
        "name": st.just("changes"),
        "state": st.just("present"),
        "display_name": st.sampled_from([None, "", "Changes"]),
        "kms_master_key_id": st.sampled_from([None, "", "alias/cdc", "alias/aws/sns"]),
        "tags": st.none() | tags,
        "purge_tags": st.booleans(),
        "subscriptions": st.none() | subscriptions(),
        "purge_subscriptions": st.booleans(),
    }
)


def run(model, options):
    assert sns_topic.problems(options) == []
    plan = sns_topic.plan(model.read(), options, ARN)
    model.carry_out(plan.steps)
    return plan


def by_identity(state):
    return {sns_topic.identity(item): item for item in state["subscriptions"]}


@settings(max_examples=100, deadline=None)
@given(asked, asked)
def test_every_topic_becomes_what_is_asked_and_stays_it(first, second):
    model = SnsModel()
    run(model, first)
    before = model.read()
    run(model, second)
    after = model.read()
    for name in SETTINGS:
        assert after[name] == (before[name] if second[name] is None else second[name])
    assert not sns_topic.plan(after, second, ARN).changed


@settings(max_examples=100, deadline=None)
@given(asked, asked)
def test_every_listed_subscription_is_there_and_every_other_goes_only_by_purging(first, second):
    model = SnsModel()
    run(model, first)
    before = by_identity(model.read())
    run(model, second)
    after = by_identity(model.read())
    listed = {sns_topic.identity(item): item for item in second["subscriptions"] or []}
    assert set(listed) <= set(after)
    for key, item in before.items():
        purged = second["subscriptions"] is not None and second["purge_subscriptions"]
        assert (key in after) == (item["pending"] or key in listed or not purged)
    for key, item in listed.items():
        if not after[key]["pending"]:
            assert all(after[key][name] == value for name, value in item.items() if value is not None)


@settings(max_examples=100, deadline=None)
@given(asked, asked)
def test_the_diff_is_what_the_topic_becomes(first, second):
    model = SnsModel()
    run(model, first)
    before = model.read()
    plan = run(model, second)
    after = model.read()
    assert plan.before == before
    assert {**plan.after, "subscriptions": None} == {**after, "subscriptions": None}
    foretold, real = by_identity(plan.after), by_identity(after)
    assert set(foretold) == set(real)
    for key, item in foretold.items():
        known = item if item["subscription_arn"] else {**item, "subscription_arn": real[key]["subscription_arn"]}
        shared = set(known) & set(real[key])
        assert {name: known[name] for name in shared} == {name: real[key][name] for name in shared}


@settings(max_examples=100, deadline=None)
@given(st.none() | asked, asked, st.data())
def test_a_run_killed_between_any_two_writes_is_mended_by_the_next(first, second, data):
    model = SnsModel()
    if first is not None:
        run(model, first)
    steps = sns_topic.plan(model.read(), second, ARN).steps
    model.carry_out(steps[: data.draw(st.integers(0, len(steps)))])
    run(model, second)
    assert not sns_topic.plan(model.read(), second, ARN).changed
