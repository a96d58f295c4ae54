# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every call that a verification makes to AWS. What the answers mean is decided elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .._history.dynamodb_json import in_request_form
from .._history.objects import ObjectName, read_name
from ..aws import AnsibleAWSError, AnsibleAWSModule, aws_errors, client, error_code
from .items import RUN, Item

#: A message is received once and never again: the queue goes before this is over (seconds, SQS's longest).
_VISIBILITY_TIMEOUT = 43200
#: Messages are item data, so they do not stay longer than a run can take, even if the run is killed (seconds).
_RETENTION_PERIOD = 3600
#: Pages of 1000 names a look at the audit log reads at most.
_PAGES_A_LOOK = 20

_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NotFound", "NotFoundException")


class Cloud:
    """Clients, made at their first use."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self._module = module
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._clients:
            # A shard takes few reads a second, shared with every other reader.
            self._clients[service] = client(self._module, service, passing=["LimitExceededException"])
        return self._clients[service]


class Table:
    """The table. Every write holds only for an item that is not there, or that is this run's own."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._client, self.name = cloud("dynamodb"), name

    @aws_errors("read the table")
    def describe(self) -> dict[str, Any]:
        return self._client.describe_table(TableName=self.name, aws_retry=True)

    @aws_errors("insert a test item (only where no item has its keys)")
    def insert(self, item: Item, run_id: str) -> None:
        request = self._own(item.keys, run_id, absent_too=True)
        attributes = {name: in_request_form(value) for name, value in item.first.items()}
        # boto3 repeats a request whose answer was lost; the second one then meets this run's own item and changes
        # nothing. The same holds for the other two writes.
        self._client.put_item(TableName=self.name, Item=attributes, **request, aws_retry=True)

    @aws_errors("modify a test item")
    def modify(self, item: Item, run_id: str) -> None:
        request = self._own(item.keys, run_id, absent_too=False)
        changed = [name for name in item.second if item.second[name] != item.first[name]]
        for place, name in enumerate(changed):
            request["ExpressionAttributeNames"][f"#c{place}"] = name
            request["ExpressionAttributeValues"][f":c{place}"] = item.second[name]
        assignments = ", ".join(f"#c{place} = :c{place}" for place in range(len(changed)))
        self._client.update_item(
            TableName=self.name,
            Key=_request_keys(item.keys),
            UpdateExpression=f"SET {assignments}",
            **request,
            aws_retry=True,
        )

    def clear(self, keys: dict[str, Any], run_id: str) -> None:
        """Remove what the run left under these keys; somebody else's item there stays."""
        try:
            self.remove(keys, run_id)
        except AnsibleAWSError as exc:
            if error_code(exc) != "ConditionalCheckFailedException":
                raise

    @aws_errors("remove a test item")
    def remove(self, keys: dict[str, Any], run_id: str) -> None:
        """Remove the run's item; one that is not there is as removed as it should be."""
        request = self._own(keys, run_id, absent_too=True)
        self._client.delete_item(TableName=self.name, Key=_request_keys(keys), **request, aws_retry=True)

    @staticmethod
    def _own(keys: dict[str, Any], run_id: str, absent_too: bool) -> dict[str, Any]:
        names = {"#run": RUN}
        condition = "#run = :run"
        if absent_too:
            names["#hash"] = next(iter(keys))
            condition = f"attribute_not_exists(#hash) OR {condition}"
        return {
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {":run": {"S": run_id}},
        }


def _request_keys(keys: dict[str, Any]) -> dict[str, Any]:
    return {name: in_request_form(value) for name, value in keys.items()}


class Mappings:
    """The event source mappings of a stream."""

    def __init__(self, cloud: Cloud) -> None:
        self._client = cloud("lambda")

    @aws_errors("list the event source mappings of the stream")
    def of_stream(self, stream_arn: str) -> list[dict[str, Any]]:
        # By stream: so the mapping is found whatever version or alias of the function it follows.
        pages = self._client.get_paginator("list_event_source_mappings").paginate(EventSourceArn=stream_arn)
        found = [mapping for page in pages for mapping in page.get("EventSourceMappings", [])]
        return [mapping for mapping in found if mapping.get("EventSourceArn") == stream_arn]

    @aws_errors("read the event source mapping")
    def get(self, uuid: str) -> dict[str, Any]:
        return self._client.get_event_source_mapping(UUID=uuid, aws_retry=True)


