"""`bfill plan`, and the first half of `bfill run`: what will happen to each date, and why.

Owns the way from options to a `PlanResult`. A dry run, a stored plan and a real run share every line of `prepare` and
`preview`; only then do they part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING

from backfill_cli.app.commands import asked_range, command_line, run_command
from backfill_cli.app.context import AppContext
from backfill_cli.app.history import history, liveness
from backfill_cli.app.overlaps import held_by_others, told_of_holders
from backfill_cli.app.past import watch_past, would_block
from backfill_cli.app.pools import slots_of
from backfill_cli.app.secrets import refuse_open_secrets
from backfill_cli.app.shaping import is_shaped, shape_for
from backfill_cli.app.targets import find_selection, find_target, has_range
from backfill_cli.app.trail import command_of
from backfill_cli.app.warnings import (
    left_to_others,
    moved_warnings,
    open_folder_warnings,
    refuse_impossible,
    warnings_for,
)
from backfill_cli.core.auditing import canonical
from backfill_cli.core.following import counts_as_past
from backfill_cli.core.leaving import leave_out
from backfill_cli.core.options import LARGEST, BackfillOptions
from backfill_cli.core.planning import (
    REPROCESS,
    PlanSummary,
    Policy,
    estimate,
    in_the_way,
    leave_to_others,
    plan_rows,
    summarise,
)
from backfill_cli.core.problems import Problem
from backfill_cli.core.ranges import Selection
from backfill_cli.core.records import Action, BackfillRow, PlanRow, RunRow
from backfill_cli.core.results import PlanResult
from backfill_cli.errors import InputError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.graph import Dag
    from backfill_cli.core.merging import MergeTally
    from backfill_cli.core.outlines import Outline
    from backfill_cli.core.ports import Store
    from backfill_cli.core.shapes import Shape
    from backfill_cli.loader.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that has been understood: the DAG, the dates, what to do with those that have a dag_run."""

    options: BackfillOptions
    target: Resolved
    selection: Selection
    policy: Policy
    parent_id: str | None = None
    shape: Shape | None = None

    @property
    def dag(self) -> Dag:
        return self.target.dag

    @property
    def part(self) -> Dag:
        """The tasks that will run: all of the DAG, or what `--task` selects."""
        return self.dag.part(self.dag.select(self.options.tasks)) if self.options.tasks else self.dag

    @property
    def parallel(self) -> int:
        """How many dag_runs are open together: what was asked for, as far as the DAG allows it."""
        return min(self.options.max_parallel_runs, self.dag.max_active_runs)

    @property
    def conf_text(self) -> str | None:
        """The conf asked for, as it is stored; None when none was given."""
        conf = self.options.conf
        return None if conf is None else canonical(dict(conf))

    @property
    def identity(self) -> str:
        """A digest of DAG, dates and what to do with them: the same command again has the same.

        The failures of a backfill are named by it, not by their dates: those become fewer while they are repaired, and
        a repair that was killed must find itself again.
        """
        options = self.options
        of_parent = options.rerun_failed and not has_range(options)
        selection = self.selection
        parts = [
            self.dag.dag_id,
            [self.parent_id] if of_parent else [selection.first, selection.last, selection.dates, selection.limit],
            sorted(options.reprocess),
            [options.reset_dag_run, options.rerun_failed, options.whole_run, options.run_backwards],
            sorted(options.tasks),
            self.conf_text,
        ]
        return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def rows(self, past: Iterable[RunRow]) -> Iterator[PlanRow]:
        """Yield the plan's rows, merged with a history that covers the selection's bounds in its order."""
        spans = self.selection.spans(self.dag.schedule)
        rows = plan_rows(spans, past, self.policy, backwards=self.selection.backwards)
        rows = leave_to_others(rows, self.policy.held) if self.policy.held else rows
        return leave_out(rows, self.policy.left_out) if self.policy.left_out else rows

    def as_left(self, left_out: Mapping[int, str]) -> Prepared:
        """Return the same request without the dates that somebody took out of its stored backfill, with the reasons."""
        return replace(self, policy=replace(self.policy, left_out=left_out)) if left_out else self


def prepare(ctx: AppContext, options: BackfillOptions, store: Store) -> Prepared:
    """Understand a request: load the DAG, resolve the dates. Reads only.

    Raises:
        UsageProblem: Options that contradict each other.
        InputError: The DAG, its templates or its pools are wrong.
    """
    check_options(options)
    refuse_open_secrets(options, ctx.environ)
    target = find_target(ctx, options, store)
    if options.run_backwards and target.dag.waits_on_past:
        raise UsageProblem(
            f"--run-backwards cannot work: '{target.dag.dag_id}' has tasks that depend on the past",
            hint="leave --run-backwards out; the oldest date has to come first",
            code="backwards-depends-on-past",
        )
    target.dag.select(options.tasks)  # refuses an unknown one
    refuse_impossible(target.dag, slots_of(ctx.settings, store))
    selection = find_selection(ctx, options, target.dag)
    policy = policy_for(options, target.dag, store, selection.first, selection.last)
    return shaped(ctx, Prepared(options, target, selection, policy), store)


