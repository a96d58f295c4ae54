"""What was seen, what is missing, and what the user is told."""

from __future__ import annotations

import json
import statistics

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.objects import DamagedObject
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import checks as evidence
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify import ledger as ledgers
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.checks import Check
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.deciding import (
    Rules,
    parts_of,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.digest import read_digest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.envelope import Message
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.items import (
    AUDIT,
    NOTIFICATION,
)
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.ledger import Ledger
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from hypothesis import given
from hypothesis import strategies as st
from stream_processor import envelope as function
from stream_processor.digest import build_digest, whereabouts
from stream_processor.layout import per_batch, per_change
from stream_processor.rules import load_rules

from tests.unit.pipeline_verify.verify_support import BUCKET, NOW, PREFIX, RUN_ID, changes_of, record_of, stream

STREAM = stream()
SAMPLED = (
    {"sample": 0.5, "sinks": ["audit"]},
    {"sample": 0.3, "event_names": ["MODIFY"], "audit": {"drop": ["card"]}},
    {"sample": 0.5, "event_names": ["INSERT"], "sinks": []},
    {"attributes": {"priority": "high"}},
    {"changed_any": ["cloudcdc_verify_step"], "sinks": ["notify"]},
)


def a_ledger(notified="per_change", **how):
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
            ledger.take_audit(per_change(envelope, PREFIX), [envelope], at)
        if NOTIFICATION in channels:
            ledger.take_message(notice_of(trace, number), at)


def checked(ledger):
    checks = [
        evidence.channel_check(ledger, AUDIT, "audit", 9, NOW, NOW),
        evidence.channel_check(ledger, NOTIFICATION, "notification", 9, NOW, NOW),
        evidence.order_check(ledger),
        evidence.filter_check(ledger, 1),
        evidence.rule_check(ledger, 1),
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
    ledger = a_ledger(notified=None)
    take(ledger, AUDIT)

    assert ledger.complete()
    assert checked(ledger)["notification"].ok is None
    assert "notification" not in ledger.change_report(ledger.traces[0], NOW, NOW)


def test_changes_of_other_runs_and_other_items_are_not_taken():
    ledger = a_ledger()
    theirs = {**envelope_of(ledger.traces[0], 7), "keys": {"Id": {"S": "theirs"}}}
    ledger.take_audit("audit-logs/theirs.json", [theirs], 101)
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

    assert "does not name an object that holds the change" in checked(ledger)["notification"].detail
    assert ledger.change_report(trace, NOW, NOW)["notification"] == "claim_check"


def test_notifications_tell_where_missing_audit_objects_are():
    ledger = a_ledger()
    first, second, _third = ledger.traces
    ledger.take_message(notice_of(first, 10), 101)
    ledger.take_message(notice_of(second, 11, audit={"bucket": BUCKET, "key": "audit-logs/claimed.json"}), 101)

    assert ledger.audit_keys_to_read() == [per_change(envelope_of(first, 10), PREFIX), "audit-logs/claimed.json"]

    take(ledger, AUDIT)
    # What a claim check names must hold the change, whatever else does.
    assert ledger.audit_keys_to_read() == ["audit-logs/claimed.json"]


def in_batches(ledger, *batches, **marks):
    """The changes, by their places, are in batch objects."""
    for places in batches:
        held = [{**envelope_of(ledger.traces[place], 10 + place), **marks} for place in places]
        ledger.take_audit(per_batch(held, PREFIX), held, 100.5)


def test_changes_of_a_batch_are_found_in_its_object_among_those_of_others():
    ledger = a_ledger()
    theirs = {**envelope_of(ledger.traces[0], 5), "keys": {"Id": {"S": "theirs"}}}
    held = [theirs, *(envelope_of(trace, 10 + place) for place, trace in enumerate(ledger.traces))]
    key = per_batch(held, PREFIX)

    ledger.take_audit(key, held, 101)

    assert checked(ledger)["audit"].ok
    assert {ledger.change_report(trace, NOW, NOW)["audit_key"] for trace in ledger.traces} == {key}


def test_a_change_in_two_batch_objects_was_delivered_twice_and_is_no_fault():
    ledger = a_ledger()
    in_batches(ledger, [0, 1, 2])
    in_batches(ledger, [1, 2], redrive={"id": "1", "time": "2026-01-01T00:00:00Z"})

    assert checked(ledger)["audit"].ok


def test_a_change_in_a_batch_object_and_in_one_of_its_own_is_no_fault():
    ledger = a_ledger()
    in_batches(ledger, [0, 1, 2])
    take(ledger, AUDIT)

    assert checked(ledger)["audit"].ok


def test_two_changes_where_one_was_made_are_a_fault_in_batch_objects_too():
    ledger = a_ledger()
    in_batches(ledger, [0, 1, 2])
    other = envelope_of(ledger.traces[1], 111)
    ledger.take_audit(per_batch([other], PREFIX), [other], 101)

    assert "eventID is not the same in its audit objects" in checked(ledger)["audit"].detail


def test_a_batch_object_under_a_wrong_name_is_a_fault():
    ledger = a_ledger()
    held = [envelope_of(trace, 10 + place) for place, trace in enumerate(ledger.traces)]
    ledger.take_audit(per_batch(held[:2], PREFIX), held, 101)

    assert "the object's name does not follow from what it holds" in checked(ledger)["audit"].detail


def test_a_damaged_audit_object_is_told_by_its_name():
    ledger = a_ledger()
    take(ledger, AUDIT)
    ledger.take_damaged(DamagedObject("audit-logs/one.json", "it holds no JSON object"))

    assert checked(ledger)["audit"].detail == "the audit object audit-logs/one.json is damaged: it holds no JSON object"


def test_a_claim_check_may_name_any_batch_object_that_holds_the_change():
    ledger = a_ledger()
    in_batches(ledger, [0, 1, 2], [1, 2])
    for place, trace in enumerate(ledger.traces):
        for key in trace.audits:
            ledger.take_message(notice_of(trace, 10 + place, audit={"bucket": BUCKET, "key": key}), 101)

    assert checked(ledger)["notification"].ok


def digest_over(ledger, *places, layout="per_batch", **told):
    """The function's digest of a batch of these changes, as it comes out of the queue."""
    held = [envelope_of(ledger.traces[place], 10 + place) for place in places]
    key = {"per_batch": lambda each: per_batch(held, PREFIX), "per_change": lambda each: per_change(each, PREFIX)}
    audited = [(each, key[layout](each)) for each in held]
    note = build_digest(held, whereabouts(BUCKET, PREFIX, layout, audited))
    body = json.dumps({**json.loads(note.message), **told})
    attributes = {name: {"StringValue": value, "DataType": "String"} for name, value in note.attributes.items()}
    return read_digest({"Body": body, "MessageAttributes": attributes}, STREAM.stream_arn)


@pytest.mark.parametrize("layout", ["per_change", "per_batch"])
@pytest.mark.parametrize("digest_first", [True, False])
def test_a_digest_proves_the_notification_of_the_changes_in_its_range(layout, digest_first):
    ledger = a_ledger("digest")

    def audited():
        if layout == "per_batch":
            in_batches(ledger, [0, 1], [2])
        else:
            take(ledger, AUDIT)

    steps = [lambda: ledger.take_digest(digest_over(ledger, 0, 1, layout=layout), 102), audited]
    for step in steps if digest_first else steps[::-1]:
        step()
    assert [trace.change.event_name for trace in ledger.missing(NOTIFICATION)] == ["REMOVE"]

    ledger.take_digest(digest_over(ledger, 2, layout=layout), 103)

    assert ledger.complete()
    assert all(check.ok for check in checked(ledger).values())
    report = ledger.change_report(ledger.traces[0], NOW, NOW)
    assert (report["notification"], report["notification_ok"], report["notification_latency_ms"]) == (
        "digest",
        True,
        2000,
    )


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"counts": {"MODIFY": 2}}, "counts of the digest"),
        ({"counts": {"INSERT": 9, "MODIFY": 9}}, "counts of the digest"),
        ({"counts": {}}, "counts of the digest"),
        ({"counts": {"INSERT": 1, "MODIFY": True}}, "counts of the digest"),
        ({"counts": {"INSERT": 1}}, "range of the digest"),
        ({"expired": 1}, "expired of the digest"),
        ({"firstTimestamp": "2026-01-01T00:00:01Z"}, "firstTimestamp and lastTimestamp of the digest"),
        ({"audit": {"bucket": BUCKET, "keys": ["audit-logs/other.ndjson.gz"]}}, "audit of the digest"),
        ({"audit": {"bucket": BUCKET, "prefixes": ["audit-logs/2026/01/01/01/"]}}, "audit of the digest"),
        ({"audit": {"bucket": "other", "prefixes": ["audit-logs/2026/01/01/00/"]}}, "audit.bucket of the digest"),
        ({"audit": None}, "audit of the digest"),
        ({"table": "Other"}, "table of the digest"),
    ],
)
def test_a_digest_that_cannot_be_over_the_change_does_not_prove_it_and_its_field_is_named(told, said):
    ledger = a_ledger("digest")
    in_batches(ledger, [0, 1, 2])

    ledger.take_digest(digest_over(ledger, 0, 1, **told), 101)

    insert = ledger.traces[0]
    assert insert in ledger.missing(NOTIFICATION)
    assert f"{insert.change.name} has no notification after 9 s (" in checked(ledger)["notification"].detail
    assert said in checked(ledger)["notification"].detail


