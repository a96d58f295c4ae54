"""A batch: order, first failure, retries, the deadline."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import time

import pytest
import stream_processor.envelope
import stream_processor.layout
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.envelope import MalformedRecord, item_hash
from stream_processor.handler import handle
from stream_processor.processor import RESERVE_MS
from stream_processor.transport import TransportError

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, fail_at, log, processor
from tests.unit.stream_records import batches, make_record, sample

STAGES = st.sampled_from(["audit", "notify"])


def run(records, transport, context=None, **event):
    """The handler's answer and its log lines."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        answer = handle({"Records": records, **event}, context or FakeContext(), processor(transport), log())
    return answer, [json.loads(line) for line in out.getvalue().splitlines()]


def numbers_of(records):
    return [record["dynamodb"]["SequenceNumber"] for record in records]


def three():
    return [make_record({"Id": {"S": name}}, number=10**20 + at) for at, name in enumerate("abc")]


@settings(max_examples=40)
@given(batches())
def test_every_change_is_audited_and_then_notified_in_order(batch):
    transport = FakeTransport()
    answer, _unused = run(batch, transport)
    assert answer == {"batchItemFailures": []}
    assert transport.calls == [(stage, number) for number in numbers_of(batch) for stage in ("audit", "notify")]
    assert len(transport.objects) == len(batch)


@settings(max_examples=40)
@given(batches(), st.data())
def test_the_first_failure_stops_the_batch_and_is_reported(batch, data):
    at = data.draw(st.integers(0, len(batch) - 1))
    stage = data.draw(STAGES)
    numbers = numbers_of(batch)
    transport = FakeTransport(fail_at(stage, numbers[at], TransportError("ClientError", "InternalError")))
    answer, _unused = run(batch, transport)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers[at]}]}
    before = [(done, number) for number in numbers[:at] for done in ("audit", "notify")]
    failed = [("audit", numbers[at])] + ([("notify", numbers[at])] if stage == "notify" else [])
    assert transport.calls == before + failed
    assert len(transport.notifications) == at


@settings(max_examples=40)
@given(batches(), st.lists(st.tuples(STAGES, st.integers(0, 5)), max_size=4, unique=True))
def test_redelivered_from_the_failure_on_nothing_is_lost_and_audit_failures_repeat_no_notification(batch, faults):
    numbers = numbers_of(batch)
    pending = {(stage, numbers[at % len(numbers)]) for stage, at in faults}

    def fail_once(stage, number):
        if (stage, number) in pending:
            pending.discard((stage, number))
            return TransportError("ClientError", "InternalError")
        return None

    transport, rest = FakeTransport(fail_once), batch
    for _unused in range(len(batch) + len(faults)):
        answer, _unused = run(rest, transport)
        if not answer["batchItemFailures"]:
            break
        # As Lambda does: everything from the reported number on comes again.
        reported = answer["batchItemFailures"][0]["itemIdentifier"]
        rest = rest[numbers_of(rest).index(reported) :]
    untroubled = FakeTransport()
    run(batch, untroubled)
    assert transport.objects == untroubled.objects
    assert transport.notifications == untroubled.notifications


@settings(max_examples=40)
@given(batches(min_size=2), st.data())
def test_bytes_and_names_do_not_depend_on_the_batch_or_on_the_try(batch, data):
    cut = data.draw(st.integers(1, len(batch) - 1))
    whole, parts = FakeTransport(), FakeTransport()
    run(batch, whole)
    for part in (batch[:cut], batch[cut:], batch):
        run(copy.deepcopy(part), parts)
    assert parts.objects == whole.objects
    assert parts.notifications[: len(batch)] == parts.notifications[len(batch) :] == whole.notifications


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
    monkeypatch.setattr(stream_processor.envelope, "datetime", NoClock)
    monkeypatch.setattr(stream_processor.layout, "datetime", NoClock)
    monkeypatch.setattr("stream_processor.handler.datetime", Early)
    monkeypatch.setattr(time, "time", lambda: 0.0)
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


@pytest.mark.parametrize("missing", ["Keys", "ApproximateCreationDateTime"])
def test_a_malformed_record_fails_alone_and_after_those_before_it(missing):
    batch = three()
    del batch[1]["dynamodb"][missing]
    transport = FakeTransport()
    answer, (failure, line) = run(batch, transport)
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


def test_when_time_runs_out_the_rest_is_reported_instead_of_timing_out():
    batch, transport = three(), FakeTransport()
    # Asked once for the reserve and once before each record: two records fit, the third would not.
    context = FakeContext(remaining=RESERVE_MS * 2 + 2, step=RESERVE_MS // 3 + 1)
    answer, (failure, line) = run(batch, transport, context)
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers_of(batch)[2]}]}
    assert [number for stage, number in transport.calls if stage == "notify"] == numbers_of(batch)[:2]
    assert (failure["stage"], failure["error_type"]) == ("deadline", "OutOfTime")
    assert (line["records"], line["notified"], line["failures"]) == (3, 2, 1)


def test_a_function_with_a_short_timeout_still_makes_progress():
    batch, transport = three(), FakeTransport()
    answer, _unused = run(batch, transport, FakeContext(remaining=3000, step=700))
    assert answer == {"batchItemFailures": [{"itemIdentifier": numbers_of(batch)[1]}]}
    assert len(transport.notifications) == 1
