"""With everything hardened, deploy, verify, drill and redrive pass, IAM enforced, with the documented policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import yaml
from ansible_runs import CHECKOUT, Project, until
from botocore.exceptions import ClientError
from cloud_driver import LocalCloud
from test_identities import ALWAYS_ALLOWED, granted, used

from tests.unit.history.logs import FakeS3, envelope, write_changes

pytestmark = pytest.mark.cloud

BOUNDARY = "arn:aws:iam::000000000000:policy/cloudcdc-boundary"
#: Holds the deployer to it.
REQUIRED = "arn:aws:iam::000000000000:policy/cloudcdc-require-boundary"
#: On from the start; what the rest of the options is changed to later is in ``taken_up``.
HARDENED = {
    "kms_key_create": True,
    "audit_bucket_versioning": True,
    "audit_object_lock": {"mode": "GOVERNANCE", "days": 1},
    "audit_lifecycle": {
        "transition_days": 90,
        "transition_storage_class": "GLACIER_IR",
        "expiration_days": 2555,
        "noncurrent_expiration_days": 30,
    },
    "audit_access_log": {"bucket": "access-logs", "prefix": "activity-audit/"},
    "execution_policy": "scoped",
    "permissions_boundary": BOUNDARY,
    "point_in_time_recovery_enabled": True,
    "deletion_protection_enabled": True,
    "log_format": "JSON",
    "system_log_level": "WARN",
    "log_retention_in_days": 90,
    "reserved_concurrency": 10,
    "tracing_mode": "Active",
    "failure_destination": "bucket",
    "compaction": True,
    "replay_at_scale": True,
    "maximum_batching_window_in_seconds": 0,
}
#: Deployed with these left out first, as a pipeline is that is there already.
LATER = ("kms_key_create", "audit_object_lock", "permissions_boundary", "reserved_concurrency", "tracing_mode")


def policy(cloud: LocalCloud, name: str) -> str:
    text = (CHECKOUT / f"files/iam/{name}.json").read_text()
    for placeholder, value in (("partition", "aws"), ("region", "us-east-1"), ("account", "000000000000")):
        text = text.replace("${" + placeholder + "}", value)
    return cloud.client("iam").create_policy(PolicyName=f"cloudcdc-{name}", PolicyDocument=text)["Policy"]["Arn"]


def surroundings(cloud: LocalCloud) -> dict[str, list[str]]:
    """What is not the role's to make: the log bucket, the boundary that the deployer is held to, a network."""
    cloud.client("s3").create_bucket(Bucket="access-logs")
    assert policy(cloud, "boundary") == BOUNDARY
    cloud.client("iam").attach_user_policy(UserName="deployer", PolicyArn=policy(cloud, "require-boundary"))
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="feed", Description="feed", VpcId=vpc)["GroupId"]
    return {"vpc_subnet_ids": [subnet], "vpc_security_group_ids": [group]}


@pytest.fixture(scope="module")
def network(cloud) -> Iterator[dict[str, list[str]]]:
    """A cloud with all that is not the role's to make, and the options that name the network."""
    cloud.reset()
    try:
        yield surroundings(cloud)
    finally:
        # Other tests' deployers are held to no boundary.
        cloud.reset()


@pytest.fixture(scope="module")
def hardened(cloud, network, tmp_path_factory) -> SimpleNamespace:
    """A pipeline with everything on, deployed and used: what each run said, and what AWS has in the end."""
    options = {**HARDENED, **network}
    project = Project(cloud, tmp_path_factory.mktemp("hardened"), {"activities": {}}, **options)
    foretold = project.run("deploy", "--check", "--diff")
    project.run("deploy").ok()
    again = project.run("deploy").ok()
    runs = {verb: project.run(verb) for verb in ("verify", "failure_drill", "redrive")}
    # The drill's alarm may still be on, which is no more than a reason for attention.
    runs["status"] = project.run("status", "-e", "status_fail_on=broken")
    outputs = project.outputs("activities")
    return SimpleNamespace(
        cloud=cloud,
        project=project,
        options=options,
        foretold=foretold,
        again=again,
        runs=runs,
        outputs=outputs,
        key=cloud.client("kms").describe_key(KeyId="alias/change-feed-cdc-test-activities")["KeyMetadata"],
        function=cloud.client("lambda").get_function_configuration(FunctionName=outputs["function_name"]),
    )


