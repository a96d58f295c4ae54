"""When a version is published, where the alias goes, what is pruned, and what a rollback refuses. No AWS."""

from __future__ import annotations

import json

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import lambda_version
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import InputError
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_version import (
    UNKNOWN,
    Alias,
    Function,
    plan,
    plan_rollback,
    problems,
)
from hypothesis import given
from hypothesis import strategies as st
from version_support import OPTIONS, configuration, drill, function

ROLLBACK = {**OPTIONS, "version": None}


def calls(made) -> list[str]:
    return [step.call if step.call != "delete" else f"delete {step.request['version']}" for step in made.steps]


@pytest.mark.parametrize(
    "changed",
    [
        {"CodeSha256": "other"},
        {"MemorySize": 512},
        {"Timeout": 61},
        {"Handler": "other"},
        {"Runtime": "python3.14"},
        {"Role": "other"},
        {"Architectures": ["arm64"]},
        {"PackageType": "Image"},
        {"ImageConfigResponse": {"ImageConfig": {"Command": ["a"]}}},
        {"Layers": [{"Arn": "layer:1", "CodeSize": 1}]},
        {"EphemeralStorage": {"Size": 1024}},
        {"Environment": {"Variables": {"LOG_LEVEL": "DEBUG"}}},
        {"Environment": {"Variables": {}}},
        {"KMSKeyArn": "key"},
        {"DeadLetterConfig": {"TargetArn": "queue"}},
        {"TracingConfig": {"Mode": "Active"}},
        {"LoggingConfig": {"LogFormat": "JSON"}},
        {"VpcConfig": {"SubnetIds": ["a"], "SecurityGroupIds": []}},
        {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": ["a"]}},
        {"VpcConfig": {"Ipv6AllowedForDualStack": True}},
        {"FileSystemConfigs": [{"Arn": "a"}]},
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
    ],
    ids=str,
)
def test_every_setting_that_a_version_freezes_is_published(changed):
    live = function(1, live="1")
    assert calls(plan(live, OPTIONS)) == []
    edited = Function({**live.latest, **changed}, live.versions, live.aliases)
    assert calls(plan(edited, OPTIONS)) == ["publish", "update_alias"]


@pytest.mark.parametrize(
    "changed",
    [
        {"LastModified": "later"},
        {"RevisionId": "other"},
        {"Description": "other"},
        {"CodeSize": 7},
        {"State": "Inactive"},
        {"SnapStart": {"ApplyOn": "None", "OptimizationStatus": "On"}},
        {"Layers": None},
        {"KMSKeyArn": ""},
        {"VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}},
        {"RuntimeVersionConfig": {"RuntimeVersionArn": "newer"}},
    ],
    ids=str,
)
def test_what_decides_nothing_publishes_nothing(changed):
    live = function(1, live="1")
    assert calls(plan(Function({**live.latest, **changed}, live.versions, live.aliases), OPTIONS)) == []


def test_a_function_that_is_yet_to_be_made_gets_its_first_version():
    made = plan(None, OPTIONS)
    assert calls(made) == ["publish", "create_alias"]
    assert made.after == {"versions": [UNKNOWN], "alias": {"version": UNKNOWN}}


def test_the_diff_names_what_differs_and_no_variables_value():
    live = function(1, live="1")
    environment = {"Variables": {"LOG_LEVEL": "secret-1", "NEW": "secret-2"}}
    made = plan(
        Function({**live.latest, "Environment": environment, "Timeout": 9}, live.versions, live.aliases), OPTIONS
    )
    assert made.before["settings"] == {"timeout": 60, "environment": {"LOG_LEVEL": "(its old value)"}}
    assert made.after["settings"] == {
        "timeout": 9,
        "environment": {"LOG_LEVEL": "(its new value)", "NEW": "(its new value)"},
    }
    assert "secret" not in json.dumps([made.before, made.after])


def test_an_environment_that_cannot_be_read_is_said():
    error = {"Error": {"ErrorCode": "AccessDeniedException", "Message": "not authorized to perform: kms:Decrypt"}}
    with pytest.raises(InputError, match=r"version \$LATEST cannot be read: AccessDeniedException.*kms:Decrypt with"):
        plan(function(1, live="1", latest=configuration(Environment=error)), OPTIONS)


@pytest.mark.parametrize(
    "alias", [Alias("1"), Alias("$LATEST"), Alias("2", frozenset({"1"}))], ids=["behind", "latest", "a share elsewhere"]
)
def test_the_alias_is_put_right_without_a_new_version(alias):
    made = plan(function(1, 2, aliases={"live": alias}), OPTIONS)
    assert calls(made) == ["update_alias"]
    assert made.after["alias"] == {"version": "2"}


def test_an_alias_that_is_not_there_is_made():
    assert calls(plan(function(1, 2), OPTIONS)) == ["create_alias"]


def test_without_an_alias_only_a_version_is_published():
    options = {**OPTIONS, "alias": None}
    assert calls(plan(function(1, latest=configuration()), options)) == ["publish"]
    assert calls(plan(function(1), options)) == []


# --- pruning ---


def test_the_newest_stay():
    made = plan(function(1, 2, 3, 4, live="4"), {**OPTIONS, "keep": 2})
    assert calls(made) == ["delete 1", "delete 2"]
    assert made.after["versions"] == ["3", "4"]


def test_a_new_version_counts_among_those_that_stay():
    made = plan(function(1, 2, 3, live="3", latest=configuration()), {**OPTIONS, "keep": 3})
    assert calls(made) == ["publish", "update_alias", "delete 1"]
    assert made.after["versions"] == ["2", "3", UNKNOWN]


def test_the_version_that_the_alias_leaves_stays_instead_of_the_oldest_of_the_newest():
    made = plan(function(1, 2, 3, 4, live="1", latest=configuration()), {**OPTIONS, "keep": 3})
    assert made.after["versions"] == ["1", "4", UNKNOWN]


def test_what_others_lead_to_stays():
    others = {"canary": Alias("1", frozenset({"2"}))}
    made = plan(function(1, 2, 3, 4, 5, 6, live="6", aliases=others, mapped=frozenset({"3"})), {**OPTIONS, "keep": 2})
    assert calls(made) == ["delete 4"]


def test_nothing_is_pruned_unless_asked():
    assert calls(plan(function(1, 2, 3, 4, live="4"), {**OPTIONS, "keep": None})) == []


@given(
    versions=st.lists(st.integers(1, 40), min_size=1, max_size=20, unique=True).map(sorted),
    data=st.data(),
    keep=st.integers(2, 10),
    edited=st.booleans(),
)
def test_a_second_run_changes_nothing_and_what_is_needed_stays(versions, data, keep, edited):
    numbers = [str(number) for number in versions]
    live = data.draw(st.sampled_from(numbers))
    drills = data.draw(st.sets(st.sampled_from(numbers)))
    other = data.draw(st.none() | st.sampled_from(numbers))
    before = function(*versions, live=live, latest=configuration() if edited else None)
    before.versions.update({number: drill(number) for number in drills})
    aliases = {**before.aliases, **({"other": Alias(other)} if other else {})}
    options = {**OPTIONS, "keep": keep}
    before = Function(before.latest, before.versions, aliases)
    first = plan(before, options)

    # What the plan does, done.
    gone = {step.request["version"] for step in first.steps if step.call == "delete"}
    published = str(versions[-1] + 1) if "publish" in calls(first) else None
    target = published or first.after["alias"]["version"]
    left = {number: each for number, each in before.versions.items() if number not in gone}
    if published:
        left[published] = {**before.latest, "Version": published}
    after = Function(before.latest, left, {**aliases, "live": Alias(target)})
    assert calls(plan(after, options)) == []

    assert not gone & {live, target, other}
    lasting = [number for number in left if number not in drills]
    assert len(lasting) <= keep + (other is not None)
    assert len(lasting) >= min(keep, len([number for number in numbers if number not in drills]))


# --- drills ---


def test_a_drill_is_published_and_then_left_for_the_version_before_it():
    broken = plan(function(1, 2, live="2", latest=drill()), OPTIONS)
    assert calls(broken) == ["publish", "update_alias"]
    live = function(1, 2, live="3")
    live.versions["3"] = drill("3")
    # Lambda may still run it, so it stays for now.
    assert calls(plan(live, OPTIONS)) == ["update_alias"]
    assert plan(live, OPTIONS).after["alias"] == {"version": "2"}


def test_a_drills_version_goes_with_the_next_change_and_counts_as_none():
    live = function(1, 2, 3, live="3")
    live.versions["2"] = drill("2")
    options = {**OPTIONS, "keep": 2}
    assert calls(plan(live, options)) == []
    edited = Function(configuration(Timeout=9), live.versions, live.aliases)
    assert calls(plan(edited, options)) == ["publish", "update_alias", "delete 1", "delete 2"]


def test_the_same_drill_is_not_published_again():
    live = function(1, live="2", latest=drill())
    live.versions["2"] = drill()
    assert calls(plan(live, OPTIONS)) == []


# --- rollback ---


def test_a_rollback_goes_to_the_version_before_the_live_one():
    target, made = plan_rollback(function(1, 2, 4, 5, live="4"), ROLLBACK)
    assert target == "2"
    assert made.before == {"alias": {"version": "4"}, "settings": {"memory_size": 260}}
    assert made.after == {"alias": {"version": "2"}, "settings": {"memory_size": 258}}
    assert calls(made) == ["update_alias"]


def test_a_rollback_passes_over_a_drills_version():
    live = function(1, 2, 3, live="3")
    live.versions["2"] = drill("2")
    assert plan_rollback(live, ROLLBACK)[0] == "1"


def test_a_rollback_goes_to_the_version_that_is_named():
    assert plan_rollback(function(1, 2, 3, live="2"), {**ROLLBACK, "version": "3"})[0] == "3"


def test_a_live_latest_goes_back_to_the_newest_version():
    assert plan_rollback(function(1, 2, live="$LATEST"), ROLLBACK)[0] == "2"


def test_a_rollback_takes_back_a_share_of_traffic():
    assert plan_rollback(function(1, 2, aliases={"live": Alias("2", frozenset({"1"}))}), {**ROLLBACK, "version": "2"})


LIST = r"2 \(live, of 2026-01-02T00:00:00\), 1 \(of 2026-01-01T00:00:00\)\.$"


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("9", rf"There is no version 9 to go back to\. Versions of processor: {LIST}"),
        ("2", rf"Version 2 is live already\. Versions of processor: {LIST}"),
        ("$LATEST", r"There is no version \$LATEST to go back to\."),
    ],
)
def test_a_version_that_cannot_be_gone_back_to_is_refused_with_those_there_are(version, words):
    with pytest.raises(InputError, match=words):
        plan_rollback(function(1, 2, live="2"), {**ROLLBACK, "version": version})


