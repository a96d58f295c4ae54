"""playbooks/failure_drill.yml on the local cloud: what it proves, refuses and leaves, and what a kill of it leaves."""

from __future__ import annotations

import json
import subprocess
from contextlib import AbstractContextManager
from typing import Any

import pytest
from ansible_runs import Project, until

pytestmark = pytest.mark.cloud

#: A pipeline that gives changes up soon.
QUICK = {"maximum_batching_window_in_seconds": 0, "maximum_retry_attempts": 1, "drill_healthy_items": 2}


class Drills:
    """Pipelines to drill, and what can be seen of them from outside."""

    def __init__(self, cloud, folder) -> None:
        self.cloud = cloud
        # The recipe's numbers for one; the other is quicker, with another key schema, layout and failure destination.
        number_key = {"hash_key_name": "Id", "hash_key_type": "NUMBER", "range_key_name": ""}
        hosts = {
            "activities": {},
            "kept": {**QUICK, **number_key, "failure_destination": "bucket", "audit_layout": "per_batch"},
        }
        self.project = Project(cloud, folder, hosts)

    def run(self, verb: str, host: str, *arguments: str):
        return self.project.run(verb, "--limit", host, *arguments)

    def started(self, host: str, *arguments: str) -> AbstractContextManager[subprocess.Popen]:
        return self.project.started("failure_drill", "--limit", host, *arguments)

    def outputs(self, host: str) -> dict[str, Any]:
        return self.project.outputs(host)

    def report(self, host: str) -> dict[str, Any]:
        return json.loads((self.project.folder / "build/drill/test" / f"{host}.json").read_text())

    def environment(self, host: str) -> dict[str, str]:
        name = self.outputs(host)["function_name"]
        found = self.cloud.client("lambda").get_function_configuration(FunctionName=name, Qualifier="live")
        return found["Environment"]["Variables"]

    def alarm(self, host: str, name: str) -> str:
        full = f"{self.outputs(host)['function_name']}-{name}"
        return self.cloud.client("cloudwatch").describe_alarms(AlarmNames=[full])["MetricAlarms"][0]["StateValue"]

    def items(self, host: str) -> list[dict[str, Any]]:
        return self.cloud.client("dynamodb").scan(TableName=self.outputs(host)["table_name"])["Items"]

    def failure_records(self, host: str) -> int:
        outputs = self.outputs(host)
        if outputs["failure_bucket"]:
            return self.cloud.client("s3").list_objects_v2(Bucket=outputs["failure_bucket"])["KeyCount"]
        depth = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.cloud.client("sqs").get_queue_attributes(
            QueueUrl=outputs["failure_queue_url"], AttributeNames=list(depth)
        )
        return sum(int(found["Attributes"][name]) for name in depth)

    def assert_nothing_left(self, host: str) -> None:
        outputs, sns, sqs = self.outputs(host), self.cloud.client("sns"), self.cloud.client("sqs")
        assert self.items(host) == []
        assert self.failure_records(host) == 0
        assert not {"DRILL_ID", "DRILL_TOKEN"} & self.environment(host).keys()
        assert sqs.list_queues(QueueNamePrefix="cloudcdc-drill-").get("QueueUrls", []) == []
        assert sns.list_subscriptions_by_topic(TopicArn=outputs["alarm_topic_arn"])["Subscriptions"] == []


@pytest.fixture(scope="module")
def drills(cloud, tmp_path_factory) -> Drills:
    cloud.reset()
    made = Drills(cloud, tmp_path_factory.mktemp("drills"))
    made.project.run("deploy").ok()
    return made


def test_a_broken_function_is_drilled_with_the_recipes_numbers(drills):
    run = drills.run("failure_drill", "activities", "-e", "drill_mode=break").ok()

    report = drills.report("activities")
    assert (report["mode"], report["problems"], report["other_changes"]) == ("break", [], 0)
    seen = [(change["part"], change["audited"], change["redriven"]) for change in report["changes"]]
    assert seen == [("victim", True, True)] * 5
    assert f"cloudcdc-verify/{report['id']}" not in run.output, "a key of the drill's items was shown"
    drills.assert_nothing_left("activities")


