"""Runs this checkout's playbooks against a local cloud, the way a user does, and tells what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local_cloud import processes

CHECKOUT = Path(__file__).resolve().parents[2]
#: Marks all processes of a run that may be killed.
RUN_VARIABLE = "CDC_TEST_RUN"


def until(condition, what: str, seconds: float = 120):
    """The condition's first true answer, polled: the local cloud has no event to wait for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds} s")


@dataclass
class Run:
    """One ended ansible-playbook."""

    returncode: int
    output: str
    report: dict[str, Any]

    def tasks(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(task's name, host, result) in order."""
        return [
            (task["task"]["name"].rpartition(" : ")[2], host, result)
            for play in self.report.get("plays", [])
            for task in play["tasks"]
            for host, result in task["hosts"].items()
        ]

    def changed(self) -> list[str]:
        return [name for name, _host, result in self.tasks() if result.get("changed")]

    def failures(self) -> list[str]:
        failed = [result for _name, _host, result in self.tasks() if result.get("failed")]
        items = [each for result in failed for each in result.get("results", [result]) if each.get("failed")]
        return [str(each.get("msg", each)) for each in items]

    def diffs(self, task: str) -> list[dict[str, Any]]:
        found = [result.get("diff") or [] for name, _host, result in self.tasks() if name == task]
        return [each for diff in found for each in (diff if isinstance(diff, list) else [diff])]

    def ok(self) -> Run:
        assert self.returncode == 0, self.failures() or self.output[-2000:]
        return self


class Project:
    """An environment of its own in a local cloud: hosts, options, build folder."""

    def __init__(self, cloud, folder: Path, hosts: dict[str, dict[str, Any]], **options: Any):
        self.cloud, self.folder = cloud, folder
        self.inventory = folder / "inventory"
        self.hosts = {name: dict(given) for name, given in hosts.items()}
        self.options = {"environment": "test", "build_dir": str(folder / "build"), **options}

    def write_inventory(self) -> None:
        def prefixed(options: dict[str, Any]) -> dict[str, Any]:
            return {f"ddb_stream_pipeline_{name}": value for name, value in options.items()}

        hosts = {name: prefixed(options) for name, options in self.hosts.items()}
        folder = self.inventory / "group_vars" / "cdc_pipelines"
        folder.mkdir(parents=True, exist_ok=True)
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump({"cdc_pipelines": {"hosts": hosts}}))
        (folder / "2-test.yml").write_text(yaml.safe_dump(prefixed(self.options)))
        # The options of inventories/local come first; this test's own are read after them, and win.
        local = folder / "1-local.yml"
        if not local.exists():
            local.symlink_to(CHECKOUT / "inventories/local/group_vars/cdc_pipelines.yml")

    def command(self, verb: str, *arguments: str) -> list[str]:
        self.write_inventory()
        ansible = str(Path(sys.executable).parent / "ansible-playbook")
        return [ansible, "-i", str(self.inventory), f"playbooks/{verb}.yml", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **kept,
            "LOCAL_CLOUD_PORT": str(self.cloud.port),
            "LOCAL_CLOUD_HOME": str(self.cloud.home),
            "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            **more,
        }

    @contextmanager
    def started(self, verb: str, *arguments: str) -> Iterator[subprocess.Popen]:
        """A run that goes on meanwhile; when the block is left, so much of it as still runs is killed (-9)."""
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            self.command(verb, *arguments),
            cwd=CHECKOUT,
            env=self.environment(**{RUN_VARIABLE: mark}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            # Ansible's workers lead sessions of their own, so a process group does not hold them all.
            assert processes.end(lambda: processes.bearers(RUN_VARIABLE, mark), signal.SIGKILL, 10)
            process.wait()

    def run(self, verb: str, *arguments: str) -> Run:
        done = subprocess.run(
            self.command(verb, *arguments),
            cwd=CHECKOUT,
            env=self.environment(ANSIBLE_STDOUT_CALLBACK="ansible.posix.json"),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=600,
            check=False,
        )
        start = done.stdout.find("{")
        try:
            report, _end = json.JSONDecoder().raw_decode(done.stdout[start:])
        except ValueError:
            report = {}
        return Run(done.returncode, done.stdout + done.stderr, report)

    def outputs(self, host: str) -> dict[str, Any]:
        return json.loads((self.folder / "build/outputs/test" / f"{host}.json").read_text())
