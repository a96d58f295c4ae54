"""Makes a pipeline of the local cloud fail: `python -m tests.failing VERB OUTPUTS.json [COUNT]`.

throttle and unthrottle the function; wait-for-throttles: until it was throttled COUNT times; kill-poller with SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from local_cloud.settings import from_environment

DEADLINE_SECONDS = 60


def client(outputs: dict[str, Any], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=outputs["endpoint_url"],
        region_name=outputs["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def throttle(outputs: dict[str, Any]) -> None:
    client(outputs, "lambda").put_function_concurrency(
        FunctionName=outputs["function_name"], ReservedConcurrentExecutions=0
    )


def unthrottle(outputs: dict[str, Any]) -> None:
    client(outputs, "lambda").delete_function_concurrency(FunctionName=outputs["function_name"])


def wait_for_throttles(outputs: dict[str, Any], count: int) -> None:
    cloudwatch, deadline = client(outputs, "cloudwatch"), time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Throttles",
            Dimensions=[{"Name": "FunctionName", "Value": outputs["function_name"]}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Sum"],
        )["Datapoints"]
        if sum(point["Sum"] for point in points) >= count:
            return
        time.sleep(0.5)
    sys.exit(f"The function was not throttled {count} times within {DEADLINE_SECONDS} s.")


def kill_poller() -> None:
    record = from_environment(os.environ).record
    os.kill(json.loads(record.read_text())["poller_pid"], signal.SIGKILL)


def main(verb: str, file: str, count: str = "1") -> None:
    outputs = json.loads(Path(file).read_text())
    if verb == "kill-poller":
        kill_poller()
    elif verb == "wait-for-throttles":
        wait_for_throttles(outputs, int(count))
    else:
        {"throttle": throttle, "unthrottle": unthrottle}[verb](outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