def test_a_poison_drill_with_a_bucket_passes_and_again_right_after(drills):
    for _turn in range(2):
        drills.run("failure_drill", "kept", "-e", "drill_mode=poison").ok()

        report = drills.report("kept")
        assert (report["mode"], report["problems"], report["other_changes"]) == ("poison", [], 0)
        seen = [(change["part"], change["audited"], change["redriven"]) for change in report["changes"]]
        assert seen == [("healthy", True, False), ("poison", True, True), ("healthy", True, False)]
        (record,) = report["failure_records"]
        assert record["name"].startswith("aws/lambda/")
        assert (record["batch_size"], record["condition"]) == (1, "RetryAttemptsExhausted")
        drills.assert_nothing_left("kept")


def test_an_environment_marked_as_production_is_drilled_only_when_told_twice(drills):
    protected = ("--check", "-e", "ddb_stream_pipeline_protected=true")
    once = (("-e", "drill_in_production=true"), ("-e", "drill_confirm=test"))
    wrong = ("-e", "drill_in_production=true", "-e", "drill_confirm=local")

    for told in ((), *once, wrong):
        run = drills.run("failure_drill", "activities", *protected, *told)
        assert run.returncode != 0
        assert any("-e drill_in_production=true -e drill_confirm=test" in failure for failure in run.failures())
        assert run.changed() == []

    drills.run("failure_drill", "activities", *protected, *once[0], *once[1]).ok()


def test_a_mode_that_there_is_not_is_refused(drills):
    run = drills.run("failure_drill", "activities", "-e", "drill_mode=destroy")

    assert "drill_mode must be poison or break, not destroy" in run.failures()[0]


def test_check_mode_says_what_it_would_do_and_changes_nothing(drills):
    run = drills.run("failure_drill", "activities", "--check", "-e", "drill_mode=break").ok()

    told = [result["message"] for name, _host, result in run.tasks() if name == "Prepare the drill"]
    assert told[0].startswith("Would insert 5 item(s)")
    assert run.changed() == []
    drills.assert_nothing_left("activities")


def test_what_cannot_be_delivered_fails_the_drill_and_the_dropped_change_is_named(drills, cloud):
    iam, outputs = cloud.client("iam"), drills.outputs("activities")
    role = outputs["role_arn"].rpartition("/")[2]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    (arn,) = [each["PolicyArn"] for each in attached if each["PolicyName"].endswith("custom-policy")]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    statements = [each for each in document["Statement"] if not each["Sid"].startswith("DeliverFailures")]
    assert len(statements) < len(document["Statement"])
    spoilt = json.dumps({**document, "Statement": statements})
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=spoilt, SetAsDefault=True)

    with drills.started("activities", "-e", "drill_mode=poison") as drill:
        until(lambda: drills.alarm("activities", "destination-failures") == "ALARM", "the alarm going off")
        assert drill.wait(timeout=300) != 0

    report = drills.report("activities")
    assert any("could not deliver a failure record" in problem for problem in report["problems"])
    (poison,) = [change for change in report["changes"] if change["part"] == "poison"]
    assert [change["item"] for change in report["dropped"]] == [poison["item"]]
    assert report["dropped"][0]["sequence_number"] == poison["sequence_number"]
    assert any(problem.startswith("Dropped") and poison["item"] in problem for problem in report["problems"])
    assert all(change["audited"] for change in report["changes"] if change["part"] == "healthy")
    drills.assert_nothing_left("activities")


def test_after_a_kill_verify_names_the_drill_and_a_deploy_heals(drills):
    with drills.started("activities", "-e", "drill_mode=break"):
        drill_id = until(lambda: drills.environment("activities").get("DRILL_ID"), "the break")

    told = drills.run("verify", "activities")
    assert told.returncode != 0
    assert any(drill_id in failure and "playbooks/deploy.yml" in failure for failure in told.failures())
    again = drills.run("failure_drill", "activities")
    assert any(drill_id in failure and "playbooks/deploy.yml" in failure for failure in again.failures())

    drills.run("deploy", "activities").ok()
    assert "DRILL_ID" not in drills.environment("activities")
    drills.run("verify", "activities").ok()
