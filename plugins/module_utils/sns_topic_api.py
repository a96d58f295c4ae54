# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An SNS topic on AWS: reads it, and carries out a plan. What to do is decided in sns_topic."""

from __future__ import annotations

from typing import Any

from . import sns_topic
from .aws import AnsibleAWSModule, AWSRetry, InputError, aws_errors, client
from .runner import Plan

#: What SNS answers for a topic, a subscription or a tagged resource that is not there.
_NOT_FOUND = ("NotFound", "ResourceNotFound", "ResourceNotFoundException")
#: What it answers while a deleted topic of the same name, or another call, is not done yet.
#: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html#API_CreateTopic_Errors
_PASSING = ("StaleTag", "StaleTagException", "ConcurrentAccess", "ConcurrentAccessException")


class SnsTopic:
    """The topic that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.options = module.params
        self.sns = client(module, "sns", passing=_PASSING)
        self.sts = client(module, "sts")
        self.arn = ""
        self.created = False

    def read(self) -> dict[str, Any] | None:
        wrong = sns_topic.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        self.arn = self.arn or find_arn(self.sns, self.sts, self.options["name"])
        asked = {sns_topic.identity(item) for item in self.options["subscriptions"] or ()}
        return read_topic(self.sns, self.arn, asked, expected=self.created)

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return sns_topic.plan(current, self.options, self.arn)

    @aws_errors("change the SNS topic")
    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            try:
                getattr(self.sns, step.call)(**step.request, aws_retry=True)
            except self.sns.exceptions.NotFoundException:
                # A subscription that went away by itself is as gone as it should be.
                if step.call != "unsubscribe":
                    raise
            self.created = self.created or step.call == "create_topic"

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"topic_arn": self.arn, "sns_topic": state, "pending": sns_topic.pending(state)}


@aws_errors("find out the ARN of the SNS topic")
def find_arn(sns, sts, name: str) -> str:
    """A topic's ARN follows from its name, so no list of all topics is read."""
    account_id = sts.get_caller_identity(aws_retry=True)["Account"]
    return sns_topic.topic_arn(sns.meta.partition, sns.meta.region_name, account_id, name)


@aws_errors("read the SNS topic")
def read_topic(sns, arn: str, asked: set[tuple[str, str]] | None, expected: bool = False) -> dict[str, Any] | None:
    """The topic's state, or None. Subscription attributes cost a call each: they are read for ``asked``, None for all.

    ``expected``: this run made the topic, and SNS may take a moment to know it everywhere.
    """
    look = _look_again if expected else _look
    try:
        return look(sns, arn, asked)
    except (sns.exceptions.NotFoundException, sns.exceptions.ResourceNotFoundException):
        return None


def _look(sns, arn: str, asked: set[tuple[str, str]] | None) -> dict[str, Any]:
    attributes = sns.get_topic_attributes(TopicArn=arn, aws_retry=True)["Attributes"]
    tags = sns.list_tags_for_resource(ResourceArn=arn, aws_retry=True).get("Tags", [])
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    listed = pages.build_full_result().get("Subscriptions", [])
    states = [_subscription(sns, item, asked) for item in listed]
    return sns_topic.topic_state(attributes, tags, [state for state in states if state is not None])


_look_again = AWSRetry.jittered_backoff(retries=6, delay=0.5, max_delay=5, catch_extra_error_codes=_NOT_FOUND)(_look)


def _subscription(sns, listed: dict[str, str], asked: set[tuple[str, str]] | None) -> dict[str, Any] | None:
    if listed["SubscriptionArn"] == "Deleted":
        # SNS lists what somebody unsubscribed from for some days more.
        return None
    state = sns_topic.subscription_state(listed, None)
    if state["pending"] or (asked is not None and sns_topic.identity(state) not in asked):
        return state
    try:
        answer = sns.get_subscription_attributes(SubscriptionArn=listed["SubscriptionArn"], aws_retry=True)
    except sns.exceptions.NotFoundException:
        # It went away after the list was read.
        return None
    return sns_topic.subscription_state(listed, answer["Attributes"])
