"""A whole run against a queue and a function of its own: what is sent, deleted, given back and reported."""

from __future__ import annotations

import json
import stat
import threading

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive import redrive as flow
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive import sending, sources
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.api import (
    TooLarge,
    Unavailable,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.fetching import Fetcher
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.options import Options
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_redrive.progress import Progress
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import (
    Clock,
    Interrupted,
    Signals,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError, InputError
from redrive_support import FUNCTION, MARKER, TABLE, digits, record, text
from test_redrive_fetching import Mappings, Shard

PARAMS = {
    "table_name": TABLE,
    "function_name": FUNCTION,
    "qualifier": None,
    "queue_url": "url",
    "bucket": None,
    "prefix": "aws/lambda/",
    "from": None,
    "to": None,
    "limit": 0,
    "batch_size": 10,
    "concurrency": 2,
    "timeout": 5,
    "log_group": "",
    "dry_run": False,
    "progress_file": None,
    "error_file": None,
}


class Queue:
    """Messages that are hidden while somebody has them."""

    def __init__(self, *bodies):
        self.bodies = {str(place): body for place, body in enumerate(bodies)}
        self.hidden: dict[str, int] = {}
        self.deleted: list[str] = []
        self.others = 0
        #: Whose deletion SQS refuses.
        self.refused: set[str] = set()

    def receive(self, _wait):
        some = [each for each in self.bodies if each not in self.hidden and each not in self.deleted][:10]
        self.hidden.update(dict.fromkeys(some, 300))
        return [{"MessageId": each, "ReceiptHandle": each, "Body": self.bodies[each]} for each in some]

    def in_flight(self):
        return len(self.hidden) + self.others

    def set_visibility(self, handles, seconds):
        for each in handles:
            if seconds:
                self.hidden[each] = seconds
            else:
                del self.hidden[each]

    def delete(self, handles):
        refused = [each for each in handles if each in self.refused]
        for each in set(handles) - self.refused:
            del self.hidden[each]
            self.deleted.append(each)
        return refused

    def left(self):
        assert not self.hidden
        return [each for each in self.bodies if each not in self.deleted]


class Function:
    """Records what it gets; ``refuse`` decides."""

    def __init__(self, refuse=lambda numbers: None):
        self.refuse, self.got, self._lock = refuse, [], threading.Lock()

    def invoke(self, event):
        records = json.loads(event)["Records"]
        numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in records]
        with self._lock:
            answer = self.refuse(numbers)
            if answer is None:
                self.got += numbers
        if isinstance(answer, Exception):
            raise answer
        return answer or (b"", None)


class Logs:
    def __init__(self, *lines):
        self.lines = lines

    def search(self, _pattern, _since):
        return self.lines


def run_of(queue, function, shard=None, logs=None, signals=None, **params):
    params = {**PARAMS, **params}
    clock = Clock(signals or Signals())
    progress = Progress(params["progress_file"], clock)
    source = sources.QueueSource(queue, clock, progress)
    fetcher = Fetcher(shard or Shard(range(1, 200)), Mappings(), FUNCTION, MARKER, source.tick)
    options = Options.read(params, check_mode=False)
    return flow.Redrive(source, fetcher, function, logs, options, clock, progress, MARKER)


def one_each(*numbers):
    return [text(number, number, 1) for number in numbers]


def raising(kind):
    return json.dumps({"errorType": kind, "errorMessage": "secret"}).encode(), "Unhandled"


def test_everything_is_sent_once_and_its_failure_records_deleted():
    queue, function = Queue(*one_each(*range(1, 60)), text(5, 8, 4)), Function()
    run = run_of(queue, function)

    run.run()

    assert sorted(function.got) == list(range(1, 60))
    assert (queue.left(), run.changed, run.complete) == ([], True, True)
    assert run.message() == "59 of 59 changes recovered, 60 of 60 failure records deleted."


def test_a_failure_record_stays_until_all_its_changes_are_processed():
    # Numbers that differ by three are of one item: 4 fails, so 7 is held back, and both failure records stay.
    queue = Queue(text(1, 4, 4), text(7, 8, 2), text(9, 9, 1))
    function = Function(lambda numbers: raising("KeyError") if 4 in numbers else None)
    run = run_of(queue, function)

    run.run()

    assert queue.left() == ["0", "1"]
    report = run.report()
    assert [each["sequence_number"] for each in report["still_failing"]] == [digits(4)]
    assert [each["sequence_number"] for each in report["held_back"]] == [digits(7)]
    assert (report["recovered"], report["complete"], "secret" in json.dumps(report)) == (5, False, False)


def test_the_functions_words_are_only_in_a_file_for_its_owner(tmp_path):
    file = tmp_path / "deep" / "errors"
    function = Function(lambda numbers: raising("KeyError"))
    run = run_of(Queue(*one_each(1)), function, error_file=str(file))
    run.run()

    assert run.write_errors() == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"sequence_number": digits(1), "error_type": "KeyError", "error": "secret"}
    run = run_of(Queue(*one_each(1)), Function(), error_file=str(file))
    run.run()
    assert (run.write_errors(), file.exists()) == (None, False)


