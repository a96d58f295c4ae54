"""A batch: audit before notification, order per item, the lowest failure, retries, the deadline; on both layouts."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import json
import threading
import time

import pytest
import stream_processor.envelope
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.envelope import MalformedRecord, item_hash
from stream_processor.handler import handle
from stream_processor.transport import TransportError

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, both_layouts, fail_at, log, processor
from tests.unit.stream_records import FIRST_SECOND, batches, make_record, sample

STAGES = st.sampled_from(["audit", "notify"])


def run(records, transport, context=None, layout="per_change", **event):
    """The handler's answer and its log lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        answer = handle(
            {"Records": records, **event}, context or FakeContext(), processor(transport, layout=layout), log()
        )
    return answer, [json.loads(line) for line in out.getvalue().splitlines()]


def numbers_of(records):
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def three():
    return [make_record({"Id": {"S": name}}, number=10**20 + at) for at, name in enumerate("abc")]


def by_item(batch, numbers):
    """The given sequence numbers in their order, item by item."""
    items = {record["dynamodb"]["SequenceNumber"]: item_hash(record["dynamodb"]["Keys"]) for record in batch}
    found = {}
    for number in numbers:
        found.setdefault(items[number], []).append(number)
    return found


@both_layouts
@settings(max_examples=40)
@given(batch=batches(max_size=14))
def test_every_change_is_audited_and_then_notified_in_order(layout, batch):
    transport = FakeTransport()
    answer, _unused = run(batch, transport, layout=layout)
    assert answer == {"batchItemFailures": []}
    numbers = numbers_of(batch)
    assert sorted(transport.calls) == sorted((stage, number) for number in numbers for stage in ("audit", "notify"))
    for number in numbers:
        assert transport.calls.index(("audit", number)) < transport.calls.index(("notify", number))
    for stage in ("audit", "notify"):
        done = [number for at, number in transport.calls if at == stage]
        assert by_item(batch, done) == by_item(batch, numbers)
    assert transport.audited() == set(numbers)
    if layout == "per_change":
        assert len(transport.objects) == len(batch)


@both_layouts
@settings(max_examples=40)
@given(batch=batches(), data=st.data())
def test_the_first_failure_is_reported_and_nothing_from_it_on_is_notified(layout, batch, data):
    at = data.draw(st.integers(0, len(batch) - 1))
    numbers = numbers_of(batch)
    transport = FakeTransport(fail_at("audit", numbers[at], TransportError("ClientError", "InternalError")))
    answer, _unused = run(batch, transport, layout=layout)
    (failed,) = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    # An object of several changes fails as a whole: then the lowest of them is the one.
    assert int(failed) <= int(numbers[at]) if layout == "per_batch" else failed == numbers[at]
    assert transport.notified() == numbers[: numbers.index(failed)]
    assert set(numbers[: numbers.index(failed)]) <= transport.audited()
    assert numbers[at] not in transport.audited()


@both_layouts
@settings(max_examples=40)
@given(batch=batches(), data=st.data())
def test_a_change_whose_notification_fails_is_reported_and_everything_before_it_is_done(layout, batch, data):
    at = data.draw(st.integers(0, len(batch) - 1))
    numbers = numbers_of(batch)
    transport = FakeTransport(fail_at("notify", numbers[at], TransportError("ClientError", "InternalError")))
    answer, _unused = run(batch, transport, layout=layout)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers[at]}]}
    assert set(numbers[: at + 1]) <= transport.audited()
    assert set(numbers[:at]) <= set(transport.notified())
    assert numbers[at] not in transport.notified()


@both_layouts
@settings(max_examples=40)
@given(batch=batches(), faults=st.lists(st.tuples(STAGES, st.integers(0, 5)), max_size=4, unique=True))
def test_redelivered_from_the_failure_on_nothing_is_lost_and_audit_failures_repeat_no_notification(
    layout, batch, faults
):
    numbers = numbers_of(batch)
    pending = {(stage, numbers[at % len(numbers)]) for stage, at in faults}
    only_audit = all(stage == "audit" for stage, _unused in faults)

    def fail_once(stage, number):
        if (stage, number) in pending:
            pending.discard((stage, number))
            return TransportError("ClientError", "InternalError")
        return None

    transport, rest = FakeTransport(fail_once), batch
    for _unused in range(len(batch) + len(faults)):
        answer, _unused = run(rest, transport, layout=layout)
        if not answer["batchItemFailures"]:
            break
        # As Lambda does: everything from the reported number on comes again.
        reported = answer["batchItemFailures"][0]["itemIdentifier"]
        rest = rest[numbers_of(rest).index(reported) :]
    untroubled = FakeTransport()
    run(batch, untroubled, layout=layout)
    assert transport.audited() == untroubled.audited()
    if layout == "per_change":
        assert transport.objects == untroubled.objects
    notified = transport.notified()
    assert sorted(set(notified)) == sorted(numbers)
    if only_audit:
        assert len(notified) == len(numbers)