class Function:
    """The function that the mapping invokes."""

    def __init__(self, cloud: Cloud, name: str, qualifier: str | None = None) -> None:
        self._client, self.name = cloud("lambda"), name
        self._request = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}

    @aws_errors("read the function's configuration")
    def environment(self) -> dict[str, Any]:
        """AWS's own form: Variables, or an Error when they cannot be decrypted; empty for none."""
        return self._client.get_function_configuration(**self._request, aws_retry=True).get("Environment") or {}


class AuditLog:
    """The objects of the audit log."""

    def __init__(self, cloud: Cloud, bucket: str) -> None:
        self._client, self.bucket = cloud("s3"), bucket
        self._next: dict[str, str] = {}

    @aws_errors("list the audit bucket")
    def check(self, prefix: str) -> None:
        self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1, aws_retry=True)

    @aws_errors("list the audit objects of the hour")
    def find(self, hour: str, wanted: Callable[[ObjectName, datetime], bool]) -> list[str]:
        """The hour's audit objects that are wanted, by what their names tell and when they were written.

        A look reads so many pages at most; the next one goes on where it ended, and after the last page from the
        start. Nothing is left out as too old by its name: each shard counts its sequence numbers for itself, so a
        new change can have a lower one than the objects that were there before.
        """
        found: list[str] = []
        for _page in range(_PAGES_A_LOOK):
            request = {"Bucket": self.bucket, "Prefix": hour, "StartAfter": self._next.get(hour, hour)}
            page = self._client.list_objects_v2(**request, aws_retry=True)
            listed = page.get("Contents", [])
            for each in listed:
                name = read_name(each["Key"])
                if name and wanted(name, each["LastModified"]):
                    found.append(each["Key"])
            if not page.get("IsTruncated") or not listed:
                self._next.pop(hour, None)
                break
            self._next[hour] = listed[-1]["Key"]
        return found

    @aws_errors("read an audit object")
    def read(self, key: str) -> bytes | None:
        """The object's content, or None when there is no such object."""
        try:
            return self._client.get_object(Bucket=self.bucket, Key=key, aws_retry=True)["Body"].read()
        except self._client.exceptions.NoSuchKey:
            return None


class Logs:
    """The function's log group."""

    def __init__(self, cloud: Cloud, group: str) -> None:
        self._client, self.group = cloud("logs"), group

    @aws_errors("search the log group")
    def check(self) -> None:
        self._client.filter_log_events(logGroupName=self.group, limit=1, aws_retry=True)

    @aws_errors("search the log group")
    def search(self, pattern: str, since: datetime) -> list[str]:
        """The messages since then that match a filter pattern."""
        pages = self._client.get_paginator("filter_log_events").paginate(
            logGroupName=self.group, filterPattern=pattern, startTime=int(since.timestamp() * 1000)
        )
        return [event.get("message", "") for page in pages for event in page.get("events", [])]


class Metrics:
    """CloudWatch metrics, summed up."""

    def __init__(self, cloud: Cloud) -> None:
        self._client = cloud("cloudwatch")

    @aws_errors("read the metrics")
    def sum(self, namespace: str, name: str, dimensions: dict[str, str], start: datetime, end: datetime) -> float:
        answer = self._client.get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            StartTime=start,
            EndTime=end,
            Period=60,
            Statistics=["Sum"],
            aws_retry=True,
        )
        return sum(point["Sum"] for point in answer["Datapoints"])


