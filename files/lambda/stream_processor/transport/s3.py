# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The shape of S3's PutObject where nothing may be overwritten. Pure."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

from .endpoints import Endpoint
from .sigv4 import Request


def put_if_absent(endpoint: Endpoint, key: str, body: bytes, content_type: str) -> Request:
    """The request that writes an object unless there is one of its name.

    A bucket with Object Lock and a retention period takes no object without a checksum; it costs nothing, as the
    signature needs the digest anyway.
    """
    digest = hashlib.sha256(body).digest()
    return Request(
        method="PUT",
        path=f"{endpoint.base}/{quote(key)}",
        headers={
            "host": endpoint.authority,
            "content-type": content_type,
            "if-none-match": "*",
            "x-amz-checksum-sha256": base64.b64encode(digest).decode(),
            "x-amz-content-sha256": digest.hex(),
        },
        body=body,
        body_sha256=digest.hex(),
    )
