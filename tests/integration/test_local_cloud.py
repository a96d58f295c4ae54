"""The local cloud: its life, its identities, its record of actions, and its patches on MiniStack."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import socket
import stat
import threading
from pathlib import Path

import boto3
import pytest
from cloud_driver import CHECKOUT, REGION, LocalCloud
from cloud_mappings import Mapping, eventually, make_function, make_table, put, refused

from local_cloud import processes
from local_cloud.settings import INSTANCE_VARIABLE

pytestmark = pytest.mark.cloud


def statement(actions: list[str]) -> dict:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}


@pytest.fixture(scope="module")
def policies(tmp_path_factory) -> Path:
    """Policies of the tests' own for the two identities, with placeholders and one of IAM's own variables."""
    folder = tmp_path_factory.mktemp("policies")
    deployer = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["sns:CreateTopic", "sns:GetTopicAttributes"],
                "Resource": "arn:${partition}:sns:${region}:${account}:allowed-*",
            },
            {
                "Effect": "Allow",
                "Action": "s3:*",
                "Resource": "arn:${partition}:s3:::deployer-*",
                "Condition": {"StringEquals": {"aws:PrincipalAccount": "${account}"}},
            },
            {"Effect": "Deny", "Action": "iam:*", "Resource": "arn:${partition}:iam::${account}:user/${aws:username}"},
        ],
    }
    (folder / "deployer.json").write_text(json.dumps(deployer))
    (folder / "operator.json").write_text(json.dumps(statement(["sns:ListTopics"])))
    return folder


@pytest.fixture(scope="module")
def start_cloud(tmp_path_factory, policies):
    """Start clouds of the tests' own; all are gone at the end."""
    made: list[LocalCloud] = []

    def start(*arguments: str, **given) -> LocalCloud:
        given.setdefault("home", tmp_path_factory.mktemp("home"))
        given["settings"] = {"LOCAL_CLOUD_POLICIES": str(policies), **given.get("settings", {})}
        made.append(LocalCloud(**given))
        made[-1].run("start", *arguments)
        return made[-1]

    yield start
    for cloud in made:
        cloud.end()


@pytest.fixture(scope="module")
def own(start_cloud) -> LocalCloud:
    return start_cloud()


@pytest.fixture(scope="module")
def bare(start_cloud) -> LocalCloud:
    """MiniStack without our patches. A test with it that fails says: MiniStack can do this now, take the patch out."""
    return start_cloud(settings={"LOCAL_CLOUD_PATCHES": "off"})


def instance_id(cloud: LocalCloud) -> str:
    return json.loads((cloud.home / "server.json").read_text())["instance_id"]


# --- life ------------------------------------------------------------------------------------------------------------


def test_start_status_and_stop_can_be_repeated(start_cloud):
    cloud = start_cloud()
    first = cloud.pid
    assert "runs already" in cloud.run("start")
    assert cloud.pid == first
    assert cloud.endpoint in cloud.run("status", code=0)
    assert "is stopped" in cloud.run("stop")
    assert "down" in cloud.run("status", code=3)
    assert "not running" in cloud.run("stop")
    assert not (cloud.home / "credentials").exists()
    cloud.run("start")
    assert cloud.pid != first
    assert cloud.client("sts", "deployer").get_caller_identity()["Arn"].endswith(":user/cloudcdc/deployer")


def test_stop_leaves_no_process(start_cloud, tmp_path):
    cloud = start_cloud()
    make_function(cloud, "busy", tmp_path)
    cloud.client("lambda").invoke(FunctionName="busy", Payload=b'{"Records": []}')
    ours = processes.bearers(INSTANCE_VARIABLE, instance := instance_id(cloud))
    assert cloud.pid in ours
    assert len(ours) > 1, "the function has no process of its own"
    cloud.run("stop")
    assert processes.bearers(INSTANCE_VARIABLE, instance) == []
    assert [pid for pid in ours if processes.alive(pid)] == []


