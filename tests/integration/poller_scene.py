"""A table with a stream, functions that note what they are invoked with, and mappings between them."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloud_driver import LocalCloud

# Notes each invocation, then does what the test put into "plan": sleep, refuse the batch or report its poison, answer.
HANDLER = """
import json, os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(os.environ["FOLDER"])
    numbers = {r["dynamodb"]["Keys"]["id"]["S"]: r["dynamodb"]["SequenceNumber"] for r in event["Records"]}
    names = [r["dynamodb"]["Keys"]["id"]["S"] for r in event["Records"]]
    beside = {name: value for name, value in event.items() if name != "Records"}
    told = {"names": names, "at": time.time(), "beside": beside, "records": event["Records"]}
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps(told) + "\\n")
    plan = json.loads((folder / "plan").read_text())
    time.sleep(plan.get("sleep", 0))
    poison = [name for name in names if name in plan.get("poison", [])]
    if poison and not plan.get("report"):
        raise RuntimeError(f"poison in {names}")
    healthy = names[: names.index(poison[0])] if poison else names
    with (folder / "done").open("a") as done:
        done.write("".join(name + "\\n" for name in healthy))
    if poison:
        return {"batchItemFailures": [{"itemIdentifier": numbers[name]} for name in poison]}
    if plan.get("sum"):
        return {"state": {"count": event["state"].get("count", 0) + len(names)}}
    return plan.get("answer")
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
STREAM_ACTIONS = [f"dynamodb:{name}" for name in ("GetRecords", "GetShardIterator", "DescribeStream", "ListStreams")]


def eventually(look: Callable[[], Any], seconds: float = 30) -> Any:
    """The first answer that is true; the deadline is for failures alone."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return seen


def allow(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": [*actions, "logs:*"], "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Function:
    name: str
    arn: str
    role: str
    folder: Path

    def plan(self, **plan: Any) -> None:
        fresh = self.folder / "plan.new"
        fresh.write_text(json.dumps(plan))
        fresh.replace(self.folder / "plan")

    def calls(self) -> list[dict[str, Any]]:
        """Every invocation: the names of its items, when it was, and what the event held beside the records."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def batches(self) -> list[list[str]]:
        return [call["names"] for call in self.calls()]

    def done(self) -> list[str]:
        """The names of the items of every invocation that succeeded."""
        path = self.folder / "done"
        return path.read_text().splitlines() if path.exists() else []


@dataclass
class Scene:
    """One table of its own on the shared cloud."""

    cloud: LocalCloud
    folder: Path
    name: str = field(default_factory=lambda: f"poller-{uuid.uuid4().hex[:8]}")
    mappings: list[str] = field(default_factory=list)
    stream: str = ""

    def __post_init__(self) -> None:
        table = self.cloud.client("dynamodb").create_table(
            TableName=self.name,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self.stream = table["LatestStreamArn"]

    def function(self, name: str = "", *, rights: tuple[str, ...] = (), **settings: Any) -> Function:
        name = f"{self.name}{name}"
        folder = self.folder / name
        folder.mkdir(parents=True)
        role = self.cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
        self.give(name, *STREAM_ACTIONS, *rights)
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("index.py", HANDLER)
        made = self.cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role["Arn"],
            Handler="index.handler",
            Code={"ZipFile": package.getvalue()},
            Environment={"Variables": {"FOLDER": str(folder)}},
            **settings,
        )
        function = Function(name, made["FunctionArn"], name, folder)
        function.plan()
        return function

    def give(self, role: str, *actions: str) -> None:
        """Make these the role's only rights."""
        self.cloud.client("iam").put_role_policy(RoleName=role, PolicyName="rights", PolicyDocument=allow(*actions))

    def map(self, function: Function, **settings: Any) -> str:
        """Map the stream to the function, and wait until it is as asked; the mapping's UUID."""
        client = self.cloud.client("lambda")
        mapping = client.create_event_source_mapping(
            EventSourceArn=self.stream,
            FunctionName=function.name,
            **{"StartingPosition": "TRIM_HORIZON", "BatchSize": 10, **settings},
        )
        self.mappings.append(mapping["UUID"])
        eventually(lambda: self.mapping(mapping["UUID"])["State"] in ("Enabled", "Disabled"))
        return mapping["UUID"]

    def mapping(self, mapping: str) -> dict[str, Any]:
        return self.cloud.client("lambda").get_event_source_mapping(UUID=mapping)

    def change(self, mapping: str, **settings: Any) -> None:
        self.cloud.client("lambda").update_event_source_mapping(UUID=mapping, **settings)
        eventually(lambda: self.mapping(mapping)["State"] in ("Enabled", "Disabled"))

    def put(self, *names: str) -> None:
        """Change the table: one record in the stream for each name, in their order."""
        client = self.cloud.client("dynamodb")
        for start in range(0, len(names), 25):
            writes = [
                {"PutRequest": {"Item": {"id": {"S": each}, "at": {"N": str(time.time_ns())}}}}
                for each in names[start : start + 25]
            ]
            client.batch_write_item(RequestItems={self.name: writes})

    def records(self) -> list[dict[str, Any]]:
        """What the stream holds."""
        streams = self.cloud.client("dynamodbstreams")
        shard = streams.describe_stream(StreamArn=self.stream)["StreamDescription"]["Shards"][0]["ShardId"]
        iterator = streams.get_shard_iterator(StreamArn=self.stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")[
            "ShardIterator"
        ]
        return streams.get_records(ShardIterator=iterator)["Records"]

    def sequence_number(self, name: str) -> str:
        found = [each for each in self.records() if each["dynamodb"]["Keys"]["id"]["S"] == name]
        return found[-1]["dynamodb"]["SequenceNumber"]

    def queue(self) -> tuple[str, str]:
        """A queue's URL and ARN."""
        client = self.cloud.client("sqs")
        url = client.create_queue(QueueName=f"{self.name}-failures")["QueueUrl"]
        return url, client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def messages(self, url: str) -> list[dict[str, Any]]:
        """The documents in the queue; they are taken out of it."""
        client = self.cloud.client("sqs")
        documents = []
        while found := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in found:
                documents.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return documents

    def log(self, mapping: str) -> list[dict[str, Any]]:
        """What the poller told of the mapping."""
        lines = [json.loads(line) for line in (self.cloud.home / "poller.log").read_text().splitlines()]
        return [line for line in lines if line.get("mapping") == mapping]

    def end(self) -> None:
        """Take the mappings away, so that the next test has the poller for itself."""
        client = self.cloud.client("lambda")
        for mapping in self.mappings:
            eventually(lambda mapping=mapping: self._deleted(client, mapping))

    @staticmethod
    def _deleted(client: Any, mapping: str) -> bool:
        try:
            client.delete_event_source_mapping(UUID=mapping)
        except client.exceptions.ResourceNotFoundException:
            return True
        except client.exceptions.ResourceInUseException:
            return False
        return True


def poller_pid(cloud: LocalCloud) -> int | None:
    return json.loads((cloud.home / "server.json").read_text())["poller_pid"]


def kill_poller(cloud: LocalCloud) -> int:
    """Kill the poller as nothing could foresee; the process that takes its place."""
    killed = eventually(lambda: poller_pid(cloud))
    os.kill(killed, signal.SIGKILL)
    return eventually(lambda: (pid := poller_pid(cloud)) and pid != killed and pid)
