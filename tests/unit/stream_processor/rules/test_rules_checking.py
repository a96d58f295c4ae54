"""What a rule may not be, and the sentence that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.rules import RulesError, check_rules, load_rules

ROOT = Path(__file__).parents[4]
KEYS = ["UserId", "ActivityId"]


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("audit", "must be a mapping such as {when: ..., sinks: [audit]}, and is text"),
        ({"sink": ["audit"], "subject": "x"}, "sink is no member of a rule; did you mean sinks?"),
        ({"zzz": 1, "subject": "x"}, "zzz is no member of a rule; there are name, when, event_names, expired,"),
        ({"when": "new.a"}, "does nothing; give it at least one of sinks, subject, attributes, audit, notification"),
        ({}, "does nothing"),
        ({"name": "a/b", "sinks": []}, "name is 'a/b'; give 1 to 64 letters, digits, spaces, dots, hyphens and"),
        ({"name": 5, "sinks": []}, "name is 5;"),
        ({"when": True, "sinks": []}, "when must be an expression in quotes, and is true or false"),
        ({"when": None, "sinks": []}, "when must be an expression in quotes, and is empty"),
        ({"when": "new.a > 5", "sinks": []}, "when, line 1 column 9: a number stands in backticks: `5`"),
        ({"event_names": "INSERT", "sinks": []}, "event_names must be a list such as [INSERT], and is text"),
        ({"event_names": [], "sinks": []}, "event_names is empty; name at least one, or leave it out"),
        ({"event_names": ["DELETE"], "sinks": []}, "event_names holds 'DELETE'; it takes INSERT, MODIFY, REMOVE"),
        ({"event_names": ["INSERT", "INSERT"], "sinks": []}, "event_names names INSERT twice"),
        ({"expired": "yes", "sinks": []}, "expired must be true or false, and is text"),
        ({"changed_any": ["a", 5], "sinks": []}, "changed_any holds 5; give text that is not empty"),
        ({"changed_only": {"a": 1}, "sinks": []}, "changed_only must be a list such as [status], and is a mapping"),
        ({"sample": 0, "sinks": []}, "sample is 0; give the share of changes as a number above 0 and up to 1"),
        ({"sample": 1.5, "sinks": []}, "sample is 1.5;"),
        ({"sample": float("nan"), "sinks": []}, "sample is nan;"),
        ({"sample": True, "sinks": []}, "sample is True;"),
        ({"sample": "0.1", "sinks": []}, "sample is '0.1';"),
        ({"sinks": "audit"}, "sinks must be a list such as [audit], and is text"),
        ({"sinks": ["audit", "sns"]}, "sinks holds 'sns'; it takes audit, notify"),
        ({"subject": ""}, "subject must be one line of printable ASCII that does not begin with a space"),
        ({"subject": "two\nlines"}, "subject must be one line"),
        ({"subject": " x"}, "subject must be one line"),
        ({"subject": "é"}, "subject must be one line"),
        ({"subject": ["x"]}, "subject must be one line"),
        ({"subject": "{table} {amount}"}, "subject has braces that are none of its placeholders, {eventName} and"),
        ({"subject": "x" * 94 + "{eventName}"}, "subject comes to 100 characters or more; SNS takes 99"),
        ({"attributes": {}}, "attributes must be a mapping such as {priority: high}, and is empty"),
        ({"attributes": ["a"]}, "attributes must be a mapping such as {priority: high}, and is a list"),
        ({"attributes": {"eventName": "x"}}, "attributes names eventName, which every notification has already"),
        ({"attributes": {"table": "x"}}, "attributes names table, which every notification has already"),
        ({"attributes": {".a": "x"}}, "attributes names '.a'; SNS takes"),
        ({"attributes": {"a.": "x"}}, "attributes names 'a.'; SNS takes"),
        ({"attributes": {"a..b": "x"}}, "attributes names 'a..b'; SNS takes"),
        ({"attributes": {"aws.a": "x"}}, "attributes names 'aws.a'; SNS takes"),
        ({"attributes": {"Amazon.a": "x"}}, "attributes names 'Amazon.a'; SNS takes"),
        ({"attributes": {"a b": "x"}}, "attributes names 'a b'; SNS takes"),
        ({"attributes": {"a" * 257: "x"}}, "SNS takes"),
        ({"attributes": {5: "x"}}, "attributes names 5; SNS takes"),
        ({"attributes": {"a": 5}}, "attributes: the value of a must be text that is not empty; put quotes around it"),
        ({"attributes": {"a": ""}}, "attributes: the value of a must be text that is not empty"),
        ({"attributes": {"a": "x\ny"}}, "attributes: the value of a must be printable and have up to 256 bytes"),
        ({"attributes": {"a": "é" * 129}}, "attributes: the value of a must be printable and have up to 256 bytes"),
        ({"audit": {}}, "audit must be a mapping such as {mask: [email]}, and is empty"),
        ({"audit": ["email"]}, "audit must be a mapping such as {mask: [email]}, and is a list"),
        ({"audit": {"hide": ["email"]}}, "audit.hide is not known; there are drop and mask"),
        ({"audit": {"mask": "email"}}, "audit.mask must be a list such as [status], and is text"),
        ({"notification": {"drop": []}}, "notification.drop is empty; name at least one, or leave it out"),
        ({"audit": {"drop": ["a"], "mask": ["a"]}}, "audit both drops and masks a; do one of them"),
        ({"audit": {"drop": ["UserId"]}}, "audit.drop names UserId, a key attribute of the table; keys are never"),
        ({"notification": {"mask": ["ActivityId"]}}, "notification.mask names ActivityId, a key attribute"),
        (
            {"event_names": ["INSERT"], "changed_any": ["a"], "sinks": []},
            "never applies: changed_any holds for MODIFY only, and event_names leaves it out",
        ),
        (
            {"event_names": ["MODIFY"], "expired": True, "sinks": []},
            "never applies: expired holds for REMOVE only, and event_names leaves it out",
        ),
        (
            {"changed_only": ["a"], "expired": True, "sinks": []},
            "never applies: changed_only holds for MODIFY only, and expired for REMOVE only",
        ),
    ],
)
def test_a_rule_is_refused_in_one_sentence_that_begins_with_the_rule(rule, sentence):
    (found,) = check_rules([{"sinks": ["audit"]}, rule], KEYS)
    assert found.startswith("rule 2: ") and found.endswith(".")
    assert sentence in found


def test_a_rule_is_told_by_its_name_too():
    found = check_rules([{"sinks": []}, {"name": "high-value", "when": "Amount", "subject": "x"}])
    assert found == [
        "rule 2 (high-value): when, line 1 column 1: Amount is not one of changed, eventName, expired, keys, new, old, "
        "table, timestamp; an attribute is new.Amount or old.Amount."
    ]


@pytest.mark.parametrize(
    ("rules", "kind"),
    [({"sinks": []}, "a mapping"), ("x", "text"), (None, "empty"), (5, "a number"), (True, "true or")],
)
def test_rules_are_a_list(rules, kind):
    (sentence,) = check_rules(rules)
    assert sentence.startswith(f"the rules must be a list, one mapping a rule, and this is {kind}")


def test_ansible_has_every_file_of_the_rules_and_no_other():
    links, files = ROOT / "plugins/module_utils/_change_rules", ROOT / "files/lambda/stream_processor/rules"
    assert {link.name: link.resolve() for link in links.glob("*.py")} == {
        each.name: each for each in files.glob("*.py")
    }


def test_a_name_is_given_once():
    rules = [{"name": "a", "sinks": []}, {"name": "b", "sinks": []}, {"name": "a", "sinks": []}]
    assert check_rules(rules) == ["rule 3 (a): name is that of rule 1 already; logs tell rules by it."]


def test_all_rules_together_name_up_to_eight_message_attributes():
    rules = [{"attributes": {f"a{number}": "x", "a0": "y"}} for number in range(8)]
    assert check_rules(rules) == []
    rules.append({"attributes": {"a8": "x"}})
    assert check_rules(rules) == [
        "the rules name 9 message attributes; with eventName and table a notification has at most 10, so name up to 8."
    ]


def test_every_problem_of_every_rule_is_told_at_once():
    found = check_rules([{"sinks": ["a"], "sample": 2}, 5, {"when": "a && b", "subject": "x"}])
    assert [sentence.split(":")[0] for sentence in found] == ["rule 1", "rule 1", "rule 2", "rule 3", "rule 3"]


def test_keys_that_are_not_known_are_not_asked_for():
    assert check_rules([{"audit": {"drop": ["UserId"]}}]) == []


def test_the_widest_rule_has_no_problem():
    rule = {
        "name": "All of it - 1.0_a",
        "when": "new.Amount > `1000`",
        "event_names": ["MODIFY"],
        "expired": False,
        "changed_any": ["a"],
        "changed_only": ["a", "b"],
        "sample": 0.25,
        "sinks": ["audit", "notify"],
        "subject": "x" * 93 + "{eventName}",
        "attributes": {"a.b-c_D": "é", "AWSome": "1"},
        "audit": {"drop": ["a"], "mask": ["b"]},
        "notification": {"drop": ["b"], "mask": ["a"]},
    }
    assert check_rules([rule], KEYS) == []


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
_MEMBER = st.sampled_from(
    ["name", "when", "event_names", "expired", "changed_any", "changed_only", "sample", "sinks", "subject",
     "attributes", "audit", "notification", "other"]
)  # fmt: skip


@given(st.lists(st.dictionaries(_MEMBER, _JUNK, max_size=4) | _JUNK, max_size=3) | _JUNK)
def test_whatever_is_given_is_refused_in_sentences_or_loads(rules):
    found = check_rules(rules)
    assert all(sentence.endswith(".") for sentence in found)
    if found:
        with pytest.raises(RulesError):
            load_rules(rules)
    else:
        load_rules(rules)