def test_start_heals_a_killed_server(start_cloud, tmp_path):
    cloud = start_cloud()
    make_function(cloud, "busy", tmp_path)
    cloud.client("lambda").invoke(FunctionName="busy", Payload=b'{"Records": []}')
    killed = instance_id(cloud)
    os.kill(cloud.pid, signal.SIGKILL)
    assert "is up" in cloud.run("start")
    assert processes.bearers(INSTANCE_VARIABLE, killed) == []
    assert cloud.client("lambda").list_functions()["Functions"] == []


def test_start_heals_a_start_that_was_killed_before_its_end(start_cloud):
    cloud = start_cloud()
    (cloud.home / "credentials").unlink()
    (cloud.home / "server.json").write_text("{")
    assert "runs already" in cloud.run("start")
    cloud.client("sns", "operator").list_topics()
    assert "is stopped" in cloud.run("stop")


def test_start_makes_the_environment_of_a_running_cloud_again(start_cloud, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(CHECKOUT / "local_cloud", other / "local_cloud", ignore=shutil.ignore_patterns("__pycache__"))
    environment = other / ".venv-local-cloud"
    environment.symlink_to(CHECKOUT / ".venv-local-cloud")
    cloud = start_cloud(checkout=other)
    environment.unlink()
    assert "runs already" in cloud.run("start")
    assert (environment / "bin/python").exists()


def test_a_server_that_dies_at_once_is_told_with_the_end_of_its_log(tmp_path):
    (tmp_path / "actions.jsonl").mkdir()
    said = LocalCloud(home=tmp_path).run("start", "--persist", code=1)
    assert "ended by itself" in said
    assert "IsADirectoryError" in said


def test_a_server_that_hangs_is_told_and_can_be_stopped(start_cloud):
    cloud = start_cloud()
    pid = cloud.pid
    os.kill(pid, signal.SIGSTOP)
    assert "does not answer" in cloud.run("start", code=1)
    assert "is stopped" in cloud.run("stop")
    assert not processes.alive(pid)


def test_a_foreign_program_on_the_port_is_told_and_left_alone(tmp_path):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        cloud = LocalCloud(home=tmp_path, port=server.server_port)
        for verb in ("start", "status", "reset", "env"):
            said = cloud.run(verb, code=1)
            assert f"process {os.getpid()}" in said
            assert "LOCAL_CLOUD_PORT=" in said
        assert "left alone" in cloud.run("stop")
        socket.create_connection(("127.0.0.1", cloud.port)).close()
    finally:
        server.shutdown()
        server.server_close()


def test_the_cloud_of_another_checkout_is_told_and_left_alone(start_cloud, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(CHECKOUT / "local_cloud", other / "local_cloud", ignore=shutil.ignore_patterns("__pycache__"))
    (other / ".venv-local-cloud").symlink_to(CHECKOUT / ".venv-local-cloud")
    theirs = start_cloud(checkout=other)
    ours = LocalCloud(home=tmp_path / "home", port=theirs.port)
    for verb in ("start", "status", "env"):
        assert f"the local cloud of another checkout, {other}" in ours.run(verb, code=1)
    assert "left alone" in ours.run("stop")
    assert "is up" in theirs.run("status")


def test_another_cloud_of_this_checkout_is_told_and_left_alone(own, tmp_path):
    second = LocalCloud(home=tmp_path, port=own.port)
    assert f"whose state folder is {own.home}" in second.run("start", code=1)
    same_folder = LocalCloud(home=own.home)
    assert f"belongs to the cloud on port {own.port}" in same_folder.run("start", code=1)
    assert "is up" in own.run("status")


def test_persist_keeps_everything_over_a_restart(start_cloud, tmp_path):
    cloud = start_cloud("--persist")
    cloud.client("s3").create_bucket(Bucket="kept")
    cloud.client("s3").put_object(Bucket="kept", Key="a/b c", Body=b"data")
    mapping = Mapping(cloud, "kept", tmp_path, items=["unread"], Enabled=False)
    key = cloud.credentials("deployer")
    cloud.run("stop")
    assert "kept over restarts" in cloud.run("start", "--persist")
    assert cloud.client("s3").get_object(Bucket="kept", Key="a/b c")["Body"].read() == b"data"
    assert cloud.credentials("deployer") == key
    cloud.client("sts", "deployer").get_caller_identity()
    mapping.settle("Disabled")
    mapping.api.update_event_source_mapping(UUID=mapping.id, Enabled=True)
    assert mapping.calls(1) == [["unread"]]
    mapping.settle()
    cloud.run("stop")
    cloud.run("start", "--persist")
    mapping.put("new")
    assert mapping.calls(2) == [["unread"], ["new"]]
    cloud.run("stop")
    cloud.run("start")
    assert cloud.client("s3").list_buckets()["Buckets"] == []
    assert "stop it first" in cloud.run("start", "--persist", code=1)


def test_bare_ministack_still_forgets_streams_over_a_restart(start_cloud):
    cloud = start_cloud("--persist", settings={"LOCAL_CLOUD_PATCHES": "off"})
    stream = make_table(cloud, "forgotten")
    put(cloud, "forgotten", "one")
    cloud.run("stop")
    cloud.run("start", "--persist")
    reader = cloud.client("dynamodbstreams")
    shard = reader.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    begin = reader.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    kept = reader.get_records(ShardIterator=begin["ShardIterator"])["Records"]
    assert kept == [], "MiniStack keeps them now: keep_stream_records is not needed"


def test_fresh_and_reset_empty_the_running_cloud(start_cloud):
    cloud = start_cloud()
    for arguments in (("start", "--fresh"), ("reset",)):
        cloud.client("sqs").create_queue(QueueName="leftover")
        pid, key = cloud.pid, cloud.credentials("operator")
        cloud.run(*arguments)
        assert cloud.pid == pid
        assert not cloud.client("sqs").list_queues().get("QueueUrls")
        assert cloud.credentials("operator") != key
        assert [action for action in cloud.actions() if action["action"] == "sqs:CreateQueue"] == []
        cloud.client("sns", "operator").list_topics()


def test_a_connection_from_elsewhere_is_refused(own):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the address of the way out
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    socket.create_connection(("127.0.0.1", own.port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, own.port), timeout=5)


def test_env_is_what_an_aws_tool_needs(own):
    lines = dict(line.removeprefix("export ").split("=", 1) for line in own.run("env").splitlines() if "=" in line)
    client = boto3.client(
        "sts",
        endpoint_url=lines["AWS_ENDPOINT_URL"],
        region_name=lines["AWS_REGION"],
        aws_access_key_id=lines["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=lines["AWS_SECRET_ACCESS_KEY"],
    )
    assert client.get_caller_identity()["Arn"] == "arn:aws:iam::000000000000:root"


# --- identities and the record of actions ----------------------------------------------------------------------------


def test_identities_are_held_to_their_policies(own):
    sns = own.client("sns", "deployer")
    sns.create_topic(Name="allowed-1")
    assert refused(sns.create_topic, Name="other")["Code"] == "AuthorizationError"
    own.client("s3", "deployer").create_bucket(Bucket="deployer-1")
    assert refused(own.client("s3", "deployer").create_bucket, Bucket="operator-1")["Code"] == "AccessDenied"
    own.client("sns", "operator").list_topics()
    assert refused(own.client("sns", "operator").create_topic, Name="allowed-2")["Code"] == "AuthorizationError"
    assert refused(own.client("iam", "deployer").list_users)["Code"] == "AccessDenied"


def test_policies_have_their_placeholders_filled_and_iams_variables_kept(own):
    iam, arn = own.client("iam"), "arn:aws:iam::000000000000:policy/cloudcdc/deployer"
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert document["Statement"][0]["Resource"] == "arn:aws:sns:us-east-1:000000000000:allowed-*"
    assert document["Statement"][2]["Resource"] == "arn:aws:iam::000000000000:user/${aws:username}"


def test_a_wrong_signature_is_refused(own):
    forged = boto3.client(
        "sns",
        endpoint_url=own.endpoint,
        region_name=REGION,
        aws_access_key_id=own.credentials("operator")["aws_access_key_id"],
        aws_secret_access_key="guessed",
    )
    assert refused(forged.list_topics)["Code"] == "SignatureDoesNotMatch"


def test_credentials_are_for_their_owner_alone(own):
    assert stat.S_IMODE((own.home / "credentials").stat().st_mode) == 0o600
    assert own.credentials("admin") == {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


def test_policy_replaces_an_identitys_policy_until_the_next_reset(start_cloud, tmp_path):
    cloud = start_cloud()
    file = tmp_path / "policy.json"
    for action in ("sns:ListSubscriptions", "sqs:ListQueues") * 3:  # more often than IAM keeps versions
        file.write_text(json.dumps(statement([action])))
        cloud.run("policy", "operator", str(file))
    cloud.client("sqs", "operator").list_queues()
    assert refused(cloud.client("sns", "operator").list_topics)["Code"] == "AuthorizationError"
    file.write_text("{}{")
    assert "is not JSON" in cloud.run("policy", "operator", str(file), code=1)
    cloud.reset()
    cloud.client("sns", "operator").list_topics()


def test_every_decision_is_recorded_with_who_asked(own):
    own.client("sns", "deployer").create_topic(Name="allowed-recorded")
    refused(own.client("sqs", "deployer").create_queue, QueueName="recorded")
    own.client("sqs").create_queue(QueueName="recorded")
    said = [
        (action["action"], action["resource"].rpartition(":")[2], action["allowed"], action["decision"])
        for action in own.actions("deployer")
    ]
    assert ("sns:CreateTopic", "allowed-recorded", True, "Allow") in said
    assert ("sqs:CreateQueue", "recorded", False, "ImplicitDeny") in said
    root = [action for action in own.actions() if action["principal"] == "arn:aws:iam::000000000000:root"]
    assert "arn:aws:sqs:us-east-1:000000000000:recorded" in {action["resource"] for action in root}


def test_a_request_that_needs_several_actions_is_recorded_with_each(own):
    s3 = own.client("s3", "deployer")
    s3.create_bucket(Bucket="deployer-copies")
    s3.put_object(Bucket="deployer-copies", Key="from", Body=b"x")
    s3.copy_object(Bucket="deployer-copies", Key="to", CopySource={"Bucket": "deployer-copies", "Key": "from"})
    recorded = [(action["action"], action["resource"]) for action in own.actions("deployer")][-2:]
    assert recorded == [
        ("s3:PutObject", "arn:aws:s3:::deployer-copies/to"),
        ("s3:GetObject", "arn:aws:s3:::deployer-copies/from"),
    ]


def test_a_role_is_recorded_with_its_session(own):
    trust = statement(["sts:AssumeRole"])
    trust["Statement"][0] = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    own.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=json.dumps(trust))
    key = own.client("sts").assume_role(RoleArn="arn:aws:iam::000000000000:role/worker", RoleSessionName="run")
    worker = boto3.client(
        "sns",
        endpoint_url=own.endpoint,
        region_name=REGION,
        aws_access_key_id=key["Credentials"]["AccessKeyId"],
        aws_secret_access_key=key["Credentials"]["SecretAccessKey"],
        aws_session_token=key["Credentials"]["SessionToken"],
    )
    refused(worker.list_topics)
    last = own.actions()[-1]
    assert last["principal"] == "arn:aws:sts::000000000000:assumed-role/worker/run"
    assert (last["action"], last["allowed"]) == ("sns:ListTopics", False)


# --- patches: IAM ----------------------------------------------------------------------------------------------------


def test_mapping_calls_are_decided_under_their_own_actions(own, tmp_path):
    mapping = Mapping(own, "actions", tmp_path)
    mapping.settle()
    api = own.client("lambda", "deployer")
    document = statement(["lambda:GetEventSourceMapping", "lambda:ListEventSourceMappings"])
    replaced(own, tmp_path, document)
    try:
        api.get_event_source_mapping(UUID=mapping.id)
        assert refused(api.update_event_source_mapping, UUID=mapping.id, BatchSize=5)["Code"] == "AccessDeniedException"
        assert refused(api.delete_event_source_mapping, UUID=mapping.id)["Code"] == "AccessDeniedException"
        last = [(action["action"], action["allowed"]) for action in own.actions("deployer")][-3:]
    finally:
        own.run("start")
    assert last == [
        ("lambda:GetEventSourceMapping", True),
        ("lambda:UpdateEventSourceMapping", False),
        ("lambda:DeleteEventSourceMapping", False),
    ]


def test_a_policy_for_one_resource_holds_for_calls_that_name_it_in_the_body(own, tmp_path):
    scoped = {
        "dynamodb:TagResource": "arn:aws:dynamodb:us-east-1:000000000000:table/scoped-*",
        "sns:ListTagsForResource": "arn:aws:sns:us-east-1:000000000000:scoped-*",
        "iam:CreatePolicy": "arn:aws:iam::000000000000:policy/scoped-*",
        "cloudwatch:DeleteAlarms": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:scoped-*",
        "cloudwatch:PutDashboard": "arn:aws:cloudwatch::000000000000:dashboard/scoped-*",
        "cloudwatch:GetDashboard": "arn:aws:cloudwatch::000000000000:dashboard/scoped-*",
        "cloudwatch:DeleteDashboards": "arn:aws:cloudwatch::000000000000:dashboard/scoped-*",
    }
    statements = [{"Effect": "Allow", "Action": action, "Resource": arn} for action, arn in scoped.items()]
    own.client("sns").create_topic(Name="scoped-topic")
    own.client("sns").create_topic(Name="other-topic")
    replaced(own, tmp_path, {"Version": "2012-10-17", "Statement": statements})
    try:
        sns, iam = own.client("sns", "deployer"), own.client("iam", "deployer")
        sns.list_tags_for_resource(ResourceArn="arn:aws:sns:us-east-1:000000000000:scoped-topic")
        refused(sns.list_tags_for_resource, ResourceArn="arn:aws:sns:us-east-1:000000000000:other-topic")
        document = json.dumps(statement(["s3:GetObject"]))
        iam.create_policy(PolicyName="scoped-policy", PolicyDocument=document)
        refused(iam.create_policy, PolicyName="other-policy", PolicyDocument=document)
        cloudwatch = own.client("cloudwatch", "deployer")
        cloudwatch.delete_alarms(AlarmNames=["scoped-alarm"])
        refused(cloudwatch.delete_alarms, AlarmNames=["other-alarm"])
        body = {"DashboardBody": json.dumps({"widgets": []})}
        cloudwatch.put_dashboard(DashboardName="scoped-dashboard", **body)
        cloudwatch.get_dashboard(DashboardName="scoped-dashboard")
        cloudwatch.delete_dashboards(DashboardNames=["scoped-dashboard"])
        for call, named in (
            (cloudwatch.put_dashboard, {"DashboardName": "other-dashboard", **body}),
            (cloudwatch.get_dashboard, {"DashboardName": "other-dashboard"}),
            (cloudwatch.delete_dashboards, {"DashboardNames": ["other-dashboard"]}),
        ):
            assert refused(call, **named)["Code"] == "AccessDeniedException"
        tags = [{"Key": "a", "Value": "b"}]
        arn = "arn:aws:dynamodb:us-east-1:000000000000:table/{}"
        dynamodb = own.client("dynamodb", "deployer")
        assert (
            "AccessDenied"
            not in refused(dynamodb.tag_resource, ResourceArn=arn.format("scoped-none"), Tags=tags)["Code"]
        )
        assert refused(dynamodb.tag_resource, ResourceArn=arn.format("other"), Tags=tags)["Code"] == (
            "AccessDeniedException"
        )
    finally:
        own.run("start")


def test_a_version_or_an_alias_that_is_asked_for_is_part_of_what_is_decided_about(own, tmp_path):
    make_function(own, "qualified", tmp_path)
    own.client("lambda").publish_version(FunctionName="qualified")
    allowed = {**statement(["lambda:GetFunctionConfiguration"])["Statement"][0]}
    allowed["Resource"] = "arn:aws:lambda:us-east-1:000000000000:function:qualified"
    replaced(own, tmp_path, {"Version": "2012-10-17", "Statement": [allowed]})
    try:
        read = own.client("lambda", "deployer").get_function_configuration
        read(FunctionName="qualified")
        assert refused(read, FunctionName="qualified", Qualifier="1")["Code"] == "AccessDeniedException"
        allowed["Resource"] += ":*"
        replaced(own, tmp_path, {"Version": "2012-10-17", "Statement": [allowed]})
        read(FunctionName="qualified", Qualifier="1")
        assert refused(read, FunctionName="qualified")["Code"] == "AccessDeniedException"
    finally:
        own.run("start")


def test_attaching_is_held_to_the_policies_a_condition_names(own, tmp_path):
    iam = own.client("iam")
    trust = statement(["sts:AssumeRole"])
    trust["Statement"][0] = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName="attached", AssumeRolePolicyDocument=json.dumps(trust))
    arns = [
        iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(statement(["s3:GetObject"])))["Policy"]["Arn"]
        for name in ("named-one", "unnamed")
    ]
    allowed = {
        "Effect": "Allow",
        "Action": "iam:AttachRolePolicy",
        "Resource": "*",
        "Condition": {"ArnLike": {"iam:PolicyARN": "arn:aws:iam::000000000000:policy/named-*"}},
    }
    replaced(own, tmp_path, {"Version": "2012-10-17", "Statement": [allowed]})
    try:
        deployer = own.client("iam", "deployer")
        deployer.attach_role_policy(RoleName="attached", PolicyArn=arns[0])
        assert refused(deployer.attach_role_policy, RoleName="attached", PolicyArn=arns[1])["Code"] == "AccessDenied"
    finally:
        own.run("start")


def test_the_default_version_of_a_policy_can_be_moved(own):
    iam = own.client("iam")
    document = json.dumps(statement(["s3:GetObject"]))
    arn = iam.create_policy(PolicyName="moved", PolicyDocument=document)["Policy"]["Arn"]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(statement(["s3:PutObject"])))
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v2"
    versions = {
        each["VersionId"]: each["IsDefaultVersion"] for each in iam.list_policy_versions(PolicyArn=arn)["Versions"]
    }
    assert versions == {"v1": False, "v2": True}


