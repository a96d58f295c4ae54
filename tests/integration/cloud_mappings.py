"""Tables, functions and mappings between them on a local cloud, for tests of what they do."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from cloud_driver import LocalCloud

ASSUMED_BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
# Notes the names of each batch's items, and reports those that the test put into "answer" as failed.
HANDLER = """
import json, os, pathlib

def handler(event, context):
    folder = pathlib.Path(os.environ["FOLDER"])
    numbers = {r["dynamodb"]["Keys"]["id"]["S"]: r["dynamodb"]["SequenceNumber"] for r in event["Records"]}
    with (folder / "calls").open("a") as calls:
        calls.write(json.dumps(list(numbers)) + "\\n")
    if not (folder / "answer").exists():
        return None
    failed = json.loads((folder / "answer").read_text())
    return {"batchItemFailures": [{"itemIdentifier": numbers[name]} for name in failed if name in numbers]}
"""


def eventually(look, seconds=20):
    """The first answer that is true; the deadline is for failures alone."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return seen


def refused(call, **request) -> dict:
    """The error that AWS answers a call with: Code, Message and HTTP status."""
    with pytest.raises(ClientError) as error:
        call(**request)
    answer = error.value.response
    return {**answer["Error"], "status": answer["ResponseMetadata"]["HTTPStatusCode"]}


def make_table(cloud: LocalCloud, name: str) -> str:
    """A table with a stream: the stream's ARN."""
    made = cloud.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return made["TableDescription"]["LatestStreamArn"]


def let(cloud: LocalCloud, role: str, *actions: str) -> None:
    """Make the actions all that a function's role may do."""
    statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}] if actions else []
    document = {"Version": "2012-10-17", "Statement": statements or {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    cloud.client("iam").put_role_policy(RoleName=role, PolicyName="work", PolicyDocument=json.dumps(document))


def make_function(cloud: LocalCloud, name: str, folder: Path, code: str = HANDLER) -> None:
    """A function, whose role of the same name may read streams."""
    role = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ASSUMED_BY_LAMBDA))
    let(cloud, name, "dynamodb:*")
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", code)
    cloud.client("lambda").create_function(
        FunctionName=name,
        Role=role["Role"]["Arn"],
        Runtime="python3.13",
        Handler="index.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=10,
        Environment={"Variables": {"FOLDER": str(folder)}},
    )


def put(cloud: LocalCloud, table: str, *names: str) -> None:
    for name in names:
        cloud.client("dynamodb").put_item(TableName=table, Item={"id": {"S": name}})


def calls(folder: Path) -> list[list[str]]:
    """The batches a function was given, each as the names of its items."""
    notes = folder / "calls"
    return [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []


class Mapping:
    """A table, a function and a mapping between them."""

    def __init__(self, cloud: LocalCloud, name: str, folder: Path, items=(), rights=(), **settings):
        self.cloud, self.name, self.folder = cloud, name, folder
        self.api = cloud.client("lambda")
        self.stream = make_table(cloud, name)
        make_function(cloud, name, folder)
        let(cloud, name, "dynamodb:*", *rights)
        put(cloud, name, *items)
        self.request = {"EventSourceArn": self.stream, "FunctionName": name, "StartingPosition": "TRIM_HORIZON"}
        self.answer = self.api.create_event_source_mapping(**self.request, **settings)
        self.id = self.answer["UUID"]

    def read(self) -> dict:
        return self.api.get_event_source_mapping(UUID=self.id)

    def settle(self, state: str = "Enabled") -> dict:
        return eventually(lambda: (seen := self.read())["State"] == state and seen)

    def put(self, *names: str) -> None:
        put(self.cloud, self.name, *names)

    def calls(self, count: int) -> list[list[str]]:
        """The function's calls, once there are so many."""
        return eventually(lambda: len(seen := calls(self.folder)) >= count and seen)
