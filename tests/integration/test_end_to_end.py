"""The role and its playbooks on the local cloud, as the deployer and operator identities, IAM enforced."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from ansible_runs import CHECKOUT, Project

from tests.leftovers import resources

pytestmark = pytest.mark.cloud

MAPPING_TASK = "Connect the stream to the function"


def until(condition, what: str, seconds: float = 60):
    """The condition's first true answer, polled: the local cloud has no event to wait for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def one_pipeline(cloud, folder: Path, **options) -> Project:
    return Project(cloud, folder, {"activities": {}}, **options)


@pytest.fixture
def fresh(cloud):
    cloud.reset()
    return cloud


@pytest.fixture(scope="module")
def three(cloud, tmp_path_factory):
    """Three pipelines in one environment: the recipe's keys, a number alone, a binary sort key."""
    cloud.reset()
    project = Project(
        cloud,
        tmp_path_factory.mktemp("three"),
        {
            "activities": {},
            "readings": {
                "hash_key_name": "SensorId",
                "hash_key_type": "NUMBER",
                "range_key_name": "",
                "execution_policy": "scoped",
            },
            "documents": {"hash_key_name": "Owner", "range_key_name": "Digest", "range_key_type": "BINARY"},
        },
        maximum_batching_window_in_seconds=0,
    )
    project.run("deploy").ok()
    return project