def test_a_drills_version_is_refused():
    live = function(1, 2, 3, live="3")
    live.versions["2"] = drill("2")
    with pytest.raises(InputError, match=r"Version 2 is a failure drill's.*2 \(of [^)]*, of a failure drill\)"):
        plan_rollback(live, {**ROLLBACK, "version": "2"})


def test_there_must_be_something_to_go_back_to():
    with pytest.raises(InputError, match=r"There is no version before 1, which is live\."):
        plan_rollback(function(1, 2, live="1"), ROLLBACK)
    with pytest.raises(InputError, match="has no alias live: deploy it first"):
        plan_rollback(function(1, 2), ROLLBACK)
    with pytest.raises(InputError, match="There is no function processor"):
        plan_rollback(None, ROLLBACK)


# --- options ---


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"function_name": "arn:aws:lambda:eu-central-1:123456789012:function:x"}, "function_name is 'arn:"),
        ({"function_name": "x:live"}, "give the name alone"),
        ({"alias": "7"}, "alias is '7'; give"),
        ({"alias": "a b"}, "alias is 'a b'"),
        ({"keep": 1}, "keep is 1; give 2 or more"),
    ],
)
def test_options_that_cannot_be_are_said(changed, words):
    assert words in problems({**OPTIONS, **changed})[0]


def test_options_that_can_be():
    assert problems(OPTIONS) == []
    assert problems({**OPTIONS, "alias": None, "keep": None}) == []
    assert lambda_version.ordered({"10", "9"}) == ["9", "10"]
