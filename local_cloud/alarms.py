"""What CloudWatch makes of data: the state of an alarm, the metrics of a queue. Pure; local_cloud.patches uses it."""

from __future__ import annotations

import operator
from typing import Any

#: A queue's metrics are told when they change, and as often as this; an empty queue's only for a while.
TELL_SECONDS, QUIET_SECONDS = 10, 15 * 60

COMPARISONS = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def alarm_state(breaches: list[bool | None], needed: int, missing: str) -> str:
    """An alarm's state by its periods, newest first (None: no data); '' when it stays as it is.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    if missing in ("breaching", "notBreaching"):
        breaches = [missing == "breaching" if breach is None else breach for breach in breaches]
    known = [breach for breach in breaches if breach is not None]
    if sum(known) >= needed:
        return "ALARM"
    if not known:
        return "" if missing == "ignore" else "INSUFFICIENT_DATA"
    if not all(known):
        return "OK"
    # Nothing but breaches, and too few: enough once the oldest is as old as the alarm needs.
    return "ALARM" if missing == "missing" and any(breaches[needed - 1 :]) else ""


def queue_metrics(messages: list[dict[str, Any]], now: float) -> dict[str, float]:
    """What SQS says of a queue. A message counts until it is deleted, received or not."""
    visible = sum(message.get("visible_at", 0) <= now for message in messages)
    hidden = sum(message.get("visible_at", 0) > now and message.get("receive_count", 0) > 0 for message in messages)
    sent = [message.get("enqueued_at") or message.get("sent_at") or now for message in messages]
    return {
        "ApproximateNumberOfMessagesVisible": visible,
        "ApproximateNumberOfMessagesNotVisible": hidden,
        "ApproximateAgeOfOldestMessage": int(now - min(sent, default=now)),
    }


class QueueMetrics:
    """Which queues' metrics are due. A queue that was not used lately has none, as on AWS."""

    def __init__(self) -> None:
        #: Of each queue: what was told last and when, and when it last held messages.
        self._told: dict[Any, tuple[list[float], float, float]] = {}

    def due(self, queue: Any, messages: list[dict[str, Any]], now: float) -> dict[str, float]:
        """The queue's metrics, when there is something to tell."""
        counts, at, used = self._told.get(queue, ([], 0.0, 0.0))
        metrics = queue_metrics(messages, now)
        *seen, _age = metrics.values()
        used = now if messages else used
        if now - used > QUIET_SECONDS or (seen == counts and now - at < TELL_SECONDS):
            return {}
        self._told[queue] = (seen, now, used)
        return metrics
