# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An SNS topic and its subscriptions: what cannot be, what is, and the writes that lead to what is asked. Pure.

A topic's state is a dict: topic_arn, name, topic_type, owner, display_name, kms_master_key_id,
content_based_deduplication, policy, tags, subscriptions. A subscription has subscription_arn (None: not made yet),
protocol, endpoint, owner and pending; its attributes are there only when they were read.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .comparing import (
    ansible_dict_to_boto3_tag_list,
    boto3_tag_list_to_ansible_dict,
    compare_aws_tags,
    compare_policies,
)
from .plan import Plan, Step

# https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
_TOPIC_ATTRIBUTES = {
    "display_name": "DisplayName",
    "kms_master_key_id": "KmsMasterKeyId",
    "content_based_deduplication": "ContentBasedDeduplication",
    "policy": "Policy",
}
# https://docs.aws.amazon.com/sns/latest/api/API_SetSubscriptionAttributes.html
_SUBSCRIPTION_ATTRIBUTES = {
    "filter_policy": "FilterPolicy",
    "filter_policy_scope": "FilterPolicyScope",
    "raw_message_delivery": "RawMessageDelivery",
    "dead_letter_target_arn": "RedrivePolicy",
    "subscription_role_arn": "SubscriptionRoleArn",
}

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.fifo)?")
_NAME_LENGTH = 256
_DISPLAY_NAME_LENGTH = 100
_ADDRESS = (re.compile(r"[^@\s]+@[^@\s]+"), "an e-mail address")
# https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html: what each protocol's endpoint looks like.
_ENDPOINTS = {
    "email": _ADDRESS,
    "email-json": _ADDRESS,
    "sms": (re.compile(r"\+?[0-9]+"), "a telephone number such as +12065550100"),
    "sqs": (re.compile(r"arn:[^:]+:sqs:[^:]+:[0-9]{12}:[^:]+"), "the ARN of an SQS queue"),
    "https": (re.compile(r"https://\S+"), "a URL that begins with https://"),
    "lambda": (re.compile(r"arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:.+"), "the ARN of a Lambda function"),
    "firehose": (
        re.compile(r"arn:[^:]+:firehose:[^:]+:[0-9]{12}:deliverystream/.+"),
        "the ARN of a Firehose delivery stream",
    ),
}
_QUEUE_ARN = _ENDPOINTS["sqs"][0]
# https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html
_RAW_DELIVERY = ("sqs", "https", "firehose")
_SCOPES = ("MessageAttributes", "MessageBody")


# What cannot be


def problems(options: dict[str, Any]) -> list[str]:
    """One sentence for each thing that cannot be, with what to change; an empty list when all is well.

    ``options`` are the options of the module ``sns_topic``; one that is missing or None was left out.
    """
    found = _name_problems(options)
    found += _setting_problems(options)
    fifo = _is_fifo(options)
    seen: dict[tuple[str, str], int] = {}
    for index, subscription in enumerate(options.get("subscriptions") or []):
        where = f"subscriptions[{index}]"
        wrong = _protocol_problems(subscription, fifo) or _subscription_problems(subscription)
        if not wrong:
            first = seen.setdefault(identity(subscription), index)
            if first != index:
                wrong = [f"the same protocol and endpoint as item {first}; list an endpoint once"]
        found += [f"{where}: {sentence}." for sentence in wrong]
    return found


def _is_fifo(options: dict[str, Any]) -> bool:
    return str(options.get("name") or "").endswith(".fifo")


def _name_problems(options: dict[str, Any]) -> list[str]:
    name, topic_type = str(options.get("name") or ""), options.get("topic_type")
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        return [
            f"name is {name!r}; a topic's name has 1 to {_NAME_LENGTH} letters, digits, hyphens and underscores, and "
            "a FIFO topic's ends with .fifo."
        ]
    if topic_type == "fifo" and not _is_fifo(options):
        return [f"topic_type is fifo and name is {name!r}; a FIFO topic's name must end with .fifo: {name}.fifo."]
    if topic_type == "standard" and _is_fifo(options):
        return [
            f"topic_type is standard and name is {name!r}, which only a FIFO topic may have; leave .fifo out of the "
            "name. A topic's type cannot change after it is created."
        ]
    return []


