"""The server's life: one a run, there when it is needed, gone with the run, and no task harmed when it is killed."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local import client, wire
from ansible_collections.cloudcdc.dynamodb_streams.plugins.plugin_utils._warm_local.house import (
    MOST_STARTS,
    House,
    Owner,
    Unavailable,
)
from warm_support import parent

from local_cloud.processes import alive, wait_until

SLEEP = "import time; open('started', 'w').close(); time.sleep(60)"


def in_a_fork(work) -> int:
    """The process id of a fork that does the work and ends, as a worker of Ansible's does."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_the_server_outlives_the_worker_that_started_it(warm):
    os.waitpid(in_a_fork(lambda: warm.run("")), 0)
    (root,) = warm.roots()
    assert warm.run("print(1)").stdout == b"1\n"
    assert warm.roots() == [root]


def test_starts_at_once_end_in_one_server(warm):
    for pid in [in_a_fork(warm.house.start_early) for _number in range(4)] + [
        in_a_fork(lambda: warm.run("")) for _number in range(8)
    ]:
        os.waitpid(pid, 0)
    assert len(warm.roots()) == 1
    assert (warm.house.path / "lock").stat().st_size == 1


def test_many_tasks_at_once_get_their_own_output(warm):
    def task(number):
        return warm.run(f"import time; time.sleep(0.2); print('{number}' * 50_000)").stdout

    with ThreadPoolExecutor(20) as pool:
        outputs = list(pool.map(task, range(40)))
    assert outputs == [f"{number}".encode() * 50_000 + b"\n" for number in range(40)]


