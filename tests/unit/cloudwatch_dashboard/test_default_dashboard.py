"""The dashboard that the role gives a pipeline, rendered by Ansible from the role's own defaults and variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.cloudwatch_dashboard import problems
from stream_processor.metrics import METRICS

CHECKOUT = Path(__file__).resolve().parents[3]
ROLE = CHECKOUT / "roles/ddb_stream_pipeline"
FUNCTION = "stream-processor-cdc-dev-{}"
STREAM = "arn:aws:dynamodb:us-east-1:111111111111:table/UserActivities-cdc-dev-{}/stream/2026-01-31T08:00:00.000"
#: Pipelines that differ in what the dashboard shows.
PIPELINES: dict[str, dict[str, Any]] = {
    "recipe": {},
    "silent": {"metrics_namespace": ""},
    "terse": {"log_level": "WARNING"},
    "demanded": {"billing_mode": "PAY_PER_REQUEST", "failure_destination": "bucket"},
    "attached": {"table_attach": True, "change_topic_type": "fifo", "failure_destination": "topic"},
}
PLAY = """
- hosts: all
  gather_facts: false
  connection: local
  vars_files: ["{role}/vars/main.yml"]
  vars:
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
    __ddb_stream_pipeline_caller: {{account: "111111111111", arn: "arn:aws:iam::111111111111:user/deployer"}}
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ lookup('ansible.builtin.template', '{role}/templates/dashboard.json.j2') }}}}"
        dest: "{folder}/{{{{ inventory_hostname }}}}.json"
        mode: "0600"