def shaped(ctx: AppContext, prepared: Prepared, store: Store, row: BackfillRow | None = None) -> Prepared:
    """Return a request with its waves: those of the stored backfill it goes on with, as far as nothing else is said."""
    if row is None and not is_shaped(prepared.options):
        return prepared
    pools = slots_of(ctx.settings, store)
    shape = shape_for(prepared.options, prepared.part, parallel=prepared.parallel, pools=pools, store=store, row=row)
    return replace(prepared, shape=shape)


def policy_for(options: BackfillOptions, dag: Dag, store: Store, first: int, last: int) -> Policy:
    """Return what the options say about dates that have a dag_run, between two dates."""
    obstacles: frozenset[int] = frozenset()
    if options.rerun_failed and dag.waits_on_past:
        obstacles = in_the_way(run for run in history(store, dag.dag_id, first, last) if counts_as_past(dag, run))
    return Policy(
        dag.version,
        reprocess=options.reprocess,
        reset=options.reset_dag_run,
        only_failed=options.rerun_failed,
        in_the_way=obstacles,
        is_live=store.read(liveness),
        held=store.read(lambda reader: held_by_others(reader, dag.dag_id, first, last))
        if options.on_conflict == "skip"
        else {},
    )


def check_options(options: BackfillOptions) -> None:
    """Refuse what no DAG could make right. Raises UsageProblem, InputError."""
    for name, when in (("start_date", options.start_date), ("end_date", options.end_date)):
        if when is not None and not isinstance(when, date):
            raise UsageProblem(
                f"{name} is {when!r}, a {type(when).__name__}",
                hint=f"give a date or datetime: {name}=date(2024, 1, 31)",
                code="bad-date",
            )
    _check_conf(options.conf)
    unknown = options.reprocess - REPROCESS
    if unknown:
        raise UsageProblem(
            f"--reprocess '{min(unknown)}' is not known", hint="use failed, success, completed, stale or all"
        )
    if options.max_parallel_runs < 1:
        raise UsageProblem(f"--parallel {options.max_parallel_runs} runs nothing", hint="use 1 or more")
    if options.workers is not None and options.workers < 1:
        raise UsageProblem(f"--workers {options.workers} runs nothing", hint="use 1 or more")
    for flag in ("max_parallel_runs", "workers", "limit", "pilot"):
        if (getattr(options, flag) or 0) > LARGEST:
            raise UsageProblem(f"{flag}={getattr(options, flag)} is too large", hint=f"give {LARGEST} or less")
    if options.rerun_failed and options.reset_dag_run:
        raise UsageProblem(
            "rerun_failed and reset_dag_run exclude each other",
            hint="run failed tasks again with rerun_failed, or everything with reset_dag_run",
            code="rerun-reset-conflict",
        )


def _check_conf(conf: object) -> None:
    """Refuse a conf that the store could not keep. The command line has read JSON; a program may give anything."""
    if conf is None:
        return
    hint = 'give a dict of what JSON can hold: conf={"region": "eu"}'
    if not isinstance(conf, Mapping):
        raise InputError(f"conf must be a mapping, and is a {type(conf).__name__}", hint=hint, code="bad-conf")
    try:
        json.dumps(dict(conf), sort_keys=True, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"conf is not JSON: {error}", hint=hint, code="bad-conf") from error


def preview(ctx: AppContext, prepared: Prepared, store: Store, *, dry_run: bool) -> PlanResult:
    """Walk the plan once and return what it comes to."""
    selection, dag, options = prepared.selection, prepared.part, prepared.options
    past = history(store, dag.dag_id, selection.first, selection.last, backwards=selection.backwards)
    watch = ConfWatch(prepared)
    followed = watch_past(dag, selection.first, store)
    rows = prepared.rows(followed.over(watch.over(past)) if followed else watch.over(past))
    summary = summarise(followed.over_rows(rows) if followed else rows)
    first, last = summary.first, summary.last
    if selection.backwards:
        first, last = last, first
    durations = store.read(lambda reader: reader.durations(dag.dag_id))
    waves = _outline(ctx, prepared, summary.to_run)
    batches, merging = _batches(prepared, store, summary.to_run)
    return PlanResult(
        dag=dag,
        first=first,
        last=last,
        asked=asked_range(options),
        counts=summary.counts,
        groups=summary.groups,
        head=summary.head,
        tail=summary.tail,
        rows=_rows_again(ctx, prepared),
        estimate=estimate(
            dag,
            summary.to_run if batches is None else batches.runs,
            parallel=prepared.parallel,
            durations=durations,
            pools=slots_of(ctx.settings, store),
            lanes=batches.lanes if batches is not None else None if waves is None else waves.lanes,
            rates={name: one.rate_limit for name, one in ctx.settings.pool_rules.items() if one.rate_limit is not None},
        ),
        warnings=[
            *_problems(ctx, prepared, summary, watch, store),
            *merging,
            *would_block(prepared, summary.first, followed, store),
        ],
        parallel=options.max_parallel_runs,
        backwards=selection.backwards,
        dry_run=dry_run,
        next_command=command_line(command_of(options), options),
        waves=waves,
        parallel_min=options.min_parallel_runs,
        between=options.between,
        batches=batches,
    )


