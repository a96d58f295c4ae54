"""The module lambda_settings, as Ansible runs it, against moto's reserved concurrency and stubbed configurations."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import lambda_settings_api
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import lambda_settings
from botocore.exceptions import ClientError

KEYS = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


class Lambda:
    """Lambda with one function, which takes a while to take a change up. Requests are checked by botocore's model."""

    def __init__(self):
        self.api = boto3.client("lambda", "us-east-1", aws_access_key_id="x", aws_secret_access_key="y")
        self.configuration = {
            "FunctionName": "f",
            "State": "Active",
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/g"},
        }
        self.reserved, self.calls, self.busy, self.fails = None, [], 0, False

    def __getattr__(self, name):
        def call(aws_retry=False, **request):
            operation = self.api.meta.method_to_api_mapping[name]
            shape = self.api.meta.service_model.operation_model(operation).input_shape
            report = self.api._serializer._param_validator.validate(request, shape)
            assert not report.has_errors(), report.generate_report()
            self.calls.append(name)
            if request.pop("FunctionName") != "f":
                error = {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}
                raise ClientError(error, operation)
            return getattr(self, f"_{name}")(**request)

        return call

    def _get_function_configuration(self):
        self.busy -= 1
        return {**self.configuration, "LastUpdateStatus": self._status(), "LastUpdateStatusReason": "no such key"}

    def _status(self):
        return "InProgress" if self.busy > 0 else "Failed" if self.fails else "Successful"

    def _update_function_configuration(self, **changes):
        assert self.busy <= 0, "changed while a change was under way"
        self.busy = 2
        self.configuration |= changes

    def _get_function_concurrency(self):
        return {} if self.reserved is None else {"ReservedConcurrentExecutions": self.reserved}

    def _put_function_concurrency(self, ReservedConcurrentExecutions):
        self.reserved = ReservedConcurrentExecutions

    def _delete_function_concurrency(self):
        self.reserved = None


@pytest.fixture
def aws(monkeypatch):
    made = Lambda()
    monkeypatch.setattr(lambda_settings_api, "client", lambda module, service, **options: made)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return made


@pytest.fixture
def run(aws, capsys):
    def run_module(check=False, **options):
        given = {**KEYS, "function_name": "f", **options, "_ansible_check_mode": check, "_ansible_diff": True}
        aws.calls.clear()
        with patch_module_args(given), pytest.raises(SystemExit):
            lambda_settings.main()
        aws.calls[:] = [name for name in aws.calls if not name.startswith("get_")]
        return json.loads(capsys.readouterr().out)

    return run_module


WANTED = {
    "kms_key_arn": KEY,
    "log_format": "JSON",
    "system_log_level": "WARN",
    "ephemeral_storage": 1024,
    "reserved_concurrent_executions": 5,
}


def test_all_is_set_and_a_second_run_changes_nothing(run, aws):
    told = run(**WANTED)
    assert told["changed"]
    assert aws.calls == ["update_function_configuration", "put_function_concurrency"]
    assert told["lambda_settings"] == {**WANTED, "application_log_level": "INFO"}
    assert aws.configuration["LoggingConfig"]["LogGroup"] == "/g"
    again = run(**WANTED)
    assert not again["changed"]
    assert aws.calls == []


def test_check_mode_foretells_and_writes_nothing(run, aws):
    foretold = run(check=True, **WANTED)
    assert foretold["changed"]
    assert aws.calls == []
    assert foretold["diff"] == run(**WANTED)["diff"]


def test_check_mode_foretells_for_a_function_to_come(run, aws):
    told = run(check=True, function_name="g", **WANTED)
    assert told["changed"]
    assert told["diff"]["before"] == {}
    missing = run(function_name="g", **WANTED)
    assert missing["failed"]
    assert missing["error"]["code"] == "ResourceNotFoundException"


def test_a_change_that_is_under_way_is_waited_for(run, aws):
    aws.busy = 3
    assert run(kms_key_arn=KEY)["changed"]
    aws.busy = 10**9
    told = run(kms_key_arn="", wait_timeout=0)
    assert told["failed"]
    assert "still being changed after 0 seconds" in told["msg"]


def test_a_change_that_lambda_cannot_make_fails_with_the_reason(run, aws):
    aws.fails = True
    told = run(kms_key_arn=KEY)
    assert told["failed"]
    assert "no such key" in told["msg"]


def test_bad_input_is_refused_before_any_write(run, aws):
    for options in ({"log_format": "Text", "system_log_level": "INFO"}, {"application_log_level": "INFO"}):
        told = run(**options)
        assert told["failed"]
        assert "only JSON has levels" in told["msg"]
        assert aws.calls == []