def test_bare_ministack_still_decides_otherwise(bare, tmp_path):
    mapping = Mapping(bare, "undecided", tmp_path)
    mapping.read()
    bare.client("dynamodb").list_tags_of_resource(ResourceArn=mapping.stream.partition("/stream/")[0])
    last = [(action["action"], action["resource"]) for action in bare.actions()][-2:]
    assert last[0][0] == "lambda:ListEventSourceMappings", "names a neighbour's action: name_lambda_actions"
    assert last[1][1] == "*", "decides about '*': name_resources"
    bare.client("cloudwatch").put_dashboard(DashboardName="bare", DashboardBody=json.dumps({"widgets": []}))
    assert bare.actions()[-1]["resource"] == "*", "decides about '*': name_resources, _of_cloudwatch"
    bare.client("lambda").get_function_configuration(FunctionName="undecided", Qualifier="$LATEST")
    assert bare.actions()[-1]["resource"].endswith(":undecided"), "decides about the bare function: name_resources"
    iam = bare.client("iam")
    arn = iam.create_policy(PolicyName="bare", PolicyDocument=json.dumps(statement(["s3:GetObject"])))["Policy"]["Arn"]
    unknown = refused(iam.set_default_policy_version, PolicyArn=arn, VersionId="v1")
    assert unknown["Code"] == "InvalidAction", "no SetDefaultPolicyVersion: add_default_policy_versions"


