# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the requests go. Pure: from the region and the function's environment alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from .interface import TransportError


class Endpoint(NamedTuple):
    """A server, and the path that all requests to it begin with: '' or '/…' without a slash at its end."""

    scheme: str
    host: str
    port: int
    base: str = ""

    @property
    def authority(self) -> str:
        """The Host header: the port is left out where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


class _Partition(NamedTuple):
    region_prefix: str
    suffix: str
    dual_stack_suffix: str


_PORTS = {"https": 443, "http": 80}
_COMMERCIAL = _Partition("", "amazonaws.com", "api.aws")  # GovCloud's are the same
# https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_PARTITIONS = (
    _Partition("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    _Partition("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
    _Partition("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
    _Partition("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
    _Partition("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    _Partition("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
)
# A bucket's name may be part of the host's. With dots in it, no certificate fits the host.
_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


def s3_endpoint(env: Mapping[str, str], region: str, bucket: str) -> Endpoint:
    """The regional endpoint of S3 for the objects of one bucket, virtual-hosted where its name allows that."""
    custom = _custom(env, "AWS_ENDPOINT_URL_S3")
    if custom:  # by path, as boto3 does with a custom endpoint
        return custom._replace(base=f"{custom.base}/{bucket}")
    fips, dual_stack = _variants(env)
    host = f"s3{'-fips' * fips}{'.dualstack' * dual_stack}.{region}.{_partition(region).suffix}"
    if _HOST_LABEL.fullmatch(bucket):
        return Endpoint("https", f"{bucket}.{host}", 443)
    return Endpoint("https", host, 443, f"/{bucket}")


def sns_endpoint(env: Mapping[str, str], region: str) -> Endpoint:
    """The endpoint of SNS."""
    custom = _custom(env, "AWS_ENDPOINT_URL_SNS")
    if custom:
        return custom
    fips, dual_stack = _variants(env)
    partition = _partition(region)
    # https://docs.aws.amazon.com/general/latest/gr/sns.html: GovCloud's ordinary endpoints are FIPS endpoints.
    fips_label = fips and (dual_stack or not region.startswith("us-gov-"))
    suffix = partition.dual_stack_suffix if dual_stack else partition.suffix
    return Endpoint("https", f"sns{'-fips' * fips_label}.{region}.{suffix}", 443)


def _partition(region: str) -> _Partition:
    return next((each for each in _PARTITIONS if region.startswith(each.region_prefix)), _COMMERCIAL)


def _variants(env: Mapping[str, str]) -> tuple[bool, bool]:
    return _is_true(env, "AWS_USE_FIPS_ENDPOINT"), _is_true(env, "AWS_USE_DUALSTACK_ENDPOINT")


def _is_true(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() == "true"


def _custom(env: Mapping[str, str], service_variable: str) -> Endpoint | None:
    """The endpoint that the environment names, the service's own before the one for all."""
    if _is_true(env, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return None
    url = env.get(service_variable) or env.get("AWS_ENDPOINT_URL")
    if not url:
        return None
    try:
        parts = urlsplit(url)
        return Endpoint(
            parts.scheme, parts.hostname or _refuse(), parts.port or _PORTS[parts.scheme], parts.path.rstrip("/")
        )
    except (ValueError, KeyError):
        raise TransportError("InvalidEndpoint") from None


def _refuse() -> str:
    raise ValueError("no host")
