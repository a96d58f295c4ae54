"""What a look at a pipeline asks, and what it makes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_status.api import Aws
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils._pipeline_status.looking import Look
from ansible_collections.cloudcdc.dynamodb_streams.plugins.module_utils.aws import AnsibleAWSError
from botocore.exceptions import ClientError

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
STREAM = "arn:aws:dynamodb:eu-central-1:123456789012:table/Orders/stream/2026-01-01T00:00:00.000"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:processor"
OPTIONS = {
    "table_name": "Orders",
    "function_name": "processor",
    "audit_bucket": "audit",
    "audit_prefix": "audit-logs/",
    "failure_queue_url": "https://sqs.eu-central-1.amazonaws.com/123456789012/processor-dlq",
    "failure_bucket": "",
    "alarm_names": ["processor-errors"],
    "minutes": 60,
}


def refused(call: str, code: str = "AccessDenied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"not authorized to perform {call}"}}, call)


class Cloud:
    """A client of every service; an answer that is an error is raised."""

    def __init__(self, **answers):
        self.asked = []
        self.answers = {
            "describe_table": {
                "Table": {
                    "TableName": "Orders",
                    "TableStatus": "ACTIVE",
                    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
                    "LatestStreamArn": STREAM,
                }
            },
            "list_event_source_mappings": {
                "EventSourceMappings": [
                    {"UUID": "u-1", "State": "Enabled", "FunctionArn": f"{FUNCTION}:live", "EventSourceArn": STREAM}
                ]
            },
            "get_function_configuration": {
                "FunctionName": "processor",
                "Version": "7",
                "LastModified": "2026-01-30T08:00:00.000+0000",
            },
            "get_metric_data": {"MetricDataResults": []},
            "get_queue_attributes": {
                "Attributes": {
                    "ApproximateNumberOfMessages": "2",
                    "ApproximateNumberOfMessagesNotVisible": "1",
                    "ApproximateNumberOfMessagesDelayed": "0",
                }
            },
            "describe_alarms": {"MetricAlarms": []},
            "list_objects_v2": {},
            **answers,
        }

    def __call__(self, _service):
        return self

    def __getattr__(self, call):
        def answer(aws_retry=None, **request):
            self.asked.append((call, request))
            found = self.answers[call]
            found = found(request) if callable(found) else found
            if isinstance(found, Exception):
                raise found
            return found

        return answer


def look(cloud, **options):
    return Look(Aws(cloud), {**OPTIONS, **options}, NOW).take()


def test_the_version_behind_the_mappings_alias_is_asked_for():
    cloud = Cloud()
    seen = look(cloud)
    assert seen["event_source_mapping"]["qualifier"] == "live"
    assert ("get_function_configuration", {"FunctionName": "processor", "Qualifier": "live"}) in cloud.asked
    assert (seen["function"]["version"], seen["function"]["qualifier_is_there"]) == ("7", True)


def test_an_alias_that_is_gone_leaves_the_function_to_look_at():
    def configuration(request):
        if "Qualifier" in request:
            return refused("GetFunctionConfiguration", "ResourceNotFoundException")
        return {"FunctionName": "processor", "Version": "$LATEST", "LastModified": ""}

    seen = look(Cloud(get_function_configuration=configuration))
    assert (seen["function"]["version"], seen["function"]["qualifier_is_there"]) == ("$LATEST", False)


def test_a_mapping_of_another_function_is_none_of_this_pipelines():
    other = {"UUID": "u-2", "State": "Enabled", "FunctionArn": f"{FUNCTION}-other", "EventSourceArn": STREAM}
    seen = look(Cloud(list_event_source_mappings={"EventSourceMappings": [other]}))
    assert seen["event_source_mapping"] is None and "event source mapping" in seen["missing"]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("describe_table", "table"),
        ("list_event_source_mappings", "event source mapping"),
        ("get_function_configuration", "function"),
        ("get_metric_data", "metrics"),
        ("get_queue_attributes", "failure queue"),
        ("describe_alarms", "alarms"),
        ("list_objects_v2", "audit bucket"),
    ],
)
def test_a_refusal_is_told_in_awss_words_and_leaves_the_others(call, part):
    seen = look(Cloud(**{call: refused(call)}))
    assert [each["resource"] for each in seen["unreadable"]] == [part]
    assert f"not authorized to perform {call}" in seen["unreadable"][0]["reason"]
    assert part not in seen["missing"]
    assert sum(seen[name] is None for name in ("table", "function", "event_source_mapping", "failure_queue")) <= 1


def test_counts_are_sums_and_ages_are_the_latest():
    values = {"iterator_age": [400.0, 9000.0], "errors": [1.0, 2.0], "oldest_failure": [95.0, 35.0]}
    results = [{"Id": name, "Values": each} for name, each in values.items()]
    seen = look(Cloud(get_metric_data={"MetricDataResults": results}))["metrics"]
    assert (seen["iterator_age_ms"], seen["iterator_age_ms_highest"]) == (400.0, 9000.0)
    assert (seen["errors"], seen["throttles"], seen["oldest_failure_seconds"]) == (3, 0, 95.0)


def test_metrics_come_in_pages_and_in_one_request_for_all():
    pages = iter(
        [
            {"MetricDataResults": [{"Id": "errors", "Values": [1.0]}], "NextToken": "more"},
            {"MetricDataResults": [{"Id": "errors", "Values": [1.0]}]},
        ]
    )
    cloud = Cloud(get_metric_data=lambda _request: next(pages))
    assert look(cloud)["metrics"]["errors"] == 2
    asked = [request for call, request in cloud.asked if call == "get_metric_data"]
    assert len(asked[0]["MetricDataQueries"]) == 8


def test_what_no_metric_tells_is_null_where_they_could_not_be_read():
    assert look(Cloud(get_metric_data=refused("x")))["metrics"]["errors"] is None


def test_an_alarm_that_is_not_there_is_missing():
    assert "alarm processor-errors" in look(Cloud())["missing"]


def test_two_hundred_alarms_take_two_requests():
    cloud = Cloud()
    look(cloud, alarm_names=[f"alarm-{number}" for number in range(200)])
    assert [len(request["AlarmNames"]) for call, request in cloud.asked if call == "describe_alarms"] == [100, 100]


KEYS = [
    "audit-logs/2025/12/31/23/a.json",
    "audit-logs/2026/01/09/10/b.json",
    "audit-logs/2026/01/30/02/c.json",
    "audit-logs/2026/01/30/07/d.json",
    "audit-logs/notes/readme.txt",
]


def listing(keys, most=1000):
    """S3's answers for a bucket that holds these keys."""

    def answer(request):
        prefix, found, folders = request["Prefix"], [], set()
        for key in sorted(key for key in keys if key.startswith(prefix)):
            rest = key[len(prefix) :]
            if request.get("Delimiter") and "/" in rest:
                folders.add(f"{prefix}{rest.partition('/')[0]}/")
            else:
                found.append({"Key": key, "LastModified": NOW})
        cut = min(request.get("MaxKeys", 1000), most)
        return {
            "Contents": found[:cut],
            "CommonPrefixes": [{"Prefix": folder} for folder in sorted(folders)],
            "IsTruncated": len(found) > cut,
        }

    return answer