def replaced(cloud: LocalCloud, folder: Path, document: dict) -> None:
    """Give the deployer another policy; `start` gives the one of files/iam back."""
    file = folder / "policy.json"
    file.write_text(json.dumps(document))
    cloud.run("policy", "deployer", str(file))


# --- patches: mappings -----------------------------------------------------------------------------------------------


def test_a_new_mapping_answers_every_setting_and_is_creating(own, tmp_path):
    mapping = Mapping(own, "defaults", tmp_path)
    answer = mapping.answer
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    assert answer.pop("LastModified")
    account = "us-east-1:000000000000"
    assert answer == {
        "UUID": mapping.id,
        "EventSourceMappingArn": f"arn:aws:lambda:{account}:event-source-mapping:{mapping.id}",
        "EventSourceArn": mapping.stream,
        "FunctionArn": f"arn:aws:lambda:{account}:function:defaults",
        "State": "Creating",
        "StateTransitionReason": "User action",
        "StartingPosition": "TRIM_HORIZON",
        "LastProcessingResult": "No records processed",
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": False,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "DestinationConfig": {"OnFailure": {}},
    }
    settled = mapping.settle()
    assert {key: settled[key] for key in answer if key != "State"} == {k: v for k, v in answer.items() if k != "State"}


def test_every_setting_given_is_kept_and_can_be_taken_back(own, tmp_path):
    own.client("sqs").create_queue(QueueName="failures")
    queue = "arn:aws:sqs:us-east-1:000000000000:failures"
    given = {
        "BatchSize": 7,
        "TumblingWindowInSeconds": 30,
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        "DestinationConfig": {"OnFailure": {"Destination": queue}},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "MaximumRetryAttempts": 3,
    }
    mapping = Mapping(own, "settings", tmp_path, rights=("sqs:SendMessage",), Tags={"project": "cdc"}, **given)
    settled = mapping.settle()
    assert {name: settled[name] for name in given} == given
    assert own.client("lambda").list_tags(Resource=settled["EventSourceMappingArn"])["Tags"] == {"project": "cdc"}
    mapping.api.update_event_source_mapping(
        UUID=mapping.id,
        TumblingWindowInSeconds=0,
        FilterCriteria={},
        DestinationConfig={"OnFailure": {"Destination": ""}},
        FunctionResponseTypes=[],
    )
    after = mapping.settle()
    assert "FilterCriteria" not in after
    assert after["TumblingWindowInSeconds"] == 0
    assert after["DestinationConfig"] == {"OnFailure": {}}
    assert after["FunctionResponseTypes"] == []
    assert (after["BatchSize"], after["MaximumRetryAttempts"]) == (7, 3)