def test_the_folder_and_the_socket_are_the_user_s_alone(warm):
    warm.run("")
    assert stat.S_IMODE(warm.house.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((warm.house.path / "socket").stat().st_mode) == 0o600


def test_a_folder_that_is_open_to_others_is_not_used(warm):
    warm.house.path.mkdir()
    warm.house.path.chmod(0o755)
    with pytest.raises(Unavailable, match="open to others"):
        warm.run("")
    assert not warm.processes()


def test_a_link_in_the_folder_s_place_is_not_followed(warm, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    warm.house.path.symlink_to(elsewhere)
    with pytest.raises(Unavailable):
        warm.run("")
    assert not list(elsewhere.iterdir())


def test_a_folder_of_another_user_is_not_used(warm, monkeypatch):
    warm.run("")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Unavailable, match="open to others"):
        warm.run("")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_the_server_does_not_run_what_another_user_sends(warm, tmp_path):
    warm.run("")
    # As if the folder and the socket's mode were no protection.
    warm.house.path.chmod(0o755)
    (warm.house.path / "socket").chmod(0o666)
    source = f"open({str(tmp_path / 'made')!r}, 'w')".encode()

    def intrude():
        os.chdir(warm.house.path)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect("socket")
            null = os.open(os.devnull, os.O_RDONLY)
            wire.send(connection, wire.Request(source, dict(os.environ), {}, 0), [null, null, null, os.open("/", 0)])
            answer = connection.recv(1)
        os._exit(10 + len(answer))

    _pid, status = os.waitpid(in_a_fork(intrude), 0)
    assert os.waitstatus_to_exitcode(status) in (0, 10)
    assert not (tmp_path / "made").exists()
    warm.house.path.chmod(0o700)
    assert warm.run("print(1)").stdout == b"1\n"


def test_a_path_that_is_too_long_for_a_socket_is_none(warm, tmp_path):
    long = tmp_path / ("x" * 200) / "y"
    long.mkdir(parents=True)
    house = House(str(long), warm.owner, patience=60)
    assert client.run(house, b"print(1)", {}, "/").stdout == b"1\n"


def test_nothing_is_left_when_the_owner_is_killed(warm):
    warm.run("")
    warm.owner.end()
    assert wait_until(lambda: not warm.processes(), 10)
    assert not warm.house.path.exists()


def test_the_owner_may_have_ended_before_the_server_is_up(warm):
    warm.house.start_early()
    warm.owner.end()
    assert wait_until(lambda: not warm.processes() and not warm.house.path.exists(), 10)


def test_a_temporary_folder_that_is_gone_does_not_keep_the_server(warm):
    warm.run("")
    for name in ("socket", "lock"):
        (warm.house.path / name).unlink()
    warm.house.path.rmdir()
    warm.owner.end()
    assert wait_until(lambda: not warm.processes(), 10)


def test_a_killed_server_is_started_again(warm):
    warm.run("")
    (root,) = warm.roots()
    os.kill(root, signal.SIGKILL)
    assert wait_until(lambda: not alive(root), 10)
    assert warm.run("print(1)").stdout == b"1\n"
    assert len(warm.roots()) == 1


def test_a_task_goes_on_when_the_server_is_killed(warm, tmp_path):
    source = "import time; open('started', 'w').close(); time.sleep(1); print('done'); raise SystemExit(3)"
    with ThreadPoolExecutor() as pool:
        running = pool.submit(warm.run, source, None, str(tmp_path))
        assert wait_until((tmp_path / "started").exists, 60)
        for root in warm.roots():
            os.kill(root, signal.SIGKILL)
        assert running.result() == client.Outcome(3, b"done\n", b"")


def test_a_task_is_terminated_when_the_owner_is_killed(warm, tmp_path):
    with ThreadPoolExecutor() as pool:
        running = pool.submit(warm.run, SLEEP, None, str(tmp_path))
        assert wait_until((tmp_path / "started").exists, 60)
        warm.owner.end()
        assert running.result().status == -signal.SIGTERM
    assert wait_until(lambda: not warm.processes(), 10)


def test_a_lost_exit_status_is_told_and_not_taken_for_success(warm, tmp_path):
    with ThreadPoolExecutor() as pool:
        running = pool.submit(warm.run, SLEEP, None, str(tmp_path))
        assert wait_until((tmp_path / "started").exists, 60)
        roots = warm.roots()
        keepers = [pid for pid in warm.processes() if parent(pid) in roots]
        tasks = [pid for pid in warm.processes() if parent(pid) in keepers]
        for pid in keepers + tasks:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(client.Lost):
            running.result()


def test_a_worker_that_is_killed_takes_its_task_with_it(warm, tmp_path):
    warm.run("")
    worker = in_a_fork(lambda: warm.run(SLEEP, directory=str(tmp_path)))
    assert wait_until((tmp_path / "started").exists, 60)
    os.kill(worker, signal.SIGTERM)
    os.waitpid(worker, 0)
    assert wait_until(lambda: warm.processes() == warm.roots(), 10)


def test_a_task_that_is_given_up_for_time_goes_on_as_over_local_until_the_run_ends(warm, tmp_path):
    class Timeout(BaseException):
        pass

    def ring(_signal, _frame):
        raise Timeout

    warm.run("")
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(Timeout):
            warm.run("import time; time.sleep(1); open('later', 'w'); time.sleep(60)", directory=str(tmp_path))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert wait_until((tmp_path / "later").exists, 10)
    warm.owner.end()
    assert wait_until(lambda: not warm.processes(), 10)


def test_a_server_that_does_not_answer_is_given_up_and_runs_nothing_later(warm, tmp_path):
    warm.run("")
    (root,) = warm.roots()
    os.kill(root, signal.SIGSTOP)
    impatient = House(str(warm.temporary), warm.owner, patience=0.3)
    with pytest.raises(Unavailable, match="does not answer"):
        client.run(impatient, b"open('ran', 'w')", {}, str(tmp_path))
    os.kill(root, signal.SIGCONT)
    assert warm.run("print(1)").stdout == b"1\n"
    assert not (tmp_path / "ran").exists()


def test_a_server_that_cannot_live_is_not_started_for_ever(warm, tmp_path, monkeypatch):
    (tmp_path / "boto3.py").write_text("import os; os._exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for _number in range(MOST_STARTS + 2):
        with pytest.raises(Unavailable) as told:
            warm.run("")
    assert f"ended {MOST_STARTS} times" in str(told.value)


def test_an_interpreter_that_is_none_is_told(warm):
    house = House(str(warm.temporary), warm.owner, interpreter="/bin/false")
    with pytest.raises(Unavailable, match="ended with 1"):
        client.run(house, b"", {}, "/")


def test_only_a_worker_of_ansible_playbook_has_a_server(tmp_path):
    house = House(str(tmp_path), Owner(os.getpid()))
    with pytest.raises(Unavailable, match="not one of ansible-playbook's workers"):
        house.connect()
    with pytest.raises(Unavailable, match="cannot be watched"):
        House(str(tmp_path), Owner(2**22 + 1)).connect()


def test_a_request_that_ends_early_runs_nothing(warm, tmp_path):
    warm.run("")
    with ExitStack() as resources:
        connection = resources.enter_context(warm.house.connect())
        connection.sendall(b"rubbish")
    with ExitStack() as resources:
        connection = resources.enter_context(warm.house.connect())
        null = os.open(os.devnull, os.O_RDWR)
        resources.callback(os.close, null)
        wire.send(connection, wire.Request(b"open('/tmp/never', 'w')", dict(os.environ), {}, 0), [null] * 3 + [null])
    assert warm.run("print(1)").stdout == b"1\n"
    assert wait_until(lambda: warm.processes() == warm.roots(), 10)


def test_the_worker_keeps_no_descriptor_and_no_thread(warm):
    warm.run("")
    # What other tests of this process have left may go meanwhile.
    gc.collect()
    before, threads = len(list(Path("/proc/self/fd").iterdir())), set(threading.enumerate())
    for _number in range(3):
        warm.run("print(1)")
        with pytest.raises(Unavailable):
            warm.run("", {"PYTHONPATH": "/x"})
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert set(threading.enumerate()) <= threads


def test_the_server_keeps_no_descriptor_of_a_task(warm):
    warm.run("")
    (root,) = warm.roots()
    before = len(list(Path(f"/proc/{root}/fd").iterdir()))
    for _number in range(5):
        warm.run("print(1)")
    # Fewer, where the first task's were still open.
    assert wait_until(lambda: len(list(Path(f"/proc/{root}/fd").iterdir())) <= before, 10)
