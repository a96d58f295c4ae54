"""What the tests of the table modules share."""

from __future__ import annotations

import json

import boto3
import moto
import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.modules import dynamodb_table, dynamodb_table_info


@pytest.fixture
def aws(monkeypatch):
    """moto's DynamoDB, as a client."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_URL"):
        monkeypatch.delenv(name, raising=False)
    with moto.mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


def run_module(module, capsys, **arguments):
    """Run a module as Ansible does; what it answers. Check mode and diff are ``_check=True`` and ``_diff=True``."""
    internal = {
        "_ansible_check_mode": arguments.pop("_check", False),
        "_ansible_diff": arguments.pop("_diff", True),
        "_ansible_remote_tmp": "/tmp",
        "_ansible_keep_remote_files": False,
    }
    capsys.readouterr()
    with patch_module_args({"region": "us-east-1", **arguments, **internal}), pytest.raises(SystemExit):
        module.main()
    basic._ANSIBLE_ARGS = None
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def run_table(aws, capsys):
    return lambda **arguments: run_module(dynamodb_table, capsys, **arguments)


@pytest.fixture
def run_info(aws, capsys):
    return lambda **arguments: run_module(dynamodb_table_info, capsys, **arguments)
