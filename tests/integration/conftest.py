"""A local cloud for the tests marked ``cloud``, on a port and in a state folder of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud_driver import LocalCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A running local cloud that all tests share: use names of your own, or reset it first."""
    shared = LocalCloud(home=tmp_path_factory.mktemp("cloud"))
    try:
        shared.run("start")
        yield shared
    finally:
        shared.end()