def _batches(prepared: Prepared, store: Store, to_run: int) -> tuple[MergeTally | None, list[Problem]]:
    """Return what the batches of a plan come to, for a DAG that merges dates, and what is to be said of them."""
    if prepared.dag.batch_intervals is None:
        return None, []
    from backfill_cli.app.merged_plan import merge_warnings, tally_of

    batches = tally_of(prepared, store, to_run)
    return batches, [] if batches is None else list(merge_warnings(prepared, batches))


def _outline(ctx: AppContext, prepared: Prepared, to_run: int) -> Outline | None:
    """Return what the waves of a plan come to; a second walk over its dates, for those who ask for waves."""
    shape = prepared.shape
    if shape is None:
        return None
    from backfill_cli.core.outlines import outline

    out = prepared.policy.left_out  # these keep their places
    rows = _rows_again(ctx, prepared)()
    dates = (row.logical_date for row in rows if row.action is not Action.SKIP or row.logical_date in out)
    return outline(shape, to_run + len(out), prepared.dag.timezone, dates, parallel=prepared.parallel)


class ConfWatch:
    """Looks at the dag_runs that pass by for a conf other than the one asked for.

    A different conf on a date that already has one is refused unless `--reprocess` (or a reset) names the date.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.count = 0
        self.first: int | None = None
        self._conf = prepared.conf_text
        self._policy = prepared.policy
        self._dates = None if prepared.selection.dates is None else frozenset(prepared.selection.dates)

    def over(self, past: Iterable[RunRow]) -> Iterable[RunRow]:
        return past if self._conf is None else self._look(past)

    def _look(self, past: Iterable[RunRow]) -> Iterator[RunRow]:
        from backfill_cli.core.planning import decide_action

        for run in past:
            if run.conf != self._conf and (self._dates is None or run.logical_date in self._dates):
                decided = decide_action(run, self._policy)
                if decided is not None and decided[0] in (Action.SKIP, Action.RESUME):
                    self.count += 1
                    self.first = run.logical_date if self.first is None else self.first
            yield run


def _problems(
    ctx: AppContext, prepared: Prepared, summary: PlanSummary, watch: ConfWatch, store: Store
) -> list[Problem]:
    from backfill_cli.core.instants import iso

    found = [*prepared.target.warnings, *prepared.selection.notes]
    if watch.count:
        found.append(
            Problem(
                "conf-differs",
                f"{watch.count} dates, the first {iso(watch.first)}, already have another conf",
                "leave --conf out to keep theirs, or name the dates with --reprocess success, failed or all",
            )
        )
    found += moved_warnings(prepared.target, store)
    found += left_to_others(summary)
    if summary.to_run:
        found += open_folder_warnings(store)
        found += warnings_for(ctx, prepared.target, prepared.options, summary)
    return found


def _rows_again(ctx: AppContext, prepared: Prepared) -> Callable[[], Iterator[PlanRow]]:
    """Return a function that walks the plan anew: results outlive the store they were read from."""

    def rows() -> Iterator[PlanRow]:
        selection = prepared.selection
        with ctx.store(write=False) as store:
            yield from prepared.rows(
                history(store, prepared.dag.dag_id, selection.first, selection.last, backwards=selection.backwards)
            )

    return rows


def plan(ctx: AppContext, options: BackfillOptions) -> PlanResult:
    """Return the plan; unless it is a dry run, store it as a `planned` backfill and say its id.

    Planning the same selection again replaces the stored plan. A plan with nothing to run is not stored.
    """
    from backfill_cli.app.claiming import store_plan
    from backfill_cli.app.jobs import Job
    from backfill_cli.app.manner import manner_of

    with ctx.store(write=False) as store:
        prepared = prepare(ctx, options, store)
        result = preview(ctx, prepared, store, dry_run=options.dry_run)
        result = told_of_holders(store, result, options.on_conflict)
    manner_of(ctx, Job(prepared.target, options, prepared, result))
    if options.dry_run or not result.to_run:
        return result
    with ctx.store(write=True) as store:
        backfill_id, head = store_plan(ctx, prepared, result, store)
    next_command = run_command(backfill_id, options)
    return replace(result, backfill_id=backfill_id, audit_head=head, next_command=next_command)
