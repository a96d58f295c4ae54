"""Runs MiniStack, inside its own virtual environment, and answers who it is.

Started by ``local_cloud.cloud``, which sets the environment; never by hand.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from local_cloud.settings import HOST, INSTANCE_PATH, INSTANCE_VARIABLE, Settings, from_environment, write_record
from local_cloud.supervisor import Supervisor


def describe(settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    """The server's own account of itself: the instance endpoint's answer, and the pid file."""
    return {
        "instance_id": environ[INSTANCE_VARIABLE],
        "pid": os.getpid(),
        "port": settings.port,
        "checkout": str(settings.checkout),
        "home": str(settings.home),
        "persist": environ.get("PERSIST_STATE") == "1",
        "patched": settings.patched,
        "polled": settings.supervised,
        "poller_pid": None,
        "version": version("ministack"),
    }


def with_instance(app, told: dict[str, Any]):
    """MiniStack's ASGI application, with one more path that says which cloud this is."""

    async def answer(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != INSTANCE_PATH:
            await app(scope, receive, send)
            return
        body = json.dumps(told).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def as_over_tls(app):
    """MiniStack's ASGI application, which takes a request for one over TLS, as if a proxy in front had ended that.

    It never leaves the machine. So policies that refuse requests without TLS (aws:SecureTransport) can be in force here
    too; a request with ``X-Forwarded-Proto: http`` is one without.
    """

    async def answer(scope, receive, send):
        if scope["type"] == "http" and all(name != b"x-forwarded-proto" for name, _value in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], (b"x-forwarded-proto", b"https")]}
        await app(scope, receive, send)

    return answer


def main() -> None:
    settings = from_environment(os.environ)
    told = describe(settings, os.environ)
    write_record(settings, told)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from local_cloud import patches
    from local_cloud.faults import with_faults

    patches.install(settings.actions, patched=settings.patched)
    # Not ministack.app.main(): it keeps a pid file in the shared temporary folder.
    config = Config()
    config.bind = [f"{HOST}:{settings.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    config.loglevel = "WARNING"
    _unused, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    supervisor = Supervisor(settings, lambda pid: tell_poller(settings, told, pid))
    if settings.supervised:
        supervisor.start()
    served = with_faults(as_over_tls(app) if settings.patched else app)
    try:
        asyncio.run(serve(with_instance(served, told), config))
    finally:
        supervisor.end()


def tell_poller(settings: Settings, told: dict[str, Any], pid: int | None) -> None:
    """Let everyone know which process the stream poller is, None for none."""
    told["poller_pid"] = pid
    write_record(settings, told)


if __name__ == "__main__":
    main()
