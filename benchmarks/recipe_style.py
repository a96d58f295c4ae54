# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The baseline: the calls that the recipe makes, in the way it makes them.

For each record one PutObject, then one Publish, one after the other, through boto3 clients made at import; object
names, contents and log lines of the recipe's kind. Written for this comparison.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

import boto3

_DONE = {"INSERT": "created", "MODIFY": "updated", "REMOVE": "deleted"}

logger = logging.getLogger()
logger.setLevel(logging.INFO)

s3 = boto3.client("s3")
sns = boto3.client("sns")


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """A failed record fails the batch."""
    logger.info("Processing %d stream records", len(event["Records"]))
    for record in event["Records"]:
        process(record)
    return {"statusCode": 200}


def process(record: dict[str, Any]) -> None:
    """One change: the audit object, then the notification."""
    change = audit_record(record)
    logger.info("Processing %s of %s", change["eventName"], change["activityId"])
    put(change)
    publish(change)


def audit_record(record: dict[str, Any]) -> dict[str, Any]:
    """What the recipe keeps of a change."""
    change = record["dynamodb"]
    kept = {
        "timestamp": datetime.now(UTC).isoformat(),
        "eventName": record["eventName"],
        "userId": change["Keys"]["UserId"]["S"],
        "activityId": change["Keys"]["ActivityId"]["S"],
        "awsRegion": record["awsRegion"],
        "eventSource": record["eventSource"],
    }
    images = {"oldImage": change.get("OldImage"), "newImage": change.get("NewImage")}
    return {**kept, **{name: image for name, image in images.items() if image is not None}}


def put(change: dict[str, Any]) -> None:
    hour = datetime.now(UTC).strftime("%Y/%m/%d/%H")
    key = f"audit-logs/{hour}/{change['userId']}-{change['activityId']}.json"
    s3.put_object(Bucket=os.environ["S3_BUCKET_NAME"], Key=key, Body=json.dumps(change), ContentType="application/json")
    logger.info("Audit record stored: %s", key)


def publish(change: dict[str, Any]) -> None:
    message = f"Activity {_DONE[change['eventName']]} for user {change['userId']}"
    sns.publish(
        TopicArn=os.environ["SNS_TOPIC_ARN"],
        Message=json.dumps({"message": message, "details": change}),
        Subject=f"DynamoDB Activity: {change['eventName']}",
    )
    logger.info("Notification sent: %s", message)
