"""Runs a module as Ansible does, within the test's own process."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils import aws as aws_utils


def forget_the_callers_aws(monkeypatch) -> None:
    for name in ("AWS_PROFILE", "AWS_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)


def watch_calls(monkeypatch, api) -> list[str]:
    """The names of the API calls to come, in order, of the module whose calls are in ``api``."""
    seen: list[str] = []

    def watched(module, service, **options):
        made = aws_utils.client(module, service, **options)
        made.client.meta.events.register("before-call", lambda model, **_: seen.append(model.name))
        return made

    monkeypatch.setattr(api, "client", watched)
    return seen


def told_by(module, capsys, check: bool = False, **options: Any) -> dict[str, Any]:
    """What the module tells Ansible."""
    with (
        patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}),
        pytest.raises(SystemExit),
    ):
        module.main()
    return json.loads(capsys.readouterr().out)
