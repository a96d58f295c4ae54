"""What rules make of a batch: sinks, redaction, headings, and a rule that fails."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import given, settings
from stream_processor import handler
from stream_processor.rules import load_rules

from tests.unit.stream_processor.fakes import (
    FakeContext,
    FakeTransport,
    both_layouts,
    envelopes_in,
    log,
    processor,
)
from tests.unit.stream_records import batches, make_record

RULES = [
    {"name": "cancelled", "when": "old.status != 'CANCELLED' && new.status == 'CANCELLED'", "subject": "Cancelled",
     "attributes": {"priority": "high"}},
    {"name": "noise", "changed_only": ["IPAddress", "UserAgent"], "sinks": ["audit"]},
    {"name": "secret", "event_names": ["INSERT"], "when": "new.kind == 'secret'", "sinks": ["notify"]},
    {"name": "test", "when": "new.kind == 'test'", "sinks": []},
    {"name": "typed", "when": "starts_with(new.code, 'A')", "event_names": ["INSERT"], "attributes": {"code": "a"}},
    {"name": "personal", "audit": {"mask": ["Email"]}, "notification": {"drop": ["Email", "IPAddress"]}},
]  # fmt: skip


def item(name, **attributes):
    return {"Id": {"S": name}, **{key: {"S": value} for key, value in attributes.items()}, "code": {"S": "A1"}}


def insert(number, name, **attributes):
    new = item(name, **attributes)
    return make_record({"Id": {"S": name}}, new=new, number=number)


def modify(number, name, old, new):
    return make_record({"Id": {"S": name}}, old=item(name, **old), new=item(name, **new), number=number)


def run(records, layout="per_change", rules=tuple(RULES), **options):
    transport, out = FakeTransport(), io.StringIO()
    made = processor(transport, load_rules(list(rules)) if rules else None, layout=layout, **options)
    with contextlib.redirect_stdout(out):
        answer = handler.handle({"Records": records}, FakeContext(), made, log())
    return answer, transport, [json.loads(line) for line in out.getvalue().splitlines()]


@both_layouts
def test_each_change_goes_where_the_rules_send_it(layout):
    records = [
        insert(10**20, "plain"),
        modify(10**20 + 1, "noisy", {"IPAddress": "192.0.2.1"}, {"IPAddress": "192.0.2.2"}),
        insert(10**20 + 2, "hidden", kind="secret"),
        insert(10**20 + 3, "nobody", kind="test"),
        modify(10**20 + 4, "order", {"status": "OPEN"}, {"status": "CANCELLED"}),
    ]
    answer, transport, (line,) = run(records, layout)
    numbers = [str(10**20 + at) for at in range(5)]
    assert answer == {"batchItemFailures": []}
    assert transport.audited() == {numbers[0], numbers[1], numbers[4]}
    assert sorted(transport.notified()) == [numbers[0], numbers[2], numbers[4]]
    assert (line["audited"], line["notified"], line["filtered"], line["failures"]) == (3, 3, 1, 0)
    cancelled = transport.notifications[transport.notified().index(numbers[4])]
    assert cancelled.subject == "Cancelled"
    assert cancelled.attributes == {"priority": "high", "eventName": "MODIFY", "table": "Items"}


@both_layouts
def test_what_is_masked_or_dropped_reaches_neither_sink(layout):
    record = modify(
        10**20, "person", {"Email": "zq-old", "IPAddress": "zq-ip"}, {"Email": "zq-new", "IPAddress": "zq-ip2"}
    )
    _answer, transport, _lines = run([record], layout)
    ((key, body),) = transport.objects.items()
    (audited,) = envelopes_in(key, body)
    assert audited["oldImage"]["Email"] == audited["newImage"]["Email"] == {"S": "***"}
    assert audited["newImage"]["IPAddress"] == {"S": "zq-ip2"}
    assert audited["changedAttributes"] == ["Email", "IPAddress"]
    told = json.loads(transport.notifications[0].message)["details"]
    assert told["changedAttributes"] == []
    assert set(told["newImage"]) == {"Id", "code"}
    assert "zq" not in transport.notifications[0].message


def test_a_rule_that_fails_fails_its_record_and_not_those_before_it():
    broken = make_record({"Id": {"S": "zq"}}, new={"Id": {"S": "zq"}, "code": {"N": "7"}}, number=10**20 + 1)
    records = [insert(10**20, "fine"), broken, insert(10**20 + 2, "later")]
    answer, transport, (failed, line) = run(records)
    assert answer == {"batchItemFailures": [{"itemIdentifier": str(10**20 + 1)}]}
    assert transport.notified() == [str(10**20)]
    assert (failed["stage"], failed["error_type"]) == ("rules", "RuleFailed")
    assert "typed" in failed["detail"]
    assert "zq" not in json.dumps([failed, line])
    assert line["failures"] == 2


def test_a_notification_over_the_limit_has_an_audit_object_whatever_the_rules_say():
    rules = [{"sinks": ["notify"], "audit": {"drop": ["Email"]}}]
    records = [insert(10**20, "large", pad="x" * 40000, Email="zq"), insert(10**20 + 1, "small")]
    _answer, transport, (line,) = run(records, rules=rules, notification_max_bytes=32768)
    ((key, body),) = transport.objects.items()
    told = [json.loads(note.message)["details"] for note in transport.notifications]
    assert [each["audit"]["key"] for each in told if "audit" in each] == [key]
    assert b"zq" not in body
    assert (line["audited"], line["notified"], line["claim_checked"]) == (1, 2, 1)


def test_a_digest_tells_only_of_changes_that_are_to_be_announced():
    records = [insert(10**20, "plain"), insert(10**20 + 1, "nobody", kind="test")]
    _answer, transport, _lines = run(records, notification_mode="digest")
    assert json.loads(transport.notifications[0].message)["counts"] == {"INSERT": 1}
    _answer, transport, _lines = run(records[1:], notification_mode="digest")
    assert transport.requests == []


def test_a_digest_of_changes_that_are_not_audited_names_no_object():
    _answer, transport, _lines = run([insert(10**20, "x", kind="secret")], notification_mode="digest")
    assert "audit" not in json.loads(transport.notifications[0].message)


@both_layouts
@settings(max_examples=30, deadline=None)
@given(batch=batches(max_size=8))
def test_rules_that_apply_to_nothing_change_nothing(layout, batch):
    rules = [{"name": "never", "when": "table == 'another'", "sinks": []}]
    _answer, ruled, _lines = run(batch, layout, rules)
    _answer, plain, _lines = run(batch, layout, None)
    assert ruled.objects == plain.objects
    assert sorted(ruled.notified()) == sorted(plain.notified())


@pytest.fixture
def deployed(tmp_path, monkeypatch):
    """The package's rules.json, and the environment a cold start needs."""
    monkeypatch.setattr(handler, "RULES_FILE", tmp_path / "rules.json")
    monkeypatch.setenv("S3_BUCKET_NAME", "audit-bucket")
    monkeypatch.setenv("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:changes")
    handler._runtime.cache_clear()
    yield tmp_path / "rules.json"
    handler._runtime.cache_clear()


def test_the_rules_of_the_package_are_read_at_a_cold_start(deployed):
    deployed.write_text(json.dumps(RULES))
    made, _log = handler._runtime()
    assert made.rules.decide({"eventName": "INSERT", "keys": {}, "newImage": item("x", kind="test")}).audit is False


def test_a_package_without_rules_has_none(deployed):
    made, _log = handler._runtime()
    assert made.rules is None
