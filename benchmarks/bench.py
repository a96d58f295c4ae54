# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs single measurements, each in a process of its own and with an environment of its own, against one stub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import events
from benchmarks.candidates import Candidate
from benchmarks.output import ROOT
from benchmarks.stub import Counters, Stub

# CPU-ms of a fresh interpreter: of the handler's import, and of that and the first record.
_START = """
import time
begin = time.process_time()
import sys
from importlib import import_module
handler = import_module(sys.argv[1]).lambda_handler
imported = time.process_time()
class Context:
    aws_request_id = function_name = "stream-processor"
    def get_remaining_time_in_millis(self):
        return 60_000
import json
if len(sys.argv) > 3:
    handler(json.loads(open(sys.argv[3], "rb").read()), Context())
with open(sys.argv[2], "w") as file:
    json.dump({"import": imported - begin, "first": time.process_time() - begin}, file)
"""


class Bench:
    """The measurements; what goes wrong in one ends the run."""

    def __init__(self, stub: Stub, function: Path, work: Path):
        self._stub = stub
        self._function = function
        self._work = work
        self._result = work / "result.json"
        # Nothing of the caller's environment reaches a candidate.
        self._env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{function}{os.pathsep}{ROOT}",
            "AWS_ENDPOINT_URL": stub.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_SESSION_TOKEN": "bench",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_BUCKET_NAME": "audit-bucket",
            "SNS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:changes",
        }

    def run(self, candidate: Candidate, size: int) -> dict[str, Any]:
        self._stub.reset()
        found = self._measure(
            candidate, "run", candidate.items, size, candidate.batches[size], min(candidate.warm_up, size)
        )
        counted = self._stub.counters()  # since the end of the warm-up
        _check_work(candidate, found["records"], counted)
        return {
            "candidate": candidate.name,
            "size": size,
            **found,
            "s3_calls": counted.s3_calls,
            "sns_calls": counted.sns_calls,
        }

    def start(self, candidate: Candidate) -> dict[str, Any]:
        """A cold start, with byte code, and without any of the candidate's own, as a package on Lambda comes."""
        event = self._work / "one.json"
        event.write_bytes(events.to_json(events.usual(1)))
        self._stub.reset()
        usual = self._python(candidate, "-c", _START, candidate.module, self._result, event)
        sources = self._work / "sources"
        shutil.copytree(self._function, sources / "function", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "benchmarks", sources / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        path = f"{sources / 'function'}{os.pathsep}{sources}"
        source = self._python(candidate, "-B", "-c", _START, candidate.module, self._result, env={"PYTHONPATH": path})
        shutil.rmtree(sources)
        return {
            "candidate": candidate.name,
            "import_ms": usual["import"] * 1000,
            "source_ms": source["import"] * 1000,
            "first_ms": usual["first"] * 1000,
        }

    def memory(self, candidate: Candidate, name: str, event: dict[str, Any]) -> dict[str, Any]:
        file = self._work / "event.json"
        file.write_bytes(events.to_json(event))
        self._stub.reset()
        return {"layout": candidate.name, "event": name, **self._measure(candidate, "memory", file)}

    def log(self, candidate: Candidate, what: str, env: dict[str, str]) -> dict[str, Any]:
        return {"what": what, **self._measure(candidate, "log", env=env)}

    def metrics(self, candidate: Candidate) -> int:
        """How many metrics the function's line of a batch has."""
        self.memory(candidate, "", events.usual(1))
        lines = (self._work / "stdout").read_text(encoding="utf-8").splitlines()
        directive = json.loads(lines[-1]).get("_aws", {}).get("CloudWatchMetrics", [])
        return sum(len(each["Metrics"]) * len(each["Dimensions"]) for each in directive)

    def _measure(self, candidate: Candidate, kind: str, *arguments: Any, env: dict[str, str] | None = None) -> Any:
        return self._python(
            candidate, "-m", "benchmarks.measure", candidate.module, self._result, kind, *arguments, env=env
        )

    def _python(self, candidate: Candidate, *arguments: Any, env: dict[str, str] | None = None) -> Any:
        with (self._work / "stdout").open("wb") as out, (self._work / "stderr").open("wb") as err:
            ended = subprocess.run(
                [sys.executable, *map(str, arguments)],
                cwd=self._work,
                env={**self._env, **candidate.env, **(env or {})},
                stdout=out,
                stderr=err,
                check=False,
            )
        if ended.returncode:
            sys.exit(f"{candidate.name} failed:\n{(self._work / 'stderr').read_text(encoding='utf-8')}")
        return json.loads(self._result.read_text(encoding="utf-8"))


def _check_work(candidate: Candidate, records: int, counted: Counters) -> None:
    """A candidate that does less than its work would look fast."""
    per_batch = candidate.env.get("AUDIT_LAYOUT") == "per_batch"
    objects = counted.s3_objects > 0 if per_batch else counted.s3_objects == records
    messages = counted.sns_messages > 0 if candidate.name == "digest" else counted.sns_messages == records
    if not objects or not messages or counted.errors:
        sys.exit(f"{candidate.name} did not do the work of {records} records: {counted}")