def test_the_functions_log_gives_a_reported_change_its_reason():
    report = json.dumps({"batchItemFailures": [{"itemIdentifier": digits(1)}]}).encode(), None
    line = {"message": "record failed", "sequence_number": digits(1), "error_type": "TransportError", "stage": "audit"}
    other = {**line, "sequence_number": digits(2), "error_type": "Other"}
    logs = Logs("no JSON", json.dumps(other), json.dumps({**line, "detail": "secret", "aws_code": "AccessDenied"}))
    run = run_of(Queue(*one_each(1)), Function(lambda numbers: report), logs=logs)

    run.run()

    (failing,) = run.report()["still_failing"]
    assert (failing["error_type"], failing["stage"], failing["aws_code"]) == ("TransportError", "audit", "AccessDenied")
    assert "secret" not in json.dumps(failing)


def test_partly_gone_is_sent_and_kept():
    queue, function = Queue(text(3, 8, 6)), Function()
    run = run_of(queue, function, Shard(range(6, 20)))

    run.run()

    assert (sorted(function.got), queue.left(), run.complete) == ([6, 7, 8], ["0"], False)
    assert run.report()["gone"][0]["end_sequence_number"] == digits(5)


def test_gone_failure_records_do_not_use_up_the_limit():
    queue, function = Queue(*one_each(1, 2, 30, 31, 32)), Function()
    run = run_of(queue, function, Shard(range(30, 40)), limit=2)

    run.run()

    assert (sorted(function.got), queue.left()) == ([30, 31], ["0", "1", "4"])


def test_a_dry_run_counts_and_touches_nothing():
    queue, function = Queue(*one_each(1, 2), "foreign"), Function()
    run = run_of(queue, function, dry_run=True)

    run.run()

    assert (function.got, queue.left(), run.changed, run.complete) == ([], ["0", "1", "2"], False, True)
    assert run.message() == "Would redrive 2 changes of 2 failure records; 1 message of somebody else, left alone."


def test_throttles_are_waited_for(monkeypatch):
    monkeypatch.setattr(sending, "_FIRST_DELAY", 0.01)
    left = [Unavailable("TooManyRequestsException")] * 3
    queue, function = Queue(*one_each(1, 2, 3)), Function(lambda numbers: left.pop() if left else None)

    run_of(queue, function).run()

    assert (sorted(function.got), queue.left()) == ([1, 2, 3], [])


def test_throttles_without_end_stop_the_run_and_give_everything_back(monkeypatch):
    monkeypatch.setattr(sending, "_FIRST_DELAY", 0.01)
    queue, function = Queue(*one_each(1, 2, 3)), Function(lambda numbers: Unavailable("TooManyRequestsException"))
    run = run_of(queue, function, timeout=1)

    with pytest.raises(sending.Stopped, match="TooManyRequestsException"):
        run.run()

    assert (queue.left(), run.complete, run.counts()["not_sent"]) == (["0", "1", "2"], False, 3)


def test_an_event_that_is_too_large_is_halved():
    function = Function(lambda numbers: TooLarge("RequestTooLargeException") if len(numbers) > 1 else None)
    queue = Queue(*one_each(*range(1, 9)))

    run_of(queue, function).run()

    assert (sorted(function.got), queue.left()) == (list(range(1, 9)), [])


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_signal_ends_the_run_with_all_that_is_done_deleted_and_the_rest_given_back(after):
    signals, queue = Signals(), Queue(*one_each(*range(1, 100)))

    def stop_after(_numbers):
        if len(function.got) >= after:
            signals.received = "SIGTERM"

    function = Function(stop_after)
    run = run_of(queue, function, signals=signals, batch_size=1)

    with pytest.raises(Interrupted):
        run.run()

    assert set(map(int, queue.left())) == set(range(99)) - {number - 1 for number in function.got}
    assert len(function.got) == run.report()["recovered"]


def test_an_error_of_aws_ends_the_run_and_keeps_what_is_not_done():
    refused = AnsibleAWSError(message="Failed to invoke the function: AccessDeniedException")
    queue = Queue(*one_each(1, 2))

    with pytest.raises(AnsibleAWSError):
        run_of(queue, Function(lambda numbers: refused)).run()

    assert queue.left() == ["0", "1"]


def test_a_failure_record_that_sqs_does_not_delete_is_told_as_kept_and_given_back():
    queue = Queue(*one_each(1, 2))
    queue.refused = {"1"}
    run = run_of(queue, Function())

    run.run()

    counts = run.report()["counts"]
    assert (counts["deleted"], counts["kept"], counts["recovered"]) == (1, 1, 2)
    assert queue.left() == ["1"]


