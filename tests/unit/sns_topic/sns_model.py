"""SNS as a few dictionaries: carries out the steps of a plan, and refuses what AWS refuses."""

from __future__ import annotations

import json

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import sns_topic

ARN = sns_topic.topic_arn("aws", "eu-central-1", "123456789012", "changes")
DEFAULT_POLICY = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": []}


class SnsModel:
    """One topic at most, at ARN."""

    def __init__(self):
        self.attributes, self.tags, self.subscriptions = None, {}, {}
        self.made = 0

    def read(self):
        if self.attributes is None:
            return None
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        states = [
            sns_topic.subscription_state(item["listed"], None if item["pending"] else item["attributes"])
            for item in self.subscriptions.values()
        ]
        return sns_topic.topic_state(self.attributes, tags, states)

    def carry_out(self, steps):
        for step in steps:
            getattr(self, step.call)(**step.request)

    def create_topic(self, Name, Attributes, Tags):
        assert self.attributes is None
        assert ARN.endswith(f":{Name}")
        self.attributes = {"TopicArn": ARN, "Owner": "123456789012", "Policy": json.dumps(DEFAULT_POLICY), **Attributes}
        self.tags = {tag["Key"]: tag["Value"] for tag in Tags}

    def set_topic_attributes(self, TopicArn, AttributeName, AttributeValue):
        assert TopicArn == ARN
        self.attributes[AttributeName] = AttributeValue

    def tag_resource(self, ResourceArn, Tags):
        assert ResourceArn == ARN
        self.tags.update({tag["Key"]: tag["Value"] for tag in Tags})

    def untag_resource(self, ResourceArn, TagKeys):
        assert ResourceArn == ARN
        for key in TagKeys:
            del self.tags[key]

    def subscribe(self, TopicArn, Protocol, Endpoint, Attributes, ReturnSubscriptionArn):
        assert TopicArn == ARN
        assert ReturnSubscriptionArn
        self.made += 1
        waits = Protocol in ("email", "https")
        arn = f"{ARN}:{self.made}"
        listed = {
            "SubscriptionArn": "PendingConfirmation" if waits else arn,
            "Protocol": Protocol,
            "Endpoint": Endpoint,
            "Owner": "123456789012",
        }
        attributes = {"PendingConfirmation": "false", **Attributes}
        self._check_filter(attributes)
        self.subscriptions[arn] = {"listed": listed, "attributes": attributes, "pending": waits}

    def set_subscription_attributes(self, SubscriptionArn, AttributeName, AttributeValue=None):
        subscription = self.subscriptions[SubscriptionArn]
        assert not subscription["pending"]
        if AttributeName == "RedrivePolicy" and AttributeValue is None:
            del subscription["attributes"]["RedrivePolicy"]
        else:
            assert AttributeValue
            subscription["attributes"][AttributeName] = AttributeValue
        self._check_filter(subscription["attributes"])

    def unsubscribe(self, SubscriptionArn):
        assert not self.subscriptions.pop(SubscriptionArn)["pending"]

    def delete_topic(self, TopicArn):
        assert TopicArn == ARN
        self.attributes = None

    def _check_filter(self, attributes):
        rules = json.loads(attributes.get("FilterPolicy", "{}"))
        nested = any(isinstance(value, dict) for value in rules.values())
        assert not nested or attributes.get("FilterPolicyScope") == "MessageBody"
