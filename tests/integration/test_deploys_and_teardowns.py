"""Deploys that are refused, looked at, killed; teardowns; other people's tables and buckets. Each on an empty cloud."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
from ansible_runs import CHECKOUT, Project, until

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

MAPPING_TASK = "Connect the stream to the function"


def one_pipeline(cloud, folder: Path, **options) -> Project:
    return Project(cloud, folder, {"activities": {}}, **options)


def there(cloud) -> dict[str, list[str]]:
    """What is there, but for the log group that a function of another file's tests makes anew when it ends late."""
    found = resources(cloud.endpoint)
    ours = [each for each in found.pop("log group", []) if each.startswith("/aws/lambda/stream-processor-")]
    return {**found, **({"log group": ours} if ours else {})}


@pytest.fixture
def fresh(cloud):
    cloud.reset()
    return cloud


def test_check_mode_on_a_fresh_cloud_fails_nowhere_and_writes_nothing(fresh, tmp_path):
    run = one_pipeline(fresh, tmp_path).run("deploy", "--check", "--diff").ok()
    assert MAPPING_TASK in run.changed()
    assert there(fresh) == {}


def test_another_account_stops_before_any_write(fresh, tmp_path):
    run = one_pipeline(fresh, tmp_path, expected_account_id="111111111111").run("deploy")
    assert run.returncode != 0
    assert "belong to account 000000000000" in run.failures()[0] and "111111111111" in run.failures()[0]
    assert there(fresh) == {}
    assert {action["action"] for action in fresh.actions("deployer")} <= {
        "sts:GetCallerIdentity",
        "iam:ListAccountAliases",
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tumbling_window_in_seconds": 60, "parallelization_factor": 2}, "ddb_stream_pipeline_parallelization_factor"),
        ({"maximum_record_age_in_seconds": 30}, "ddb_stream_pipeline_maximum_record_age_in_seconds"),
        ({"read_capacity": 0}, "ddb_stream_pipeline_read_capacity"),
        ({"failure_queue_name": "failures.fifo"}, "FIFO queue"),
        ({"batchsize": 5}, "did you mean ddb_stream_pipeline_batch_size"),
        ({"subscriptions": [{"protocol": "http", "endpoint": "http://example.com/"}]}, "https"),
        ({"filter_criteria": ["{not json"]}, "ddb_stream_pipeline_filter_criteria"),
    ],
)
def test_impossible_options_are_refused_before_the_first_call_to_aws(cloud, tmp_path, options, sentence):
    before = len(cloud.actions("deployer"))
    run = one_pipeline(cloud, tmp_path, **options).run("deploy")
    assert run.returncode != 0
    assert sentence in " ".join(run.failures())
    assert len(cloud.actions("deployer")) == before


def test_a_source_of_failure_records_that_there_is_not_is_refused(cloud, tmp_path):
    run = one_pipeline(cloud, tmp_path).run("redrive", "-e", "redrive_source=buckets")
    assert run.returncode != 0
    assert "redrive_source must be queue or bucket, not buckets" in run.failures()[0]


def test_teardown_keeps_the_data_until_told_and_can_be_run_again(fresh, tmp_path):
    project = one_pipeline(fresh, tmp_path, maximum_batching_window_in_seconds=0, failure_destination="bucket")
    project.run("deploy").ok()
    outputs = project.outputs("activities")
    item = {"UserId": {"S": "kept"}, "ActivityId": {"S": "one"}}
    fresh.client("dynamodb").put_item(TableName=outputs["table_name"], Item=item)
    s3 = fresh.client("s3")
    changes = {"Bucket": outputs["audit_bucket"], "Prefix": f"{outputs['audit_prefix']}2"}
    until(lambda: s3.list_objects_v2(**changes).get("KeyCount"), "the audit object")
    s3.put_object(Bucket=outputs["failure_bucket"], Key="aws/lambda/not-yet-redriven", Body=b"{}")
    sqs, queue = fresh.client("sqs"), outputs["failure_queue_url"]
    sqs.send_message(QueueUrl=queue, MessageBody="not yet redriven")
    # In flight, it is not to be seen, and there all the same.
    assert sqs.receive_message(QueueUrl=queue)["Messages"]

    kept = project.run("teardown").ok()
    buckets = [outputs["audit_bucket"], outputs["failure_bucket"]]
    told = " ".join(str(result.get("msg")) for _name, _host, result in kept.tasks())
    queue_name = queue.rpartition("/")[2]
    assert all(name in told for name in ("Kept the table", *buckets, f"{queue_name} with 1 messages", "the keys"))
    left = resources(fresh.endpoint)
    assert [url.rpartition("/")[2] for url in left.pop("queue")] == [queue_name]
    assert left == {"table": [outputs["table_name"]], "bucket": buckets}
    sqs.purge_queue(QueueUrl=queue)
    s3.delete_object(Bucket=outputs["failure_bucket"], Key="aws/lambda/not-yet-redriven")
    # Empty, they hold nothing that could be lost.
    assert project.run("teardown").ok().changed() == ["Remove the failure queue", "Remove the failure bucket"]
    assert resources(fresh.endpoint) == {"table": [outputs["table_name"]], "bucket": [outputs["audit_bucket"]]}

    project.run("deploy").ok()
    assert fresh.client("dynamodb").get_item(TableName=outputs["table_name"], Key=item)["Item"] == item
    assert project.outputs("activities")["stream_arn"] == outputs["stream_arn"]

    project.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert there(fresh) == {}
    assert not list((tmp_path / "build").rglob("*.json"))
    assert project.run("teardown", "-e", "teardown_delete_data=true").ok().changed() == []


