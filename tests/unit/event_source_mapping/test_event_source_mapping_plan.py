"""Planning: what differs is changed, nothing else is, and the plan leads where it says."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._event_source_mapping_api import MappingApi
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.event_source_mapping import (
    DEFAULTS,
    current_settings,
    describe,
    plan_absent,
    plan_present,
    problems,
    wanted,
)
from esm_support import AWS_DEFAULTS, FUNCTION, KEY, OTHER_STREAM, QUEUE, STREAM, FakeLambda
from hypothesis import assume, given, settings
from hypothesis import strategies as st

PATTERNS = [
    {"eventName": ["INSERT"]},
    '{ "eventName": [ "REMOVE" ] }',
    {"dynamodb": {"NewImage": {"status": {"S": ["done"]}, "count": {"N": ["1"]}}}},
]
OPTION_VALUES = {
    "function_name": st.sampled_from(["stream-processor", f"{FUNCTION}:live", f"{FUNCTION}:7"]),
    "enabled": st.booleans(),
    "batch_size": st.integers(1, 10_000),
    "maximum_batching_window_in_seconds": st.integers(0, 300),
    "maximum_record_age_in_seconds": st.just(-1) | st.integers(60, 604_800),
    "maximum_retry_attempts": st.integers(-1, 10_000),
    "bisect_batch_on_function_error": st.booleans(),
    "parallelization_factor": st.integers(1, 10),
    "tumbling_window_in_seconds": st.sampled_from([0, 0, 0, 60]),
    "function_response_types": st.sampled_from([[], ["ReportBatchItemFailures"]]),
    "on_failure_destination": st.sampled_from(["", QUEUE, "arn:aws:s3:::failures"]),
    "filter_criteria": st.lists(st.sampled_from(PATTERNS), max_size=3),
    "kms_key_arn": st.sampled_from(["", KEY]),
    "metrics": st.sampled_from([[], ["EventCount"]]),
    "tags": st.dictionaries(st.sampled_from(["Project", "Stage", "Owner"]), st.sampled_from(["a", "b", 5])),
}
#: Any of the options, each given, or None, or missing.
options = st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in OPTION_VALUES.items()})

REQUEST_KEYS = {
    "function_name": "FunctionName",
    "enabled": "Enabled",
    "on_failure_destination": "DestinationConfig",
    "filter_criteria": "FilterCriteria",
    "metrics": "MetricsConfig",
    "batch_size": "BatchSize",
    "maximum_batching_window_in_seconds": "MaximumBatchingWindowInSeconds",
    "maximum_record_age_in_seconds": "MaximumRecordAgeInSeconds",
    "maximum_retry_attempts": "MaximumRetryAttempts",
    "bisect_batch_on_function_error": "BisectBatchOnFunctionError",
    "parallelization_factor": "ParallelizationFactor",
    "tumbling_window_in_seconds": "TumblingWindowInSeconds",
    "function_response_types": "FunctionResponseTypes",
    "kms_key_arn": "KMSKeyArn",
}


def with_identity(given_options):
    return {"function_name": FUNCTION, "event_source_arn": STREAM, **given_options}


def possible(given_options):
    """Only what can be, as the module makes sure before it plans."""
    assume(given_options.get("function_name", FUNCTION) is not None)
    assume(not problems(given_options))
    return wanted(with_identity(given_options))


def live(fake, uuid):
    """The settings that AWS answers."""
    api = MappingApi(fake)
    mapping = api.get(uuid)
    return current_settings(mapping, api.tags(mapping["EventSourceMappingArn"]))


def apply(fake, plan, uuid=None):
    """Send the plan's requests to Lambda; answers the mapping's UUID."""
    for step in plan.steps:
        identity = {}
        if step.call in ("tag_resource", "untag_resource"):
            identity = {"Resource": fake.records[uuid]["EventSourceMappingArn"]}
        elif uuid:
            identity = {"UUID": uuid}
        answer = getattr(fake, step.call)(aws_retry=True, **identity, **copy.deepcopy(step.request))
        uuid = (answer or {}).get("UUID", uuid)
    return uuid


def created(want):
    fake = FakeLambda()
    plan = plan_present(None, want)
    return fake, plan, apply(fake, plan)


@settings(max_examples=100, deadline=None)
@given(options)
def test_a_created_mapping_is_as_planned_and_as_wanted(given_options):
    want = possible(given_options)
    fake, plan, uuid = created(want)
    settings_now = live(fake, uuid)
    assert settings_now == plan.after
    assert {name: settings_now[name] for name in want.settings} == want.settings


@settings(max_examples=100, deadline=None)
@given(options, options)
def test_an_update_leads_to_what_is_wanted_and_then_there_is_nothing_to_do(first, second):
    fake, _plan, uuid = created(possible(first))
    before = live(fake, uuid)
    want = possible(second)
    try:
        plan = plan_present(before, want)
    except InputError:
        assume(False)  # a tumbling window against the parallelization factor that is live
    apply(fake, plan, uuid)
    after = live(fake, uuid)
    assert after == plan.after
    assert {name: after[name] for name in want.settings} == want.settings
    assert not plan_present(after, want).changed


@settings(max_examples=100, deadline=None)
@given(options)
def test_a_second_run_after_creation_changes_nothing(given_options):
    want = possible(given_options)
    fake, _plan, uuid = created(want)
    again = plan_present(live(fake, uuid), want)
    assert again.steps == ()
    assert again.before == again.after


@settings(max_examples=100, deadline=None)
@given(options, options)
def test_an_update_sends_only_what_was_given_and_differs(first, second):
    fake, _plan, uuid = created(possible(first))
    before = live(fake, uuid)
    want = possible(second)
    try:
        plan = plan_present(before, want)
    except InputError:
        assume(False)
    differs = {name for name in want.settings if name in REQUEST_KEYS and want.settings[name] != before[name]}
    sent = {key for step in plan.steps if step.call.startswith("update") for key in step.request}
    assert sent == {REQUEST_KEYS[name] for name in differs}
    assert {name for name in before if before[name] != plan.after[name]} == differs | (
        {"tags"} if before["tags"] != plan.after["tags"] else set()
    )
    assert list(plan.before) == list(plan.after)


@settings(max_examples=100, deadline=None)
@given(options)
def test_options_left_out_never_appear_in_the_creation(given_options):
    (step,) = plan_present(None, possible(given_options)).steps
    left_out = {key for name, key in REQUEST_KEYS.items() if with_identity(given_options).get(name) is None}
    assert left_out.isdisjoint(step.request)
    assert given_options.get("tags") or "Tags" not in step.request


def plan_for(mapping=None, tags=None, **given_options):
    fake = FakeLambda()
    uuid = fake.add(tags=tags, **(mapping or {}))
    return plan_present(live(fake, uuid), wanted(with_identity(given_options)))


def test_creation_begins_at_the_oldest_change_unless_told_otherwise():
    (step,) = plan_present(None, wanted(with_identity({}))).steps
    assert step.request == {
        "EventSourceArn": STREAM,
        "FunctionName": FUNCTION,
        "StartingPosition": "TRIM_HORIZON",
    }
    (step,) = plan_present(None, wanted(with_identity({"starting_position": "LATEST"}))).steps
    assert step.request["StartingPosition"] == "LATEST"


def test_a_created_mapping_shows_aws_defaults_for_what_was_left_out():
    plan = plan_present(None, wanted(with_identity({"batch_size": 10})))
    assert plan.before == {}
    assert plan.after == {
        **DEFAULTS,
        "event_source_arn": STREAM,
        "function_name": "stream-processor",
        "starting_position": "TRIM_HORIZON",
        "batch_size": 10,
    }


def test_another_batch_size_is_the_only_line_of_the_difference():
    plan = plan_for(batch_size=25, enabled=True, filter_criteria=[], tags={})
    assert [
        (name, plan.before[name], plan.after[name]) for name in plan.before if plan.before[name] != plan.after[name]
    ] == [("batch_size", 100, 25)]
    assert plan.before.keys() == plan.after.keys()
    assert [(step.call, step.request) for step in plan.steps] == [("update_event_source_mapping", {"BatchSize": 25})]


def test_the_difference_shows_settings_only():
    assert set(plan_for().before) == {"event_source_arn", "starting_position", "function_name", *DEFAULTS}


def test_answers_without_a_setting_count_as_the_default():
    bare = dict.fromkeys(AWS_DEFAULTS)
    plan = plan_for(mapping=bare, **{name: value for name, value in DEFAULTS.items() if name != "tags"})
    assert not plan.changed


def test_an_answer_that_differs_from_the_default_is_compared():
    plan = plan_for(mapping={"TumblingWindowInSeconds": 30}, tumbling_window_in_seconds=0)
    assert plan.steps[0].request == {"TumblingWindowInSeconds": 0}


def test_moving_to_an_alias_sends_the_name_as_given():
    plan = plan_for(function_name=f"{FUNCTION}:live")
    assert plan.steps[0].request == {"FunctionName": f"{FUNCTION}:live"}
    assert (plan.before["function_name"], plan.after["function_name"]) == ("stream-processor", "stream-processor:live")


@pytest.mark.parametrize("name", ["stream-processor", f"{FUNCTION}:$LATEST", "123456789012:function:stream-processor"])
def test_other_spellings_of_the_function_change_nothing(name):
    assert not plan_for(function_name=name).changed


def test_filters_are_compared_as_json():
    texts = ['{"eventName":["INSERT"]}', '{"b": ["x"],\n "a": ["y"]}']
    live_filters = {"FilterCriteria": {"Filters": [{"Pattern": text} for text in texts]}}
    same = [{"eventName": ["INSERT"]}, '{"a":["y"],"b":["x"]}']
    assert not plan_for(mapping=live_filters, filter_criteria=same).changed
    changed = plan_for(mapping=live_filters, filter_criteria=[{"eventName": ["INSERT"]}])
    assert changed.steps[0].request == {"FilterCriteria": {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]}}


def test_repetitions_change_nothing():
    twice = {"metrics": ["EventCount"] * 2, "filter_criteria": [{"eventName": ["INSERT"]}, '{"eventName":["INSERT"]}']}
    once = {
        "MetricsConfig": {"Metrics": ["EventCount"]},
        "FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
    }
    assert not plan_for(mapping=once, **twice).changed


@pytest.mark.parametrize(
    ("mapping", "given_options", "request_"),
    [
        (
            {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}},
            {"on_failure_destination": ""},
            {"DestinationConfig": {"OnFailure": {"Destination": ""}}},
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}},
            {"filter_criteria": []},
            {"FilterCriteria": {}},
        ),
        ({"KMSKeyArn": KEY}, {"kms_key_arn": ""}, {"KMSKeyArn": ""}),
        ({"MetricsConfig": {"Metrics": ["EventCount"]}}, {"metrics": []}, {"MetricsConfig": {"Metrics": []}}),
        (
            {"FunctionResponseTypes": ["ReportBatchItemFailures"]},
            {"function_response_types": []},
            {"FunctionResponseTypes": []},
        ),
    ],
)
def test_an_empty_value_removes_what_is_there(mapping, given_options, request_):
    (step,) = plan_for(mapping=mapping, **given_options).steps
    assert (step.call, step.request) == ("update_event_source_mapping", request_)


def test_tags_are_added_changed_and_purged():
    plan = plan_for(tags={"Keep": "1", "Change": "1", "Drop": "1", "aws:made": "x"})
    assert not plan.changed
    want = wanted(with_identity({"tags": {"Keep": 1, "Change": "2", "New": True}}))
    plan = plan_present(plan.before, want)
    assert [(step.call, step.request) for step in plan.steps] == [
        ("untag_resource", {"TagKeys": ["Drop"]}),
        ("tag_resource", {"Tags": {"Change": "2", "New": "True"}}),
    ]
    assert plan.after["tags"] == {"Keep": "1", "Change": "2", "New": "True", "aws:made": "x"}


def test_tags_stay_when_they_are_not_to_be_purged():
    before = plan_for(tags={"Old": "1"}).before
    plan = plan_present(before, wanted(with_identity({"tags": {"New": "2"}, "purge_tags": False})))
    assert [(step.call, step.request) for step in plan.steps] == [("tag_resource", {"Tags": {"New": "2"}})]
    assert plan.after["tags"] == {"Old": "1", "New": "2"}


def test_another_starting_position_is_refused():
    with pytest.raises(InputError, match="starting_position TRIM_HORIZON, which cannot change to LATEST"):
        plan_for(starting_position="LATEST")
    assert not plan_for(starting_position="TRIM_HORIZON").changed


def test_a_mapping_that_tells_no_position_contradicts_none():
    assert not plan_for(mapping={"StartingPosition": None}, starting_position="LATEST").changed


def test_another_stream_is_refused():
    with pytest.raises(InputError, match="event_source_arn cannot be changed"):
        plan_for(event_source_arn=OTHER_STREAM)


def test_an_option_is_checked_against_the_settings_that_stay():
    with pytest.raises(InputError, match="set parallelization_factor to 1"):
        plan_for(mapping={"ParallelizationFactor": 4}, tumbling_window_in_seconds=60)


def test_filters_that_cannot_be_read_are_not_guessed():
    unreadable = {
        "KMSKeyArn": KEY,
        "FilterCriteriaError": {"ErrorCode": "KMSAccessDeniedException", "Message": "not authorized"},
    }
    pattern = [{"eventName": ["INSERT"]}]
    with pytest.raises(InputError, match=f"KMSAccessDeniedException: not authorized. Allow kms:Decrypt with {KEY}"):
        plan_for(mapping=unreadable, filter_criteria=pattern)
    assert plan_for(mapping=unreadable, batch_size=5).steps[0].request == {"BatchSize": 5}
    mended = plan_for(mapping=unreadable, filter_criteria=pattern, kms_key_arn="")
    assert mended.steps[0].request.keys() == {"FilterCriteria", "KMSKeyArn"}


def test_removal_is_planned_once():
    before = plan_for().before
    assert [step.call for step in plan_absent(before).steps] == ["delete_event_source_mapping"]
    assert not plan_absent(None).changed


def test_the_answer_is_described_with_every_setting():
    fake = FakeLambda()
    uuid = fake.add(FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}, tags={"a": "b"})
    api = MappingApi(fake)
    shown = describe(api.get(uuid), live(fake, uuid))
    assert json.loads(json.dumps(shown)) == {
        "uuid": uuid,
        "event_source_mapping_arn": f"arn:aws:lambda:us-east-1:123456789012:event-source-mapping:{uuid}",
        "event_source_arn": STREAM,
        "function_arn": FUNCTION,
        "state": "Enabled",
        "state_transition_reason": "User action",
        "last_modified": "2026-01-01T00:00:00+00:00",
        "last_processing_result": "No records processed",
        "starting_position": "TRIM_HORIZON",
        "batch_size": 100,
        "maximum_batching_window_in_seconds": 0,
        "maximum_record_age_in_seconds": -1,
        "maximum_retry_attempts": -1,
        "bisect_batch_on_function_error": False,
        "parallelization_factor": 1,
        "tumbling_window_in_seconds": 0,
        "function_response_types": [],
        "destination_config": {"on_failure": {}},
        "filter_criteria": [{"eventName": ["INSERT"]}],
        "kms_key_arn": "",
        "metrics_config": {"metrics": []},
        "tags": {"a": "b"},
    }


def test_what_is_only_planned_is_described_as_it_will_be():
    fake = FakeLambda()
    uuid = fake.add()
    want = wanted(
        with_identity({"function_name": "stream-processor:live", "enabled": False, "metrics": ["EventCount"]})
    )
    shown = describe(MappingApi(fake).get(uuid), plan_present(live(fake, uuid), want).after)
    assert shown["function_arn"] == f"{FUNCTION}:live"
    assert shown["state"] == "Disabled"
    assert shown["metrics_config"] == {"metrics": ["EventCount"]}
    assert shown["uuid"] == uuid


def test_what_is_yet_to_be_made_is_described_without_a_uuid():
    want = wanted(
        {"function_name": "stream-processor:live", "event_source_arn": STREAM, "on_failure_destination": QUEUE}
    )
    shown = describe({}, plan_present(None, want).after)
    assert "uuid" not in shown
    assert shown["function_arn"] == f"{FUNCTION}:live"
    assert shown["state"] == "Enabled"
    assert shown["destination_config"] == {"on_failure": {"destination": QUEUE}}


@pytest.mark.parametrize(
    ("state", "enabled"),
    [("Enabled", True), ("Enabling", True), ("Updating", True), ("Disabled", False), ("Disabling", False)],
)
def test_the_state_says_whether_the_mapping_is_enabled(state, enabled):
    fake = FakeLambda()
    assert live(fake, fake.add(state=state))["enabled"] is enabled
