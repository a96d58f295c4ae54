"""What was seen, what is missing, and what the user is told."""

from __future__ import annotations

import json
import statistics

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import ledger as evidence
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.envelope import Message
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.ledger import (
    AUDIT,
    NOTIFICATION,
    Check,
    Ledger,
)
from hypothesis import given
from hypothesis import strategies as st
from stream_processor import envelope as function
from stream_processor.layout import per_change

from tests.unit.pipeline_verify.verify_support import BUCKET, NOW, PREFIX, RUN_ID, changes_of, record_of, stream

STREAM = stream()


def a_ledger(notified=True, **how):
    ledger = Ledger(RUN_ID, changes_of(STREAM, **how), STREAM, BUCKET, PREFIX, notified)
    for trace in ledger.traces:
        trace.written_at = 100.0
    return ledger


def envelope_of(trace, number):
    return function.to_envelope(record_of(trace.change, STREAM, number))


def notice_of(trace, number, **more):
    attributes = {"eventName": trace.change.event_name, "table": "Orders"}
    return Message({**envelope_of(trace, number), **more}, "told", attributes)


def take(ledger, *channels, numbers=None, at=100.5):
    """Every change was seen in the channels, in the order of writing unless numbers say otherwise."""
    for place, trace in enumerate(ledger.traces):
        number = numbers[place] if numbers else 10 + place
        envelope = envelope_of(trace, number)
        if AUDIT in channels:
            ledger.take_audit(per_change(envelope, PREFIX), envelope, at)
        if NOTIFICATION in channels:
            ledger.take_message(notice_of(trace, number), at)


def checked(ledger):
    checks = [
        evidence.channel_check(ledger, AUDIT, "audit", 9, NOW, NOW),
        evidence.channel_check(ledger, NOTIFICATION, "notification", 9, NOW, NOW),
        evidence.order_check(ledger),
        evidence.filter_check(ledger, 1),
    ]
    return {check.name: check for check in checks}


def test_a_run_is_complete_when_every_change_was_seen_in_both_channels():
    ledger = a_ledger(count=2)
    take(ledger, AUDIT)
    assert not ledger.complete()
    assert len(ledger.missing(NOTIFICATION)) == 6

    take(ledger, NOTIFICATION)
    assert ledger.complete()
    assert all(check.ok for check in checked(ledger).values())


def test_without_a_topic_audit_objects_are_enough():
    ledger = a_ledger(notified=False)
    take(ledger, AUDIT)

    assert ledger.complete()
    assert checked(ledger)["notification"].ok is None
    assert "notification" not in ledger.change_report(ledger.traces[0], NOW, NOW)


def test_changes_of_other_runs_and_other_items_are_not_taken():
    ledger = a_ledger()
    theirs = {**envelope_of(ledger.traces[0], 7), "keys": {"Id": {"S": "theirs"}}}
    ledger.take_audit("audit-logs/theirs.json", theirs, 101)
    ledger.take_audit("audit-logs/broken.json", None, 101)
    ledger.take_message(Message(theirs, "told", {}), 101)
    ledger.take_message(Message({}, None, {}), 101)

    assert len(ledger.missing(AUDIT)) == len(ledger.missing(NOTIFICATION)) == 3


def test_what_is_missing_is_told_by_event_and_item_hash():
    ledger = a_ledger()
    insert = ledger.traces[0]

    audit = checked(ledger)["audit"]

    assert audit.ok is False
    assert audit.problems[0] == f"INSERT of item {insert.change.item.hash} has no audit object after 9 s"


def test_a_change_that_was_not_written_is_not_awaited():
    ledger = a_ledger()
    for trace in ledger.traces:
        trace.written_at = None

    assert ledger.complete()


def test_a_notification_that_came_twice_is_one():
    ledger = a_ledger()
    take(ledger, AUDIT, NOTIFICATION)
    take(ledger, NOTIFICATION, at=200)

    assert checked(ledger)["notification"].ok
    assert ledger.traces[0].latency_ms(NOTIFICATION) == 500


def test_a_second_audit_object_of_a_change_is_a_fault():
    ledger = a_ledger()
    take(ledger, AUDIT)
    take(ledger, AUDIT, numbers=[110, 111, 112])

    assert "more than one audit object" in checked(ledger)["audit"].detail


def test_a_notification_unlike_its_audit_object_is_a_fault():
    ledger = a_ledger()
    take(ledger, AUDIT)
    for place, trace in enumerate(ledger.traces):
        ledger.take_message(notice_of(trace, 10 + place, sizeBytes=1), 101)

    assert "sizeBytes differs from the audit object" in checked(ledger)["notification"].detail
    assert ledger.change_report(ledger.traces[0], NOW, NOW)["notification_ok"] is False


