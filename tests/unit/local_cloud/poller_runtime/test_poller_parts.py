"""The poller's small parts: records, settings, destinations, checkpoints, metrics, invocations."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from fake_aws import FUNCTION, STREAM, FakeAws, FakeSts, record, refusal

from local_cloud.poller import aws, destination
from local_cloud.poller.invoke import invoke
from local_cloud.poller.metrics import Metrics
from local_cloud.poller.model import Counts, Discard, FunctionError, NotRun, Returned, Saved, Settings
from local_cloud.poller.records import destination_of, lambda_record, settings_of
from local_cloud.poller.store import Store

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:failures"
NAMED = {"uuid": "uuid-1", "function_arn": FUNCTION, "stream_arn": STREAM}

# --- records and settings --------------------------------------------------------------------------------------------


def test_a_record_becomes_json_as_lambda_has_it():
    read = record(1)
    read["dynamodb"] |= {
        "ApproximateCreationDateTime": datetime(2026, 1, 1, 0, 0, 0, 999_000, UTC),
        "NewImage": {"raw": {"B": b"\x00\xff"}, "set": {"BS": [b"\x01"]}, "in": {"L": [{"M": {"b": {"B": b"\x02"}}}]}},
    }
    read["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    told = lambda_record(read, STREAM)
    assert told["dynamodb"]["ApproximateCreationDateTime"] == 1767225600
    assert told["dynamodb"]["NewImage"] == {
        "raw": {"B": "AP8="}, "set": {"BS": ["AQ=="]}, "in": {"L": [{"M": {"b": {"B": "Ag=="}}}]}
    }  # fmt: skip
    assert told["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert told["eventSourceARN"] == STREAM
    assert json.loads(json.dumps(told)) == told


def test_a_mapping_without_settings_has_awss_defaults():
    assert settings_of({}) == Settings()
    assert destination_of({"DestinationConfig": {"OnFailure": {}}}) == ""


def test_every_setting_of_a_mapping_is_taken_over():
    mapping = {
        "BatchSize": 7, "MaximumBatchingWindowInSeconds": 2, "ParallelizationFactor": 3, "MaximumRetryAttempts": 4,
        "MaximumRecordAgeInSeconds": 60, "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "TumblingWindowInSeconds": 5,
        "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
    }  # fmt: skip
    assert settings_of(mapping, 600) == Settings(7, 2, 3, 4, 60, True, True, 5, ("{}",), 600)


# --- invocations -----------------------------------------------------------------------------------------------------


class Answers:
    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []

    def __getattr__(self, _operation: str) -> Any:
        def call(**request: Any) -> Any:
            self.asked.append(request)
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def answered(payload: bytes, **more: Any) -> dict[str, Any]:
    return {
        "StatusCode": 200, "ExecutedVersion": "7", "Payload": io.BytesIO(payload),
        "ResponseMetadata": {"RequestId": "r"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered(b'{"a": 1}'), Returned({"a": 1}, 200, "7", "r")),
        (answered(b""), Returned(None, 200, "7", "r")),
        (answered(b"plain"), Returned("plain", 200, "7", "r")),
        (answered(b"{}", FunctionError="Unhandled"), FunctionError(200, "7", "Unhandled", "r")),
        (refusal("TooManyRequestsException"), NotRun("TooManyRequestsException: so AWS says")),
        (refusal("ResourceNotFoundException"), NotRun("ResourceNotFoundException: so AWS says")),
    ],
)
def test_what_became_of_an_invocation_is_told(answer: Any, outcome: Any):
    assert invoke(Answers(answer), FUNCTION, {"Records": []}) == outcome


@pytest.mark.parametrize("error", [EndpointConnectionError(endpoint_url="x"), ReadTimeoutError(endpoint_url="x")])
def test_no_answer_is_no_attempt(error: Exception):
    assert isinstance(invoke(Answers(error), FUNCTION, {"Records": []}), NotRun)


# --- destinations ----------------------------------------------------------------------------------------------------


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(destination, "time", SimpleNamespace(sleep=waited.append, time=lambda: 1767225600.0))
    return waited


def discard() -> Discard:
    told = lambda_record(record(1), STREAM)
    return Discard(1, (told,), "RetryAttemptsExhausted", 4, FunctionError(200, "7", "Unhandled", "request-9"))


def test_a_failure_record_names_the_last_invocation_and_goes_to_the_queues_url(no_waiting: list[float]):
    queue = Answers({})
    queue.meta = SimpleNamespace(endpoint_url="http://127.0.0.1:4566/")
    seen: list[Exception] = []
    assert destination.deliver({"sqs": queue}.__getitem__, seen.append, QUEUE, discard(), NAMED, "shard-1") == ""
    assert queue.asked[0]["QueueUrl"] == "http://127.0.0.1:4566/123456789012/failures"
    document = json.loads(queue.asked[0]["MessageBody"])
    assert document["requestContext"]["requestId"] == "request-9"
    assert "payload" not in document and no_waiting == seen == []


def test_a_bucket_gets_the_same_object_however_often_it_is_tried(no_waiting: list[float]):
    bucket = Answers(refusal("SlowDown"), {})
    why = destination.deliver(lambda _service: bucket, lambda _error: None, "arn:aws:s3:::mine", discard(), NAMED, "s")
    assert why == ""
    first, second = bucket.asked
    assert first == second
    assert first["Bucket"] == "mine" and first["Key"].startswith("aws/lambda/uuid-1/s/2026/01/01/")
    assert "payload" in json.loads(first["Body"])


def test_a_destination_that_keeps_refusing_is_given_up_in_awss_words(no_waiting: list[float]):
    topic = Answers(*[refusal("AuthorizationError", "you may not")] * 9)
    seen: list[Exception] = []
    arn = "arn:aws:sns:eu-west-1:123456789012:failures"
    why = destination.deliver(lambda _service: topic, seen.append, arn, discard(), NAMED, "s")
    assert why == "AuthorizationError: you may not"
    assert len(topic.asked) == len(seen) == len(destination.RETRY_AFTER) + 1
    assert no_waiting == list(destination.RETRY_AFTER)


# --- roles -----------------------------------------------------------------------------------------------------------


def test_a_roles_credentials_are_used_until_shortly_before_they_expire():
    lasting, made = FakeSts(), FakeAws(sqs=object())
    role = aws.FunctionRole(made, lasting, "arn:role", "a function/with odd:letters")
    assert role.client("sqs") is role.client("sqs")
    assert made.made == [("sqs", "ASIA1")]
    assert lasting.assumed == [{"RoleArn": "arn:role", "RoleSessionName": "a-function-with-odd-letters"}]
    role.renew()
    role.client("sqs")
    assert made.made[-1] == ("sqs", "ASIA2")


# --- checkpoints -----------------------------------------------------------------------------------------------------


def test_checkpoints_are_read_back_as_they_were_written(tmp_path: Path):
    store = Store(tmp_path).mapping("uuid-1", STREAM)
    assert not store.placed
    saved = {"a": Saved("1", window={"start": 1, "end": 2, "state": {"n": 1}}), "b": Saved("2", finished=True)}
    store.place({})
    for shard, each in saved.items():
        store.save(shard, each)
    again = Store(tmp_path).mapping("uuid-1", STREAM)
    assert again.placed and again.saved() == saved
    again.keep_only({"a"})
    assert Store(tmp_path).mapping("uuid-1", STREAM).saved() == {"a": saved["a"]}


@pytest.mark.parametrize("text", ["", "{", json.dumps({"stream_arn": "another", "shards": {}})])
def test_a_file_that_is_none_of_ours_reads_the_stream_from_its_beginning(tmp_path: Path, text: str):
    Store(tmp_path)
    (tmp_path / "checkpoints" / "uuid-1.json").write_text(text)
    store = Store(tmp_path).mapping("uuid-1", STREAM)
    assert not store.placed and store.saved() == {}


def test_a_mapping_that_is_gone_leaves_nothing_even_when_something_still_ends(tmp_path: Path):
    store = Store(tmp_path)
    gone = store.mapping("gone", STREAM)
    gone.place({})
    store.tell("gone", "OK")
    store.mapping("here", STREAM).place({})
    gone.forget()
    gone.save("a", Saved("1"))
    store.forget("gone")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"] == ["here.json"]


# --- metrics ---------------------------------------------------------------------------------------------------------


class CloudWatch:
    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.refuses = False

    def put_metric_data(self, **request: Any) -> None:
        if self.refuses:
            raise refusal("Throttling")
        self.taken.append(request)

    def total(self, name: str) -> dict[str, float]:
        data = [each for request in self.taken for each in request["MetricData"] if each["MetricName"] == name]
        assert len(data) == 1
        return data[0]["StatisticValues"]


def test_values_of_a_metric_are_sent_together_and_kept_while_they_are_refused():
    cloudwatch, told = CloudWatch(), []
    metrics = Metrics(cloudwatch, lambda event, **details: told.append(event))
    metrics.iterator_age(FUNCTION, 100)
    cloudwatch.refuses = True
    metrics.send()
    metrics.send()
    cloudwatch.refuses = False
    metrics.iterator_age(FUNCTION, 300)
    metrics.events("uuid-1", Counts(polled=5, dropped=2))
    metrics.returned_records(STREAM, 5)
    metrics.send()
    metrics.send()
    assert told == ["metrics are not taken"]
    assert cloudwatch.total("IteratorAge") == {"SampleCount": 2, "Sum": 400, "Minimum": 100, "Maximum": 300}
    assert cloudwatch.total("DroppedEventCount")["Sum"] == 2
    by_namespace = {
        each["Namespace"]: [datum["MetricName"] for datum in each["MetricData"]] for each in cloudwatch.taken
    }
    assert by_namespace == {
        "AWS/Lambda": ["IteratorAge", "PolledEventCount", "DroppedEventCount"],
        "AWS/DynamoDB": ["ReturnedRecordsCount"],
    }
    dimensions = cloudwatch.taken[-1]["MetricData"][0]["Dimensions"]
    assert {each["Name"]: each["Value"] for each in dimensions} == {
        "TableName": "orders", "StreamLabel": "2026-01-01T00:00:00.000", "Operation": "GetRecords"
    }  # fmt: skip


def test_metrics_that_are_off_cost_nothing():
    metrics = Metrics(None, print)
    metrics.destination_failure(FUNCTION)
    metrics.send()
