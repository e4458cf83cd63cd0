"""The options a task can have: names as in Airflow, one row each, and how a user's value becomes a checked one.

Owns the table and the converters. Which value counts (operator, task group or DAG `default_args`) is decided in
`loader/operators.py`; what an option does, in the core and the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from backfill_cli.core.graph import TriggerRule, WeightRule, near_hint
from backfill_cli.core.options import LARGEST
from backfill_cli.errors import DefinitionError

if TYPE_CHECKING:
    from backfill_cli.core.rates import Rate

E = TypeVar("E", bound=StrEnum)


_ID = re.compile(r"[\w.-]+")
LONGEST_ID = 240
"""Bytes of an id: with the number of a try and `.log` it must fit into the 255 of a file's name."""


def check_id(kind: str, value: Any, where: str) -> str:
    """Return a dag_id, task_id or group_id that is fit for file names, URLs and tables.

    Source: Airflow's `validate_key`; `.` and `..` are refused besides, because log folders carry the id.
    """
    if not isinstance(value, str) or not _ID.fullmatch(value) or value in (".", ".."):
        raise DefinitionError(
            f"{kind} {value!r} cannot be used",
            hint="use letters, digits, dashes, dots and underscores",
            code="bad-id",
            where=where,
        )
    if len(value.encode()) > LONGEST_ID:
        raise DefinitionError(
            f"{kind} '{value[:40]}…' is {len(value.encode())} bytes long",
            hint=f"use at most {LONGEST_ID}; log files are named after it",
            code="bad-id",
            where=where,
        )
    return value


class BadValue(ValueError):
    """A value no option of that name can have; the text says which would do. Becomes a DefinitionError."""


def flag(value: Any) -> bool:
    """A bool and nothing that merely looks like one: `"False"` would be true."""
    if isinstance(value, bool):
        return value
    raise BadValue("True or False")


def whole(least: int = -LARGEST) -> Callable[[Any], int]:
    """A converter for whole numbers, from `least` to what the store and the sums of it can hold."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
            raise BadValue(f"a whole number from {least} to {LARGEST}")
        return value

    return convert


def seconds(value: Any) -> float:
    """Seconds of a timedelta or a number; never negative, never infinite."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        raise BadValue("a timedelta or a number of seconds, not negative")
    return float(value)


def limit(value: Any) -> float:
    """Seconds of a time limit: more than none."""
    found = seconds(value)
    if found == 0:
        raise BadValue("more than 0 seconds")
    return found


def merging(value: Any) -> str | None:
    """How dates may be merged, as text (core/merging.py): `chunk`, a number of dates, or days; None: never."""
    from backfill_cli.core.merging import CHUNK
    from backfill_cli.core.shapes import days_in

    if value is None or isinstance(value, bool):
        return CHUNK if value else None
    if isinstance(value, timedelta) and value >= timedelta(days=1) and value % timedelta(days=1) == timedelta(0):
        return f"{value.days}d"
    said = str(value).strip() if isinstance(value, (int, str)) else ""
    if days_in(said) or (said.isascii() and said.isdecimal() and 0 < int(said) <= 10**9):
        return said
    raise BadValue("True, a number of dates, or days such as '7d'")