def test_the_newest_change_is_found_folder_by_folder():
    cloud = Cloud(list_objects_v2=listing(KEYS))
    assert look(cloud)["last_change"] == {"hour": "2026-01-30T07:00:00Z", "audited_at": "2026-01-31T12:00:00Z"}
    assert sum(call == "list_objects_v2" for call, _request in cloud.asked) == 5


def test_of_an_hour_with_too_many_objects_only_the_hour_is_told():
    keys = [f"audit-logs/2026/01/30/07/{number:040d}.json" for number in range(1001)]
    cloud = Cloud(list_objects_v2=listing(keys))
    assert look(cloud)["last_change"] == {"hour": "2026-01-30T07:00:00Z", "audited_at": None}
    assert sum(call == "list_objects_v2" for call, _request in cloud.asked) == 5


def test_a_log_without_changes_has_no_last_one():
    seen = look(Cloud(list_objects_v2=listing([])))
    assert seen["last_change"] is None and "audit bucket" not in seen["missing"]


def test_a_bucket_that_is_gone_is_missing():
    seen = look(Cloud(list_objects_v2=refused("ListObjectsV2", "NoSuchBucket")), failure_bucket="failures")
    assert {"audit bucket", "failure bucket"} <= set(seen["missing"])
    assert seen["failure_bucket"] == {"name": "failures", "holds_failures": None}


def test_the_failure_bucket_is_asked_for_one_name():
    cloud = Cloud(list_objects_v2=listing(["aws/lambda/u-1/x"]))
    assert look(cloud, failure_bucket="failures")["failure_bucket"] == {"name": "failures", "holds_failures": True}
    asked = [request for call, request in cloud.asked if request.get("Bucket") == "failures"]
    assert asked == [{"Bucket": "failures", "Prefix": "aws/lambda/", "MaxKeys": 1}]


def test_an_error_that_says_nothing_of_a_missing_resource_is_no_missing_resource():
    with pytest.raises(AnsibleAWSError):
        Aws(Cloud(describe_table=refused("DescribeTable", "InternalServerError"))).table("Orders")
