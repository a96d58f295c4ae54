"""What the options of sns_topic may not be, and the sentence that says so."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.sns_topic import problems

QUEUE = "arn:aws:sqs:eu-central-1:123456789012:changes"
STREAM = "arn:aws:firehose:eu-central-1:123456789012:deliverystream/changes"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:changes"


def told(name="changes", **options):
    return problems({"name": name, "state": "present", **options})


def told_of(name="changes", **subscription):
    return told(name, subscriptions=[subscription])


@pytest.mark.parametrize(
    "subscription",
    [
        {"protocol": "email", "endpoint": "operators@example.com"},
        {"protocol": "email-json", "endpoint": "operators@example.com"},
        {"protocol": "sms", "endpoint": "+1 (206) 555-0100"},
        {"protocol": "sqs", "endpoint": QUEUE, "raw_message_delivery": True, "dead_letter_target_arn": QUEUE},
        {"protocol": "sqs", "endpoint": QUEUE, "dead_letter_target_arn": ""},
        {"protocol": "https", "endpoint": "https://example.com/changes", "filter_policy": {"table": ["orders"]}},
        {"protocol": "lambda", "endpoint": FUNCTION, "filter_policy": {}},
        {"protocol": "firehose", "endpoint": STREAM, "subscription_role_arn": "arn:aws:iam::123456789012:role/sns"},
        {
            "protocol": "sqs",
            "endpoint": QUEUE,
            "filter_policy_scope": "MessageBody",
            "filter_policy": {"details": {"table": ["orders"]}},
        },
    ],
    ids=lambda subscription: subscription["protocol"],
)
def test_valid_subscriptions_are_accepted(subscription):
    assert told_of(**subscription) == []


def test_plain_http_is_refused_with_the_reason():
    assert told_of(protocol="http", endpoint="http://example.com") == [
        "subscriptions[0]: protocol http would send item data unencrypted; use protocol https, with an endpoint that "
        "begins with https://."
    ]


@pytest.mark.parametrize(
    ("subscription", "part"),
    [
        ({"protocol": "https", "endpoint": "http://example.com"}, "a URL that begins with https://"),
        ({"protocol": "email", "endpoint": "operators"}, "an e-mail address"),
        ({"protocol": "sms", "endpoint": "operators"}, "a telephone number"),
        ({"protocol": "https", "endpoint": "https://me:secret@example.com/"}, "holds a user name or password"),
        ({"protocol": "sqs", "endpoint": "https://sqs.eu-central-1.amazonaws.com/1/changes"}, "ARN of an SQS queue"),
        ({"protocol": "lambda", "endpoint": QUEUE}, "ARN of a Lambda function"),
        ({"protocol": "firehose", "endpoint": QUEUE}, "ARN of a Firehose delivery stream"),
        ({"protocol": "application", "endpoint": "x"}, "use one of email, email-json, sms, sqs, https"),
        ({"protocol": "sqs", "endpoint": QUEUE + ".fifo"}, "cannot be subscribed to a standard topic"),
        ({"protocol": "firehose", "endpoint": STREAM}, "subscription_role_arn is missing"),
        (
            {"protocol": "sqs", "endpoint": QUEUE, "subscription_role_arn": "arn:aws:iam::123456789012:role/sns"},
            "subscription_role_arn is for firehose only",
        ),
        (
            {"protocol": "email", "endpoint": "a@example.com", "raw_message_delivery": True},
            "raw_message_delivery is for sqs, https, firehose only",
        ),
        (
            {"protocol": "sqs", "endpoint": QUEUE, "dead_letter_target_arn": "changes"},
            "must be the ARN of an SQS queue",
        ),
        ({"protocol": "sqs", "endpoint": QUEUE, "filter_policy_scope": "MessageBody"}, "give filter_policy too"),
        (
            {"protocol": "sqs", "endpoint": QUEUE, "filter_policy": {"a": ["b"]}, "filter_policy_scope": "Message"},
            "use one of MessageAttributes, MessageBody",
        ),
        (
            {"protocol": "sqs", "endpoint": QUEUE, "filter_policy": {"eventName": "REMOVE"}},
            'filter_policy.eventName is "REMOVE"; it must be a list of what matches: ["REMOVE"]',
        ),
        (
            {
                "protocol": "sqs",
                "endpoint": QUEUE,
                "filter_policy": {"details": {"table": ["orders"]}},
                "filter_policy_scope": "MessageAttributes",
            },
            "filter_policy.details is a nested object, which only filter_policy_scope MessageBody allows",
        ),
    ],
)
def test_wrong_subscriptions_are_told_by_item(subscription, part):
    found = told(subscriptions=[{"protocol": "email", "endpoint": "fine@example.com"}, subscription])
    assert len(found) == 1
    assert found[0].startswith("subscriptions[1]: ")
    assert part in found[0]


@pytest.mark.parametrize("twin", ["Operators@Example.com", "operators@example.com"])
def test_an_endpoint_listed_twice_is_refused(twin):
    listed = [{"protocol": "email", "endpoint": "operators@example.com"}, {"protocol": "email", "endpoint": twin}]
    assert told(subscriptions=listed) == [
        "subscriptions[1]: the same protocol and endpoint as item 0; list an endpoint once."
    ]


def test_raw_delivery_switched_off_is_accepted_with_every_protocol():
    assert told_of(protocol="email", endpoint="a@example.com", raw_message_delivery=False) == []


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"name": "changes", "topic_type": "fifo"}, "must end with .fifo: changes.fifo"),
        ({"name": "changes.fifo", "topic_type": "standard"}, "leave .fifo out of the name"),
        ({"name": "order changes"}, "letters, digits, hyphens and underscores"),
        ({"name": "x" * 257}, "1 to 256"),
        ({"name": ""}, "1 to 256"),
        ({"name": "changes", "content_based_deduplication": True}, "for FIFO topics only"),
        ({"name": "changes", "display_name": "x" * 101}, "display_name has 101 characters"),
        ({"name": "changes", "policy": "not json"}, "policy is not a policy document"),
        ({"name": "changes", "policy": "[1]"}, "policy is not a policy document"),
        ({"name": "changes", "policy": {}}, "policy is not a policy document"),
    ],
)
def test_wrong_settings_are_told(options, part):
    found = problems({"state": "present", **options})
    assert len(found) == 1
    assert part in found[0]


def test_fifo_topics_take_queues_only():
    assert told_of("changes.fifo", protocol="sqs", endpoint=QUEUE + ".fifo") == []
    assert told_of("changes.fifo", protocol="sqs", endpoint=QUEUE) == []
    assert "delivers to SQS queues only" in told_of("changes.fifo", protocol="lambda", endpoint=FUNCTION)[0]


def test_the_name_alone_makes_a_topic_fifo():
    assert told("changes.fifo", content_based_deduplication=True) == []
    assert told("changes.fifo", topic_type="fifo") == []
    assert told("changes", topic_type="standard", content_based_deduplication=False) == []


def test_options_that_are_missing_count_as_left_out():
    assert problems({"name": "changes"}) == []
