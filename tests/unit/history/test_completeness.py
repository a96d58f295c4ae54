"""The log claims to know the table's state only where no change can be missing, and says why not elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.completeness import (
    completeness,
    iso,
    log_faults,
    rules_kind,
)
from hypothesis import given
from hypothesis import strategies as st

BEGIN = datetime(2026, 1, 31, 10, tzinfo=UTC)


def at(minute: float) -> datetime:
    return BEGIN + timedelta(minutes=minute)


def entry(minute: float, stream: str = "s1", **more: Any) -> dict[str, Any]:
    told = {"schema": "cloudcdc.log/1", "since": iso(at(minute)), "tableId": f"t-{stream}", "streamArn": stream}
    return {**told, "beginsWithTable": False, "complete": True, "reasons": [], **more}


def broken(minute: float, why: str = "the rule quiet keeps changes out", **more: Any) -> dict[str, Any]:
    return entry(minute, complete=False, reasons=[why], **more)


def of_table(minute: float, made: float, **more: Any) -> dict[str, Any]:
    return entry(minute, beginsWithTable=True, tableCreated=iso(at(made)), **more)


def baseline(begin: float, end: float, stream: str = "s1") -> dict[str, Any]:
    name = f"{at(begin):%Y%m%dT%H%M%SZ}-00000000"
    return {"id": name, "watermark": iso(at(begin)), "end": iso(at(end)), "tableId": f"t-{stream}", "streamArn": stream}


def ask(entries, manifests, minute: float, now: float = 1000):
    return completeness(entries, manifests, at(minute), at(now))


class TestTheStart:
    def test_is_the_table_s_beginning_where_the_log_begins_with_it(self):
        told = ask([of_table(1, made=0)], [], 5)
        assert (told.complete, told.reasons, told.start, told.baseline) == (True, [], at(0), None)

    def test_counts_the_time_between_the_table_and_its_first_entry(self):
        assert ask([of_table(1, made=0)], [], 0.5).complete
        assert not ask([of_table(1, made=0)], [], -0.5).complete

    def test_is_the_newest_baseline_that_ended_by_then(self):
        both = [baseline(10, 12), baseline(20, 22), baseline(30, 32)]
        told = ask([entry(0)], both, 31)
        assert (told.complete, told.start, told.baseline) == (True, at(20), both[1])
        assert ask([entry(0)], both, 22).baseline is both[1]
        assert not ask([entry(0)], both, 11.9).complete

    def test_is_an_older_baseline_where_the_newest_is_of_no_use(self):
        entries = [entry(0), broken(30), entry(40)]
        told = ask(entries, [baseline(10, 12), baseline(35, 37)], 29)
        assert told.baseline == baseline(10, 12)
        told = ask(entries, [baseline(10, 12), baseline(35, 37)], 50)
        assert not told.complete
        assert "20260131T103500Z-00000000 cannot be used" in told.reasons[0]

    def test_is_the_baseline_rather_than_the_table_since_less_is_read(self):
        assert ask([of_table(0, made=0)], [baseline(10, 12)], 20).start == at(10)


class TestTheReasons:
    def test_say_that_there_is_no_journal(self):
        assert "has no journal" in ask([], [baseline(0, 1)], 5).reasons[0]

    def test_say_that_the_log_begins_after_the_table(self):
        told = ask([entry(0)], [], 5)
        assert told.reasons == [
            "The log begins at 2026-01-31T10:00:00Z, after the table, and there is no baseline of its stream that "
            "ended by 2026-01-31T10:05:00Z: run playbooks/baseline.yml; the state is known from the end of that run on."
        ]

    def test_say_what_was_left_out_and_when(self):
        told = ask([of_table(0, made=0), broken(10), entry(20)], [], 30)
        assert told.reasons == [
            "From 2026-01-31T10:10:00Z to 2026-01-31T10:20:00Z the log is not complete: the rule quiet keeps changes "
            "out."
        ]
        assert "10:10:00Z on the log" in ask([of_table(0, made=0), broken(10)], [], 30).reasons[0]

    def test_do_not_hold_before_what_was_left_out(self):
        assert ask([of_table(0, made=0), broken(10), entry(20)], [], 9).complete

    def test_go_back_as_far_as_changes_may_have_waited(self):
        entries = [of_table(0, made=0), broken(100, reachesBack=3600)]
        assert ask(entries, [], 39).complete
        assert not ask(entries, [], 41).complete

    def test_go_on_until_what_was_changed_has_settled(self):
        entries = [broken(0), entry(10, settled=iso(at(12)))]
        assert not ask(entries, [baseline(11, 13)], 20).complete
        assert ask(entries, [baseline(12, 13)], 20).complete

    def test_do_not_vanish_with_a_later_entry_that_inherits_the_beginning(self):
        entries = [of_table(0, made=0, complete=False, reasons=["filters"]), of_table(10, made=0)]
        assert not ask(entries, [], 20).complete
        assert ask(entries, [baseline(15, 16)], 20).complete


class TestAnotherStream:
    def test_begins_anew(self):
        entries = [of_table(0, made=0), of_table(50, made=49, stream="s2")]
        assert ask(entries, [], 40).start == at(0)
        assert ask(entries, [], 60).start == at(49)
        assert not ask([of_table(0, made=0), entry(50, "s2")], [baseline(10, 12)], 60).complete

    def test_that_was_the_stream_before_does_not_go_on_where_it_was(self):
        entries = [entry(0), entry(50, "s2"), entry(60)]
        assert not ask(entries, [baseline(10, 12)], 70).complete
        assert ask(entries, [baseline(61, 62)], 70).complete

    def test_nor_does_a_log_that_was_interrupted(self):
        entries = [entry(0), entry(50, continues=False)]
        assert ask(entries, [baseline(10, 12)], 40).complete
        told = ask(entries, [baseline(10, 12)], 60)
        assert not told.complete
        assert "without a gap to 2026-01-31T10:50:00Z only" in told.reasons[0]


class TestALifecycle:
    DAY = 24 * 60

    def test_that_deleted_the_beginning_leaves_a_log_that_is_not_complete(self):
        entries = [of_table(0, made=0, expirationDays=30)]
        assert ask(entries, [], 5, now=30 * self.DAY).complete
        told = ask(entries, [], 29 * self.DAY, now=30 * self.DAY + 1)
        assert not told.complete
        assert "lifecycle may have deleted" in told.reasons[0]

    def test_that_was_shorter_once_has_deleted_for_good(self):
        entries = [of_table(0, made=0, expirationDays=10), of_table(15 * self.DAY, made=0, expirationDays=300)]
        assert not ask(entries, [], 16 * self.DAY, now=16 * self.DAY).complete

    def test_lets_a_younger_baseline_be_used(self):
        entries = [of_table(0, made=0, expirationDays=30)]
        assert ask(entries, [baseline(29 * self.DAY, 29 * self.DAY + 5)], 40 * self.DAY, now=40 * self.DAY).complete


@st.composite
def histories(draw):
    """Entries of two streams, and baselines; each minute has one thing."""
    minutes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=8, unique=True))
    entries, made = [], {}
    for minute in sorted(minutes):
        stream = draw(st.sampled_from(["s1", "s1", "s1", "s2"]))
        whole = draw(st.sampled_from([True, True, True, False]))
        first = not made
        made.setdefault(stream, draw(st.booleans()) and first)
        more = {"complete": whole, "reasons": [] if whole else ["for a reason"]}
        if made[stream]:
            more |= {"beginsWithTable": True, "tableCreated": iso(at(0))}
        entries.append((minute, entry(minute, stream, **more)))
    spans = draw(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.sampled_from(["s1", "s2"])), max_size=4))
    return entries, [(begin, begin + long, baseline(begin, begin + long, stream)) for begin, long, stream in spans]


@given(histories(), st.integers(0, 40))
def test_it_says_what_looking_at_each_minute_says(history, minute):
    entries, spans = history

    def in_effect(when: int) -> dict[str, Any] | None:
        held = [each for since, each in entries if since <= when]
        if held:
            return held[-1]
        first = entries[0][1]
        return first if first["beginsWithTable"] else None

    now = in_effect(minute)
    first_stream = entries[0][1]["streamArn"]

    def logged_since(start: int) -> bool:
        return all(
            (each := in_effect(when)) and each["complete"] and each["streamArn"] == now["streamArn"]
            for when in range(start, minute + 1)
        )

    told = ask([each for _since, each in entries], [each for *_span, each in spans], minute)
    usable = [
        (end, begin)
        for begin, end, each in spans
        if now and end <= minute and each["streamArn"] == now["streamArn"] and logged_since(begin)
    ]
    from_table = bool(now and now["streamArn"] == first_stream and entries[0][1]["beginsWithTable"] and logged_since(0))
    assert told.complete == bool(usable or from_table)
    assert bool(told.reasons) != told.complete
    if usable:
        assert at(max(end for end, _begin in usable)) == datetime.fromisoformat(told.baseline["end"])
    elif from_table:
        assert (told.start, told.baseline) == (at(0), None)


class TestFaults:
    def test_none_where_every_change_is_logged_whole(self):
        rules = [
            {"subject": "x"},
            {"sinks": ["audit"], "notification": {"drop": ["a"]}},
            {"sinks": ["notify", "audit"]},
        ]
        assert log_faults("NEW_AND_OLD_IMAGES", False, rules) == []
        assert (rules_kind([]), rules_kind(rules)) == ("none", "keep_all")

    @pytest.mark.parametrize(
        ("rule", "why"),
        [
            ({"sinks": []}, "rule 1 keeps changes out of the audit log"),
            ({"name": "calm", "sinks": ["notify"]}, "the rule calm keeps changes out of the audit log"),
            ({"audit": {"mask": ["a"]}}, "rule 1 masks attributes in the audit log"),
            ({"audit": {"mask": ["a"], "drop": ["b"]}}, "rule 1 drops and masks attributes in the audit log"),
        ],
    )
    def test_of_rules_that_leave_something_out(self, rule, why):
        assert log_faults("NEW_AND_OLD_IMAGES", False, [rule]) == [why]
        assert rules_kind([rule]) == "drops"

    def test_of_the_stream_and_the_mapping(self):
        assert "view type is KEYS_ONLY" in log_faults("KEYS_ONLY", False, [])[0]
        assert log_faults(None, False, []) == ["the table has no stream"]
        assert "has filters" in log_faults("NEW_AND_OLD_IMAGES", True, [])[0]
        assert "is disabled" in log_faults("NEW_AND_OLD_IMAGES", False, [], enabled=False)[0]
