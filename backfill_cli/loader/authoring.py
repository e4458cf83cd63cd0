"""What a DAG file writes: `DAG`, `TaskGroup`, and the edges between tasks.

Owns the mutable objects of the author; which one is open is kept in `loader/scopes.py`. They remember and check
single values; `loader/compiling.py` checks the whole and makes the frozen `core.graph.Dag`, on which all else relies.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, tzinfo
from types import TracebackType
from typing import TYPE_CHECKING, Any

from backfill_cli.errors import DefinitionError, NotFoundError
from backfill_cli.loader import scopes
from backfill_cli.loader.options import (
    WITHOUT_EFFECT,
    Option,
    Owner,
    check_id,
    convert_option,
    flag,
    limit,
    mapping,
    merging,
    or_none,
    whole,
)
from backfill_cli.loader.options import callbacks as callback_list
from backfill_cli.loader.places import caller, home_file
from backfill_cli.loader.wiring import Node, chain, cross_downstream

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.loader.operators import BaseOperator

__all__ = ["DAG", "TaskGroup", "chain", "cross_downstream"]

_INERT = frozenset(
    {
        "access_control", "auto_register", "dag_display_name", "default_view", "doc_md", "is_paused_upon_creation",
        "orientation", "owner_links", "sla_miss_callback",
    }
)  # fmt: skip
"""Airflow's arguments about its user interface: accepted, because DAG files carry over, and unused; what an author
would wait for gets a note (`WITHOUT_EFFECT`)."""

_INSTEAD = {
    "concurrency": "it is called max_active_tasks",
    "timetable": "give the object as schedule=",
    "fail_fast": "stop at the first failure with: bfill run --fail-fast",
    "fail_stop": "stop at the first failure with: bfill run --fail-fast",
    "user_defined_macros": "compute the value in a @task and pass its result on",
    "user_defined_filters": "compute the value in a @task and pass its result on",
    "template_searchpath": "write the path of the file relative to the DAG file",
    "render_template_as_native_obj": "Python tasks get typed values by naming their parameters after macros",
}

_OPTIONS = {
    "catchup": Option(False, flag),
    "max_active_runs": Option(16, whole(1)),
    "max_active_tasks": Option(16, whole(1)),
    "dagrun_timeout": Option(None, or_none(limit)),
    "batch_intervals": Option(False, merging),
    "strict_templates": Option(False, flag),
    "default_args": Option({}, mapping),
    "params": Option({}, mapping),
    "on_success_callback": Option((), callback_list),
    "on_failure_callback": Option((), callback_list),
}


MAX_TASKS = 20_000
"""Tasks of one DAG. Every open dag_run holds an instance of each in memory."""


class DAG:
    """Tasks, their order and their schedule. Names and meaning follow Airflow 2's `DAG`.

    Args:
        dag_id: Its name; history belongs to it.
        schedule: Cron (5 fields) or preset, timedelta, `@once`, None, or an object with the Schedule protocol.
        start_date, end_date: Bounds on logical dates, both included: date, datetime or ISO text. Without a zone they
            are wall time in the DAG's zone; a date as `end_date` includes its whole day.
        timezone: IANA name or tzinfo; without it the zone of an aware `start_date`, else the setting `timezone`.
        catchup: Whether the scheduler creates every missed run, or the latest alone.
        max_active_runs, max_active_tasks: dag_runs open together; tasks of one dag_run at once.
        default_args: Options for every task that does not set them itself; `start_date`, `end_date` count for the DAG.
        params: Values for `params.KEY`; a task's own and the run's conf go before them.
        dagrun_timeout: A run may take this long (timedelta or seconds).
        batch_intervals: Consecutive dates of a backfill run as one, over the whole interval: True, the dates of a
            `--chunk`; a number of dates; or days such as `7d`. The ledger stays by date.
        on_success_callback, on_failure_callback: A function of the context, or a list of them; once a dag_run.
        strict_templates: Refuse undefined names in templates before anything runs.
        schedule_interval: Airflow's older name of `schedule`.

    Raises:
        DefinitionError: An argument is unknown (the hint names the nearest) or has an impossible value.
    """

    def __init__(
        self,
        dag_id: str,
        *,
        schedule: Any = None,
        start_date: date | datetime | str | None = None,
        end_date: date | datetime | str | None = None,
        timezone: str | tzinfo | None = None,
        catchup: bool = False,
        max_active_runs: int = 16,
        max_active_tasks: int = 16,
        default_args: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        tags: list[str] | tuple[str, ...] | set[str] | None = None,
        description: str | None = None,
        dagrun_timeout: timedelta | float | None = None,
        batch_intervals: bool | int | str | None = False,
        on_success_callback: Any = None,
        on_failure_callback: Any = None,
        strict_templates: bool = False,
        **others: Any,
    ) -> None:
        self.place = caller()
        # While a file is loaded, a factory's DAG belongs to that file; in a program, to the file that makes it.
        self.home = home_file() if scopes.created(self) else self.place.file
        self.dag_id = check_id("dag_id", dag_id, str(self.place))
        self.schedule = others.pop("schedule_interval", None) if schedule is None else schedule
        self._refuse_unknown(others)
        self.without_effect = [name for name, value in others.items() if value and name in WITHOUT_EFFECT]
        self.default_args: dict[str, Any] = self._checked("default_args", default_args)
        self.start_date = self.default_args.get("start_date") if start_date is None else start_date
        self.end_date = self.default_args.get("end_date") if end_date is None else end_date
        self.timezone = timezone
        self.catchup: bool = self._checked("catchup", catchup)
        self.max_active_runs: int = self._checked("max_active_runs", max_active_runs)
        self.max_active_tasks: int = self._checked("max_active_tasks", max_active_tasks)
        self.params: dict[str, Any] = self._checked("params", params)
        self.tags = tuple(str(tag) for tag in tags or ())
        self.description = description or ""
        self.dagrun_timeout_s: float | None = self._checked("dagrun_timeout", dagrun_timeout)
        self.batch_intervals: str | None = self._checked("batch_intervals", batch_intervals)
        self.on_success_callback = self._checked("on_success_callback", on_success_callback)
        self.on_failure_callback = self._checked("on_failure_callback", on_failure_callback)
        self.strict_templates: bool = self._checked("strict_templates", strict_templates)
        self.tasks: list[BaseOperator] = []
        self.groups: dict[str, TaskGroup] = {}
        self._compiled: dict[str, Dag] = {}

    def __enter__(self) -> DAG:
        scopes.enter(self, None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        scopes.leave()

    def __repr__(self) -> str:
        return f"<DAG: {self.dag_id}>"

    @property
    def task_ids(self) -> list[str]:
        """Ids of its tasks in the order of their definition."""
        return [one.task_id for one in self.tasks]

    def get_task(self, task_id: str) -> BaseOperator:
        """Return the task of that id. Raises NotFoundError with near ids."""
        from backfill_cli.core.graph import near_hint

        for one in self.tasks:
            if one.task_id == task_id:
                return one
        raise NotFoundError(
            f"task '{task_id}' is not in DAG '{self.dag_id}'",
            hint=near_hint(task_id, self.task_ids),
            code="unknown-task",
        )

    def add_task(self, task: BaseOperator) -> None:
        """Take a task in. Ids are compared when the DAG is compiled, where all of them are known.

        Raises:
            DefinitionError: There are too many: a loop that was meant to run over the dates, most likely.
        """
        if len(self.tasks) >= MAX_TASKS:
            raise DefinitionError(
                f"DAG '{self.dag_id}' has more than {MAX_TASKS:,} tasks",
                hint="one task handles many rows or files; what differs by date needs one task and many runs",
                code="too-many-tasks",
                where=str(caller()),
            )
        self.tasks.append(task)
        self.changed()

    def changed(self) -> None:
        """Forget what was compiled: a task or an edge was added."""
        self._compiled.clear()

    def compile(self, *, timezone: str = "UTC") -> Dag:
        """Return the frozen, checked DAG; the same object until something changes.

        Args:
            timezone: The zone of a DAG that names none (the setting `timezone`).

        Raises:
            DefinitionError, ScheduleError, CycleError: Something is wrong; `where` says at which line.
        """
        if timezone not in self._compiled:
            from backfill_cli.loader.compiling import compile_dag

            self._compiled[timezone] = compile_dag(self, timezone)
        return self._compiled[timezone]

    def _checked(self, name: str, value: Any) -> Any:
        return convert_option(self._owner, name, value, _OPTIONS[name])

    @property
    def _owner(self) -> Owner:
        return Owner(f"DAG '{self.dag_id}'", str(self.place))

    def _refuse_unknown(self, others: Mapping[str, Any]) -> None:
        for name in others:
            if name not in _INERT:
                from inspect import signature

                from backfill_cli.core.graph import near_hint

                known = [one for one in signature(DAG).parameters if one not in ("dag_id", "others")]
                raise DefinitionError(
                    f"DAG '{self.dag_id}' has no argument '{name}'",
                    hint=_INSTEAD.get(name) or near_hint(name, known),
                    code="unknown-option",
                    where=str(self.place),
                )


class TaskGroup(Node):
    """Tasks that are ordered and named together: `group >> report` waits for the group's last tasks.

    Args:
        group_id: Its name; unique in the DAG.
        prefix_group_id: Put `group_id.` in front of the ids of its tasks.
        parent_group, dag: Where it belongs; by default the open `with` block.
        default_args: Options for its tasks, before the DAG's.
        tooltip: For readers.
    """

    def __init__(
        self,
        group_id: str,
        *,
        prefix_group_id: bool = True,
        parent_group: TaskGroup | None = None,
        dag: DAG | None = None,
        default_args: Mapping[str, Any] | None = None,
        tooltip: str = "",
        ui_color: str = "",
        ui_fgcolor: str = "",
    ) -> None:
        self.place = caller()
        where = str(self.place)
        check_id("group_id", group_id, where)
        self.dag: DAG
        self.dag, self.parent = scopes.home_of(f"task group '{group_id}'", dag, parent_group, where)
        self.group_id = self.parent.name_of(group_id) if self.parent else group_id
        self.prefix_group_id = prefix_group_id
        self.tooltip = tooltip
        inherited = self.parent.default_args if self.parent else self.dag.default_args
        self.default_args: dict[str, Any] = {**inherited, **(default_args or {})}
        self.members: list[BaseOperator | TaskGroup] = []
        if self.group_id in self.dag.groups:
            raise DefinitionError(
                f"group_id '{self.group_id}' is used twice in DAG '{self.dag.dag_id}'",
                hint="give each task group its own group_id",
                code="duplicate-task",
                where=where,
            )
        self.dag.groups[self.group_id] = self
        if self.parent:
            self.parent.members.append(self)

    def __enter__(self) -> TaskGroup:
        scopes.enter(self.dag, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        scopes.leave()

    def __repr__(self) -> str:
        return f"<TaskGroup: {self.group_id}>"

    def name_of(self, name: str) -> str:
        """The id of a task or group of that name inside this one."""
        return f"{self.group_id}.{name}" if self.prefix_group_id else name

    def every_task(self) -> list[BaseOperator]:
        """Its tasks and those of the groups inside, in the order of their definition."""
        return [
            task
            for member in self.members
            for task in (member.every_task() if isinstance(member, TaskGroup) else [member])
        ]

    def first_tasks(self) -> list[BaseOperator]:
        inside = self._tasks_to_order()
        ids = {id(task) for task in inside}
        return [task for task in inside if not any(id(above) in ids for above in task.above)]

    def last_tasks(self) -> list[BaseOperator]:
        inside = self._tasks_to_order()
        followed = {id(above) for task in inside for above in task.above}
        return [task for task in inside if id(task) not in followed]

    def _tasks_to_order(self) -> list[BaseOperator]:
        inside = self.every_task()
        if not inside:
            raise DefinitionError(
                f"task group '{self.group_id}' is ordered before it has tasks",
                hint="write the edges of a group after its `with` block",
                code="empty-group",
                where=str(caller()),
            )
        return inside