class TestADeployedEnvironment:
    def test_a_second_deploy_changes_nothing(self, three):
        assert three.run("deploy").ok().changed() == []

    def test_check_mode_reports_no_change(self, three):
        assert three.run("deploy", "--check", "--diff").ok().changed() == []

    def test_pipelines_of_one_run_have_resources_of_their_own(self, three):
        outputs = [three.outputs(host) for host in three.hosts]
        for name in ("table_arn", "stream_arn", "function_arn", "audit_bucket", "change_topic_arn", "role_arn"):
            assert len({each[name] for each in outputs}) == 3, name

    def test_outputs_name_every_resource(self, three):
        outputs = three.outputs("activities")
        assert list(outputs) == [
            *("region", "account_id", "endpoint_url", "table_name", "table_arn", "stream_arn", "function_name"),
            *("function_arn", "alias_arn", "event_source_mapping_uuid", "role_arn", "audit_bucket", "audit_prefix"),
            *("change_topic_arn", "alarm_topic_arn", "failure_queue_url", "failure_queue_arn", "log_group"),
            *("alarm_names", "dashboard_name"),
        ]
        assert [name for name, value in outputs.items() if value is None] == ["alias_arn", "dashboard_name"]

    def test_the_recipes_resources_have_the_recipes_settings(self, three, cloud):
        outputs = three.outputs("activities")
        table = cloud.client("dynamodb").describe_table(TableName=outputs["table_name"])["Table"]
        throughput = table["ProvisionedThroughput"]
        assert (throughput["ReadCapacityUnits"], throughput["WriteCapacityUnits"]) == (5, 5)
        assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        config = cloud.client("lambda").get_function_configuration(FunctionName=outputs["function_name"])
        assert (config["Timeout"], config["MemorySize"], config["Architectures"]) == (60, 256, ["arm64"])
        assert config["DeadLetterConfig"]["TargetArn"] == outputs["failure_queue_arn"]
        mapping = cloud.client("lambda").get_event_source_mapping(UUID=outputs["event_source_mapping_uuid"])
        assert (mapping["BatchSize"], mapping["MaximumRetryAttempts"], mapping["ParallelizationFactor"]) == (10, 3, 2)
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == outputs["failure_queue_arn"]
        attributes = cloud.client("sqs").get_queue_attributes(
            QueueUrl=outputs["failure_queue_url"], AttributeNames=["MessageRetentionPeriod"]
        )
        assert attributes["Attributes"]["MessageRetentionPeriod"] == "1209600"
        groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=outputs["log_group"])["logGroups"]
        assert groups[0]["retentionInDays"] == 30
        alarms = cloud.client("cloudwatch").describe_alarms(AlarmNames=outputs["alarm_names"])["MetricAlarms"]
        assert {alarm["MetricName"] for alarm in alarms} == {"Errors", "ApproximateNumberOfMessagesVisible"}
        assert all(alarm["AlarmActions"] == [outputs["alarm_topic_arn"]] for alarm in alarms)
        public = cloud.client("s3").get_public_access_block(Bucket=outputs["audit_bucket"])
        assert all(public["PublicAccessBlockConfiguration"].values())

    def test_everything_that_takes_tags_carries_them(self, three, cloud):
        outputs = three.outputs("activities")
        wanted = {"Environment": "test", "Project": "cdc", "cloudcdc:pipeline": "cdc/test/activities"}
        lambda_, role = cloud.client("lambda"), outputs["role_arn"].rpartition("/")[2]
        uuid_ = outputs["event_source_mapping_uuid"]
        policy = f"arn:aws:iam::000000000000:policy/{role}-custom-policy"
        mapping_arn = f"arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{uuid_}"

        def pairs(tags):
            return {tag["Key"]: tag["Value"] for tag in tags}

        tags = {
            "table": pairs(cloud.client("dynamodb").list_tags_of_resource(ResourceArn=outputs["table_arn"])["Tags"]),
            "bucket": pairs(cloud.client("s3").get_bucket_tagging(Bucket=outputs["audit_bucket"])["TagSet"]),
            "alarm topic": pairs(
                cloud.client("sns").list_tags_for_resource(ResourceArn=outputs["alarm_topic_arn"])["Tags"]
            ),
            "policy": pairs(cloud.client("iam").list_policy_tags(PolicyArn=policy)["Tags"]),
            "topic": pairs(cloud.client("sns").list_tags_for_resource(ResourceArn=outputs["change_topic_arn"])["Tags"]),
            "queue": cloud.client("sqs").list_queue_tags(QueueUrl=outputs["failure_queue_url"])["Tags"],
            "function": lambda_.list_tags(Resource=outputs["function_arn"])["Tags"],
            "mapping": lambda_.list_tags(Resource=mapping_arn)["Tags"],
            "role": pairs(cloud.client("iam").list_role_tags(RoleName=role)["Tags"]),
            "log group": cloud.client("logs").list_tags_log_group(logGroupName=outputs["log_group"])["tags"],
        }
        assert tags == dict.fromkeys(tags, wanted)

    def test_verify_proves_every_key_schema(self, three):
        run = three.run("verify").ok()
        assert run.changed() == []

    def test_three_changes_of_one_item_within_a_second_are_three_objects_and_three_messages(self, three, cloud):
        outputs = three.outputs("activities")
        dynamodb, sqs, s3 = (cloud.client(service) for service in ("dynamodb", "sqs", "s3"))
        queue = subscribed_queue(cloud, outputs["change_topic_arn"])
        user = f"burst/{uuid.uuid4()} ü 🙂"
        for kind in ("LOGIN", "BROWSE", "LOGOUT"):
            item = {"UserId": {"S": user}, "ActivityId": {"S": "one"}, "ActivityType": {"S": kind}}
            dynamodb.put_item(TableName=outputs["table_name"], Item=item)
        found: dict[str, str] = {}

        def three_messages():
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                details = json.loads(message["Body"])["details"]
                if details["keys"]["UserId"]["S"] == user:
                    found[details["sequenceNumber"]] = details["newImage"]["ActivityType"]["S"]
            return len(found) == 3

        until(three_messages, "three notifications")
        assert [found[number] for number in sorted(found, key=int)] == ["LOGIN", "BROWSE", "LOGOUT"]
        names = [name for number in found for name in audit_names(s3, outputs, number)]
        assert len(names) == len(set(names)) == 3

    def test_an_item_whose_images_pass_the_limit_is_audited_in_full_and_notified_by_claim_check(self, three, cloud):
        outputs = three.outputs("activities")
        dynamodb, sqs, s3 = (cloud.client(service) for service in ("dynamodb", "sqs", "s3"))
        queue = subscribed_queue(cloud, outputs["change_topic_arn"])
        user = f"large-{uuid.uuid4()}"
        for letter in "ab":
            item = {"UserId": {"S": user}, "ActivityId": {"S": "one"}, "Blob": {"S": letter * 200_000}}
            dynamodb.put_item(TableName=outputs["table_name"], Item=item)

        def claim():
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                details = json.loads(message["Body"])["details"]
                if details["keys"]["UserId"]["S"] == user and details["eventName"] == "MODIFY":
                    return details
            return None

        details = until(claim, "the notification of the update")
        assert "newImage" not in details and "oldImage" not in details
        body = s3.get_object(Bucket=details["audit"]["bucket"], Key=details["audit"]["key"])["Body"].read()
        images = json.loads(body)
        assert (images["oldImage"]["Blob"]["S"], images["newImage"]["Blob"]["S"]) == ("a" * 200_000, "b" * 200_000)

    def test_one_edited_option_shows_as_that_line_and_changes_that_resource(self, three):
        three.hosts["readings"]["batch_size"] = 25
        announced = three.run("deploy", "--check", "--diff").ok()
        assert announced.changed() == [MAPPING_TASK]
        before_after = [diff for diff in announced.diffs(MAPPING_TASK) if diff["before"] != diff["after"]]
        assert len(before_after) == 1
        before, after = before_after[0]["before"], before_after[0]["after"]
        assert {name for name in after if before[name] != after[name]} == {"batch_size"}
        assert three.run("deploy").ok().changed() == [MAPPING_TASK]
        assert three.run("deploy").ok().changed() == []


