"""Check mode announces what a run does, and nothing else; status finds what was changed behind Ansible's back.

One pipeline, edited option by option. CDC_SOAK=1 tries all edits, else a few of each kind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible_runs import Project, Run

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

SOAK = os.environ.get("CDC_SOAK") == "1"
NAME = "activities"
#: Files of the controller: they follow from what was deployed.
LOCAL = {"Make the outputs' folder", "Write the outputs"}

TABLE = "Create or adjust the table and its stream"
BUCKET = "Create or adjust the audit bucket"
BUCKET_SETTINGS = "Set the audit bucket's lifecycle, Object Lock and access log"
CHANGE_TOPIC = "Create or adjust the change topic"
ALARM_TOPIC = "Create or adjust the alarm topic"
QUEUE = "Create or adjust the failure queue"
FAILURE_TOPIC = "Create or adjust the failure topic"
POLICY = "Create or adjust the custom policy"
ROLE = "Create or adjust the execution role"
JOURNAL = "Note what the audit log holds"
LOG_GROUP = "Create or adjust the function's log group"
FUNCTION = "Create or adjust the function"
FUNCTION_SETTINGS = "Set the function's key, log format and reserved concurrency"
VERSION = "Publish a version and make it live"
MAPPING = "Connect the stream to the function"
ALARM_TASK = "Create or adjust the alarms"
DASHBOARD = "Create, adjust or remove the dashboard"
TAGGED = {TABLE, BUCKET, CHANGE_TOPIC, ALARM_TOPIC, QUEUE, POLICY, ROLE, LOG_GROUP, FUNCTION, MAPPING}
ALARMS = (
    "errors", "throttles", "iterator-age", "dlq-messages", "dlq-age", "failures-delivered", "dropped",
    "destination-failures", "table-write-throttles", "table-read-throttles",
)  # fmt: skip

ON_CALL = [{"protocol": "email", "endpoint": "on-call@example.com"}]
ONLY_INSERTS = {"eventName": ["INSERT"]}
RULES = [{"name": "no-logins", "when": "newImage.kind == 'login'", "drop": True}]


#: What a resource's task is in check mode, where that is another.
IN_CHECK_MODE = {"Say in check mode what the audit bucket lacks": BUCKET}


def alarms(*names: str) -> set[str]:
    return {f"alarm {name}" for name in names}


#: Option, value, the resources that it is about; one after the other, each on what the former ones have left.
EDITS: list[tuple[str, Any, set[str]]] = [
    ("read_capacity", 6, {TABLE}),
    ("point_in_time_recovery_enabled", True, {TABLE}),
    ("deletion_protection_enabled", True, {TABLE}),
    ("audit_bucket_versioning", True, {BUCKET}),
    ("audit_prefix", "changes/", {POLICY, FUNCTION, VERSION, JOURNAL}),
    ("subscriptions", ON_CALL, {CHANGE_TOPIC}),
    ("subscriptions", [{**ON_CALL[0], "filter_policy": ONLY_INSERTS}], {CHANGE_TOPIC}),
    ("alarm_subscriptions", ON_CALL, {ALARM_TOPIC}),
    ("failure_queue_retention_period", 86400, {QUEUE}),
    ("execution_policy", "scoped", {POLICY, ROLE}),
    ("log_retention_in_days", 7, {LOG_GROUP}),
    ("memory_size", 512, {FUNCTION, VERSION}),
    # The dashboard says at which duration the function fails, and shows no metrics that the log does not have.
    ("timeout", 30, {FUNCTION, VERSION, DASHBOARD}),
    ("log_level", "WARNING", {FUNCTION, VERSION, DASHBOARD}),
    ("concurrency", 16, {FUNCTION, VERSION}),
    ("batch_size", 20, {MAPPING}),
    ("maximum_retry_attempts", 5, {MAPPING}),
    ("filter_criteria", ['{"eventName": ["INSERT"]}'], {MAPPING, JOURNAL}),
    ("enabled", False, {MAPPING, JOURNAL}),
    # The dashboard shows the limit.
    ("alarm_failure_age_in_seconds", 3600, {*alarms("dlq-age"), DASHBOARD}),
    ("alarm_period", 120, alarms(*ALARMS)),
    ("dashboard", False, {DASHBOARD}),
    ("tags", {"team": "data"}, TAGGED | alarms(*ALARMS)),
    ("audit_lifecycle", {"expiration_days": 400}, {BUCKET_SETTINGS, JOURNAL}),
    ("log_format", "JSON", {FUNCTION_SETTINGS, VERSION}),
    # The queue's messages come from the topic, so it lets the topic in; who may deliver where is part of the policy.
    (
        "failure_destination",
        "topic",
        {QUEUE, FAILURE_TOPIC, POLICY, MAPPING, *alarms("failures-delivered", "destination-failures")},
    ),
]
#: Of these each run of the tests tries one of a kind.
FEW = ("audit_prefix", "memory_size", "failure_queue_retention_period", "batch_size", "alarm_failure_age_in_seconds")


def changes(run: Run) -> set[str]:
    """The tasks that changed something on AWS, or in check mode would; of the alarms, each by its own name."""
    found = set()
    for task, _host, result in run.tasks():
        if result.get("changed") and task not in LOCAL:
            found |= changed_alarms(result["diff"]) if task == ALARM_TASK else {IN_CHECK_MODE.get(task, task)}
    return found


def changed_alarms(diff: dict[str, Any]) -> set[str]:
    before, after = diff["before"], diff["after"]
    return {f"alarm {short(name)}" for name in {*before, *after} if before.get(name) != after.get(name)}


def short(alarm: str) -> str:
    return alarm.rpartition(f"-{NAME}-")[2]


def status(project: Project, *arguments: str) -> tuple[Run, dict[str, Any]]:
    run = project.run("status", *arguments)
    return run, json.loads((project.folder / "build/status/test.json").read_text())["pipelines"][NAME]


@pytest.fixture(scope="module")
def project(cloud, tmp_path_factory) -> Project:
    cloud.reset()
    return Project(cloud, tmp_path_factory.mktemp("drift"), {NAME: {}})


def test_what_was_never_deployed_is_absent(project):
    run, seen = status(project)
    assert run.returncode == 2
    assert seen["state"] == "absent" and seen["drift"] == []
    assert run.failures() == ["activities is absent: it is not deployed"]
    run, _seen = status(project, "-e", "status_fail_on=broken")
    run.ok()


def test_a_pipeline_that_could_not_be_asked_is_told_beside_the_others(project):
    elsewhere = {NAME: {}, "elsewhere": {"expected_account_id": "111111111111"}}
    both = Project(project.cloud, project.folder, elsewhere, build_dir=str(project.folder / "both"))
    run = both.run("status", "-e", "status_fail_on=broken")
    assert run.returncode == 2
    assert len(run.failures()) == 2  # the account, and the verdict
    assert "elsewhere is unknown: elsewhere was not touched" in run.failures()[-1]
    told = json.loads((project.folder / "both/status/test.json").read_text())
    assert {name: each["state"] for name, each in told["pipelines"].items()} == {NAME: "absent", "elsewhere": "unknown"}


def test_check_mode_announces_the_first_deploy(project):
    check = project.run("deploy", "--check", "--diff").ok()
    assert resources(project.cloud.endpoint) == {}
    announced = changes(check)
    assert announced == TAGGED | alarms(*ALARMS) | {JOURNAL, VERSION, DASHBOARD}
    assert changes(project.run("deploy", "--diff").ok()) == announced
    run, seen = status(project)
    run.ok()
    assert (seen["state"], seen["reasons"], seen["drift"]) == ("ok", [], [])
    assert run.changed() == []


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [pytest.param(*edit, id=f"{edit[0]}-{place}") for place, edit in enumerate(EDITS) if SOAK or edit[0] in FEW],
)
def test_check_mode_names_what_an_edit_is_about_and_the_run_does_just_that(project, option, value, wanted):
    project.options[option] = value
    assert changes(project.run("deploy", "--check", "--diff").ok()) == wanted
    assert changes(project.run("deploy", "--diff").ok()) == wanted


def drifts(project: Project) -> dict[str, tuple[str, Callable[[], Any]]]:
    """What is changed behind Ansible's back: the resource as status names it, deploy's task for it, and the change."""
    outputs, client = project.outputs(NAME), project.cloud.client
    function, bucket = outputs["function_name"], outputs["audit_bucket"]
    alarm = next(name for name in outputs["alarm_names"] if name.endswith("-throttles"))
    role = outputs["role_arn"].rpartition("/")[2]
    policy = outputs["role_arn"].replace(":role/", ":policy/") + "-custom-policy"
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    dashboard = json.dumps({"widgets": []})
    return {
        "alarms": (
            f"alarm {short(alarm)}",
            lambda: client("cloudwatch").delete_alarms(AlarmNames=[alarm]),
        ),
        "function": (
            FUNCTION,
            lambda: client("lambda").update_function_configuration(FunctionName=function, MemorySize=1024),
        ),
        "failure queue": (
            QUEUE,
            lambda: client("sqs").set_queue_attributes(
                QueueUrl=outputs["failure_queue_url"], Attributes={"MessageRetentionPeriod": "60"}
            ),
        ),
        "execution role": (ROLE, lambda: client("iam").detach_role_policy(RoleName=role, PolicyArn=policy)),
        "custom policy": (
            POLICY,
            lambda: client("iam").create_policy_version(PolicyArn=policy, PolicyDocument=document, SetAsDefault=True),
        ),
        "audit bucket": (BUCKET, lambda: client("s3").delete_public_access_block(Bucket=bucket)),
        "table": (
            TABLE,
            lambda: client("dynamodb").untag_resource(ResourceArn=outputs["table_arn"], TagKeys=["Project"]),
        ),
        "event source mapping": (
            MAPPING,
            lambda: client("lambda").update_event_source_mapping(
                UUID=outputs["event_source_mapping_uuid"], Enabled=False
            ),
        ),
        "log group": (
            LOG_GROUP,
            lambda: client("logs").delete_retention_policy(logGroupName=outputs["log_group"]),
        ),
        "dashboard": (
            DASHBOARD,
            lambda: client("cloudwatch").put_dashboard(
                DashboardName=outputs["dashboard_name"], DashboardBody=dashboard
            ),
        ),
        "alarm topic": (ALARM_TOPIC, lambda: client("sns").delete_topic(TopicArn=outputs["alarm_topic_arn"])),
        "change topic": (CHANGE_TOPIC, lambda: unsubscribe(client("sns"), outputs["change_topic_arn"])),
    }


def unsubscribe(sns, topic: str) -> None:
    for subscription in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def test_status_finds_what_was_changed_behind_ansibles_back_and_deploy_mends_it(project):
    # What the edits have left off is on again, and there is a subscription to take away.
    project.options |= {"enabled": True, "dashboard": True, "subscriptions": ON_CALL}
    project.run("deploy", "--diff").ok()
    done = drifts(project)
    for _task, change in done.values():
        change()

    before = resources(project.cloud.endpoint)
    run, seen = status(project)
    assert run.returncode == 2
    assert seen["state"] == "broken"  # the mapping
    # The function itself was changed, and not the version that runs: mended, it is that version again.
    assert {each["resource"] for each in seen["drift"]} == set(done)
    assert seen["unreadable"] == []
    differs = {each["resource"]: each["differs"] for each in seen["drift"]}
    assert differs["event source mapping"] == ["enabled: false, should be true"]
    assert differs["alarm topic"] == ["missing"]
    assert [each.rpartition("-")[2] for each in differs["alarms"]] == ["throttles: missing"]
    assert all(each in run.failures()[0] for each in done)
    assert resources(project.cloud.endpoint) == before
    assert project.run("status", "-e", "status_fail_on=never").returncode == 0

    assert changes(project.run("deploy", "--diff").ok()) == {task for task, _change in done.values()}
    run, seen = status(project)
    run.ok()
    assert (seen["state"], seen["drift"]) == ("ok", [])


def test_what_waits_after_failures_and_what_came_last_is_told(project):
    outputs, client = project.outputs(NAME), project.cloud.client
    client("sqs").send_message(QueueUrl=outputs["failure_queue_url"], MessageBody="{}")
    for hour in ("2026/01/09/23", "2026/01/31/07"):
        key = f"{outputs['audit_prefix']}{hour}/one.json"
        client("s3").put_object(Bucket=outputs["audit_bucket"], Key=key, Body=b"{}")
    _run, seen = status(project)
    assert seen["state"] == "attention"
    assert [reason["reason"] for reason in seen["reasons"] if "failure queue" in reason["reason"]]
    assert seen["failure_queue"]["messages"] == 1
    assert seen["last_change"]["hour"] == "2026-01-31T07:00:00Z" and seen["last_change"]["audited_at"]
    client("sqs").purge_queue(QueueUrl=outputs["failure_queue_url"])


def test_a_read_that_is_refused_leaves_the_others(project, tmp_path):
    policy = json.loads((project.cloud.checkout / "files/iam/reader.json").read_text())
    denied = {"Sid": "Not", "Effect": "Deny", "Action": ["dynamodb:DescribeTable", "iam:GetPolicy"], "Resource": "*"}
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({**policy, "Statement": [*policy["Statement"], denied]}))
    project.cloud.run("policy", "reader", str(file))
    run, seen = status(project)
    assert run.returncode == 2
    unreadable = {each["resource"] for each in seen["unreadable"]}
    assert unreadable == {"table", "what is there already", "journal of the audit log", "custom policy"}
    assert "dynamodb:DescribeTable" in str(seen["unreadable"])
    assert seen["function"]["state"] == "Active" and seen["event_source_mapping"]["state"] == "Enabled"
