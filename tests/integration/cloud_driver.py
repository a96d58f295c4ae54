"""Drives a local cloud from a test: through its command line, as users do, and through boto3."""

from __future__ import annotations

import configparser
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from local_cloud import processes

CHECKOUT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class LocalCloud:
    """One local cloud, driven through its command line as users drive it."""

    home: Path
    port: int = field(default_factory=free_port)
    #: Further settings, such as LOCAL_CLOUD_POLICIES.
    settings: dict[str, str] = field(default_factory=dict)
    checkout: Path = CHECKOUT
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """``python -m local_cloud <arguments>``: its output, after a look at its exit code (None: any)."""
        environment = {
            **os.environ,
            "LOCAL_CLOUD_PORT": str(self.port),
            "LOCAL_CLOUD_HOME": str(self.home),
            **self.settings,
        }
        done = subprocess.run(
            [sys.executable, "-m", "local_cloud", *arguments],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        said = done.stdout + done.stderr
        assert code is None or done.returncode == code, said
        return said

    def reset(self) -> None:
        """Empty the cloud. Identities get new keys, the recorded actions are gone."""
        self.run("reset")

    @property
    def pid(self) -> int:
        return json.loads((self.home / "server.json").read_text())["pid"]

    def credentials(self, identity: str = "admin") -> dict[str, str]:
        """aws_access_key_id and aws_secret_access_key of admin, deployer, operator or reader."""
        file = configparser.RawConfigParser()
        file.read(self.home / "credentials")
        return dict(file[identity])

    def client(self, service: str, identity: str = "admin"):
        """A boto3 client of the test's own Python."""
        credentials = self.credentials(identity)
        key = (service, credentials["aws_access_key_id"])
        if key not in self._clients:
            self._clients[key] = boto3.client(service, endpoint_url=self.endpoint, region_name=REGION, **credentials)
        return self._clients[key]

    def subscribed_queue(self, topic_arn: str, name: str) -> str:
        """A new queue, FIFO for a FIFO topic, that gets what is published to the topic as it is; its URL."""
        fifo = topic_arn.endswith(".fifo")
        name += ".fifo" if fifo else ""
        arn = f"arn:aws:sqs:{REGION}:000000000000:{name}"
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        attributes = {"Policy": policy, **({"FifoQueue": "true"} if fifo else {})}
        queue = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self.client("sns").subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
        )
        return queue

    def actions(self, identity: str = "") -> list[dict[str, Any]]:
        """Every IAM decision since the start or the last reset, of one identity or of all, oldest first."""
        lines = (self.home / "actions.jsonl").read_text().splitlines()
        recorded = [json.loads(line) for line in lines]
        return [action for action in recorded if not identity or action["principal"].endswith(f"/{identity}")]

    def end(self) -> None:
        """Stop it; whatever happens, its server does not outlive the tests."""
        try:
            pid = self.pid
        except (OSError, ValueError):
            pid = 0
        try:
            self.run("stop")
        finally:
            if pid and processes.alive(pid):
                os.kill(pid, signal.SIGKILL)
