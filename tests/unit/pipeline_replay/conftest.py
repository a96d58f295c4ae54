"""What the tests of a whole replay share."""

from __future__ import annotations

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_verify.clock import Clock
from moto import mock_aws
from replay_support import NOW, Scene

from tests.unit.module_runs import forget_the_callers_aws


@pytest.fixture
def scene(monkeypatch, capsys):
    forget_the_callers_aws(monkeypatch)
    monkeypatch.setattr(Clock, "utc", lambda clock: NOW)
    with mock_aws():
        yield Scene(monkeypatch, capsys)
