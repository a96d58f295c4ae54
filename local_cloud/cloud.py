"""Start, stop, reset and look at the local cloud."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import processes, venv
from local_cloud.settings import (
    HOST,
    INHERITED,
    INSTANCE_PATH,
    INSTANCE_VARIABLE,
    REGION,
    CloudError,
    Settings,
    server_environment,
    write_record,
)

START_SECONDS = 60
STOP_SECONDS = 10
#: How long the server may take to say who it is.
ANSWER_SECONDS = 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What is on our port, and what our state folder remembers."""

    #: down (nobody listens), up (our cloud), mute (our process, no answer), other (not ours)
    state: str
    #: The running cloud's own account of itself; of a cloud that is not up, what its pid file says.
    told: dict[str, Any]
    #: Who holds the port, when it is not us.
    holder: str = ""


def look(settings: Settings) -> Found:
    recorded = _recorded(settings)
    if recorded and recorded["port"] != settings.port and processes.bears(*_mark(recorded)):
        raise CloudError(
            f"The state folder {settings.home} belongs to the cloud on port {recorded['port']}: "
            f"set LOCAL_CLOUD_PORT={recorded['port']}, or another LOCAL_CLOUD_HOME."
        )
    if not _listens(settings.port):
        return Found("down", recorded)
    answer = _ask(settings.port)
    if answer.get("checkout") == str(settings.checkout) and answer.get("home") == str(settings.home):
        return Found("up", answer)
    if not answer and recorded and processes.bears(*_mark(recorded)):
        return Found("mute", recorded)
    return Found("other", recorded, _holder(settings, answer))


def start(settings: Settings, persist: bool, fresh: bool, say: Say) -> None:
    """Bring the cloud up, ready for use; a cloud that is up already stays as it is, unless fresh."""
    with venv.locked(settings.home / "lock"):
        found = look(settings)
        _refuse_unusable(settings, found)
        # A running cloud needs it as well: for its functions, and for the identities.
        venv.ensure(settings)
        if found.state == "up":
            if persist and not found.told["persist"]:
                raise CloudError("The cloud runs without --persist: stop it first, then start it with --persist.")
            if fresh:
                _empty(settings)
            # Again: the start before may have been killed in between, the policies may have changed since.
            if _recorded(settings).get("instance_id") != found.told["instance_id"]:
                write_record(settings, found.told)
            _identities(settings, say, "bootstrap")
            say(f"The local cloud runs already: {_line(found.told)}")
            return
        _end_leftovers(found.told)
        told = _launch(settings, persist, fresh)
        _identities(settings, say, "bootstrap")
        say(f"The local cloud is up: {_line(told)}")


def stop(settings: Settings, say: Say) -> None:
    """End our cloud and everything that it started. Someone else's is left alone."""
    with venv.locked(settings.home / "lock"):
        found = look(settings)
        if found.state in ("up", "mute"):
            _end_server(found)
        _end_leftovers(found.told)
        _forget(settings, keep_credentials=found.told.get("persist", False))
        if found.state in ("up", "mute"):
            say(f"The local cloud on port {settings.port} is stopped.")
        elif found.state == "other":
            say(f"The local cloud is not running; {found.holder} holds port {settings.port} and was left alone.")
        else:
            say("The local cloud is not running.")


def reset(settings: Settings, say: Say) -> None:
    """Empty the running cloud; its identities get new keys."""
    with venv.locked(settings.home / "lock"):
        found = look(settings)
        _refuse_unusable(settings, found)
        if found.state == "down":
            raise CloudError("The local cloud is not running: start it first.")
        _empty(settings)
        _identities(settings, say, "bootstrap")
        say(f"The local cloud is empty: {_line(found.told)}")


def status(settings: Settings, say: Say) -> int:
    """One line for people, an exit code for scripts: 0 up, 3 down, 1 not ours or not answering."""
    found = look(settings)
    if found.state == "up":
        say(f"The local cloud is up: {_line(found.told)}")
        return 0
    if found.state == "down":
        say(f"The local cloud is down (port {settings.port}).")
        return 3
    try:
        _refuse_unusable(settings, found)
    except CloudError as exc:
        say(str(exc))
    return 1


