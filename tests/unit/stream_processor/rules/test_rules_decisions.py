"""What becomes of a change: sinks, subject, attributes, redaction; the same at every delivery."""

from __future__ import annotations

import copy
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_processor import envelope as function_envelope
from stream_processor.envelope import to_envelope
from stream_processor.rules import KEEP_ALL, RuleFailed, RulesError, check_rules, load_rules
from stream_processor.rules.change import is_expiry

from tests.unit.stream_records import make_record, records, sample, validated

OLD = {"Id": {"S": "item"}, "status": {"S": "PAID"}, "Amount": {"N": "999.99"}, "Email": {"S": "a@example.com"}}
NEW = {**OLD, "status": {"S": "CANCELLED"}, "Amount": {"N": "1000.01"}}


def envelope_of(old=None, new=None, **options):
    return to_envelope(make_record({"Id": {"S": "item"}}, old=old, new=new, **options))


INSERT, MODIFY, REMOVE = envelope_of(new=NEW), envelope_of(old=OLD, new=NEW), envelope_of(old=NEW)
EXPIRED = to_envelope(sample("ttl_remove"))


def decide(envelope, *rules):
    return load_rules(list(rules)).decide(envelope)


def applies(envelope, **conditions):
    """Whether a rule with these conditions applies."""
    return decide(envelope, {**conditions, "attributes": {"applied": "yes"}}).attributes == {"applied": "yes"}


# The three examples


@pytest.mark.parametrize(
    ("amount", "high"), [("1000", False), ("1000.00", False), ("1000.01", True), ("1E+3", False), ("99999", True)]
)
def test_amount_over_a_thousand(amount, high):
    assert applies(envelope_of(new={"Amount": {"N": amount}}), when="new.Amount > `1000`") is high


def test_an_item_without_the_amount_and_a_removal_are_not_over_a_thousand():
    assert not applies(envelope_of(new={"Id": {"S": "item"}}), when="new.Amount > `1000`")
    assert not applies(REMOVE, when="new.Amount > `1000`")


def test_status_changed_to_cancelled():
    rule = {"when": "old.status != 'CANCELLED' && new.status == 'CANCELLED'"}
    assert applies(MODIFY, **rule)
    assert applies(INSERT, **rule)
    assert not applies(INSERT, **rule, event_names=["MODIFY"])
    assert not applies(envelope_of(old=NEW, new={**NEW, "Amount": {"N": "1"}}), **rule)
    assert not applies(envelope_of(old=NEW, new=OLD), **rule)
    assert not applies(REMOVE, **rule)


@pytest.mark.parametrize(
    ("changes", "notify"),
    [
        ({"IPAddress": {"S": "10.0.0.2"}}, False),
        ({"IPAddress": {"S": "10.0.0.2"}, "UserAgent": {"S": "curl"}}, False),
        ({"IPAddress": {"S": "10.0.0.2"}, "status": {"S": "PAID"}}, True),
        ({"status": {"S": "PAID"}}, True),
    ],
)
def test_only_ip_address_or_user_agent_changed_is_audited_and_not_announced(changes, notify):
    decision = decide(
        envelope_of(old=NEW, new={**NEW, **changes}),
        {"changed_only": ["IPAddress", "UserAgent"], "sinks": ["audit"]},
    )
    assert (decision.audit, decision.notify) == (True, notify)


# Conditions


@pytest.mark.parametrize(
    ("conditions", "applied"),
    [
        ({}, ["INSERT", "MODIFY", "REMOVE", "EXPIRED"]),
        ({"event_names": ["INSERT", "REMOVE"]}, ["INSERT", "REMOVE", "EXPIRED"]),
        ({"expired": True}, ["EXPIRED"]),
        ({"expired": False}, ["INSERT", "MODIFY", "REMOVE"]),
        ({"changed_any": ["status", "other"]}, ["MODIFY"]),
        ({"changed_any": ["Email"]}, []),
        ({"changed_only": ["status"]}, []),
        ({"changed_only": ["Amount", "status", "other"]}, ["MODIFY"]),
        ({"sample": 1}, ["INSERT", "MODIFY", "REMOVE", "EXPIRED"]),
        ({"event_names": ["INSERT"], "when": "new.Amount > `2000`"}, []),
    ],
)
def test_all_conditions_of_a_rule_have_to_hold(conditions, applied):
    changes = {"INSERT": INSERT, "MODIFY": MODIFY, "REMOVE": REMOVE, "EXPIRED": EXPIRED}
    assert [name for name, envelope in changes.items() if applies(envelope, **conditions)] == applied


