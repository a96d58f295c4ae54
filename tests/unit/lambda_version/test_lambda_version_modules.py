"""The modules lambda_version and lambda_rollback, as Ansible runs them, against moto."""

from __future__ import annotations

import io
import json
import zipfile

import boto3
import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import lambda_rollback, lambda_version
from moto import mock_aws

REGION = "eu-central-1"
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:processor"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "not-a-secret"}
    with mock_aws():
        role = boto3.client("iam", REGION, **keys).create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("index.py", "")
        client = boto3.client("lambda", REGION, **keys)
        client.create_function(
            FunctionName="processor",
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="index.handler",
            Code={"ZipFile": package.getvalue()},
            Environment={"Variables": {"TOKEN": "secret-1"}},
        )
        yield client


@pytest.fixture
def run(aws, capsys):
    """Runs a module and returns what it told Ansible."""

    def run_module(module=lambda_version, check=False, **options):
        keys = {"region": REGION, "access_key": "AKIAEXAMPLE", "secret_key": "not-a-secret"}
        given = {**keys, "function_name": "processor", "alias": "live", **options}
        with (
            patch_module_args({**given, "_ansible_check_mode": check, "_ansible_diff": True}),
            pytest.raises(SystemExit),
        ):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run_module


def test_versions_are_published_made_live_and_gone_back_to(run, aws):
    foretold = run(check=True)
    assert foretold["changed"] and aws.list_aliases(FunctionName="processor")["Aliases"] == []
    first = run()
    assert first["lambda_version"] == {
        "function_name": "processor",
        "version": "1",
        "versions": ["1"],
        "alias": "live",
        "alias_arn": f"{ARN}:live",
    }
    assert not run()["changed"]

    aws.update_function_configuration(FunctionName="processor", Environment={"Variables": {"TOKEN": "secret-2"}})
    second = run(keep=2)
    assert second["changed"]
    assert second["diff"]["before"]["settings"] == {"environment": {"TOKEN": "(its old value)"}}
    assert second["diff"]["after"]["settings"] == {"environment": {"TOKEN": "(its new value)"}}
    assert "secret-" not in json.dumps({**second, "invocation": {}})
    assert aws.get_alias(FunctionName="processor", Name="live")["FunctionVersion"] == "2"


def test_a_rollback_tells_what_it_does_and_refuses(run, aws):
    run()
    told = run(lambda_rollback, version="7")
    assert told["failed"]
    assert told["msg"].startswith("There is no version 7 to go back to. Versions of processor: 1 (live, of ")
    told = run(lambda_rollback, function_name="none")
    assert told["msg"] == "There is no function none."


def test_a_function_that_is_not_there_is_one_to_come_only_in_check_mode(run):
    assert run(function_name="none", check=True)["changed"]
    assert run(function_name="none")["msg"] == "There is no function none; make it before its versions."


def test_options_that_cannot_be_are_refused(run):
    assert run(keep=1)["msg"] == "keep is 1; give 2 or more: the version in use, and one to go back to."
    assert run(lambda_rollback, alias="7")["failed"]