def test_a_claim_check_must_name_the_changes_own_audit_object():
    ledger = a_ledger()
    take(ledger, AUDIT)
    trace = ledger.traces[0]
    audit = {"bucket": BUCKET, "key": "audit-logs/other.json"}
    ledger.take_message(notice_of(trace, 10, audit=audit), 101)

    assert "does not name the change's audit object" in checked(ledger)["notification"].detail
    assert ledger.change_report(trace, NOW, NOW)["notification"] == "claim_check"


def test_notifications_tell_where_missing_audit_objects_are():
    ledger = a_ledger()
    first, second, _third = ledger.traces
    ledger.take_message(notice_of(first, 10), 101)
    ledger.take_message(notice_of(second, 11, audit={"bucket": BUCKET, "key": "audit-logs/claimed.json"}), 101)

    assert ledger.audit_keys_to_read() == [per_change(envelope_of(first, 10), PREFIX), "audit-logs/claimed.json"]

    take(ledger, AUDIT)
    assert ledger.audit_keys_to_read() == []


@pytest.mark.parametrize(
    ("numbers", "well"),
    [([10, 11, 12], True), ([9, 10, 100], True), ([10, 12, 11], False), ([10, 10, 12], False), ([12, 11, 10], False)],
)
def test_sequence_numbers_of_an_item_must_rise_as_numbers(numbers, well):
    ledger = a_ledger()
    take(ledger, AUDIT, NOTIFICATION, numbers=numbers)

    assert checked(ledger)["order"].ok is well


def test_items_need_no_order_among_each_other():
    ledger = a_ledger(count=2)
    take(ledger, AUDIT, numbers=[50, 10, 51, 11, 52, 12])

    assert checked(ledger)["order"].ok


def test_order_is_judged_over_a_change_that_is_missing_or_filtered_out():
    ledger = a_ledger(patterns=[{"eventName": ["INSERT", "REMOVE"]}])
    for trace, number in ((ledger.traces[0], 20), (ledger.traces[2], 10)):
        envelope = envelope_of(trace, number)
        ledger.take_audit(per_change(envelope, PREFIX), envelope, 101)

    assert checked(ledger)["order"].ok is False


def test_a_filtered_change_that_appears_is_told():
    ledger = a_ledger(patterns=[{"eventName": ["INSERT"]}])
    take(ledger, AUDIT)
    modify = ledger.traces[1]

    assert "MODIFY of item" in checked(ledger)["filters"].detail
    assert "passed the mapping's filters" in checked(ledger)["filters"].detail
    assert ledger.change_report(modify, NOW, NOW)["audit_ok"] is False


def test_filtered_changes_are_neither_awaited_nor_missed():
    ledger = a_ledger(patterns=[{"eventName": ["INSERT"]}])
    trace = ledger.traces[0]
    envelope = envelope_of(trace, 10)
    ledger.take_audit(per_change(envelope, PREFIX), envelope, 101)
    ledger.take_message(notice_of(trace, 10), 101)

    assert ledger.complete()
    assert all(check.ok for check in checked(ledger).values())
    assert all(ledger.change_report(each, NOW, NOW)["audit_ok"] for each in ledger.traces)


def test_a_change_whose_filter_only_aws_can_decide_is_judged_only_when_it_comes():
    patterns = [{"eventName": ["INSERT"]}, {"dynamodb": {"SizeBytes": [{"numeric": [">", 5]}]}}]
    ledger = a_ledger(patterns=patterns)
    assert [trace.change.expected for trace in ledger.traces] == [True, None, None]
    assert ledger.change_report(ledger.traces[1], NOW, NOW)["audit_ok"] is True
    assert "2 hang on what only AWS knows" in checked(ledger)["filters"].detail

    take(ledger, AUDIT, NOTIFICATION)
    assert all(check.ok for check in checked(ledger).values())


def test_the_report_names_no_key_and_no_image():
    ledger = a_ledger(attributes={"secret": {"S": "do-not-tell"}})
    take(ledger, AUDIT, NOTIFICATION, numbers=[12, 11, 10])
    report = [ledger.change_report(trace, NOW, NOW) for trace in ledger.traces]
    told = json.dumps([report, [check.detail for check in checked(ledger).values()]], ensure_ascii=False)

    assert RUN_ID not in told and "do-not-tell" not in told
    assert report[0] == {
        "event_name": "INSERT",
        "item": ledger.traces[0].change.item.hash,
        "expected": True,
        "sequence_number": "12",
        "audit_key": per_change(envelope_of(ledger.traces[0], 12), PREFIX),
        "audit_ok": True,
        "audit_latency_ms": 500,
        "notification": "full",
        "notification_ok": True,
        "notification_latency_ms": 500,
    }