@settings(max_examples=40)
@given(batches(min_size=2), st.data())
def test_bytes_and_names_do_not_depend_on_the_batch_or_on_the_try(batch, data):
    cut = data.draw(st.integers(1, len(batch) - 1))
    whole, parts = FakeTransport(), FakeTransport()
    run(batch, whole)
    for part in (batch[:cut], batch[cut:], batch):
        run(copy.deepcopy(part), parts)
    assert parts.objects == whole.objects

    def told(transport):
        return sorted((note.message, note.subject, sorted(note.attributes.items())) for note in transport.notifications)

    assert told(parts) == sorted(2 * told(whole))


@settings(max_examples=40)
@given(batches(), st.data())
def test_a_batch_delivered_again_writes_the_same_objects(batch, data):
    first, again = FakeTransport(), FakeTransport()
    run(batch, first, layout="per_batch")
    run(copy.deepcopy(batch), again, layout="per_batch")
    assert first.objects == again.objects
    _unused, lines = run(batch, first, layout="per_batch")
    assert (lines[-1]["audited"], lines[-1]["already_there"]) == (0, len(batch))


def test_no_clock_decides_what_is_written(monkeypatch):
    class NoClock(stream_processor.envelope.datetime):
        @classmethod
        def now(cls, tz=None):
            raise AssertionError("the clock was asked")

        utcnow = today = now

    class Early(stream_processor.envelope.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 1, 0, 59, 59, tzinfo=tz)

    batch, now, earlier = [sample("insert"), sample("modify"), sample("remove")], FakeTransport(), FakeTransport()
    run(batch, now)
    stream_processor.envelope._iso.cache_clear()
    monkeypatch.setattr(stream_processor.envelope, "datetime", NoClock)
    monkeypatch.setattr("stream_processor.log.datetime", Early)
    monkeypatch.setattr(time, "time", lambda: float(FIRST_SECOND + 3599))
    _unused, (line,) = run(batch, earlier)
    assert line["newest_change_age_ms"] == 0
    assert earlier.objects == now.objects
    assert earlier.notifications == now.notifications


def test_a_change_that_was_audited_already_is_notified_again_and_counted_so():
    transport = FakeTransport()
    run([sample("insert")], transport)
    _unused, (line,) = run([sample("insert")], transport)
    assert (line["audited"], line["already_there"], line["notified"]) == (0, 1, 1)
    assert len(transport.objects) == 1


def test_three_changes_of_one_item_in_one_second_are_three_objects():
    keys = {"UserId": {"S": "a/b c 😀"}, "ActivityId": {"S": "x"}}
    versions = [{**keys, "v": {"N": str(v)}} for v in range(3)]
    images = [(None, versions[0]), (versions[0], versions[1]), (versions[1], versions[2])]
    batch = [make_record(keys, old=old, new=new, number=10**20 + at) for at, (old, new) in enumerate(images)]
    transport = FakeTransport()
    run(batch, transport)
    assert len(transport.objects) == len(transport.notifications) == 3
    assert all(item_hash(keys) in name for name in transport.objects)


def test_the_lowest_undone_number_is_reported_even_of_an_unordered_batch():
    first, second, third = three()
    batch = [second, third, first]
    transport = FakeTransport(fail_at("audit", third["dynamodb"]["SequenceNumber"], TransportError("ClientError")))
    answer, _unused = run(batch, transport)
    assert answer == {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}


def test_numbers_are_compared_as_numbers():
    batch = [make_record(number=number) for number in (10**21, 9 * 10**20)]
    transport = FakeTransport(lambda stage, number: TransportError("ClientError"))
    answer, _unused = run(batch, transport)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(9 * 10**20)}]}


@both_layouts
@pytest.mark.parametrize("missing", ["Keys", "ApproximateCreationDateTime"])
def test_a_malformed_record_fails_alone_and_after_those_before_it(missing, layout):
    batch = three()
    del batch[1]["dynamodb"][missing]
    transport = FakeTransport()
    answer, (failure, line) = run(batch, transport, layout=layout)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers_of(batch)[1]}]}
    assert [number for _unused, number in transport.calls] == [numbers_of(batch)[0]] * 2
    assert (failure["stage"], failure["error_type"]) == ("envelope", "MalformedRecord")
    assert missing in failure["detail"]
    assert (line["records"], line["failures"]) == (3, 2)