def test_without_both_images_no_attribute_is_known_to_have_changed():
    envelope = envelope_of(old=OLD, new=NEW, view="NEW_IMAGE")
    assert not applies(envelope, changed_any=["status"])
    assert not applies(envelope, changed_only=["status", "Amount"])


def test_a_modify_that_changed_nothing_did_not_change_only_these():
    assert not applies(envelope_of(old=NEW, new=NEW), changed_only=["status"])


@given(records())
def test_rules_and_function_agree_on_what_expired(record):
    envelope = to_envelope(record)
    assert is_expiry(envelope) == function_envelope.is_expiry(envelope)


def test_about_the_share_of_changes_is_sampled():
    rules = load_rules([{"sample": 0.1, "sinks": []}])
    left_out = [not rules.decide({**INSERT, "eventID": f"{number:032x}"}).audit for number in range(10_000)]
    assert 900 < sum(left_out) < 1100


@given(st.text(), st.floats(0, 1, exclude_min=True), st.floats(0, 1, exclude_min=True))
def test_the_smaller_sample_picks_among_the_larger(event_id, one, other):
    envelope = {**INSERT, "eventID": event_id}
    assert applies(envelope, sample=min(one, other)) <= applies(envelope, sample=max(one, other))


# What rules do together


def test_without_a_rule_that_applies_everything_is_kept_as_it_is():
    assert decide(MODIFY) is KEEP_ALL
    assert decide(MODIFY, {"event_names": ["INSERT"], "sinks": []}) is KEEP_ALL
    assert (KEEP_ALL.audit, KEEP_ALL.notify, KEEP_ALL.subject, KEEP_ALL.attributes) == (True, True, None, {})
    assert KEEP_ALL.audited(MODIFY) is MODIFY and KEEP_ALL.notified(MODIFY) is MODIFY


def test_the_last_rule_that_names_sinks_or_a_subject_decides_them():
    decision = decide(
        MODIFY,
        {"sinks": [], "subject": "first"},
        {"sinks": ["notify"]},
        {"subject": "second", "attributes": {"a": "1"}},
        {"event_names": ["REMOVE"], "sinks": ["audit"], "subject": "third"},
    )
    assert (decision.audit, decision.notify, decision.subject) == (False, True, "second")


def test_attributes_and_redactions_add_up():
    decision = decide(
        MODIFY,
        {"attributes": {"a": "1", "b": "1"}, "audit": {"mask": ["Email"]}},
        {"attributes": {"b": "2"}, "audit": {"drop": ["Amount"]}, "notification": {"drop": ["Email"]}},
    )
    assert decision.attributes == {"a": "1", "b": "2"}
    assert decision.audited(MODIFY)["newImage"] == {
        "Id": {"S": "item"},
        "status": {"S": "CANCELLED"},
        "Email": {"S": "***"},
    }
    assert set(decision.notified(MODIFY)["newImage"]) == {"Id", "status", "Amount"}


def test_a_subject_is_filled_and_cut_below_a_hundred_characters():
    subject = {"subject": "{eventName} in {table}, {eventName}"}
    assert decide(MODIFY, subject).subject == "MODIFY in Items, MODIFY"
    assert decide({**MODIFY, "table": "t" * 255}, subject).subject == "MODIFY in " + "t" * 89


# Redaction


def test_dropped_attributes_leave_images_and_changed_attributes_and_masked_ones_stay():
    envelope = decide(MODIFY, {"audit": {"drop": ["status"], "mask": ["Amount"]}}).audited(MODIFY)
    assert (
        envelope["oldImage"]
        == envelope["newImage"]
        == {
            "Id": {"S": "item"},
            "Amount": {"S": "***"},
            "Email": {"S": "a@example.com"},
        }
    )
    assert envelope["changedAttributes"] == ["Amount"]


def test_what_is_dropped_and_masked_is_dropped():
    decision = decide(INSERT, {"audit": {"drop": ["Email"]}}, {"audit": {"mask": ["Email"]}})
    assert "Email" not in decision.audited(INSERT)["newImage"]


def test_key_attributes_are_never_redacted():
    decision = decide(MODIFY, {"audit": {"drop": ["Id", "Email"]}, "notification": {"mask": ["Id"]}})
    assert decision.audited(MODIFY)["newImage"]["Id"] == {"S": "item"}
    assert decision.notified(MODIFY) is MODIFY


def test_a_change_without_the_attributes_is_not_copied():
    decision = decide(MODIFY, {"audit": {"drop": ["other"]}, "notification": {"mask": ["other"]}})
    assert decision.audited(MODIFY) is MODIFY and decision.notified(MODIFY) is MODIFY


