"""A Lambda that keeps versions and aliases of one function as AWS does, and what tests say to it."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.lambda_version import Alias, Function
from botocore.exceptions import ClientError

NAME = "processor"
ARN = f"arn:aws:lambda:eu-central-1:123456789012:function:{NAME}"
OPTIONS: dict[str, Any] = {
    "function_name": NAME,
    "alias": "live",
    "keep": 5,
    "temporary_variables": ["DRILL_ID"],
    "expect_configuration": None,
    "expect_code_sha256": None,
    "wait_timeout": 60,
}


def configuration(version: str = "$LATEST", **changed: Any) -> dict[str, Any]:
    return {
        "FunctionName": NAME,
        "FunctionArn": ARN if version == "$LATEST" else f"{ARN}:{version}",
        "Version": version,
        "RevisionId": f"revision of {version}",
        "LastModified": f"2026-01-0{version if version.isdecimal() and int(version) < 10 else 1}T00:00:00.000+0000",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "CodeSha256": "code",
        "MemorySize": 256,
        "Timeout": 60,
        "Environment": {"Variables": {"LOG_LEVEL": "INFO"}},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "Layers": [],
        "TracingConfig": {"Mode": "PassThrough"},
        **changed,
    }


def drill(version: str = "$LATEST", **changed: Any) -> dict[str, Any]:
    return configuration(version, Environment={"Variables": {"LOG_LEVEL": "INFO", "DRILL_ID": version}}, **changed)


def function(*versions: int, live: str | None = None, latest: dict | None = None, **more: Any) -> Function:
    """Version n has n MB of memory more; $LATEST is as the newest, unless it is told."""
    numbered = {str(number): configuration(str(number), MemorySize=256 + number) for number in versions}
    newest = {"MemorySize": 256 + versions[-1]} if versions else {}
    aliases = {"live": Alias(live, revision_id="r")} if live else {}
    return Function(latest or configuration(**newest), numbered, {**aliases, **more.pop("aliases", {})}, **more)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "operation")


class FakeLambda:
    """boto3's client, as far as it is asked. ``calls`` are the writes."""

    def __init__(self, *versions: int, live: str | None = None, latest: dict | None = None) -> None:
        made = function(*versions, live=live, latest=latest)
        self.latest, self.versions = made.latest, made.versions
        self.aliases: dict[str, dict[str, Any]] = {}
        if live:
            self.aliases["live"] = {"Name": "live", "FunctionVersion": live, "RevisionId": "alias revision"}
        self.mappings: list[dict[str, Any]] = []
        self.calls: list[tuple[str, Any]] = []
        self.next = max(versions, default=0) + 1
        self.last_published: dict[str, Any] | None = None
        #: Called before each write; what it raises is AWS's refusal.
        self.before = lambda call, request: None

    def update(self, **changed: Any) -> None:
        self.latest = {**self.latest, "RevisionId": f"{self.latest['RevisionId']}'", **changed}

    def get_function_configuration(self, FunctionName, Qualifier, aws_retry):
        found = self.latest if Qualifier == "$LATEST" else self.versions.get(Qualifier)
        if found is None:
            raise refusal("ResourceNotFoundException")
        if found.get("pending"):
            found["pending"] -= 1
            return {**found, "State": "Pending"}
        return copy.deepcopy(found)

    def get_paginator(self, call):
        pages = {
            "list_versions_by_function": [
                {"Versions": [self.latest]},
                {"Versions": list(self.versions.values())},
            ],
            "list_aliases": [{"Aliases": list(self.aliases.values())}],
        }[call]

        class Pages:
            def paginate(self, FunctionName):
                return copy.deepcopy(pages)

        return Pages()

    def list_event_source_mappings(self, aws_retry, **_request):
        self.calls.append(("list_event_source_mappings", None))
        return {"EventSourceMappings": self.mappings}

    def publish_version(self, FunctionName, CodeSha256, RevisionId, aws_retry):
        self.before("publish_version", RevisionId)
        if RevisionId != self.latest["RevisionId"]:
            raise refusal("PreconditionFailedException", "The RevisionId provided does not match")
        if CodeSha256 != self.latest["CodeSha256"]:
            raise refusal("InvalidParameterValueException", "CodeSHA256 (a) is different from current CodeSHA256")
        if self.last_published is not None:
            return self.last_published
        number = str(self.next)
        self.next += 1
        self.versions[number] = {**self.latest, "Version": number, "pending": 2}
        self.calls.append(("publish_version", number))
        return self.versions[number]

    def create_alias(self, FunctionName, Name, FunctionVersion, aws_retry):
        self._active(FunctionVersion)
        self.aliases[Name] = {"Name": Name, "FunctionVersion": FunctionVersion, "RevisionId": "new"}
        self.calls.append(("create_alias", FunctionVersion))

    def update_alias(self, FunctionName, Name, FunctionVersion, RoutingConfig, RevisionId, aws_retry):
        self.before("update_alias", FunctionVersion)
        self._active(FunctionVersion)
        assert RoutingConfig == {"AdditionalVersionWeights": {}}
        if RevisionId != self.aliases[Name]["RevisionId"]:
            raise refusal("PreconditionFailedException", "The RevisionId provided does not match")
        self.aliases[Name] = {"Name": Name, "FunctionVersion": FunctionVersion, "RevisionId": "newer"}
        self.calls.append(("update_alias", FunctionVersion))

    def delete_function(self, FunctionName, Qualifier, aws_retry):
        self.before("delete_function", Qualifier)
        assert Qualifier.isdecimal(), "without a version the whole function would go"
        del self.versions[Qualifier]
        self.calls.append(("delete_function", Qualifier))

    def _active(self, version: str) -> None:
        found = self.versions[version]
        assert not found.get("pending"), "nothing leads to a version that is not active yet"