"""


@pytest.fixture(scope="module")
def dashboards(tmp_path_factory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("dashboards")
    hosts = {
        name: {
            **{f"ddb_stream_pipeline_{option}": value for option, value in options.items()},
            "__ddb_stream_pipeline_own_table": {"latest_stream_arn": STREAM.format(name)},
            "__ddb_stream_pipeline_attached_table": {"latest_stream_arn": STREAM.format(name)},
            "__ddb_stream_pipeline_mapping": {"event_source_mapping": {"uuid": f"uuid-of-{name}"}},
        }
        for name, options in PIPELINES.items()
    }
    # Check mode on a fresh target: neither the mapping's id nor the stream's label is known.
    unknown = {"event_source_mapping": {"uuid": None}}
    hosts["fresh"] = {
        "__ddb_stream_pipeline_own_table": {"latest_stream_arn": None},
        "__ddb_stream_pipeline_mapping": unknown,
    }
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    inventory = {"all": {"vars": {**defaults, "ddb_stream_pipeline_environment": "dev"}, "hosts": hosts}}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (folder / "play.yml").write_text(PLAY.format(role=ROLE, folder=folder))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(folder / "hosts.yml"), folder / "play.yml"],
        cwd=CHECKOUT,
        env={**kept, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in hosts}


@pytest.fixture(params=[*PIPELINES, "fresh"])
def dashboard(request, dashboards) -> dict[str, Any]:
    return dashboards[request.param]


def titled(dashboard: dict[str, Any], beginning: str) -> dict[str, Any]:
    """The properties of the one widget whose title begins so."""
    (found,) = (
        widget["properties"]
        for widget in dashboard["widgets"]
        if widget["properties"].get("title", "").startswith(beginning)
    )
    return found


def shown(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...]]]:
    """Each metric: namespace, name, dimensions."""
    for widget in dashboard["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if len(metric) > 1:
                words = [word for word in metric if isinstance(word, str)]
                yield words[0], words[1], tuple(zip(words[2::2], words[3::2], strict=True))


def test_cloudwatch_takes_it(dashboard):
    assert problems({"name": "orders", "state": "present", "body": json.dumps(dashboard)}) == []


def test_it_lies_on_the_grid_without_overlaps_and_without_gaps(dashboard):
    cells = [
        {(x, y) for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])}
        for w in dashboard["widgets"]
    ]
    for one, other in combinations(cells, 2):
        assert not one & other
    used = set().union(*cells)
    assert max(x for x, _y in used) == 23
    assert len(used) == 24 * (max(y for _x, y in used) + 1)


def test_every_graph_says_what_it_shows_and_lives_in_the_pipelines_region(dashboard):
    for widget in dashboard["widgets"]:
        properties = widget["properties"]
        if widget["type"] != "text":
            assert properties["title"]
        if widget["type"] == "metric":
            assert properties["region"] == "us-east-1"
            lines = [each[-1] for each in properties["metrics"]]
            assert all(each.get("label") for each in lines if each.get("visible", True))


def test_rates_are_made_of_metrics_that_are_there_and_hidden(dashboard):
    rates = 0
    for widget in dashboard["widgets"]:
        metrics = [each[-1] for each in widget["properties"].get("metrics", [])]
        hidden = {each["id"] for each in metrics if each.get("visible") is False}
        made = {each["expression"].split()[0] for each in metrics if "expression" in each}
        assert made == hidden
        ids = [each["id"] for each in metrics if "id" in each]
        assert len(ids) == len(set(ids))
        rates += len(made)
    assert rates


def test_every_number_of_function_mapping_queue_stream_and_table_is_there(dashboards):
    function = (("FunctionName", FUNCTION.format("recipe")),)
    mapping = (("EventSourceMappingUUID", "uuid-of-recipe"),)
    queue = (("QueueName", FUNCTION.format("recipe") + "-dlq"),)
    table = (("TableName", "UserActivities-cdc-dev-recipe"),)
    stream = (*table, ("StreamLabel", "2026-01-31T08:00:00.000"), ("Operation", "GetRecords"))
    assert set(shown(dashboards["recipe"])) == {
        *(("CloudCDC", name, function) for name in METRICS),
        *(
            ("AWS/Lambda", name, function)
            for name in (
                *("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "IteratorAge"),
                "DestinationDeliveryFailures",
            )
        ),
        *(
            ("AWS/Lambda", f"{name}EventCount", mapping)
            for name in (
                *("Polled", "FilteredOut", "Invoked", "FailedInvoke", "Dropped"),
                "OnFailureDestinationDelivered",
            )
        ),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", queue),
        ("AWS/DynamoDB", "ConsumedWriteCapacityUnits", table),
        ("AWS/DynamoDB", "WriteThrottleEvents", table),
        ("AWS/DynamoDB", "ReturnedRecordsCount", stream),
    }


@pytest.mark.parametrize("pipeline", ["silent", "terse"])
def test_a_function_without_metrics_of_its_own_has_no_graphs_of_them(dashboards, pipeline):
    ours = set(shown(dashboards["recipe"]))
    assert {name for _namespace, name, _of in shown(dashboards[pipeline])} == {
        name for namespace, name, _of in ours if namespace != "CloudCDC"
    }


def test_every_alarm_is_there(dashboards):
    names = [
        *("errors", "throttles", "iterator-age", "dlq-messages", "dlq-age", "failures-delivered", "dropped"),
        *("destination-failures", "table-write-throttles", "table-read-throttles"),
    ]
    prefix = f"arn:aws:cloudwatch:us-east-1:111111111111:alarm:{FUNCTION.format('recipe')}-"
    assert titled(dashboards["recipe"], "Alarms")["alarms"] == [prefix + name for name in names]


def test_the_percentiles_of_the_duration_are_there_with_the_timeout(dashboards):
    duration = titled(dashboards["recipe"], "Duration")
    assert duration["title"].endswith(" 60000")
    assert [metric[-1].get("stat", duration["stat"]) for metric in duration["metrics"]] == ["p99", "p90", "p50"]


def test_lines_mark_where_the_alarms_go_off(dashboards):
    def lines(beginning: str) -> list[int]:
        return [each["value"] for each in titled(dashboards["recipe"], beginning)["annotations"]["horizontal"]]

    assert lines("Behind the stream") == [3_600_000]
    assert lines("Failure queue") == [21_600]


def test_provisioned_units_are_marked_where_the_role_provisions_them(dashboards):
    marked = {
        name: [each["value"] for each in titled(dashboards[name], "Table")["annotations"]["horizontal"]]
        for name in ("recipe", "demanded", "attached")
    }
    assert marked == {"recipe": [5], "demanded": [], "attached": []}


def test_what_check_mode_cannot_know_is_said_so(dashboards):
    values = {value for _namespace, _name, of in shown(dashboards["fresh"]) for _key, value in of}
    assert {"known after deploy", "(known after deploy)"} <= values


def test_the_note_names_what_the_pipeline_is_made_of(dashboards):
    note = dashboards["attached"]["widgets"][0]["properties"]["markdown"]
    for name in (
        *("UserActivities-cdc-dev-attached", FUNCTION.format("attached"), "activity-audit-cdc-dev-attached-"),
        *("activity-notifications-cdc-dev-attached.fifo", f":{FUNCTION.format('attached')}-failures"),
        "playbooks/deploy.yml",
    ):
        assert name in note