def test_what_could_not_be_deleted_is_not_told_as_deleted(monkeypatch):
    queue, refused = Queue(*one_each(1)), AnsibleAWSError(message="Failed to delete failure records: AccessDenied")

    def delete(handles):
        if list(handles):
            raise refused

    monkeypatch.setattr(queue, "delete", delete)
    run = run_of(queue, Function())

    with pytest.raises(AnsibleAWSError, match="AccessDenied"):
        run.run()

    assert run.report()["counts"]["deleted"] == 0
    assert queue.left() == ["0"]


def test_a_progress_file_that_can_no_longer_be_written_ends_no_run(monkeypatch, tmp_path):
    queue = Queue(*one_each(1))
    run = run_of(queue, Function(), progress_file=str(tmp_path / "folder" / "progress"))
    (tmp_path / "folder" / "progress").unlink()
    (tmp_path / "folder").rmdir()

    run.run()

    assert (run.report()["recovered"], queue.left()) == (1, [])


def test_a_run_that_meets_another_one_gives_way_until_it_is_alone(monkeypatch):
    queue, function = Queue(*one_each(1, 2)), Function()
    queue.others, seen = 3, []
    monkeypatch.setattr(sources.random, "uniform", lambda *_: 0)
    give_back = queue.set_visibility

    def watched(handles, seconds):
        handles = list(handles)
        give_back(handles, seconds)
        if handles and not seconds:
            seen.append(len(handles))
            queue.others = 0

    queue.set_visibility = watched
    run_of(queue, function).run()

    assert (seen, function.got, queue.left()) == ([2], [1, 2], [])


def test_what_is_held_for_long_is_hidden_for_longer(monkeypatch):
    queue = Queue(*one_each(1))
    monkeypatch.setattr(sources, "VISIBILITY_SECONDS", -2)  # at once
    clock = Clock(Signals())
    source = sources.QueueSource(queue, clock, Progress(None, clock))
    source.read(wait_for_others=False)

    assert queue.hidden == {"0": -2}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"limit": -1}, "limit must be 0 or more, not -1."),
        ({"batch_size": 0}, "batch_size must be from 1 to 10000, not 0."),
        ({"concurrency": 33}, "concurrency must be from 1 to 32, not 33."),
        ({"from": "yesterday"}, "from must be a time in ISO 8601"),
        ({"from": "2026-01-02", "to": "2026-01-01"}, "is later than to"),
    ],
)
def test_options_that_cannot_be_are_refused(given, words):
    with pytest.raises(InputError, match=words):
        Options.read({**PARAMS, **given}, check_mode=False)


def test_check_mode_is_a_dry_run_and_times_without_a_zone_are_utc():
    options = Options.read({**PARAMS, "from": "2026-01-01T10:00:00", "to": ""}, check_mode=True)

    assert (options.dry_run, options.until, options.log_group) == (True, None, "")
    assert options.since.isoformat() == "2026-01-01T10:00:00+00:00"


class Bucket:
    """Objects that another run may delete at any time."""

    def __init__(self, **objects):
        self.objects, self.reads = dict(objects), []

    def keys(self):
        return [*self.objects, "deleted-by-another-run"]

    def read(self, key):
        self.reads.append(key)
        return self.objects.get(key)

    def delete(self, keys):
        for key in keys:
            self.objects.pop(key, None)


@pytest.mark.parametrize("kept_bytes", [10**6, 0])
def test_a_buckets_payloads_are_sent_whether_they_were_kept_or_read_again(monkeypatch, kept_bytes):
    monkeypatch.setattr(flow, "_PAYLOAD_BYTES", kept_bytes)
    bodies = {f"key-{at}": text(at, at, 1, payload={"Records": [record(at, str(at))]}) for at in (5, 3, 4)}
    bucket, function, shard = Bucket(**bodies, other="{}"), Function(), Shard([], there=False)
    clock = Clock(Signals())
    progress = Progress(None, clock)
    source = sources.BucketSource(bucket, clock, progress)
    fetcher = Fetcher(shard, Mappings(), FUNCTION, MARKER, source.tick)
    params = {**PARAMS, "queue_url": None, "bucket": "failures", "limit": 2, "concurrency": 1}
    run = flow.Redrive(source, fetcher, function, None, Options.read(params, False), clock, progress, MARKER)

    run.run()

    assert (function.got, sorted(bucket.objects)) == ([3, 4], ["key-5", "other"])
    assert bucket.reads.count("key-3") == (1 if kept_bytes else 2)
    assert run.report()["foreign"] == [{"id": "other", "reason": "no failure record of a DynamoDB stream"}]
