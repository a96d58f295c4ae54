"""Faults on demand: AWS refuses, is slow, or loses its answer, for the requests that roles make.

``python -m local_cloud faults '[{"service": "s3", "operation": "PutObject", "rate": 0.1, "answer": 503}]'``

Only requests signed by a role's temporary credentials are hit: those of functions and of the poller. The rules live in
the server's memory, and are gone with a reset or a restart.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import uuid
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

from local_cloud.settings import HOST, CloudError

FAULTS_PATH = "/_cloudcdc/faults"
RESET_PATH = "/_ministack/reset"
#: The longest a request may be held up.
LONGEST_DELAY = 300
DAY = 24 * 60 * 60

#: The code AWS answers with a status, by service ('' for all others), and what it says.
CODES: dict[int, tuple[dict[str, str], str]] = {
    400: ({"s3": "RequestTimeout", "sns": "Throttling", "": "ThrottlingException"}, "Rate exceeded"),
    403: ({"sns": "AuthorizationError", "": "AccessDenied"}, "Access Denied"),
    429: ({"": "TooManyRequestsException"}, "Rate exceeded"),
    500: (
        {"s3": "InternalError", "dynamodb": "InternalServerError", "": "InternalFailure"},
        "We encountered an internal error. Please try again.",
    ),
    503: ({"s3": "SlowDown", "": "ServiceUnavailable"}, "Please reduce your request rate."),
}
KEYS = ("service", "operation", "path", "rate", "answer", "delay", "lost")


# --- rules -----------------------------------------------------------------------------------------------------------


def number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def checked_rule(rule: Any, where: str) -> dict[str, Any]:
    """The rule with its defaults; a CloudError says what is wrong with it."""
    if not isinstance(rule, dict):
        raise CloudError(f"{where} is {rule!r}: give an object with {', '.join(KEYS)}.")
    if unknown := [key for key in rule if key not in KEYS]:
        raise CloudError(f"{where} has {', '.join(unknown)}, which is unknown: known are {', '.join(KEYS)}.")
    full = {"operation": "*", "path": "*", "rate": 1.0, "delay": 0.0, "lost": False, **rule}
    wrong = {
        "service": (isinstance(full.get("service"), str) and full["service"], "an IAM prefix such as s3, sns or sqs"),
        "operation": (isinstance(full["operation"], str) and full["operation"], "an operation's name; * is a wildcard"),
        "path": (isinstance(full["path"], str) and full["path"], "the request's path, as /bucket/*; * is a wildcard"),
        "rate": (number(full["rate"], 0, 1), "a number from 0 to 1"),
        "delay": (number(full["delay"], 0, LONGEST_DELAY), f"seconds from 0 to {LONGEST_DELAY}"),
        "lost": (isinstance(full["lost"], bool), "true or false"),
        "answer": ("answer" not in full or full["answer"] in CODES, f"one of {', '.join(map(str, CODES))}"),
    }
    for key, (right, expected) in wrong.items():
        if not right:
            raise CloudError(f"{where}: {key} is {full.get(key)!r}: give {expected}.")
    if "answer" not in full and not full["delay"] and not full["lost"]:
        raise CloudError(f"{where} does nothing: give an answer, a delay, or lost.")
    return full


def retention_seconds() -> int:
    """How long a stream keeps its records: a day, as on AWS, unless the cloud was started to forget sooner."""
    return int(os.environ.get("LOCAL_CLOUD_STREAM_RETENTION") or DAY)


def checked(document: Any) -> dict[str, Any]:
    """What was asked for: a list of rules, or an object with rules, seed and stream_retention (seconds)."""
    asked = {"rules": document} if isinstance(document, list) else document
    if not isinstance(asked, dict) or not isinstance(asked.get("rules", []), list):
        raise CloudError("The faults are no list of rules, and no object whose rules are one.")
    if unknown := [key for key in asked if key not in ("rules", "seed", "stream_retention")]:
        raise CloudError(f"The faults have {', '.join(unknown)}: known are rules, seed and stream_retention.")
    seed, retention = asked.get("seed"), asked.get("stream_retention", retention_seconds())
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise CloudError(f"seed is {seed!r}: give a whole number.")
    if not number(retention, 0, DAY):
        raise CloudError(f"stream_retention is {retention!r}: give seconds from 0 to {DAY}.")
    rules = [checked_rule(rule, f"Rule {place}") for place, rule in enumerate(asked.get("rules", []), 1)]
    return {"rules": rules, "seed": seed, "stream_retention": retention}


class Faults:
    """The rules in force, and how often each of them was met and hit."""

    def __init__(self, asked: dict[str, Any] | None = None) -> None:
        asked = asked or checked([])
        self.seed, self.retention = asked["seed"], asked["stream_retention"]
        self.rules = [{**rule, "met": 0, "hit": 0} for rule in asked["rules"]]
        self._random = random.Random(self.seed)

    def told(self) -> dict[str, Any]:
        return {"seed": self.seed, "stream_retention": self.retention, "rules": self.rules}

    def strike(self, service: str, operation: str, path: str = "/") -> tuple[float, dict[str, Any] | None]:
        """How long the request is held up, and the first rule that refuses it or loses its answer."""
        delay = 0.0
        for rule in self.rules:
            if rule["service"] != service or not fnmatchcase(operation, rule["operation"]):
                continue
            if not fnmatchcase(path, rule["path"]):
                continue
            rule["met"] += 1
            if self._random.random() >= rule["rate"]:
                continue
            rule["hit"] += 1
            delay += rule["delay"]
            if "answer" in rule or rule["lost"]:
                return delay, rule
        return delay, None


# --- the server's side -----------------------------------------------------------------------------------------------


def with_faults(app):
    """MiniStack's ASGI application, with faults for the requests of roles."""
    faults = Faults()

    async def answer(scope, receive, send):
        nonlocal faults
        if scope["type"] != "http":
            await app(scope, receive, send)
        elif scope["path"] == FAULTS_PATH:
            status, body, changed = control(scope["method"], await whole_body(receive), faults)
            if changed:
                faults = changed
                keep_streams_for(faults.retention)
            await respond(send, status, {"Content-Type": "application/json"}, body)
        elif scope["path"] == RESET_PATH:
            await app(scope, receive, send)
            faults = Faults()
            keep_streams_for(faults.retention)
        elif faults.rules and (headers := headers_of(scope)) and by_role(headers):
            await strike(app, scope, receive, send, headers, faults)
        else:
            await app(scope, receive, send)

    return answer


