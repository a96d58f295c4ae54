# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every call that a look at a pipeline makes to AWS. None writes; what the answers mean is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from .._event_source_mapping_api import MappingApi
from ..aws import AnsibleAWSError, aws_errors, error_code
from ..event_source_mapping import same_version

#: What a service answers for what is not there.
_NOT_FOUND = (
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
)
#: DescribeAlarms takes so many names.
_ALARMS_A_CALL = 100
#: Names a listing of one hour of the audit log returns at most. A fuller hour is not read to its end.
_NAMES_A_LOOK = 1000
#: Folders of the audit log below its prefix: year, month, day, hour.
_FOLDERS = (r"\d{4}", r"\d{2}", r"\d{2}", r"\d{2}")
_PERIOD = 60


class Aws:
    """One method a question. What is not there is None; any other error of AWS is an AnsibleAWSError."""

    def __init__(self, clients: Callable[[str], Any]) -> None:
        self._clients = clients

    def table(self, name: str) -> dict[str, Any] | None:
        return _unless_missing(lambda: self._table(name))

    @aws_errors("read the table")
    def _table(self, name: str) -> dict[str, Any]:
        return self._clients("dynamodb").describe_table(TableName=name, aws_retry=True)["Table"]

    def mappings(self, function_name: str, stream_arn: str | None) -> list[dict[str, Any]]:
        """The mappings of the function, its versions and aliases: those on the stream, or where none is there, all."""
        api = MappingApi(self._clients("lambda"))
        found = self._of_function(function_name, api.mappings(stream_arn)) if stream_arn else []
        return found or self._of_function(function_name, api.mappings())

    @staticmethod
    def _of_function(name: str, mappings: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [mapping for mapping in mappings if same_version(name, mapping["FunctionArn"])]

    def function(self, name: str, qualifier: str = "") -> dict[str, Any] | None:
        """The configuration of a function, or of what a version or an alias of it stands for."""
        request = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
        return _unless_missing(lambda: self._function(request))

    @aws_errors("read the function")
    def _function(self, request: dict[str, str]) -> dict[str, Any]:
        return self._clients("lambda").get_function_configuration(**request, aws_retry=True)

    def queue(self, url: str) -> dict[str, str] | None:
        return _unless_missing(lambda: self._queue(url))

    @aws_errors("read the failure queue")
    def _queue(self, url: str) -> dict[str, str]:
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesDelayed",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        answer = self._clients("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names, aws_retry=True)
        return answer["Attributes"]

    @aws_errors("read the alarms")
    def alarms(self, names: list[str]) -> dict[str, dict[str, Any]]:
        """The alarms of these names that there are."""
        client, found = self._clients("cloudwatch"), {}
        for first in range(0, len(names), _ALARMS_A_CALL):
            request = {"AlarmNames": names[first : first + _ALARMS_A_CALL], "MaxRecords": _ALARMS_A_CALL}
            answer = client.describe_alarms(**request, AlarmTypes=["MetricAlarm"], aws_retry=True)
            found |= {alarm["AlarmName"]: alarm for alarm in answer["MetricAlarms"]}
        return found

    @aws_errors("read the metrics")
    def metrics(self, metrics: dict[str, dict[str, Any]], now: datetime, minutes: int) -> dict[str, list[float]]:
        """The values of each metric in the last minutes, the latest first. ``metrics``: Metric and Stat by id."""
        queries = [
            {"Id": name, "MetricStat": {"Metric": each["Metric"], "Stat": each["Stat"], "Period": _PERIOD}}
            for name, each in metrics.items()
        ]
        request = {
            "MetricDataQueries": queries,
            "StartTime": now - timedelta(minutes=minutes),
            "EndTime": now,
            "ScanBy": "TimestampDescending",
        }
        client, found = self._clients("cloudwatch"), {name: [] for name in metrics}
        while True:
            answer = client.get_metric_data(**request, aws_retry=True)
            for result in answer["MetricDataResults"]:
                found[result["Id"]] += result["Values"]
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]

    def holds_objects(self, bucket: str, prefix: str) -> bool | None:
        """Whether there is any object below the prefix."""
        return _unless_missing(lambda: bool(self._list(bucket, prefix, MaxKeys=1).get("Contents")))

    def newest_hour(self, bucket: str, prefix: str) -> str | None:
        """The folder of the newest hour that the audit log has objects of; '' where it has none.

        Folder by folder, so it takes four requests, however many objects there are.
        """

        def descend() -> str:
            folder = prefix
            for form in _FOLDERS:
                listed = self._list(bucket, folder, Delimiter="/").get("CommonPrefixes", [])
                names = [each["Prefix"] for each in listed]
                dated = [name for name in names if re.fullmatch(form, name[len(folder) : -1])]
                if not dated:
                    return ""
                folder = max(dated)
            return folder

        return _unless_missing(descend)

    def newest_write(self, bucket: str, hour: str) -> datetime | None:
        """When the newest object of the hour was written; None where there are too many to look at each."""
        listed = self._list(bucket, hour, MaxKeys=_NAMES_A_LOOK)
        times = [each["LastModified"] for each in listed.get("Contents", [])]
        return max(times, default=None) if not listed.get("IsTruncated") else None

    @aws_errors("list the bucket")
    def _list(self, bucket: str, prefix: str, **request: Any) -> dict[str, Any]:
        return self._clients("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, **request, aws_retry=True)


def _unless_missing(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except AnsibleAWSError as exc:
        if error_code(exc) in _NOT_FOUND:
            return None
        raise
