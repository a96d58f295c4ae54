# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A bucket's settings on S3: reads them, and carries out a plan. What to do is decided in s3_bucket_settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import s3_bucket_settings
from .aws import AnsibleAWSError, AnsibleAWSModule, InputError, aws_errors, client, error_code
from .plan import Plan, Step

_NO_BUCKET = ("NoSuchBucket", "404")
#: What S3 answers where a setting was never made.
_NOT_SET = ("NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError")


class BucketSettings:
    """The settings of the bucket that a module's options name, as :func:`runner.run_resource` wants it."""

    def __init__(self, module: AnsibleAWSModule) -> None:
        self.module = module
        self.options = module.params
        # What was put a moment ago may hold the next write up.
        self.s3 = client(module, "s3", passing=["OperationAborted"])

    def read(self) -> dict[str, Any] | None:
        wrong = s3_bucket_settings.problems(self.options)
        if wrong:
            raise InputError(" ".join(wrong))
        readers: dict[str, Callable[[], dict[str, Any]]] = {
            "lifecycle": self._lifecycle,
            "object_lock": self._object_lock,
            "access_log": self._access_log,
        }
        asked = [name for name in s3_bucket_settings.SETTINGS if self.options[name] is not None]
        try:
            return {name: _setting(readers[name]) for name in asked}
        except AnsibleAWSError as exc:
            # In check mode the bucket may be one that is to be made.
            if error_code(exc) in _NO_BUCKET and self.module.check_mode:
                return None
            raise

    def plan(self, current: dict[str, Any] | None) -> Plan:
        return s3_bucket_settings.plan(current, self.options)

    def apply(self, plan: Plan) -> None:
        for step in plan.steps:
            self._write(step)

    def result(self, state: dict[str, Any]) -> dict[str, Any]:
        return {"s3_bucket_settings": state}

    @aws_errors("read the bucket's lifecycle rules")
    def _lifecycle(self) -> dict[str, Any]:
        answer = self.s3.get_bucket_lifecycle_configuration(Bucket=self.options["name"], aws_retry=True)
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    @aws_errors("read the bucket's Object Lock")
    def _object_lock(self) -> dict[str, Any]:
        answer = self.s3.get_object_lock_configuration(Bucket=self.options["name"], aws_retry=True)
        return s3_bucket_settings.lock_state(answer.get("ObjectLockConfiguration", {}))

    @aws_errors("read the bucket's access log")
    def _access_log(self) -> dict[str, Any]:
        return self.s3.get_bucket_logging(Bucket=self.options["name"], aws_retry=True).get("LoggingEnabled", {})

    @aws_errors("change the bucket's settings")
    def _write(self, step: Step) -> None:
        getattr(self.s3, step.call)(**step.request, aws_retry=True)


def _setting(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except AnsibleAWSError as exc:
        if error_code(exc) in _NOT_SET:
            return {}
        raise
