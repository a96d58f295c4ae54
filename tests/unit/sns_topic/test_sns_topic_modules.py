"""The modules sns_topic and sns_topic_info, as Ansible runs them, against moto."""

from __future__ import annotations

import boto3
import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import sns_topic_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import sns_topic, sns_topic_info
from moto import mock_aws
from moto.sns.exceptions import SNSNotFoundError
from moto.sns.models import SNSBackend

from tests.unit.module_runs import forget_the_callers_aws, told_by, watch_calls

REGION = "eu-central-1"
ARN = f"arn:aws:sns:{REGION}:123456789012:changes"
QUEUE = f"arn:aws:sqs:{REGION}:123456789012:changes"
EMAIL = {"protocol": "email", "endpoint": "operators@example.com"}
READS = {"GetCallerIdentity", "GetTopicAttributes", "ListTagsForResource", "ListSubscriptionsByTopic"}


@pytest.fixture
def sns(monkeypatch):
    forget_the_callers_aws(monkeypatch)
    with mock_aws():
        yield boto3.client("sns", REGION, aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="not-a-secret")


@pytest.fixture
def calls(monkeypatch):
    """The names of the API calls that the modules make, in order."""
    return watch_calls(monkeypatch, sns_topic_api)


@pytest.fixture
def run(sns, calls, capsys):
    """Runs a module and returns what it told Ansible."""

    def run_module(module=sns_topic, check=False, **options):
        keys = {"region": REGION, "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
        calls.clear()
        return told_by(module, capsys, check, **keys, **options)

    return run_module


def test_a_topic_is_created_in_one_call_and_a_second_run_changes_nothing(run, calls):
    asked = {"name": "changes", "display_name": "Changes", "kms_master_key_id": "alias/cdc", "tags": {"a": "b"}}
    first = run(**asked)
    assert first["changed"]
    assert first["topic_arn"] == ARN
    assert first["sns_topic"]["kms_master_key_id"] == "alias/cdc"
    assert first["sns_topic"]["tags"] == {"a": "b"}
    assert [name for name in calls if name not in READS] == ["CreateTopic"]
    second = run(**asked)
    assert not second["changed"]
    assert second["diff"]["before"] == second["diff"]["after"]
    assert set(calls) <= READS


def test_a_topic_that_sns_does_not_know_everywhere_yet_is_read_again(run, calls, monkeypatch):
    know, misses = SNSBackend.get_topic, []

    def know_late(backend, arn):
        if backend.topics and len(misses) < 2:
            misses.append(arn)
            raise SNSNotFoundError("Topic does not exist")
        return know(backend, arn)

    monkeypatch.setattr(SNSBackend, "get_topic", know_late)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    told = run(name="changes", display_name="Changes")
    assert told["sns_topic"]["display_name"] == "Changes"
    assert len(misses) == 2
    assert calls.count("CreateTopic") == 1


def test_check_mode_on_a_fresh_target_tells_the_arn_and_writes_nothing(run, calls, sns):
    told = run(name="changes", display_name="Changes", subscriptions=[EMAIL], check=True)
    assert told["changed"]
    assert told["topic_arn"] == told["sns_topic"]["topic_arn"] == ARN
    assert told["diff"]["before"] == {}
    assert told["diff"]["after"]["display_name"] == "Changes"
    assert told["pending"] == [EMAIL]
    assert set(calls) <= READS
    assert sns.list_topics()["Topics"] == []


def test_check_mode_foretells_an_update_without_making_it(run, calls, sns):
    run(name="changes", display_name="Changes")
    told = run(name="changes", display_name="Orders", check=True)
    assert told["changed"]
    assert told["diff"]["after"]["display_name"] == "Orders"
    assert set(calls) <= READS
    assert sns.get_topic_attributes(TopicArn=ARN)["Attributes"]["DisplayName"] == "Changes"


def test_a_subscription_is_made_changed_and_removed(run, calls, sns):
    queue = {"protocol": "sqs", "endpoint": QUEUE, "filter_policy": {"eventName": ["REMOVE"]}}
    run(name="changes", subscriptions=[queue])
    raw = run(name="changes", subscriptions=[{**queue, "raw_message_delivery": True}])
    assert [name for name in calls if name.startswith("Set")] == ["SetSubscriptionAttributes"]
    (made,) = raw["sns_topic"]["subscriptions"]
    assert made["raw_message_delivery"] is True
    assert made["filter_policy"] == {"eventName": ["REMOVE"]}
    assert not run(name="changes", subscriptions=[queue])["changed"]
    gone = run(name="changes", subscriptions=[], purge_subscriptions=True)
    assert gone["sns_topic"]["subscriptions"] == []
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_subscriptions_of_others_stay_and_cost_no_call(run, calls, sns):
    run(name="changes", subscriptions=[EMAIL])
    sns.subscribe(TopicArn=ARN, Protocol="sqs", Endpoint=QUEUE)
    told = run(name="changes", subscriptions=[EMAIL])
    assert not told["changed"]
    assert [item["protocol"] for item in told["sns_topic"]["subscriptions"]] == ["email", "sqs"]
    assert calls.count("GetSubscriptionAttributes") == 1


def test_a_subscription_that_is_gone_before_it_is_removed_is_no_failure(run, monkeypatch):
    run(name="changes", subscriptions=[EMAIL])

    def gone(backend, subscription_arn):
        del backend.subscriptions[subscription_arn]
        raise SNSNotFoundError("Subscription does not exist")

    monkeypatch.setattr(SNSBackend, "unsubscribe", gone)
    told = run(name="changes", subscriptions=[], purge_subscriptions=True)
    assert told["changed"]
    assert told["sns_topic"]["subscriptions"] == []


def test_a_subscription_that_went_away_after_it_was_listed_is_left_out(sns):
    sns.create_topic(Name="changes")
    listed = {"SubscriptionArn": f"{ARN}:1", "Protocol": "sqs", "Endpoint": QUEUE, "Owner": "123456789012"}
    retrying = type("Client", (), {"exceptions": sns.exceptions})()
    retrying.get_subscription_attributes = lambda aws_retry, **request: sns.get_subscription_attributes(**request)
    assert sns_topic_api._subscription(retrying, listed, None) is None


def test_a_subscription_that_was_deleted_is_not_there():
    listed = {"SubscriptionArn": "Deleted", "Protocol": "email", "Endpoint": "a@example.com", "Owner": ""}
    assert sns_topic_api._subscription(None, listed, None) is None


def test_a_topic_is_deleted_with_its_subscriptions_and_a_second_time_nothing_happens(run, calls, sns):
    run(name="changes", subscriptions=[EMAIL])
    told = run(name="changes", state="absent")
    assert told["changed"]
    assert told["sns_topic"] == {}
    assert [name for name in calls if name not in READS] == ["Unsubscribe", "DeleteTopic"]
    assert sns.list_topics()["Topics"] == []
    again = run(name="changes", state="absent")
    assert not again["changed"]
    assert again["topic_arn"] == ARN


def test_deletion_in_check_mode_deletes_nothing(run, sns):
    run(name="changes", subscriptions=[EMAIL])
    assert run(name="changes", state="absent", check=True)["changed"]
    assert len(sns.list_topics()["Topics"]) == len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_a_fifo_topic_is_created(run):
    told = run(name="changes.fifo", content_based_deduplication=True)
    assert told["sns_topic"]["topic_type"] == "fifo"
    assert told["sns_topic"]["content_based_deduplication"] is True
    assert not run(name="changes.fifo", content_based_deduplication=True)["changed"]


def test_a_policy_may_be_given_as_an_object(run):
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": ARN}],
    }
    assert run(name="changes", policy=policy)["sns_topic"]["policy"] == policy
    assert not run(name="changes", policy=policy)["changed"]