def test_check_mode_on_a_fresh_target_fails_nowhere(hardened):
    hardened.foretold.ok()


def test_a_second_deploy_changes_nothing(hardened):
    assert hardened.again.changed() == []


@pytest.mark.parametrize("verb", ["verify", "failure_drill", "redrive", "status"])
def test_the_operators_work_is_done_as_ever(hardened, verb):
    hardened.runs[verb].ok()


def test_the_reader_compares_all_of_it_and_finds_no_drift(hardened):
    status = json.loads((hardened.project.folder / "build/status/test.json").read_text())
    reasons = [each["reason"] for each in status["pipelines"]["activities"]["reasons"]]
    assert [each for each in reasons if "alarm" not in each] == []


def test_everything_is_encrypted_with_the_pipelines_own_key(hardened):
    cloud, outputs, key = hardened.cloud, hardened.outputs, hardened.key["Arn"]
    table = cloud.client("dynamodb").describe_table(TableName=outputs["table_name"])["Table"]
    assert table["SSEDescription"]["KMSMasterKeyArn"] == key
    s3 = cloud.client("s3")
    for bucket in (outputs["audit_bucket"], outputs["failure_bucket"]):
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        assert rule["BucketKeyEnabled"] is True
    for topic in (outputs["change_topic_arn"], outputs["alarm_topic_arn"]):
        assert cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["KmsMasterKeyId"] == key
    queue = cloud.client("sqs").get_queue_attributes(QueueUrl=outputs["failure_queue_url"], AttributeNames=["All"])
    assert queue["Attributes"]["KmsMasterKeyId"] == key
    groups = cloud.client("logs").describe_log_groups(logGroupNamePrefix=outputs["log_group"])["logGroups"]
    # The function's and the replayer's.
    assert [(group["kmsKeyId"], group["retentionInDays"]) for group in groups] == [(key, 90)] * 2
    assert hardened.function["KMSKeyArn"] == key


def test_the_key_is_rotated_and_its_policy_names_the_services_that_need_it(hardened):
    kms, key = hardened.cloud.client("kms"), hardened.key["KeyId"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    statements = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])["Statement"]
    services = {each["Principal"]["Service"] for each in statements if "Service" in each["Principal"]}
    assert services == {"cloudwatch.amazonaws.com", "sns.amazonaws.com", "logs.us-east-1.amazonaws.com"}
    # A service acts for this account alone, and for this pipeline's log.
    for each in statements:
        if "Service" in each["Principal"]:
            assert "000000000000" in json.dumps(each["Condition"])


def test_buckets_topics_and_queue_refuse_requests_without_tls(hardened):
    cloud, outputs = hardened.cloud, hardened.outputs
    s3, sns, sqs = (cloud.client(service, "operator") for service in ("s3", "sns", "sqs"))

    def without_tls(request, **_rest):
        request.headers["X-Forwarded-Proto"] = "http"

    def list_objects():
        s3.list_objects_v2(Bucket=outputs["audit_bucket"])

    def receive():
        sqs.receive_message(QueueUrl=outputs["failure_queue_url"])

    for client, call in ((s3, list_objects), (sqs, receive)):
        call()
        client.meta.events.register("before-send", without_tls)
        try:
            with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
                call()
        finally:
            client.meta.events.unregister("before-send", without_tls)
    for topic in (outputs["change_topic_arn"], outputs["alarm_topic_arn"]):
        document = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
        denied = {"Bool": {"aws:SecureTransport": "false"}}
        assert [each["Action"] for each in document["Statement"] if each.get("Condition") == denied] == ["sns:Publish"]


