"""The writes that sns_topic plans: what differs, no more, in an order that AWS takes."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import sns_topic
from sns_model import ARN, SnsModel

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:changes"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sns:Publish"], "Resource": ARN}],
}


def options(**given):
    return {"name": "changes", "state": "present", "purge_tags": True, "purge_subscriptions": False, **given}


def made(**given):
    """A topic as an earlier run with these options left it."""
    model = SnsModel()
    model.carry_out(sns_topic.plan(None, options(**given), ARN).steps)
    return model


def calls(plan):
    return [(step.call, step.request.get("AttributeName")) for step in plan.steps]


def test_creation_puts_settings_and_tags_into_one_call():
    plan = sns_topic.plan(
        None, options(display_name="Changes", kms_master_key_id="alias/cdc", policy=POLICY, tags={"a": "b"}), ARN
    )
    (step,) = plan.steps
    assert step.call == "create_topic"
    assert step.request == {
        "Name": "changes",
        "Attributes": {
            "DisplayName": "Changes",
            "KmsMasterKeyId": "alias/cdc",
            "Policy": json.dumps(POLICY, sort_keys=True),
        },
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert plan.before == {}
    assert plan.after["topic_arn"] == ARN


def test_a_fifo_topic_is_created_as_one():
    plan = sns_topic.plan(None, options(name="changes.fifo", content_based_deduplication=True), f"{ARN}.fifo")
    assert plan.steps[0].request["Attributes"] == {"FifoTopic": "true", "ContentBasedDeduplication": "true"}
    assert plan.after["topic_type"] == "fifo"


def test_update_keeps_options_left_out():
    topic = made(display_name="Changes", kms_master_key_id="alias/cdc", policy=POLICY, tags={"a": "b"})
    plan = sns_topic.plan(topic.read(), options(), ARN)
    assert plan.steps == ()
    assert plan.after == plan.before


@pytest.mark.parametrize(
    ("given", "attribute", "value"),
    [
        ({"display_name": ""}, "DisplayName", ""),
        ({"kms_master_key_id": ""}, "KmsMasterKeyId", ""),
        ({"kms_master_key_id": "alias/other"}, "KmsMasterKeyId", "alias/other"),
    ],
)
def test_a_setting_changes_alone(given, attribute, value):
    topic = made(display_name="Changes", kms_master_key_id="alias/cdc")
    plan = sns_topic.plan(topic.read(), options(**given), ARN)
    assert calls(plan) == [("set_topic_attributes", attribute)]
    assert plan.steps[0].request["AttributeValue"] == value


def test_a_policy_that_means_the_same_is_no_change():
    topic = made(policy=POLICY)
    same = {
        "Statement": [{"Resource": [ARN], "Action": "sns:Publish", "Principal": "*", "Effect": "Allow"}],
        "Version": "2012-10-17",
    }
    assert not sns_topic.plan(topic.read(), options(policy=json.dumps(same)), ARN).changed
    other = {**same, "Statement": [{**same["Statement"][0], "Action": "sns:Subscribe"}]}
    assert calls(sns_topic.plan(topic.read(), options(policy=other), ARN)) == [("set_topic_attributes", "Policy")]


def test_tags_are_purged_only_when_asked():
    topic = made(tags={"keep": "1", "drop": "2"})
    wanted = {"keep": "1", "new": "3"}
    purged = sns_topic.plan(topic.read(), options(tags=wanted), ARN)
    assert [step.call for step in purged.steps] == ["untag_resource", "tag_resource"]
    assert purged.after["tags"] == wanted
    kept = sns_topic.plan(topic.read(), options(tags=wanted, purge_tags=False), ARN)
    assert [step.call for step in kept.steps] == ["tag_resource"]
    assert kept.after["tags"] == {**wanted, "drop": "2"}


def test_a_new_subscription_is_made_with_its_attributes():
    asked = {
        "protocol": "sqs",
        "endpoint": QUEUE,
        "filter_policy": {"eventName": ["REMOVE"]},
        "raw_message_delivery": True,
        "dead_letter_target_arn": QUEUE,
    }
    plan = sns_topic.plan(made().read(), options(subscriptions=[asked]), ARN)
    (step,) = plan.steps
    assert step.request["Attributes"] == {
        "FilterPolicy": '{"eventName": ["REMOVE"]}',
        "RawMessageDelivery": "true",
        "RedrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE}),
    }
    assert plan.after["subscriptions"][0]["subscription_arn"] is None


def test_settings_that_are_the_default_are_not_sent_to_subscribe():
    asked = {"protocol": "email", "endpoint": "a@example.com", "raw_message_delivery": False, "filter_policy": {}}
    assert sns_topic.plan(made().read(), options(subscriptions=[asked]), ARN).steps[0].request["Attributes"] == {}


def test_a_subscription_is_known_by_protocol_and_endpoint():
    topic = made(subscriptions=[{"protocol": "sms", "endpoint": "+12065550100"}])
    again = [{"protocol": "sms", "endpoint": "+1 (206) 555-0100"}]
    assert not sns_topic.plan(topic.read(), options(subscriptions=again, purge_subscriptions=True), ARN).changed


def test_only_the_attribute_that_differs_is_set():
    asked = {"protocol": "sqs", "endpoint": QUEUE, "filter_policy": {"table": ["a"]}, "raw_message_delivery": True}
    topic = made(subscriptions=[asked])
    plan = sns_topic.plan(topic.read(), options(subscriptions=[{**asked, "filter_policy": {}}]), ARN)
    assert calls(plan) == [("set_subscription_attributes", "FilterPolicy")]
    assert plan.steps[0].request["AttributeValue"] == "{}"


def test_attributes_left_out_of_a_subscription_stay():
    topic = made(subscriptions=[{"protocol": "sqs", "endpoint": QUEUE, "filter_policy": {"table": ["a"]}}])
    bare = [{"protocol": "sqs", "endpoint": QUEUE}]
    assert not sns_topic.plan(topic.read(), options(subscriptions=bare), ARN).changed


def test_a_dead_letter_queue_is_removed_by_sending_no_value():
    asked = {"protocol": "sqs", "endpoint": QUEUE, "dead_letter_target_arn": QUEUE}
    topic = made(subscriptions=[asked])
    plan = sns_topic.plan(topic.read(), options(subscriptions=[{**asked, "dead_letter_target_arn": ""}]), ARN)
    assert calls(plan) == [("set_subscription_attributes", "RedrivePolicy")]
    assert "AttributeValue" not in plan.steps[0].request


FLAT = {"filter_policy": {"table": ["a"]}, "filter_policy_scope": "MessageAttributes"}
NESTED = {"filter_policy": {"details": {"table": ["a"]}}, "filter_policy_scope": "MessageBody"}


@pytest.mark.parametrize(
    ("before", "after", "order"),
    [(FLAT, NESTED, ["FilterPolicyScope", "FilterPolicy"]), (NESTED, FLAT, ["FilterPolicy", "FilterPolicyScope"])],
)
def test_scope_and_filter_change_in_the_order_that_is_valid_throughout(before, after, order):
    topic = made(subscriptions=[{"protocol": "sqs", "endpoint": QUEUE, **before}])
    wanted = options(subscriptions=[{"protocol": "sqs", "endpoint": QUEUE, **after}])
    plan = sns_topic.plan(topic.read(), wanted, ARN)
    assert [step.request["AttributeName"] for step in plan.steps] == order
    topic.carry_out(plan.steps)
    assert not sns_topic.plan(topic.read(), wanted, ARN).changed


def test_subscriptions_that_are_not_listed_stay_unless_purged():
    topic = made(subscriptions=[{"protocol": "sqs", "endpoint": QUEUE}])
    assert not sns_topic.plan(topic.read(), options(subscriptions=[]), ARN).changed
    assert not sns_topic.plan(topic.read(), options(purge_subscriptions=True), ARN).changed
    purged = sns_topic.plan(topic.read(), options(subscriptions=[], purge_subscriptions=True), ARN)
    assert [step.call for step in purged.steps] == ["unsubscribe"]
    assert purged.after["subscriptions"] == []


def test_a_pending_subscription_counts_as_there_and_is_reported():
    waiting = {"protocol": "email", "endpoint": "Operators@example.com"}
    topic = made(subscriptions=[waiting])
    again = {"protocol": "email", "endpoint": "operators@example.com", "filter_policy": {"table": ["a"]}}
    plan = sns_topic.plan(topic.read(), options(subscriptions=[again]), ARN)
    assert not plan.changed
    assert sns_topic.pending(plan.after) == [waiting]


def test_a_pending_subscription_is_never_purged():
    topic = made(subscriptions=[{"protocol": "email", "endpoint": "a@example.com"}])
    plan = sns_topic.plan(topic.read(), options(subscriptions=[], purge_subscriptions=True), ARN)
    assert not plan.changed
    assert sns_topic.pending(plan.after) == [{"protocol": "email", "endpoint": "a@example.com"}]


def test_a_confirmed_subscription_beside_its_pending_twin_is_not_purged():
    state = made().read()
    twin = {"protocol": "email", "endpoint": "a@example.com", "owner": "123456789012"}
    state["subscriptions"] = [
        {**twin, "subscription_arn": "PendingConfirmation", "pending": True},
        {**twin, "subscription_arn": f"{ARN}:1", "pending": False},
    ]
    asked = options(subscriptions=[{"protocol": "email", "endpoint": "a@example.com"}], purge_subscriptions=True)
    assert not sns_topic.plan(state, asked, ARN).changed


def test_deletion_removes_the_accounts_own_subscriptions_first():
    state = made().read()
    state["subscriptions"] = [
        {"subscription_arn": arn, "protocol": "sqs", "endpoint": QUEUE, "owner": owner, "pending": waits}
        for arn, owner, waits in [
            (f"{ARN}:1", "123456789012", False),
            ("PendingConfirmation", "123456789012", True),
            (f"{ARN}:2", "210987654321", False),
        ]
    ]
    plan = sns_topic.plan(state, options(state="absent"), ARN)
    assert [(step.call, *step.request.values()) for step in plan.steps] == [
        ("unsubscribe", f"{ARN}:1"),
        ("delete_topic", ARN),
    ]
    assert plan.after == {}


def test_deleting_what_is_not_there_changes_nothing():
    assert not sns_topic.plan(None, options(state="absent"), ARN).changed
