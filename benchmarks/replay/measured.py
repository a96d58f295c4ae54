# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One measurement in a process of its own: ``python -m benchmarks.replay.measured JSON``; its figures go to stdout.

What is around the work that is measured, such as the targets' clients, answers at once.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

_LANES = 8
_MARKER = {"id": "benchmark", "time": "2026-01-31T00:00:00Z"}


class AtOnce:
    """A client that takes everything."""

    def __init__(self) -> None:
        self.calls = 0

    def invoke(self, **_request: Any) -> dict[str, Any]:
        self.calls += 1
        return {"Payload": io.BytesIO(b'{"batchItemFailures":[]}')}

    def batch_write_item(self, **_request: Any) -> dict[str, Any]:
        self.calls += 1
        return {}


class NoJournal:
    """Remembers nothing."""

    def write(self, lane: int, line: dict[str, Any]) -> None:
        return None


def write_log(asked: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.replay import log

    log.write(Path(asked["folder"]), asked["layout"], asked["count"], asked["hours"])
    return {}


def measure(asked: dict[str, Any]) -> dict[str, Any]:
    """Read the log, and send it where there is a target."""
    from replayer.history.reader import Reader
    from replayer.history.store import Store

    from benchmarks.replay.folder import Client
    from benchmarks.replay.log import BEGIN, PREFIX

    store = Store(Client(Path(asked["folder"]), asked.get("get_ms", 0)), "bucket")
    reader = Reader(store, PREFIX)
    wall, cpu = time.perf_counter(), time.process_time()
    changes = reader.changes(BEGIN, BEGIN + timedelta(hours=asked["hours"]))
    found = {"none": _count, "function": _function, "table": _table}[asked["target"]](changes)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if reader.findings.count or found["changes"] != asked["count"]:
        raise SystemExit(f"{found['changes']} changes instead of {asked['count']}: {reader.findings.sentences()[:3]}")
    return {**found, "wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb(), "calls": dict(store.calls)}


def peak_mb() -> float:
    """The most memory that this process had, as the kernel counts it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _count(changes: Iterator[Any]) -> dict[str, Any]:
    return {"changes": sum(1 for _change in changes), "sent": 0}


def _function(changes: Iterator[Any]) -> dict[str, Any]:
    from replayer.history.delivery import Delivery
    from replayer.history.targets import FunctionTarget

    from benchmarks.replay.log import BATCH

    client = AtOnce()
    target = FunctionTarget(client, "consumer", "live", BATCH, _MARKER)
    delivery = Delivery(target, _LANES, NoJournal())
    delivery.run(target.unit(change, change.time[:13].encode() + b" " + change.place) for change in changes)
    return {"changes": sum(delivery.counts.values()), "sent": client.calls}


def _table(changes: Iterator[Any]) -> dict[str, Any]:
    from replayer.history.delivery import Delivery
    from replayer.history.items import Items, Start
    from replayer.history.targets import TableTarget

    items, client = Items(), AtOnce()
    for change in changes:
        items.add_change(change)
    counts = []

    def units() -> Iterator[Any]:
        for item in items.all(Start()):
            counts.append(item.changes)
            if item.state is not None:
                yield target.unit(item)

    target = TableTarget(client, "Copy")
    Delivery(target, _LANES, NoJournal()).run(units())
    return {"changes": sum(counts), "sent": client.calls}


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    print(json.dumps((write_log if request["what"] == "log" else measure)(request)))
