"""The local poller against the local cloud: what reaches a function, what is given up, and what is never lost."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud_driver import LocalCloud
from poller_scene import STREAM_ACTIONS, Function, Scene, eventually, kill_poller, poller_pid

pytestmark = pytest.mark.cloud

TEN = [f"item-{number}" for number in range(10)]


@pytest.fixture
def scene(cloud: LocalCloud, tmp_path: Path) -> Iterator[Scene]:
    one = Scene(cloud, tmp_path)
    yield one
    one.end()


def on_failure(arn: str) -> dict:
    return {"OnFailure": {"Destination": arn}}


def settled(function: Function, names: list[str]) -> Callable[[], bool]:
    return lambda: set(names) <= set(function.done())


def metric(scene: Scene, namespace: str, name: str, statistic: str, **dimensions: str) -> float:
    """A metric's value over the last ten minutes, with exactly these dimensions; 0 while there is none."""
    found = scene.cloud.client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=time.time() - 600,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in found)


# --- delivery --------------------------------------------------------------------------------------------------------


def test_a_function_gets_every_change_in_order_as_lambda_hands_it_over(scene: Scene):
    function = scene.function()
    scene.map(function, BatchSize=2)
    table = scene.cloud.client("dynamodb")
    table.put_item(TableName=scene.name, Item={"id": {"S": "a"}, "raw": {"B": b"\x00\xff"}, "n": {"N": "1"}})
    table.put_item(TableName=scene.name, Item={"id": {"S": "a"}, "raw": {"B": b"\x01"}, "n": {"N": "2"}})
    table.delete_item(TableName=scene.name, Key={"id": {"S": "a"}})

    calls = eventually(lambda: len(function.done()) == 3 and function.calls())
    records = [record for call in calls for record in call["records"]]
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    insert = records[0]
    assert insert["eventSourceARN"] == scene.stream
    assert insert["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "raw": {"B": "AP8="}, "n": {"N": "1"}}
    assert isinstance(insert["dynamodb"]["ApproximateCreationDateTime"], int)
    assert insert.keys() == {
        "eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"
    }  # fmt: skip


def test_latest_delivers_what_was_changed_after_the_mapping_was_made_though_the_poller_dies(scene: Scene):
    scene.put("before-1", "before-2")
    function = scene.function()
    scene.map(function, StartingPosition="LATEST")
    kill_poller(scene.cloud)
    scene.put("after")
    eventually(settled(function, ["after"]))
    assert function.done() == ["after"]


def test_two_functions_on_one_stream_each_get_every_change(scene: Scene):
    one, other = scene.function("-one"), scene.function("-other")
    scene.map(one), scene.map(other, ParallelizationFactor=5)
    scene.put(*TEN)
    eventually(settled(one, TEN))
    eventually(settled(other, TEN))
    assert one.done() == TEN
    assert sorted(other.done()) == TEN


def test_changed_settings_hold_from_the_next_batch_on(scene: Scene):
    function = scene.function()
    mapping = scene.map(function, BatchSize=1)
    scene.put("a", "b")
    eventually(settled(function, ["a", "b"]))
    scene.change(mapping, BatchSize=10, MaximumBatchingWindowInSeconds=1)
    time.sleep(0.6)  # the poller lists the mappings every half second
    scene.put(*TEN)
    eventually(settled(function, TEN))
    assert function.batches() == [["a"], ["b"], TEN]


# --- failures --------------------------------------------------------------------------------------------------------


def test_of_ten_records_the_one_that_is_poison_alone_ends_in_the_failure_queue(scene: Scene):
    """With bisect, and with partial responses, on one stream at once."""
    url, arn = scene.queue()
    settings = {
        "BisectBatchOnFunctionError": True,
        "MaximumRetryAttempts": 3,
        "MaximumBatchingWindowInSeconds": 1,
        "DestinationConfig": on_failure(arn),
    }
    raises, reports = (scene.function(name, rights=("sqs:SendMessage",)) for name in ("-raises", "-reports"))
    raises.plan(poison=["item-4"])
    reports.plan(poison=["item-4"], report=True)
    by_bisect = scene.map(raises, **settings)
    scene.map(reports, **settings, FunctionResponseTypes=["ReportBatchItemFailures"])
    scene.put(*TEN)

    healthy = [name for name in TEN if name != "item-4"]
    eventually(settled(raises, healthy))
    eventually(settled(reports, healthy))
    failed: list[dict] = []
    eventually(lambda: failed.extend(scene.messages(url)) or len(failed) == 2)

    assert raises.batches()[0] == reports.batches()[0] == TEN
    assert [Counter(each.done()) for each in (raises, reports)] == [Counter(healthy)] * 2
    number = scene.sequence_number("item-4")
    for record in failed:
        assert record["DDBStreamBatchInfo"]["batchSize"] == 1
        assert record["DDBStreamBatchInfo"]["startSequenceNumber"] == number
        assert record["DDBStreamBatchInfo"]["endSequenceNumber"] == number
        assert record["DDBStreamBatchInfo"]["streamArn"] == scene.stream
        assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert record["requestContext"]["approximateInvokeCount"] == 4
    error = {each["requestContext"]["functionArn"]: each["responseContext"]["functionError"] for each in failed}
    assert error == {raises.arn: "Unhandled", reports.arn: None}
    # The function's own words name items: they are nobody's business in a log.
    told = json.dumps(scene.log(by_bisect))
    assert "function failed" in told and "item-4" not in told


def test_what_is_given_up_reaches_a_topic_and_a_bucket_in_aws_shapes(scene: Scene):
    url, queue = scene.queue()
    topic = scene.cloud.client("sns").create_topic(Name=scene.name)["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    scene.cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
    scene.cloud.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": open_to_sns(queue)})
    scene.cloud.client("s3").create_bucket(Bucket=scene.name)
    by_topic = scene.function("-topic", rights=("sns:Publish",))
    by_bucket = scene.function("-bucket", rights=("s3:PutObject", "s3:ListBucket"))
    for function in (by_topic, by_bucket):
        function.plan(poison=["a", "b"])
    settings = {"MaximumRetryAttempts": 0, "MaximumBatchingWindowInSeconds": 1}
    scene.map(by_topic, DestinationConfig=on_failure(topic), **settings)
    mapping = scene.map(by_bucket, DestinationConfig=on_failure(f"arn:aws:s3:::{scene.name}"), **settings)
    scene.put("a", "b")

    message = eventually(lambda: scene.messages(url))[0]
    bucket = scene.cloud.client("s3")
    found = eventually(lambda: bucket.list_objects_v2(Bucket=scene.name).get("Contents"))
    document = json.loads(bucket.get_object(Bucket=scene.name, Key=found[0]["Key"])["Body"].read())

    assert "payload" not in message
    assert found[0]["Key"].startswith(f"aws/lambda/{mapping}/{document['DDBStreamBatchInfo']['shardId']}/2")
    payload = document["payload"]
    event = json.loads(payload) if isinstance(payload, str) else payload
    assert [each["dynamodb"]["Keys"]["id"]["S"] for each in event["Records"]] == ["a", "b"]
    for record in (message, document):
        assert record["requestContext"]["approximateInvokeCount"] == 1
        assert record["responseContext"] == {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"
        }  # fmt: skip
        assert record["DDBStreamBatchInfo"]["batchSize"] == 2


def open_to_sns(queue: str) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_throttled_function_uses_up_no_attempt(scene: Scene):
    url, arn = scene.queue()
    function = scene.function(rights=("sqs:SendMessage",))
    client = scene.cloud.client("lambda")
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    mapping = scene.map(function, MaximumRetryAttempts=0, DestinationConfig=on_failure(arn))
    scene.put("a")
    eventually(lambda: len([line for line in scene.log(mapping) if line["event"] == "function was not run"]) >= 3)
    assert scene.mapping(mapping)["LastProcessingResult"].startswith("PROBLEM: TooManyRequestsException")
    client.delete_function_concurrency(FunctionName=function.name)
    eventually(settled(function, ["a"]))
    assert scene.messages(url) == []
    eventually(lambda: scene.mapping(mapping)["LastProcessingResult"] == "OK")


def test_a_function_that_times_out_has_failed(scene: Scene):
    url, arn = scene.queue()
    function = scene.function(rights=("sqs:SendMessage",), Timeout=1)
    function.plan(sleep=30)
    scene.map(function, MaximumRetryAttempts=0, DestinationConfig=on_failure(arn))
    scene.put("slow")
    failed = eventually(lambda: scene.messages(url))
    assert [each["responseContext"]["functionError"] for each in failed] == ["Unhandled"]
    assert failed[0]["requestContext"]["condition"] == "RetryAttemptsExhausted"
    function.plan()
    scene.put("quick")
    eventually(settled(function, ["quick"]))


def test_a_destination_that_may_not_be_written_to_is_told_by_metric_and_log(scene: Scene):
    _url, arn = scene.queue()
    function = scene.function(rights=("sqs:SendMessage",))
    function.plan(poison=["a"])
    metrics = {"Metrics": ["EventCount"]}
    mapping = scene.map(function, MaximumRetryAttempts=0, DestinationConfig=on_failure(arn), MetricsConfig=metrics)
    scene.give(function.role, *STREAM_ACTIONS)
    scene.put("a", "b")

    dropped = eventually(lambda: [line for line in scene.log(mapping) if line["event"] == "records dropped"])
    number = scene.sequence_number("a")
    assert dropped[0]["first"] == number
    assert arn in dropped[0]["reason"] and "not authorized to perform: sqs:SendMessage" in dropped[0]["reason"]
    eventually(
        lambda: metric(scene, "AWS/Lambda", "DestinationDeliveryFailures", "Sum", FunctionName=function.name) >= 1
    )
    eventually(lambda: metric(scene, "AWS/Lambda", "DroppedEventCount", "Sum", EventSourceMappingUUID=mapping) >= 1)


# --- rights ----------------------------------------------------------------------------------------------------------


def test_reading_waits_for_the_role_and_goes_on_once_it_may(scene: Scene):
    function = scene.function()
    mapping = scene.map(function)
    scene.put("a")
    eventually(settled(function, ["a"]))
    scene.give(function.role, "dynamodb:DescribeStream", "dynamodb:GetShardIterator")
    eventually(lambda: "dynamodb:GetRecords" in scene.mapping(mapping)["LastProcessingResult"])
    assert scene.mapping(mapping)["LastProcessingResult"].startswith("PROBLEM: ")
    scene.put("b")
    scene.give(function.role, *STREAM_ACTIONS)
    eventually(settled(function, ["b"]))
    eventually(lambda: scene.mapping(mapping)["LastProcessingResult"] == "OK")


def test_streams_are_read_as_the_functions_role_and_listed_and_invoked_as_the_service(scene: Scene):
    function = scene.function()
    scene.map(function)
    scene.put("a")
    eventually(settled(function, ["a"]))
    recorded = scene.cloud.actions()
    session = f":assumed-role/{function.role}/{function.name}"
    as_function = {each["action"] for each in recorded if each["principal"].endswith(session)}
    assert as_function == {"dynamodb:DescribeStream", "dynamodb:GetShardIterator", "dynamodb:GetRecords"}
    as_service = {each["principal"] for each in recorded if each["action"] == "lambda:InvokeFunction"}
    assert not any("assumed-role" in principal for principal in as_service)


# --- disabled, killed ------------------------------------------------------------------------------------------------


def test_a_disabled_mapping_invokes_nothing_and_goes_on_where_it_was(scene: Scene):
    function = scene.function()
    mapping = scene.map(function)
    scene.put("a")
    eventually(settled(function, ["a"]))
    scene.change(mapping, Enabled=False)
    scene.put("b", "c")
    time.sleep(1)
    assert function.done() == ["a"]
    scene.change(mapping, Enabled=True)
    eventually(settled(function, ["b", "c"]))
    assert function.done() == ["a", "b", "c"]


def test_killing_the_poller_in_the_middle_of_a_batch_loses_nothing(scene: Scene):
    function = scene.function()
    function.plan(sleep=1)
    mapping = scene.map(function, BatchSize=3)
    checkpoints = scene.cloud.home / "poller" / "checkpoints" / f"{mapping}.json"
    scene.put(*TEN)
    eventually(lambda: len(function.batches()) == 2)
    kill_poller(scene.cloud)
    kept = json.loads(checkpoints.read_text())["shards"]
    assert [each["checkpoint"] for each in kept.values()] == [scene.sequence_number("item-2")]
    function.plan()
    eventually(settled(function, TEN))
    # What was under way comes again, what was noted as done does not.
    assert [count for name, count in Counter(function.done()).items() if name in TEN[:3]] == [1, 1, 1]
    eventually(lambda: scene.sequence_number("item-9") in checkpoints.read_text())


def test_what_a_deleted_mapping_left_is_forgotten(scene: Scene):
    function = scene.function()
    mapping = scene.map(function)
    scene.put("a")
    eventually(settled(function, ["a"]))
    state = scene.cloud.home / "poller"
    eventually(lambda: {path.stem for path in state.rglob("*") if path.stem == mapping})
    scene.end()
    eventually(lambda: not [path for path in state.rglob("*") if path.stem == mapping])
    before = poller_pid(scene.cloud)
    scene.map(function)
    eventually(lambda: function.done() == ["a", "a"])
    assert poller_pid(scene.cloud) == before


# --- tumbling windows, metrics ---------------------------------------------------------------------------------------


def test_a_tumbling_window_carries_its_state_and_ends_with_a_final_call(scene: Scene):
    function = scene.function()
    function.plan(sum=True)
    scene.map(function, TumblingWindowInSeconds=3, BatchSize=2)
    scene.put(*TEN)
    finals = eventually(lambda: [call for call in function.calls() if call["beside"].get("isFinalInvokeForWindow")])
    eventually(
        lambda: (
            sum(c["beside"]["state"]["count"] for c in function.calls() if c["beside"]["isFinalInvokeForWindow"]) == 10
        )
    )
    assert finals[0]["names"] == []
    beside = finals[0]["beside"]
    assert beside["eventSourceARN"] == scene.stream
    assert beside["window"].keys() == {"start", "end"}
    assert function.calls()[0]["beside"]["state"] == {}


def test_the_metrics_of_what_it_does_arrive_under_awss_names_and_dimensions(scene: Scene):
    function = scene.function()
    wanted = {"Filters": [{"Pattern": json.dumps({"dynamodb": {"Keys": {"id": {"S": [{"prefix": "keep"}]}}}})}]}
    mapping = scene.map(function, FilterCriteria=wanted, MetricsConfig={"Metrics": ["EventCount"]})
    scene.put("keep-1", "skip-1", "keep-2")
    eventually(settled(function, ["keep-1", "keep-2"]))

    def events(name: str) -> float:
        return metric(scene, "AWS/Lambda", name, "Sum", EventSourceMappingUUID=mapping)

    eventually(lambda: events("InvokedEventCount") == 2)
    assert (events("PolledEventCount"), events("FilteredOutEventCount")) == (3, 1)
    assert events("FailedInvokeEventCount") == events("DroppedEventCount") == 0
    age = metric(scene, "AWS/Lambda", "IteratorAge", "Maximum", FunctionName=function.name)
    assert 0 <= age < 60_000
    label = scene.stream.rpartition("/")[2]
    read = {"TableName": scene.name, "StreamLabel": label, "Operation": "GetRecords"}
    assert metric(scene, "AWS/DynamoDB", "ReturnedRecordsCount", "Sum", **read) == 3
