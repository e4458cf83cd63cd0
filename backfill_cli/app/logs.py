"""`bfill logs`: the files the tries of one date left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from backfill_cli.app.batches import Batches
from backfill_cli.app.context import AppContext
from backfill_cli.app.lookup import find_backfill
from backfill_cli.app.targets import find_target
from backfill_cli.core.graph import near_hint
from backfill_cli.core.instants import run_id
from backfill_cli.core.listings import LogEntry, LogsResult
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import unfinished_because
from backfill_cli.core.ports import Reader, Store
from backfill_cli.core.ranges import When
from backfill_cli.core.records import AttemptRow, InstanceRow, RunRow
from backfill_cli.core.states import IN_FLIGHT, RunState
from backfill_cli.core.when import first_second, last_second
from backfill_cli.core.zones import ZoneClock, clock_of
from backfill_cli.errors import NotFoundError

_FAR = 2**60
"""A logical date behind all others."""

_LOOK_AHEAD = 1_000
"""dag_runs looked at for the next one that has ended."""


def logs(
    ctx: AppContext, options: BackfillOptions, *, date: When, task_id: str | None, try_number: int | None
) -> LogsResult:
    """Return the tries of a date with their logs.

    Args:
        options: `backfill_id` (or a dag_id in its place), or a DAG.
        date: A day takes all of its logical dates, an instant exactly one.
        task_id, try_number: Only this task, only this try.

    Raises:
        NotFoundError: Nothing of that name has run on that date.
    """
    with ctx.store(write=False) as store:
        dag_id, zone = _which(ctx, options, store)
        clock = clock_of(zone)
        first, last = first_second(date, clock), last_second(date, clock)
        entries = store.read(lambda reader: _entries(reader, dag_id, first, last, task_id, try_number, store.logs))
        if not entries:
            raise store.read(lambda reader: _nothing(reader, dag_id, date, task_id, try_number, first, last, clock))
    return LogsResult(dag_id, zone, entries)


def _which(ctx: AppContext, options: BackfillOptions, store: Store) -> tuple[str, str]:
    if options.backfill_id is not None:
        row = find_backfill(store, options.backfill_id)
        return row.dag_id, str(row.request.get("timezone", "UTC"))
    dag = find_target(ctx, options, store).dag
    return dag.dag_id, dag.timezone


def _entries(
    reader: Reader, dag_id: str, first: int, last: int, task_id: str | None, try_number: int | None, folder: str
) -> list[LogEntry]:
    runs = {run.logical_date: run for run in reader.runs(dag_id, first, last)}
    batches = Batches(reader, dag_id)
    # What a date ran in a batch stands with the first date of it.
    places = {batches.place_of(date, run.batch) for date, run in runs.items()}
    before = sorted(one for one in places if one is not None and one not in runs)
    found: list[LogEntry] = []
    for low, high in [*((one, one) for one in before), (first, last)]:
        runs |= {run.logical_date: run for run in reader.runs(dag_id, low, high)}
        found += [
            _entry(dag_id, folder, runs.get(one.logical_date), one)
            for one in reader.attempts(dag_id, low, high, task_id=task_id)
        ]
        found += [
            _entry(dag_id, folder, runs.get(one.logical_date), one)
            for one in reader.instances(dag_id, low, high)
            if one.state in IN_FLIGHT and (task_id is None or one.task_id == task_id)
        ]
    return [one for one in found if try_number is None or one.try_number == try_number]


def _entry(dag_id: str, folder: str, run: RunRow | None, one: AttemptRow | InstanceRow) -> LogEntry:
    name = run_id(run.run_type if run else "backfill", one.logical_date)
    path = Path(folder) / dag_id / name / f"{one.task_id}.{one.try_number}.log"
    return LogEntry(
        one.logical_date,
        name,
        one.task_id,
        one.try_number,
        one.outcome if isinstance(one, AttemptRow) else None,
        one.started_at,
        one.ended_at,
        one.reason,
        str(path),
        _opener(path),
    )


def _opener(path: Path) -> Callable[[], Iterable[str]] | None:
    return partial(_lines, path) if path.is_file() and not path.is_symlink() else None


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def _nothing(
    reader: Reader,
    dag_id: str,
    date: When,
    task_id: str | None,
    try_number: int | None,
    first: int,
    last: int,
    clock: ZoneClock,
) -> NotFoundError:
    tried = {one.task_id for one in reader.attempts(dag_id, first, last)}
    if task_id is not None and tried:
        if task_id in tried:
            return NotFoundError(f"{task_id} has no try {try_number} on {date}", hint="leave --try out to see all")
        return NotFoundError(f"task '{task_id}' has not run on {date}", hint=near_hint(task_id, tried))
    message = f"no task of {dag_id} has run on {date}"
    return NotFoundError(message, hint=_why_nothing(reader, dag_id, first, last, clock), code="no-attempt")


def _why_nothing(reader: Reader, dag_id: str, first: int, last: int, clock: ZoneClock) -> str:
    """Say how the date stands where it has a dag_run, else which dates have run: never that of one that waits."""
    for run in reader.runs(dag_id, first, last):
        state = str(run.state) if run.state.is_terminal else unfinished_because(run)
        return f"{clock.show(run.logical_date)} is {state}" + (f": {run.reason}" if run.reason else "")
    ended = [reader.run_before(dag_id, first, state=state) for state in RunState if state.is_terminal]
    before = max((run.logical_date for run in ended if run is not None), default=None)
    later = islice(reader.runs(dag_id, last + 1, _FAR), _LOOK_AHEAD)
    after = next((run.logical_date for run in later if run.state.is_terminal), None)
    near = [clock.show(one) for one in (before, after) if one is not None]
    if not near:
        return f"nothing of {dag_id} has run yet; see: bfill status"
    return f"the nearest {'dates that have' if len(near) > 1 else 'date that has'} run: {' and '.join(near)}"
