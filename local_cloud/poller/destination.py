"""Delivers the record of a failure to an SQS queue, an SNS topic or an S3 bucket, as the function's execution role."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from local_cloud.poller import aws
from local_cloud.poller.failure_records import body, body_with_payload, object_key
from local_cloud.poller.model import Discard

#: Seconds to wait before each further try; then the records are dropped. AWS names no numbers: inferred.
RETRY_AFTER = (0.25, 0.5, 1.0, 2.0)

#: Gives the execution role's client of a service.
Clients = Callable[[str], Any]


def deliver(
    clients: Clients,
    refused: Callable[[Exception], None],
    destination: str,
    discard: Discard,
    mapping: Mapping[str, str],
    shard_id: str,
) -> str:
    """Deliver, trying again for a few seconds. '' when the destination has it, else why it has not."""
    request_id = (discard.last.request_id if discard.last else "") or str(uuid.uuid4())
    now = time.time()
    service = destination.split(":")[2]
    if service == "s3":
        record = body_with_payload(discard, mapping, shard_id, request_id, now)
        key = object_key(mapping["uuid"], shard_id, now, str(uuid.uuid4()))
    else:
        record, key = body(discard, mapping, shard_id, request_id, now), ""
    text = json.dumps(record)
    for wait in (*RETRY_AFTER, None):
        try:
            _send(clients, service, destination, text, key)
        except aws.AWS_ERRORS as error:
            refused(error)
            why = f"{aws.code(error)}: {aws.said(error)}"
            if wait is None:
                return why
            time.sleep(wait)
        else:
            break
    return ""


def _send(clients: Clients, service: str, destination: str, text: str, key: str) -> None:
    client = clients(service)
    if service == "s3":
        client.put_object(Bucket=destination.rpartition(":")[2], Key=key, Body=text.encode())
    elif service == "sns":
        client.publish(TopicArn=destination, Message=text)
    else:
        client.send_message(QueueUrl=queue_url(client.meta.endpoint_url, destination), MessageBody=text)


def queue_url(endpoint_url: str, queue_arn: str) -> str:
    """The queue's URL. Derived, since the role need not hold the right to ask for it."""
    account, name = queue_arn.split(":")[4:6]
    return f"{endpoint_url.rstrip('/')}/{account}/{name}"
