"""The journal says no more than what is logged for certain, and nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._history.completeness import completeness, iso
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.pipeline_journal import (
    decide,
    decide_rollback,
)
from hypothesis import given
from hypothesis import strategies as st

MADE = datetime(2026, 1, 31, 10, tzinfo=UTC)
OPTIONS: dict[str, Any] = {
    "phase": "before",
    "table_created": False,
    "stream_view_type": "NEW_AND_OLD_IMAGES",
    "mapped": False,
    "enabled": True,
    "starting_position": "TRIM_HORIZON",
    "filter_criteria": [],
    "maximum_record_age_in_seconds": 3600,
    "rules": [],
    "expiration_days": None,
    "settle_seconds": 300,
}
QUIET = [{"name": "quiet", "sinks": []}]


def table(seconds: float = 0.4, view: str = "NEW_AND_OLD_IMAGES", number: int = 1) -> dict[str, Any]:
    """A table whose stream is so many seconds younger."""
    label = f"{MADE + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}"[:-3]
    return {
        "TableArn": "arn:table/Items",
        "TableId": f"table-{number}",
        "CreationDateTime": MADE.astimezone(timezone(timedelta(hours=5))),
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": view},
        "LatestStreamArn": f"arn:table/Items/stream/{label}",
        "LatestStreamLabel": label,
    }


def said(newest=None, minutes: float = 1, of=None, **options):
    return decide(newest, table() if of is None else of, {**OPTIONS, **options}, MADE + timedelta(minutes=minutes))


class TestAFirstEntry:
    def test_of_a_new_table_begins_with_it(self):
        entry = said().entry
        assert entry["complete"] and entry["beginsWithTable"] and entry["reasons"] == []
        assert (entry["since"], entry["tableCreated"]) == ("2026-01-31T10:01:00Z", "2026-01-31T10:00:00Z")
        assert "settled" not in entry

    @pytest.mark.parametrize(
        "options",
        [
            {"of": table(60)},
            {"starting_position": "LATEST"},
            {"minutes": 20 * 60 + 1},
            {"mapped": True, "phase": "after"},
        ],
    )
    def test_of_another_does_not(self, options):
        assert not said(**options).entry["beginsWithTable"]

    def test_takes_the_deploy_s_word_that_it_made_the_table(self):
        assert said(of=table(60), table_created=True).entry["beginsWithTable"]

    def test_in_check_mode_of_a_table_that_is_to_be_made(self):
        entry = decide(None, None, OPTIONS, MADE).entry
        assert entry["beginsWithTable"] and entry["tableArn"] is None and entry["streamArn"] is None

    def test_holds_only_once_a_mapping_has_begun_at_the_latest_change(self):
        assert said(starting_position="LATEST").entry["settled"] == "2026-01-31T10:06:00Z"

    def test_waits_for_the_deploy_where_a_mapping_is_there_already(self):
        assert said(mapped=True).pending and said(mapped=True).entry is None
        assert said(mapped=True, phase="after").entry["settled"] == "2026-01-31T10:06:00Z"
        assert not said(mapped=True, rules=QUIET).entry["complete"]


class TestALaterDeploy:
    def test_that_changes_nothing_writes_nothing(self):
        newest = said().entry
        for options in ({"mapped": True}, {"mapped": True, "phase": "after"}, {}):
            assert said(newest, minutes=600, **options).entry is None
            assert not said(newest, minutes=600, **options).pending

    @pytest.mark.parametrize(
        ("option", "why"),
        [
            ({"rules": QUIET}, "the rule quiet keeps changes out of the audit log"),
            ({"filter_criteria": [{"eventName": ["INSERT"]}]}, "has filters"),
            ({"enabled": False}, "is disabled"),
            ({"stream_view_type": "KEYS_ONLY"}, "view type is KEYS_ONLY"),
        ],
    )
    def test_that_logs_less_says_so_before_it_does(self, option, why):
        entry = said(said().entry, minutes=5, mapped=True, **option).entry
        assert not entry["complete"] and why in entry["reasons"][0]
        assert entry["reachesBack"] == 3600

    def test_that_logs_more_says_so_when_it_has(self):
        newest = said(rules=QUIET).entry
        before = said(newest, minutes=5, mapped=True)
        assert (before.entry, before.pending) == (None, True)
        after = said(newest, minutes=6, mapped=True, phase="after").entry
        assert after["complete"] and after["settled"] == "2026-01-31T10:11:00Z"

    def test_whose_rules_leave_nothing_out_is_noted_at_once(self):
        entry = said(said().entry, minutes=5, mapped=True, rules=[{"sinks": ["audit"]}]).entry
        assert entry["complete"] and entry["rules"] == "keep_all" and entry["beginsWithTable"] and entry["continues"]

    def test_never_has_the_time_of_the_entry_before_it(self):
        entry = said(said().entry, minutes=1, mapped=True, rules=QUIET).entry
        assert entry["since"] == "2026-01-31T10:01:01Z"

    def test_of_another_table_begins_anew(self):
        entry = said(said().entry, minutes=5, of=table(number=2)).entry
        assert entry["beginsWithTable"] and not entry["continues"]


class TestWithoutAMapping:
    def test_for_so_long_that_the_stream_forgets_the_log_has_a_gap(self):
        newest = said().entry
        assert said(newest, minutes=19 * 60).entry is None
        entry = said(newest, minutes=21 * 60 + 1).entry
        assert not entry["continues"] and not entry["beginsWithTable"]

    def test_that_begins_at_the_latest_change_it_always_has(self):
        newest = said(starting_position="LATEST").entry
        assert not said(newest, minutes=2, starting_position="LATEST").entry["continues"]


class TestARollback:
    def test_to_rules_that_never_left_anything_out_is_not_noted(self):
        entries = [said().entry, said(rules=[{"sinks": ["audit"]}]).entry]
        assert decide_rollback(entries, OPTIONS, MADE).entry is None
        assert decide_rollback([], OPTIONS, MADE).entry is None

    def test_to_others_is(self):
        entries = [said(rules=QUIET).entry, said(minutes=5).entry]
        entry = decide_rollback(entries, OPTIONS, MADE + timedelta(minutes=9)).entry
        assert not entry["complete"] and "rolled back" in entry["reasons"][0]
        assert (entry["since"], entry["streamArn"]) == ("2026-01-31T10:09:00Z", entries[1]["streamArn"])
        assert said(entry, minutes=10, mapped=True).pending


DEPLOYS = st.lists(
    st.fixed_dictionaries(
        {
            "minutes": st.integers(1, 400),
            "rules": st.sampled_from([[], QUIET, [{"sinks": ["audit"]}]]),
            "filters": st.booleans(),
            "number": st.sampled_from([1, 1, 1, 2]),
            "killed": st.booleans(),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(DEPLOYS, st.integers(0, 3600))
def test_no_deploy_killed_anywhere_lets_the_log_claim_what_it_lacks(deploys, asked):
    """The function and the mapping do as they were last told; a deploy may be killed before or after it tells them."""
    newest, journal, live, told = None, [], None, []
    when, number = MADE, 1
    for deploy in deploys:
        when += timedelta(minutes=deploy["minutes"])
        number = max(number, deploy["number"])
        mapped = live is not None and live[0] == number
        options = {**OPTIONS, "mapped": mapped, "rules": deploy["rules"], "settle_seconds": 60}
        options["filter_criteria"] = [{}] if deploy["filters"] else []
        noted = decide(newest, table(number=number), options, when)
        if noted.entry:
            newest = noted.entry
            journal.append(newest)
        if deploy["killed"]:
            continue
        # Each is a moment after the other.
        when += timedelta(seconds=10)
        live = (number, not deploy["filters"] and deploy["rules"] != QUIET)
        told.append((when, live))
        when += timedelta(seconds=10)
        if noted.pending:
            newest = decide(newest, table(number=number), {**options, "phase": "after"}, when).entry
            journal.append(newest)
    at = MADE + timedelta(minutes=asked)
    answer = completeness(journal, [], at, when)
    if answer.complete:
        # From the table's beginning on, all that was live until then logged everything of this one table.
        assert all(state[1] for since, state in told if answer.start <= since <= at), (journal, told)
        assert iso(answer.start) == "2026-01-31T10:00:00Z"
