# Copyright: cloudcdc maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of a replay in parts, and the end of what lay between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .request import Request
from .room import WORKERS, Room
from .sending import MOST_TOLD


def collect(room: Room, request: Request) -> dict[str, Any]:
    """Sum up what became of it, in result.json."""
    planned, log = room.read_json("plan.json"), room.read_json("log.json")
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    failing: list[dict[str, Any]] = []
    names = [f"results/{partition:05d}.json" for partition in range(planned["partitions"])]
    missing = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for partition, told in enumerate(pool.map(room.read_json, names)):
            if told is None:
                missing.append(partition)
                continue
            counts.update(told["counts"])
            totals.update(
                {name: told[name] for name in ("bytes", "failing_count", "held", "duplicates", "conflicting")}
            )
            failing += told["failing"][: MOST_TOLD - len(failing)]
    complete = (
        not missing and not totals["failing_count"] and not totals["conflicting"] and not log["findings"]["count"]
    )
    result = {
        "schema": "cloudcdc.replay-result/1",
        "id": request.id,
        "complete": complete,
        "from": f"{request.start:%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{request.end:%Y-%m-%dT%H:%M:%SZ}",
        "slices": planned["slices"],
        "partitions": planned["partitions"],
        "unfinished_partitions": missing,
        "selected": log["selected"],
        "objects": log["objects"],
        "sent": dict(counts),
        "bytes": totals["bytes"],
        "failing": failing,
        "failing_count": totals["failing_count"],
        "held_back": totals["held"],
        "duplicates": totals["duplicates"],
        "findings": {**log["findings"], "conflicting_copies": totals["conflicting"]},
    }
    room.put_json("result.json", result)
    return {"complete": complete, "sent": sum(counts.values()), "failing": totals["failing_count"]}


def clean(room: Room, remaining: Callable[[], float]) -> dict[str, Any]:
    """Remove what lay between. The request and the result stay."""
    return {"done": room.remove(("split/", "lanes/", "results/", "slices/"), remaining)}
