# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a million changes cost, from measured figures and list prices. Pure.

Assumed: us-east-1, no free tier, arm64, full batches, no retries, subscriptions of SQS queues (deliveries to them are
free), the function's CPU as fast as the one measured on. Lambda bills the time of an invocation: the time it was
measured to take, or, where that is longer, the time that its CPU work takes with the share of a CPU that its memory
size has. Storage is left out: it depends on how long it is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.candidates import CANDIDATES, SIZES, Candidate
from benchmarks.figures import Figures


@dataclass(frozen=True)
class Price:
    """A list price: US dollars, for what, and where and when it was read."""

    dollars: float
    unit: str
    page: str
    read: str


PRICES = {
    "lambda_request": Price(0.20e-6, "request", "https://aws.amazon.com/lambda/pricing/", "2026-11"),
    "lambda_gb_s": Price(0.0000133334, "GB-second, arm64", "https://aws.amazon.com/lambda/pricing/", "2026-11"),
    "s3_put": Price(0.005e-3, "PUT request, S3 Standard", "https://aws.amazon.com/s3/pricing/", "2026-11"),
    "sns_publish": Price(0.50e-6, "64 KB published, standard topic", "https://aws.amazon.com/sns/pricing/", "2026-11"),
    "log_gb": Price(0.50, "GB of logs taken in", "https://aws.amazon.com/cloudwatch/pricing/", "2026-11"),
    "metric_month": Price(0.30, "custom metric and month", "https://aws.amazon.com/cloudwatch/pricing/", "2026-11"),
}

MEMORY_MB = 256
MEMORY_SIZES_MB = (128, 256, 512, 1024, 1769)
#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
ONE_VCPU_MB = 1769
#: SNS bills a call by the 64 KB it carries.
SNS_CHUNK_BYTES = 64 * 1024
#: Lambda's own START, END and REPORT lines.
PLATFORM_LOG_BYTES = 350
#: Of the benchmark's changes, as notifications: of the recipe's items, and of those of 1 KB.
MESSAGE_BYTES = {"recipe": 950, "wide": 2900}
#: One for a whole batch.
DIGEST_BYTES = 1000

_MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """Dollars per million changes."""

    compute: float
    requests: float
    s3: float
    sns: float
    logs: float

    @property
    def total(self) -> float:
        return self.compute + self.requests + self.s3 + self.sns + self.logs


@dataclass(frozen=True)
class Usage:
    """What one change takes; calls and bytes on the average."""

    size: int
    wall_ms: float
    cpu_ms: float
    s3_calls: float
    sns_calls: float
    log_bytes: float
    message_bytes: int


def vcpu(memory_mb: int) -> float:
    """The share of a CPU that a function of this memory size has."""
    return memory_mb / ONE_VCPU_MB


def per_million(usage: Usage, memory_mb: int = MEMORY_MB) -> Cost:
    """The cost of a million changes that each take this."""
    invocations = _MILLION / usage.size
    seconds = _MILLION * max(usage.wall_ms, usage.cpu_ms / vcpu(memory_mb)) / 1000
    chunks = math.ceil(usage.message_bytes / min(usage.sns_calls, 1) / SNS_CHUNK_BYTES)
    log_bytes = _MILLION * usage.log_bytes + invocations * PLATFORM_LOG_BYTES
    return Cost(
        compute=seconds * memory_mb / 1024 * PRICES["lambda_gb_s"].dollars,
        requests=invocations * PRICES["lambda_request"].dollars,
        s3=_MILLION * usage.s3_calls * PRICES["s3_put"].dollars,
        sns=_MILLION * usage.sns_calls * chunks * PRICES["sns_publish"].dollars,
        logs=log_bytes / 1e9 * PRICES["log_gb"].dollars,
    )


def per_second(usage: Usage, memory_mb: int) -> float:
    """How many changes one lane handles: one invocation after the other, in full batches."""
    return 1000 / max(usage.wall_ms, usage.cpu_ms / vcpu(memory_mb))


def usage(figures: Figures, candidate: Candidate, size: int) -> Usage:
    """What one change was measured to take."""
    found = {name: value.median for name, value in figures.runs[candidate.name, size].items()}
    return Usage(
        size=size,
        wall_ms=1000 / found["records_per_s"],
        cpu_ms=found["cpu_ms"],
        s3_calls=found["s3_calls"] / 1000,
        sns_calls=found["sns_calls"] / 1000,
        log_bytes=found["log_bytes"],
        message_bytes=DIGEST_BYTES // size if candidate.name == "digest" else MESSAGE_BYTES[candidate.items],
    )


def table(figures: Figures) -> dict[tuple[str, int], Cost]:
    """By candidate and batch size."""
    keys = [(each, size) for each in CANDIDATES for size in SIZES if (each.name, size) in figures.runs]
    return {(each.name, size): per_million(usage(figures, each, size)) for each, size in keys}


def metrics_per_month(metrics: int) -> float:
    """What the function's own metrics cost a pipeline, whatever it does: they are billed by number."""
    return metrics * PRICES["metric_month"].dollars
