"""Versions of the function and the alias live: deploys publish and prune them, rollbacks go back, nothing is lost."""

from __future__ import annotations

import threading

import pytest
from ansible_runs import Project, until

from tests import random_changes
from tests.accounting import Pipeline

pytestmark = pytest.mark.cloud

PUBLISH = "Publish a version and make it live"
MAPPING = "Connect the stream to the function"
MOVE = "Move the alias back"


class Versions:
    """A pipeline, and its function's versions as AWS has them."""

    def __init__(self, cloud, folder) -> None:
        self.project = Project(cloud, folder, {"activities": {}, "orders": {}}, maximum_batching_window_in_seconds=0)
        self.cloud, self.api = cloud, cloud.client("lambda")

    def run(self, verb: str, *arguments: str):
        return self.project.run(verb, "--limit", "activities", *arguments)

    @property
    def outputs(self):
        return self.project.outputs("activities")

    @property
    def name(self) -> str:
        return self.outputs["function_name"]

    def numbers(self) -> list[str]:
        found = self.api.list_versions_by_function(FunctionName=self.name)["Versions"]
        return [each["Version"] for each in found if each["Version"] != "$LATEST"]

    def live(self) -> str:
        return self.api.get_alias(FunctionName=self.name, Name="live")["FunctionVersion"]

    def mappings(self) -> list[tuple[str, str]]:
        found = self.api.list_event_source_mappings()["EventSourceMappings"]
        return [(each["UUID"], each["FunctionArn"]) for each in found]

    def memory(self, qualifier: str = "live") -> int:
        return self.api.get_function_configuration(FunctionName=self.name, Qualifier=qualifier)["MemorySize"]

    def have_run(self) -> set[str]:
        """The versions that have written log lines, by their streams' names: 2026/01/31/[7]….."""
        pages = self.cloud.client("logs").get_paginator("describe_log_streams")
        streams = pages.paginate(logGroupName=self.outputs["log_group"]).build_full_result()["logStreams"]
        return {each["logStreamName"].partition("[")[2].partition("]")[0] for each in streams}


@pytest.fixture(scope="module")
def versions(cloud, tmp_path_factory) -> Versions:
    cloud.reset()
    made = Versions(cloud, tmp_path_factory.mktemp("versions"))
    made.run("deploy").ok()
    return made


class Load:
    """Random changes, one round after the other, until it is left."""

    def __init__(self, cloud, table_name: str) -> None:
        self._client, self._table = cloud.client("dynamodb"), table_name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0

    def __enter__(self) -> Load:
        self._thread.start()
        until(lambda: self.rounds, "the first round of changes")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.2):
            random_changes.make(self._client, self._table, 20, 12, seed=self.rounds)
            self.rounds += 1


def test_the_mapping_of_a_deploy_without_versions_moves_to_the_alias_and_keeps_its_place(versions):
    """As deploys were before: the mapping leads to the function itself, and there is no alias."""
    ((uuid, alias),) = versions.mappings()
    assert alias == versions.outputs["alias_arn"]
    versions.api.update_event_source_mapping(UUID=uuid, FunctionName=versions.name)
    until(lambda: versions.api.get_event_source_mapping(UUID=uuid)["State"] == "Enabled", "the old mapping")
    versions.api.delete_alias(FunctionName=versions.name, Name="live")
    pipeline = Pipeline(versions.outputs)
    random_changes.make(versions.cloud.client("dynamodb"), versions.outputs["table_name"], 20, 12, seed=1)
    assert not pipeline.settled(audited=True).missing
    assert "$LATEST" in versions.have_run()

    run = versions.run("deploy").ok()

    assert run.changed() == [PUBLISH, MAPPING]
    assert versions.mappings() == [(uuid, alias)]
    random_changes.make(versions.cloud.client("dynamodb"), versions.outputs["table_name"], 20, 12, seed=2)
    account = pipeline.settled(audited=True)
    assert len(account.stream) == 40
    assert not account.missing and not account.doubled, account.line()
    assert versions.live() in versions.have_run()


def test_an_edited_option_is_a_new_version_and_a_second_run_makes_none(versions):
    before, mapping = versions.numbers(), versions.mappings()
    versions.project.options |= {"memory_size": 512, "log_level": "DEBUG"}

    announced = versions.run("deploy", "--check", "--diff").ok()
    assert PUBLISH in announced.changed()
    assert versions.numbers() == before

    run = versions.run("deploy", "--diff").ok()
    assert run.changed() == announced.changed()
    (diff,) = run.diffs(PUBLISH)
    assert diff["after"]["settings"] == {"memory_size": 512, "environment": {"LOG_LEVEL": "(its new value)"}}
    assert versions.numbers() == [*before, versions.live()]
    assert (versions.memory(), versions.memory(before[-1])) == (512, 256)
    assert versions.outputs["function_version"] == versions.live()
    assert versions.mappings() == mapping

    assert versions.run("deploy").ok().changed() == []
    assert versions.numbers() == [*before, versions.live()]


def test_a_rollback_under_load_loses_nothing_and_a_deploy_goes_forward_again(versions):
    outputs, pipeline, newest = versions.outputs, Pipeline(versions.outputs), versions.live()
    earlier = versions.numbers()[-2]
    announced = versions.run("rollback", "--check", "--diff").ok()
    assert announced.changed() == [MOVE]
    assert versions.live() == newest

    with Load(versions.cloud, outputs["table_name"]) as load:
        until(lambda: newest in versions.have_run(), "the newest version at work")
        run = versions.run("rollback", "--diff").ok()
        assert versions.live() == earlier
        assert f"Version {earlier} is live instead of {newest}" in run.output
        assert run.diffs(MOVE) == announced.diffs(MOVE)
        rounds = load.rounds
        until(lambda: load.rounds > rounds + 2, "changes after the rollback")
        again = versions.run("deploy").ok()

    assert again.changed() == [PUBLISH]
    assert versions.live() == newest
    account = pipeline.settled(audited=True, timeout=120)
    assert len(account.stream) == 40 + 20 * load.rounds
    assert not account.missing, account.line()
    assert not (account.failures or account.doubled or account.strangers), account.line()
    assert {earlier, newest} <= versions.have_run()


def test_what_cannot_be_gone_back_to_is_refused_with_the_versions_there_are(versions):
    live, there = versions.live(), versions.numbers()
    for number, words in (("99", "There is no version 99"), (live, f"Version {live} is live already")):
        run = versions.run("rollback", "-e", f"rollback_version={number}")
        assert run.returncode != 0
        assert words in run.failures()[0]
        assert all(f"{each} (" in run.failures()[0] for each in there)
    run = versions.run("rollback", "-e", "rollback_version=first")
    assert "rollback_version is first; give a version's number" in run.failures()[0]
    run = versions.project.run("rollback", "-e", f"rollback_version={there[0]}")
    assert "with --limit the one pipeline" in run.failures()[0]
    run = versions.run("rollback", "-e", "ddb_stream_pipeline_protected=true", "-e", "rollback_confirm=other")
    assert "-e rollback_confirm=test" in run.failures()[0]
    assert versions.live() == live


def test_as_many_versions_stay_as_are_to_be_kept(versions):
    versions.project.options |= {"memory_size": 256, "versions_to_keep": 2}
    before = versions.live()
    versions.run("deploy").ok()
    assert versions.numbers() == [before, versions.live()]
    assert versions.run("deploy").ok().changed() == []
