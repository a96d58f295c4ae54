"""The alarms and the dashboard that the role gives a pipeline, and the dashboard's module, against the local cloud."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import cloudwatch_dashboard
from ansible_runs import Project

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

NAME = "module-cloudwatch-dashboard"
BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "properties": {"markdown": '# a < b & "c" → ü'}}]}
TASK = "Create, adjust or remove the dashboard"


@pytest.fixture
def run(cloud, capsys):
    """Runs the module on the dashboard NAME as the account's administrator, and returns what it told Ansible."""
    keys = cloud.credentials()
    connection = {
        "endpoint_url": cloud.endpoint,
        "region": cloud.client("cloudwatch").meta.region_name,
        "access_key": keys["aws_access_key_id"],
        "secret_key": keys["aws_secret_access_key"],
    }

    def run_module(check=False, **options):
        given = {**connection, "name": NAME, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            cloudwatch_dashboard.main()
        told = json.loads(capsys.readouterr().out)
        assert not told.get("failed"), told["msg"]
        return told

    yield run_module
    run_module(state="absent")


def body_of(cloud, name):
    return json.loads(cloud.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])


def test_a_dashboard_can_be_made_changed_and_deleted(cloud, run):
    foretold = run(check=True, body=BODY)
    made = run(body=BODY)
    assert made["changed"]
    assert made["diff"] == foretold["diff"]
    assert made["cloudwatch_dashboard"] == {
        "dashboard_name": NAME,
        "dashboard_arn": f"arn:aws:cloudwatch::000000000000:dashboard/{NAME}",
        "body": BODY,
    }
    assert not run(body=json.dumps(BODY, indent=2))["changed"]
    assert run(body={"widgets": []})["changed"]
    assert body_of(cloud, NAME) == {"widgets": []}
    assert run(state="absent")["changed"]
    assert not run(state="absent")["changed"]


@pytest.fixture(scope="module")
def project(cloud, tmp_path_factory) -> Project:
    cloud.reset()
    project = Project(cloud, tmp_path_factory.mktemp("dashboard"), {"activities": {}})
    project.run("deploy").ok()
    return project


def test_a_pipelines_dashboard_shows_the_deployed_pipeline(project, cloud):
    outputs = project.outputs("activities")
    assert outputs["dashboard_name"] == f"{outputs['function_name']}-{outputs['region']}"
    shown = {
        word
        for widget in body_of(cloud, outputs["dashboard_name"])["widgets"]
        for metric in widget["properties"].get("metrics", [])
        for word in metric
        if isinstance(word, str)
    }
    for name in (
        *("function_name", "table_name", "event_source_mapping_uuid"),
        *("stream_arn", "failure_queue_arn"),
    ):
        assert outputs[name].rpartition("/stream/")[2].rpartition(":sqs:us-east-1:000000000000:")[2] in shown, name


def test_an_edited_dashboard_is_found_by_check_mode_and_put_right_by_a_deploy(project, cloud):
    name = project.outputs("activities")["dashboard_name"]
    as_deployed = body_of(cloud, name)
    cloud.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=json.dumps(BODY))
    foretold = project.run("deploy", "--check", "--diff").ok()
    assert foretold.changed() == [TASK]
    assert [each["before"]["body"] for each in foretold.diffs(TASK)] == [BODY]
    assert [each["after"]["body"] for each in foretold.diffs(TASK)] == [as_deployed]
    assert body_of(cloud, name) == BODY
    assert project.run("deploy").ok().changed() == [TASK]
    assert body_of(cloud, name) == as_deployed


def test_alarms_have_the_pipelines_tags_and_edited_ones_are_found_and_put_right(project, cloud):
    cloudwatch, task = cloud.client("cloudwatch"), "Create or adjust the alarms"
    names = project.outputs("activities")["alarm_names"]
    alarms = {each["AlarmName"]: each for each in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert set(alarms) == set(names)
    edited, deleted = names[:2]
    arn = alarms[edited]["AlarmArn"]
    tags = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
    assert {"Key": "cloudcdc:pipeline", "Value": "cdc/test/activities"} in tags
    cloudwatch.disable_alarm_actions(AlarmNames=[edited])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["cloudcdc:pipeline"])
    cloudwatch.delete_alarms(AlarmNames=[deleted])
    foretold = project.run("deploy", "--check", "--diff").ok()
    assert foretold.changed() == [task]
    ((before, after),) = [(each["before"], each["after"]) for each in foretold.diffs(task)]
    assert sorted(name for name in names if before.get(name) != after[name]) == sorted([edited, deleted])
    assert project.run("deploy").ok().changed() == [task]
    mended = {each["AlarmName"]: each for each in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert set(mended) == set(names)
    assert mended[edited]["ActionsEnabled"]
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == tags


def test_a_pipeline_that_wants_none_has_none_any_more(project, cloud):
    project.options["dashboard"] = False
    assert project.run("deploy").ok().changed() == [TASK, "Write the outputs"]
    assert "dashboard" not in resources(cloud.endpoint)
    assert project.outputs("activities")["dashboard_name"] is None


def test_teardown_removes_the_dashboard_whether_it_is_wanted_or_not(project, cloud):
    name = f"{project.outputs('activities')['function_name']}-us-east-1"
    cloud.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=json.dumps(BODY))
    told = project.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert "Remove the dashboard" in told.changed()
    assert resources(cloud.endpoint) == {}
