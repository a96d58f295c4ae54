"""Keeps the stream poller running beside the server: started once the server answers, and again whenever it ends."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from local_cloud.settings import HOST, Settings, poller_environment

RESTART_SECONDS = 0.2
#: After it ended by itself, which it does only when something is wrong; its log says what.
REST_SECONDS = 2.0
END_SECONDS = 2.0


def command(settings: Settings) -> list[str]:
    kept = settings.retention_seconds
    return [
        str(settings.python),
        "-m",
        "local_cloud.poller",
        "--endpoint-url",
        settings.endpoint,
        "--state",
        str(settings.poller_state),
        "--until-stdin-closes",
        *(["--retention-seconds", str(kept)] if kept else []),
    ]


class Supervisor:
    """``tell`` is given the poller's process id, None while there is none."""

    def __init__(self, settings: Settings, tell: Callable[[int | None], None]) -> None:
        self._settings, self._tell = settings, tell
        self._ending = False
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._run, name="poller-supervisor", daemon=True).start()

    def end(self) -> None:
        """End the poller, and start it no more."""
        with self._lock:
            self._ending = True
            process = self._process
        if process:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_SECONDS)
            process.kill()

    def _run(self) -> None:
        while not _answers(self._settings):
            time.sleep(0.03)
        while not self._ending:
            try:
                code = self._run_once()
            except OSError as error:  # no memory for a process, no room for the log: that may pass
                logging.getLogger("local_cloud").error("the stream poller cannot be started: %s", error)
                code = 1
            time.sleep(REST_SECONDS if code > 0 else RESTART_SECONDS)

    def _run_once(self) -> int:
        """Start the poller, and wait until it ends: its exit code."""
        process = self._launch()
        if process is None:
            return 0
        self._tell(process.pid)
        try:
            return process.wait()
        finally:
            self._tell(None)

    def _launch(self) -> subprocess.Popen | None:
        with self._lock:
            if self._ending:
                return None
            with self._settings.poller_log.open("ab") as log:
                # Its stdin is a pipe that closes with this process, however it ends: then the poller ends too.
                self._process = subprocess.Popen(
                    command(self._settings),
                    cwd=self._settings.checkout,
                    env=poller_environment(self._settings, os.environ),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            return self._process


def _answers(settings: Settings) -> bool:
    try:
        socket.create_connection((HOST, settings.port), timeout=1).close()
    except OSError:
        return False
    return True
