"""Where this local cloud lives: its port, its state folder, its virtual environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
    checkout: Path = CHECKOUT

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
    """Read LOCAL_CLOUD_PORT, _HOME, _POLICIES and _PATCHES; a value that makes no sense is refused."""
    text = environ.get("LOCAL_CLOUD_PORT") or "4566"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CloudError(f"LOCAL_CLOUD_PORT is {text!r}: give a port number from 1 to 65535.")
    patches = environ.get("LOCAL_CLOUD_PATCHES") or "on"
    if patches not in ("on", "off"):
        raise CloudError(f"LOCAL_CLOUD_PATCHES is {patches!r}: give on or off.")
    port = int(text)
    home = environ.get("LOCAL_CLOUD_HOME")
    policies = environ.get("LOCAL_CLOUD_POLICIES")
    return Settings(
        port=port,
        home=Path(home).expanduser().resolve() if home else CHECKOUT / "build" / "local_cloud" / str(port),
        policies=Path(policies).expanduser().resolve() if policies else CHECKOUT / "files" / "iam",
        patched=patches == "on",
    )


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