def _setting_problems(options: dict[str, Any]) -> list[str]:
    found = []
    if options.get("content_based_deduplication") and not _is_fifo(options):
        found.append(
            "content_based_deduplication is for FIFO topics only; leave it out, or use a name that ends with .fifo."
        )
    display_name = options.get("display_name") or ""
    if len(display_name) > _DISPLAY_NAME_LENGTH:
        found.append(f"display_name has {len(display_name)} characters; SNS takes {_DISPLAY_NAME_LENGTH} at most.")
    if options.get("policy") is not None and not _policy(options["policy"]):
        found.append("policy is not a policy document; give a JSON object with Version and Statement, or leave it out.")
    return found


def _protocol_problems(subscription: dict[str, Any], fifo: bool) -> list[str]:
    protocol, endpoint = subscription.get("protocol"), str(subscription.get("endpoint") or "")
    if protocol == "http":
        return [
            "protocol http would send item data unencrypted; use protocol https, with an endpoint that begins with "
            "https://"
        ]
    if protocol not in _ENDPOINTS:
        return [f"protocol is {protocol!r}; use one of {', '.join(_ENDPOINTS)}"]
    if protocol == "https" and "@" in endpoint.partition("://")[2].partition("/")[0]:
        return [
            "endpoint holds a user name or password, which would stand in every list of the topic's subscriptions; use "
            "an endpoint that checks SNS's signature instead"
        ]
    form, what = _ENDPOINTS[protocol]
    if not form.fullmatch(_plain(protocol, endpoint)):
        return [f"endpoint is {endpoint!r}; with protocol {protocol} it must be {what}"]
    if fifo and protocol != "sqs":
        return [f"protocol is {protocol}; a FIFO topic delivers to SQS queues only: subscribe a queue"]
    if protocol == "sqs" and not fifo and endpoint.endswith(".fifo"):
        return ["endpoint is a FIFO queue, which cannot be subscribed to a standard topic; use a standard queue"]
    return []


def _subscription_problems(subscription: dict[str, Any]) -> list[str]:
    protocol, scope = subscription.get("protocol"), subscription.get("filter_policy_scope")
    found = _filter_problems(subscription.get("filter_policy"), scope)
    if subscription.get("raw_message_delivery") and protocol not in _RAW_DELIVERY:
        found.append(
            f"raw_message_delivery is for {', '.join(_RAW_DELIVERY)} only; leave it out with protocol {protocol}"
        )
    target = subscription.get("dead_letter_target_arn")
    if target and not _QUEUE_ARN.fullmatch(target):
        found.append(f"dead_letter_target_arn is {target!r}; it must be the ARN of an SQS queue, or empty for none")
    role = subscription.get("subscription_role_arn")
    if protocol == "firehose" and not role:
        found.append("subscription_role_arn is missing; SNS needs a role to write to a Firehose delivery stream")
    if protocol != "firehose" and role:
        found.append(f"subscription_role_arn is for firehose only; leave it out with protocol {protocol}")
    return found


def _filter_problems(filter_policy: dict[str, Any] | None, scope: str | None) -> list[str]:
    if scope is not None and scope not in _SCOPES:
        return [f"filter_policy_scope is {scope!r}; use one of {', '.join(_SCOPES)}"]
    if scope is not None and not filter_policy:
        return ["filter_policy_scope says what filter_policy looks at; give filter_policy too, or leave both out"]
    return [
        f"filter_policy.{key} {wrong}"
        for key, value in (filter_policy or {}).items()
        if (wrong := _rule_problem(value, nested=scope != "MessageAttributes"))
    ]


