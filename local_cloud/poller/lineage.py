"""Which shards may be read: parents before their children. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .model import Saved


def readable(shards: Sequence[Mapping[str, Any]], saved_by_shard: Mapping[str, Saved]) -> list[str]:
    """The shards of DescribeStream to read now, in its order.

    A parent that the stream no longer lists has no records left, so nothing waits for it.
    """
    listed = {shard["ShardId"] for shard in shards}
    finished = {shard_id for shard_id, saved in saved_by_shard.items() if saved.finished}
    return [
        shard["ShardId"]
        for shard in shards
        if shard["ShardId"] not in finished and shard.get("ParentShardId") not in listed - finished
    ]