def subscribed_queue(cloud, topic_arn: str) -> str:
    """A queue that gets the topic's messages as they are."""
    sqs, name = cloud.client("sqs"), f"test-{uuid.uuid4()}"
    arn = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    may_send = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_send]})
    url = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    cloud.client("sns").subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"RawMessageDelivery": "true"},
    )
    return url


def audit_names(s3, outputs: dict, sequence_number: str) -> list[str]:
    listed = s3.list_objects_v2(Bucket=outputs["audit_bucket"], Prefix=outputs["audit_prefix"]).get("Contents", [])
    return [each["Key"] for each in listed if f"/{sequence_number.zfill(40)}-" in each["Key"]]


def test_check_mode_on_a_fresh_cloud_fails_nowhere_and_writes_nothing(fresh, tmp_path):
    run = one_pipeline(fresh, tmp_path).run("deploy", "--check", "--diff").ok()
    assert MAPPING_TASK in run.changed()
    assert resources(fresh.endpoint) == {}


def test_another_account_stops_before_any_write(fresh, tmp_path):
    run = one_pipeline(fresh, tmp_path, expected_account_id="111111111111").run("deploy")
    assert run.returncode != 0
    assert "belong to account 000000000000" in run.failures()[0] and "111111111111" in run.failures()[0]
    assert resources(fresh.endpoint) == {}
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


def test_teardown_keeps_the_data_until_told_and_can_be_run_again(fresh, tmp_path):
    project = one_pipeline(fresh, tmp_path, maximum_batching_window_in_seconds=0)
    project.run("deploy").ok()
    outputs = project.outputs("activities")
    item = {"UserId": {"S": "kept"}, "ActivityId": {"S": "one"}}
    fresh.client("dynamodb").put_item(TableName=outputs["table_name"], Item=item)
    s3 = fresh.client("s3")
    until(lambda: s3.list_objects_v2(Bucket=outputs["audit_bucket"]).get("KeyCount"), "the audit object")

    kept = project.run("teardown").ok()
    assert any("Kept the table" in str(result.get("msg")) for _name, _host, result in kept.tasks())
    assert resources(fresh.endpoint) == {"table": [outputs["table_name"]], "bucket": [outputs["audit_bucket"]]}
    assert project.run("teardown").ok().changed() == []

    project.run("deploy").ok()
    assert fresh.client("dynamodb").get_item(TableName=outputs["table_name"], Key=item)["Item"] == item
    assert project.outputs("activities")["stream_arn"] == outputs["stream_arn"]

    project.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert resources(fresh.endpoint) == {}
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

    taken = one_pipeline(fresh, tmp_path, table_name="UserActivities-theirs", maximum_batching_window_in_seconds=0)
    refused = taken.run("deploy")
    assert refused.returncode != 0 and "cloudcdc:pipeline" in refused.failures()[0]
    assert not dynamodb.describe_table(TableName="UserActivities-theirs")["Table"].get("StreamSpecification")

    taken.options["table_attach"] = True
    taken.run("deploy").ok()
    taken.run("verify").ok()
    table = dynamodb.describe_table(TableName="UserActivities-theirs")["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"] == made["Tags"]

    taken.run("teardown", "-e", "teardown_delete_data=true").ok()
    assert resources(fresh.endpoint) == {"table": ["UserActivities-theirs"]}


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
