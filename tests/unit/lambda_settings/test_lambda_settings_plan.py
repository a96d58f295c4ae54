"""What a function's settings may not be, and the writes that lead to what is asked."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_settings import (
    APPLICATION_LEVELS,
    LOG_FORMATS,
    SYSTEM_LEVELS,
    conflicts,
    plan,
    problems,
    settings_state,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LEFT_OUT = dict.fromkeys(
    ("kms_key_arn", "log_format", "application_log_level", "system_log_level", "reserved_concurrent_executions")
)
FUNCTION = {"function_name": "f"}


def planned(current, log_group=None, **options):
    return plan(current, {**FUNCTION, **LEFT_OUT, **options}, log_group)


def calls(made):
    return [
        (step.call, {name: value for name, value in step.request.items() if name != "FunctionName"})
        for step in made.steps
    ]


def test_levels_are_for_json_only():
    (sentence,) = problems({"log_format": "Text", "system_log_level": "WARN"})
    assert "only JSON has levels" in sentence
    (sentence,) = conflicts(settings_state({}, None), {"application_log_level": "WARN"})
    assert "give log_format JSON too" in sentence
    assert conflicts(settings_state({}, None), {"application_log_level": "WARN", "log_format": "JSON"}) == []
    as_json = settings_state({"LoggingConfig": {"LogFormat": "JSON"}}, None)
    assert conflicts(as_json, {"application_log_level": "WARN"}) == []


def test_a_reservation_below_none_is_refused():
    (sentence,) = problems({"reserved_concurrent_executions": -2})
    assert "-1 for none reserved" in sentence


def test_what_is_left_out_is_left_alone():
    there = {"KMSKeyArn": KEY, "LoggingConfig": {"LogFormat": "JSON", "SystemLogLevel": "DEBUG"}}
    assert not planned(settings_state(there, None)).changed


def test_what_differs_is_changed_with_one_call_for_the_configuration():
    made = planned(
        settings_state({"LoggingConfig": {"LogFormat": "Text"}}, {}),
        log_group="/ours",
        kms_key_arn=KEY,
        log_format="JSON",
        system_log_level="WARN",
        reserved_concurrent_executions=0,
    )
    logging = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN", "LogGroup": "/ours"}
    assert calls(made) == [
        ("update_function_configuration", {"KMSKeyArn": KEY, "LoggingConfig": logging}),
        ("put_function_concurrency", {"ReservedConcurrentExecutions": 0}),
    ]


def test_everything_can_be_taken_back():
    there = settings_state(
        {"KMSKeyArn": KEY, "LoggingConfig": {"LogFormat": "JSON"}}, {"ReservedConcurrentExecutions": 3}
    )
    made = planned(there, kms_key_arn="", log_format="Text", reserved_concurrent_executions=-1)
    assert calls(made) == [
        ("update_function_configuration", {"KMSKeyArn": "", "LoggingConfig": {"LogFormat": "Text"}}),
        ("delete_function_concurrency", {}),
    ]


OPTIONS = st.fixed_dictionaries(
    {
        "kms_key_arn": st.sampled_from([None, "", KEY]),
        "log_format": st.sampled_from([None, *LOG_FORMATS]),
        "application_log_level": st.sampled_from([None, *APPLICATION_LEVELS]),
        "system_log_level": st.sampled_from([None, *SYSTEM_LEVELS]),
        "reserved_concurrent_executions": st.sampled_from([None, -1, 0, 7]),
    }
)


@pytest.mark.parametrize("known", [True, False])
@given(first=OPTIONS, second=OPTIONS)
def test_whatever_is_asked_a_second_run_changes_nothing(known, first, second):
    state = settings_state({}, {}) if known else None
    for options in (first, second):
        if problems(options) or (state and conflicts(state, options)):
            continue
        state = planned(state, **options).after
        assert not planned(state, **options).changed
