# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions and an alias of a function on Lambda: reads them, and carries out a plan. What to do: lambda_version."""

from __future__ import annotations

import time
from typing import Any

from . import lambda_version
from ._event_source_mapping_api import Deadline, MappingApi
from ._event_source_mapping_rules import FUNCTION
from .aws import AnsibleAWSError, InputError, aws_errors, error_code, error_message
from .event_source_mapping import same_function
from .lambda_version import Alias, Function
from .plan import Plan, Step

#: How often a version is published anew because AWS gave $LATEST another revision, its settings being the same.
_ATTEMPTS = 3


class VersionApi:
    """One method a call. What is not there is None, or empty; any other error of AWS is an AnsibleAWSError."""

    def __init__(self, client: Any, name: str):
        self._client, self.name = client, name

    def configuration(self, qualifier: str = "$LATEST") -> dict[str, Any] | None:
        try:
            return self._configuration(qualifier)
        except AnsibleAWSError as exc:
            if error_code(exc) == "ResourceNotFoundException":
                return None
            raise

    @aws_errors("read the Lambda function's configuration")
    def _configuration(self, qualifier: str) -> dict[str, Any]:
        return self._client.get_function_configuration(FunctionName=self.name, Qualifier=qualifier, aws_retry=True)

    @aws_errors("list the Lambda function's versions")
    def versions(self) -> dict[str, dict[str, Any]]:
        """By their numbers; $LATEST is none."""
        pages = self._client.get_paginator("list_versions_by_function").paginate(FunctionName=self.name)
        return {each["Version"]: each for page in pages for each in page["Versions"] if each["Version"] != "$LATEST"}

    @aws_errors("list the Lambda function's aliases")
    def aliases(self) -> dict[str, Alias]:
        pages = self._client.get_paginator("list_aliases").paginate(FunctionName=self.name)
        return {each["Name"]: _alias(each) for page in pages for each in page["Aliases"]}

    def mapped(self) -> frozenset[str]:
        """The versions that event source mappings lead to by number."""
        arns = [each.get("FunctionArn", "") for each in MappingApi(self._client).mappings()]
        parts = [FUNCTION.fullmatch(arn) for arn in arns if same_function(self.name, arn)]
        return frozenset(each["qualifier"] for each in parts if each and (each["qualifier"] or "").isdecimal())

    @aws_errors("publish a version of the Lambda function")
    def publish(self, latest: dict[str, Any]) -> dict[str, Any]:
        """Of exactly this $LATEST; AWS refuses when it is another by now."""
        exactly = {name: latest[name] for name in ("CodeSha256", "RevisionId") if latest.get(name)}
        return self._client.publish_version(FunctionName=self.name, **exactly, aws_retry=True)

    @aws_errors("create the Lambda function's alias")
    def create_alias(self, alias: str, version: str) -> None:
        self._client.create_alias(FunctionName=self.name, Name=alias, FunctionVersion=version, aws_retry=True)

    @aws_errors("move the Lambda function's alias")
    def update_alias(self, alias: str, version: str, revision_id: str) -> None:
        """Wholly to the version; AWS refuses when somebody else changed the alias meanwhile."""
        self._client.update_alias(
            FunctionName=self.name,
            Name=alias,
            FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": {}},
            RevisionId=revision_id,
            aws_retry=True,
        )

    @aws_errors("delete a version of the Lambda function")
    def delete(self, version: str) -> None:
        self._client.delete_function(FunctionName=self.name, Qualifier=version, aws_retry=True)