@given(records(), st.data())
def test_a_redacted_envelope_is_valid_and_holds_nothing_redacted(record, data):
    envelope = validated(to_envelope(record))
    before = copy.deepcopy(envelope)
    names = sorted({*envelope.get("oldImage", {}), *envelope.get("newImage", {}), "x"})
    drop = data.draw(st.lists(st.sampled_from(names), unique=True))
    mask = [name for name in data.draw(st.lists(st.sampled_from(names), unique=True)) if name not in drop]
    redaction = {way: chosen for way, chosen in (("drop", drop), ("mask", mask)) if chosen}
    decision = decide(envelope, {"notification": redaction} if redaction else {"sinks": ["notify"]})
    redacted = validated(decision.notified(envelope))
    for image in ("oldImage", "newImage"):
        for name, value in redacted.get(image, {}).items():
            assert name in envelope["keys"] or name not in drop
            assert value == ({"S": "***"} if name in mask and name not in envelope["keys"] else envelope[image][name])
    assert not set(redacted.get("changedAttributes", ())) & set(drop)
    assert envelope == before


# The same at every delivery


@given(records())
def test_a_decision_depends_on_the_change_alone(record):
    rules = [
        {"sample": 0.5, "sinks": ["audit"]},
        {"when": "length(changed) > `0` || type(new.Id) == 'string'", "subject": "{eventName}"},
        {"expired": True, "attributes": {"gone": "yes"}},
    ]
    first = load_rules(rules).decide(to_envelope(record))
    again = load_rules(copy.deepcopy(rules))
    again.decide(MODIFY)
    redriven = {**record, "redrive": {"id": "r-1", "time": "2026-01-01T00:00:00Z"}}
    assert again.decide(to_envelope(redriven)) == again.decide(to_envelope(record)) == first


def test_threads_share_the_rules():
    rules = load_rules([{"when": "old.status != 'CANCELLED' && new.status == 'CANCELLED'", "sinks": []}])
    wrong = []

    def work(envelope, expected):
        for _turn in range(300):
            if rules.decide(envelope).audit is not expected:
                wrong.append(envelope["eventName"])

    threads = [threading.Thread(target=work, args=each) for each in [(MODIFY, False), (REMOVE, True)] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# Failures


def test_a_rule_that_cannot_be_decided_fails_with_its_name_and_without_data():
    with pytest.raises(RuleFailed) as failed:
        decide(MODIFY, {"sinks": []}, {"name": "admins", "when": "starts_with(new.Amount, 'x')", "sinks": []})
    assert str(failed.value) == "admins: starts_with() was given number where it takes string"
    assert failed.value.__cause__ is None


def test_a_rule_without_a_name_is_told_by_its_place():
    with pytest.raises(RuleFailed, match=r"^rule 2: abs\(\) was given string where it takes number$"):
        decide(MODIFY, {"sinks": []}, {"when": "abs(new.status)", "sinks": []})


def test_a_value_that_is_no_dynamodb_json_fails_the_rule_that_looks_at_it():
    envelope = {**INSERT, "newImage": {"Amount": {"N": "secret"}}}
    with pytest.raises(RuleFailed, match="^rule 1: an attribute is not DynamoDB JSON$"):
        decide(envelope, {"when": "new.Amount > `1`", "sinks": []})
    assert not decide(envelope, {"event_names": ["INSERT"], "sinks": []}).audit


def test_any_other_trouble_is_told_by_its_kind():
    with pytest.raises(RuleFailed, match="^rule 1: AttributeError$"):
        decide({**INSERT, "userIdentity": "secret"}, {"expired": True, "sinks": []})


def test_the_other_conditions_keep_changes_away_from_an_expression():
    rule = {"event_names": ["REMOVE"], "when": "abs(new.status)", "sinks": []}
    assert decide(MODIFY, rule) is KEEP_ALL


def test_rules_that_are_wrong_are_not_loaded():
    with pytest.raises(RulesError) as refused:
        load_rules([{"sinks": ["s3"]}, {"when": "new.a >", "sinks": []}])
    assert str(refused.value) == " ".join(check_rules([{"sinks": ["s3"]}, {"when": "new.a >", "sinks": []}]))


def test_without_an_expression_jmespath_is_not_needed(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "jmespath"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jmespath", None)
    assert not decide(INSERT, {"event_names": ["INSERT"], "sinks": ["notify"]}).audit
    found = check_rules([{"when": "new.a", "sinks": []}, {"name": "two", "sinks": []}])
    assert found == ["rule 1: when needs the Python package jmespath; install it, or boto3, which brings it."]
