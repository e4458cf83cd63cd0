"""The macros: what a template or a Python task may ask about its run, as one table from name to value.

Owns `MACROS` (semantics section 7), the `macros.*` helpers, and `resolve_date_macros` for a single string. When a macro
is computed and kept is the business of `core/context.py`; turning `{{ … }}` into text that of `core/templates.py`.

The idea: a macro is a pure function of `RunFacts`. Dates are computed in epoch seconds and become text or pendulum
objects only when somebody asks, so a run that uses `ds` alone never pays for the others. Nothing here reads a clock or
rolls dice: a backfill that is run again must see the same values (Airflow's `macros.random`, `macros.time`,
`macros.uuid` and `datetime.now` are left out for that reason; `plan` reports them as unknown).

Source: Airflow 2.11 "Templates reference"; semantics section 7 for the observed values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backfill_cli.core import views
from backfill_cli.errors import MacroError

if TYPE_CHECKING:
    from pendulum import DateTime

    from backfill_cli.core.context import RunFacts

_DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


# --- instants and their spellings ---------------------------------------------------------------------------------


def instant(epoch: int) -> DateTime:
    """The UTC instant as pendulum gives it to users; prints `2024-01-31 00:00:00+00:00`."""
    from pendulum import UTC as PENDULUM_UTC
    from pendulum import DateTime

    return DateTime.fromtimestamp(epoch, PENDULUM_UTC)


def iso_instant(epoch: int) -> DateTime:
    """The same, but printing ISO 8601: what `execution_date` has always rendered as."""
    return _iso_class().fromtimestamp(epoch, instant(0).tzinfo)


@lru_cache(maxsize=1)
def _iso_class() -> type[DateTime]:
    # made on first use: pendulum must not load with the module (performance rule 7)
    from pendulum import DateTime

    return type("IsoDateTime", (DateTime,), {"__str__": DateTime.isoformat, "__module__": __name__})


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """The zone of that name; the loader has refused unknown ones long before."""
    if name in ("UTC", "Etc/UTC"):
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _day(epoch: int, days: int = 0) -> str:
    return date.fromordinal(_EPOCH_ORDINAL + epoch // _DAY + days).isoformat()


def _utc(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _local(facts: RunFacts) -> datetime:
    return datetime.fromtimestamp(facts.logical_date, zone(facts.timezone))


def ds(moment: date) -> str:
    """`2024-01-31`, the date as the moment itself spells it (filter `ds`)."""
    return moment.isoformat()[:10]  # not strftime: its %Y does not pad the years before 1000


def ds_nodash(moment: date) -> str:
    """`20240131` (filter `ds_nodash`)."""
    return ds(moment).replace("-", "")


def ts(moment: date) -> str:
    """`2024-01-31T00:00:00+00:00` (filter `ts`)."""
    return moment.isoformat()


def ts_nodash(moment: date) -> str:
    """`20240131T000000`: seconds, no zone (filter `ts_nodash`)."""
    return f"{ds_nodash(moment)}T{moment:%H%M%S}"


def ts_nodash_with_tz(moment: date) -> str:
    """`20240131T000000+0000` (filter `ts_nodash_with_tz`)."""
    return moment.isoformat().replace("-", "").replace(":", "")


DATE_FILTERS: Mapping[str, Callable[[date], str]] = MappingProxyType(
    {"ds": ds, "ds_nodash": ds_nodash, "ts": ts, "ts_nodash": ts_nodash, "ts_nodash_with_tz": ts_nodash_with_tz}
)


# --- neighbours on the schedule -----------------------------------------------------------------------------------


def _previous(facts: RunFacts) -> int | None:
    # a manual run stands on no schedule, so it is its own neighbour, as in Airflow
    if facts.run_type == "manual":
        return facts.logical_date
    span = facts.schedule.previous(facts.logical_date) if facts.schedule else None
    return span.start if span else None


def _next(facts: RunFacts) -> int | None:
    if facts.run_type == "manual":
        return facts.logical_date
    span = facts.schedule.next(facts.last_date) if facts.schedule else None
    return span.start if span else None


def _maybe_day(epoch: int | None) -> str | None:
    return None if epoch is None else _day(epoch)


def _maybe_compact(epoch: int | None) -> str | None:
    return None if epoch is None else _day(epoch).replace("-", "")


def _maybe_instant(epoch: int | None) -> DateTime | None:
    return None if epoch is None else instant(epoch)


def _success_started(facts: RunFacts) -> DateTime | None:
    found = facts.previous_success
    if found is None or found.start_date_us is None:
        return None
    seconds, microseconds = divmod(found.start_date_us, 1_000_000)
    return instant(seconds).replace(microsecond=microseconds)


# --- macros.* -----------------------------------------------------------------------------------------------------


def ds_add(day: str, days: int) -> str:
    """`day` moved by that many days: `ds_add('2024-01-31', 7)` is `2024-02-07`.

    Raises:
        MacroError: `day` is not a `YYYY-MM-DD` text, or the result lies outside the years 1 to 9999.
    """
    try:
        return (datetime.strptime(str(day), "%Y-%m-%d") + timedelta(days=days)).date().isoformat()  # noqa: DTZ007
    except (ValueError, OverflowError, TypeError) as error:
        raise MacroError(
            f"macros.ds_add cannot move '{day}' by {days} days: {error}", hint="it takes a date like 2024-01-31"
        ) from error


def ds_format(day: str, input_format: str, output_format: str) -> str:
    """`day` read with one strptime format and written with another.

    Raises:
        MacroError: `day` does not have the input format.
    """
    try:
        return datetime.strptime(str(day), input_format).strftime(output_format)  # noqa: DTZ007
    except (ValueError, TypeError) as error:
        raise MacroError(
            f"macros.ds_format cannot read '{day}' as '{input_format}': {error}",
            hint="formats are strptime's, for example %Y-%m-%d",
        ) from error


def datetime_diff_for_humans(moment: datetime, since: datetime) -> str:
    """`2 days before`: how far `moment` lies from `since`. Unlike Airflow's, `since` is required: there is no "now"."""
    import pendulum

    return pendulum.instance(moment).diff_for_humans(pendulum.instance(since))