def test_changes_pass_through_their_state_and_refuse_another_meanwhile(own, tmp_path):
    mapping = Mapping(own, "states", tmp_path)
    update, delete = mapping.api.update_event_source_mapping, mapping.api.delete_event_source_mapping
    told = refused(update, UUID=mapping.id, BatchSize=5)
    assert (told["Code"], told["status"]) == ("ResourceInUseException", 400)
    assert refused(delete, UUID=mapping.id)["Code"] == "ResourceInUseException"
    mapping.settle()
    for change, passing, settled in (
        ({"BatchSize": 5}, "Updating", "Enabled"),
        ({"Enabled": False}, "Disabling", "Disabled"),
        ({"BatchSize": 6}, "Updating", "Disabled"),
        ({"Enabled": True}, "Enabling", "Enabled"),
    ):
        answer = update(UUID=mapping.id, **change)
        assert (answer["State"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (passing, 202)
        assert refused(update, UUID=mapping.id, BatchSize=9)["Code"] == "ResourceInUseException"
        mapping.settle(settled)
    assert delete(UUID=mapping.id)["State"] == "Deleting"
    assert mapping.read()["State"] == "Deleting"
    assert refused(delete, UUID=mapping.id)["Code"] == "ResourceInUseException"
    eventually(lambda: not mapping.api.list_event_source_mappings(FunctionName="states")["EventSourceMappings"])
    assert refused(mapping.api.get_event_source_mapping, UUID=mapping.id)["Code"] == "ResourceNotFoundException"


def test_a_mapping_made_disabled_settles_disabled(own, tmp_path):
    mapping = Mapping(own, "made-disabled", tmp_path, Enabled=False)
    assert mapping.answer["State"] == "Creating"
    assert mapping.settle("Disabled")


def test_a_second_mapping_of_stream_and_function_is_refused(own, tmp_path):
    mapping = Mapping(own, "twice", tmp_path)
    told = refused(mapping.api.create_event_source_mapping, **mapping.request)
    assert (told["Code"], told["status"]) == ("ResourceConflictException", 409)
    assert told["Message"] == (
        f'The event source arn (" {mapping.stream} ") and function (" twice ") provided mapping already exists. '
        f"Please update or delete the existing mapping with UUID {mapping.id}"
    )
    # AWS takes a mapping of the function's alias beside it.
    mapping.api.publish_version(FunctionName="twice")
    mapping.api.create_alias(FunctionName="twice", Name="live", FunctionVersion="1")
    mapping.api.create_event_source_mapping(**{**mapping.request, "FunctionName": "twice:live"})


def test_an_unknown_stream_is_refused(own, tmp_path):
    make_function(own, "unknown-stream", tmp_path)
    stream = "arn:aws:dynamodb:us-east-1:000000000000:table/none/stream/2026-01-01T00:00:00.000"
    told = refused(
        own.client("lambda").create_event_source_mapping,
        EventSourceArn=stream,
        FunctionName="unknown-stream",
        StartingPosition="LATEST",
    )
    assert (told["Code"], told["Message"]) == ("InvalidParameterValueException", f"Stream not found: {stream}")


def test_filters_that_cannot_be_read_are_refused(own, tmp_path):
    unreadable = {"FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}, {"Pattern": "no JSON"}]}}
    mapping = Mapping(own, "filters", tmp_path)
    mapping.settle()
    make_function(own, "filters-again", tmp_path)
    request = {**mapping.request, "FunctionName": "filters-again"}
    for told in (
        refused(mapping.api.create_event_source_mapping, **request, **unreadable),
        refused(mapping.api.update_event_source_mapping, UUID=mapping.id, **unreadable),
    ):
        assert (told["Code"], told["status"]) == ("InvalidParameterValueException", 400)
        assert told["Message"] == "Invalid filter pattern definition."
    assert "FilterCriteria" not in mapping.read()


def test_bare_ministack_still_lacks_what_mappings_need(bare, tmp_path):
    mapping = Mapping(bare, "gaps", tmp_path, TumblingWindowInSeconds=30, MetricsConfig={"Metrics": ["EventCount"]})
    assert mapping.answer["State"] == "Enabled", "no transitional states: StreamMappings, begin"
    assert "TumblingWindowInSeconds" not in mapping.read(), "drops settings: StreamMappings.create"
    assert "MetricsConfig" not in mapping.read(), "drops settings: StreamMappings.create"
    assert "MaximumRetryAttempts" not in mapping.answer, "leaves defaults out: answered"
    second = mapping.api.create_event_source_mapping(**mapping.request)
    assert second["UUID"] != mapping.id, "takes duplicates: StreamMappings._refused"
    unknown = mapping.stream.replace("gaps", "none")
    mapping.api.create_event_source_mapping(**{**mapping.request, "EventSourceArn": unknown})
    unreadable = {"FilterCriteria": {"Filters": [{"Pattern": "no JSON"}]}}
    mapping.api.update_event_source_mapping(UUID=mapping.id, **unreadable)  # takes any filter: _wrong_filter
    updated = mapping.api.update_event_source_mapping(UUID=mapping.id, Enabled=False)
    assert updated["State"] == "Disabled", "no transitional states: StreamMappings.update"
    mapping.api.delete_event_source_mapping(UUID=mapping.id)
    assert refused(mapping.read)["Code"] == "ResourceNotFoundException", "no Deleting: StreamMappings.delete"


# --- its own poller --------------------------------------------------------------------------------------------------


def test_bare_ministack_still_loses_reported_failures(bare, tmp_path):
    (tmp_path / "answer").write_text(json.dumps(["c"]))
    reports = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
    mapping = Mapping(bare, "loss", tmp_path, items="abcd", **reports)
    mapping.calls(1)
    mapping.put("e")
    assert mapping.calls(2) == [list("abcd"), ["e"]], "MiniStack retries them now: see what else its poller can do"
