"""What the settings of a bucket may not be, and the writes that lead to what is asked."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.s3_bucket_settings import (
    STORAGE_CLASSES,
    plan,
    problems,
)
from hypothesis import given
from hypothesis import strategies as st

OTHERS = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 1}}
BASE = {
    "name": "audit",
    "lifecycle_rule_id": "cloudcdc",
    "lifecycle_prefix": "audit-logs/",
    "lifecycle": None,
    "object_lock": None,
    "access_log": None,
}


def planned(current, **options):
    return plan(current, {**BASE, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lifecycle": {"transition_storage_class": "GLACIER"}}, "lifecycle says not what to do"),
        ({"lifecycle": {"transition_days": 30}}, "go together"),
        ({"lifecycle": {"transition_storage_class": "GLACIER", "expiration_days": 9}}, "go together"),
        ({"lifecycle": {"transition_days": 29, "transition_storage_class": "STANDARD_IA"}}, "after 30 days"),
        ({"lifecycle": {"transition_days": 1, "transition_storage_class": "COLD"}}, "use one of STANDARD_IA"),
        (
            {"lifecycle": {"transition_days": 30, "transition_storage_class": "GLACIER", "expiration_days": 30}},
            "expire later than they are moved",
        ),
        ({"lifecycle": {"expiration_days": 0}}, "lifecycle.expiration_days is 0"),
        ({"lifecycle": {"noncurrent_expiration_days": "x"}}, "lifecycle.noncurrent_expiration_days is 'x'"),
        ({"object_lock": {"mode": "GOVERNANCE"}}, "object_lock.days is None"),
        ({"object_lock": {"days": 1}}, "object_lock.mode is None"),
        ({"object_lock": {"mode": "COMPLIANCE", "days": 36501}}, "1 to 36500"),
        (
            {"object_lock": {"mode": "COMPLIANCE", "days": 10}, "lifecycle": {"expiration_days": 9}},
            "what is locked cannot be deleted",
        ),
        ({"access_log": {"prefix": "a/"}}, "access_log.bucket is missing"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_change(options, words):
    (sentence,) = problems({**BASE, **options})
    assert words in sentence


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lifecycle": {}, "object_lock": {}, "access_log": {}},
        {"lifecycle": {"transition_days": 1, "transition_storage_class": "GLACIER_IR", "expiration_days": 2}},
        {"lifecycle": {"noncurrent_expiration_days": 1}, "object_lock": {"mode": "GOVERNANCE", "days": 36500}},
        {"lifecycle": {"expiration_days": 10}, "object_lock": {"mode": "GOVERNANCE", "days": 10}},
        {"access_log": {"bucket": "logs"}},
    ],
)
def test_what_can_be_has_no_problem(options):
    assert problems({**BASE, **options}) == []


def test_what_is_left_out_is_left_alone():
    assert not planned({}).changed


def test_the_rules_of_others_and_their_order_stay():
    mine = {"ID": "cloudcdc", "Status": "Disabled", "Filter": {"Prefix": ""}}
    last = {**OTHERS, "ID": "last"}
    current = {
        "lifecycle": {"Rules": [OTHERS, mine, last], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"}
    }
    made = planned(current, lifecycle={"expiration_days": 9})
    (step,) = made.steps
    rule = {"ID": "cloudcdc", "Status": "Enabled", "Filter": {"Prefix": "audit-logs/"}, "Expiration": {"Days": 9}}
    assert step.request["LifecycleConfiguration"]["Rules"] == [OTHERS, rule, last]
    assert step.request["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    assert not planned(made.after, lifecycle={"expiration_days": 9}).changed


def test_an_empty_option_takes_the_setting_away():
    rule = {"ID": "cloudcdc", "Status": "Enabled", "Filter": {"Prefix": "audit-logs/"}, "Expiration": {"Days": 9}}
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    current = {
        "lifecycle": {"Rules": [rule]},
        "object_lock": lock,
        "access_log": {"TargetBucket": "logs", "TargetPrefix": ""},
    }
    made = planned(current, lifecycle={}, object_lock={}, access_log={})
    assert [step.call for step in made.steps] == [
        "delete_bucket_lifecycle",
        "put_object_lock_configuration",
        "put_bucket_logging",
    ]
    # A lock cannot be switched off: only the period for new objects goes.
    assert made.after == {"lifecycle": {}, "object_lock": {"ObjectLockEnabled": "Enabled"}, "access_log": {}}
    assert not planned(made.after, lifecycle={}, object_lock={}, access_log={}).changed
    (kept,) = planned({"lifecycle": {"Rules": [OTHERS, rule]}}, lifecycle={}).steps
    assert kept.request["LifecycleConfiguration"]["Rules"] == [OTHERS]


def test_the_form_of_the_logs_object_names_stays():
    form = {"TargetObjectKeyFormat": {"PartitionedPrefix": {"PartitionDateSource": "EventTime"}}}
    current = {"access_log": {"TargetBucket": "logs", "TargetPrefix": "a/", **form}}
    assert not planned(current, access_log={"bucket": "logs", "prefix": "a/"}).changed
    (step,) = planned(current, access_log={"bucket": "logs", "prefix": "b/"}).steps
    enabled = step.request["BucketLoggingStatus"]["LoggingEnabled"]
    assert enabled == {"TargetBucket": "logs", "TargetPrefix": "b/", **form}


DAYS = st.integers(1, 40_000)
LIFECYCLES = st.fixed_dictionaries(
    {},
    optional={
        "transition_days": DAYS,
        "transition_storage_class": st.sampled_from(STORAGE_CLASSES),
        "expiration_days": DAYS,
        "noncurrent_expiration_days": DAYS,
    },
)
LOCKS = st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["GOVERNANCE", "COMPLIANCE"]), "days": DAYS})
LOGS = st.fixed_dictionaries({}, optional={"bucket": st.just("logs"), "prefix": st.text(max_size=3)})


@given(lifecycle=st.none() | LIFECYCLES, object_lock=st.none() | LOCKS, access_log=st.none() | LOGS)
def test_whatever_is_asked_a_second_run_changes_nothing(lifecycle, object_lock, access_log):
    options = {"lifecycle": lifecycle, "object_lock": object_lock, "access_log": access_log}
    if problems({**BASE, **options}):
        return
    first = planned(None, **options)
    assert first.changed == any(options.values())
    assert not planned(first.after, **options).changed
