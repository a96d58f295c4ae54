"""What /proc says about processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from local_cloud import processes

pytestmark = pytest.mark.skipif(not processes.PROC.is_dir(), reason="this system has no /proc")
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_process_lives_until_it_ends_even_when_nobody_waits_for_it():
    process = subprocess.Popen(SLEEP)
    assert processes.alive(process.pid)
    process.kill()
    # It is a zombie now: this test has not waited for it.
    assert processes.wait_until(lambda: not processes.alive(process.pid), 10)
    process.wait()
    assert not processes.alive(process.pid)


def test_processes_are_found_by_what_they_were_started_with():
    process = subprocess.Popen(SLEEP, env={**os.environ, "A_MARK": "one"})
    try:
        assert processes.wait_until(lambda: processes.bearers("A_MARK", "one") == [process.pid], 10)
        assert processes.bearers("A_MARK", "on") == []
        assert processes.end(lambda: processes.bearers("A_MARK", "one"), signal.SIGKILL, 10)
    finally:
        process.kill()
        process.wait()


def test_a_process_that_ignores_the_signal_is_told_by_the_deadline():
    assert processes.end(lambda: [os.getpid()], signal.SIGCONT, 0.1) is False


def test_the_listener_of_a_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert processes.listener(port).startswith(f"process {os.getpid()} (")
    assert processes.listener(port) == ""