def test_of_two_digests_over_a_change_one_has_to_be_right():
    """With lanes, the range of one batch may hold changes of another."""
    ledger = a_ledger("digest")
    in_batches(ledger, [0, 2], [1])

    ledger.take_digest(digest_over(ledger, 0, 2), 101)
    assert [trace.change.event_name for trace in ledger.missing(NOTIFICATION)] == ["MODIFY"]
    ledger.take_digest(digest_over(ledger, 1), 101)

    assert checked(ledger)["notification"].ok


def test_a_digest_of_a_batch_that_was_delivered_again_tells_where_the_change_is_too():
    ledger = a_ledger("digest")
    in_batches(ledger, [0, 1, 2])
    again = digest_over(ledger, 1, 2)
    ledger.take_digest(again, 101)

    assert ledger.audit_keys_to_read() == again.keys
    in_batches(ledger, [1, 2])
    assert ledger.audit_keys_to_read() == []
    assert [trace.change.event_name for trace in ledger.missing(NOTIFICATION)] == ["INSERT"]


@pytest.mark.parametrize(
    "body",
    [
        "text",
        {"details": {}},
        {"schema": "cloudcdc.digest/1", "eventSourceARN": "arn:of:another"},
        {"schema": "cloudcdc.digest/1", "eventSourceARN": STREAM.stream_arn, "firstSequenceNumber": "x"},
    ],
)
def test_messages_that_are_no_digest_of_the_stream_are_passed_over(body):
    assert read_digest({"Body": json.dumps(body)}, STREAM.stream_arn) is None


