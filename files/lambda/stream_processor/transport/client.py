# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transport over HTTP: every call signed, sent over kept connections, tried again where that helps."""

from __future__ import annotations

import os
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from . import retries, s3, sns
from .answers import BadAnswer, error_told
from .endpoints import Endpoint, s3_endpoint, sns_endpoint
from .http import Answer, Pool, Tls, request_head
from .interface import Message, TransportError
from .retries import Attempt, Clock, Passing
from .sigv4 import Credentials, Request, signed_headers


class AwsTransport:
    """See ``Transport``. Nothing is read, connected or made before the first call needs it."""

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        now: Callable[[], float] = time.time,
    ):
        self._env = env = os.environ if env is None else env
        self._clock = clock or Clock(time.monotonic, time.sleep, random.random)
        self._now = now
        self._tls = Tls(env)
        self._pools: dict[Endpoint, Pool] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}

    def put_object_if_absent(self, bucket: str, key: str, body: bytes, content_type: str, deadline: float) -> bool:
        region = self._env.get("AWS_REGION") or self._env.get("AWS_DEFAULT_REGION")
        if not region:
            raise TransportError("NoRegion")
        endpoint = self._endpoint(region, bucket)
        request = s3.put_if_absent(endpoint, key, body, content_type)

        def attempt(this: Attempt) -> bool:
            answer = self._send(endpoint, request, region, "s3", this)
            # The name belongs to this change alone, so what is there is this change, written by an earlier attempt.
            if answer.status == 412:
                return False
            _raise_for_error(answer)
            return True

        return retries.call(attempt, deadline, self._clock)

    def publish(self, topic_arn: str, messages: Sequence[Message], deadline: float) -> list[TransportError | None]:
        results: list[TransportError | None] = [TransportError("OutOfTime")] * len(messages)
        waiting = list(range(len(messages)))

        def attempt(this: Attempt) -> None:
            try:
                refusals = self._publish(topic_arn, [messages[position] for position in waiting], this)
            except (Passing, TransportError) as failed:
                for position in waiting:
                    results[position] = failed.error if isinstance(failed, Passing) else failed
                raise
            outcomes = {
                position: refusal and retries.refused_entry(*refusal)
                for position, refusal in zip(waiting, refusals, strict=True)
            }
            passing = {position: outcome for position, outcome in outcomes.items() if isinstance(outcome, Passing)}
            for position, outcome in outcomes.items():
                results[position] = outcome.error if isinstance(outcome, Passing) else outcome
            if passing:
                waiting[:] = passing
                throttled = any(each.throttled for each in passing.values())
                raise Passing(next(iter(passing.values())).error, throttled)

        with suppress(TransportError):  # the results hold it
            retries.call(attempt, deadline, self._clock)
        return results

    def _publish(self, topic_arn: str, messages: list[Message], attempt: Attempt) -> list[sns.Refusal | None]:
        """One attempt at one or more messages."""
        region = topic_arn.split(":")[3]
        endpoint = self._endpoint(region)
        alone = len(messages) == 1
        if alone:
            request = sns.publish(endpoint, topic_arn, messages[0])
        else:
            request = sns.publish_batch(endpoint, topic_arn, messages)
        answer = self._send(endpoint, request, region, "sns", attempt)
        _raise_for_error(answer)
        try:
            return sns.read_published(answer.body) if alone else sns.read_batch(answer.body, len(messages))
        except BadAnswer:
            raise Passing(TransportError("InvalidResponse")) from None

    def _send(self, endpoint: Endpoint, request: Request, region: str, service: str, attempt: Attempt) -> Answer:
        """One attempt, signed with the credentials and the time of now."""
        headers = signed_headers(request, self._credentials(), region, service, self._now())
        head = request_head(request.method, request.path, headers, len(request.body))
        try:
            return self._pool(endpoint).exchange(head, request.body, attempt)
        except ssl.SSLCertVerificationError:
            raise TransportError("CertificateError") from None
        except TimeoutError:
            raise Passing(TransportError("Timeout")) from None
        except OSError:
            raise Passing(TransportError("ConnectionError")) from None
        except BadAnswer:
            raise Passing(TransportError("InvalidResponse")) from None

    def _credentials(self) -> Credentials:
        access_key = self._env.get("AWS_ACCESS_KEY_ID")
        secret_key = self._env.get("AWS_SECRET_ACCESS_KEY")
        if not access_key or not secret_key:
            raise TransportError("NoCredentials")
        return Credentials(access_key, secret_key, self._env.get("AWS_SESSION_TOKEN", ""))

    def _endpoint(self, region: str, bucket: str = "") -> Endpoint:
        """S3's for the bucket, or SNS's without one."""
        endpoint = self._endpoints.get((region, bucket))
        if not endpoint:
            endpoint = s3_endpoint(self._env, region, bucket) if bucket else sns_endpoint(self._env, region)
            self._endpoints[region, bucket] = endpoint
        return endpoint

    def _pool(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        # setdefault: of two threads that come first at once, both get the same.
        return pool or self._pools.setdefault(endpoint, Pool(endpoint, self._tls, self._clock.monotonic))


def _raise_for_error(answer: Answer) -> None:
    if answer.status != 200:
        raise retries.refused(answer.status, *error_told(answer.status, answer.body))
