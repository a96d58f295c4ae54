"""What the local cloud mends in MiniStack so that failures are seen: rights of roles, alarms, metrics, lost records."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError
from cloud_driver import LocalCloud
from cloud_mappings import ASSUMED_BY_LAMBDA, Mapping, calls, eventually, let, make_function, make_table, put, refused

pytestmark = pytest.mark.cloud

READ = ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams")


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Iterator[LocalCloud]:
    """MiniStack without our patches. A test with it that fails says: MiniStack can do this now, take the patch out."""
    made = LocalCloud(home=tmp_path_factory.mktemp("bare"), settings={"LOCAL_CLOUD_PATCHES": "off"})
    try:
        made.run("start")
        yield made
    finally:
        made.end()


def arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:us-east-1:000000000000:{name}"


# --- rights at creation ----------------------------------------------------------------------------------------------


class Asked:
    """A stream and a function, to ask for a mapping of them with different rights and destinations."""

    def __init__(self, cloud: LocalCloud, name: str, folder) -> None:
        self.cloud, self.name, self.api = cloud, name, cloud.client("lambda")
        self.stream = make_table(cloud, name)
        make_function(cloud, name, folder)

    def create(self, target: str = "") -> dict:
        return self.api.create_event_source_mapping(
            EventSourceArn=self.stream,
            FunctionName=self.name,
            StartingPosition="LATEST",
            DestinationConfig={"OnFailure": {"Destination": target} if target else {}},
        )

    def refusal(self, target: str = "") -> str:
        told = refused(self.create, target=target)
        assert (told["Code"], told["status"]) == ("InvalidParameterValueException", 400)
        return told["Message"]


@pytest.mark.parametrize("missing", READ)
def test_a_role_that_cannot_read_the_stream_gets_no_mapping(cloud, tmp_path, missing):
    asked = Asked(cloud, f"no-{missing.partition(':')[2]}", tmp_path)
    let(cloud, asked.name, *(action for action in READ if action != missing))
    assert asked.refusal() == (
        f"Cannot access stream {asked.stream}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        "DescribeStream, and ListStreams Actions on your stream in IAM."
    )
    let(cloud, asked.name, *READ)
    assert asked.create()["State"] == "Creating"


def test_a_role_that_lambda_cannot_assume_gets_no_mapping(cloud, tmp_path):
    asked = Asked(cloud, "other-service", tmp_path)
    trust = json.dumps(ASSUMED_BY_LAMBDA).replace("lambda.", "ec2.")
    cloud.client("iam").update_assume_role_policy(RoleName=asked.name, PolicyDocument=trust)
    assert asked.refusal() == "The role defined for the function cannot be assumed by Lambda."


@pytest.mark.parametrize(
    ("kind", "needed"),
    [("sqs", ["SendMessage on SQS"]), ("sns", ["Publish on SNS"]), ("s3", ["PutObject on S3", "ListBucket on S3"])],
)
def test_a_role_that_cannot_deliver_failures_gets_no_mapping_and_no_such_destination(cloud, tmp_path, kind, needed):
    name = f"failures-{kind}"
    if kind == "sqs":
        cloud.client("sqs").create_queue(QueueName=name)
    elif kind == "sns":
        cloud.client("sns").create_topic(Name=name)
    else:
        cloud.client("s3").create_bucket(Bucket=name)
    target = f"arn:aws:s3:::{name}" if kind == "s3" else arn(kind, name)
    asked = Asked(cloud, f"deliver-{kind}", tmp_path)
    rights = [*READ]
    let(cloud, asked.name, *rights)
    assert f"call {needed[0]}" in asked.refusal(target)
    uuid = asked.create()["UUID"]
    eventually(lambda: asked.api.get_event_source_mapping(UUID=uuid)["State"] == "Enabled")
    update = {"UUID": uuid, "DestinationConfig": {"OnFailure": {"Destination": target}}}
    for each in needed:
        told = refused(asked.api.update_event_source_mapping, **update)
        assert told["Message"] == f"The provided execution role does not have permissions to call {each}"
        rights.append(f"{kind}:{each.partition(' ')[0]}")
        let(cloud, asked.name, *rights)
    asked.api.update_event_source_mapping(**update)


def test_a_queues_own_policy_can_give_and_take_the_right(cloud, tmp_path):
    asked = Asked(cloud, "queue-policy", tmp_path)
    queue = cloud.client("sqs").create_queue(QueueName="queue-policy")["QueueUrl"]
    role = cloud.client("iam").get_role(RoleName=asked.name)["Role"]["Arn"]

    def say(effect):
        statement = {"Effect": effect, "Principal": {"AWS": role}, "Action": "sqs:SendMessage"}
        document = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn("sqs", "queue-policy")}]}
        cloud.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(document)})

    let(cloud, asked.name, *READ, "sqs:SendMessage")
    say("Deny")
    assert "SendMessage on SQS" in asked.refusal(arn("sqs", "queue-policy"))
    let(cloud, asked.name, *READ)
    say("Allow")
    asked.create(arn("sqs", "queue-policy"))


@pytest.mark.parametrize(
    "target",
    [arn("sqs", "none"), arn("sns", "none"), "arn:aws:s3:::none", arn("lambda", "function:x"), arn("sqs", "a.fifo")],
)
def test_a_destination_that_is_not_there_or_of_another_kind_is_refused(cloud, tmp_path, target):
    cloud.client("sqs").create_queue(QueueName="a.fifo", Attributes={"FifoQueue": "true"})
    asked = Asked(cloud, f"gone-{abs(hash(target))}", tmp_path)
    let(cloud, asked.name, "*")
    assert asked.refusal(target) == f"The destination ARN {target} is invalid."


def test_moving_to_a_function_whose_role_lacks_the_rights_is_refused(cloud, tmp_path):
    mapping = Mapping(cloud, "moved", tmp_path)
    mapping.settle()
    make_function(cloud, "moved-to", tmp_path)
    let(cloud, "moved-to")
    told = refused(mapping.api.update_event_source_mapping, UUID=mapping.id, FunctionName="moved-to")
    assert "Cannot access stream" in told["Message"]
    assert mapping.read()["FunctionArn"].endswith(":moved")


def test_bare_ministack_still_checks_no_rights(bare, tmp_path):
    asked = Asked(bare, "unchecked", tmp_path)
    let(bare, asked.name)
    made = asked.create(arn("sqs", "none"))
    assert made["UUID"], "MiniStack checks the role now: _missing_right is not needed"


# --- who reads the streams -------------------------------------------------------------------------------------------


def test_ministacks_own_poller_is_off_and_the_others_go_on(tmp_path_factory):
    home, stream, queue = (tmp_path_factory.mktemp(name) for name in ("home", "stream", "queue"))
    cloud = LocalCloud(home=home, settings={"LOCAL_CLOUD_POLLER": "off"})
    try:
        cloud.run("start")
        mapping = Mapping(cloud, "unread", stream, items=["one"])
        mapping.settle()
        code = "import os\ndef handler(event, context):\n    open(os.environ['FOLDER'] + '/calls', 'a').write('[]\\n')"
        make_function(cloud, "witness", queue, code)
        let(cloud, "witness", "sqs:*")
        url = cloud.client("sqs").create_queue(QueueName="witness")["QueueUrl"]
        mapping.api.create_event_source_mapping(EventSourceArn=arn("sqs", "witness"), FunctionName="witness")
        # MiniStack's poller looks at queues first, then at streams: the second message comes a whole round later.
        for count in (1, 2):
            cloud.client("sqs").send_message(QueueUrl=url, MessageBody="x")
            eventually(lambda count=count: len(calls(queue)) >= count)
        assert calls(stream) == []
        assert mapping.read()["LastProcessingResult"] == "No records processed"
        results = home / "poller" / "results"
        results.mkdir(parents=True, exist_ok=True)
        (results / mapping.id).write_text("PROBLEM: Function call failed\n")
        assert mapping.read()["LastProcessingResult"] == "PROBLEM: Function call failed"
        mapping.api.delete_event_source_mapping(UUID=mapping.id)
        eventually(lambda: not mapping.api.list_event_source_mappings(FunctionName="unread")["EventSourceMappings"])
    finally:
        cloud.end()


# --- alarms ----------------------------------------------------------------------------------------------------------


def put_alarm(cloud: LocalCloud, name: str, **settings) -> None:
    asked = {
        "AlarmName": name,
        "Namespace": "Tests",
        "MetricName": name,
        "Statistic": "Sum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    cloud.client("cloudwatch").put_metric_alarm(**{**asked, **settings})


def put_points(cloud: LocalCloud, name: str, *values: float, ago: float = 0, **dimensions: str) -> None:
    named = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [
        {"MetricName": name, "Value": value, "Timestamp": time.time() - ago, "Dimensions": named} for value in values
    ]
    cloud.client("cloudwatch").put_metric_data(Namespace="Tests", MetricData=data)


def state(cloud: LocalCloud, name: str) -> str:
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm["StateValue"]


def test_an_alarm_looks_at_the_metric_of_exactly_its_dimensions(cloud):
    put_alarm(cloud, "mine", Dimensions=[{"Name": "Who", "Value": "me"}])
    put_points(cloud, "mine", 9, Who="you")
    put_points(cloud, "mine", 9, Who="me", Where="here")
    put_points(cloud, "mine", 9)
    assert state(cloud, "mine") == "OK"
    put_points(cloud, "mine", 2, 3, Who="me")
    assert state(cloud, "mine") == "ALARM"


def test_bare_ministack_still_lets_alarms_ignore_dimensions(bare):
    put_alarm(bare, "mine", Dimensions=[{"Name": "Who", "Value": "me"}])
    put_points(bare, "mine", 9, Who="you")
    assert state(bare, "mine") == "ALARM", "MiniStack looks at dimensions now: evaluate_alarms is not needed for that"


def test_an_alarm_clears_with_time_and_says_both_on_its_topic(cloud):
    topic = cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
    queue = cloud.client("sqs").create_queue(QueueName="alarms")["QueueUrl"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn("sqs", "alarms")}]}
    cloud.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(document)})
    cloud.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn("sqs", "alarms"), Attributes={"RawMessageDelivery": "true"}
    )
    put_alarm(cloud, "passing", AlarmActions=[topic], OKActions=[topic])
    eventually(lambda: state(cloud, "passing") == "OK")
    put_points(cloud, "passing", 9, ago=7.5)
    assert state(cloud, "passing") == "ALARM"
    eventually(lambda: state(cloud, "passing") == "OK")
    told: list[dict] = []

    def receive():
        answer = cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        told.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return len(told) >= 3

    eventually(receive)
    assert [(each["AlarmName"], each["NewStateValue"]) for each in told] == [
        ("passing", "OK"),
        ("passing", "ALARM"),
        ("passing", "OK"),
    ]


def test_an_alarm_counts_its_periods(cloud):
    put_alarm(cloud, "periods", EvaluationPeriods=3, DatapointsToAlarm=2, Period=60, Statistic="Maximum")
    put_points(cloud, "periods", 9, 9, ago=1)
    assert state(cloud, "periods") == "OK"
    put_points(cloud, "periods", 9, ago=130)
    assert state(cloud, "periods") == "ALARM"


def test_the_metrics_of_an_invocation_reach_the_alarms_of_the_function(cloud, tmp_path):
    make_function(cloud, "erring", tmp_path, "def handler(event, context):\n    raise ValueError('no')")
    dimensions = [{"Name": "FunctionName", "Value": "erring"}]
    for metric in ("Errors", "Throttles"):
        put_alarm(
            cloud, f"erring-{metric}", Namespace="AWS/Lambda", MetricName=metric, Threshold=1, Dimensions=dimensions
        )
    cloud.client("lambda").invoke(FunctionName="erring")
    eventually(lambda: state(cloud, "erring-Errors") == "ALARM")
    cloud.client("lambda").put_function_concurrency(FunctionName="erring", ReservedConcurrentExecutions=0)
    told = refused(cloud.client("lambda").invoke, FunctionName="erring")
    assert told["Code"] == "TooManyRequestsException"
    eventually(lambda: state(cloud, "erring-Throttles") == "ALARM")


def test_a_failed_invocation_names_its_exception(cloud, bare, tmp_path):
    code = "class Own(Exception):\n    pass\n\ndef handler(event, context):\n    raise Own('no\\nway')"
    told = {}
    for each in (cloud, bare):
        make_function(each, "named-error", tmp_path, code)
        told[each.port] = json.load(each.client("lambda").invoke(FunctionName="named-error")["Payload"])["errorType"]
    assert told[cloud.port] == "Own"
    assert told[bare.port] == "Runtime.HandlerError", "MiniStack names them now: name_errors is not needed"


# --- versions --------------------------------------------------------------------------------------------------------


def test_versions_and_aliases_share_their_functions_concurrency(cloud, bare, tmp_path):
    ran = {}
    for each in (cloud, bare):
        make_function(each, "shared", tmp_path, "def handler(event, context):\n    return context.function_version")
        api = each.client("lambda")
        version = api.publish_version(FunctionName="shared")["Version"]
        api.create_alias(FunctionName="shared", Name="live", FunctionVersion=version)
        assert json.load(api.invoke(FunctionName="shared", Qualifier="live")["Payload"]) == version
        api.put_function_concurrency(FunctionName="shared", ReservedConcurrentExecutions=0)
        try:
            api.invoke(FunctionName="shared", Qualifier="live")
            ran[each.port] = True
        except api.exceptions.TooManyRequestsException:
            ran[each.port] = False
        api.delete_function_concurrency(FunctionName="shared")
        api.invoke(FunctionName="shared", Qualifier="live")
    assert not ran[cloud.port]
    assert ran[bare.port], "MiniStack shares it now: share_concurrency is not needed"


def test_only_the_code_and_revision_that_are_asked_for_are_published(cloud, bare, tmp_path):
    for each in (cloud, bare):
        make_function(each, "guarded", tmp_path)
    api = cloud.client("lambda")
    live = api.get_function_configuration(FunctionName="guarded")
    right = {"CodeSha256": live["CodeSha256"], "RevisionId": live["RevisionId"]}
    other = refused(api.publish_version, FunctionName="guarded", **{**right, "CodeSha256": "x"})
    assert (other["Code"], other["status"]) == ("InvalidParameterValueException", 400)
    assert other["Message"].startswith("CodeSHA256 (x) is different from current CodeSHA256 in $LATEST")
    stale = refused(api.publish_version, FunctionName="guarded", **{**right, "RevisionId": "x"})
    assert (stale["Code"], stale["status"]) == ("PreconditionFailedException", 412)
    assert refused(api.publish_version, FunctionName="none")["Code"] == "ResourceNotFoundException"
    assert api.publish_version(FunctionName="guarded", **right)["Version"] == "1"
    taken = bare.client("lambda").publish_version(FunctionName="guarded", CodeSha256="x", RevisionId="x")
    assert taken["Version"] == "1", "MiniStack refuses it now: guard_publishing is not needed"


# --- metrics of queues -----------------------------------------------------------------------------------------------


def test_a_queue_has_metrics_of_its_depth_and_age(cloud):
    sqs, cloudwatch = cloud.client("sqs"), cloud.client("cloudwatch")
    queue = sqs.create_queue(QueueName="measured")["QueueUrl"]

    def latest(metric):
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=metric,
            Dimensions=[{"Name": "QueueName", "Value": "measured"}],
            StartTime=time.time() - 60,
            EndTime=time.time() + 60,
            Period=3600,
            Statistics=["Maximum"],
        )["Datapoints"]
        return answer[0]["Maximum"] if answer else None

    for body in "abc":
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    eventually(lambda: latest("ApproximateNumberOfMessagesVisible") == 3)
    assert latest("ApproximateNumberOfMessagesNotVisible") == 0
    sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)
    eventually(lambda: latest("ApproximateNumberOfMessagesNotVisible") == 1)
    eventually(lambda: latest("ApproximateAgeOfOldestMessage") >= 1)
    dimensions = [{"Name": "QueueName", "Value": "measured"}]
    put_alarm(
        cloud,
        "measured",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Statistic="Maximum",
        Threshold=1,
        Dimensions=dimensions,
    )
    eventually(lambda: state(cloud, "measured") == "ALARM")


def test_bare_ministack_still_has_no_metrics_of_queues(bare):
    queue = bare.client("sqs").create_queue(QueueName="unmeasured")["QueueUrl"]
    bare.client("sqs").send_message(QueueUrl=queue, MessageBody="x")
    bare.client("sqs").receive_message(QueueUrl=queue)
    listed = bare.client("cloudwatch").list_metrics(Namespace="AWS/SQS")["Metrics"]
    assert listed == [], "MiniStack has them now: QueueMetrics is not needed"


# --- streams that forget ---------------------------------------------------------------------------------------------


def test_what_has_left_the_stream_is_trimmed_data(cloud):
    stream = make_table(cloud, "forgotten")
    put(cloud, "forgotten", "one", "two")
    reader = cloud.client("dynamodbstreams")
    shard = reader.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"][0]["ShardId"]
    place = {"StreamArn": stream, "ShardId": shard}
    begin = reader.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    records = reader.get_records(ShardIterator=begin)["Records"]
    number = records[0]["dynamodb"]["SequenceNumber"]
    assert len(records) == 2
    cloud.run("faults", json.dumps({"stream_retention": 0}))
    try:
        for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
            told = refused(reader.get_shard_iterator, **place, ShardIteratorType=kind, SequenceNumber=number)
            assert told["Code"] == "TrimmedDataAccessException"
        assert refused(reader.get_records, ShardIterator=begin)["Code"] == "TrimmedDataAccessException"
    finally:
        cloud.run("faults", "off")
    put(cloud, "forgotten", "three")
    horizon = reader.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    assert [each["dynamodb"]["Keys"]["id"]["S"] for each in reader.get_records(ShardIterator=horizon)["Records"]] == [
        "three"
    ]


# --- keys, boundaries, TLS -------------------------------------------------------------------------------------------

KEY = arn("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab")


def test_a_log_group_takes_and_loses_a_key(cloud, bare):
    logs, group = cloud.client("logs"), {"logGroupName": "of-a-key"}
    logs.create_log_group(**group)

    def key():
        return logs.describe_log_groups(logGroupNamePrefix="of-a-key")["logGroups"][0].get("kmsKeyId")

    logs.associate_kms_key(**group, kmsKeyId=KEY)
    assert key() == KEY
    logs.disassociate_kms_key(**group)
    assert key() is None
    assert refused(logs.associate_kms_key, logGroupName="none", kmsKeyId=KEY)["Code"] == "ResourceNotFoundException"
    assert refused(bare.client("logs").associate_kms_key, **group, kmsKeyId=KEY)["Message"].startswith("Unknown action")


def make_roles_only_within(cloud: LocalCloud, boundary: str):
    """An IAM client of a user who may make roles, but only within that boundary."""
    iam, user = cloud.client("iam"), "maker-of-roles"
    iam.create_user(UserName=user)
    statement = {
        "Effect": "Allow",
        "Action": "iam:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="roles", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return boto3.client(
        "iam",
        endpoint_url=cloud.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def test_a_policy_can_ask_for_a_permissions_boundary(cloud):
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
    ours, other = (
        cloud.client("iam").create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"]
        for name in ("our-boundary", "other-boundary")
    )
    iam = make_roles_only_within(cloud, ours)
    role = {"RoleName": "bounded", "AssumeRolePolicyDocument": json.dumps(ASSUMED_BY_LAMBDA)}
    assert refused(iam.create_role, **role)["Code"] == "AccessDenied"
    assert refused(iam.create_role, **role, PermissionsBoundary=other)["Code"] == "AccessDenied"
    iam.create_role(**role, PermissionsBoundary=ours)
    iam.attach_role_policy(RoleName="bounded", PolicyArn=other)


def test_a_policy_that_wants_tls_lets_requests_pass_but_those_that_say_they_are_without(cloud, bare):
    policy = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }

    def bucket_of(one: LocalCloud):
        """A client of a user who may all; the account's root may, whatever a policy says."""
        iam, s3 = one.client("iam"), one.client("s3")
        s3.create_bucket(Bucket="tls-only")
        s3.put_bucket_policy(Bucket="tls-only", Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
        iam.create_user(UserName="s3-user")
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="s3-user", PolicyName="all", PolicyDocument=document)
        key = iam.create_access_key(UserName="s3-user")["AccessKey"]
        return boto3.client(
            "s3",
            endpoint_url=one.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

    s3 = bucket_of(cloud)
    s3.put_object(Bucket="tls-only", Key="a", Body=b"")
    s3.meta.events.register("before-send.s3", say_without_tls)
    assert refused(s3.put_object, Bucket="tls-only", Key="b", Body=b"")["Code"] == "AccessDenied"
    assert refused(bucket_of(bare).put_object, Bucket="tls-only", Key="a", Body=b"")["Code"] == "AccessDenied"


def say_without_tls(request, **_rest):
    request.headers["X-Forwarded-Proto"] = "http"


# --- state machines and rules ----------------------------------------------------------------------------------------


def test_rights_on_state_machines_and_rules_hold_for_those_that_are_named(cloud, bare):
    """And bare MiniStack asks for the rights on none of them in particular, or on another name of the rule."""
    assert _as_named(cloud) == dict.fromkeys(("machine", "rule", "target", "tags of machine", "tags of rule"), True)
    assert not all(_as_named(bare).values())


def _as_named(cloud) -> dict[str, bool]:
    iam, name = cloud.client("iam"), f"named-{int(time.time() * 1000)}"
    machine, rule = arn("states", f"stateMachine:{name}"), arn("events", f"rule/{name}")
    allowed = [{"Effect": "Allow", "Action": ["states:*", "events:*"], "Resource": [machine, rule]}]
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_user_policy(UserName=name, PolicyName="named", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    states, events = (
        boto3.client(service, endpoint_url=cloud.endpoint, region_name="us-east-1", **keys)
        for service in ("stepfunctions", "events")
    )
    definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ASSUMED_BY_LAMBDA))["Role"]["Arn"]

    def passes(call, **request) -> bool:
        try:
            call(**request)
        except ClientError as exc:
            assert "not authorized" in str(exc), exc
            return False
        return True

    made = passes(states.create_state_machine, name=name, definition=definition, roleArn=role)
    assert not passes(states.create_state_machine, name=f"{name}-other", definition=definition, roleArn=role)
    ruled = passes(events.put_rule, Name=name, ScheduleExpression="rate(1 hour)")
    assert not passes(events.put_rule, Name=f"{name}-other", ScheduleExpression="rate(1 hour)")
    if not ruled:
        cloud.client("events").put_rule(Name=name, ScheduleExpression="rate(1 hour)")
    target = {"Id": "t", "Arn": machine, "RoleArn": role}
    assert not passes(events.put_targets, Rule=f"{name}-other", Targets=[target])
    return {
        "machine": made,
        "rule": ruled,
        "target": passes(events.put_targets, Rule=name, Targets=[target]),
        "tags of machine": passes(states.list_tags_for_resource, resourceArn=machine),
        "tags of rule": passes(events.list_tags_for_resource, ResourceARN=rule),
    }