SMALL = {"when": "new.total < `1000`", "sinks": ["audit"]}


def test_a_change_that_the_rules_keep_from_the_topic_is_not_awaited_there():
    ledger = a_ledger(rules=[SMALL], attributes={"total": {"N": "99.90"}})
    take(ledger, AUDIT)
    assert [trace.change.event_name for trace in ledger.missing(NOTIFICATION)] == ["REMOVE"]
    ledger.take_message(notice_of(ledger.traces[2], 12), 101)

    assert ledger.complete()
    assert all(check.ok for check in checked(ledger).values())
    assert checked(ledger)["rules"].detail == (
        "1 rule(s): 0 of 3 changes have no audit object and 2 of 3 changes have no notification, as they should"
    )
    report = ledger.change_report(ledger.traces[0], NOW, NOW)
    assert (report["audit_expected"], report["notification_expected"], report["notification_ok"]) == (True, False, True)


@pytest.mark.parametrize(
    ("sinks", "seen", "said"),
    [
        (["audit"], NOTIFICATION, "without notification, and it has one"),
        (["notify"], AUDIT, "without audit object, and it has one"),
    ],
)
def test_a_change_that_appears_where_the_rules_keep_it_from_is_told(sinks, seen, said):
    ledger = a_ledger(rules=[{"event_names": ["MODIFY"], "sinks": sinks}])
    take(ledger, seen)

    assert said in checked(ledger)["rules"].detail
    assert "MODIFY of item" in checked(ledger)["rules"].detail
    assert [trace.change.event_name for trace in ledger.unwanted()] == ["MODIFY"]


