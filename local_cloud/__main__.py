"""The command line: ``python -m local_cloud <verb>``."""

from __future__ import annotations

import argparse
import os
import sys

from local_cloud import cloud, faults
from local_cloud.identities import NAMES
from local_cloud.settings import CloudError, from_environment


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m local_cloud",
        description="The embedded AWS for demos and tests.",
        epilog="Environment: LOCAL_CLOUD_PORT (default 4566), LOCAL_CLOUD_HOME (the state folder, default "
        "build/local_cloud/<port>), LOCAL_CLOUD_POLICIES (default files/iam), LOCAL_CLOUD_PATCHES=off (MiniStack as it "
        "is), LOCAL_CLOUD_POLLER=off (nothing reads the streams).",
    )
    verbs = main.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("start", help="bring it up; one that is up already stays as it is")
    start.add_argument(
        "--persist", action="store_true", help="keep the data over clean stops, for the next start --persist"
    )
    start.add_argument("--fresh", action="store_true", help="begin with an empty cloud")
    verbs.add_parser("stop", help="end it and everything that it started")
    verbs.add_parser("reset", help="empty it while it runs")
    verbs.add_parser("status", help="exit code 0: up, 3: down, 1: the port is someone else's")
    verbs.add_parser("env", help="print shell exports for any AWS tool")
    policy = verbs.add_parser("policy", help="replace an identity's policy until the next start or reset")
    policy.add_argument("name", choices=NAMES)
    policy.add_argument("file")
    fault = verbs.add_parser("faults", help="make AWS refuse, be slow or lose answers for roles, until the next reset")
    fault.add_argument(
        "rules",
        nargs="?",
        default="",
        metavar="JSON|off",
        help='such as \'[{"service": "s3", "operation": "PutObject", "rate": 0.1, "answer": 503, "delay": 0.5}]\'; '
        "nothing: show them",
    )
    return main


def main(argv: list[str]) -> int:
    asked = parser().parse_args(argv)

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        settings = from_environment(os.environ)
        if asked.verb == "start":
            cloud.start(settings, asked.persist, asked.fresh, say)
        elif asked.verb == "stop":
            cloud.stop(settings, say)
        elif asked.verb == "reset":
            cloud.reset(settings, say)
        elif asked.verb == "status":
            return cloud.status(settings, say)
        elif asked.verb == "env":
            cloud.env(settings, say)
        elif asked.verb == "faults":
            if cloud.look(settings).state != "up":
                raise CloudError("The local cloud is not running: start it first.")
            say(faults.tell(settings.port, asked.rules))
        else:
            cloud.replace_policy(settings, asked.name, asked.file, say)
    except CloudError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
