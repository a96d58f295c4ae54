"""What is seen of a pipeline, judged."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_status.judging import judge

WANTED = {"enabled": True, "iterator_age_limit": 3600, "failure_queue_url": "https://queue", "failure_bucket": ""}
WELL = {
    "table": {"name": "Orders", "status": "ACTIVE", "stream_arn": "arn:s", "stream_view_type": "KEYS_ONLY"},
    "event_source_mapping": {
        "state": "Enabled",
        "state_transition_reason": "User action",
        "last_processing_result": "OK",
        "on_the_tables_stream": True,
        "count": 1,
    },
    "function": {
        "name": "processor",
        "state": "Active",
        "state_reason": "",
        "last_update_status": "Successful",
        "last_update_status_reason": "",
        "qualifier": "live",
        "qualifier_is_there": True,
    },
    "metrics": {
        "minutes": 60,
        "iterator_age_ms": 100.0,
        "dropped": 0,
        "delivery_failures": 0,
        "oldest_failure_seconds": None,
    },
    "failure_queue": {"messages": 0, "in_flight": 0, "delayed": 0},
    "failure_bucket": None,
    "alarms": [{"name": "errors", "state": "OK", "since": None, "reason": "", "actions_enabled": True}],
    "missing": [],
    "unreadable": [],
}


def seen(part=None, **changed):
    found = copy.deepcopy(WELL)
    if part is None:
        found.update(changed)
    else:
        target = found[part][0] if isinstance(found[part], list) else found[part]
        target.update(changed)
    return found


def test_all_well_is_ok_without_reasons():
    assert judge(WELL, WANTED) == ("ok", [])


@pytest.mark.parametrize("result", ["", "OK", "No records processed"])
@pytest.mark.parametrize("age", [None, 0.0, 3_599_999.0])
def test_a_quiet_pipeline_is_ok(result, age):
    quiet = seen("event_source_mapping", last_processing_result=result)
    quiet["metrics"]["iterator_age_ms"] = age
    assert judge(quiet, WANTED) == ("ok", [])


@pytest.mark.parametrize(
    ("state", "found", "words"),
    [
        ("broken", seen("table", stream_arn=None), "the table's stream is off"),
        ("attention", seen("table", status="UPDATING"), "the table is UPDATING"),
        ("broken", seen("event_source_mapping", state="Disabled"), "is Disabled, and should be enabled (User action)"),
        ("attention", seen("event_source_mapping", state="Updating"), "is Updating"),
        (
            "broken",
            seen("event_source_mapping", last_processing_result="PROBLEM: Function call failed"),
            "last result: PROBLEM: Function call failed",
        ),
        ("broken", seen("event_source_mapping", on_the_tables_stream=False), "a former stream"),
        ("attention", seen("event_source_mapping", count=2), "2 event source mappings"),
        ("broken", seen("function", qualifier_is_there=False), "calls processor:live, which is not there"),
        ("broken", seen("function", state="Failed", state_reason="no role"), "the function is Failed: no role"),
        ("attention", seen("function", state="Pending"), "the function is Pending"),
        ("attention", seen("function", last_update_status="Failed"), "last update is Failed"),
        ("broken", seen("metrics", dropped=3), "dropped 3 changes without a failure record in the last 60 minutes"),
        ("broken", seen("metrics", delivery_failures=1), "could not deliver failure records"),
        ("attention", seen("metrics", iterator_age_ms=3_600_000.0), "3600 s behind the stream"),
        (
            "attention",
            seen("failure_queue", in_flight=2),
            "2 messages wait in the failure queue: run playbooks/redrive",
        ),
        ("attention", seen(failure_bucket={"name": "b", "holds_failures": True}), "the failure bucket holds"),
        (
            "attention",
            seen("alarms", state="ALARM", since="2026-01-31T12:00:00Z", reason="too many"),
            "the alarm errors is in ALARM since 2026-01-31T12:00:00Z: too many",
        ),
        ("attention", seen("alarms", actions_enabled=False), "tells nobody"),
        ("broken", seen(missing=["audit bucket"]), "the audit bucket is missing"),
        ("attention", seen(missing=["alarm dropped"]), "the alarm dropped is missing"),
        ("attention", seen(unreadable=[{"resource": "alarms", "reason": "not you"}]), "could not be read: not you"),
    ],
)
def test_each_thing_wrong_is_the_one_reason(state, found, words):
    judged, reasons = judge(found, WANTED)
    assert judged == state
    assert len(reasons) == 1 and words in reasons[0]["reason"]


def test_how_long_the_oldest_failure_waits_is_told():
    found = seen("failure_queue", messages=1)
    found["metrics"]["oldest_failure_seconds"] = 95.0
    assert "the oldest for 95 s" in judge(found, WANTED)[1][0]["reason"]


@pytest.mark.parametrize(("state", "judged"), [("Disabled", "ok"), ("Enabled", "attention")])
def test_a_mapping_that_should_be_disabled(state, judged):
    assert judge(seen("event_source_mapping", state=state), {**WANTED, "enabled": False})[0] == judged


def test_the_worst_reason_decides_and_comes_first():
    found = seen("event_source_mapping", state="Disabled")
    found["failure_queue"]["messages"] = 1
    judged, reasons = judge(found, WANTED)
    assert judged == "broken" and [each["state"] for each in reasons] == ["broken", "attention"]


GONE = {"table": None, "event_source_mapping": None, "function": None, "failure_queue": None, "alarms": []}


def test_nothing_there_is_absent():
    missing = ["table", "event source mapping", "function", "failure queue", "alarm errors", "audit bucket"]
    judged, reasons = judge(seen(**GONE, missing=missing), WANTED)
    assert judged == "absent" and reasons == [{"state": "absent", "reason": "it is not deployed"}]


def test_what_a_teardown_keeps_is_absent_and_said():
    missing = ["event source mapping", "function", "failure queue", "alarm errors"]
    judged, reasons = judge(seen(**{**GONE, "table": WELL["table"]}, missing=missing), WANTED)
    assert judged == "absent" and "there is the table and the audit bucket" in reasons[0]["reason"]


def test_a_pipeline_that_nobody_may_read_is_not_absent():
    unreadable = [{"resource": name, "reason": "no"} for name in ("event source mapping", "function", "failure queue")]
    assert judge(seen(**GONE, unreadable=unreadable), WANTED)[0] == "attention"
