"""A server of ``warm_local`` whose owner is a process that the test can end."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local import client
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.house import House

from local_cloud import processes

#: In the environment of a server, which its forks keep.
MARK = "CDC_TEST_WARM"


class StandIn:
    """Ends like ansible-playbook, of which a server is told by a descriptor."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["sleep", "600"], env={"PATH": os.defpath})

    @contextmanager
    def watched(self) -> Iterator[int]:
        descriptor = os.pidfd_open(self.process.pid)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Warm:
    """A run of its own: an owner, a temporary folder, a server when there is a task."""

    def __init__(self, temporary: Path, patience: float = 60):
        self.owner = StandIn()
        self.temporary = temporary
        self.house = House(str(temporary), self.owner, patience=patience)  # type: ignore[arg-type]

    def run(self, source: str | bytes, assigned: dict[str, str] | None = None, directory: str = "/") -> client.Outcome:
        encoded = source if isinstance(source, bytes) else source.encode()
        return client.run(self.house, encoded, assigned or {}, directory)

    def processes(self) -> list[int]:
        """All living processes of the server, by the environment that it was started with."""
        return processes.bearers(MARK, os.environ[MARK])

    def roots(self) -> list[int]:
        """The servers themselves, whose parents are none of them."""
        parents = {pid: parent(pid) for pid in self.processes()}
        return [pid for pid, above in parents.items() if above and not processes.bears(above, MARK, os.environ[MARK])]

    def end(self) -> None:
        self.owner.end()
        assert processes.wait_until(lambda: not self.processes(), 10), self.processes()


def parent(pid: int) -> int:
    """0 when it has ended meanwhile."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def cold(source: str | bytes, assigned: dict[str, str] | None = None, directory: str = "/") -> client.Outcome:
    """What a new interpreter makes of the same source, when a shell starts it."""
    encoded = source if isinstance(source, bytes) else source.encode()
    words = [*(f"{name}={shlex.quote(value)}" for name, value in (assigned or {}).items()), "exec", sys.executable]
    command = ["/bin/sh", "-c", " ".join(words)]
    done = subprocess.run(command, input=encoded, capture_output=True, cwd=directory, check=False)
    return client.Outcome(done.returncode, done.stdout, done.stderr)
