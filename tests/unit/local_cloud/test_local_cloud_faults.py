"""The rules of faults: what is refused as a rule, which requests are hit, and what the control path answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud import faults
from local_cloud.faults import FAULTS_PATH, Faults, checked
from local_cloud.settings import CloudError

RULE = {"service": "s3", "operation": "PutObject", "answer": 503}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("s3", "no list of rules"),
        ({"rules": {}}, "whose rules are one"),
        ({"rule": []}, "rule: known are rules, seed"),
        ({"seed": "7"}, "seed is '7': give a whole number"),
        ({"stream_retention": -1}, "stream_retention is -1: give seconds from 0 to 86400"),
        (["s3"], "Rule 1 is 's3': give an object"),
        ([RULE, {"operation": "*", "answer": 500}], "Rule 2: service is None: give an IAM prefix"),
        ([{**RULE, "chance": 1}], "Rule 1 has chance, which is unknown"),
        ([{**RULE, "rate": 1.5}], "rate is 1.5: give a number from 0 to 1"),
        ([{**RULE, "rate": True}], "rate is True"),
        ([{**RULE, "answer": 404}], "answer is 404: give one of 400, 403, 429, 500, 503"),
        ([{**RULE, "delay": -1}], "delay is -1: give seconds"),
        ([{**RULE, "lost": "yes"}], "lost is 'yes': give true or false"),
        ([{"service": "s3", "rate": 0.5}], "Rule 1 does nothing"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_what_would(document, said):
    with pytest.raises(CloudError) as told:
        checked(document)
    assert said in str(told.value)


def test_a_list_and_an_object_mean_the_same():
    assert checked([RULE]) == checked({"rules": [RULE]})


def strikes(rules, requests, seed=None):
    made = Faults(checked({"rules": rules, "seed": seed}))
    return [made.strike(*request) for request in requests], made.told()["rules"]


def test_only_the_service_and_operation_named_are_hit():
    requests = [("s3", "PutObject"), ("s3", "GetObject"), ("sns", "PutObject")]
    hit, told = strikes([RULE], requests)
    assert [rule is not None for _delay, rule in hit] == [True, False, False]
    assert (told[0]["met"], told[0]["hit"]) == (1, 1)


def test_delays_add_up_and_the_first_refusal_ends_it():
    slow = {"service": "s3", "delay": 0.5}
    ((delay, rule),), told = strikes([slow, slow, RULE, {**RULE, "answer": 500}], [("s3", "PutObject")])
    assert (delay, rule["answer"]) == (1.0, 503)
    assert [each["met"] for each in told] == [1, 1, 1, 0]


@given(rate=st.floats(0, 1), seed=st.integers(0, 99))
def test_the_same_seed_hits_the_same_requests_and_about_the_share_asked_for(rate, seed):
    requests = [("s3", "PutObject")] * 400
    first, told = strikes([{**RULE, "rate": rate}], requests, seed)
    again, _told = strikes([{**RULE, "rate": rate}], requests, seed)
    assert [rule is None for _delay, rule in first] == [rule is None for _delay, rule in again]
    assert abs(told[0]["hit"] / 400 - rate) < 0.15


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        ({"x-amz-security-token": "t"}, True),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=ASIA0/20260101/us-east-1/s3/aws4_request"}, True),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=AKIA0/20260101/us-east-1/s3/aws4_request"}, False),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"}, False),
        ({}, False),
    ],
)
def test_only_temporary_credentials_are_a_roles(headers, role):
    assert faults.by_role(headers) is role


def request(app, method="GET", body=b"", path=FAULTS_PATH):
    """One request to an ASGI application: the status and the body."""
    sent = []
    # In two pieces, as a server may hand it over.
    parts = [
        {"type": "http.request", "body": body[:3], "more_body": True},
        {"type": "http.request", "body": body[3:], "more_body": False},
    ]

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_other_requests_reach_the_application_untouched_and_wrong_rules_change_nothing(monkeypatch):
    kept = []
    monkeypatch.setattr(faults, "keep_streams_for", kept.append)

    async def ministack(scope, receive, send):
        await send({"type": "http.response.start", "status": 207})
        await send({"type": "http.response.body", "body": (await faults.whole_body(receive))[:3]})

    app = faults.with_faults(ministack)
    assert request(app, "POST", b"abcdef", "/bucket") == (207, b"abc")
    assert request(app, "PUT", json.dumps({"rules": [RULE], "stream_retention": 9}).encode())[0] == 200
    assert request(app, "PUT", b"{")[0] == 400
    assert request(app, "POST")[0] == 405
    in_force = json.loads(request(app)[1])
    assert (in_force["rules"][0]["answer"], in_force["stream_retention"]) == (503, 9)
    # Not a role's request.
    assert request(app, "PUT", b"abcdef", "/bucket/key") == (207, b"abc")
    assert request(app, "POST", path=faults.RESET_PATH)[0] == 207
    assert json.loads(request(app)[1])["rules"] == []
    assert kept == [9, faults.DAY]


def test_a_path_chooses_the_bucket():
    faults = Faults(checked([{**RULE, "service": "s3", "path": "/audit-*"}]))
    assert [bool(faults.strike("s3", "PutObject", path)[1]) for path in ("/audit-log/a", "/failures/a")] == [
        True,
        False,
    ]