def _rule_problem(value: Any, nested: bool) -> str | None:
    """Left out, the scope may be MessageBody on a subscription that is there: so only its mention forbids nesting."""
    if isinstance(value, list) or (nested and isinstance(value, dict)):
        return None
    if isinstance(value, dict):
        return "is a nested object, which only filter_policy_scope MessageBody allows"
    return f"is {json.dumps(value)}; it must be a list of what matches: [{json.dumps(value)}]"


# What is


def topic_arn(partition: str, region: str, account_id: str, name: str) -> str:
    """The ARN that a topic of this name has, or will have."""
    return f"arn:{partition}:sns:{region}:{account_id}:{name}"


def identity(subscription: dict[str, Any]) -> tuple[str, str]:
    """What makes two subscriptions of one topic the same. SNS keeps one for each protocol and endpoint."""
    protocol = subscription["protocol"]
    endpoint = _plain(protocol, subscription["endpoint"])
    return protocol, endpoint.lower() if protocol.startswith("email") else endpoint


def _plain(protocol: str, endpoint: str) -> str:
    """The endpoint as SNS lists it: a telephone number without blanks, brackets, dots and hyphens."""
    return re.sub(r"[\s().-]", "", endpoint) if protocol == "sms" else endpoint


def topic_state(
    attributes: dict[str, str], tags: list[dict[str, str]], subscriptions: list[dict[str, Any]]
) -> dict[str, Any]:
    """The topic as the user sees it, from SNS's answers."""
    arn = attributes["TopicArn"]
    return {
        "topic_arn": arn,
        "name": arn.split(":")[-1],
        "topic_type": "fifo" if _true(attributes.get("FifoTopic")) else "standard",
        "owner": attributes.get("Owner", arn.split(":")[4]),
        "display_name": attributes.get("DisplayName") or "",
        "kms_master_key_id": attributes.get("KmsMasterKeyId") or "",
        "content_based_deduplication": _true(attributes.get("ContentBasedDeduplication")),
        "policy": json.loads(attributes.get("Policy") or "{}"),
        "tags": boto3_tag_list_to_ansible_dict(tags),
        "subscriptions": sorted(subscriptions, key=lambda item: (*identity(item), item["subscription_arn"])),
    }


def subscription_state(listed: dict[str, str], attributes: dict[str, str] | None) -> dict[str, Any]:
    """A subscription as the user sees it; without its attributes when they were not, or cannot be, read."""
    state = {
        "subscription_arn": listed["SubscriptionArn"],
        "protocol": listed["Protocol"],
        "endpoint": listed["Endpoint"],
        "owner": listed.get("Owner", ""),
        "pending": not is_confirmed(listed["SubscriptionArn"]),
    }
    if attributes is None:
        return state
    redrive = json.loads(attributes.get("RedrivePolicy") or "{}")
    return {
        **state,
        "pending": _true(attributes.get("PendingConfirmation")),
        "filter_policy": json.loads(attributes.get("FilterPolicy") or "{}"),
        "filter_policy_scope": attributes.get("FilterPolicyScope") or "MessageAttributes",
        "raw_message_delivery": _true(attributes.get("RawMessageDelivery")),
        "dead_letter_target_arn": redrive.get("deadLetterTargetArn", ""),
        "subscription_role_arn": attributes.get("SubscriptionRoleArn") or "",
    }


def is_confirmed(subscription_arn: str) -> bool:
    """SNS lists a subscription that waits for its confirmation with a word in place of the ARN."""
    return subscription_arn.startswith("arn:")


def pending(state: dict[str, Any]) -> list[dict[str, str]]:
    """The subscriptions that wait for a confirmation: they get nothing yet, and can be neither changed nor removed."""
    return [
        {"protocol": item["protocol"], "endpoint": item["endpoint"]}
        for item in state.get("subscriptions", [])
        if item["pending"]
    ]


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _policy(policy: Any) -> dict[str, Any] | None:
    """A policy document given as a dict or as JSON text; None when it is neither."""
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            return None
    return policy if isinstance(policy, dict) and policy else None


