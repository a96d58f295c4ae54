"""What the poller's pure part and its acting part say to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: How long a stream keeps a record (seconds).
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
RETENTION_SECONDS = 24 * 60 * 60
#: The most an invocation's payload holds.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
PAYLOAD_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What a mapping asks for: ListEventSourceMappings' fields, with AWS's defaults."""

    batch_size: int = 100
    window_seconds: int = 0
    parallelization_factor: int = 1
    #: -1: until the records expire.
    maximum_retry_attempts: int = -1
    #: -1: until the stream forgets them.
    maximum_record_age_seconds: int = -1
    bisect: bool = False
    #: ReportBatchItemFailures is among the FunctionResponseTypes.
    partial_responses: bool = False
    #: 0: no tumbling windows.
    tumbling_window_seconds: int = 0
    #: Filter patterns as JSON texts; none: every record passes.
    patterns: tuple[str, ...] = ()
    retention_seconds: int = RETENTION_SECONDS


@dataclass(frozen=True)
class Window:
    """What an invocation of a tumbling window says beside its records. Epoch seconds."""

    start: int
    end: int
    state: dict[str, Any]
    final: bool
    terminated_early: bool = False


@dataclass(frozen=True)
class Batch:
    """One invocation to make. ``records`` are Lambda's stream records; empty only for a window's final call."""

    number: int
    records: tuple[dict[str, Any], ...]
    window: Window | None = None


# What became of an invocation.


@dataclass(frozen=True)
class NotRun:
    """Lambda did not run the function: a throttle, or an error of the service. Uses up no attempt."""

    reason: str


@dataclass(frozen=True)
class FunctionError:
    """The function raised, timed out or ran out of memory."""

    status_code: int = 200
    executed_version: str = "$LATEST"
    error: str = "Unhandled"
    #: AWS's id of the invocation, for the on-failure record.
    request_id: str = ""


@dataclass(frozen=True)
class Returned:
    """The function returned. ``response`` is its decoded answer; what is no JSON comes as a plain string."""

    response: Any = None
    status_code: int = 200
    executed_version: str = "$LATEST"
    #: AWS's id of the invocation, for the on-failure record.
    request_id: str = ""


Outcome = NotRun | FunctionError | Returned


@dataclass(frozen=True)
class Discard:
    """Records that were given up, for the on-failure destination. They count as done once the engine is told so."""

    number: int
    records: tuple[dict[str, Any], ...]
    #: RetryAttemptsExhausted or RecordAgeExceeded.
    condition: str
    invoke_count: int
    #: The last invocation of the records; None when the function never ran with them.
    last: FunctionError | Returned | None = None
    window: Window | None = None


@dataclass
class Counts:
    """What EventCount metrics count, since they were last taken."""

    polled: int = 0
    filtered_out: int = 0
    invoked: int = 0
    failed_invoke: int = 0
    dropped: int = 0
    delivered_to_destination: int = 0

    def take(self) -> Counts:
        taken = Counts(**vars(self))
        for name in vars(self):
            setattr(self, name, 0)
        return taken


@dataclass
class Saved:
    """What a shard's reading has to remember over a restart."""

    #: The highest sequence number below and at which every record is done; None: nothing yet.
    checkpoint: str | None = None
    #: The shard was read to its end, and every record is done.
    finished: bool = False
    #: A tumbling window that is open: start, end, state.
    window: dict[str, Any] | None = field(default=None)
