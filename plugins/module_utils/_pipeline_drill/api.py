# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The calls to AWS that a failure drill makes beside those of a verification."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from .._pipeline_verify.api import Cloud, Topic
from ..aws import aws_errors
from .failure_records import FailureRecord, read_failure_record

#: While a look at the failure queue goes on, what was received stays hidden; it is given back at the look's end. Should
#: the look be killed, the messages are there again after so many seconds.
_HIDDEN_SECONDS = 60
#: Ten messages each: a look reads no more, so it ends before the first message is there again.
_RECEIVES_A_LOOK = 100
#: With a wait SQS asks all of its servers; without one it may miss a message.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html
_WAIT_SECONDS = 1


class Alarms:
    """CloudWatch's alarms."""

    def __init__(self, cloud: Cloud) -> None:
        self._client = cloud("cloudwatch")

    @aws_errors("read the alarms")
    def describe(self, *names: str) -> dict[str, dict[str, Any]]:
        """The alarms of these names that there are."""
        answer = self._client.describe_alarms(AlarmNames=list(names), AlarmTypes=["MetricAlarm"], aws_retry=True)
        return {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}

    def state(self, name: str) -> str:
        return self.describe(name).get(name, {}).get("StateValue", "gone")


class AlarmTopic(Topic):
    """The alarm topic and its temporary queues."""

    @aws_errors("read the alarm topic")
    def check(self) -> None:
        self._sns.get_topic_attributes(TopicArn=self.arn, aws_retry=True)

    @aws_errors("receive from the temporary queue")
    def alarm_messages(self, queue_url: str) -> list[dict[str, Any]]:
        """The messages of alarms that wait in the queue. None of them comes again."""
        answer = self._sqs.receive_message(
            QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS, aws_retry=True
        )
        bodies = [_json(message.get("Body")) for message in answer.get("Messages", [])]
        return [body for body in bodies if isinstance(body, dict) and "AlarmName" in body]


class FailureQueue:
    """The queue that holds failure records. A look takes nothing out."""

    def __init__(self, cloud: Cloud, url: str, stream_arn: str) -> None:
        self._client, self._url, self._stream_arn = cloud("sqs"), url, stream_arn

    def look(self, _since: datetime) -> list[FailureRecord]:
        """The failure records that are there."""
        seen: dict[str, dict[str, Any]] = {}
        try:
            for _turn in range(_RECEIVES_A_LOOK):
                messages = self._receive()
                if not messages:
                    break
                seen.update({message["MessageId"]: message for message in messages})
        finally:
            self._give_back(list(seen.values()))
        read = [read_failure_record(name, message["Body"], self._stream_arn) for name, message in seen.items()]
        return [record for record in read if record]

    @aws_errors("look into the failure queue")
    def _receive(self) -> list[dict[str, Any]]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            aws_retry=True,
        )
        return answer.get("Messages", [])

    @aws_errors("give the failure queue's messages back")
    def _give_back(self, messages: list[dict[str, Any]]) -> None:
        # One at a time: the operator needs one right less, and there are few.
        for message in messages:
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0, aws_retry=True
            )


class FailureBucket:
    """The bucket that holds failure records."""

    def __init__(self, cloud: Cloud, bucket: str, uuid: str, stream_arn: str) -> None:
        self._client, self._bucket, self._stream_arn = cloud("s3"), bucket, stream_arn
        self._prefix = f"aws/lambda/{uuid}/"
        #: An object never changes, so it is read once.
        self._read: dict[str, FailureRecord | None] = {}

    def look(self, since: datetime) -> list[FailureRecord]:
        """The failure records that are there, of the day of ``since`` and later."""
        keys = [key for folder in self._shards() for day in days(since) for key in self._list(f"{folder}{day}/")]
        for key in keys:
            if key not in self._read:
                self._read[key] = read_failure_record(key, self._get(key), self._stream_arn)
        return [record for record in map(self._read.get, keys) if record]

    @aws_errors("list the failure bucket")
    def _shards(self) -> list[str]:
        return [each["Prefix"] for each in self._pages("CommonPrefixes", Prefix=self._prefix, Delimiter="/")]

    @aws_errors("list the failure bucket")
    def _list(self, prefix: str) -> list[str]:
        return [each["Key"] for each in self._pages("Contents", Prefix=prefix)]

    def _pages(self, member: str, **request: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **request)
        return (each for page in pages for each in page.get(member, []))

    @aws_errors("read a failure record")
    def _get(self, key: str) -> bytes:
        try:
            return self._client.get_object(Bucket=self._bucket, Key=key, aws_retry=True)["Body"].read()
        except self._client.exceptions.NoSuchKey:  # redriven between the listing and this
            return b""


def days(since: datetime) -> list[str]:
    """The folders from a day to the day after: no run takes longer."""
    return [f"{since + timedelta(days=number):%Y/%m/%d}" for number in (0, 1)]


class StreamEnd:
    """What comes into a stream from now on: the sequence numbers that changes got are told nowhere else."""

    def __init__(self, cloud: Cloud, stream_arn: str) -> None:
        self._client, self._arn = cloud("dynamodbstreams"), stream_arn
        #: Shard id and iterator of every shard that is being read.
        self._iterators: dict[str, str] = {}

    def open(self) -> None:
        """Begin at the end of every open shard."""
        opened = [shard for shard in self._shards() if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]
        self._iterators = {shard["ShardId"]: self._iterator(shard["ShardId"], "LATEST") for shard in opened}

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Shard id and record of what came since; keys as Lambda has them, binary as base64 text."""
        found = []
        for shard_id, iterator in list(self._iterators.items()):
            records, following = self._records(iterator)
            found += [(shard_id, _in_event_form(record)) for record in records]
            if following:
                self._iterators[shard_id] = following
            else:
                self._follow_children(shard_id)
        return found

    def _follow_children(self, parent_id: str) -> None:
        """A shard lives for some hours; its children go on from their beginning."""
        del self._iterators[parent_id]
        children = [shard["ShardId"] for shard in self._shards() if shard.get("ParentShardId") == parent_id]
        self._iterators.update({child: self._iterator(child, "TRIM_HORIZON") for child in children})

    @aws_errors("read the stream's shards")
    def _shards(self) -> list[dict[str, Any]]:
        request, found = {"StreamArn": self._arn}, []
        while True:
            answer = self._client.describe_stream(**request, aws_retry=True)["StreamDescription"]
            found += answer["Shards"]
            if not answer.get("LastEvaluatedShardId"):
                return found
            request["ExclusiveStartShardId"] = answer["LastEvaluatedShardId"]

    @aws_errors("read the stream")
    def _iterator(self, shard_id: str, kind: str) -> str:
        request = {"StreamArn": self._arn, "ShardId": shard_id, "ShardIteratorType": kind}
        return self._client.get_shard_iterator(**request, aws_retry=True)["ShardIterator"]

    @aws_errors("read the stream")
    def _records(self, iterator: str) -> tuple[list[dict[str, Any]], str | None]:
        answer = self._client.get_records(ShardIterator=iterator, aws_retry=True)
        return answer["Records"], answer.get("NextShardIterator")


def _in_event_form(record: dict[str, Any]) -> dict[str, Any]:
    """Event name, keys, sequence number and time: no images, which are not needed."""
    change = record["dynamodb"]
    keys = {name: {kind: _text(value) for kind, value in typed.items()} for name, typed in change["Keys"].items()}
    return {
        "eventName": record["eventName"],
        "keys": keys,
        "sequenceNumber": change["SequenceNumber"],
        "time": change["ApproximateCreationDateTime"],
    }


def _text(value: str | bytes) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
