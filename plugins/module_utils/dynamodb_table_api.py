# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The AWS side of a DynamoDB table: reading it, waiting for it, and writing what a plan says."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from . import dynamodb_table as table
from .aws import AnsibleAWSError, InputError, aws_errors, boto3_tag_list_to_ansible_dict, error_code
from .runner import Plan, Step

#: Seconds between two looks at a table that is not ready.
PAUSE = 2
#: How often tags that must be there are looked for again.
_TAG_LOOKS = 3

_WORDS = {
    "create_table": "create the table",
    "update_table": "update the table",
    "delete_table": "delete the table",
    "update_continuous_backups": "change the table's point-in-time recovery",
    "update_time_to_live": "change the table's time to live",
    "tag_resource": "tag the table",
    "untag_resource": "remove tags from the table",
}
# The table is in the middle of another change, or too new for backups: AWS asks to come back later.
_BUSY = ("ResourceInUseException", "ContinuousBackupsUnavailableException")
_DENIED = ("AccessDeniedException", "AccessDenied")

_TTL_HINT = (
    "AWS takes one change of the time to live an hour for a table, and another attribute takes two: run again when the"
    " hour is over, it goes on from here"
)
_PROTECTED_HINT = (
    "the table has deletion protection: if it is to go, run with state=present and deletion_protection_enabled=false"
    " first (in the role: deploy with ddb_stream_pipeline_deletion_protection_enabled=false)"
)