def test_a_table_of_someone_else_is_attached_to_and_never_deleted(fresh, tmp_path):
    dynamodb = fresh.client("dynamodb")
    made = {
        "TableName": "UserActivities-theirs",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "Tags": [{"Key": "owner", "Value": "someone"}],
    }
    arn = dynamodb.create_table(**made)["TableDescription"]["TableArn"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=made["TableName"], PointInTimeRecoverySpecification=recovery)
    before = all_of_a_table(dynamodb, arn)

    taken = one_pipeline(fresh, tmp_path, table_name="UserActivities-theirs", maximum_batching_window_in_seconds=0)
    refused = taken.run("deploy")
    assert refused.returncode != 0 and "cloudcdc:pipeline" in refused.failures()[0]
    assert not dynamodb.describe_table(TableName="UserActivities-theirs")["Table"].get("StreamSpecification")

    taken.options["table_attach"] = True
    taken.run("deploy").ok()
    taken.run("verify").ok()
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert all_of_a_table(dynamodb, arn) == {**before, "StreamSpecification": stream}

    torn = taken.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert "which belongs to someone else, with its stream." in told_at_the_end(torn)
    assert all_of_a_table(dynamodb, arn) == {**before, "StreamSpecification": stream}
    assert resources(fresh.endpoint) == {"table": ["UserActivities-theirs"]}

    other_view = taken.run("deploy", "-e", "ddb_stream_pipeline_stream_view_type=KEYS_ONLY")
    assert "ddb_stream_pipeline_stream_view_type to NEW_AND_OLD_IMAGES, or ask" in other_view.failures()[0]
    others = [mapping_of_another(fresh, name, arn) for name in ("stream-processor-first", "stream-processor-second")]
    third = taken.run("deploy")
    assert "has 2 readers already" in third.failures()[0] and "stream-processor-second" in third.failures()[0]
    assert "bucket" not in resources(fresh.endpoint)

    lambda_, told = fresh.client("lambda"), ("-e", "teardown_disable_stream=true")
    lambda_.delete_event_source_mapping(UUID=others[0])
    until(lambda: len(lambda_.list_event_source_mappings()["EventSourceMappings"]) == 1, "one reader's end")
    kept = told_at_the_end(taken.run("teardown", *told).ok())
    assert "with its stream, which" in kept and "stream-processor-second read too" in kept
    assert all_of_a_table(dynamodb, arn)["StreamSpecification"] == stream
    lambda_.delete_event_source_mapping(UUID=others[1])
    until(lambda: not lambda_.list_event_source_mappings()["EventSourceMappings"], "the other reader's end")
    assert "without its stream" in told_at_the_end(taken.run("teardown", *told).ok())
    left = all_of_a_table(dynamodb, arn)
    assert not (left.pop("StreamSpecification", None) or {}).get("StreamEnabled")
    assert left == before


def all_of_a_table(dynamodb, arn: str) -> dict:
    """What its owner can see of it, but for the ARN of its stream."""
    name = arn.rpartition("/")[2]
    described = dynamodb.describe_table(TableName=name)["Table"]
    changing = ("LatestStreamArn", "LatestStreamLabel", "ItemCount", "TableSizeBytes")
    return {
        **{key: value for key, value in described.items() if key not in changing},
        "tags": dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"],
        "recovery": dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"][
            "PointInTimeRecoveryDescription"
        ]["PointInTimeRecoveryStatus"],
    }


