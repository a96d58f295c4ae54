"""AWS's metrics of what the poller does, gathered and sent about once a second."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from local_cloud.poller import aws
from local_cloud.poller.model import Counts
from local_cloud.poller.records import function_name, table_and_label

FLUSH_SECONDS = 1.0
#: What PutMetricData takes at once.
#: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
DATA_LIMIT = 1000

#: Our counts and AWS's names of them.
#: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
EVENT_COUNTS = {
    "polled": "PolledEventCount",
    "filtered_out": "FilteredOutEventCount",
    "invoked": "InvokedEventCount",
    "failed_invoke": "FailedInvokeEventCount",
    "dropped": "DroppedEventCount",
    "delivered_to_destination": "OnFailureDestinationDeliveredEventCount",
}

#: namespace, metric, unit, dimensions
Series = tuple[str, str, str, tuple[tuple[str, str], ...]]


class Metrics:
    """Gathers values of every thread; ``send`` hands them over. ``cloudwatch`` None: nothing is published."""

    def __init__(self, cloudwatch: Any, log: Callable[..., None]) -> None:
        self._cloudwatch, self._log = cloudwatch, log
        self._lock = threading.Lock()
        self._gathered: dict[Series, list[float]] = {}
        self._failing = False

    def iterator_age(self, function_arn: str, milliseconds: float) -> None:
        dimensions = (("FunctionName", function_name(function_arn)),)
        self._add(("AWS/Lambda", "IteratorAge", "Milliseconds", dimensions), milliseconds)

    def destination_failure(self, function_arn: str) -> None:
        dimensions = (("FunctionName", function_name(function_arn)),)
        self._add(("AWS/Lambda", "DestinationDeliveryFailures", "Count", dimensions), 1)

    def returned_records(self, stream_arn: str, count: int) -> None:
        table, label = table_and_label(stream_arn)
        dimensions = (("TableName", table), ("StreamLabel", label), ("Operation", "GetRecords"))
        self._add(("AWS/DynamoDB", "ReturnedRecordsCount", "Count", dimensions), count)

    def events(self, mapping_uuid: str, counts: Counts) -> None:
        for name, metric in EVENT_COUNTS.items():
            if value := getattr(counts, name):
                self._add(("AWS/Lambda", metric, "Count", (("EventSourceMappingUUID", mapping_uuid),)), value)

    def run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.send()

    def send(self) -> None:
        """Publish what was gathered. What CloudWatch does not take is offered again with the next."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
        for namespace, data in _by_namespace(gathered).items():
            for start in range(0, len(data), DATA_LIMIT):
                self._put(namespace, data[start : start + DATA_LIMIT])

    def _put(self, namespace: str, series: list[tuple[Series, list[float]]]) -> None:
        try:
            self._cloudwatch.put_metric_data(Namespace=namespace, MetricData=[datum(*each) for each in series])
            self._failing = False
        except aws.AWS_ERRORS as error:
            if not self._failing:
                self._log("metrics are not taken", code=aws.code(error), message=aws.said(error))
            self._failing = True
            for name, values in series:
                self._add(name, *values)

    def _add(self, series: Series, *values: float) -> None:
        """Add values to a series as its [count, sum, lowest, highest]."""
        if self._cloudwatch is None:
            return
        added = list(values) if len(values) == 4 else [1, values[0], values[0], values[0]]
        with self._lock:
            so_far = self._gathered.get(series)
            self._gathered[series] = merged(so_far, added) if so_far else added


def merged(one: list[float], other: list[float]) -> list[float]:
    return [one[0] + other[0], one[1] + other[1], min(one[2], other[2]), max(one[3], other[3])]


def datum(series: Series, values: list[float]) -> dict[str, Any]:
    _unused, metric, unit, dimensions = series
    count, total, lowest, highest = values
    return {
        "MetricName": metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
        "Unit": unit,
        "StatisticValues": {"SampleCount": count, "Sum": total, "Minimum": lowest, "Maximum": highest},
    }


def _by_namespace(gathered: dict[Series, list[float]]) -> dict[str, list[tuple[Series, list[float]]]]:
    sorted_out: dict[str, list[tuple[Series, list[float]]]] = defaultdict(list)
    for series, values in gathered.items():
        sorted_out[series[0]].append((series, values))
    return sorted_out