@pytest.mark.parametrize("broken", [{}, None, "record", {"dynamodb": {}}, {"dynamodb": {"SequenceNumber": ""}}])
def test_a_record_without_a_sequence_number_fails_the_batch_before_anything_is_done(broken):
    transport = FakeTransport()
    with pytest.raises(MalformedRecord, match="SequenceNumber"):
        run([sample("insert"), broken], transport)
    assert transport.calls == []


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": {}}, {"detail": "from somewhere else"}])
def test_an_event_that_is_not_from_a_stream_fails(event):
    with pytest.raises(MalformedRecord, match="Records"):
        handle(event, FakeContext(), processor(FakeTransport()), log())


WINDOW = {"window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:02:00Z"}}


@pytest.mark.parametrize("event", [{"Records": []}, {}])
def test_the_last_call_of_a_tumbling_window_has_no_records_and_gets_its_state_back(event, capsys):
    event = {**event, **WINDOW, "state": {"count": 7}, "isFinalInvokeForWindow": True}
    answer = handle(event, FakeContext(), processor(FakeTransport()), log())
    assert answer == {"batchItemFailures": [], "state": {"count": 7}}
    line = json.loads(capsys.readouterr().out)
    assert (line["records"], line["first_sequence_number"], line["newest_change_age_ms"]) == (0, None, None)


def test_state_comes_back_with_records_too():
    answer, _unused = run([sample("insert")], FakeTransport(), **WINDOW, state={})
    assert answer == {"batchItemFailures": [], "state": {}}


def test_a_batch_without_records_is_done():
    assert run([], FakeTransport())[0] == {"batchItemFailures": []}


def many(count):
    return [make_record({"Id": {"S": str(at)}}, number=10**20 + at) for at in range(count)]


@pytest.fixture
def hanging():
    """A ``fail`` that hangs in a stage from a change on, until the test is over."""
    released = threading.Event()

    def hang(stage, number):
        return lambda at, of: released.wait(30) and None if at == stage and int(of) >= int(number) else None

    yield hang
    released.set()


def test_when_time_runs_out_what_is_audited_is_announced_and_the_rest_reported(hanging):
    batch = many(38)
    numbers = numbers_of(batch)
    transport = FakeTransport(hanging("audit", numbers[35]))
    before = time.monotonic()
    answer, (failure, line) = run(batch, transport, FakeContext(remaining=1500))
    assert time.monotonic() - before < 20
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers[35]}]}
    assert sorted(transport.notified()) == numbers[:35]
    assert (failure["stage"], failure["error_type"]) == ("deadline", "OutOfTime")
    assert (line["notified"], line["failures"]) == (35, 3)


def test_a_digest_too_tells_of_what_is_audited_when_objects_hang(hanging):
    batch = many(3)
    transport = FakeTransport(hanging("audit", numbers_of(batch)[2]))
    made = processor(transport, notification_mode="digest")
    outcome = made.process(batch, FakeContext(remaining=500).get_remaining_time_in_millis)
    assert outcome.batch_item_failures == [{"itemIdentifier": numbers_of(batch)[2]}]
    assert json.loads(transport.notifications[0].message)["counts"] == {"INSERT": 2}


@both_layouts
@pytest.mark.parametrize("what", ["stream_processor.run.prepare", "stream_processor.announcing.build_notification"])
def test_however_slow_the_function_itself_is_it_gets_on_and_ends_in_time(layout, what, monkeypatch):
    """With little CPU the work on the records takes the time, not AWS."""
    module, name = what.rsplit(".", 1)
    module = importlib.import_module(module)
    quick = getattr(module, name)

    def slow(*given):
        time.sleep(0.02)
        return quick(*given)

    monkeypatch.setattr(module, name, slow)
    batch, transport = many(400), FakeTransport()
    before = time.monotonic()
    answer, (_failure, line) = run(batch, transport, FakeContext(remaining=1000), layout=layout)
    assert time.monotonic() - before < 6  # all of it would take 8 s
    done = numbers_of(batch).index(answer["batchItemFailures"][0]["itemIdentifier"])
    assert done > 0
    assert line["failures"] == 400 - done
    assert set(numbers_of(batch)[:done]) <= set(transport.notified()) & transport.audited()


def test_calls_behind_a_failure_are_not_waited_for_long(hanging):
    batch = many(3)
    first, last = numbers_of(batch)[0], numbers_of(batch)[2]
    hang = hanging("audit", last)
    refused = TransportError("ClientError", "AccessDenied")
    transport = FakeTransport(lambda stage, number: refused if number == first else hang(stage, number))
    before = time.monotonic()
    answer, (failure, _line) = run(batch, transport, FakeContext(remaining=60_000))
    assert time.monotonic() - before < 30
    assert answer == {"batchItemFailures": [{"itemIdentifier": first}]}
    assert failure["aws_code"] == "AccessDenied"