def _alias(answer: dict[str, Any]) -> Alias:
    others = (answer.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return Alias(answer["FunctionVersion"], frozenset(others), answer.get("RevisionId", ""))


class LambdaVersion:
    """The function that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, options: dict[str, Any], client: Any, check_mode: bool = False, clock: Any = time):
        self._options, self._check_mode, self._clock = options, check_mode, clock
        self._api = VersionApi(client, options["function_name"])
        self._function: Function | None = None
        self._version = lambda_version.UNKNOWN
        self._writes = 0

    def read(self) -> dict[str, Any] | None:
        _refuse(lambda_version.problems(self._options))
        latest = self._settled("$LATEST")
        if latest and self._check_mode:
            latest = lambda_version.expected(latest, self._options)
        self._function = read_function(self._api, latest, self._options)
        if self._function is None:
            return None
        if newest := lambda_version.newest_version(self._function, self._options):
            # A list need not tell all of it. https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html
            listed = self._function.versions[newest]
            self._function.versions[newest] = self._api.configuration(newest) or listed
        alias = self._function.aliases.get(self._options["alias"] or "")
        return {
            "versions": lambda_version.ordered(self._function.versions),
            **({"alias": {"version": alias.version}} if alias else {}),
        }

    def plan(self, current: dict[str, Any] | None) -> Plan:
        if current is None and not self._check_mode:
            raise InputError(f"There is no function {self._api.name}; make it before its versions.")
        plan = lambda_version.plan(self._function, self._options)
        if not any(step.call == "publish" for step in plan.steps):
            self._version = lambda_version.newest_version(self._function, self._options)
        return plan

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            getattr(self, f"_{step.call}")(step)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        function = self._function
        told = {
            "function_name": self._api.name,
            "version": self._version,
            "versions": state["versions"],
        }
        if self._options["alias"]:
            told["alias"] = self._options["alias"]
        arn = function.latest["FunctionArn"] if function else None
        if arn and self._options["alias"]:
            told["alias_arn"] = f"{arn.removesuffix(':$LATEST')}:{self._options['alias']}"
        # AWS publishes nothing where it sees no difference to the last version.
        nothing = {} if self._check_mode or self._writes else {"changed": False}
        return {"lambda_version": told, **nothing}

    def _settled(self, qualifier: str) -> dict[str, Any] | None:
        """The configuration once AWS is done with it. Check mode does not wait for what it does not write."""
        deadline = Deadline(self._options["wait_timeout"], self._clock)
        while True:
            found = self._api.configuration(qualifier)
            if found is None or self._check_mode:
                return found
            state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
            for word, reason in ((state, "StateReason"), (update, "LastUpdateStatusReason")):
                if word == "Failed":
                    raise InputError(
                        f"{self._api.name} version {qualifier} failed to become active: "
                        f"{found.get(reason) or 'AWS gives no reason'} ({found.get(reason + 'Code')}). The alias stays "
                        "where it is."
                    )
            if state != "Pending" and update != "InProgress":
                return found
            if not deadline.pause():
                raise InputError(
                    f"{self._api.name} version {qualifier} is still {state}, its update {update}, after "
                    f"{deadline.seconds} s (wait_timeout). Run again to wait longer."
                )

    def _publish(self, step: Step) -> None:
        answer = self._published()
        self._version = answer["Version"]
        if self._version not in self._function.versions:
            self._writes += 1

    def _published(self) -> dict[str, Any]:
        """PublishVersion of what was compared. A revision changes by itself at times; another setting is another's."""
        latest = self._function.latest
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._api.publish(latest)
            except AnsibleAWSError as exc:
                if not _is_late(exc):
                    raise
                now = self._settled("$LATEST")
                same = now and lambda_version.settings(now) == lambda_version.settings(latest)
                if not same or attempt == _ATTEMPTS:
                    raise AnsibleAWSError(
                        message=f"Somebody else is changing {self._api.name}: nothing was published, and the alias "
                        "stays where it is. Run again",
                        exception=exc.exception,
                    ) from exc
                latest = now
        raise AssertionError("unreachable")

    def _create_alias(self, step: Step) -> None:
        self._settled(self._version)
        self._api.create_alias(self._options["alias"], self._version)
        self._writes += 1

    def _update_alias(self, step: Step) -> None:
        alias = self._function.aliases[self._options["alias"]]
        if alias.version == self._version and not alias.others:
            return
        self._settled(self._version)
        self._api.update_alias(self._options["alias"], self._version, alias.revision_id)
        self._writes += 1

    def _delete(self, step: Step) -> None:
        try:
            self._api.delete(step.request["version"])
            self._writes += 1
        except AnsibleAWSError as exc:
            # Gone already, or an alias leads to it since we looked.
            if error_code(exc) not in ("ResourceNotFoundException", "ResourceConflictException"):
                raise


class LambdaRollback:
    """An alias that goes back to an earlier version, as :func:`runner.run_resource` wants it."""

    def __init__(self, options: dict[str, Any], client: Any):
        self._options, self._api = options, VersionApi(client, options["function_name"])
        self._function: Function | None = None
        self._former = self._version = ""
        self._settings: set[str] = set()
        self._variables: set[str] = set()

    def read(self) -> dict[str, Any] | None:
        _refuse(lambda_version.problems(self._options))
        self._function = read_function(self._api, self._api.configuration(), self._options)
        if self._function is None:
            return None
        alias = self._function.aliases.get(self._options["alias"])
        return {"alias": {"version": alias.version}} if alias else {}

    def plan(self, current: dict[str, Any] | None) -> Plan:
        self._version, plan = lambda_version.plan_rollback(self._function, self._options)
        self._former = plan.before["alias"]["version"]
        for side in (plan.before["settings"], plan.after["settings"]):
            self._settings |= side.keys() - {"environment"}
            self._variables |= side.get("environment", {}).keys()
        # The list of versions does not tell their state.
        state = (self._api.configuration(self._version) or {}).get("State", "Active")
        if state != "Active":
            woken = " Lambda wakes it when it is invoked." if state == "Inactive" else ""
            told = lambda_version.told_versions(self._function, self._options["alias"], self._options)
            raise InputError(
                f"Version {self._version} is {state}, not Active.{woken} Versions of {self._api.name}: {told}."
            )
        return plan

    def apply(self, plan: Plan) -> None:
        alias = self._function.aliases[self._options["alias"]]
        self._api.update_alias(self._options["alias"], self._version, alias.revision_id)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {
            "lambda_rollback": {
                "function_name": self._api.name,
                "alias": self._options["alias"],
                "version": self._version,
                "former_version": self._former,
                "versions": lambda_version.ordered(self._function.versions),
                "settings": sorted(self._settings),
                "variables": sorted(self._variables),
            }
        }


def read_function(api: VersionApi, latest: dict[str, Any] | None, options: dict[str, Any]) -> Function | None:
    """The function with its versions and aliases. Mappings are only asked for where something could be pruned."""
    if latest is None:
        return None
    function = Function(latest, api.versions(), api.aliases())
    if len(function.versions) <= (options.get("keep") or len(function.versions)):
        return function
    return Function(latest, function.versions, function.aliases, api.mapped())


def _is_late(exc: AnsibleAWSError) -> bool:
    """Whether AWS refused because $LATEST is not what was read, or is being changed."""
    code = error_code(exc)
    other_code = code == "InvalidParameterValueException" and "CODESHA256" in error_message(exc).upper()
    return other_code or code in ("PreconditionFailedException", "ResourceConflictException")


def _refuse(sentences: list[str]) -> None:
    if sentences:
        raise InputError(" ".join(sentences))
