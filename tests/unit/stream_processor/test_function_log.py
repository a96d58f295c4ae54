"""The function's log: one line a batch, one more when it failed, and no item data in either."""

from __future__ import annotations

import base64
import contextlib
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_processor.handler import handle
from stream_processor.log import Log
from stream_processor.transport import TransportError

from tests.unit.stream_processor.fakes import FakeContext, FakeTransport, fail_at, log, processor
from tests.unit.stream_records import make_record, sample


def lines_of(records, transport, **settings):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        handle({"Records": records}, FakeContext(), processor(transport, **settings), log())
    return [json.loads(line) for line in out.getvalue().splitlines()], out.getvalue()


def test_a_batch_is_one_line_of_counts():
    big = make_record(new={"Id": {"S": "item"}, "a": {"S": "x" * 40000}}, number=10**21)
    records = [sample("insert"), sample("modify"), sample("remove"), sample("ttl_remove"), big]
    transport = FakeTransport()
    (line,), _unused = lines_of(records, transport, notification_max_bytes=32768)
    for name in ("newest_change_age_ms", "duration_ms", "s3_ms", "sns_ms"):
        assert isinstance(line.pop(name), int)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "message": "batch",
        "request_id": FakeContext.aws_request_id,
        "records": 5,
        "inserted": 2,
        "modified": 1,
        "removed": 2,
        "expired": 1,
        "audited": 5,
        "already_there": 0,
        "notified": 5,
        "claim_checked": 1,
        "filtered": 0,
        "replayed": 0,
        "failures": 0,
        "s3_calls": 5,
        "sns_calls": 1,
        "first_sequence_number": "100000000000000000001",
        "last_sequence_number": str(10**21),
    }


def test_a_failed_batch_adds_one_line_that_says_where_and_why():
    records = [sample("insert"), sample("modify"), sample("remove")]
    number = sample("modify")["dynamodb"]["SequenceNumber"]
    transport = FakeTransport(fail_at("notify", number, TransportError("ClientError", "KMSAccessDenied")))
    (failure, line), _unused = lines_of(records, transport)
    del failure["timestamp"]
    assert failure == {
        "level": "ERROR",
        "message": "record failed",
        "request_id": FakeContext.aws_request_id,
        "sequence_number": number,
        "stage": "notify",
        "error_type": "ClientError",
        "aws_code": "KMSAccessDenied",
        "detail": "",
    }
    # The third was audited and announced beside them, and comes again all the same.
    assert (line["audited"], line["notified"], line["failures"]) == (3, 2, 2)
    assert line["inserted"] + line["modified"] + line["removed"] + line["failures"] == line["records"]


def test_an_unexpected_error_says_where_it_was_raised_and_not_what_it_said():
    number = sample("insert")["dynamodb"]["SequenceNumber"]
    transport = FakeTransport(fail_at("audit", number, KeyError("customer 7")))
    (failure, _unused), text = lines_of([sample("insert")], transport)
    assert failure["error_type"] == "KeyError"
    assert failure["detail"].startswith("fakes.py:")
    assert "customer" not in text


MARK = "zq"  # no word of the log has it, and 'q' is not a hex digit


def marked(text):
    return MARK + text + MARK


@st.composite
def secret_records(draw):
    """A record whose every name and value is recognisable wherever it turns up, and those names and values."""
    names = [marked(draw(st.text("abc-/ 😀", max_size=4)) + str(at)) for at in range(3)]
    value = marked(draw(st.text("xyz-/ 😀", max_size=4)))
    digits = draw(st.integers(10**29, 10**30 - 1)).__str__()
    binary = base64.b64encode(value.encode()).decode()
    keys = {names[0]: draw(st.sampled_from([{"S": value}, {"B": binary}, {"N": digits}]))}
    old = {**keys, names[1]: {"SS": [value]}, names[2]: {"L": [{"N": digits}, {"M": {names[0]: {"S": value}}}]}}
    new = {**keys, names[1]: {"B": binary}}
    record = make_record(keys, old=draw(st.sampled_from([None, old])), new=new)
    return record, [*names, value, digits, binary, MARK]


@settings(max_examples=80)
@given(
    secret_records(),
    st.sampled_from([None, "audit", "notify", "keys", "image", "set"]),
    st.sampled_from([TransportError, KeyError, ValueError]),
)
def test_no_item_data_reaches_the_log(made, trouble, error):
    record, secrets = made
    number, change = record["dynamodb"]["SequenceNumber"], record["dynamodb"]
    transport = FakeTransport(fail_at(trouble, number, _error(error, secrets)))
    if trouble == "keys":
        change["Keys"] = {name: {"SS": [value]} for name, value in zip(secrets, secrets, strict=True)}
    elif trouble == "image":
        change["NewImage"] = secrets
    elif trouble == "set":
        record.update(eventName="MODIFY")
        change.update(OldImage={secrets[0]: secrets}, NewImage={secrets[0]: secrets[1:]})
    logged, text = lines_of([record], transport)
    assert len(logged) == (1 if trouble is None else 2)
    shown = text + json.dumps(logged, ensure_ascii=False)
    assert not [secret for secret in secrets if secret in shown]


def _error(kind, secrets):
    return kind("ClientError", "InternalError") if kind is TransportError else kind(" ".join(secrets))


@pytest.mark.parametrize(("level", "shown"), [("DEBUG", 2), ("INFO", 2), ("WARNING", 1), ("ERROR", 1)])
def test_the_log_level_decides_what_is_written(level, shown, capsys):
    lines = Log(level)
    lines.line("INFO", "batch")
    lines.line("ERROR", "record failed")
    assert len(capsys.readouterr().out.splitlines()) == shown


@pytest.mark.parametrize(("level", "told"), [("DEBUG", True), ("INFO", False)])
def test_awss_own_message_which_may_name_objects_is_told_at_debug_alone(level, told, capsys):
    error = TransportError("ClientError", "AccessDenied", "not authorized to perform s3:PutObject on a/1.json")
    transport = FakeTransport(fail_at("audit", sample("insert")["dynamodb"]["SequenceNumber"], error))
    handle({"Records": [sample("insert")]}, FakeContext(), processor(transport), Log(level))
    failure = json.loads(capsys.readouterr().out.splitlines()[0])
    assert ("aws_message" in failure) == told
    assert failure.get("aws_message", error.aws_message) == error.aws_message