class TableApi:
    """The calls about one table. All waiting together ends ``timeout`` seconds after the object was made."""

    def __init__(
        self,
        client: Any,
        name: str,
        timeout: float = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.name = name
        self._client, self._timeout, self._clock, self._sleep = client, timeout, clock, sleep
        self._deadline = clock() + timeout

    def describe(self) -> dict[str, Any] | None:
        """DescribeTable's answer, None when there is no such table."""
        try:
            return self._describe()
        except AnsibleAWSError as exc:
            if error_code(exc) != "ResourceNotFoundException":
                raise
            return None

    @aws_errors("describe the table")
    def _describe(self) -> dict[str, Any]:
        return self._client.describe_table(TableName=self.name, aws_retry=True)["Table"]

    @aws_errors("list the table's tags")
    def tags(self, table_arn: str) -> dict[str, str]:
        found: list[dict[str, str]] = []
        request = {"ResourceArn": table_arn}
        while True:
            page = self._client.list_tags_of_resource(**request, aws_retry=True)
            found += page.get("Tags", [])
            if not page.get("NextToken"):
                return boto3_tag_list_to_ansible_dict(found)
            request["NextToken"] = page["NextToken"]

    @aws_errors("describe the table's point-in-time recovery")
    def backups(self) -> dict[str, Any]:
        answer = self._client.describe_continuous_backups(TableName=self.name, aws_retry=True)
        return answer["ContinuousBackupsDescription"]

    @aws_errors("describe the table's time to live")
    def ttl(self) -> dict[str, Any]:
        return self._client.describe_time_to_live(TableName=self.name, aws_retry=True)["TimeToLiveDescription"]

    def wait_until(self, ready: Callable[[dict[str, Any] | None], bool]) -> dict[str, Any] | None:
        """Look at the table until it is ready; its last description, None when it is not there."""
        while True:
            description = self.describe()
            if ready(description):
                return description
            status = description["TableStatus"] if description else "not there"
            self._pause(f"The table {self.name} is still {status} after {self._timeout} seconds of waiting.")

    def write(self, step: Step) -> dict[str, Any]:
        """Make one call of a plan; while the table is busy with an earlier change, again and again."""
        call = aws_errors(_WORDS[step.call])(getattr(self._client, step.call))
        while True:
            try:
                return call(**step.request, aws_retry=True)
            except AnsibleAWSError as exc:
                # CreateTable says "in use" for "exists", which no waiting changes.
                if step.call == "create_table" or error_code(exc) not in _BUSY or self._out_of_time():
                    raise
            self._sleep(PAUSE)

    def pause(self) -> None:
        """Let some time pass before the next try."""
        self._pause(f"The table {self.name} could not be created or found within {self._timeout} seconds.")

    def may_pause(self) -> bool:
        """Let some time pass and answer True, or answer False at once when the time is over."""
        if self._out_of_time():
            return False
        self._sleep(PAUSE)
        return True

    def _pause(self, complaint: str) -> None:
        if self._out_of_time():
            raise AnsibleAWSError(message=f"{complaint} Run again to go on from there, or give a longer wait_timeout.")
        self._sleep(PAUSE)

    def _out_of_time(self) -> bool:
        return self._clock() >= self._deadline


class _TableAppeared(Exception):
    """CreateTable found a table of that name, which was not there a moment ago."""


class TableResource:
    """One table on its way to what the options ask for; :func:`.runner.run_resource` drives it."""

    def __init__(
        self,
        api: TableApi,
        options: Mapping[str, Any],
        find_key: Callable[[str], str],
        check_mode: bool = False,
    ):
        self._api, self._options, self._find_key, self._check_mode = api, options, find_key, check_mode
        self._description: dict[str, Any] = {}
        self._key_arn: str | None = None
        self._written: Plan | None = None

    def read(self) -> dict[str, Any] | None:
        if self._written:
            return self._written.after or None
        _refuse(table.problems(self._options, exists=True))
        settings = self._look(self._api.wait_until(table.settled))
        self._key_arn = self._asked_key(settings["kms_key_id"]) if settings else None
        return settings

    def plan(self, current: dict[str, Any] | None) -> Plan:
        if current is not None:
            _refuse(table.conflicts(current, self._options, table.index_names(self._description)))
        if self._options["state"] == "absent":
            if self._check_mode and current and current["deletion_protection_enabled"]:
                raise InputError(f"The table {self._api.name} would not be deleted: {_PROTECTED_HINT}.")
            return table.plan_absent(current)
        if current is None:
            _refuse(table.problems(self._options))
        return table.plan_present(current, self._options, self._description.get("TableArn"), self._key_arn)

    def apply(self, plan: Plan) -> None:
        while True:
            try:
                self._write(plan)
                break
            except _TableAppeared:
                # Someone else made it, or a call of ours whose answer was lost: go on from there.
                self._api.pause()
                plan = self.plan(self.read())
        self._written = self._outcome(plan)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        facts = table.table_facts(self._description, state) if state else {}
        return {
            "table": facts,
            "table_arn": facts.get("table_arn"),
            "latest_stream_arn": facts.get("latest_stream_arn"),
        }

    def _look(
        self, description: dict[str, Any] | None, known_tags: dict[str, str] | None = None
    ) -> dict[str, Any] | None:
        """The settings of the table described, with the further calls that the options make necessary."""
        self._description = description or {}
        if description is None:
            return None
        options, tags = self._options, known_tags
        if tags is None and table.reads_tags(options):
            tags = self._tags(description["TableArn"])
        if options["state"] == "absent":
            return table.settings_of(description, tags)
        return table.settings_of(
            description,
            tags,
            backups=self._api.backups() if table.reads_recovery(options) else None,
            ttl=self._api.ttl() if table.reads_ttl(options) else None,
        )

    def _tags(self, arn: str) -> dict[str, str]:
        """The table's tags. A table that was made a moment ago may not show those it was made with yet.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TagResource.html
        """
        tags = self._api.tags(arn)
        looks = _TAG_LOOKS if self._options.get("required_tags") else 0
        while not tags and looks and self._api.may_pause():
            looks -= 1
            tags = self._api.tags(arn)
        return tags

    def _asked_key(self, there: str) -> str | None:
        """The ARN behind an alias in kms_key_id, looked up only when there is an ARN to compare it with."""
        asked = self._options.get("kms_key_id") if self._options["state"] == "present" else None
        if there == table.AWS_OWNED or not table.is_alias(asked) or table.same_key(asked, there):
            return None
        return self._find_key(asked)

    def _write(self, plan: Plan) -> None:
        for number, step in enumerate(plan.steps):
            if number:
                # A table takes one change at a time; a new one may not be visible yet.
                self._api.wait_until(lambda description: description is not None and table.settled(description))
            answer = self._send(step)
            self._description = answer.get("TableDescription") or self._description

    def _send(self, step: Step) -> dict[str, Any]:
        try:
            return self._api.write(step)
        except AnsibleAWSError as exc:
            code = error_code(exc)
            if step.call == "create_table" and code == "ResourceInUseException":
                raise _TableAppeared from exc
            if step.call == "delete_table" and code == "ResourceNotFoundException":
                return {}
            if code == "ValidationException" and step.call == "update_time_to_live":
                raise AnsibleAWSError(message=f"{exc.message} ({_TTL_HINT})", exception=exc.exception) from exc
            protected = step.call == "delete_table" and self._description.get("DeletionProtectionEnabled")
            if code == "ValidationException" and protected:
                raise AnsibleAWSError(message=f"{exc.message} ({_PROTECTED_HINT})", exception=exc.exception) from exc
            raise

    def _outcome(self, plan: Plan) -> Plan:
        """The plan with what it led to: what AWS shows when that is waited for, else what was asked of it.

        Tags are those written: AWS lists them only some seconds later (TagResource).
        """
        if not self._options["wait"]:
            return plan
        if not plan.after:
            self._api.wait_until(lambda description: description is None)
            return plan
        description = self._api.wait_until(lambda found: table.shows_stream(found, plan.after))
        return Plan(plan.before, self._look(description, plan.after.get("tags")) or {}, plan.steps)


def key_finder(client: Callable[[], Any]) -> Callable[[str], str]:
    """A function that finds the ARN of a KMS key by its alias; ``client`` makes the KMS client when it is needed."""

    @aws_errors("find the KMS key of the alias in kms_key_id")
    def find(alias: str) -> str:
        return client().describe_key(KeyId=alias, aws_retry=True)["KeyMetadata"]["Arn"]

    return find


def table_info(api: TableApi) -> dict[str, Any] | None:
    """Everything about the table, None when it is not there; what the caller may not read is None."""
    description = api.describe()
    if description is None:
        return None
    settings = table.settings_of(
        description,
        tags=_allowed(lambda: api.tags(description["TableArn"])),
        backups=_allowed(api.backups),
        ttl=_allowed(api.ttl),
    )
    return table.table_facts(description, settings)


def _allowed(read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return read()
    except AnsibleAWSError as exc:
        if error_code(exc) not in _DENIED:
            raise
        return None


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InputError(" ".join(problems))
