"""Signatures, with botocore's as the oracle."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from unittest.mock import patch

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.transport import Message, Order, s3, sns
from stream_processor.transport.endpoints import s3_endpoint, sns_endpoint
from stream_processor.transport.sigv4 import Credentials, Request, signed_headers

# Printable, without spaces, as credentials are; '=', '+' and '/' are in session tokens.
_TEXT = st.text("ABCxyz0129+/=", min_size=1, max_size=60)
CREDENTIALS = st.builds(Credentials, _TEXT, _TEXT, st.just("") | _TEXT)
REGIONS = st.sampled_from(["us-east-1", "cn-north-1", "us-gov-west-1"])
# From 1970 to 2099, so with days of every length.
MOMENTS = st.integers(0, 4_102_444_799)
KEYS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" =+/~%&?#*()'!;,@$:\\"), min_size=1)
BUCKETS = st.sampled_from(["audit-bucket", "audit.bucket"])


def botocore_s_authorization(request, credentials, region, service, moment):
    headers = {name: value for name, value in request.headers.items() if not name.startswith("x-amz-content")}
    asked = AWSRequest(request.method, f"https://{headers.pop('host')}{request.path}", headers, request.body)
    signer = {"s3": botocore.auth.S3SigV4Auth, "sns": botocore.auth.SigV4Auth}[service]
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(moment, UTC)):
        signer(BotoCredentials(*credentials[:2], credentials.token or None), service, region).add_auth(asked)
    return asked.headers["Authorization"], asked.headers["X-Amz-Date"], asked.headers.get("X-Amz-Security-Token")


def our_authorization(*call):
    headers = signed_headers(*call)
    return headers["authorization"], headers["x-amz-date"], headers.get("x-amz-security-token")


@given(KEYS, st.binary(max_size=40), BUCKETS, CREDENTIALS, REGIONS, MOMENTS)
def test_a_put_is_signed_as_botocore_signs_it(key, body, bucket, credentials, region, moment):
    request = s3.put_if_absent(s3_endpoint({}, region, bucket), key, body, "application/json")
    call = (request, credentials, region, "s3", moment)
    assert our_authorization(*call) == botocore_s_authorization(*call)


@given(st.text(st.characters(exclude_categories=["Cs"])), CREDENTIALS, REGIONS, MOMENTS)
def test_a_publish_is_signed_as_botocore_signs_it(text, credentials, region, moment):
    message = Message(text, "subject", {"table": "Items"}, Order("group", "event"))
    request = sns.publish_batch(sns_endpoint({}, region), f"arn:aws:sns:{region}:123456789012:t", [message] * 2)
    call = (request, credentials, region, "sns", moment)
    assert our_authorization(*call) == botocore_s_authorization(*call)


def test_another_day_region_service_or_secret_is_another_key():
    request = Request("PUT", "/", {"host": "h"}, b"", hashlib.sha256(b"").hexdigest())
    base = {"credentials": Credentials("A", "s"), "region": "r", "service": "s3", "moment": 0}
    others = [{"credentials": Credentials("A", "t")}, {"region": "q"}, {"service": "sns"}, {"moment": 86400}]
    signatures = {our_authorization(request, *{**base, **other}.values())[0][-64:] for other in [{}, *others]}
    assert len(signatures) == 5
