"""The context of one attempt: `RunFacts`, the plain values that go to a worker, and `Context`, the macros over them.

Owns what an attempt knows about its run and how it asks. Each macro's value is the business of `core/macros.py`; this
module computes it on first use and keeps it, so that `context["logical_date"]` is one object all through an attempt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backfill_cli.core.macros import MACRO_NAMES, MACROS
from backfill_cli.core.xcoms import MISSING, TaskInstanceView, encode_xcom
from backfill_cli.errors import InputError

if TYPE_CHECKING:
    from backfill_cli.core.schedules import Schedule

__all__ = [
    "MISSING",
    "Context",
    "NoContextError",
    "PreviousSuccess",
    "RunFacts",
    "TaskInstanceView",
    "encode_xcom",
    "get_current_context",
    "running_in",
]


class PreviousSuccess(NamedTuple):
    """The latest earlier successful run: its interval in epoch seconds, its start in epoch microseconds."""

    data_interval_start: int
    data_interval_end: int
    start_date_us: int | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """All that the macros may know about one attempt. Pickles whenever its schedule does.

    Args:
        timezone: Name of the DAG's zone, for the `local_*` macros.
        schedule: For `prev_ds` and `next_ds`; None knows no neighbours.
        logical_date: Start of the data interval, epoch seconds; with `data_interval_end` half-open.
        run_type: `backfill`, `scheduled` or `manual`.
        conf: The run's conf, `secret:` references already resolved.
        params: DAG params with the task's laid over them; the conf is laid over both by the macro `params`.
        task_id: Empty where a field of the whole run is rendered.
        max_tries: Retries the task may use; `try_number` counts from 1.
        variables: By name, as text; `connections` by name, as URLs. References already resolved.
        xcoms: task_id → key → JSON text of this dag_run, tasks in the DAG's order.
        dag_start: The DAG's start_date, epoch seconds.
        logical_dates: Of a batch all its dates, ascending, of which `logical_date` is the first and in whose last
            interval `data_interval_end` lies; empty for a date alone.
    """

    dag_id: str
    timezone: str
    schedule: Schedule | None
    logical_date: int
    data_interval_end: int
    run_id: str
    run_type: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    task_id: str = ""
    try_number: int = 1
    max_tries: int = 0
    previous_success: PreviousSuccess | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    connections: Mapping[str, str] = field(default_factory=dict)
    xcoms: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    dag_start: int | None = None
    logical_dates: tuple[int, ...] = ()

    @property
    def last_date(self) -> int:
        """The last date it works on."""
        return self.logical_dates[-1] if self.logical_dates else self.logical_date


class Context(Mapping[str, Any]):
    """The macros of one attempt by name, as mapping and as attributes. Read-only; each is computed on first use.

    Raises:
        KeyError: (or AttributeError) for a name that is no macro.
    """

    __slots__ = ("_facts", "_values")
    _facts: RunFacts
    _values: dict[str, Any]

    def __init__(self, facts: RunFacts, *, ti: TaskInstanceView | None = None) -> None:
        object.__setattr__(self, "_facts", facts)
        object.__setattr__(self, "_values", {} if ti is None else {"ti": ti, "task_instance": ti})

    def also(self, **values: Any) -> Context:
        """The same context with a few values more, by name: what a callback is told besides the macros."""
        other = Context(self._facts)
        other._values.update(self._values, **values)
        return other

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            pass
        if name in ("ti", "task_instance"):
            view = TaskInstanceView(self._facts)
            self._values.update(ti=view, task_instance=view)
            return view
        value = self._values[name] = MACROS[name](self._facts)
        return value

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the context has no macro '{name}'")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("the context is read-only; hand values on with ti.xcom_push")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("the context is read-only")

    def __contains__(self, name: object) -> bool:
        return name in MACRO_NAMES or name in self._values

    def __iter__(self) -> Iterator[str]:
        yield from _NAMES_IN_ORDER
        yield from (name for name in self._values if name not in MACRO_NAMES)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Context of {self._facts.dag_id}.{self._facts.task_id} {self._facts.run_id}>"


_NAMES_IN_ORDER = (*MACROS, *sorted(MACRO_NAMES - MACROS.keys()))


class NoContextError(InputError, RuntimeError):
    """`get_current_context()` was called where no task is running."""

    kind = "no-context"


_current: ContextVar[Context] = ContextVar("bfill_context")


def get_current_context() -> Context:
    """The Context of the task that is running in this thread.

    Raises:
        NoContextError: No task is: a DAG file's top level, or a thread the task has started itself.
    """
    try:
        return _current.get()
    except LookupError:
        raise NoContextError(
            "get_current_context() was called where no task is running",
            hint="call it inside a task's function; into a thread of your own hand the context as an argument",
        ) from None


@contextmanager
def running_in(context: Context) -> Iterator[Context]:
    """Makes `context` the current one for this thread (or asyncio task), and the former one again at the end."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
