"""Accounts for every change of a pipeline: `python tests/accounting.py OUTPUTS.json [--audited] [--timeout SECONDS]`.

Reads the whole stream, the audit log and the failure destination of a pipeline in a local cloud, as its administrator,
and waits until each change is in the audit log or, unless --audited, named by a failure record. Fails when one is not,
when a change has two audit objects of its own, or when the audit log has a change that the stream does not have. With
one object a batch a change may be in two of them: these are counted apart. Every envelope is checked by its schema.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / ".collections")]

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import (  # noqa: E402
    PER_CHANGE,
    by_event_id,
    read_envelopes,
    read_name,
)

from tests.unit.stream_records import validated  # noqa: E402

READERS = 8
#: How long a failure record is out of sight while it is looked at (seconds).
LOOK_SECONDS = 30


@dataclass
class Account:
    """What was found; changes by eventID."""

    stream: dict[str, dict[str, Any]]
    audited: dict[str, dict[str, Any]]
    failures: list[dict[str, Any]]
    #: Changes that have two audit objects of their own, and those that are in more than one object for another reason.
    doubled: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)

    @property
    def failed(self) -> set[str]:
        """Changes that a failure record names. A range may name its neighbours too, so this is for the missing ones."""
        infos = [failure["DDBStreamBatchInfo"] for failure in self.failures]
        ranges = [(each["shardId"], int(each["startSequenceNumber"]), int(each["endSequenceNumber"])) for each in infos]
        return {
            event_id
            for event_id, record in self.stream.items()
            if any(
                shard == record["shard"] and start <= int(record["dynamodb"]["SequenceNumber"]) <= end
                for shard, start, end in ranges
            )
        }

    @property
    def missing(self) -> set[str]:
        return self.stream.keys() - self.audited.keys()

    @property
    def unaccounted(self) -> set[str]:
        return self.missing - self.failed

    @property
    def strangers(self) -> set[str]:
        return self.audited.keys() - self.stream.keys()

    def line(self) -> str:
        return (
            f"{len(self.stream)} changes: {len(self.audited)} audited, {len(self.missing)} not, of which "
            f"{len(self.unaccounted)} are in no failure record either; {len(self.failures)} failure records, "
            f"{len(self.doubled)} changes with two audit objects, {len(self.repeated)} in two batch objects, "
            f"{len(self.strangers)} not from the stream"
        )


class Pipeline:
    """A deployed pipeline, by its outputs file, seen by the local cloud's administrator."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.outputs = outputs
        config = Config(max_pool_connections=2 * READERS, retries={"mode": "standard", "total_max_attempts": 5})

        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=outputs["endpoint_url"],
                region_name=outputs["region"],
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=config,
            )

        self.streams, self.dynamodb = client("dynamodbstreams"), client("dynamodb")
        self.s3, self.sqs, self.lambda_ = client("s3"), client("sqs"), client("lambda")
        self._known: dict[str, list[dict[str, Any]]] = {}

    def account(self) -> Account:
        # The stream last: what is audited by then must be in it.
        objects = self.audit_objects()
        failures = [*self.failure_messages(), *self.failure_objects()]
        doubled, repeated = more_than_once(objects)
        envelopes = by_event_id(envelope for held in objects.values() for envelope in held)
        return Account(self.stream(), envelopes, failures, doubled, repeated)

    def settled(self, audited: bool = False, timeout: float = 60, failed: int | None = None) -> Account:
        """The account, once nothing is unaccounted for (or not audited) and so many failed, or time is up."""
        deadline = time.monotonic() + timeout
        while True:
            account = self.account()
            left = account.missing if audited else account.unaccounted
            told = failed is None or len(account.failures) == failed
            if (told and not left) or time.monotonic() > deadline:
                return account
            time.sleep(0.5)

    def stream(self) -> dict[str, dict[str, Any]]:
        arn = self.outputs["stream_arn"]
        found = {}
        for shard in self.streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = self.streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator:
                page = self.streams.get_records(ShardIterator=iterator)
                found |= {record["eventID"]: {**record, "shard": shard["ShardId"]} for record in page["Records"]}
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return found

    def audit_objects(self) -> dict[str, list[dict[str, Any]]]:
        """The envelopes of each audit object, in either layout. Objects never change: each is read once."""
        # Only its hours: baselines and the journal are below the same prefix.
        names = list(self._names(self.outputs["audit_bucket"], f"{self.outputs['audit_prefix']}2"))
        new = [name for name in names if name not in self._known]
        with ThreadPoolExecutor(READERS) as readers:
            for name, body in zip(new, readers.map(self._audit_object, new), strict=True):
                self._known[name] = [validated(envelope) for envelope in read_envelopes(name, body)]
        return {name: self._known[name] for name in names}

    def failure_messages(self) -> list[dict[str, Any]]:
        """The failure records in the queue, which stay there."""
        queue, received = self.outputs["failure_queue_url"], {}
        while messages := self.sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=LOOK_SECONDS
        ).get("Messages"):
            received |= {message["MessageId"]: message for message in messages}
        for message in received.values():
            self.sqs.change_message_visibility(
                QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )
        bodies = [json.loads(message["Body"]) for message in received.values()]
        return [body for body in bodies if "DDBStreamBatchInfo" in body]

    def failure_objects(self) -> list[dict[str, Any]]:
        bucket = self.outputs.get("failure_bucket")
        if not bucket:
            return []
        names = self._names(bucket, "aws/lambda/")
        return [json.loads(self.s3.get_object(Bucket=bucket, Key=name)["Body"].read()) for name in names]

    def items(self) -> dict[bytes, bytes]:
        """The table as it is: canonical keys to canonical item."""
        description = self.dynamodb.describe_table(TableName=self.outputs["table_name"])["Table"]
        names = [each["AttributeName"] for each in description["KeySchema"]]
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.outputs["table_name"], ConsistentRead=True)
        items = [item for page in pages for item in page["Items"]]
        return {canonical({name: item[name] for name in names}): canonical(item) for item in items}

    def _names(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (each["Key"] for each in page.get("Contents", []))

    def _audit_object(self, name: str) -> bytes:
        return self.s3.get_object(Bucket=self.outputs["audit_bucket"], Key=name)["Body"].read()


def more_than_once(objects: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[str]]:
    """The changes with two objects of their own, which is a fault, and the others that are in more than one object.

    A change that is twice in the same object counts as a fault, too.
    """
    alone: Counter[str] = Counter()
    everywhere: Counter[str] = Counter()
    for name, held in objects.items():
        counted = Counter(envelope["eventID"] for envelope in held)
        everywhere += counted
        if read_name(name).layout == PER_CHANGE or max(counted.values()) > 1:
            alone += counted
    doubled = [event_id for event_id, count in alone.items() if count > 1]
    return doubled, [event_id for event_id, count in everywhere.items() if count > 1 and event_id not in doubled]


def rebuilt(audited: dict[str, dict[str, Any]]) -> dict[bytes, bytes]:
    """The table as the audit log tells it: each item's newest image."""
    items: dict[bytes, bytes] = {}
    for envelope in sorted(audited.values(), key=lambda each: int(each["sequenceNumber"])):
        keys = canonical(envelope["keys"])
        if envelope["eventName"] == "REMOVE":
            items.pop(keys, None)
        else:
            items[keys] = canonical(envelope["newImage"])
    return items


def canonical(value: Any) -> bytes:
    """DynamoDB JSON with one spelling a value: names sorted, sets in order, binary as base64."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, dict):
        plain = {name: _plain(member) for name, member in value.items()}
        return {name: sorted(each) if name in ("SS", "NS", "BS") else each for name, each in plain.items()}
    return value


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("outputs", type=Path)
    parser.add_argument("--audited", action="store_true", help="a failure record is not enough")
    parser.add_argument("--failed", type=int, default=None, help="how many failure records there must be")
    parser.add_argument("--timeout", type=float, default=60)
    asked = parser.parse_args(argv)
    account = Pipeline(json.loads(asked.outputs.read_text())).settled(asked.audited, asked.timeout, asked.failed)
    print(account.line())
    left = account.missing if asked.audited else account.unaccounted
    told = asked.failed is None or len(account.failures) == asked.failed
    return 0 if told and not (left or account.doubled or account.strangers) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