class Json(views.View):
    """`macros.json`: the two functions a template has a use for."""

    template_names = frozenset({"dumps", "loads"})

    def dumps(self, value: object, *, sort_keys: bool = False) -> str:
        import json

        return json.dumps(value, ensure_ascii=False, sort_keys=sort_keys)

    def loads(self, text: str) -> Any:
        import json

        return json.loads(text)


class Macros(views.View):
    """The namespace `macros`: `ds_add ds_format datetime timedelta relativedelta datetime_diff_for_humans json`."""

    template_names = frozenset(
        {"ds_add", "ds_format", "datetime", "timedelta", "relativedelta", "datetime_diff_for_humans", "json"}
    )
    ds_add = staticmethod(ds_add)
    ds_format = staticmethod(ds_format)
    datetime_diff_for_humans = staticmethod(datetime_diff_for_humans)
    datetime = datetime
    timedelta = timedelta
    json = Json()

    @property
    def relativedelta(self) -> Any:
        """dateutil's calendar delta: `logical_date + macros.relativedelta(months=1)`."""
        from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]

        return relativedelta

    def __repr__(self) -> str:
        return "macros"


_MACROS_NAMESPACE = Macros()


# --- the table ----------------------------------------------------------------------------------------------------

DATE_MACROS: Mapping[str, Callable[[RunFacts], Any]] = MappingProxyType(
    {
        "ds": lambda f: _day(f.logical_date),
        "ds_nodash": lambda f: _day(f.logical_date).replace("-", ""),
        "ts": lambda f: _utc(f.logical_date).isoformat(),
        "ts_nodash": lambda f: ts_nodash(_utc(f.logical_date)),
        "ts_nodash_with_tz": lambda f: ts_nodash_with_tz(_utc(f.logical_date)),
        "local_ds": lambda f: ds(_local(f)),
        "local_ds_nodash": lambda f: ds_nodash(_local(f)),
        "local_ts": lambda f: _local(f).isoformat(),
        "logical_date": lambda f: instant(f.logical_date),
        "execution_date": lambda f: iso_instant(f.logical_date),
        "data_interval_start": lambda f: instant(f.logical_date),
        "data_interval_end": lambda f: instant(f.data_interval_end),
        "prev_ds": lambda f: _maybe_day(_previous(f)),
        "next_ds": lambda f: _maybe_day(_next(f)),
        "prev_ds_nodash": lambda f: _maybe_compact(_previous(f)),
        "next_ds_nodash": lambda f: _maybe_compact(_next(f)),
        "prev_execution_date": lambda f: _maybe_instant(_previous(f)),
        "next_execution_date": lambda f: _maybe_instant(_next(f)),
        "yesterday_ds": lambda f: _day(f.logical_date, -1),
        "yesterday_ds_nodash": lambda f: _day(f.logical_date, -1).replace("-", ""),
        "tomorrow_ds": lambda f: _day(f.logical_date, 1),
        "tomorrow_ds_nodash": lambda f: _day(f.logical_date, 1).replace("-", ""),
        "macros": lambda _: _MACROS_NAMESPACE,
    }
)
"""The macros that follow from the schedule and the logical date alone; `macros` itself for date arithmetic."""