# What leads there


def plan(current: dict[str, Any] | None, options: dict[str, Any], arn: str) -> Plan:
    """The writes that make the topic what the options ask for. ``arn`` is the topic's, made or not."""
    if options["state"] == "absent":
        return _plan_absent(current)
    if current is None:
        return _plan_create(options, arn)
    return _plan_update(current, options, arn)


def _plan_absent(current: dict[str, Any] | None) -> Plan:
    """Subscriptions first: those of a deleted topic linger in the account's list, and count as orphans there."""
    if current is None:
        return Plan({}, {})
    mine = [item for item in current["subscriptions"] if not item["pending"] and item["owner"] == current["owner"]]
    steps = [Step("unsubscribe", {"SubscriptionArn": item["subscription_arn"]}) for item in mine]
    steps.append(Step("delete_topic", {"TopicArn": current["topic_arn"]}))
    return Plan(current, {}, tuple(steps))


def _plan_create(options: dict[str, Any], arn: str) -> Plan:
    """Settings and tags go into the one call that makes the topic, so that it never exists without them."""
    fifo, tags = _is_fifo(options), options.get("tags") or {}
    given = {name: options.get(name) for name in _TOPIC_ATTRIBUTES if options.get(name) not in (None, "", False)}
    attributes = {_TOPIC_ATTRIBUTES[name]: _encoded(name, value) for name, value in given.items()}
    if fifo:
        attributes["FifoTopic"] = "true"
    request = {"Name": options["name"], "Attributes": attributes, "Tags": ansible_dict_to_boto3_tag_list(tags)}
    after = {
        "topic_arn": arn,
        "name": options["name"],
        "topic_type": "fifo" if fifo else "standard",
        "owner": arn.split(":")[4],
        "display_name": given.get("display_name", ""),
        "kms_master_key_id": given.get("kms_master_key_id", ""),
        "content_based_deduplication": given.get("content_based_deduplication", False),
        "tags": tags,
    }
    if "policy" in given:
        after["policy"] = _policy(given["policy"])
    steps, subscriptions = _plan_subscriptions([], options, arn)
    return Plan({}, {**after, "subscriptions": subscriptions}, (Step("create_topic", request), *steps))


def _plan_update(current: dict[str, Any], options: dict[str, Any], arn: str) -> Plan:
    after, steps = dict(current), []
    for name, attribute in _TOPIC_ATTRIBUTES.items():
        wanted = options.get(name)
        if wanted is None or not _topic_differs(name, current[name], wanted):
            continue
        after[name] = _policy(wanted) if name == "policy" else wanted
        request = {"TopicArn": arn, "AttributeName": attribute, "AttributeValue": _encoded(name, wanted)}
        steps.append(Step("set_topic_attributes", request))
    tag_steps, after["tags"] = _plan_tags(current["tags"], options, arn)
    subscription_steps, after["subscriptions"] = _plan_subscriptions(current["subscriptions"], options, arn)
    return Plan(current, after, (*steps, *tag_steps, *subscription_steps))


def _plan_tags(current: dict[str, str], options: dict[str, Any], arn: str) -> tuple[list[Step], dict[str, str]]:
    if options.get("tags") is None:
        return [], current
    to_set, to_remove = compare_aws_tags(current, options["tags"], options.get("purge_tags", True))
    steps = []
    if to_remove:
        # Removed first: a resource has 50 tags at most.
        steps.append(Step("untag_resource", {"ResourceArn": arn, "TagKeys": sorted(to_remove)}))
    if to_set:
        steps.append(Step("tag_resource", {"ResourceArn": arn, "Tags": ansible_dict_to_boto3_tag_list(to_set)}))
    kept = {key: value for key, value in current.items() if key not in to_remove}
    return steps, {**kept, **to_set}


