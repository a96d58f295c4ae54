"""The command line: ``python -m local_cloud.poller``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from local_cloud.poller.model import RETENTION_SECONDS
from local_cloud.poller.service import Poller


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m local_cloud.poller",
        description="Reads DynamoDB streams and drives functions the way Lambda's event source mappings do.",
        epilog="Credentials come from AWS's usual chain. They must be allowed to list mappings, to read functions' "
        "configuration, to invoke, to publish metrics, and to assume the functions' execution roles.",
    )
    main.add_argument("--state", type=Path, required=True, help="the folder for checkpoints")
    main.add_argument("--endpoint-url", help="where AWS is; without it, AWS itself")
    main.add_argument("--region", help="without it, the configured one")
    main.add_argument(
        "--metrics", choices=("on", "off"), default="on", help="off where PutMetricData takes no AWS/ namespaces"
    )
    main.add_argument(
        "--retention-seconds", type=int, default=RETENTION_SECONDS, help="how long the streams keep a record"
    )
    main.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that holds the other end of stdin"
    )
    return main


def main(argv: list[str]) -> None:
    asked = parser().parse_args(argv)
    # Invocations may be under way for minutes. Nothing is lost by leaving them: what is not noted as done comes again.
    signal.signal(signal.SIGTERM, lambda *_unused: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_unused: os._exit(0))
    if asked.until_stdin_closes:
        threading.Thread(target=_leave_with_stdin, daemon=True).start()
    Poller(
        state=asked.state,
        endpoint_url=asked.endpoint_url,
        region=asked.region,
        publish_metrics=asked.metrics == "on",
        retention_seconds=asked.retention_seconds,
    ).run()


def _leave_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