def test_a_large_change_must_come_as_a_claim_check():
    ledger = a_ledger(pad=600, limit=1000)
    take(ledger, AUDIT, NOTIFICATION)
    check = evidence.claim_check_check(ledger, wanted=True)
    assert check.ok is False and check.problems[0].startswith("MODIFY of item")

    ledger = a_ledger(pad=600, limit=1000)
    for place, trace in enumerate(ledger.traces):
        key = per_change(envelope_of(trace, 10 + place), PREFIX)
        ledger.take_message(notice_of(trace, 10 + place, audit={"bucket": BUCKET, "key": key}), 101)
    assert evidence.claim_check_check(ledger, wanted=True).ok is True


@pytest.mark.parametrize(
    ("wanted", "notified", "patterns", "why"),
    [
        (False, True, (), "large_item is off"),
        (True, False, (), "change_topic_arn is not given"),
        (True, True, ({"eventName": ["INSERT"]},), "the filters let no change over the limit through"),
    ],
)
def test_where_no_claim_check_can_be_proven_it_is_said_why(wanted, notified, patterns, why):
    ledger = a_ledger(notified, pad=600, limit=1000, patterns=patterns)

    check = evidence.claim_check_check(ledger, wanted)

    assert check.ok is None and why in check.detail


def batch(first, last, **more):
    return {"message": "batch", "first_sequence_number": first, "last_sequence_number": last, **more}


@pytest.mark.parametrize(
    ("lines", "uncovered"),
    [
        ([batch("5", "12")], set()),
        ([batch("9", "10"), batch("11", "11")], {100}),
        ([batch(None, None), batch(10, 11), {"message": "other"}, batch("x", "²")], {10, 11, 100}),
        ([{**batch("1", "999"), "message": "start"}], {10, 11, 100}),
        ([], {10, 11, 100}),
    ],
)
def test_a_change_is_logged_when_a_batch_line_spans_its_sequence_number(lines, uncovered):
    numbers = {10, 11, 100} if uncovered else {10, 11}

    assert evidence.uncovered_numbers(numbers, lines) == uncovered
    assert evidence.log_check(numbers, lines, "/aws/lambda/f").ok is not bool(uncovered)


def test_logs_are_left_out_where_nothing_was_seen_to_look_for():
    assert evidence.log_check(set(), [], "/aws/lambda/f").ok is None


def test_what_the_function_says_of_its_failures_is_told_once():
    failed = {"message": "record failed", "stage": "audit", "error_type": "ClientError", "aws_code": "AccessDenied"}
    lines = [failed, {**failed, "sequence_number": "7"}, batch("1", "2"), {"message": "record failed", "stage": 5}]

    assert evidence.logged_failures(lines) == ["audit ClientError AccessDenied"]


def test_all_proven_is_told_with_latencies_and_what_was_left_out():
    ledger = a_ledger()
    take(ledger, AUDIT, NOTIFICATION)
    checks = [*checked(ledger).values(), Check("stream_metrics", None, "left out: metrics_timeout is 0")]

    assert evidence.summary(ledger, checks, lambda: "never asked") == (
        True,
        "3 changes are proven; latency in ms: audit median 500, p95 500, max 500; "
        "notification median 500, p95 500, max 500. Left out: stream_metrics.",
    )


def test_what_is_not_proven_is_told_with_where_to_look_and_not_at_length():
    ledger = a_ledger(count=4)

    proven, said = evidence.summary(ledger, checked(ledger).values(), lambda: "Look there.")

    assert not proven
    assert said.count("has no audit object after 9 s") == 6
    assert said.endswith("; and 18 more. Look there.")


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_statistics_are_values_that_were_measured_in_rising_order(values):
    found = evidence.statistics(values)

    assert found["count"] == len(values)
    assert found["max"] == max(values)
    assert found["median"] == statistics.median_low(values)
    assert found["median"] <= found["p95"] <= found["max"]
    assert sum(1 for value in values if value <= found["p95"]) >= 0.95 * len(values)
    assert {found["median"], found["p95"]} <= set(values)


def test_statistics_of_nothing_are_a_count_of_zero():
    assert evidence.statistics([]) == {"count": 0}