def told_at_the_end(run) -> str:
    return str(run.tasks()[-1][2]["msg"])


def mapping_of_another(cloud, function: str, table_arn: str) -> str:
    """A function of someone's, and its mapping of the table's stream; the mapping's UUID."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as package:
        package.writestr("other.py", "def handler(event, context):\n    return None\n")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = cloud.client("iam")
    role = iam.create_role(
        RoleName=function, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    reads = "arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"
    iam.attach_role_policy(RoleName=function, PolicyArn=reads)
    lambda_ = cloud.client("lambda")
    lambda_.create_function(
        FunctionName=function,
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="other.handler",
        Code={"ZipFile": code.getvalue()},
    )
    table = cloud.client("dynamodb").describe_table(TableName=table_arn.rpartition("/")[2])["Table"]
    made = lambda_.create_event_source_mapping(
        FunctionName=function, EventSourceArn=table["LatestStreamArn"], StartingPosition="LATEST"
    )
    return made["UUID"]


def test_a_bucket_of_someone_else_is_refused_before_any_write_and_never_emptied(fresh, tmp_path):
    s3 = fresh.client("s3")
    s3.create_bucket(Bucket="activity-audit-finance")
    s3.put_object(Bucket="activity-audit-finance", Key="2019.csv", Body=b"theirs")
    project = one_pipeline(fresh, tmp_path, audit_bucket_name="activity-audit-finance")
    for run in (project.run("deploy"), project.run("teardown", "-e", "teardown_delete_data=true")):
        assert run.returncode != 0
        assert "activity-audit-finance exists, but does not carry the tag cloudcdc:pipeline" in run.failures()[0]
    assert resources(fresh.endpoint) == {"bucket": ["activity-audit-finance"]}
    assert s3.get_object(Bucket="activity-audit-finance", Key="2019.csv")["Body"].read() == b"theirs"


def test_a_pipeline_whose_derived_names_meet_anothers_neither_deploys_nor_tears_it_down(fresh, tmp_path):
    first = Project(fresh, tmp_path / "first", {"eu-orders": {}}, environment="dev")
    first.run("deploy").ok()
    before = resources(fresh.endpoint)
    second = Project(fresh, tmp_path / "second", {"orders": {}}, environment="dev-eu")
    for run in (
        second.run("deploy"),
        second.run("teardown"),
        second.run("teardown", "-e", "teardown_delete_data=true"),
    ):
        assert run.returncode != 0
        assert "cloudcdc:pipeline=cdc/dev-eu/orders" in run.failures()[0]
    assert resources(fresh.endpoint) == before


def test_a_protected_table_stops_its_teardown_before_anything_is_removed(fresh, tmp_path):
    project = one_pipeline(fresh, tmp_path, deletion_protection_enabled=True)
    project.run("deploy").ok()
    before = resources(fresh.endpoint)
    run = project.run("teardown", "-e", "teardown_delete_data=true")
    assert run.returncode != 0
    assert "deletion protection" in run.failures()[0]
    assert resources(fresh.endpoint) == before


@pytest.mark.parametrize("tasks_done", [3, 6, 9, 12, 15])
def test_a_deploy_killed_at_any_moment_is_completed_by_the_next(fresh, tmp_path, tasks_done):
    project = one_pipeline(fresh, tmp_path)
    killed_after(project, tasks_done)
    project.run("deploy").ok()
    assert project.run("deploy").ok().changed() == []
    fresh.client("lambda").get_event_source_mapping(UUID=project.outputs("activities")["event_source_mapping_uuid"])


def killed_after(project: Project, tasks: int) -> None:
    """Start a deploy, and kill -9 it with everything it started while the task after the given count runs."""
    deploy = subprocess.Popen(
        project.command("deploy"),
        cwd=CHECKOUT,
        env=project.environment(PYTHONUNBUFFERED="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun = 0
    for line in deploy.stdout:
        begun += line.startswith("TASK [")
        if begun > tasks + 1:
            break
    assert deploy.poll() is None, "the deploy ended before it could be killed"
    os.killpg(deploy.pid, signal.SIGKILL)
    deploy.wait()
    deploy.stdout.close()
