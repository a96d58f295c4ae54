"""Endpoints, with botocore's rules as the oracle."""

from __future__ import annotations

import itertools
from urllib.parse import urlsplit

import boto3
import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from hypothesis import given
from hypothesis import strategies as st
from stream_processor.transport import TransportError, s3
from stream_processor.transport.endpoints import Endpoint, s3_endpoint, sns_endpoint

_LOADER = botocore.session.Session().get_component("data_loader")
_PARTITIONS = _LOADER.load_data("partitions")
RULES = {
    service: EndpointProvider(_LOADER.load_service_model(service, "endpoint-rule-set-1"), _PARTITIONS)
    for service in ("s3", "sns")
}
# Names such as aws-global stand for services without regions; no function runs in them.
REGIONS = [
    region
    for partition in _PARTITIONS["partitions"]
    for region in partition["regions"]
    if not region.endswith("-global")
]
VARIANTS = list(itertools.product([False, True], repeat=2))


def environment(fips, dual_stack):
    return {"AWS_USE_FIPS_ENDPOINT": str(fips), "AWS_USE_DUALSTACK_ENDPOINT": str(dual_stack).lower()}


def url(endpoint):
    return f"{endpoint.scheme}://{endpoint.authority}{endpoint.base}"


def botocore_s(service, region, fips, dual_stack, **more):
    """The endpoint and the region it is signed for; None where botocore knows of none."""
    try:
        found = RULES[service].resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack, **more)
    except EndpointProviderError:
        return None
    schemes = found.properties.get("authSchemes", [{}])
    return found.url, schemes[0].get("signingRegion", region)


def test_the_oracle_knows_regions_of_every_partition():
    assert len(_PARTITIONS["partitions"]) >= 8
    assert {"us-east-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-isof-south-1"} <= set(REGIONS)


@pytest.mark.parametrize("bucket", ["audit-bucket", "audit.bucket"])
@pytest.mark.parametrize(("fips", "dual_stack"), VARIANTS)
@pytest.mark.parametrize("region", REGIONS)
def test_s3_s_endpoint_is_botocore_s(region, fips, dual_stack, bucket):
    expected = botocore_s("s3", region, fips, dual_stack, Bucket=bucket, UseGlobalEndpoint=False)
    if expected:
        assert (url(s3_endpoint(environment(fips, dual_stack), region, bucket)), region) == expected
    else:
        assert fips and region.startswith("cn-")


@given(st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True))
def test_a_bucket_is_in_the_host_where_botocore_has_it(bucket):
    # botocore gives other kinds of buckets away by the ends of their names; none of them is an audit bucket.
    if not bucket.endswith(("--op-s3", "--x-s3", "--xa-s3", "--table-s3")):
        expected = botocore_s("s3", "eu-west-1", False, False, Bucket=bucket, UseGlobalEndpoint=False)
        assert url(s3_endpoint({}, "eu-west-1", bucket)) == expected[0]


@pytest.mark.parametrize(("fips", "dual_stack"), VARIANTS)
@pytest.mark.parametrize("region", REGIONS)
def test_sns_s_endpoint_is_botocore_s(region, fips, dual_stack):
    assert (url(sns_endpoint(environment(fips, dual_stack), region)), region) == botocore_s(
        "sns", region, fips, dual_stack
    )


class Asked(Exception):
    """Instead of an answer: the URL is all that is wanted."""


def asked_by_boto3(service, monkeypatch, env):
    """The URL that boto3 sends a request to, in this environment."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SNS"):
        monkeypatch.delenv(name, raising=False)
    # The default is the one endpoint for all regions, which botocore keeps for the sake of old programs.
    env = {"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "regional", **env}
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", **env}.items():
        monkeypatch.setenv(name, value)

    def refuse(request, **_unused):
        raise Asked(request.url)

    client = boto3.Session(region_name="us-east-1").client(service)
    client.meta.events.register("before-send", refuse)
    with pytest.raises(Asked) as asked:
        if service == "s3":
            client.put_object(Bucket="audit-bucket", Key="a b/ü.json", Body=b"")
        else:
            client.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:t", Message="m")
    return asked.value.args[0]


ALL, OURS = "http://all.example:4566", "https://own.example/prefix/"


@pytest.mark.parametrize("service", ["s3", "sns"])
@pytest.mark.parametrize(
    ("for_all", "for_service", "more"),
    [
        ("", "", {}),
        (ALL, "", {}),
        (ALL, OURS, {}),
        ("", OURS, {}),
        ("http://127.0.0.1:4566", "", {}),
        ("http://[::1]:4566/", "", {}),
        ("https://own.example:443", "", {}),
        (ALL, OURS, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}),
        (ALL, "", {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false"}),
    ],
)
def test_the_environment_s_endpoints_are_taken_as_boto3_takes_them(monkeypatch, service, for_all, for_service, more):
    named = {"AWS_ENDPOINT_URL": for_all, f"AWS_ENDPOINT_URL_{service.upper()}": for_service}
    env = {**more, **{name: value for name, value in named.items() if value}}
    expected = urlsplit(asked_by_boto3(service, monkeypatch, env))
    if service == "s3":
        endpoint = s3_endpoint(env, "us-east-1", "audit-bucket")
        path = s3.put_if_absent(endpoint, "a b/ü.json", b"", "").path
    else:
        endpoint = sns_endpoint(env, "us-east-1")
        path = endpoint.base or "/"
    assert (endpoint.scheme, endpoint.host) == (expected.scheme, expected.hostname)
    assert path in (expected.path, expected.path.rstrip("/"))
    assert endpoint.port == (expected.port or {"http": 80, "https": 443}[expected.scheme])


def test_the_other_service_s_endpoint_is_not_ours():
    env = {"AWS_ENDPOINT_URL_SNS": OURS}
    assert s3_endpoint(env, "us-east-1", "audit-bucket").host == "audit-bucket.s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize("text", ["localhost:4566", "ftp://localhost", "http://", "http://localhost:port", "/path"])
def test_an_endpoint_that_is_no_http_url_is_refused(text):
    with pytest.raises(TransportError, match="InvalidEndpoint"):
        sns_endpoint({"AWS_ENDPOINT_URL": text}, "us-east-1")


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        (Endpoint("https", "h.example", 443), "h.example"),
        (Endpoint("http", "h.example", 80), "h.example"),
        (Endpoint("http", "h.example", 443), "h.example:443"),
        (Endpoint("http", "::1", 4566), "[::1]:4566"),
    ],
)
def test_the_host_header_names_a_port_that_is_not_the_scheme_s(endpoint, authority):
    assert endpoint.authority == authority