def or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The same converter, letting None through."""
    return lambda value: None if value is None else convert(value)


def text(value: Any) -> str:
    """A string with something in it."""
    if isinstance(value, str) and value:
        return value
    raise BadValue("a text")


def rate(value: Any) -> Rate:
    """A limit such as `100/min`."""
    from backfill_cli.core.rates import Rate, parse_rate

    try:
        return value if isinstance(value, Rate) else parse_rate(value)
    except ValueError as error:
        raise BadValue(str(error)) from None


def one_of(words: type[E]) -> Callable[[Any], E]:
    """A converter for the words of an enumeration."""

    def convert(value: Any) -> E:
        try:
            return words(value)
        except ValueError:
            names = [str(word) for word in words]
            raise BadValue(near_hint(str(value), names, otherwise="one of " + ", ".join(names))) from None

    return convert


def mapping(value: Any) -> dict[str, Any]:
    """A dict with texts as keys; None is an empty one."""
    if value is None:
        return {}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    raise BadValue("a dict with texts as keys")


def callbacks(value: Any) -> tuple[Callable[[Any], None], ...]:
    """One callable or a list of them; None is none."""
    if value is None:
        return ()
    found = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if all(callable(one) for one in found):
        return found
    raise BadValue("a function that takes the context, or a list of them")


class Option(NamedTuple):
    """One option: what it is without being given, and how a given value is checked."""

    default: Any
    convert: Callable[[Any], Any]


TASK_OPTIONS: dict[str, Option] = {
    "depends_on_past": Option(False, flag),
    "wait_for_downstream": Option(False, flag),
    "retries": Option(0, or_none(whole(0))),
    "retry_delay": Option(300.0, seconds),
    "retry_exponential_backoff": Option(False, flag),
    "max_retry_delay": Option(None, or_none(limit)),
    "execution_timeout": Option(None, or_none(limit)),
    "trigger_rule": Option(TriggerRule.ALL_SUCCESS, one_of(TriggerRule)),
    "pool": Option("default_pool", text),
    "pool_slots": Option(1, whole(1)),
    "rate_limit": Option(None, or_none(rate)),
    "max_active_tis_per_dag": Option(None, or_none(whole(1))),
    "priority_weight": Option(1, whole()),
    "weight_rule": Option(WeightRule.DOWNSTREAM, one_of(WeightRule)),
    "executor": Option(None, or_none(text)),
    "do_xcom_push": Option(True, flag),
    "params": Option({}, mapping),
    "on_execute_callback": Option((), callbacks),
    "on_success_callback": Option((), callbacks),
    "on_failure_callback": Option((), callbacks),
    "on_retry_callback": Option((), callbacks),
    "on_skipped_callback": Option((), callbacks),
}

INERT_TASK_OPTIONS = frozenset(
    {
        "doc", "doc_json", "doc_md", "doc_rst", "doc_yaml", "email", "email_on_failure", "email_on_retry", "inlets",
        "logger_name", "outlets", "owner", "queue", "sla", "start_date", "end_date",
        "show_return_value_in_logs", "task_display_name", "ui_color", "ui_fgcolor",
    }
)  # fmt: skip
"""Airflow's options about mail, its user interface and its clusters: accepted, as DAG files carry over, and unused.

`start_date` and `end_date` in `default_args` bound the DAG; on a single task they are refused in `checked_options`.
"""

WITHOUT_EFFECT = {
    "email": "bfill sends no mail; use on_failure_callback",
    "email_on_failure": "bfill sends no mail; use on_failure_callback",
    "email_on_retry": "bfill sends no mail; use on_retry_callback",
    "sla": "use execution_timeout or dagrun_timeout",
    "queue": "tasks run where bfill runs; use executor or pool",
    "is_paused_upon_creation": "a scheduler runs what is due of every DAG; pause it with bfill dags pause",
    "sla_miss_callback": "use execution_timeout or dagrun_timeout, and on_failure_callback",
}
"""Those of them, and of a DAG's, whose author would otherwise wait for something: the DAG gets a note."""

NOT_SUPPORTED = {
    "start_date": "a task has the dates of its DAG: write start_date there",
    "end_date": "a task has the dates of its DAG: write end_date there",
    "provide_context": "leave it out: a function gets the context by naming its parameters, or with **context",
    "run_as_user": "run bfill as that user: sudo -u NAME bfill run …",
    "max_active_tis_per_dagrun": "a task has one instance a dag_run; max_active_tasks limits the dag_run",
    "task_concurrency": "its name is max_active_tis_per_dag",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """What an option belongs to, for messages: `task 'load'` and its place."""

    label: str
    where: str


def convert_option(owner: Owner, name: str, value: Any, option: Option) -> Any:
    """Return the checked value of one option. Raises DefinitionError with the value in it."""
    try:
        return option.convert(value)
    except BadValue as error:
        raise DefinitionError(
            f"{owner.label}: {name}={value!r} is not possible",
            hint=str(error) if str(error).startswith("did you mean") else f"{name} takes {error}",
            code="bad-option",
            where=owner.where,
        ) from None


def unknown_option(owner: Owner, name: str, known: Iterable[str]) -> DefinitionError:
    """Return the error for an argument nobody knows, with the nearest name or what to do instead."""
    if name in NOT_SUPPORTED:
        return DefinitionError(
            f"{owner.label} does not take {name}", hint=NOT_SUPPORTED[name], code="unknown-option", where=owner.where
        )
    return DefinitionError(
        f"{owner.label} has no option '{name}'",
        hint=near_hint(name, known),
        code="unknown-option",
        where=owner.where,
    )


def checked_options(owner: Owner, given: Mapping[str, Any], also: Iterable[str] = ()) -> dict[str, Any]:
    """Return every task option with its checked value; what was not given has its default.

    Args:
        given: Arguments by name; options that mean nothing here are passed over.
        also: Further names to suggest for a misspelt one: the operator's own parameters.

    Raises:
        DefinitionError: A name is unknown, or a value impossible.
    """
    for name in given:
        if name not in TASK_OPTIONS and (name not in INERT_TASK_OPTIONS or name in NOT_SUPPORTED):
            raise unknown_option(owner, name, [*TASK_OPTIONS, *also])
    return {
        name: convert_option(owner, name, given[name], option) if name in given else option.default
        for name, option in TASK_OPTIONS.items()
    }
