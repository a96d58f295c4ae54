"""The module kms_key_use, as Ansible runs it: SQS is moto's, and CloudWatch Logs, whose keys moto lacks, a stand-in."""

from __future__ import annotations

import json

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import aws as aws_utils
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import kms_key_use as work
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import kms_key_use
from moto import mock_aws

KEYS = {"region": "us-east-1", "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOTH = {"queue_name": "failures", "log_group_name": "/aws/lambda/f"}


class Logs:
    def __init__(self):
        self.groups, self.calls = {"/aws/lambda/f": None, "/aws/lambda/f2": "other"}, []

    def describe_log_groups(self, logGroupNamePrefix, aws_retry):
        found = [name for name in self.groups if name.startswith(logGroupNamePrefix)]
        return {
            "logGroups": [
                {"logGroupName": n, **({"kmsKeyId": self.groups[n]} if self.groups[n] else {})} for n in found
            ]
        }

    def associate_kms_key(self, logGroupName, kmsKeyId, aws_retry):
        self.calls.append("associate_kms_key")
        self.groups[logGroupName] = kmsKeyId

    def disassociate_kms_key(self, logGroupName, aws_retry):
        self.calls.append("disassociate_kms_key")
        self.groups[logGroupName] = None


@pytest.fixture
def logs():
    return Logs()


@pytest.fixture
def sqs(monkeypatch, logs):
    for name in ("AWS_PROFILE", "AWS_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        work, "client", lambda module, service: logs if service == "logs" else aws_utils.client(module, service)
    )
    with mock_aws():
        sqs = boto3.client("sqs", "us-east-1", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="not-a-secret")
        sqs.create_queue(QueueName="failures")
        yield sqs


@pytest.fixture
def run(sqs, capsys):
    def run_module(key=KEY, check=False, **options):
        given = {**KEYS, "kms_key_arn": key, **options, "_ansible_check_mode": check, "_ansible_diff": True}
        with patch_module_args(given), pytest.raises(SystemExit):
            kms_key_use.main()
        return json.loads(capsys.readouterr().out)

    return run_module


def key_of_queue(sqs):
    url = sqs.get_queue_url(QueueName="failures")["QueueUrl"]
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"].get("KmsMasterKeyId", "")


def test_both_are_encrypted_and_a_second_run_changes_nothing(run, sqs, logs):
    told = run(**BOTH)
    assert told["changed"]
    assert told["kms_key_use"] == {"queue": KEY, "log_group": KEY}
    assert key_of_queue(sqs) == KEY
    assert logs.groups == {"/aws/lambda/f": KEY, "/aws/lambda/f2": "other"}
    assert not run(**BOTH)["changed"]
    assert logs.calls == ["associate_kms_key"]


def test_check_mode_foretells_and_writes_nothing(run, sqs, logs):
    foretold = run(check=True, **BOTH)
    assert foretold["changed"]
    assert (key_of_queue(sqs), logs.calls) == ("", [])
    assert foretold["diff"] == run(**BOTH)["diff"]


def test_check_mode_takes_what_is_to_come_for_encrypted(run, logs):
    told = run(check=True, queue_name="none", log_group_name="/none")
    assert not told["changed"]
    for missing in ({"queue_name": "none"}, {"log_group_name": "/none"}):
        assert run(**missing)["failed"]


def test_the_keys_go_again(run, sqs, logs):
    run(**BOTH)
    told = run(key="", **BOTH)
    assert told["changed"]
    assert (key_of_queue(sqs), logs.groups["/aws/lambda/f"]) == ("", None)
    assert not run(key="", **BOTH)["changed"]


def test_what_is_not_named_is_left_alone(run, sqs, logs):
    assert run(queue_name="failures")["kms_key_use"] == {"queue": KEY}
    assert logs.calls == []
    told = run()
    assert told["failed"]
    assert "queue_name, log_group_name" in told["msg"]
