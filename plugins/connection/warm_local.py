# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connection plugin ``warm_local``: ``local``, with the modules' Python already started."""

from __future__ import annotations

DOCUMENTATION = r"""
name: warm_local
version_added: "0.1.0"
short_description: Run modules on the controller in forks of a Python that has the AWS libraries loaded
description:
  - Does what P(ansible.builtin.local#connection) does, and does it faster for modules written in Python. Most of an AWS
    task's time goes into starting Python, importing C(botocore) and compiling C(module_utils). With this plugin a
    server does that once a run, and forks for each task.
  - A module gets the environment, working directory, stdin, umask, signals and end that
    P(ansible.builtin.local#connection) gives it; its exit status, stdout and stderr come back as they are. No option of
    a module is different.
  - Whatever the server cannot do the same way is done by P(ansible.builtin.local#connection) itself, which is the base
    of this plugin. That is privilege escalation, asynchronous tasks, commands that are not a Python module, file
    transfers, another interpreter than the one that runs C(ansible-playbook), an environment that changes how Python or
    a library starts (such as C(PYTHONPATH), C(LC_ALL) or C(HOME)), a library that was upgraded in the middle of the
    run, and each task for which the server does not answer. At verbosity 3 a task says which way it took.
  - The server is started with the run's first task that uses this connection, and ends when the run ends, however it
    ends.
author:
  - cloudcdc maintainers (@cloudcdc)
options:
  pipelining:
    description:
      - The server gets modules over a socket, and only when pipelining is on.
      - Without it every task is run by P(ansible.builtin.local#connection), with a file for each module.
    type: bool
    default: true
    env:
      - name: ANSIBLE_PIPELINING
    ini:
      - section: defaults
        key: pipelining
      - section: connection
        key: pipelining
    vars:
      - name: ansible_pipelining
  python_interpreter:
    description:
      - The interpreter of the host's modules. The server is used when it is the one that runs C(ansible-playbook), so
        set it to V({{ ansible_playbook_python }}).
      - When it is not set, Ansible discovers one, which may be another.
    type: str
    vars:
      - name: ansible_python_interpreter
  start_timeout:
    description:
      - Seconds to wait for the server to start and to take a task. A task that it does not take in that time is run by
        P(ansible.builtin.local#connection).
    type: float
    default: 10
    env:
      - name: ANSIBLE_WARM_LOCAL_START_TIMEOUT
    vars:
      - name: ansible_warm_local_start_timeout
  become_success_timeout:
    description:
      - Seconds to wait for privilege escalation to succeed, as in P(ansible.builtin.local#connection).
    type: int
    default: 10
    vars:
      - name: ansible_local_become_success_timeout
  become_strip_preamble:
    description:
      - Whether to strip what privilege escalation writes before the command's output, as in
        P(ansible.builtin.local#connection).
    type: bool
    default: true
    vars:
      - name: ansible_local_become_strip_preamble
notes:
  - The server needs Linux 5.3 or newer. Elsewhere all tasks are run by P(ansible.builtin.local#connection).
  - The libraries of Python are the same objects for all tasks of a run; Ansible's and the collections' own code is
    executed anew by each task, from what the task was sent. The file C(docs/warm-local.md) has the whole account.
  - Set C(ansible_connection=local) to do without the server.
seealso:
  - plugin: ansible.builtin.local
    plugin_type: connection
"""

EXAMPLES = r"""
# inventory/group_vars/cdc_pipelines.yml
ansible_connection: cloudcdc.dynamodb_streams.warm_local
ansible_python_interpreter: "{{ ansible_playbook_python }}"
"""

import gc
import os
import sys

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.utils.display import Display

from ..plugin_utils._warm_local import client, command
from ..plugin_utils._warm_local.house import House, Owner, Unavailable

display = Display()

#: Every payload that Ansible makes of a Python module has this line.
_PAYLOAD_MARK = b"\n_ANSIBALLZ_WRAPPER = True\n"


class Connection(LocalConnection):
    """``local``, and a server for what can be run in one.

    ``transport`` stays ``local``: Ansible gives tasks of that name the playbook's folder as working directory.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        #: Only the task executor gives it: outside of a worker there is no run to start a server for.
        self._playbook_pid = kwargs.get("ansible_playbook_pid")
        if self._is_of_worker():
            # A worker lives for one task. Without this it would copy, to look for garbage in it, all that
            # ansible-playbook has in its memory, whenever a module is put together.
            gc.freeze()

    def set_options(self, task_keys=None, var_options=None, direct=None):
        """The first chance of a task: the server starts while the worker prepares the module."""
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        if self.get_option("python_interpreter") != sys.executable or self._obstacle():
            return
        try:
            self._house().start_early()
        except Unavailable as reason:
            self._tell(f"no server, {reason}")

    def exec_command(self, cmd, in_data=None, sudoable=True):
        """Run a command as ``local`` does, in the server when it is a module that the server can run."""
        assigned = self._module_environment(cmd, in_data)
        if assigned is None:
            return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        self._connect()
        try:
            outcome = client.run(self._house(), in_data, assigned, self.cwd or ".")
        except Unavailable as reason:
            self._tell(f"run by local, {reason}")
            return super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        except client.Lost as error:
            raise AnsibleConnectionFailure(f"The module was started, but {error}.") from error
        self._tell("run by the server")
        if outcome.status >= 0:
            return outcome.status, outcome.stdout, outcome.stderr
        return self._killed(cmd, outcome)

    def _module_environment(self, cmd, in_data) -> dict[str, str] | None:
        """What the command sets for the module that is piped into it; None when ``local`` has to run it."""
        if not isinstance(cmd, str) or not in_data or _PAYLOAD_MARK not in in_data:
            return None
        obstacle = self._obstacle()
        if obstacle:
            self._tell(f"run by local, {obstacle}")
            return None
        assigned = command.assignments(cmd, sys.executable)
        if assigned is None:
            self._tell("run by local, the command is not this Python with a module")
        return assigned

    def _obstacle(self) -> str:
        """Why no task of this connection can be run by a server; empty when nothing is in the way."""
        if not self._is_of_worker():
            return "this process is not one of ansible-playbook's workers"
        if self.become:
            return "privilege escalation"
        if not self.get_option("pipelining"):
            return "pipelining is off"
        if C.DEFAULT_EXECUTABLE != command.SHELL:
            return f"the shell is {C.DEFAULT_EXECUTABLE}"
        return "there is a terminal" if _has_terminal() else ""

    def _is_of_worker(self) -> bool:
        return self._playbook_pid == str(os.getppid())

    def _house(self) -> House:
        return House(C.DEFAULT_LOCAL_TMP, Owner(os.getppid()), patience=self.get_option("start_timeout"))

    def _killed(self, cmd: str, outcome: client.Outcome) -> tuple[int, bytes, bytes]:
        """What the shells make of a command that a signal ends, they may tell best themselves."""
        signal_number = -outcome.status
        source = "import os, signal\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, range(1, 32))\n"
        source += f"if {signal_number} not in (9, 19): signal.signal({signal_number}, signal.SIG_DFL)\n"
        source += f"os.kill(os.getpid(), {signal_number})\n"
        status, stdout, stderr = super().exec_command(cmd, in_data=source.encode(), sudoable=False)
        return status, outcome.stdout + stdout, outcome.stderr + stderr

    def _tell(self, what: str) -> None:
        display.vvv(f"warm_local: {what}", host=self._play_context.remote_addr)


def _has_terminal() -> bool:
    """A module could then talk to the terminal, which the server does not have."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
