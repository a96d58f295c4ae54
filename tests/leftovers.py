"""What is in a local cloud: `python tests/leftovers.py ENDPOINT` prints it, and fails when there is anything."""

from __future__ import annotations

import sys
from collections.abc import Callable

import boto3


def resources(endpoint: str) -> dict[str, list[str]]:
    """The names of everything that a pipeline is made of, by kind; kinds without any are left out."""

    def client(service: str):
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    iam, sns, lambda_ = client("iam"), client("sns"), client("lambda")
    found: dict[str, Callable[[], list[str]]] = {
        "table": lambda: client("dynamodb").list_tables()["TableNames"],
        "bucket": lambda: [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "topic": lambda: [topic["TopicArn"] for topic in sns.list_topics()["Topics"]],
        "subscription": lambda: [each["SubscriptionArn"] for each in sns.list_subscriptions()["Subscriptions"]],
        "queue": lambda: client("sqs").list_queues().get("QueueUrls", []),
        "function": lambda: [each["FunctionName"] for each in lambda_.list_functions()["Functions"]],
        "mapping": lambda: [each["UUID"] for each in lambda_.list_event_source_mappings()["EventSourceMappings"]],
        "log group": lambda: [each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]],
        "alarm": lambda: [each["AlarmName"] for each in client("cloudwatch").describe_alarms()["MetricAlarms"]],
        "dashboard": lambda: [
            each["DashboardName"] for each in client("cloudwatch").list_dashboards()["DashboardEntries"]
        ],
        "state machine": lambda: [
            each["name"] for each in client("stepfunctions").list_state_machines()["stateMachines"]
        ],
        "rule": lambda: [each["Name"] for each in client("events").list_rules()["Rules"]],
        "role": lambda: [role["RoleName"] for role in iam.list_roles()["Roles"] if role["Path"] == "/"],
        "policy": lambda: [each["Arn"] for each in iam.list_policies(Scope="Local")["Policies"] if each["Path"] == "/"],
    }
    listed = {kind: sorted(names()) for kind, names in found.items()}
    return {kind: names for kind, names in listed.items() if names}


if __name__ == "__main__":
    left = resources(sys.argv[1])
    for kind, names in left.items():
        print(f"left over, {kind}: {', '.join(names)}")
    sys.exit(1 if left else 0)