def exports(settings: Settings) -> str:
    """Shell commands after which any AWS tool talks to this cloud as its administrator."""
    values = {
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
    lines = [f"export {name}={value}" for name, value in values.items()]
    for proxy in ("NO_PROXY", "no_proxy"):
        lines.append(f'export {proxy}="{HOST}${{{proxy}:+,${proxy}}}"')
    return "\n".join(["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN", *lines])


def env(settings: Settings, say: Say) -> None:
    """Print the exports, if it is this cloud that they lead to."""
    found = look(settings)
    _refuse_unusable(settings, found)
    if found.state == "down":
        raise CloudError("The local cloud is not running: start it first.")
    say(exports(settings))


def replace_policy(settings: Settings, name: str, path: str, say: Say) -> None:
    """Give an identity of the running cloud another policy, until the next start or reset."""
    found = look(settings)
    _refuse_unusable(settings, found)
    if found.state == "down":
        raise CloudError("The local cloud is not running: start it first.")
    _identities(settings, say, "policy", name, str(Path(path).resolve()))
    say(f"{name} has the policy of {path}.")


# --- the server's life -----------------------------------------------------------------------------------------------


def _launch(settings: Settings, persist: bool, fresh: bool) -> dict[str, Any]:
    if fresh:
        for folder in settings.kept:
            shutil.rmtree(folder, ignore_errors=True)
    if fresh or not persist:
        settings.actions.unlink(missing_ok=True)
        # Checkpoints without the streams they are of.
        shutil.rmtree(settings.poller_state, ignore_errors=True)
        settings.poller_log.unlink(missing_ok=True)
    shutil.rmtree(settings.scratch, ignore_errors=True)
    settings.scratch.mkdir(parents=True)
    with settings.log.open("wb") as log:
        server = subprocess.Popen(
            [str(settings.python), "-m", "local_cloud.server"],
            cwd=settings.checkout,
            env=server_environment(settings, os.environ, uuid.uuid4().hex, persist),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    told: dict[str, Any] = {}

    def settled() -> bool:
        told.update(_ask(settings.port))
        up = told.get("pid") == server.pid and (told.get("poller_pid") or not told["polled"])
        return server.poll() is not None or bool(up and _healthy(settings.port))

    if not processes.wait_until(settled, START_SECONDS) or server.poll() is not None:
        why = "did not get ready in time" if server.poll() is None else "ended by itself"
        server.kill()
        server.wait()
        _end_leftovers(_recorded(settings))
        raise CloudError(f"The local cloud {why}. The end of {settings.log}:\n{_tail(settings)}")
    return told


def _end_server(found: Found) -> None:
    pid = found.told["pid"]
    if processes.PROC.is_dir() and not processes.bears(*_mark(found.told)):
        raise CloudError(f"The local cloud says that it is process {pid}, which was not started as one: left alone.")
    # On the SIGTERM it writes its state down, with --persist, and leaves.
    patience = STOP_SECONDS if found.state == "up" else ANSWER_SECONDS
    if not processes.end(lambda: [pid] if processes.alive(pid) else [], signal.SIGTERM, patience):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        processes.wait_until(lambda: not processes.alive(pid), STOP_SECONDS)
    # The server leads a process group of its own; its function workers are in it.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _end_leftovers(told: dict[str, Any]) -> None:
    """End what a cloud left behind: function workers, or a server whose port answers no more."""
    if not told:
        return

    def left() -> list[int]:
        return processes.bearers(INSTANCE_VARIABLE, told["instance_id"])

    if not processes.end(left, signal.SIGKILL, STOP_SECONDS):
        raise CloudError(f"These processes of the local cloud do not end: {left()}")


def _empty(settings: Settings) -> None:
    status_code, body = _request(settings.port, "POST", "/_ministack/reset", seconds=60)
    if status_code != 200:
        raise CloudError(f"MiniStack did not reset itself: {status_code} {body[:300]!r}")
    if settings.actions.exists():
        os.truncate(settings.actions, 0)


def _identities(settings: Settings, say: Say, *arguments: str) -> None:
    """Run the part that needs boto3, where boto3 is."""
    environment = {
        **{name: os.environ[name] for name in INHERITED if name in os.environ},
        "LOCAL_CLOUD_PORT": str(settings.port),
        "LOCAL_CLOUD_HOME": str(settings.home),
        "LOCAL_CLOUD_POLICIES": str(settings.policies),
    }
    done = subprocess.run(
        [str(settings.python), "-m", "local_cloud.identities", *arguments],
        cwd=settings.checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stdout:
        say(done.stdout.strip())
    if done.returncode:
        raise CloudError(f"The cloud's identities could not be set up: {done.stderr.strip()}")


def _forget(settings: Settings, keep_credentials: bool) -> None:
    settings.record.unlink(missing_ok=True)
    if not keep_credentials:
        settings.credentials.unlink(missing_ok=True)
    shutil.rmtree(settings.scratch, ignore_errors=True)


# --- looking ---------------------------------------------------------------------------------------------------------


def _refuse_unusable(settings: Settings, found: Found) -> None:
    if found.state == "other":
        raise CloudError(
            f"Port {settings.port} is held by {found.holder}. Nothing was changed: "
            f"stop that, or choose another port with LOCAL_CLOUD_PORT=…"
        )
    if found.state == "mute":
        raise CloudError(
            f"The local cloud (process {found.told['pid']}) holds port {settings.port} but does not answer. "
            f"Its log is {settings.log}; `python -m local_cloud stop` ends it."
        )


def _holder(settings: Settings, answer: dict[str, Any]) -> str:
    if answer.get("checkout") == str(settings.checkout):
        return f"another local cloud of this checkout, whose state folder is {answer.get('home')}"
    if answer:
        return f"the local cloud of another checkout, {answer.get('checkout')} (process {answer.get('pid')})"
    return processes.listener(settings.port) or "a program that is no local cloud"


def _line(told: dict[str, Any]) -> str:
    kept = "kept over restarts" if told["persist"] else "gone when it stops"
    pid = told.get("poller_pid")
    polls = f"stream poller {pid}" if pid else "stream poller not running"
    return f"http://{HOST}:{told['port']}, process {told['pid']}, {polls}, MiniStack {told['version']}, data {kept}."


def _mark(told: dict[str, Any]) -> tuple[int, str, str]:
    return told["pid"], INSTANCE_VARIABLE, told["instance_id"]


def _recorded(settings: Settings) -> dict[str, Any]:
    """The pid file; empty when there is none, or a kill left half of one."""
    try:
        return json.loads(settings.record.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=2):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:
        return True


def _ask(port: int) -> dict[str, Any]:
    """Who is there? Empty when nobody is, or someone who does not know the question."""
    try:
        status_code, body = _request(port, "GET", INSTANCE_PATH, ANSWER_SECONDS)
        told = json.loads(body) if status_code == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    return told if isinstance(told, dict) and "instance_id" in told else {}


def _healthy(port: int) -> bool:
    try:
        return _request(port, "GET", "/_ministack/health", ANSWER_SECONDS)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _request(port: int, method: str, path: str, seconds: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _tail(settings: Settings) -> str:
    return "\n".join(settings.log.read_text(errors="replace").splitlines()[-20:])
