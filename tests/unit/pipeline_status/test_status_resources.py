"""Status knows every resource that a deploy makes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/ddb_stream_pipeline"
#: Task files of a deploy that make nothing on AWS, or nothing that could drift.
NO_RESOURCE = {"preflight.yml", "outputs.yml"}
#: Modules that only read, that work on the controller alone, or for the run alone.
READING = ("_info", "lambda_package", "pipeline_lock", "ansible.builtin.")
#: With what a deploy writes, and check mode cannot announce: a sibling task does.
WITHOUT_CHECK_MODE = {"amazon.aws.s3_bucket"}


def tasks(file: str, seen: set[str] | None = None):
    """Every task of a file and of those it takes in."""
    seen = set() if seen is None else seen
    if file in seen or file in NO_RESOURCE:
        return
    seen.add(file)
    yield from _walk(yaml.safe_load((ROLE / "tasks" / file).read_text()), seen)


def _walk(found, seen):
    for task in found:
        for inner in ("block", "rescue", "always"):
            yield from _walk(task.get(inner, []), seen)
        taken = task.get("ansible.builtin.import_tasks") or task.get("ansible.builtin.include_tasks")
        if taken:
            yield from tasks(taken if isinstance(taken, str) else taken["file"], seen)
        elif "block" not in task:
            yield task


def module(task) -> str:
    return next(key for key in task if key.count(".") == 2)


def test_every_task_that_makes_a_resource_is_among_those_that_status_evaluates():
    evaluated = set(re.findall(r"__ddb_stream_pipeline_\w+", str(_vars()["__ddb_stream_pipeline_resources"])))
    lacking = [
        task["name"]
        for task in tasks("main.yml")
        if not any(part in module(task) for part in READING)
        and module(task) not in WITHOUT_CHECK_MODE
        and task.get("register") not in evaluated
    ]
    assert lacking == []


def test_a_task_without_check_mode_is_left_out_and_announced_by_another():
    found = list(tasks("main.yml"))
    for place, task in enumerate(found):
        if module(task) in WITHOUT_CHECK_MODE:
            sibling = found[place + 1]
            assert "not __ddb_stream_pipeline_check_mode" in task["when"]
            assert module(sibling) == "cloudcdc.dynamodb_streams.s3_bucket_check"
            assert sibling["cloudcdc.dynamodb_streams.s3_bucket_check"] == task["amazon.aws.s3_bucket"]


def test_no_task_of_a_deploy_asks_ansible_itself_whether_it_is_check_mode():
    """Status takes the same way, and Ansible's own variable knows nothing of it."""
    assert [task["name"] for task in tasks("main.yml") if "ansible_check_mode" in str(task)] == []


def _vars():
    return yaml.safe_load((ROLE / "vars/main.yml").read_text())
