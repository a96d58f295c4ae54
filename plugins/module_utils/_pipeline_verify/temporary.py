# -*- coding: utf-8 -*-
# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run makes for a while: its items, its queue, its subscription; and what killed runs left of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .api import Table, Topic
from .clock import Clock
from .items import Change, Item, item_keys
from .scene import Scene

#: Below this age (seconds) a temporary queue can belong to a run that is still going on.
LEFTOVER_AGE = 3600


@dataclass(frozen=True)
class Identity:
    """What the keys of a run's items follow from. It stands in the tags of the run's queue."""

    table_name: str
    run_id: str
    items: int
    awkward: bool

    @property
    def tags(self) -> dict[str, str]:
        return {
            "cloudcdc-verify-table": self.table_name,
            "cloudcdc-verify-run": self.run_id,
            "cloudcdc-verify-items": str(self.items),
            "cloudcdc-verify-awkward": "true" if self.awkward else "false",
        }

    @classmethod
    def from_tags(cls, tags: dict[str, str]) -> Identity | None:
        run_id, items = tags.get("cloudcdc-verify-run"), tags.get("cloudcdc-verify-items", "")
        if not run_id or not items.isdigit():
            return None
        awkward = tags.get("cloudcdc-verify-awkward") == "true"
        return cls(tags.get("cloudcdc-verify-table", ""), run_id, int(items), awkward)


class Writer:
    """Makes the changes, and knows which items are on the table."""

    def __init__(self, table: Table, run_id: str) -> None:
        self._table, self._run_id = table, run_id
        self._on_table: list[Item] = []

    def write(self, change: Change) -> None:
        item = change.item
        if change.event_name == "INSERT":
            self._on_table.append(item)  # before the call: an answer that was lost does not mean that nothing was done
            self._table.insert(item, self._run_id)
        elif change.event_name == "MODIFY":
            self._table.modify(item, self._run_id)
        else:
            self._table.remove(item.keys, self._run_id)
            self._on_table.remove(item)

    def clean_up(self) -> list[str]:
        """Remove the items that are still there; says which could not be."""
        return [
            problem
            for item in self._on_table
            for problem in _attempt(f"item {item.hash}", lambda item=item: self._table.clear(item.keys, self._run_id))
        ]


class Inbox:
    """The temporary queue of a run and its subscription; without a topic there is none."""

    def __init__(self, topic: Topic | None, queue_arn: str) -> None:
        self._topic, self._arn = topic, queue_arn
        self._url = self._subscription = ""

    def open(self, tags: dict[str, str]) -> None:
        if self._topic:
            self._url = self._topic.create_queue(self._arn, tags)
            self._subscription = self._topic.subscribe(self._arn)

    def receive(self, wait_seconds: int) -> list[dict[str, Any]]:
        """The messages that came, whoever published them."""
        return self._topic.receive(self._url, wait_seconds) if self._topic and self._url else []

    def clean_up(self) -> list[str]:
        """Remove both; says what could not be."""
        return _attempt("the temporary queue with its subscription", self._close)

    def _close(self) -> None:
        if self._topic and self._url:
            arns = [self._subscription] if self._subscription else self._topic.subscriptions(self._arn)
            _remove_queue(self._topic, self._url, arns)


def remove_leftovers(topic: Topic | None, table: Table, scene: Scene, clock: Clock) -> None:
    """Remove what earlier runs of this pipeline left when they were killed: each has a queue that tells of it."""
    for url in topic.queues(scene.queue_prefix) if topic else []:
        clock.check()
        found = topic.queue(url)
        if found is None or clock.utc().timestamp() - found[1] < LEFTOVER_AGE:
            continue
        arn, _made, tags = found
        identity = Identity.from_tags(tags)
        for number in range(identity.items) if identity else []:
            keys = item_keys(scene.stream.key_schema, identity.run_id, number, identity.awkward)
            table.clear(keys, identity.run_id)
        _remove_queue(topic, url, topic.subscriptions(arn))


def _remove_queue(topic: Topic, url: str, subscription_arns: list[str]) -> None:
    """The queue last: while it is there, a later run finds what stayed."""
    for arn in subscription_arns:
        topic.unsubscribe(arn)
    topic.delete_queue(url)


def _attempt(what: str, removal: Callable[[], Any]) -> list[str]:
    try:
        removal()
    except Exception as exc:  # whatever it is, the rest must still be removed
        return [f"{what} could not be removed: {exc}"]
    return []