MACROS: Mapping[str, Callable[[RunFacts], Any]] = MappingProxyType(
    {
        **DATE_MACROS,
        "prev_data_interval_start_success": lambda f: _maybe_instant(
            f.previous_success.data_interval_start if f.previous_success else None
        ),
        "prev_data_interval_end_success": lambda f: _maybe_instant(
            f.previous_success.data_interval_end if f.previous_success else None
        ),
        "prev_start_date_success": _success_started,
        "logical_dates": lambda f: [instant(one) for one in f.logical_dates or (f.logical_date,)],
        "run_id": lambda f: f.run_id,
        "try_number": lambda f: f.try_number,
        "conf": lambda f: views.fresh_json(f.conf),
        "params": lambda f: views.fresh_json({**f.params, **f.conf}),
        "var": lambda f: views.Variables(f.variables),
        "conn": lambda f: views.Connections(f.connections),
        "dag": views.DagView,
        "dag_run": views.DagRunView,
        "task": views.TaskView,
    }
)
"""name → value, one entry a macro; each is computed when first asked for (`core/context.py` keeps it)."""

MACRO_NAMES: frozenset[str] = frozenset(MACROS) | {"ti", "task_instance"}
"""Everything a template, or a parameter of a Python task, may be named after."""


# --- one string ---------------------------------------------------------------------------------------------------


class _DateMacros(Mapping[str, Any]):
    """The date macros of one logical date; all other names are unknown, so they stay as written."""

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> Any:
        return DATE_MACROS[name](self._facts)

    def __iter__(self) -> Iterator[str]:
        return iter(DATE_MACROS)

    def __len__(self) -> int:
        return len(DATE_MACROS)


def resolve_date_macros(template: str, execution_date: datetime, schedule: Any = None) -> str:
    """`template` with its date macros resolved; everything else (conf, XCom, unknown names) stays as written.

    Args:
        template: Text with `{{ … }}`.
        execution_date: The logical date. A naive one is UTC; an aware one brings its zone for the `local_*` macros.
        schedule: What a DAG accepts: a cron string, a preset, a `timedelta`, a Schedule, or None (no neighbours).

    Returns:
        The text. `data_interval_end` is that of the schedule's interval, or the date itself where it has none there.

    Raises:
        MacroError: The template does not compile.
        ScheduleError: The schedule is none.
    """
    from backfill_cli.core.context import RunFacts
    from backfill_cli.core.intervals import epoch_seconds
    from backfill_cli.core.templates import compile_field

    aware = execution_date if execution_date.tzinfo else execution_date.replace(tzinfo=UTC)
    logical_date = epoch_seconds(aware)
    zone_name = getattr(aware.tzinfo, "key", None) or "UTC"
    compiled = _schedule(schedule, zone_name, logical_date)
    own = compiled.first_at_or_after(logical_date) if compiled else None
    facts = RunFacts(
        dag_id="",
        timezone=zone_name,
        schedule=compiled,
        logical_date=logical_date,
        data_interval_end=own.end if own and own.start == logical_date else logical_date,
        run_id="",
        run_type="scheduled",
    )
    return compile_field(template).render(_DateMacros(facts)).text


def _schedule(schedule: Any, zone_name: str, anchor: int) -> Any:
    if schedule is None or hasattr(schedule, "previous"):
        return schedule
    from backfill_cli.core.schedules import compile_schedule

    return compile_schedule(schedule, zone=zone_name, anchor=anchor)