def test_an_environment_without_room_for_more_threads_uses_those_it_has(monkeypatch):
    made = processor(FakeTransport(), concurrency=3)
    start, started = threading.Thread.start, []

    def refuse_all_but_one(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_all_but_one)
    for _batch in range(2):
        outcome = made.process(many(20), FakeContext().get_remaining_time_in_millis)
        assert (outcome.failure, outcome.notified) == (None, 20)
    made.close()
    assert len(started) == 1


def test_without_any_thread_the_batch_fails_and_the_next_one_is_done(monkeypatch):
    made = processor(FakeTransport(), concurrency=3)

    def refuse(_thread):
        raise RuntimeError("no thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="no thread"):
            made.process(many(2), FakeContext().get_remaining_time_in_millis)
    outcome = made.process(many(2), FakeContext().get_remaining_time_in_millis)
    made.close()
    assert (outcome.failure, outcome.notified) == (None, 2)


@both_layouts
def test_without_time_nothing_is_begun_and_all_is_reported(layout):
    transport = FakeTransport()
    answer, (failure, line) = run(three(), transport, FakeContext(remaining=0), layout=layout)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers_of(three())[0]}]}
    assert transport.requests == []
    assert (failure["stage"], failure["error_type"], line["failures"]) == ("deadline", "OutOfTime", 3)


@pytest.mark.parametrize("stage", ["audit", "notify"])
def test_a_call_that_hangs_beyond_its_time_does_not_hold_the_answer_up(stage, hanging):
    before = time.monotonic()
    transport = FakeTransport(hanging(stage, 0))
    answer, (failure, _unused) = run(three(), transport, FakeContext(remaining=200))
    assert time.monotonic() - before < 20
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers_of(three())[0]}]}
    assert (failure["stage"], failure["error_type"]) == ("deadline", "OutOfTime")


def test_what_an_earlier_batch_left_hanging_does_not_count_for_the_next():
    released = threading.Event()
    transport = FakeTransport(lambda at, number: released.wait(30) and None if number == str(10**20) else None)
    run([make_record(number=10**20)], transport, FakeContext(remaining=100))
    threading.Timer(0.1, released.set).start()
    answer, (line,) = run([make_record({"Id": {"S": "next"}}, number=10**20 + 1)], transport)
    assert answer == {"batchItemFailures": []}
    assert (line["records"], line["audited"], line["notified"]) == (1, 1, 1)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_calls_are_made_at_once_than_configured(concurrency):
    batch = many(25)
    lock, now, most = threading.Lock(), [0], [0]

    class Counting(FakeTransport):
        def put_object_if_absent(self, *request):
            with self.counted():
                return super().put_object_if_absent(*request)

        def publish(self, *request):
            with self.counted():
                return super().publish(*request)

        @contextlib.contextmanager
        def counted(self):
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            time.sleep(0.002)
            yield
            with lock:
                now[0] -= 1

    transport = Counting()
    made = processor(transport, concurrency=concurrency)
    outcome = made.process(batch, FakeContext().get_remaining_time_in_millis)
    made.close()
    assert outcome.failure is None
    assert len(transport.notifications) == 25
    assert most[0] == concurrency


def test_a_hundred_changes_are_a_hundred_puts_and_ten_publishes():
    batch = many(100)
    transport = FakeTransport()
    _unused, (line,) = run(batch, transport)
    assert sorted(transport.requests) == [("s3", 1)] * 100 + [("sns", 10)] * 10
    assert (line["s3_calls"], line["sns_calls"]) == (100, 10)


def test_a_hundred_changes_of_one_hour_are_one_object():
    batch = many(100)
    transport = FakeTransport()
    _unused, (line,) = run(batch, transport, layout="per_batch")
    assert sorted(transport.requests) == [("s3", 100)] + [("sns", 10)] * 10
    assert (line["audited"], line["s3_calls"], line["sns_calls"]) == (100, 1, 10)


def test_a_batch_over_an_hours_end_is_one_object_an_hour():
    created = [FIRST_SECOND + 3599, FIRST_SECOND + 3600, FIRST_SECOND + 3599, FIRST_SECOND + 3601]
    batch = [make_record({"Id": {"S": str(at)}}, number=10**20 + at, created=when) for at, when in enumerate(created)]
    transport = FakeTransport()
    run(batch, transport, layout="per_batch")
    assert [name[:25] for name in sorted(transport.objects)] == [
        "audit-logs/2026/01/01/00/",
        "audit-logs/2026/01/01/01/",
    ]
    assert transport.audited() == set(numbers_of(batch))


def test_of_an_object_only_changes_before_the_first_failure_are_written():
    batch = three()
    del batch[1]["dynamodb"]["Keys"]
    transport = FakeTransport()
    run(batch, transport, layout="per_batch")
    assert transport.audited() == {numbers_of(batch)[0]}
