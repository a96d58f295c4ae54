# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How much an SQS queue holds. SQS only ever says so approximately, so an empty answer is asked for again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .aws import AnsibleAWSError, aws_errors, error_code

#: Visible, in flight and delayed: a message is in one of them.
#: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")


def queue_info(
    sqs: Any,
    name: str,
    watch: float,
    pause: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The queue's URL and how many messages it holds; looks on for ``watch`` seconds while it seems to hold none."""
    end = clock() + watch
    try:
        url = _url(sqs, name)
        while True:
            messages = sum(int(count) for count in _counts(sqs, url).values())
            left = end - clock()
            if messages or left <= 0:
                return {"exists": True, "queue_url": url, "messages": messages}
            sleep(min(pause, left))
    except AnsibleAWSError as exc:
        if error_code(exc) not in _MISSING:
            raise
        return {"exists": False, "queue_url": None, "messages": 0}


@aws_errors("find the queue")
def _url(sqs: Any, name: str) -> str:
    return sqs.get_queue_url(QueueName=name, aws_retry=True)["QueueUrl"]


@aws_errors("read how much the queue holds")
def _counts(sqs: Any, url: str) -> dict[str, str]:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(COUNTS), aws_retry=True)["Attributes"]