def test_what_rules_redact_must_be_redacted_and_the_rest_be_there():
    rules = [{"audit": {"drop": ["card"]}, "notification": {"mask": ["card"], "drop": ["cloudcdc_verify_step"]}}]
    how = {"attributes": {"card": {"S": "4111"}}}
    decision = load_rules(rules).decide
    ledger = a_ledger(rules=rules, **how)
    for place, trace in enumerate(ledger.traces):
        envelope = envelope_of(trace, 10 + place)
        audited = decision(envelope).audited(envelope)
        ledger.take_audit(per_change(audited, PREFIX), [audited], 101)
        attributes = {"eventName": trace.change.event_name, "table": "Orders"}
        ledger.take_message(Message(decision(envelope).notified(envelope), "told", attributes), 101)
    assert all(check.ok for check in checked(ledger).values())

    ledger = a_ledger(rules=rules, **how)
    take(ledger, AUDIT, NOTIFICATION)
    assert "newImage is not what the change gives" in checked(ledger)["audit"].detail
    assert "changedAttributes is not what the change gives" in checked(ledger)["notification"].detail


def test_a_notification_must_have_the_attributes_and_the_subject_that_rules_give_it():
    ledger = a_ledger(rules=[{"subject": "New: {table}", "attributes": {"priority": "high"}}])
    take(ledger, AUDIT, NOTIFICATION)
    assert "the message attributes are not eventName and table of the change with those of the rules" in (
        checked(ledger)["notification"].detail
    )

    ledger = a_ledger(rules=[{"subject": "New: {table}", "attributes": {"priority": "high"}}])
    insert = ledger.traces[0]
    attributes = {"eventName": "INSERT", "table": "Orders", "priority": "high"}
    ledger.take_message(Message(envelope_of(insert, 10), "told", attributes, "New: Orders"), 101)
    assert ledger.faults(insert, NOTIFICATION, NOW, NOW) == []
    ledger.take_message(Message(envelope_of(insert, 10), "told", attributes, "New: Other"), 101)
    assert ledger.faults(insert, NOTIFICATION, NOW, NOW) == ["the subject is not the one of the change"]


def test_a_sampled_change_is_not_awaited_and_right_whether_it_comes_or_not():
    rules = [{"sample": 0.5, "event_names": ["MODIFY"], "sinks": ["audit"], "audit": {"drop": ["card"]}}]
    how = {"rules": rules, "attributes": {"card": {"S": "4111"}}}
    ledger = a_ledger(**how)
    insert, modify, _remove = ledger.traces
    assert (modify.change.awaited(AUDIT), modify.change.awaited(NOTIFICATION)) == (True, None)
    assert insert.change.awaited(NOTIFICATION) is True
    assert "1 hang on what only AWS knows" in checked(ledger)["rules"].detail

    take(ledger, AUDIT)
    assert checked(ledger)["audit"].ok  # the rule did not apply
    ledger.take_message(notice_of(modify, 11), 101)
    assert ledger.faults(modify, NOTIFICATION, NOW, NOW) == []
    ledger.take_message(notice_of(modify, 11, sizeBytes=-1), 101)
    assert ledger.faults(modify, NOTIFICATION, NOW, NOW)


