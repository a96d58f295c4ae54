"""A server for a test, marked so that all its processes can be found."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from warm_support import MARK, Warm


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    """One server for a file's tests, which only run tasks in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, uuid.uuid4().hex)
        run = Warm(tmp_path_factory.mktemp("warm"))
        yield run
        run.end()


@pytest.fixture
def warm(tmp_path, monkeypatch) -> Iterator[Warm]:
    """A server of the test's own, which the test may break."""
    monkeypatch.setenv(MARK, uuid.uuid4().hex)
    run = Warm(tmp_path)
    yield run
    run.end()