class Topic:
    """The change topic and its temporary queues."""

    def __init__(self, cloud: Cloud, arn: str) -> None:
        self._sns, self._sqs, self.arn = cloud("sns"), cloud("sqs"), arn

    @aws_errors("read the change topic")
    def check(self) -> None:
        self._sns.get_topic_attributes(TopicArn=self.arn, aws_retry=True)

    @aws_errors("create the temporary queue")
    def create_queue(self, queue_arn: str, tags: dict[str, str]) -> str:
        """A queue that only the topic can send to; policy and tags are there from the start."""
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "ChangeTopicOnly",
                    "Effect": "Allow",
                    "Principal": {"Service": "sns.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": self.arn}},
                }
            ],
        }
        return self._sqs.create_queue(
            QueueName=queue_arn.rpartition(":")[2],
            Attributes={
                "Policy": json.dumps(policy),
                "VisibilityTimeout": str(_VISIBILITY_TIMEOUT),
                "MessageRetentionPeriod": str(_RETENTION_PERIOD),
            },
            tags=tags,
            aws_retry=True,
        )["QueueUrl"]

    @aws_errors("subscribe the temporary queue")
    def subscribe(self, queue_arn: str) -> str:
        return self._sns.subscribe(
            TopicArn=self.arn,
            Protocol="sqs",
            Endpoint=queue_arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
            aws_retry=True,
        )["SubscriptionArn"]

    @aws_errors("receive from the temporary queue")
    def receive(self, queue_url: str, wait_seconds: int) -> list[dict[str, Any]]:
        """The messages that came. None of them comes again."""
        answer = self._sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait_seconds,
            MessageAttributeNames=["All"],
            aws_retry=True,
        )
        return answer.get("Messages", [])

    def unsubscribe(self, subscription_arn: str) -> None:
        _gone_is_fine(self._unsubscribe, subscription_arn)

    @aws_errors("unsubscribe a temporary queue")
    def _unsubscribe(self, subscription_arn: str) -> None:
        self._sns.unsubscribe(SubscriptionArn=subscription_arn, aws_retry=True)

    def delete_queue(self, queue_url: str) -> None:
        _gone_is_fine(self._delete_queue, queue_url)

    @aws_errors("delete a temporary queue")
    def _delete_queue(self, queue_url: str) -> None:
        self._sqs.delete_queue(QueueUrl=queue_url, aws_retry=True)

    @aws_errors("list the temporary queues of earlier runs")
    def queues(self, name_prefix: str) -> list[str]:
        # SQS goes on past the first page only when a page size is asked for.
        pages = self._sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=name_prefix, PaginationConfig={"PageSize": 1000}
        )
        return [url for page in pages for url in page.get("QueueUrls", [])]

    def queue(self, queue_url: str) -> tuple[str, float, dict[str, str]] | None:
        """A queue's ARN, when it was made (epoch seconds), and its tags; None when it is gone and still listed."""
        try:
            return self._queue(queue_url)
        except AnsibleAWSError as exc:
            if error_code(exc) in _GONE:
                return None
            raise

    @aws_errors("read the temporary queue of an earlier run")
    def _queue(self, queue_url: str) -> tuple[str, float, dict[str, str]]:
        wanted = ["QueueArn", "CreatedTimestamp"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=wanted, aws_retry=True)
        tags = self._sqs.list_queue_tags(QueueUrl=queue_url, aws_retry=True).get("Tags", {})
        found = attributes["Attributes"]
        return found["QueueArn"], float(found["CreatedTimestamp"]), tags

    @aws_errors("list the subscriptions of the change topic")
    def subscriptions(self, queue_arn: str) -> list[str]:
        """The topic's confirmed subscriptions of a queue."""
        pages = self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self.arn)
        listed = [each for page in pages for each in page.get("Subscriptions", [])]
        arns = [each["SubscriptionArn"] for each in listed if each.get("Endpoint") == queue_arn]
        return [arn for arn in arns if arn.startswith("arn:")]


def _gone_is_fine(call: Callable[[str], None], argument: str) -> None:
    try:
        call(argument)
    except AnsibleAWSError as exc:
        if error_code(exc) not in _GONE:
            raise
