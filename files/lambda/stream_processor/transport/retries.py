# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which failures pass by themselves, how often and how late they are tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .interface import TransportError

ATTEMPTS = 5
_FIRST_PAUSE = 0.05  # seconds at most, doubled with each attempt
_FIRST_THROTTLED_PAUSE = 0.5  # a service that is short of capacity needs more
_LONGEST_PAUSE = 5.0

# The codes that do not have "throttl" in them, among those that AWS's SDKs take for throttles.
_THROTTLES = {
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
    "TooManyRequestsException",
}
_PASSING = {
    "ConditionalRequestConflict",  # S3: another write of the same name is under way
    "InternalError",
    "OperationAborted",
    "RequestTimeTooSkewed",  # Lambda froze the process after it was signed; the next one is signed anew
    "RequestTimeout",  # S3: the body came too slowly
    "RequestTimeoutException",
}
_PASSING_STATUSES = {408, 500, 502, 503, 504}
_THROTTLED_STATUSES = {429, 503}

_Result = TypeVar("_Result")


class Passing(Exception):
    """An attempt failed in a way that the next one may not."""

    def __init__(self, error: TransportError, throttled: bool = False):
        super().__init__()
        self.error = error
        self.throttled = throttled


class Attempt(NamedTuple):
    """Which try of a call it is, from 1 on, and until when the call has to end."""

    number: int
    deadline: float


class Clock(NamedTuple):
    """What waiting takes; tests put in their own."""

    monotonic: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]


def is_throttle(code: str) -> bool:
    """Whether AWS asks by this code to be called less often; KMSThrottling is one, which SNS blames the sender for."""
    return "throttl" in code.lower() or code in _THROTTLES


def refused(status: int, code: str, message: str = "") -> Passing | TransportError:
    """The failure that is an error answered by AWS."""
    error = TransportError("ClientError", code, message)
    throttled = status in _THROTTLED_STATUSES or is_throttle(code)
    if throttled or status in _PASSING_STATUSES or code in _PASSING:
        return Passing(error, throttled)
    return error


def refused_entry(code: str, sender_fault: bool, message: str = "") -> Passing | TransportError:
    """The failure of one entry in a batch that AWS took otherwise."""
    error = TransportError("ClientError", code, message)
    throttled = is_throttle(code)
    return Passing(error, throttled) if throttled or not sender_fault else error


def call(attempt: Callable[[Attempt], _Result], deadline: float, clock: Clock) -> _Result:
    """What an attempt returns, which is told which one it is; TransportError when it fails for good.

    Passing failures are tried again after a pause with full jitter, so that threads that failed together do not come
    back together. No attempt begins after the deadline, and none is waited for that would.
    """
    if clock.monotonic() >= deadline:
        raise TransportError("OutOfTime")
    for number in range(1, ATTEMPTS + 1):
        try:
            return attempt(Attempt(number, deadline))
        except Passing as failed:
            last = failed
        pause = _pause(number, last.throttled, clock)
        if number == ATTEMPTS or clock.monotonic() + pause >= deadline:
            break
        clock.sleep(pause)
    raise last.error from None


def _pause(number: int, throttled: bool, clock: Clock) -> float:
    first = _FIRST_THROTTLED_PAUSE if throttled else _FIRST_PAUSE
    return clock.random() * min(first * 2 ** (number - 1), _LONGEST_PAUSE)
