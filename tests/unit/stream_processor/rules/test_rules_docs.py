"""docs/rules.md says what rules do, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from stream_processor.envelope import to_envelope
from stream_processor.rules import RuleFailed, check_rules, load_rules
from stream_processor.rules.checking import _MEMBERS
from stream_processor.rules.expression import problems
from stream_processor.rules.syntax import ROOTS
from stream_processor.rules.values import FUNCTIONS

from tests.unit.stream_records import make_record, sample

TEXT = (Path(__file__).parents[4] / "docs" / "rules.md").read_text(encoding="utf-8")
OPTION = "ddb_stream_pipeline_rules"


def section(heading):
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]


def shown(heading, place=0):
    return load_rules(yaml.safe_load(re.findall(r"```yaml\n(.*?)```", section(heading), re.DOTALL)[place])[OPTION])


def change(old=None, new=None):
    keys = {"Id": {"S": "item"}}
    return to_envelope(make_record(keys, old=old and {**old, **keys}, new=new and {**new, **keys}))


def test_every_example_can_be_deployed():
    examples = [yaml.safe_load(block)[OPTION] for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    assert [check_rules(rules, ["UserId", "ActivityId"]) for rules in examples] == [[]] * 5


def test_every_expression_in_the_text_is_one():
    told = re.findall(r"`` ?(.+?) ?``|`([^`\n]+)`", section("Expressions"))
    whole = [one or other for one, other in told]
    expressions = [
        text for text in whole if re.match(r"(new|old|starts_with|type)\b[^,]*[.(]", text) and "…" not in text
    ]
    written = [text for text in expressions if "(text, text)" not in text and "(value)" not in text]
    assert len(written) >= 7
    assert [problems(text) for text in written] == [[]] * len(written)


def test_amount_over_1_000_gets_a_subject_and_an_attribute():
    rules = shown("Amount over 1 000")
    high, low = (change(new={"Amount": {"N": amount}}) for amount in ("1000.01", "1000"))
    assert rules.decide(high).subject == "High value: INSERT in Items"
    assert rules.decide(high).attributes == {"priority": "high"}
    assert rules.decide(low).subject is None
    only = shown("Amount over 1 000", 1)
    assert [(each.audit, each.notify) for each in map(only.decide, (high, low))] == [(True, True), (True, False)]


def test_status_changed_to_cancelled_is_told_once():
    rules = shown("Status changed to CANCELLED")
    paid, cancelled = {"status": {"S": "PAID"}}, {"status": {"S": "CANCELLED"}}
    assert rules.decide(change(paid, cancelled)).subject == "Order cancelled"
    assert rules.decide(change(new=cancelled)).attributes == {"kind": "cancellation"}
    for other in (change(cancelled, {**cancelled, "note": {"S": "x"}}), change(cancelled), change(cancelled, paid)):
        assert rules.decide(other).subject is None


def test_network_noise_is_audited_and_not_announced():
    rules = shown("Only IPAddress or UserAgent changed: audit, don't notify")
    before = {"IPAddress": {"S": "1"}, "UserAgent": {"S": "a"}, "Score": {"N": "1"}}
    noise, news = change(before, {**before, "IPAddress": {"S": "2"}}), change(before, {**before, "Score": {"N": "2"}})
    assert [(each.audit, each.notify) for each in map(rules.decide, (noise, news))] == [(True, False), (True, True)]


def test_the_further_examples_do_what_their_names_say():
    rules = shown("More")
    expired = rules.decide(to_envelope(sample("ttl_remove")))
    assert (expired.audit, expired.notify) == (True, False)
    beats = [
        rules.decide({**change({"LastSeen": {"N": "1"}}, {"LastSeen": {"N": "2"}}), "eventID": f"{n}"})
        for n in range(400)
    ]
    assert not any(each.notify for each in beats) and 10 < sum(each.audit for each in beats) < 80
    person = change(new={"Email": {"S": "a@example.com"}, "Phone": {"S": "1"}, "Total": {"N": "2500.50"}})
    decision = rules.decide(person)
    assert decision.attributes == {"priority": "high"}
    assert decision.audited(person)["newImage"]["Email"] == {"S": "***"}
    assert set(decision.notified(person)["newImage"]) == {"Id", "Total"}
    assert rules.decide(change(new={"Total": {"N": "9999"}, "Channel": {"S": "TEST"}})).attributes == {}


def test_members_names_and_functions_are_all_documented():
    rows = [line.split(" | ")[0] for line in TEXT.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)(?:`|\()", row)}
    assert {*_MEMBERS, *ROOTS, *FUNCTIONS} <= named


def test_the_messages_shown_are_the_ones_told():
    refused, failed = re.findall(r"```text\n(.*?)\n```", TEXT, re.DOTALL)
    (problem,) = check_rules([{"name": "high-value", "when": "new.Amount > 1000", "sinks": []}])
    assert refused == f"{OPTION}: {problem}"
    rules = load_rules([{"name": "high-value", "when": "starts_with(new.Amount, '1')", "sinks": []}])
    with pytest.raises(RuleFailed) as failure:
        rules.decide(change(new={"Amount": {"N": "1"}}))
    assert f'"detail": "{failure.value}"' in failed
