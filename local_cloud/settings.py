"""Where this local cloud lives: its port, its state folder, its virtual environment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
INSTANCE_PATH = "/_cloudcdc/instance"
#: Marks the server and everything it starts, so that a stop can find processes a killed server left behind.
INSTANCE_VARIABLE = "LOCAL_CLOUD_INSTANCE_ID"
#: What the server takes over from its caller. Nothing else: no AWS settings, proxies or Python switches.
INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TZ", "USER")


class CloudError(Exception):
    """What the user has to know, in a sentence that says what to do."""


@dataclass(frozen=True)
class Settings:
    port: int
    home: Path
    policies: Path
    patched: bool = True
    polled: bool = True
    #: How long streams keep a record, where that is not AWS's 24 hours.
    retention_seconds: int | None = None
    checkout: Path = CHECKOUT

    @property
    def supervised(self) -> bool:
        """A poller of ours runs beside the server. A bare MiniStack polls by itself."""
        return self.patched and self.polled

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv-local-cloud"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def record(self) -> Path:
        """The pid file: what the running server says of itself."""
        return self.home / "server.json"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def poller_log(self) -> Path:
        return self.home / "poller.log"

    @property
    def poller_state(self) -> Path:
        return self.home / "poller"

    @property
    def actions(self) -> Path:
        return self.home / "actions.jsonl"

    @property
    def credentials(self) -> Path:
        return self.home / "credentials"

    @property
    def kept(self) -> tuple[Path, Path]:
        """MiniStack's state and S3's objects, of a cloud started with --persist."""
        return self.home / "state", self.home / "s3"

    @property
    def scratch(self) -> Path:
        return self.home / "tmp"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the LOCAL_CLOUD_… variables; a value that makes no sense is refused."""
    text = environ.get("LOCAL_CLOUD_PORT") or "4566"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CloudError(f"LOCAL_CLOUD_PORT is {text!r}: give a port number from 1 to 65535.")
    kept = environ.get("LOCAL_CLOUD_STREAM_RETENTION") or ""
    if kept and not (kept.isdecimal() and int(kept) > 0):
        raise CloudError(f"LOCAL_CLOUD_STREAM_RETENTION is {kept!r}: give a number of seconds.")
    port = int(text)
    home = environ.get("LOCAL_CLOUD_HOME")
    policies = environ.get("LOCAL_CLOUD_POLICIES")
    return Settings(
        port=port,
        home=Path(home).expanduser().resolve() if home else CHECKOUT / "build" / "local_cloud" / str(port),
        policies=Path(policies).expanduser().resolve() if policies else CHECKOUT / "files" / "iam",
        patched=_switched(environ, "LOCAL_CLOUD_PATCHES"),
        polled=_switched(environ, "LOCAL_CLOUD_POLLER"),
        retention_seconds=int(kept) if kept else None,
    )


def _switched(environ: Mapping[str, str], name: str) -> bool:
    value = environ.get(name) or "on"
    if value not in ("on", "off"):
        raise CloudError(f"{name} is {value!r}: give on or off.")
    return value == "on"


def server_environment(
    settings: Settings, environ: Mapping[str, str], instance_id: str, persist: bool
) -> dict[str, str]:
    """The whole environment of the server; its functions inherit it too."""
    state, objects = settings.kept
    keep = "1" if persist else "0"
    return {
        **{name: environ[name] for name in INHERITED if name in environ},
        INSTANCE_VARIABLE: instance_id,
        "LOCAL_CLOUD_PORT": str(settings.port),
        "LOCAL_CLOUD_HOME": str(settings.home),
        "LOCAL_CLOUD_PATCHES": "on" if settings.patched else "off",
        "LOCAL_CLOUD_POLLER": "on" if settings.polled else "off",
        **({"LOCAL_CLOUD_STREAM_RETENTION": str(settings.retention_seconds)} if settings.retention_seconds else {}),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(settings.scratch),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(settings.port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "PERSIST_STATE": keep,
        "S3_PERSIST": keep,
        "STATE_DIR": str(state),
        "S3_DATA_DIR": str(objects),
    }


def poller_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of the poller, out of the server's: it acts as Lambda does, as the account's root."""
    return {
        **{name: environ[name] for name in (*INHERITED, INSTANCE_VARIABLE, "TMPDIR") if name in environ},
        "PYTHONUNBUFFERED": "1",
        "AWS_ENDPOINT_URL": settings.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        # Nothing of the user's own settings.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": HOST,
        "no_proxy": HOST,
    }


def write_record(settings: Settings, told: Mapping[str, Any]) -> None:
    """Write the pid file in one step: it is read while the poller is started again."""
    fresh = settings.record.with_name(settings.record.name + ".new")
    fresh.write_text(json.dumps(told))
    fresh.replace(settings.record)
