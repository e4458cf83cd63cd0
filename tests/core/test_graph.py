"""The task graph: order, cycles, near and far neighbours, weights, selections."""

from __future__ import annotations

from itertools import pairwise

import pytest
from builders import make_dag, make_task
from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.graph import WeightRule, near_hint, sort_tasks
from backfill_cli.errors import CycleError, DefinitionError, NotFoundError

DIAMOND = make_dag(
    make_task("join", after="left right"),
    make_task("right", after="top"),
    make_task("left", after="top"),
    make_task("top"),
)


def test_tasks_are_in_topological_order_and_equals_as_they_were_defined() -> None:
    assert list(DIAMOND.tasks) == ["top", "right", "left", "join"]
    assert DIAMOND.position == {"top": 0, "right": 1, "left": 2, "join": 3}


@given(st.permutations(range(8)), st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_every_task_stands_behind_all_it_follows(order: list[int], edges: set[tuple[int, int]]) -> None:
    tasks = [make_task(str(n), after=[str(low) for low, high in edges if low < high == n]) for n in order]
    place = {task_id: n for n, task_id in enumerate(sort_tasks("d", tasks))}
    assert all(place[str(low)] < place[str(high)] for low, high in edges if low < high)


def test_a_cycle_is_refused_with_its_path_in_the_direction_of_the_arrows() -> None:
    tasks = [make_task("a", after="c"), make_task("b", after="a"), make_task("c", after="b"), make_task("free")]
    with pytest.raises(CycleError) as caught:
        sort_tasks("d", tasks)
    path = caught.value.message.partition("cycle: ")[2].split(" >> ")
    assert path[0] == path[-1] and set(path) == {"a", "b", "c"}
    arrows = {("c", "a"), ("a", "b"), ("b", "c")}
    assert set(pairwise(path)) == arrows
    assert caught.value.exit_code == 3


def test_a_task_that_waits_for_itself_is_a_cycle() -> None:
    with pytest.raises(CycleError, match="a >> a"):
        sort_tasks("d", [make_task("a", after="a")])


def test_an_id_used_twice_is_refused() -> None:
    with pytest.raises(DefinitionError, match="task_id 'a' is used twice") as caught:
        sort_tasks("d", [make_task("a"), make_task("a", where="f.py:3")])
    assert (caught.value.code, caught.value.where) == ("duplicate-task", "f.py:3")


def test_an_edge_to_nowhere_is_refused_with_near_names() -> None:
    with pytest.raises(DefinitionError, match="follows 'exract'") as caught:
        sort_tasks("d", [make_task("extract"), make_task("load", after="exract")])
    assert caught.value.hint == "did you mean 'extract'?"


def test_neighbours_near_and_far() -> None:
    assert DIAMOND.downstream == {"top": ("right", "left"), "right": ("join",), "left": ("join",), "join": ()}
    assert DIAMOND.leaves == {"join"}
    assert DIAMOND.roots == ("top",)
    assert DIAMOND.ancestors("join") == {"top", "left", "right"}
    assert DIAMOND.descendants("top") == {"left", "right", "join"}
    assert DIAMOND.descendants("join") == frozenset()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (WeightRule.DOWNSTREAM, {"top": 15, "left": 9, "right": 10, "join": 8}),
        (WeightRule.UPSTREAM, {"top": 4, "left": 5, "right": 6, "join": 15}),
        (WeightRule.ABSOLUTE, {"top": 4, "left": 1, "right": 2, "join": 8}),
    ],
)
def test_weights_count_every_descendant_or_ancestor_once(rule: WeightRule, expected: dict[str, int]) -> None:
    """Section 6, priority: all distinct descendants; the join of a diamond is not counted twice."""
    own = {"top": 4, "left": 1, "right": 2, "join": 8}
    tasks = [
        make_task(one.task_id, after=one.upstream, priority_weight=own[one.task_id], weight_rule=rule)
        for one in DIAMOND.tasks.values()
    ]
    assert make_dag(*tasks).weights == expected


def test_whether_any_task_waits_on_the_past() -> None:
    assert not DIAMOND.waits_on_past
    assert make_dag(make_task(depends_on_past=True)).waits_on_past
    assert make_dag(make_task(wait_for_downstream=True)).waits_on_past


@pytest.mark.parametrize(
    ("expressions", "chosen"),
    [
        (["left"], "left"),
        (["left+"], "left join"),
        (["+left"], "top left"),
        (["+left+"], "top left join"),
        (["*t"], "left right"),
        (["top", "join"], "top join"),
        ([], ""),
    ],
)
def test_selections(expressions: list[str], chosen: str) -> None:
    assert DIAMOND.select(expressions) == set(chosen.split())


def test_a_selection_of_nothing_names_near_tasks() -> None:
    with pytest.raises(NotFoundError, match="task 'lfet' is not in DAG 'toy'") as caught:
        DIAMOND.select(["lfet+"])
    assert caught.value.hint == "did you mean 'left'?"


def test_a_hint_lists_what_is_known_when_nothing_is_near() -> None:
    assert near_hint("zzz", ["b", "a"]) == "known: a, b"
    assert near_hint("zzz", [str(n) for n in range(20)]).endswith("and 12 more")
    assert near_hint("zzz", [], otherwise="define one") == "define one"


def test_a_part_keeps_the_order_among_its_tasks_through_those_left_out() -> None:
    dag = make_dag(make_task("a"), make_task("b", after="a"), make_task("c", after="b"), make_task("d", after="a"))
    part = dag.part(frozenset({"a", "c"}))
    assert {task_id: set(task.upstream) for task_id, task in part.tasks.items()} == {"a": set(), "c": {"a"}}
    assert (part.dag_id, part.version, part.leaves, part.left_out) == (dag.dag_id, dag.version, {"c"}, {"b", "d"})


def test_all_tasks_are_no_part() -> None:
    dag = make_dag(make_task("a"), make_task("b", after="a"))
    assert dag.part(frozenset({"a", "b"})) is dag