def control(method: str, body: bytes, faults: Faults) -> tuple[int, bytes, Faults | None]:
    """A request to the faults themselves: status, body, and what is in force from now on (None: as it was)."""
    if method == "GET":
        return 200, json.dumps(faults.told()).encode(), None
    if method == "DELETE":
        return 200, json.dumps(Faults().told()).encode(), Faults()
    if method != "PUT":
        return 405, b'{"message": "GET, PUT or DELETE"}', None
    try:
        changed = Faults(checked(json.loads(body)))
    except ValueError as exc:
        return 400, json.dumps({"message": f"The faults are not JSON: {exc}"}).encode(), None
    except CloudError as exc:
        return 400, json.dumps({"message": str(exc)}).encode(), None
    return 200, json.dumps(changed.told()).encode(), changed


def keep_streams_for(seconds: float) -> None:
    from ministack.services import dynamodb

    dynamodb._STREAM_RETENTION_SECONDS = seconds


async def strike(app, scope, receive, send, headers, faults: Faults) -> None:
    body = await whole_body(receive)
    service, action = asked_for(scope, headers, body)
    delay, rule = faults.strike(*action.split(":", 1), scope["path"]) if ":" in action else (0.0, None)
    if delay and not await held_up(receive, delay):
        return
    if rule and rule["lost"]:
        await app(scope, again(body, receive), unheard)
    if rule:
        # Whoever lost the answer cannot know whether the request was carried out.
        await refuse(send, service, action, rule.get("answer", 500), headers)
    else:
        await app(scope, again(body, receive), send)


async def held_up(receive, seconds: float) -> bool:
    """Wait; False when the caller gave up meanwhile, so that nobody is left to answer."""
    leaving = asyncio.ensure_future(receive())
    left, _waiting = await asyncio.wait({leaving}, timeout=seconds)
    leaving.cancel()
    return not left


def asked_for(scope, headers: dict[str, str], body: bytes) -> tuple[str, str]:
    """The request's service, as MiniStack routes it, and its action, such as s3:PutObject; '' where it has none."""
    from ministack import app as ministack
    from ministack.core import iam_actions, router

    method, path = scope["method"], scope["path"]
    query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
    query = ministack._routing_params(method, path, headers, body, query)
    service = router.detect_service(method, path, headers, query)
    return service, iam_actions.extract_iam_action(service, method, path, headers, body, query) or ""


async def refuse(send, service: str, action: str, status: int, headers: dict[str, str]) -> None:
    """Answer as AWS does: its code and message in the service's own form."""
    from ministack.core import iam_actions

    codes, message = CODES[status]
    _status, head, body = iam_actions.access_denied_response(
        service,
        action,
        "",
        str(uuid.uuid4()),
        error_code=codes.get(service, codes[""]),
        message=message,
        headers=headers,
    )
    await respond(send, status, head, body)


def headers_of(scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}


def by_role(headers: dict[str, str]) -> bool:
    """Whether temporary credentials signed the request."""
    return "x-amz-security-token" in headers or "Credential=ASIA" in headers.get("authorization", "")


async def whole_body(receive) -> bytes:
    chunks = []
    while (message := await receive())["type"] == "http.request":
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)


def again(body: bytes, receive):
    """The request's body for the application, which reads it as if nobody had before."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again():
        return messages.pop() if messages else await receive()

    return receive_again


async def unheard(message) -> None:
    """Takes an answer that nobody gets."""


async def respond(send, status: int, headers: dict[str, str], body: bytes) -> None:
    head = {**headers, "Content-Length": str(len(body))}
    encoded = [(name.lower().encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


# --- the command line's side -----------------------------------------------------------------------------------------


def tell(port: int, asked: str) -> str:
    """Show the faults in force ('' asks for that), end them ('off') or set them (JSON)."""
    method = {"": "GET", "off": "DELETE"}.get(asked, "PUT")
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, FAULTS_PATH, asked.encode() if method == "PUT" else None)
        response = connection.getresponse()
        status, body = response.status, response.read().decode()
    except OSError as exc:
        raise CloudError(f"The local cloud did not take the faults: {exc}") from exc
    finally:
        connection.close()
    if status != 200:
        message = json.loads(body)["message"] if body.startswith("{") else body[:300]
        raise CloudError(f"The local cloud refused the faults: {message}")
    return body
