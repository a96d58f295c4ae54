"""The virtual environment MiniStack lives in: made once, made again when its requirements change."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_cloud.settings import CloudError, Settings

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold a lock that a killed process gives back by itself; its file descriptor can be shared with a child."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def wanted() -> str:
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def ready(settings: Settings) -> bool:
    stamp = settings.venv / "requirements.sha256"
    return settings.python.exists() and stamp.is_file() and stamp.read_text() == wanted()


def ensure(settings: Settings) -> None:
    """Make the environment if it is not there as required. Its stamp comes last: a killed install is done again."""
    if ready(settings):
        return
    with locked(settings.checkout / "build" / "local_cloud" / "venv.lock") as lock:
        if ready(settings):
            return
        print(f"Installing the local cloud into {settings.venv.name} (once) ...", flush=True)
        shutil.rmtree(settings.venv, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(settings.venv)], lock)
        install = ["install", "--disable-pip-version-check", "--no-input", "-r", str(REQUIREMENTS)]
        _run([str(settings.python), "-m", "pip", *install], lock)
        (settings.venv / "requirements.sha256").write_text(wanted())


def _run(command: list[str], lock: int) -> None:
    """Run one step. It shares the lock: where only we are killed, the next start waits until it has ended."""
    # Byte code is written, or every start of the cloud and of its functions would compile MiniStack anew.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, pass_fds=[lock])
    if done.returncode:
        raise CloudError(f"`{' '.join(command)}` failed:\n{(done.stdout + done.stderr).strip()}")