def test_the_audit_bucket_keeps_what_it_has_for_its_time(hardened):
    cloud, bucket = hardened.cloud, hardened.outputs["audit_bucket"]
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (rule["Expiration"], rule["Filter"]) == ({"Days": 2555}, {"Prefix": "audit-logs/"})
    assert rule["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER_IR"}]
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    log = s3.get_bucket_logging(Bucket=bucket)["LoggingEnabled"]
    assert (log["TargetBucket"], log["TargetPrefix"]) == ("access-logs", "activity-audit/")
    written = s3.list_object_versions(Bucket=bucket, Prefix="audit-logs/")["Versions"][0]
    assert s3.get_object_retention(Bucket=bucket, Key=written["Key"])["Retention"]["Mode"] == "GOVERNANCE"
    with pytest.raises(ClientError, match="object lock"):
        s3.delete_object(Bucket=bucket, Key=written["Key"], VersionId=written["VersionId"])


def test_the_function_has_its_settings_and_its_role_no_more_than_it_needs(hardened):
    cloud, outputs, function = hardened.cloud, hardened.outputs, hardened.function
    assert function["TracingConfig"]["Mode"] == "Active"
    assert function["VpcConfig"]["SubnetIds"] == hardened.options["vpc_subnet_ids"]
    logging = {
        name: function["LoggingConfig"].get(name) for name in ("LogFormat", "ApplicationLogLevel", "SystemLogLevel")
    }
    assert logging == {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"}
    reserved = cloud.client("lambda").get_function_concurrency(FunctionName=outputs["function_name"])
    assert reserved["ReservedConcurrentExecutions"] == 10
    iam, name = cloud.client("iam"), outputs["role_arn"].rpartition("/")[2]
    assert iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
    (attached,) = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
    by_sid = {each["Sid"]: each for each in document["Statement"]}
    assert by_sid["UseKey"]["Resource"] == hardened.key["Arn"]
    assert set(by_sid) >= {"ReadStream", "WriteLogs", "Trace", "NetworkInterfaces"}
    # With the boundary alone, and without it, every action would be refused: so it holds them all.
    assert {action for each in document["Statement"] for action in actions(each)} <= boundary_actions()


def test_compaction_and_replay_work_within_key_boundary_and_lock(hardened):
    cloud, outputs = hardened.cloud, hardened.outputs
    s3, states = cloud.client("s3"), cloud.client("stepfunctions")
    fake = FakeS3()
    changes = [envelope(number, f"item-{number}", seconds=number) for number in range(5)]
    for key in write_changes(fake, changes):
        s3.put_object(Bucket=outputs["audit_bucket"], Key=key, Body=fake.objects[key])
    times = {"from": "2026-01-31T10:00:00Z", "to": "2026-01-31T10:59:59Z"}
    function = {"kind": "function", "function_name": outputs["function_name"], "qualifier": "live"}
    replay = {**times, "replay": {"id": "r1", "time": "now"}, "table_name": "Items", "target": function}
    for machine, told in (("compaction", times), ("replay", replay)):
        arn = outputs[f"{machine}_state_machine_arn"]
        key = states.describe_state_machine(stateMachineArn=arn)["encryptionConfiguration"]["kmsKeyId"]
        assert key == hardened.key["Arn"]
        execution = states.start_execution(stateMachineArn=arn, input=json.dumps(told))["executionArn"]
        ended = until(lambda at=execution: _ended(states, at), f"the end of {machine}", 240)
        assert ended["status"] == "SUCCEEDED", ended
        answer = json.loads(ended["output"])
        assert answer.get("changes", answer.get("sent")) == len(changes)
    # What lay between the steps of the replay was not locked for longer than a minute.
    left = [
        each["Key"] for each in s3.list_object_versions(Bucket=outputs["audit_bucket"], Prefix=".cloudcdc/")["Versions"]
    ]
    assert left and not [key for key in left if "/split/" in key or "/lanes/" in key]

    iam, within = cloud.client("iam"), boundary_actions()
    roles = [
        each["RoleName"] for each in iam.list_roles()["Roles"] if each["RoleName"].startswith("dynamodb-stream-role")
    ]
    named = {each.rpartition("-")[2] for each in roles if "-cdc-test-" in each}
    assert named == {"activities", "replayer", "compaction", "replay", "schedule"}
    for role in roles:
        made = iam.get_role(RoleName=role)["Role"]
        assert made["PermissionsBoundary"]["PermissionsBoundaryArn"] == BOUNDARY
        for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            assert policy_actions(iam, each["PolicyArn"]) <= within


def _ended(states, execution: str) -> dict | None:
    found = states.describe_execution(executionArn=execution)
    return None if found["status"] == "RUNNING" else found


def boundary_actions() -> set[str]:
    boundary = json.loads((CHECKOUT / "files/iam/boundary.json").read_text())
    return {action for each in boundary["Statement"] for action in actions(each)}


def policy_actions(iam, arn: str) -> set[str]:
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return {action for each in document["Statement"] for action in actions(each)}


def actions(statement: dict) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


@pytest.fixture(scope="module")
def taken_up(cloud, network, tmp_path_factory) -> SimpleNamespace:
    """A pipeline that was hardened when it was there, torn down, and deployed again: what was seen on the way."""
    iam, kms = cloud.client("iam"), cloud.client("kms")
    # Its role has no boundary yet.
    iam.detach_user_policy(UserName="deployer", PolicyArn=REQUIRED)
    options = {name: value for name, value in {**HARDENED, **network}.items() if name not in LATER}
    options |= {"deletion_protection_enabled": False, "environment": "old", "tags": {"team": "data"}}
    project = Project(cloud, tmp_path_factory.mktemp("old"), {"activities": {}}, **options)
    project.run("deploy").ok()
    iam.attach_user_policy(UserName="deployer", PolicyArn=REQUIRED)

    # All but the lock, without which the bucket can be removed below.
    project.options |= {name: HARDENED[name] for name in LATER if name != "audit_object_lock"}
    first, again = project.run("deploy").ok(), project.run("deploy").ok()
    # Drift of the key's policy, tags that come and go, and no reservation.
    key = kms.describe_key(KeyId="alias/change-feed-cdc-old-activities")["KeyMetadata"]["KeyId"]
    account = {"AWS": "arn:aws:iam::000000000000:root"}
    statement = {"Sid": "A", "Effect": "Allow", "Principal": account, "Action": "kms:*", "Resource": "*"}
    lone = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=lone)
    project.options |= {"tags": {"owner": "data"}, "reserved_concurrency": -1}
    project.run("deploy").ok()
    mended = kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]

    def after(verb: str, *arguments: str) -> tuple[str, str]:
        """What the run said, and the key's state after it."""
        return project.run(verb, *arguments).ok().output, kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]

    return SimpleNamespace(
        first=first,
        again=again,
        mended=mended,
        kept=after("teardown"),
        deleted=after("teardown", "-e", "teardown_delete_data=true"),
        back=after("deploy"),
    )


