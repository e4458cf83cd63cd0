"""`bfill reset`: task instances of the selected dates go back to `scheduled`, their XComs go, nothing starts.

Owns the clearing. History stays: attempts are append-only, and try numbers go on counting. Dates that a living process
works on are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from backfill_cli.app.attesting import attest_runs
from backfill_cli.app.batches import Batches
from backfill_cli.app.commands import command_line
from backfill_cli.app.context import AppContext
from backfill_cli.app.history import liveness
from backfill_cli.app.lookup import find_backfill
from backfill_cli.app.naming import typed
from backfill_cli.app.orphans import Orphans
from backfill_cli.app.overlaps import conflict
from backfill_cli.app.recovering import write_recovered
from backfill_cli.app.reset_notes import reset_notes
from backfill_cli.app.stored import selection_of
from backfill_cli.app.targets import find_selection, find_stored_target, find_target, has_selection
from backfill_cli.app.trail import record
from backfill_cli.core.auditing import head_text
from backfill_cli.core.graph import Dag
from backfill_cli.core.instants import instant, iso
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.planning import CLEARED
from backfill_cli.core.ports import Reader, Store, Writer
from backfill_cli.core.problems import Problem
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import InstanceRow, RunRow
from backfill_cli.core.results import ResetResult
from backfill_cli.core.states import TRANSITIONS, Event, RunState, TaskState, advance
from backfill_cli.core.zones import clock_of
from backfill_cli.errors import ConflictError, RefusedError, UsageProblem

Confirm = Callable[[str], bool]


@dataclass(slots=True)
class _Clearing:
    """What a reset would clear; `also` are the dates that nobody named and that ran together with one that is."""

    runs: list[RunRow] = field(default_factory=list)
    instances: list[InstanceRow] = field(default_factory=list)
    xcoms: int = 0
    also: list[RunRow] = field(default_factory=list)


def reset(
    ctx: AppContext,
    options: BackfillOptions,
    *,
    tasks: tuple[str, ...] = (),
    downstream: bool = False,
    where: frozenset[str] = frozenset(),
    confirm: Confirm | None = None,
) -> ResetResult:
    """Clear the selection.

    Args:
        tasks: Selections of task ids (`load`, `load+`); empty takes all.
        downstream: Also everything behind the tasks.
        where: Only task instances in these states.
        confirm: Asked with the counts, unless `options.yes`; without it and without yes it is refused.

    Raises:
        ConflictError: A living process works on a selected date.
        RefusedError: Nobody confirmed.
    """
    states = _states(where)
    if downstream and not tasks:
        raise UsageProblem("--downstream needs --task", hint="name the task: --task load --downstream")
    with ctx.store(write=False) as store:
        dag, selection = _what(ctx, options, store)
        chosen = _chosen(dag, tasks, downstream)
        found = store.read(lambda reader: _find(reader, dag, selection, chosen, states))
        notes = store.read(
            lambda reader: list(
                reset_notes(
                    reader, dag, replace(options, tasks=tasks), found.runs, found.instances, downstream=downstream
                )
            )
        )
        head = head_text(store.read(lambda reader: reader.audit_head()))
    problems = (*selection.notes, *notes, *_whole_batches(dag, found))
    if not found.runs:
        nothing = Problem("nothing-to-clear", "no task instance of this selection has anything to clear")
        return ResetResult(dag.dag_id, [], 0, 0, head, (*problems, nothing), timezone=dag.timezone)
    if not options.yes:
        _ask(dag, found, confirm)

    def work(writer: Writer) -> tuple[_Clearing, str]:
        clearing = _find(writer, dag, selection, chosen, states)
        _clear(writer, dag, clearing)
        details = {
            "dag_id": dag.dag_id,
            "range": [iso(clearing.runs[0].logical_date), iso(clearing.runs[-1].logical_date)] if clearing.runs else [],
            "dates": len(clearing.runs),
            "task_instances": len(clearing.instances),
            "xcoms": clearing.xcoms,
            "tasks": sorted(chosen) if tasks else "all",
            "where": sorted(where),
        }
        return clearing, record(
            ctx,
            writer,
            "reset",
            dag.dag_id,
            outcome="cleared",
            reason=options.reason,
            details=details,
            proof=attest_runs(writer, dag.dag_id, frozenset(run.logical_date for run in clearing.runs)),
        )

    orphans = Orphans(options.orphans, ctx.tell)
    with ctx.store(write=True) as store:
        cleared, head = write_recovered(ctx, store, orphans, work)
    return ResetResult(
        dag.dag_id,
        [instant(run.logical_date) for run in cleared.runs],
        len(cleared.instances),
        cleared.xcoms,
        head,
        (*problems, *orphans.problems),
        _next(dag, options, cleared),
        timezone=dag.timezone,
    )


def _what(ctx: AppContext, options: BackfillOptions, store: Store) -> tuple[Dag, Selection]:
    """The DAG and the dates: of a backfill, or those the options select."""
    if options.backfill_id is None:
        dag = find_target(ctx, options, store).dag
        return dag, find_selection(ctx, options, dag)
    if has_selection(options):
        raise UsageProblem(
            "a backfill id and a selection exclude each other",
            hint=f"bfill reset {options.backfill_id}",
            code="id-and-selection",
        )
    row = find_backfill(store, options.backfill_id)
    return find_stored_target(ctx, row).dag, selection_of(row)


def _states(where: frozenset[str]) -> frozenset[TaskState]:
    unknown = where - set(TaskState)
    if unknown:
        raise UsageProblem(
            f"--where '{min(unknown)}' is not a task state",
            hint=f"use one of: {', '.join(TaskState)}",
            code="bad-state",
        )
    return frozenset(TaskState(one) for one in where)


def _chosen(dag: Dag, tasks: tuple[str, ...], downstream: bool) -> frozenset[str]:
    if not tasks:
        return frozenset(dag.tasks)
    chosen = dag.select(tasks)
    return chosen.union(*(dag.descendants(one) for one in chosen)) if downstream else chosen


def _find(
    reader: Reader, dag: Dag, selection: Selection, chosen: frozenset[str], states: frozenset[TaskState]
) -> _Clearing:
    """Find what is to be cleared. Raises ConflictError when a living process works on any of it."""
    is_live = liveness(reader)
    found = _Clearing()
    named = {span.start for span in selection.spans(dag.schedule)}
    some = (run for run in reader.runs(dag.dag_id, selection.first, selection.last) if run.logical_date in named)
    runs, together, alone = Batches(reader, dag.dag_id).completed(some)
    dates = sorted(runs)
    touched: set[int] = set()
    for one in reader.instances(dag.dag_id, dates[0], dates[-1]) if dates else ():
        run = runs.get(one.logical_date)
        if run is None or run.leader != one.logical_date:
            continue
        if run.owner is not None and is_live(run.owner):
            raise _held(reader, dag.dag_id, run)
        if one.task_id in chosen and (not states or one.state in states) and _can_clear(one.state):
            found.instances.append(one)
            touched.update(together.get(one.logical_date, (one.logical_date,)))
    if not states and chosen >= dag.tasks.keys():
        touched |= alone
    found.runs = [runs[date]._replace(batch=None) if date in alone else runs[date] for date in sorted(touched)]
    found.also = [run for run in found.runs if run.logical_date not in named]
    return found


def _next(dag: Dag, options: BackfillOptions, cleared: _Clearing) -> str:
    """The command that runs what was cleared, the rest of a batch with it."""
    if cleared.also:
        first, last = (typed(run.logical_date, dag) for run in (cleared.runs[0], cleared.runs[-1]))
        asked = replace(options, backfill_id=None, dag_id=options.dag_id or dag.dag_id, dates=(), last=None, limit=None)
        return command_line("run", replace(asked, start_date=first, end_date=last))
    return f"bfill run {options.backfill_id}" if options.backfill_id else command_line("run", options)


def _whole_batches(dag: Dag, found: _Clearing) -> Iterator[Problem]:
    if found.also:
        show = clock_of(dag.timezone).show
        dates, first = _count(len(found.also), "date"), show(found.also[0].logical_date)
        yield Problem(
            "whole-batch",
            f"{dates} nobody named, the first {first}, ran in one batch with some that were, and are cleared with them",
            "to run a date of a batch alone, leave it as it is: bfill run --dates DATE --reprocess all",
        )


def _can_clear(state: TaskState) -> bool:
    return (state, Event.CLEARED) in TRANSITIONS


def _clear(writer: Writer, dag: Dag, found: _Clearing) -> None:
    found.xcoms = writer.drop_xcoms(dag.dag_id, [(one.logical_date, one.task_id) for one in found.instances])
    writer.set_instances(dag.dag_id, [_cleared(one) for one in found.instances])
    writer.set_runs(
        dag.dag_id,
        [run._replace(state=RunState.QUEUED, reason=CLEARED, owner=None, ended_at=None) for run in found.runs],
    )


def _cleared(one: InstanceRow) -> InstanceRow:
    """The row of a cleared task instance: the try number goes on, the budget of retries begins anew."""
    return one._replace(
        state=advance(one.state, Event.CLEARED),
        spent=0,
        losses=0,
        started_at=None,
        ended_at=None,
        retry_at=None,
        reason=None,
    )


def _held(reader: Reader, dag_id: str, run: RunRow) -> ConflictError:
    other = reader.backfill(run.backfill_id) if run.backfill_id else None
    if other is not None:
        return conflict(reader, other, run.logical_date, run.logical_date)
    return ConflictError(
        f"{dag_id} {iso(run.logical_date)} is being run by another process", hint="wait for it", code="dates-held"
    )


def _ask(dag: Dag, found: _Clearing, confirm: Confirm | None) -> None:
    instances, dates = _count(len(found.instances), "task instance"), _count(len(found.runs), "date")
    what = f"{instances} of {dates} of {dag.dag_id} ({_ends(dag, found.runs)})"
    if found.also:
        what += f", {len(found.also):,} of which ran in one batch with those that were named"
    if confirm is None:
        raise RefusedError(f"this would clear {what}", hint="add --yes to do it", code="needs-yes")
    if not confirm(f"Clear {what}?"):
        raise RefusedError("nothing was cleared", hint="answer y, or add --yes", code="not-confirmed")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _ends(dag: Dag, runs: Sequence[RunRow]) -> str:
    """The bounds in the DAG's zone, as `--start` and `--end` were typed; one date when both are the same."""
    show = clock_of(dag.timezone).show
    first, last = runs[0].logical_date, runs[-1].logical_date
    return show(first) if first == last else f"{show(first)} … {show(last)}"
