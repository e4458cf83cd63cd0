"""Semantics section 6, priority and pools: the slots themselves; how the machine uses them is in test_machine.py."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.pools import DEFAULT_POOL, DEFAULT_POOL_SLOTS, UNLIMITED, Demand, Pools, Ready, pool_sizes


def ready(name: str, *, weight: int = 1, date: int = 0, place: int = 0, slots: int = 1, pool: str = "p") -> Ready:
    return Ready(-weight, date, place, name, slots, pool)


def names(pools: Pools, capacity: int = 100, may_go: Callable[[Ready], bool] = lambda _: True) -> list[str]:
    return [one.task_id for one in pools.take(capacity, may_go)]


def filled(sizes: dict[str, int], *waiting: Ready) -> Pools:
    pools = Pools(sizes)
    for one in waiting:
        pools.add(one)
    return pools


def test_the_default_pool_has_128_slots() -> None:
    """Section 6."""
    assert (DEFAULT_POOL, DEFAULT_POOL_SLOTS) == ("default_pool", 128)


def test_order_is_weight_then_date_then_place() -> None:
    """Section 6, priority."""
    pools = filled(
        {"p": UNLIMITED},
        ready("d", date=1),
        ready("c", place=1),
        ready("b"),
        ready("a", weight=2, date=9),
    )
    assert names(pools) == ["a", "b", "c", "d"]


def test_what_is_given_back_is_free_again() -> None:
    pools = filled({"p": 1}, ready("a"), ready("b", place=1))
    assert names(pools) == ["a"]
    assert (pools.free("p"), pools.waiting()) == (0, {"p": 1})
    pools.give_back("a", "p", 1)
    assert names(pools) == ["b"]
    assert pools.waiting() == {}


def test_a_full_pool_is_passed_over_and_others_go_on() -> None:
    """Section 6, pools."""
    pools = filled({"p": 0, "q": 1}, ready("a", weight=9), ready("b", pool="q"))
    assert names(pools) == ["b"]


def test_a_task_that_needs_more_than_is_free_is_passed_over_and_keeps_its_place() -> None:
    """Section 6, pools."""
    pools = filled({"p": 2}, ready("big", weight=9, slots=3), ready("one"), ready("two", place=1))
    assert names(pools) == ["one", "two"]
    assert pools.waiting() == {"p": 1}


def test_minus_one_is_unlimited() -> None:
    """Section 6, pools."""
    pools = filled({"p": UNLIMITED}, *(ready(str(n), place=n, slots=1_000) for n in range(5)))
    assert len(names(pools)) == 5
    assert pools.free("p") == float("inf")


def test_what_may_not_go_leaves_the_heap_and_takes_nothing() -> None:
    pools = filled({"p": 5}, ready("a"), ready("b", place=1))
    assert names(pools, may_go=lambda one: one.task_id == "b") == ["b"]
    assert (pools.taken["p"], pools.waiting()) == (1, {})


def test_no_more_than_the_capacity() -> None:
    pools = filled({"p": UNLIMITED}, *(ready(str(n), place=n) for n in range(5)))
    assert names(pools, capacity=2) == ["0", "1"]
    assert names(pools, capacity=0) == []


TASKS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("pq"), st.integers(1, 4)), max_size=30)


@given(TASKS, st.integers(0, 6), st.integers(0, 30))
def test_what_goes_is_what_walking_all_in_order_of_priority_would_let_go(
    tasks: list[tuple[int, str, int]], size: int, capacity: int
) -> None:
    """Against the plain way: sort everything, take each that fits."""
    waiting = [ready(str(n), weight=w, place=n, slots=s, pool=p) for n, (w, p, s) in enumerate(tasks)]
    free = {"p": size, "q": 4}
    expected: list[str] = []
    for one in sorted(waiting):
        if one.slots <= free[one.pool] and len(expected) < capacity:
            free[one.pool] -= one.slots
            expected.append(one.task_id)
    assert names(filled({"p": size, "q": 4}, *waiting), capacity) == expected


# what is asked for, when processes share


def test_demand_is_what_ready_tasks_could_use_and_waiting_are_those_the_pool_keeps_from_starting() -> None:
    pools = filled({"p": 3, "q": 9}, ready("a", slots=2), ready("b", place=1, slots=2), ready("c", pool="q"))
    assert pools.demand("p") == Demand(used=0, more=4, least=2, waiting=0)
    assert names(pools) == ["a", "c"]
    assert pools.demand("p") == Demand(used=2, more=2, least=2, waiting=1)
    assert pools.demand("q") == Demand(used=1, more=0, least=0, waiting=0)


def test_who_is_at_the_limit_of_its_task_asks_for_that_first_and_not_for_its_pool() -> None:
    pools = Pools({"p": 9})
    pools.set_gate("a", "dag:a", 1)
    for date in range(4):
        pools.add(ready("a", date=date, slots=3))
    pools.grant("dag:a", 1, 0)
    assert pools.demand("dag:a") == Demand(used=0, more=4, least=1, waiting=4)
    assert pools.demand("p") == Demand(used=0, more=0, least=0, waiting=0)
    pools.grant("dag:a", 1, 1)
    assert pools.demand("p") == Demand(used=0, more=3, least=3, waiting=0)
    assert names(pools) == ["a"]
    assert (pools.taken["p"], pools.taken["dag:a"]) == (3, 1)
    assert pools.lacks(("p", 3, "a")) == ("dag:a", 1)
    pools.give_back("a", "p", 3)
    assert (pools.taken["p"], pools.taken["dag:a"]) == (0, 0)


def test_the_store_goes_before_the_settings_and_they_before_what_is_built_in() -> None:
    found = pool_sizes({"a": 1, "b": 2}, {"b": 7, "c": 3, "default_pool": 5})
    assert {name: tuple(one) for name, one in found.items()} == {
        "default_pool": (5, "bfill.toml"),
        "a": (1, "store"),
        "b": (2, "store"),
        "c": (3, "bfill.toml"),
    }
    assert pool_sizes({}, {}) == {"default_pool": (128, "built in")}
