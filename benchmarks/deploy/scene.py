# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs playbooks of a checkout against the benchmark's own local cloud."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from benchmarks.deploy.candidates import Candidate
from benchmarks.output import ROOT
from local_cloud import processes

_IDENTITIES = ("deployer", "operator")
_ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
_INSTANCE = "LOCAL_CLOUD_INSTANCE_ID"
_VERBS: Mapping[str, tuple[str, ...]] = {
    "first converge": ("deploy",),
    "no-op converge": ("deploy",),
    "check run": ("deploy", "--check", "--diff"),
    "teardown": ("teardown", "-e", "teardown_delete_data=true"),
}
VERBS = tuple(_VERBS)


class Cloud:
    """The local cloud of this checkout, for all candidates. Their rights differ, so all are allowed all."""

    def __init__(self, port: int, home: Path):
        self.port, self.home = port, home
        policies = home.parent / "policies"
        policies.mkdir(parents=True, exist_ok=True)
        for name in _IDENTITIES:
            (policies / f"{name}.json").write_text(json.dumps(_ALLOW_ALL), encoding="utf-8")
        self._settings = {
            "LOCAL_CLOUD_PORT": str(port),
            "LOCAL_CLOUD_HOME": str(home),
            "LOCAL_CLOUD_POLICIES": str(policies),
        }

    def __enter__(self) -> Cloud:
        self.run("start", "--fresh")
        return self

    def __exit__(self, *_error: object) -> None:
        self.run("stop")

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "local_cloud", *arguments],
            cwd=ROOT,
            env={**os.environ, **self._settings},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"local cloud: {done.stdout}{done.stderr}")

    def cpu(self) -> float:
        """CPU seconds of all its processes so far."""
        record = json.loads((self.home / "server.json").read_text(encoding="utf-8"))
        return sum(_cpu(pid) for pid in processes.bearers(_INSTANCE, record["instance_id"]))


def _cpu(pid: int) -> float:
    """Its own, and its ended children's."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


class Scene:
    """A candidate with its inventory."""

    def __init__(self, cloud: Cloud, candidate: Candidate, checkout: Path, work: Path, hosts: int = 1):
        self._cloud, self._candidate, self._checkout, self._work = cloud, candidate, checkout, work
        self._hosts = [f"pipeline{number}" for number in range(1, hosts + 1)]
        self._write_inventory()

    def _write_inventory(self) -> None:
        folder = self._work / "inventory" / "group_vars" / "cdc_pipelines"
        folder.mkdir(parents=True, exist_ok=True)
        hosts = {"cdc_pipelines": {"hosts": {name: {} for name in self._hosts}}}
        (self._work / "inventory" / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
        first = folder / "1-local.yml"
        first.unlink(missing_ok=True)
        first.symlink_to(self._checkout / "inventories/local/group_vars/cdc_pipelines.yml")
        options = {
            "ddb_stream_pipeline_environment": "bench",
            "ddb_stream_pipeline_build_dir": str(self._work / "build"),
        }
        (folder / "2-bench.yml").write_text(yaml.safe_dump(options), encoding="utf-8")

    def measure(self, verb: str, limit: str = "") -> dict[str, Any]:
        """One run: what it took, and each of its tasks."""
        playbook, *arguments = _VERBS[verb]
        result, timing = self._work / "result.json", self._work / "timing.json"
        for file in (result, timing):
            file.unlink(missing_ok=True)
        command = [
            *(sys.executable, "-m", "benchmarks.deploy.measured", str(result)),
            *(str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self._work / "inventory")),
            *(str(self._checkout / "playbooks" / f"{playbook}.yml"), *arguments),
            *("-e", f"ansible_connection={self._candidate.connection}"),
            *(("--limit", limit) if limit else ()),
        ]
        before = self._cloud.cpu()
        with (self._work / "output").open("w") as output:
            subprocess.run(command, cwd=ROOT, env=self._environment(timing), stdout=output, stderr=output, check=True)
        cloud_cpu = self._cloud.cpu() - before
        found = json.loads(result.read_text(encoding="utf-8"))
        if found.pop("code") or found.pop("left"):
            said = (self._work / "output").read_text(encoding="utf-8")
            sys.exit(f"{self._candidate.title}, {verb}, failed or left a process behind:\n{said[-3000:]}")
        tasks = json.loads(timing.read_text(encoding="utf-8"))
        _check_work(self._candidate, verb, tasks)
        return {
            "candidate": self._candidate.name,
            "verb": verb,
            "hosts": 1 if limit else len(self._hosts),
            **found,
            "cloud_cpu_s": cloud_cpu,
            "tasks": tasks,
        }

    def alarms(self) -> int:
        """How many a pipeline has, by its outputs."""
        file = self._work / "build" / "outputs" / "bench" / f"{self._hosts[0]}.json"
        return len(json.loads(file.read_text(encoding="utf-8"))["alarm_names"])

    def _environment(self, timing: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ANSIBLE_"))}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return {
            **kept,
            "LOCAL_CLOUD_PORT": str(self._cloud.port),
            "LOCAL_CLOUD_HOME": str(self._cloud.home),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "ANSIBLE_CONFIG": str(self._checkout / "ansible.cfg"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "cdc_timing",
            "CDC_TIMING": str(timing),
        }


def _check_work(candidate: Candidate, verb: str, tasks: list[dict[str, Any]]) -> None:
    """A candidate that does less than its work would look fast."""
    changed = sum(each["changed"] for each in tasks)
    if (changed > 0) != (verb in ("first converge", "teardown")):
        sys.exit(f"{candidate.title}, {verb}: {changed} tasks changed something")
