"""Parents are read to their end before their children."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local_cloud.poller.lineage import readable
from local_cloud.poller.model import Saved


def shard(name, parent=None):
    return {"ShardId": name, **({"ParentShardId": parent} if parent else {})}


SHARDS = [shard("a"), shard("b", "a"), shard("c", "a"), shard("d", "b"), shard("e", "gone")]


def test_children_wait_for_their_parents():
    assert readable(SHARDS, {}) == ["a", "e"]
    assert readable(SHARDS, {"a": Saved(checkpoint="9")}) == ["a", "e"]
    assert readable(SHARDS, {"a": Saved(finished=True)}) == ["b", "c", "e"]
    assert readable(SHARDS, {"a": Saved(finished=True), "b": Saved(finished=True)}) == ["c", "d", "e"]


def test_a_parent_that_is_listed_no_more_holds_nothing_up():
    assert readable([shard("b", "a")], {}) == ["b"]


def test_the_order_of_the_description_does_not_matter():
    assert set(readable(SHARDS[::-1], {"a": Saved(finished=True)})) == {"b", "c", "e"}


@given(st.lists(st.integers(0, 9), max_size=10))
def test_every_shard_has_its_turn_after_its_parent(parents):
    shards = [shard(str(index), str(parent) if parent < index else None) for index, parent in enumerate(parents)]
    saved, order = {}, []
    while turn := readable(shards, saved):
        order += turn
        saved |= {name: Saved(finished=True) for name in turn}
    assert sorted(order, key=int) == [each["ShardId"] for each in shards]
    for each in shards:
        if "ParentShardId" in each:
            assert order.index(each["ParentShardId"]) < order.index(each["ShardId"])
