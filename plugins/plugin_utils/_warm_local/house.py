# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the server of a run lives: a private folder with its socket, and the lock under which it is started.

The folder lies in the run's own temporary folder, which Ansible's workers share, and which ansible-playbook removes
when it ends; when it cannot any more, the server removes what is its own.
"""

from __future__ import annotations

import fcntl
import os
import select
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from . import command, wire

#: A server that ends by itself is started again, but not for ever.
MOST_STARTS = 5

_FOLDER = "warm_local"
_LOCK = "lock"
_BACKLOG = 4096
# Read from standard input, as a module is: so this interpreter is in every way what a module's would be. What follows
# the call happens in the forks only, and here, so that nearly nothing lies above the module on the stack.
_BOOTSTRAP = """\
fresh = dict(globals())
import os, sys
if os.fork():
    os._exit(0)
fresh_path = list(sys.path)
sys.path[:] = [{package_folder!r}] + [folder for folder in sys.path if folder]
sys.dont_write_bytecode, bytecode = True, sys.dont_write_bytecode
from _warm_local.server import root
sys.dont_write_bytecode = bytecode
task = root.main({listener}, {owner}, {folder!r}, {given!r}, fresh, fresh_path)
try:
    exec(compile(task.source, "<stdin>", "exec", dont_inherit=True), task.names)
except BaseException as error:
    task.failed(error)
task.end()
"""


class Unavailable(Exception):
    """The server cannot run this task; nothing of it has run."""


@dataclass(frozen=True)
class Owner:
    """The process whose end is the server's end: ansible-playbook, whose forks the workers are."""

    pid: int

    @contextmanager
    def watched(self) -> Iterator[int]:
        """A descriptor that turns readable when the process ends, whoever gets its number afterwards."""
        if not hasattr(os, "pidfd_open") or not hasattr(select, "POLLRDHUP"):
            raise Unavailable("it needs Linux")
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError as error:
            raise Unavailable(f"process {self.pid} cannot be watched: {error}") from error
        try:
            if os.getppid() != self.pid:
                raise Unavailable("this process is not one of ansible-playbook's workers")
            yield descriptor
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class House:
    """The server's folder in a run's temporary folder."""

    temporary: str
    owner: Owner
    interpreter: str = sys.executable
    #: Seconds that one step may take.
    patience: float = 10

    @property
    def path(self) -> Path:
        return Path(self.temporary, _FOLDER)

    def connect(self) -> socket.socket:
        """A connection to the run's server, which is started if there is none."""
        with self._opened() as folder:
            connection = self._reach(folder) or self._start(folder)
        if connection is None:
            raise Unavailable("the server ended at once")
        if wire.peer_user(connection) != os.geteuid():
            connection.close()
            raise Unavailable("the server is another user's")
        return connection

    def start_early(self) -> None:
        """Start the server if there never was one, without a wait for one who does so already."""
        with self._opened() as folder:
            if Path(wire.address(folder)).exists():
                return
            connection = self._start(folder, wait=False)
            if connection:
                connection.close()

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder's descriptor; the folder is made if needed, and is nobody else's."""
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            raise Unavailable(f"{self.path}: {error}") from error
        try:
            found = os.fstat(folder)
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                raise Unavailable(f"{self.path} is open to others")
            yield folder
        finally:
            os.close(folder)

    def _reach(self, folder: int) -> socket.socket | None:
        """A connection, or None when nobody listens."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self.patience)
        try:
            connection.connect(wire.address(folder))
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return None
        except OSError as error:
            connection.close()
            raise Unavailable(f"the socket cannot be reached: {error}") from error
        return connection

    def _start(self, folder: int, wait: bool = True) -> socket.socket | None:
        """Start the server, unless another worker was faster, and connect.

        The socket listens before the server does, so who comes meanwhile waits in its queue.
        """
        try:
            with self._locked(folder, wait) as lock:
                connection = self._reach(folder)
                if connection:
                    return connection
                _count_start(lock)
                with self.owner.watched() as owner, _listening(folder) as listener:
                    self._spawn(listener.fileno(), owner)
                    return self._reach(folder)
        except BlockingIOError:
            return None
        except (OSError, subprocess.SubprocessError) as error:
            raise Unavailable(f"the server cannot be started: {error}") from error

    @contextmanager
    def _locked(self, folder: int, wait: bool) -> Iterator[int]:
        lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield lock
        finally:
            os.close(lock)

    def _spawn(self, listener: int, owner: int) -> None:
        """The server's Python, started by the shells that start a module's, in a session of its own."""
        bootstrap = _BOOTSTRAP.format(
            package_folder=str(Path(__file__).resolve().parents[1]),
            listener=listener,
            owner=owner,
            folder=str(self.path),
            given=dict(os.environ),
        )
        process = subprocess.Popen(
            f"{command.SHELL} -c {shlex.quote(shlex.quote(self.interpreter))}",
            shell=True,
            executable=command.SHELL,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[listener, owner],
            start_new_session=True,
        )
        try:
            process.communicate(bootstrap.encode("utf-8", "surrogateescape"), self.patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            raise Unavailable(f"the server ended with {process.returncode} when it was started")


@contextmanager
def _listening(folder: int) -> Iterator[socket.socket]:
    """A listening socket in the folder, in place of one that nobody listens to any more."""
    with suppress(FileNotFoundError):
        os.unlink(wire.SOCKET, dir_fd=folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(wire.address(folder))
        os.chmod(wire.SOCKET, 0o600, dir_fd=folder)
        listener.listen(_BACKLOG)
        yield listener


def _count_start(lock: int) -> None:
    """One start more in this run; its number is the lock file's size."""
    starts = os.fstat(lock).st_size
    if starts >= MOST_STARTS:
        raise Unavailable(f"the server ended {starts} times")
    os.pwrite(lock, b".", starts)