def _plan_subscriptions(
    current: list[dict[str, Any]], options: dict[str, Any], arn: str
) -> tuple[list[Step], list[dict[str, Any]]]:
    wanted = {identity(item): item for item in options.get("subscriptions") or []}
    purge = options.get("subscriptions") is not None and options.get("purge_subscriptions")
    steps, after = [], []
    for item in current:
        asked = wanted.get(identity(item))
        if item["pending"]:
            # SNS lets nobody change or remove what waits for its confirmation.
            after.append(item)
        elif asked is not None:
            changes, item_after = _plan_attributes(item, asked)
            steps += changes
            after.append(item_after)
        elif purge:
            steps.append(Step("unsubscribe", {"SubscriptionArn": item["subscription_arn"]}))
        else:
            after.append(item)
    present = {identity(item) for item in current}
    for asked in (item for key, item in wanted.items() if key not in present):
        step, item_after = _plan_subscribe(asked, arn)
        steps.append(step)
        after.append(item_after)
    return steps, sorted(after, key=identity)


def _plan_subscribe(asked: dict[str, Any], arn: str) -> tuple[Step, dict[str, Any]]:
    given = {name: asked.get(name) for name in _SUBSCRIPTION_ATTRIBUTES if asked.get(name) not in (None, "", {}, False)}
    endpoint = _plain(asked["protocol"], asked["endpoint"])
    request = {
        "TopicArn": arn,
        "Protocol": asked["protocol"],
        "Endpoint": endpoint,
        "Attributes": {_SUBSCRIPTION_ATTRIBUTES[name]: _encoded(name, value) for name, value in given.items()},
        "ReturnSubscriptionArn": True,
    }
    after = {
        "subscription_arn": None,
        "protocol": asked["protocol"],
        "endpoint": endpoint,
        "owner": arn.split(":")[4],
        "pending": asked["protocol"] in ("email", "email-json", "https"),
        **given,
    }
    return Step("subscribe", request), after


def _plan_attributes(item: dict[str, Any], asked: dict[str, Any]) -> tuple[list[Step], dict[str, Any]]:
    """Only what differs. A subscription whose attributes went away between two reads is left alone."""
    changed = {
        name: asked[name]
        for name in _SUBSCRIPTION_ATTRIBUTES
        if asked.get(name) is not None and name in item and _canonical(item[name]) != _canonical(asked[name])
    }
    if changed.get("filter_policy_scope") == "MessageBody":
        # Every filter policy is valid for MessageBody, a nested one for nothing else: so MessageBody is set before
        # the policy, and MessageAttributes after it.
        changed = {"filter_policy_scope": "MessageBody", **changed}
    steps = []
    for name, value in changed.items():
        request = {"SubscriptionArn": item["subscription_arn"], "AttributeName": _SUBSCRIPTION_ATTRIBUTES[name]}
        if name != "dead_letter_target_arn" or value:
            # SNS removes a redrive policy when it gets no value, and refuses an empty one.
            request["AttributeValue"] = _encoded(name, value)
        steps.append(Step("set_subscription_attributes", request))
    return steps, {**item, **changed}


def _topic_differs(name: str, current: Any, wanted: Any) -> bool:
    if name == "policy":
        return compare_policies(current, _policy(wanted))
    return current != wanted


def _canonical(value: Any) -> str:
    """JSON text that is the same whatever the order of keys, and tells true from 1."""
    return json.dumps(value, sort_keys=True)


def _encoded(name: str, value: Any) -> str:
    """A setting as SNS takes it: always text."""
    if name == "policy":
        return _canonical(_policy(value))
    if name == "filter_policy":
        return _canonical(value)
    if name == "dead_letter_target_arn":
        return _canonical({"deadLetterTargetArn": value})
    return str(value).lower() if isinstance(value, bool) else value
