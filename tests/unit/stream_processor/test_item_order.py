"""Which calls may be made at once: an earlier one of the same item comes first, and nobody waits for nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from stream_processor.order import InOrder

TASKS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3), min_size=1, max_size=12)


@given(TASKS, st.randoms(use_true_random=False))
def test_tasks_of_an_item_go_one_after_the_other_whatever_order_they_end_in(tasks, chance):
    order, running, ended = InOrder(), set(), []
    for number, items in enumerate(tasks):
        if order.add(number, items):
            running.add(number)
    while running:
        assert not any(set(tasks[one]) & set(tasks[two]) for one in running for two in running if one < two)
        number = chance.choice(sorted(running))
        running.discard(number)
        ended.append(number)
        running.update(order.done(number))
    assert sorted(ended) == list(range(len(tasks)))
    for item in "abcd":
        of_item = [number for number in ended if item in tasks[number]]
        assert of_item == sorted(of_item)


@given(TASKS)
def test_a_task_that_shares_no_item_with_an_unfinished_one_may_begin_at_once(tasks):
    order, seen = InOrder(), set()
    for number, items in enumerate(tasks):
        assert order.add(number, items) == (not seen & set(items))
        seen |= set(items)


@given(TASKS)
def test_nothing_is_kept_of_what_is_done(tasks):
    order = InOrder()
    ready = [number for number, items in enumerate(tasks) if order.add(number, items)]
    while ready:
        ready += order.done(ready.pop())
    assert order._lines == order._items == order._blocked == {}
