"""What every operator is: its options, its place in a DAG, its edges.

Owns how a task takes its arguments (its own, then its group's and DAG's `default_args`) and how it is put into its DAG.
The built-in kinds are in `loader/operators.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from backfill_cli.core.work import PythonWork, Work
from backfill_cli.errors import DefinitionError
from backfill_cli.loader import scopes
from backfill_cli.loader.authoring import DAG, TaskGroup
from backfill_cli.loader.options import TASK_OPTIONS, WITHOUT_EFFECT, Owner, check_id, checked_options
from backfill_cli.loader.places import caller
from backfill_cli.loader.wiring import Node, XComArg, frozen, results_in


class _OperatorType(type):
    """Fills an operator's own parameters from `default_args`, and draws the edges its arguments imply."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        dag, group = scopes.current(kwargs.get("dag"))
        scope: DAG | TaskGroup | None = kwargs.get("task_group") or group or dag
        if scope is not None:
            own = parameters_of(cls)
            kwargs = {name: value for name, value in scope.default_args.items() if name in own} | kwargs
        operator = super().__call__(*args, **kwargs)
        for name in operator.template_fields:
            for result in results_in(getattr(operator, name, None)):
                operator.set_upstream(result)
        return operator


def parameters_of(kind: type) -> frozenset[str]:
    """Return the names of the parameters a class and its bases take, task options and bfill's own left out."""
    names: set[str] = set()
    for base in kind.__mro__:
        init = base.__dict__.get("__init__")
        code = getattr(init, "__code__", None)
        if code is not None and base is not BaseOperator:
            names.update(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    return frozenset(names - {"self", "task_id", "dag", "task_group"})


class BaseOperator(Node, metaclass=_OperatorType):
    """What every task has. Derive from it, set attributes in `__init__`, and do the work in `execute(self, context)`.

    Args:
        task_id: Unique in its DAG; letters, digits, `-`, `_` and `.`.
        dag, task_group: Where it belongs; by default the open `with` block.
        options: The task options of contract section 2, checked in `loader/options.py`.

    Raises:
        DefinitionError: No DAG, an unknown option (the hint names the nearest) or an impossible value.
    """

    template_fields: ClassVar[Sequence[str]] = ()
    """Attributes whose templates are rendered, and whose task results replaced, before `execute` sees them."""

    def __init__(
        self, task_id: str, *, dag: DAG | None = None, task_group: TaskGroup | None = None, **options: Any
    ) -> None:
        self.place = caller()
        where = str(self.place)
        check_id("task_id", task_id, where)
        self.dag, self.task_group = scopes.home_of(f"task '{task_id}'", dag, task_group, where)
        self.task_id = self.task_group.name_of(task_id) if self.task_group else task_id
        defaults = self.task_group.default_args if self.task_group else self.dag.default_args
        inherited = {name: value for name, value in defaults.items() if name in TASK_OPTIONS}
        vars(self).update(checked_options(self.owner, {**inherited, **options}, parameters_of(type(self))))
        self.without_effect = [
            name for name in (*defaults, *options) if (defaults | options).get(name) and name in WITHOUT_EFFECT
        ]
        self.above: list[BaseOperator] = []
        self.dag.add_task(self)
        if self.task_group:
            self.task_group.members.append(self)

    def execute(self, context: Any) -> Any:
        """Do the work; what comes back is pushed as an XCom. Only operators of users' own have one."""
        raise NotImplementedError(f"{type(self).__name__} runs by its definition; it has no execute to call")

    @property
    def owner(self) -> Owner:
        """What messages call it."""
        return Owner(f"task '{self.task_id}'", str(self.place))

    @property
    def output(self) -> XComArg:
        """A handle on its result, to pass to other tasks."""
        return XComArg(self)

    @property
    def upstream_task_ids(self) -> set[str]:
        """Ids of the tasks directly before it."""
        return {one.task_id for one in self.above}

    @property
    def downstream_task_ids(self) -> set[str]:
        """Ids of the tasks directly behind it."""
        return {one.task_id for one in self.dag.tasks if self in one.above}

    def first_tasks(self) -> list[BaseOperator]:
        return [self]

    def last_tasks(self) -> list[BaseOperator]:
        return [self]

    def follow(self, other: BaseOperator) -> None:
        """Wait for `other`. Raises DefinitionError when it belongs to another DAG."""
        if other.dag is not self.dag:
            raise DefinitionError(
                f"task '{self.task_id}' of DAG '{self.dag.dag_id}' cannot follow task '{other.task_id}' "
                f"of DAG '{other.dag.dag_id}'",
                hint="edges stay inside one DAG",
                code="two-dags",
                where=str(caller()),
            )
        if other not in self.above:
            self.above.append(other)
            self.dag.changed()

    def to_work(self) -> Work:
        """Return what the task does. A class with its own `execute` does that, whatever it derives from."""
        if type(self).execute is BaseOperator.execute:
            return self.define()
        return PythonWork(
            OperatorCall(self),
            kwargs={"fields": {name: frozen(getattr(self, name, None)) for name in self.template_fields}},
            macros=("context",),
        )

    def define(self) -> Work:
        """The work of a kind that runs by definition."""
        raise DefinitionError(
            f"{self.owner.label}: {type(self).__name__} does nothing",
            hint="give the class a method execute(self, context)",
            code="no-execute",
            where=self.owner.where,
        )

    def __repr__(self) -> str:
        return f"<Task({type(self).__name__}): {self.task_id}>"


class OperatorCall:
    """Calls `execute` of an operator, on a copy: rendered fields belong to one try, and tries run in parallel."""

    def __init__(self, operator: BaseOperator) -> None:
        self.operator = operator
        self.__name__ = f"{type(operator).__name__}.execute"

    def __call__(self, context: Any, fields: Mapping[str, Any]) -> Any:
        operator = copy.copy(self.operator)
        vars(operator).update(fields)
        return operator.execute(context)

    def digest_parts(self) -> list[Any]:
        """What makes it another version: the class, and what its author set on it."""
        own = {name: value for name, value in vars(self.operator).items() if name not in _OF_BFILL}
        return [type(self.operator), own]


_OF_BFILL = frozenset({*TASK_OPTIONS, "above", "dag", "place", "task_group", "task_id", "without_effect"})
