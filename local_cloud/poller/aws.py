"""The poller's AWS clients: the service's own identity, and a function's execution role."""

from __future__ import annotations

import re
import threading
import time
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

#: Whatever a call can fail with: AWS's own answer, no answer, or one that cannot be read.
AWS_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
#: A function runs 900 seconds at most; its answer may take a little longer.
INVOKE_SECONDS = 960
CALL_SECONDS = 30
#: A role's credentials are renewed so long before they expire.
RENEW_SECONDS = 300


def code(error: Exception) -> str:
    """AWS's error code; of a call that got no answer, what kind of error that was."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") or "Unknown"
    return type(error).__name__


def said(error: Exception) -> str:
    """AWS's own words."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Message") or str(error)
    return str(error)


class Aws:
    """Makes clients for one endpoint and region."""

    def __init__(self, endpoint_url: str | None = None, region: str | None = None) -> None:
        self.endpoint_url, self.region = endpoint_url, region
        self._session = botocore.session.get_session()
        self._making = threading.Lock()

    def client(
        self,
        service: str,
        credentials: dict[str, Any] | None = None,
        seconds: float = CALL_SECONDS,
        connections: int = 20,
    ) -> Any:
        """A client that never tries again by itself: how often a call is tried is for the poller to say."""
        keys = {}
        if credentials:
            keys = {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        config = Config(
            connect_timeout=5,
            read_timeout=seconds,
            max_pool_connections=connections,
            retries={"mode": "standard", "total_max_attempts": 1},
            parameter_validation=False,
            s3={"addressing_style": "path"} if self.endpoint_url else None,
        )
        with self._making:  # a session makes one client at a time
            return self._session.create_client(
                service, region_name=self.region, endpoint_url=self.endpoint_url, config=config, **keys
            )


class FunctionRole:
    """A function's execution role, assumed as Lambda does it: the session bears the function's name."""

    def __init__(self, aws: Aws, sts: Any, arn: str, function: str) -> None:
        self.arn = arn
        self._aws, self._sts = aws, sts
        self._session_name = re.sub(r"[^\w+=,.@-]", "-", function)[:64]
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._credentials: dict[str, Any] = {}
        self._renew_at = 0.0

    def client(self, service: str) -> Any:
        with self._lock:
            if time.time() >= self._renew_at:
                self._assume()
            if service not in self._clients:
                self._clients[service] = self._aws.client(service, self._credentials)
            return self._clients[service]

    def renew(self) -> None:
        """Assume the role anew at the next call: it may have been made again, or the session is known no more."""
        with self._lock:
            self._renew_at = 0.0

    def _assume(self) -> None:
        answer = self._sts.assume_role(RoleArn=self.arn, RoleSessionName=self._session_name)
        self._credentials = answer["Credentials"]
        self._clients = {}
        self._renew_at = self._credentials["Expiration"].timestamp() - RENEW_SECONDS
