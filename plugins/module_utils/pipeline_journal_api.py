# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal of a log in its bucket: reads it and the table, and writes an entry. What to say is decided elsewhere."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from ._history.baselines import journal_key, newest_entry, read_journal
from ._history.dynamodb_json import canonical_json
from ._history.objects import DamagedObject
from ._history.store import Store
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError, aws_errors, client, error_code
from .pipeline_journal import Decision, decide, decide_rollback, without_time
from .pipeline_lock_api import time_of

_TAKEN = ("PreconditionFailed", "412")


class Journal:
    """The journal that a module's options name."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self._options = module.params
        self._dynamodb = None if module.params["rolled_back"] else client(module, "dynamodb")
        # Another conditional request at the same time: a later try is answered.
        self._s3 = client(module, "s3", passing=["ConditionalRequestConflict"])
        self._store = Store(self._s3, module.params["bucket"])

    def decide(self) -> tuple[Decision, dict[str, Any] | None]:
        """What is to be written, and the newest entry there is."""
        try:
            if self._options["rolled_back"]:
                entries = self._entries()
                return decide_rollback(entries, self._options, self._now()), entries[-1] if entries else None
            newest = self._newest()
        except DamagedObject as exc:
            raise InputError(f"The journal of the log cannot be read: {exc}. Restore or remove that object.") from exc
        table, now = self._table()
        return decide(newest, table, self._options, now), newest

    @aws_errors("write into the journal of the log")
    def write(self, entry: dict[str, Any]) -> None:
        try:
            self._s3.put_object(
                Bucket=self._options["bucket"],
                Key=journal_key(self._options["prefix"], entry),
                Body=canonical_json(entry).encode() + b"\n",
                ContentType="application/json",
                # So that no right on the bucket's KMS key is needed; there is no item data in it.
                ServerSideEncryption="AES256",
                IfNoneMatch="*",
                aws_retry=True,
            )
        except self._s3.exceptions.ClientError as exc:
            # The name follows from the content, so what is there is this entry, and its answer was lost.
            if error_code(exc) not in _TAKEN:
                raise

    def _newest(self) -> dict[str, Any] | None:
        try:
            return self._read_newest()
        except AnsibleAWSError as exc:
            # On a fresh target check mode has no bucket.
            if error_code(exc) == "NoSuchBucket":
                return None
            raise

    @aws_errors("read the journal of the log")
    def _read_newest(self) -> dict[str, Any] | None:
        return newest_entry(self._store, self._options["prefix"])

    @aws_errors("read the journal of the log")
    def _entries(self) -> list[dict[str, Any]]:
        return read_journal(self._store, self._options["prefix"])

    @aws_errors("read the table")
    def _table(self) -> tuple[dict[str, Any] | None, datetime]:
        try:
            answer = self._dynamodb.describe_table(TableName=self._options["table_name"], aws_retry=True)
        except self._dynamodb.exceptions.ResourceNotFoundException:
            return None, self._now()
        return answer["Table"], time_of(answer) or self._now()

    @staticmethod
    def _now() -> datetime:
        return datetime.now(timezone.utc)


def run_journal(module: AnsibleAWSModule) -> None:
    """Write what is to be written, and leave the module."""
    try:
        journal = Journal(module)
        decision, newest = journal.decide()
        if decision.entry and not module.check_mode:
            journal.write(decision.entry)
    except InputError as exc:
        module.fail_json(msg=str(exc))
    except AnsibleAWSError as exc:
        module.fail_json_aws_error(exc)
    outcome: dict[str, Any] = {
        "changed": decision.entry is not None,
        "pending": decision.pending,
        "entry": decision.entry or newest,
    }
    if module._diff:
        outcome["diff"] = {"before": without_time(newest), "after": without_time(decision.entry or newest)}
    module.exit_json(**outcome)
