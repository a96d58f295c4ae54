"""The pure parts of the patches on MiniStack, and the path the server answers itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from local_cloud import patches, server
from local_cloud.settings import INSTANCE_PATH

STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"


def test_only_streams_of_tables_are_ours():
    assert patches.is_stream(STREAM)
    assert not patches.is_stream("arn:aws:dynamodb:us-east-1:000000000000:table/orders")
    assert not patches.is_stream("arn:aws:kinesis:us-east-1:000000000000:stream/orders")
    assert not patches.is_stream("")


@pytest.mark.parametrize("emptied", [{}, None, {"OnFailure": {}}, {"OnFailure": {"Destination": ""}}])
def test_an_empty_destination_removes_the_destination(emptied):
    assert patches.kept({"DestinationConfig": emptied}) == {"DestinationConfig": {"OnFailure": {}}}


@pytest.mark.parametrize("emptied", [{}, None, {"Filters": []}])
def test_empty_filters_remove_the_filters(emptied):
    mapping = {"State": "Enabled", **patches.kept({"FilterCriteria": emptied})}
    assert "FilterCriteria" not in patches.answered(mapping, now=0)


def test_a_request_keeps_what_it_does_not_name():
    assert patches.kept({"UUID": "x", "BatchSize": 5}) == {"BatchSize": 5}


def test_an_answer_has_every_setting_and_nothing_internal():
    internal = {"Enabled": True, "FunctionName": "f", "Qualifier": None, "Tags": {"a": "b"}}
    given = {"BatchSize": 5, "MetricsConfig": {"Metrics": ["EventCount"]}}
    mapping = {"UUID": "x", "State": "Enabled", **internal, **given}
    assert patches.answered(mapping, now=0) == {
        **patches.DEFAULTS,
        "UUID": "x",
        "State": "Enabled",
        **given,
    }


@pytest.mark.parametrize(("enabled", "settled"), [(True, "Enabled"), (False, "Disabled")])
def test_a_transition_ends_by_itself(enabled, settled):
    mapping = {}
    patches.begin(mapping, "Updating", enabled, now=10)
    assert patches.answered(mapping, now=10)["State"] == "Updating"
    assert patches.transition(mapping, now=10 + patches.TRANSITION_SECONDS) == ""
    assert patches.answered(mapping, now=10 + patches.TRANSITION_SECONDS)["State"] == settled


def test_deleting_ends_only_with_the_mapping():
    mapping = {}
    patches.begin(mapping, "Deleting", False, now=10)
    assert patches.transition(mapping, now=100) == "Deleting"


@pytest.mark.parametrize(
    ("message", "log", "named"),
    [
        ("no", "Traceback (most recent call last):\n  File x\nValueError: no", "ValueError"),
        ("a\nb", "KeyError: 'a'\nDuring handling …\nbotocore.exceptions.ClientError: a\nb\n", "ClientError"),
        ("", "Traceback …\nNotImplementedError", "NotImplementedError"),
        ("Worker process died", "Worker process died", ""),
        ("no", "", ""),
    ],
)
def test_the_type_of_an_exception_is_read_from_its_traceback(message, log, named):
    assert patches.error_type(message, log) == named


def ask(app, path, kind="http"):
    """The messages an ASGI application sends for one request."""
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": kind, "path": path}, None, send))
    return sent


def test_the_server_says_which_cloud_it_is():
    async def ministack(scope, receive, send):
        await send({"type": scope["type"], "path": scope.get("path")})

    app = server.with_instance(ministack, {"instance_id": "id"})
    start, body = ask(app, INSTANCE_PATH)
    assert start["status"] == 200
    assert json.loads(body["body"]) == {"instance_id": "id"}
    assert ask(app, "/bucket") == [{"type": "http", "path": "/bucket"}]
    assert ask(app, "", "lifespan") == [{"type": "lifespan", "path": ""}]


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ([], [(b"x-forwarded-proto", b"https")]),
        ([(b"x-forwarded-proto", b"http")], [(b"x-forwarded-proto", b"http")]),
    ],
)
def test_a_request_counts_as_one_over_tls_unless_it_says_otherwise(sent, seen):
    headers = []

    async def ministack(scope, receive, send):
        headers.extend(scope["headers"])

    asyncio.run(server.as_over_tls(ministack)({"type": "http", "headers": sent}, None, None))
    assert headers == seen