def test_a_change_that_is_only_notified_is_audited_when_its_claim_check_needs_it():
    ledger = a_ledger(pad=60000, limit=100000, rules=[{"sinks": ["notify"]}])
    by_name = {trace.change.name: trace.change for trace in ledger.traces if trace.change.item.large}

    assert [(change.awaited(AUDIT), change.over_limit) for change in by_name.values()] == [
        (False, False),
        (True, True),
        (False, False),
    ]
    near = a_ledger(pad=60000, limit=62000, rules=[{"sinks": ["notify"]}])
    insert = next(trace.change for trace in near.traces if trace.change.item.large)
    assert (insert.awaited(AUDIT), insert.awaited(NOTIFICATION)) == (None, True)


def test_under_digests_there_are_no_claim_checks_and_what_is_not_audited_is_not_awaited():
    ledger = a_ledger("digest", pad=60000, limit=None, rules=[{"sinks": ["notify"], "event_names": ["MODIFY"]}])
    modify = next(trace for trace in ledger.traces if trace.change.item.large and trace.change.event_name == "MODIFY")

    assert (ledger.awaited(modify, AUDIT), ledger.awaited(modify, NOTIFICATION)) == (False, None)


def test_rules_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="rules: rule 1: "):
        Rules([{"when": "new."}])
    with pytest.raises(InputError, match="Id"):
        Rules([{"audit": {"drop": ["Id"]}}], ["Id"])
    with pytest.raises(InputError, match="9 rules have sample"):
        Rules([{"sample": 0.5, "sinks": []}] * 9)


def test_a_rule_that_fails_for_a_test_item_is_refused_by_its_name():
    rules = [{"sinks": []}, {"when": "contains(new.total, 'x')", "sinks": ["audit"]}]

    with pytest.raises(InputError, match="A rule fails for the INSERT of a test item.*rule 2"):
        a_ledger(rules=rules, attributes={"total": {"N": "5"}})


@given(st.lists(st.sampled_from(SAMPLED), max_size=4), st.text(alphabet="0123456789abcdef", min_size=1))
def test_whatever_the_eventid_is_the_functions_decision_is_among_the_possible_outcomes(rules, event_id):
    change = a_ledger(attributes={"card": {"S": "4111"}}, rules=rules).traces[1].change
    envelope = {**envelope_of(a_ledger(attributes={"card": {"S": "4111"}}).traces[1], 7), "eventID": event_id}
    decision = load_rules(rules).decide(envelope)

    told = [(each.audited, each.notified, each.audit, each.attributes) for each in change.outcomes]

    audit = parts_of(decision.audited(envelope))
    assert (decision.audit, decision.notify, audit, decision.attributes) in told


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
        ledger.take_audit(per_change(envelope, PREFIX), [envelope], 101)

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
    ledger.take_audit(per_change(envelope, PREFIX), [envelope], 101)
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
        "audit_expected": True,
        "sequence_number": "12",
        "audit_key": per_change(envelope_of(ledger.traces[0], 12), PREFIX),
        "audit_ok": True,
        "audit_latency_ms": 500,
        "notification_expected": True,
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
        (False, "per_change", (), "large_item is off"),
        (True, None, (), "change_topic_arn is not given"),
        (True, "digest", (), "a digest needs none"),
        (True, "per_change", ({"eventName": ["INSERT"]},), "let no change over the limit be notified as one"),
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
    found = ledgers.statistics(values)

    assert found["count"] == len(values)
    assert found["max"] == max(values)
    assert found["median"] == statistics.median_low(values)
    assert found["median"] <= found["p95"] <= found["max"]
    assert sum(1 for value in values if value <= found["p95"]) >= 0.95 * len(values)
    assert {found["median"], found["p95"]} <= set(values)


def test_statistics_of_nothing_are_a_count_of_zero():
    assert ledgers.statistics([]) == {"count": 0}
