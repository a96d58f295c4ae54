# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AWS Signature Version 4, by the steps of
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. Pure."""

from __future__ import annotations

import functools
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import NamedTuple

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """What the function's role signs with; the token is '' for a user's lasting keys."""

    access_key: str
    secret_key: str
    token: str = ""


class Request(NamedTuple):
    """A request without a query. Header names are in lower case, values without spaces around or side by side."""

    method: str
    path: str  # as it is sent, percent-encoded
    headers: Mapping[str, str]
    body: bytes
    body_sha256: str  # in hex


def signed_headers(
    request: Request, credentials: Credentials, region: str, service: str, moment: float
) -> dict[str, str]:
    """The request's headers, all of them signed, with those that hold the signature of ``moment`` (as time.time())."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
    day = stamp[:8]
    headers = {**request.headers, "x-amz-date": stamp}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = sorted(headers)
    signed = ";".join(names)
    lines = "".join([f"{name}:{headers[name]}\n" for name in names])
    canonical = f"{request.method}\n{request.path}\n\n{lines}\n{signed}\n{request.body_sha256}"
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = _hmac(_signing_key(credentials.secret_key, day, region, service), to_sign).hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return headers


@functools.lru_cache(maxsize=8)  # two services, before and after midnight and a change of credentials
def _signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    key = _hmac(f"AWS4{secret_key}".encode(), day)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
