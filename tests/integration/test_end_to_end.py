"""The role and its playbooks on the local cloud, as the deployer and operator identities, IAM enforced."""

from __future__ import annotations

import json
import uuid

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import read_envelopes
from ansible_runs import Project, until

from tests.accounting import Pipeline

pytestmark = pytest.mark.cloud

MAPPING_TASK = "Connect the stream to the function"
POLICY_TASK = "Create or adjust the custom policy"
ALARMS_TASK = "Create or adjust the alarms"
DASHBOARD_TASK = "Create, adjust or remove the dashboard"
OUTPUTS_TASK = "Write the outputs"


@pytest.fixture(scope="module")
def three(cloud, tmp_path_factory):
    """Three pipelines in one environment: the recipe's keys, a number alone, a binary sort key.

    Each has its own failure destination: the queue, a bucket (with a FIFO change topic), a topic.
    """
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
                "failure_destination": "bucket",
                "change_topic_type": "fifo",
            },
            "documents": {
                "hash_key_name": "Owner",
                "range_key_name": "Digest",
                "range_key_type": "BINARY",
                "failure_destination": "topic",
            },
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
            *("function_arn", "alias_arn", "function_version", "event_source_mapping_uuid", "role_arn", "audit_bucket"),
            "audit_prefix",
            *("change_topic_arn", "alarm_topic_arn", "failure_destination_arn", "failure_bucket", "failure_topic_arn"),
            *("failure_queue_url", "failure_queue_arn", "log_group", "alarm_names", "replayer_function_arn"),
            *("replay_state_machine_arn", "compaction_state_machine_arn", "dashboard_name"),
        ]
        assert {name for name, value in outputs.items() if value is None} == {
            *("failure_bucket", "failure_topic_arn", "replayer_function_arn"),
            *("replay_state_machine_arn", "compaction_state_machine_arn"),
        }

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
        assert mapping["MetricsConfig"] == {"Metrics": ["EventCount"]}
        for bucket in (outputs["audit_bucket"], three.outputs("readings")["failure_bucket"]):
            public = cloud.client("s3").get_public_access_block(Bucket=bucket)
            assert all(public["PublicAccessBlockConfiguration"].values())
            owned = cloud.client("s3").get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
            assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]

    def test_every_alarm_watches_this_pipeline_and_tells_the_alarm_topic(self, three, cloud):
        for host in three.hosts:
            outputs = three.outputs(host)
            found = cloud.client("cloudwatch").describe_alarms(AlarmNames=outputs["alarm_names"])["MetricAlarms"]
            watched = {
                alarm["AlarmName"].removeprefix(outputs["function_name"]): (
                    alarm["Namespace"],
                    alarm["MetricName"],
                    [(each["Name"], each["Value"]) for each in alarm["Dimensions"]],
                    alarm["Statistic"],
                    alarm["Threshold"],
                )
                for alarm in found
            }
            function = [("FunctionName", outputs["function_name"])]
            mapping = [("EventSourceMappingUUID", outputs["event_source_mapping_uuid"])]
            queue = [("QueueName", outputs["failure_queue_arn"].rpartition(":")[2])]
            table = [("TableName", outputs["table_name"])]
            assert watched == {
                "-errors": ("AWS/Lambda", "Errors", function, "Sum", 1),
                "-throttles": ("AWS/Lambda", "Throttles", function, "Sum", 1),
                "-iterator-age": ("AWS/Lambda", "IteratorAge", function, "Maximum", 3_600_000),
                "-destination-failures": ("AWS/Lambda", "DestinationDeliveryFailures", function, "Sum", 1),
                "-dropped": ("AWS/Lambda", "DroppedEventCount", mapping, "Sum", 1),
                "-failures-delivered": (*("AWS/Lambda", "OnFailureDestinationDeliveredEventCount", mapping, "Sum", 1),),
                "-dlq-messages": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, "Maximum", 1),
                "-dlq-age": ("AWS/SQS", "ApproximateAgeOfOldestMessage", queue, "Maximum", 21600),
                "-table-write-throttles": ("AWS/DynamoDB", "WriteThrottleEvents", table, "Sum", 1),
                "-table-read-throttles": ("AWS/DynamoDB", "ReadThrottleEvents", table, "Sum", 1),
            }
            for alarm in found:
                assert alarm["AlarmActions"] == [outputs["alarm_topic_arn"]]
                assert (alarm["Period"], alarm["TreatMissingData"]) == (60, "notBreaching")
                assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
                assert alarm["AlarmDescription"]

    def test_each_choice_of_failure_destination_has_its_own_rights_and_no_others(self, three, cloud):
        queue, bucket, topic = (three.outputs(host) for host in ("activities", "readings", "documents"))
        for outputs, arn in (
            (queue, queue["failure_queue_arn"]),
            (bucket, f"arn:aws:s3:::{bucket['failure_bucket']}"),
            (topic, topic["failure_topic_arn"]),
        ):
            mapping = cloud.client("lambda").get_event_source_mapping(UUID=outputs["event_source_mapping_uuid"])
            assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == arn == outputs["failure_destination_arn"]
            rights = failure_rights(cloud, outputs)
            assert rights.pop("DeliverFailures") == ["sqs:SendMessage", [outputs["failure_queue_arn"]]]
            assert rights == {
                queue["failure_queue_arn"]: {},
                f"arn:aws:s3:::{bucket['failure_bucket']}": {
                    "DeliverFailuresToBucket1": ["s3:PutObject", f"{arn}/*"],
                    "FindFailureBucket1": ["s3:ListBucket", arn],
                },
                topic["failure_topic_arn"]: {"DeliverFailuresToTopic1": ["sns:Publish", arn]},
            }.get(arn)

    def test_what_the_failure_topic_gets_is_in_the_failure_queue_as_it_was_sent(self, three, cloud):
        outputs = three.outputs("documents")
        cloud.client("sns").publish(TopicArn=outputs["failure_topic_arn"], Message='{"version": "1.0"}')

        def arrived():
            answer = cloud.client("sqs").receive_message(QueueUrl=outputs["failure_queue_url"], WaitTimeSeconds=1)
            return answer.get("Messages")

        message = until(arrived, "the failure record", 20)[0]
        assert message["Body"] == '{"version": "1.0"}'
        cloud.client("sqs").delete_message(
            QueueUrl=outputs["failure_queue_url"], ReceiptHandle=message["ReceiptHandle"]
        )

    def test_another_failure_destination_moves_the_mapping_and_keeps_what_the_former_one_holds(self, three, cloud):
        bucket = three.outputs("readings")["failure_bucket"]
        cloud.client("s3").put_object(Bucket=bucket, Key="aws/lambda/kept", Body=b"{}")
        three.hosts["readings"]["failure_destination"] = "queue"
        try:
            moved = three.run("deploy", "--limit", "readings").ok()
            outputs = three.outputs("readings")
            # Before the mapping has moved both may be delivered to, after it only the new one.
            assert moved.changed() == [MAPPING_TASK, POLICY_TASK, ALARMS_TASK, DASHBOARD_TASK, OUTPUTS_TASK]
            said = next(result["msg"] for name, _host, result in moved.tasks() if "earlier failures" in name)
            assert f"arn:aws:s3:::{bucket}" in said and "redrive_source=bucket" in said
            assert failure_rights(cloud, outputs) == {
                "DeliverFailures": ["sqs:SendMessage", [outputs["failure_queue_arn"]]]
            }
        finally:
            three.hosts["readings"]["failure_destination"] = "bucket"
        back = three.run("deploy", "--limit", "readings").ok()
        assert back.changed() == [POLICY_TASK, MAPPING_TASK, ALARMS_TASK, DASHBOARD_TASK, OUTPUTS_TASK]
        assert three.outputs("readings")["failure_bucket"] == bucket
        assert cloud.client("s3").get_object(Bucket=bucket, Key="aws/lambda/kept")["Body"].read() == b"{}"

    def test_a_drill_that_was_killed_is_named_by_verify_and_ended_by_a_deploy(self, three, cloud):
        outputs, lambda_ = three.outputs("activities"), cloud.client("lambda")
        name = outputs["function_name"]
        asked = lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        token = "0f" * 32
        left = {**asked, "DRILL_ID": "drill-7", "DRILL_TOKEN": token, "LOG_LEVEL": "DEBUG"}
        lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": left})
        version = lambda_.publish_version(FunctionName=name)["Version"]
        lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        found = three.run("verify", "--limit", "activities")
        assert found.returncode != 0
        said = " ".join(found.failures())
        assert "A failure drill (drill-7) was not ended: run playbooks/deploy.yml" in said
        assert "DRILL_ID, DRILL_TOKEN, LOG_LEVEL" in said
        assert token not in found.output
        assert three.run("deploy", "--limit", "activities").ok().changed() == [
            "Create or adjust the function",
            "Publish a version and make it live",
        ]
        for qualifier in ("$LATEST", "live"):
            live = lambda_.get_function_configuration(FunctionName=name, Qualifier=qualifier)
            assert live["Environment"]["Variables"] == asked

    def test_a_fifo_change_topic_keeps_the_changes_of_an_item_in_order_and_drops_what_comes_twice(self, three, cloud):
        outputs, sqs = three.outputs("readings"), cloud.client("sqs")
        assert outputs["change_topic_arn"].endswith(".fifo")
        queue = cloud.subscribed_queue(outputs["change_topic_arn"], f"test-{uuid.uuid4()}")
        for reading in range(5):
            item = {"SensorId": {"N": "7"}, "Reading": {"N": str(reading)}}
            cloud.client("dynamodb").put_item(TableName=outputs["table_name"], Item=item)
        found: list[dict] = []

        def five_messages():
            messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, AttributeNames=["All"])
            for message in messages.get("Messages", []):
                found.append(message)
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return len(found) >= 5

        until(five_messages, "five notifications")
        details = [json.loads(message["Body"])["details"] for message in found]
        assert [each["newImage"]["Reading"]["N"] for each in details] == list("01234")
        assert len({message["Attributes"]["MessageGroupId"] for message in found}) == 1
        known_by = [message["Attributes"]["MessageDeduplicationId"] for message in found]
        assert known_by == [each["eventID"] for each in details]

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
        dynamodb, sqs = (cloud.client(service) for service in ("dynamodb", "sqs"))
        queue = cloud.subscribed_queue(outputs["change_topic_arn"], f"test-{uuid.uuid4()}")
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
        objects = Pipeline(outputs).audit_objects().values()
        mine = [each["sequenceNumber"] for held in objects for each in held if each["sequenceNumber"] in found]
        assert sorted(mine) == sorted(found)

    def test_an_item_whose_images_pass_the_limit_is_audited_in_full_and_notified_by_claim_check(self, three, cloud):
        outputs = three.outputs("activities")
        dynamodb, sqs, s3 = (cloud.client(service) for service in ("dynamodb", "sqs", "s3"))
        queue = cloud.subscribed_queue(outputs["change_topic_arn"], f"test-{uuid.uuid4()}")
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
        (images,) = read_envelopes(details["audit"]["key"], body)
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


def failure_rights(cloud, outputs: dict) -> dict[str, list]:
    """The function's rights to deliver failures, by statement."""
    iam, role = cloud.client("iam"), outputs["role_arn"].rpartition("/")[2]
    arn = f"arn:aws:iam::000000000000:policy/{role}-custom-policy"
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return {
        statement["Sid"]: [statement["Action"], statement["Resource"]]
        for statement in document["Statement"]
        if "Failure" in statement["Sid"]
    }