def test_bad_input_is_refused_before_any_call(run, calls):
    told = run(name="changes", subscriptions=[{"protocol": "http", "endpoint": "http://example.com"}])
    assert told["failed"]
    assert "use protocol https" in told["msg"]
    assert calls == []


def test_what_aws_answers_reaches_the_user_in_its_own_words(run):
    told = run(name="changes", subscriptions=[{"protocol": "sms", "endpoint": "+" + "1" * 40}])
    assert told["failed"]
    assert told["msg"].startswith("Failed to change the SNS topic: An error occurred (InvalidParameter)")
    assert told["error"]["code"] == "InvalidParameter"
    assert "Invalid SMS endpoint" in told["error"]["message"]


def test_info_reads_every_subscription_in_full(run, sns):
    run(name="changes", subscriptions=[EMAIL, {"protocol": "sqs", "endpoint": QUEUE}])
    for option in ({"name": "changes"}, {"topic_arn": ARN}):
        told = run(sns_topic_info, **option)
        assert told["exists"]
        assert not told["changed"]
        assert told["topic_arn"] == ARN
        assert all("filter_policy" in item for item in told["sns_topic"]["subscriptions"])


def test_info_on_a_topic_that_is_not_there_is_no_failure(run):
    told = run(sns_topic_info, name="changes")
    assert (told["exists"], told["topic_arn"], told["sns_topic"], told["pending"]) == (False, ARN, {}, [])
