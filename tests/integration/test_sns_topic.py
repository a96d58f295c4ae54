"""The module sns_topic against the local cloud: what it makes delivers messages, and goes away again."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import sns_topic, sns_topic_info

pytestmark = pytest.mark.cloud

NAME = "module-sns-topic"


@pytest.fixture
def run(cloud, capsys):
    """Runs a module on the topic NAME as the account's administrator, and returns what it told Ansible."""
    keys = cloud.credentials()
    connection = {
        "endpoint_url": cloud.endpoint,
        "region": cloud.client("sns").meta.region_name,
        "access_key": keys["aws_access_key_id"],
        "secret_key": keys["aws_secret_access_key"],
    }

    def run_module(module=sns_topic, check=False, **options):
        given = {**connection, "name": NAME, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            module.main()
        told = json.loads(capsys.readouterr().out)
        assert not told.get("failed"), told["msg"]
        return told

    yield run_module
    run_module(state="absent")


@pytest.fixture
def queue(cloud):
    """A queue that the topic may send to: its URL and ARN."""
    sqs = cloud.client("sqs")
    allowed = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }
    url = sqs.create_queue(QueueName=NAME, Attributes={"Policy": json.dumps(allowed)})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    yield url, arn
    sqs.delete_queue(QueueUrl=url)


def received(sqs, url):
    messages = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        messages += [message["Body"] for message in found]
        for message in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return messages


def test_a_subscribed_queue_gets_what_its_filter_lets_through(cloud, run, queue):
    url, arn = queue
    asked = {
        "protocol": "sqs",
        "endpoint": arn,
        "raw_message_delivery": True,
        "filter_policy": {"eventName": ["REMOVE"]},
    }
    topic = run(subscriptions=[asked])
    sns, sqs = cloud.client("sns"), cloud.client("sqs")

    def publish(name):
        attributes = {"eventName": {"DataType": "String", "StringValue": name}}
        sns.publish(TopicArn=topic["topic_arn"], Message=name, MessageAttributes=attributes)

    for name in ("INSERT", "REMOVE"):
        publish(name)
    assert received(sqs, url) == ["REMOVE"]
    assert run(subscriptions=[{**asked, "filter_policy": {}}])["changed"]
    for name in ("INSERT", "REMOVE"):
        publish(name)
    assert sorted(received(sqs, url)) == ["INSERT", "REMOVE"]


def test_every_setting_can_be_made_changed_and_removed(run, queue):
    _url, arn = queue
    subscription = {"protocol": "sqs", "endpoint": arn}
    full = {
        "display_name": "Changes",
        "kms_master_key_id": "alias/aws/sns",
        "tags": {"a": "1", "b": "2"},
        "subscriptions": [{**subscription, "dead_letter_target_arn": arn, "raw_message_delivery": True}],
    }
    assert run(**full)["changed"]
    assert not run(**full)["changed"]
    bare = {
        "display_name": "",
        "kms_master_key_id": "",
        "tags": {"b": "3"},
        "subscriptions": [{**subscription, "dead_letter_target_arn": "", "raw_message_delivery": False}],
    }
    told = run(**bare)
    assert told["changed"]
    topic = told["sns_topic"]
    assert (topic["display_name"], topic["kms_master_key_id"], topic["tags"]) == ("", "", {"b": "3"})
    assert topic["subscriptions"][0]["dead_letter_target_arn"] == ""
    assert not run(**bare)["changed"]
    assert run()["sns_topic"]["tags"] == {"b": "3"}


def test_check_mode_on_a_fresh_target_foretells_the_arn(run, queue):
    asked = {"subscriptions": [{"protocol": "sqs", "endpoint": queue[1]}], "display_name": "Changes"}
    foretold = run(check=True, **asked)
    assert foretold["changed"]
    assert not run(sns_topic_info)["exists"]
    real = run(**asked)
    assert real["topic_arn"] == foretold["topic_arn"]
    assert real["diff"] == foretold["diff"]
    assert not run(check=True, **asked)["changed"]


def test_a_topic_is_deleted_once(run, queue):
    run(subscriptions=[{"protocol": "sqs", "endpoint": queue[1]}])
    assert run(state="absent")["changed"]
    assert not run(state="absent")["changed"]
    assert not run(sns_topic_info)["exists"]
