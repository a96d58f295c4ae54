# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Could a library do it? Our function's calls, through boto3: 32 threads, PublishBatch, both audit layouts.

It makes our envelopes and waits for the audit of a record before it announces it. It lacks what the function does
besides (order within an item, size limits, deadlines, partial failures), so it shows the least that boto3 costs.
"""

from __future__ import annotations

import gzip
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config
from stream_processor.canonical import to_bytes, to_json
from stream_processor.envelope import item_hash, to_envelope

_THREADS = 32
_BATCH = 10  # PublishBatch takes no more

config = Config(max_pool_connections=_THREADS, retries={"mode": "standard"})
s3 = boto3.client("s3", config=config)
sns = boto3.client("sns", config=config)
threads = ThreadPoolExecutor(_THREADS)


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    envelopes = [to_envelope(record) for record in event["Records"]]
    per_batch = os.environ["AUDIT_LAYOUT"] == "per_batch"
    audits = [threads.submit(_put_all, envelopes)] if per_batch else [threads.submit(_put, each) for each in envelopes]
    published = []
    for start in range(0, len(envelopes), _BATCH):
        for audit in audits if per_batch else audits[start : start + _BATCH]:
            audit.result()
        published.append(threads.submit(_publish, envelopes[start : start + _BATCH]))
    for each in published:
        each.result()
    print(to_json({"message": "batch", "records": len(envelopes)}), flush=True)
    return {"batchItemFailures": []}


def _put(envelope: dict[str, Any]) -> None:
    name = f"{envelope['sequenceNumber'].zfill(40)}-{item_hash(envelope['keys'])}.json"
    _put_object(name, to_bytes(envelope), "application/json")


def _put_all(envelopes: list[dict[str, Any]]) -> None:
    lines = b"".join(to_bytes(envelope) + b"\n" for envelope in envelopes)
    name = f"{envelopes[0]['sequenceNumber'].zfill(40)}-{envelopes[-1]['sequenceNumber'].zfill(40)}.ndjson.gz"
    _put_object(name, gzip.compress(lines, compresslevel=6, mtime=0), "application/gzip")


def _put_object(name: str, body: bytes, content_type: str) -> None:
    key = f"audit-logs/2026/01/01/00/{name}"
    s3.put_object(Bucket=os.environ["S3_BUCKET_NAME"], Key=key, Body=body, ContentType=content_type, IfNoneMatch="*")


def _publish(envelopes: list[dict[str, Any]]) -> None:
    entries = [
        {
            "Id": str(number),
            "Message": to_json({"message": f"Item updated in {envelope['table']}", "details": envelope}),
            "Subject": f"DynamoDB Activity: {envelope['eventName']}",
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": envelope[name]} for name in ("eventName", "table")
            },
        }
        for number, envelope in enumerate(envelopes)
    ]
    sns.publish_batch(TopicArn=os.environ["SNS_TOPIC_ARN"], PublishBatchRequestEntries=entries)
