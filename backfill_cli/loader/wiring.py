"""How users draw edges: `>>`, `<<`, lists, `chain`, `cross_downstream`, and handles on results.

Owns `Node`, what operators, results and task groups have in common, and `XComArg`, the handle a task's result is
before the task has run. What a node stands for (one task, or a group's first and last ones) is the node's own answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from backfill_cli.core.work import XComRef
from backfill_cli.errors import DefinitionError
from backfill_cli.loader.places import caller

if TYPE_CHECKING:
    from backfill_cli.loader.operators import BaseOperator

Nodes: TypeAlias = "Node | Sequence[Node]"


class Node:
    """Something that can stand at either end of `>>`."""

    def first_tasks(self) -> list[BaseOperator]:
        """The tasks an edge into this node leads to."""
        raise NotImplementedError

    def last_tasks(self) -> list[BaseOperator]:
        """The tasks an edge out of this node comes from."""
        raise NotImplementedError

    def set_downstream(self, others: Nodes) -> None:
        """Make `others` wait for this."""
        for other in as_nodes(others):
            link(self, other)

    def set_upstream(self, others: Nodes) -> None:
        """Make this wait for `others`."""
        for other in as_nodes(others):
            link(other, self)

    def __rshift__(self, others: Nodes) -> Nodes:
        self.set_downstream(others)
        return others

    def __lshift__(self, others: Nodes) -> Nodes:
        self.set_upstream(others)
        return others

    def __rrshift__(self, others: Nodes) -> Node:
        self.set_upstream(others)
        return self

    def __rlshift__(self, others: Nodes) -> Node:
        self.set_downstream(others)
        return self


class XComArg(Node):
    """The result of a task, before it exists. Passing it to another task makes the edge and hands over the value.

    `result["key"]` and `result[0]` name a part of it. In text it stands for the template that pulls it.
    """

    def __init__(self, operator: BaseOperator, key: str = "return_value", path: tuple[str | int, ...] = ()) -> None:
        self.operator = operator
        self.key = key
        self.path = path

    @property
    def ref(self) -> XComRef:
        """The frozen form that goes into the task's definition."""
        return XComRef(self.operator.task_id, self.key, self.path)

    def first_tasks(self) -> list[BaseOperator]:
        return [self.operator]

    def last_tasks(self) -> list[BaseOperator]:
        return [self.operator]

    def __getitem__(self, item: str | int) -> XComArg:
        return XComArg(self.operator, self.key, (*self.path, item))

    def __iter__(self) -> Iterator[Any]:
        # Without this, Python would iterate by __getitem__ for ever.
        raise self._unknown_yet("be iterated over")

    def __bool__(self) -> bool:
        raise self._unknown_yet("be tested for truth")

    def __str__(self) -> str:
        return str(self.ref)

    def __repr__(self) -> str:
        return f"<result of task {self.operator.task_id}>"

    def _unknown_yet(self, action: str) -> DefinitionError:
        return DefinitionError(
            f"the result of task '{self.operator.task_id}' cannot {action} while the DAG is defined",
            hint="pass it to another task and look at the value there; a choice between tasks is @task.branch",
            code="result-unknown",
            where=str(caller()),
        )


def as_nodes(value: Any) -> list[Node]:
    """Return the nodes of one node or of a (nested) list, tuple or set of them; None is none.

    Raises:
        DefinitionError: Something else stands there.
    """
    if isinstance(value, Node):
        return [value]
    if value is None:
        return []
    if isinstance(value, (list, tuple, set, frozenset)):
        return [node for one in value for node in as_nodes(one)]
    shown = getattr(value, "__name__", None) or repr(value)
    hint = f"call it: {shown}()" if callable(value) else "edges join tasks, task groups, results and lists of them"
    raise DefinitionError(f"{shown} is not a task", hint=hint, code="not-a-task", where=str(caller()))


def link(above: Node, below: Node) -> None:
    """Make every first task of `below` wait for every last task of `above`."""
    last, first = above.last_tasks(), below.first_tasks()
    for one in first:
        for other in last:
            one.follow(other)


def chain(*steps: Nodes | None) -> None:
    """Order the steps one after the other; two neighbouring lists are joined pair by pair, as in Airflow.

    Raises:
        DefinitionError: Two neighbouring lists differ in length.
    """
    present = [step for step in steps if step is not None]
    for above, below in pairwise(present):
        if not isinstance(above, Node) and not isinstance(below, Node):
            if len(above) != len(below):
                raise DefinitionError(
                    f"chain joins lists pair by pair, but they have {len(above)} and {len(below)} tasks",
                    hint="make them equally long, or use cross_downstream(first, second) for every pair",
                    where=str(caller()),
                )
            for one, other in zip(above, below, strict=True):
                link(one, other)
        else:
            for one in as_nodes(above):
                one.set_downstream(below)


def cross_downstream(above: Nodes, below: Nodes) -> None:
    """Make every task of `below` wait for every task of `above`."""
    for one in as_nodes(above):
        one.set_downstream(below)


def results_in(value: Any) -> Iterable[XComArg]:
    """Yield every task result inside a value, through lists, tuples, sets and dicts."""
    if isinstance(value, XComArg):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from results_in(one)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from results_in(one)


def frozen(value: Any) -> Any:
    """Return the value with each task result replaced by its `XComRef`; containers are copied."""
    if isinstance(value, XComArg):
        return value.ref
    if isinstance(value, dict):
        return {key: frozen(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(frozen(one) for one in value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(frozen(one) for one in value)
    return value


def as_text(value: Any) -> Any:
    """Return a task result as the template that pulls it, anything else as it is."""
    return str(value) if isinstance(value, XComArg) else value
