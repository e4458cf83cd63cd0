"""`bfill status`: how things stand, from the ledger and from who is alive.

Owns two of its three views, the latest backfills and one backfill; a range of a DAG is `app/status_range.py`. Counts
come from the counters a backfill's writer keeps, and details from one page of dates. `blocked` and `interrupted` are
derived here and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from backfill_cli.app.lookup import find_backfill, live_owner
from backfill_cli.app.outcomes import date_result, failure_groups
from backfill_cli.app.reexecuting import reexecuted
from backfill_cli.app.status_page import Page, after_date, instances_on, slowest_tasks, task_views
from backfill_cli.app.targets import has_range
from backfill_cli.core.planning import BLOCKED, CLEARED, INTERRUPTED, LEFT_FAILED, PARTIAL
from backfill_cli.core.records import SCHEDULED, Action, BackfillRow, Control, OwnerRow
from backfill_cli.core.results import DateResult
from backfill_cli.core.standing import MISSING, REMAINING, STALE, BackfillView, RunView, StatusResult
from backfill_cli.core.states import GOING, BackfillState, RunState
from backfill_cli.errors import UsageProblem
from backfill_cli.store.presence import schedulers

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.ports import Reader
    from backfill_cli.core.ranges import When
    from backfill_cli.core.wave_tallies import WaveView

LATEST = 20
STATES = frozenset({*RunState, BLOCKED, INTERRUPTED, CLEARED, PARTIAL, MISSING, STALE, "skipped", REMAINING})


def status(
    ctx: AppContext,
    options: BackfillOptions,
    *,
    where: frozenset[str] = frozenset(),
    gaps: bool = False,
    limit: int = 1_000,
    after: When | None = None,
) -> StatusResult:
    """Return how a backfill, a range, or everything stands. Reads only.

    Args:
        where: Only dates in these states (dag_run states, blocked, interrupted, cleared, missing, stale).
        gaps: Only what is missing.
        limit: Dates on the page.
        after: Go on behind this logical date.
    """
    is_list = not (options.backfill_id or options.dag_id or options.dag or options.command)
    _check_states(where, "a backfill" if is_list else "a date", frozenset(BackfillState) if is_list else STATES)
    with ctx.store(write=False) as store:
        if options.backfill_id is not None:
            if has_range(options) or options.dag_id is not None:
                raise UsageProblem(
                    "a backfill id and a selection exclude each other",
                    hint=f"bfill status {options.backfill_id}",
                    code="id-and-selection",
                )
            row = find_backfill(store, options.backfill_id)
            page = Page(where, after_date(after, str(row.request.get("timezone", "UTC"))), limit)
            return store.read(lambda reader: _of_backfill(ctx, reader, row, page))
        if is_list:
            if has_range(options):
                raise UsageProblem("a range needs a DAG", hint="add --dag DAG", code="no-dag")
            return store.read(lambda reader: _latest(ctx, reader, where))
        from backfill_cli.app.status_range import status_of_range

        return status_of_range(ctx, options, where, after, limit, gaps, store)


# the latest backfills


def _latest(ctx: AppContext, reader: Reader, where: frozenset[str]) -> StatusResult:
    states = [BackfillState(one) for one in where] or None
    rows = reader.backfills(states=states, besides=SCHEDULED, limit=LATEST)
    going = reader.backfills(states=list(GOING), limit=LATEST)
    known = {row.backfill_id for row in rows}
    older = [row for row in going if row.backfill_id not in known]
    views = [view_of(ctx, reader, row) for row in (*older, *rows)]
    shifts = _failed_shifts(ctx, reader) if not where or BackfillState.FAILED in where else []
    if shifts:
        latest = sorted((*views[len(older) :], *shifts), key=lambda one: one.row.created_at, reverse=True)
        views = [*views[: len(older)], *latest[:LATEST]]
    # Asked of what is shown: one whose process has died is interrupted, whatever its row says.
    shown = [one for one in views if not where or one.state in where]
    return StatusResult(None, backfills=shown, schedulers=schedulers(ctx.settings.store))


def _failed_shifts(ctx: AppContext, reader: Reader) -> list[BackfillView]:
    """Return what the scheduler ran and somebody has to look at; of what went well there is one every few minutes."""
    rows = reader.backfills(identity=SCHEDULED, states=[BackfillState.FAILED], limit=LATEST)
    views = [view_of(ctx, reader, row) for row in rows if row.failed]
    return [one for one in views if one.is_broken]


def _check_states(where: frozenset[str], what: str, known: frozenset[str]) -> None:
    if unknown := where - known:
        raise UsageProblem(
            f"--where '{min(unknown)}' is not a state of {what}",
            hint=f"use one of: {', '.join(sorted(known))}",
            code="bad-value",
        )


def view_of(ctx: AppContext, reader: Reader, row: BackfillRow) -> BackfillView:
    """Return a backfill with what is derived: a running one whose owner is dead is `interrupted`."""
    owner = live_owner(reader, row)
    state = BackfillState.INTERRUPTED if row.state in GOING and owner is None else row.state
    rate = eta = None
    if state is BackfillState.RUNNING and owner is not None:
        rate, eta = _pace(reader, row, owner, ctx.clock.now_us())
    repaired_by, is_broken = _repairs(reader, row)
    return BackfillView(
        row,
        state,
        owner.pid if owner else None,
        owner.host if owner else None,
        rate,
        eta,
        repaired_by,
        str(row.request.get("timezone", "UTC")),
        is_broken,
    )


def _pace(reader: Reader, row: BackfillRow, owner: OwnerRow, now: int) -> tuple[float | None, float | None]:
    """Return dates a minute and the seconds left, by what was done since it last went on; None where nothing was.

    What an earlier command did, and what was done before a pause, was done at some other time: it tells no pace.
    """
    resumed = reader.controls().last_done(row.backfill_id, Control.RESUME)
    since = max(owner.started_at, resumed.answered_at or 0 if resumed else 0)
    is_in_one_go = row.started_at is not None and since <= row.started_at
    done = row.completed + row.failed if is_in_one_go else reader.ended_since(row.backfill_id, since)
    seconds = max(0.001, (now - since) / 1_000_000)
    return (done / seconds * 60, round(row.remaining / (done / seconds), 1)) if done else (None, None)


def _repairs(reader: Reader, row: BackfillRow) -> tuple[tuple[str, ...], bool]:
    """Which later backfills made a date that was no success at its end one, and whether any is left."""
    if row.state is BackfillState.SUCCESS or not row.state.is_terminal:
        return (), False  # what failed in a success was repaired before it ended
    repairs: dict[str, None] = {}
    is_broken = False
    for one in reader.backfill_dates(row.backfill_id):
        if one.outcome is RunState.SUCCESS or (one.action is Action.SKIP and one.reason != LEFT_FAILED):
            continue
        run = reader.run(row.dag_id, one.logical_date)
        if run is not None and run.state is RunState.SUCCESS and run.backfill_id is not None:
            repairs[run.backfill_id] = None
        else:
            is_broken = True
    return tuple(repairs), is_broken


# one backfill


def _of_backfill(ctx: AppContext, reader: Reader, row: BackfillRow, page: Page) -> StatusResult:
    view = view_of(ctx, reader, row)
    chunks = _chunks(reader, row, is_live=view.pid is not None)
    versions = {one.version: tuple(one.tasks) for one in reader.versions(row.dag_id)}
    task_ids = versions.get(row.version, ())
    is_live = view.pid is not None
    shown, more = _page_of_dates(reader, row, page, is_live=is_live)
    runs = _views_of(reader, row.dag_id, shown, task_ids)
    first_shown, last_shown = (runs[0].logical_date, runs[-1].logical_date) if runs else (None, None)
    result = StatusResult(
        row.dag_id,
        backfill=view,
        first=row.first,
        last=row.last,
        timezone=str(row.request.get("timezone", "UTC")),
        schedule=str(row.request.get("schedule", "")),
        counts=_counted(row),
        task_ids=task_ids or _task_ids(runs),
        runs=runs,
        more=more,
        after=last_shown if more else None,
        slowest=slowest_tasks(reader, row.dag_id, runs),
        failures=failure_groups(reader, row.dag_id, row.first, row.last, shown, began_at=row.started_at),
        reexecuted=reexecuted(reader, row.dag_id, first_shown, last_shown, backfill_id=row.backfill_id),
        next_command=_next_for(view, chunks),
        chunks=chunks,
    )
    if not is_live:
        return result
    from backfill_cli.app.status_waits import with_waits

    return with_waits(reader, result, [row], ctx.clock.now_us())


def _chunks(reader: Reader, row: BackfillRow, *, is_live: bool) -> Sequence[WaveView]:
    """Return the waves of a backfill that has any; they take a walk over its dates."""
    if row.request.get("shape") is None:
        return ()
    from backfill_cli.app.wave_walk import waves_of
    from backfill_cli.core.shapes import stored

    shape = stored(row.request["shape"])
    return () if shape is None else waves_of(reader, row, shape, is_live=is_live)


def _page_of_dates(reader: Reader, row: BackfillRow, page: Page, *, is_live: bool) -> tuple[list[DateResult], bool]:
    """Return the dates of the page, and whether more follow; without `--where` it costs the page alone."""
    limit = None if page.where else page.limit + 1
    shown: list[DateResult] = []
    for one in reader.backfill_dates(row.backfill_id, after=page.after, limit=limit):
        result = date_result(one, row, is_live=is_live)
        is_skipped = result.left_alone and "skipped" in page.where
        if not is_skipped and not page.wants(result.state, stale=False):
            continue
        if len(shown) == page.limit:
            return shown, True
        shown.append(result)
    return shown, False


def _counted(row: BackfillRow) -> dict[str, int]:
    """Return a backfill's dates by how they stand, from the counters its writer keeps."""
    counts = {
        "success": row.completed,
        "failed": row.failed,
        "blocked": row.blocked,
        "skipped": row.skipped,
        "remaining": row.remaining,
    }
    return {state: count for state, count in counts.items() if count}


def _next_for(view: BackfillView, chunks: Sequence[WaveView] = ()) -> str:
    row = view.row
    if view.state == BackfillState.INTERRUPTED and any(one.state == "failed" for one in chunks):
        return f"bfill rerun-failed {row.backfill_id} && bfill run {row.backfill_id}"
    return view.next_command


def _views_of(reader: Reader, dag_id: str, shown: Sequence[DateResult], task_ids: Sequence[str]) -> list[RunView]:
    if not shown:
        return []
    dates = [int(one.logical_date.timestamp()) for one in shown]
    instances, places = instances_on(reader, dag_id, list(zip(dates, (one.batch for one in shown), strict=True)))
    found = []
    for date, one in zip(dates, shown, strict=True):
        fill = one.state not in (MISSING,) and places[date] is not None
        tasks = task_views(instances.get(date, ()), task_ids, fill=fill)
        found.append(RunView(date, one.run_id, one.state, one.reason, False, tasks, one.batch, one.left_alone))
    return found


def _task_ids(runs: Sequence[RunView]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task_id for run in runs for task_id in run.tasks))