def test_a_pipeline_that_is_there_takes_hardening_up_once(taken_up):
    assert "Encrypt the failure queue and the log group with the key" in taken_up.first.changed()
    assert taken_up.again.changed() == []


def test_a_key_whose_policy_was_changed_is_mended(taken_up):
    assert "AlarmsToTopic" in taken_up.mended


def test_a_key_is_kept_until_the_data_goes_and_comes_back_with_a_deploy(taken_up):
    told, state = taken_up.kept
    assert "alias/change-feed-cdc-old-activities" in told
    assert [state, taken_up.deleted[1], taken_up.back[1]] == ["Enabled", "PendingDeletion", "Enabled"]


def test_the_policies_are_what_all_of_this_takes(cloud, hardened, taken_up):
    recorded = used(cloud, "deployer")
    assert granted("deployer-hardening") - recorded == set()
    documented = granted("deployer") | granted("deployer-hardening") | granted("deployer-scale") | ALWAYS_ALLOWED
    assert recorded - documented == set()
    # Refused because they came without TLS.
    assert used(cloud, "operator", refused=["s3:ListBucket", "sqs:ReceiveMessage"]) <= granted("operator")
    looked = used(cloud, "reader")
    assert granted("reader-hardening") - looked == set()
    assert looked - granted("reader") - granted("reader-hardening") - granted("reader-scale") == set()


def test_production_shows_every_option_that_hardens():
    shown = yaml.safe_load((CHECKOUT / "inventories/production/group_vars/cdc_pipelines.yml").read_text())
    assert {f"ddb_stream_pipeline_{name}" for name in HARDENED} - set(shown) == set()
