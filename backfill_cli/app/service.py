"""The Python face of bfill: `BackfillService`, one method a command. The command line is a thin layer over it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backfill_cli.app.context import AppContext
from backfill_cli.app.secrets import learn
from backfill_cli.app.targets import has_selection
from backfill_cli.core.records import Control

if TYPE_CHECKING:
    from datetime import date, datetime

    from backfill_cli.core.audits import AuditResult, AuditVerdict
    from backfill_cli.core.explanations import ExplainResult
    from backfill_cli.core.listening import Listener
    from backfill_cli.core.listings import DagResult, DagsResult, LogsResult, PauseResult
    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.pooling import PoolChange, PoolsResult
    from backfill_cli.core.ports import Clock
    from backfill_cli.core.records import BackfillRow
    from backfill_cli.core.reports import AuditReport
    from backfill_cli.core.results import BackfillPreview, BackfillResult, PlanResult, ResetResult
    from backfill_cli.core.scheduling import ScheduleOptions, ScheduleResult, Watcher
    from backfill_cli.core.standing import StatusResult
    from backfill_cli.core.steering import SteeringResult
    from backfill_cli.core.upkeep import BackupResult, CheckResult, PruneResult
    from backfill_cli.loader.settings import Settings

    When = date | datetime


class BackfillService:
    """Plans, runs, repairs, resets and explains backfills over one store.

    Args:
        store: Path or URL; None takes `BFILL_STORE`, then `bfill.toml`, then `.bfill/bfill.db`.
        settings: All settings; None reads them from the working directory and the environment.
        workers: Tasks at once.
        clock: Where time comes from; None is this machine's.
        command: The arguments of this process, for the audit trail.
        tell: Takes a line for the person who waits, when something takes longer than anybody expects.

    Every method raises a `BfillError` with `exit_code` and `hint` when it refuses; failed dates do not raise.
    """

    def __init__(
        self,
        *,
        store: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
        workers: int | None = None,
        clock: Clock | None = None,
        command: Sequence[str] = (),
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._asked: tuple[Path, dict[str, Any]] | None = None
        if settings is None:
            from backfill_cli.loader.settings import load_settings

            cwd, flags = self._asked = Path.cwd(), {"store": store and os.fspath(store), "workers": workers}
            settings = load_settings(cwd, os.environ, flags)
        elif store is not None:
            settings = replace(settings, store=os.fspath(store))
        learn(settings, os.environ)
        self._ctx = AppContext(settings, command=tuple(command))
        if clock is not None:
            self._ctx = replace(self._ctx, clock=clock)
        if tell is not None:
            self._ctx = replace(self._ctx, tell=tell)

    def plan(self, options: BackfillOptions) -> PlanResult:
        """Return what would happen to each date; store it as a `planned` backfill unless `options.dry_run`."""
        if options.rerun_failed:
            from backfill_cli.app.rerun_failed import plan_rerun

            return plan_rerun(self._ctx, options)
        if options.backfill_id is not None or (options.dry_run and not has_selection(options)):
            from backfill_cli.app.jobs import preview_stored

            return preview_stored(self._ctx, options)
        from backfill_cli.app.plan import plan

        return plan(self._ctx, options)

    def run(
        self,
        options: BackfillOptions,
        *,
        listener: Listener | None = None,
        signals: bool = False,
        choose: Callable[[list[BackfillRow]], BackfillRow] | None = None,
        confirm: Callable[[str], bool] | None = None,
    ) -> BackfillResult:
        """Run the selection, the backfill of an id, or the one that waits.

        Args:
            listener: Sees every batch after its commit.
            signals: bfill is the whole process: INT, TERM and HUP stop the run, and stdout is protected from tasks.
            choose: Asked when several backfills wait and neither a selection nor an id was given.
            confirm: Asked before another backfill is cancelled (`on_conflict`), unless `options.yes`.
        """
        from backfill_cli.app.run import run

        return run(self._context(signals), options, listeners=_listeners(listener), choose=choose, confirm=confirm)

    def would_rerun(self, options: BackfillOptions) -> PlanResult | BackfillResult:
        """Return what `rerun_failed` would do: a plan, or that there is nothing to do. Nothing is stored."""
        from backfill_cli.app.rerun_failed import would_rerun

        return would_rerun(self._ctx, options)

    def rerun_failed(
        self,
        options: BackfillOptions,
        *,
        listener: Listener | None = None,
        signals: bool = False,
        confirm: Callable[[str], bool] | None = None,
    ) -> BackfillResult:
        """Run again what failed in the selection, in the backfill of the id, or in the latest one with failures."""
        from backfill_cli.app.rerun_failed import rerun_failed

        return rerun_failed(self._context(signals), options, listeners=_listeners(listener), confirm=confirm)

    def backfill(self, options: BackfillOptions) -> BackfillPreview | BackfillResult:
        """Do what the options say: preview (`dry_run`), run failed dates again (`rerun_failed`), or run."""
        if options.dry_run:
            return _preview(self.plan(options))
        return self.rerun_failed(options) if options.rerun_failed else self.run(options)

    def reset(
        self,
        options: BackfillOptions,
        *,
        tasks: tuple[str, ...] = (),
        downstream: bool = False,
        where: frozenset[str] = frozenset(),
        confirm: Callable[[str], bool] | None = None,
    ) -> ResetResult:
        """Clear task instances and XComs of the selection; asks `confirm` with the counts unless `options.yes`."""
        from backfill_cli.app.reset import reset

        return reset(self._ctx, options, tasks=tasks, downstream=downstream, where=where, confirm=confirm)

    def pause(self, backfill_id: str, *, reason: str | None = None) -> SteeringResult:
        """Let nothing new start in a running backfill until `resume`; what runs ends by itself."""
        return self._steer(backfill_id, Control.PAUSE, reason=reason)

    def resume(self, backfill_id: str, *, reason: str | None = None) -> SteeringResult:
        """Let a paused backfill go on."""
        return self._steer(backfill_id, Control.RESUME, reason=reason)

    def cancel(self, backfill_id: str, *, drain: bool = False, reason: str | None = None) -> SteeringResult:
        """End a backfill for good: running tries at once, or with `drain` when they have ended by themselves."""
        return self._steer(backfill_id, Control.CANCEL, reason=reason, drain=drain)

    def set(self, backfill_id: str, *, parallel: int, reason: str | None = None) -> SteeringResult:
        """Change how many dates a backfill has open together, now and when it is gone on with."""
        return self._steer(backfill_id, Control.SET, reason=reason, parallel=parallel)

    def skip(self, backfill_id: str, dates: Sequence[When], *, reason: str | None = None) -> SteeringResult:
        """Leave dates out of a backfill, running or at rest, in which nothing has begun: all of them, or none."""
        from backfill_cli.app.skipping import skip

        return skip(self._ctx, backfill_id, dates, reason=reason)

    def _steer(self, backfill_id: str, action: Control, *, reason: str | None, **args: Any) -> SteeringResult:
        from backfill_cli.app.steering import steer

        return steer(self._ctx, backfill_id, action, args, reason=reason)

    def status(
        self,
        options: BackfillOptions,
        *,
        where: frozenset[str] = frozenset(),
        gaps: bool = False,
        limit: int = 1_000,
        after: When | None = None,
    ) -> StatusResult:
        """Return how the latest backfills, one of them, or a range of a DAG stand."""
        from backfill_cli.app.status import status

        return status(self._ctx, options, where=where, gaps=gaps, limit=limit, after=after)

    def audit(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        target: str | None = None,
        since: When | None = None,
        until: When | None = None,
        limit: int | None = None,
    ) -> AuditResult:
        """Return the matching entries of the audit chain, oldest first."""
        from backfill_cli.app.audit import audit

        return audit(self._ctx, actor=actor, action=action, target=target, since=since, until=until, limit=limit)

    def audit_verify(self, *, expect_head: str | None = None) -> AuditVerdict:
        """Check the audit chain, and the attempts it closed."""
        from backfill_cli.app.audit import verify

        return verify(self._ctx, expect_head=expect_head)

    def audit_report(
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        dag: str | None = None,
        target: str | None = None,
        actor: str | None = None,
    ) -> AuditReport:
        """Return the compliance report of a period: who did what, why, with which result, and whether it holds."""
        from backfill_cli.app.audit_report import audit_report

        return audit_report(self._ctx, since=since, until=until, dag=dag, target=target, actor=actor)

    def store_check(self, *, tell: Callable[[str, int], None] | None = None) -> CheckResult:
        """Return what is wrong with the store; `tell` hears what is being looked at, and how many rows of it were."""
        from backfill_cli.app.store_check import check

        return check(self._ctx, tell=tell)

    def store_backup(
        self, target: str | os.PathLike[str], *, yes: bool = False, confirm: Callable[[str], bool] | None = None
    ) -> BackupResult:
        """Copy the store to a file while others write; asks `confirm` before it replaces one, unless `yes`."""
        from backfill_cli.app.store_backup import backup

        return backup(self._ctx, Path(target), yes=yes, confirm=confirm)

    def store_prune(
        self,
        older_than: str,
        *,
        dag_id: str | None = None,
        dry_run: bool = False,
        yes: bool = False,
        reason: str | None = None,
        confirm: Callable[[str], bool] | None = None,
    ) -> PruneResult:
        """Remove tries, XComs, logs and planned dates of what succeeded longer ago than `90d`, or before a date."""
        from backfill_cli.app.store_prune import prune

        return prune(self._ctx, older_than, dag_id=dag_id, dry_run=dry_run, yes=yes, reason=reason, confirm=confirm)

    def pools(self) -> PoolsResult:
        """Return every pool: its size and who says so, who has its slots, what waits."""
        from backfill_cli.app.pools import list_pools

        return list_pools(self._ctx)

    def set_pool(
        self, name: str, slots: int | str, *, description: str | None = None, reason: str | None = None
    ) -> PoolChange:
        """Make a pool or give it another size, for all processes of the store at once; -1 is no limit, 0 holds."""
        from backfill_cli.app.pools import set_pool

        return set_pool(self._ctx, name, slots, description=description, reason=reason)

    def delete_pool(
        self,
        name: str,
        *,
        yes: bool = False,
        confirm: Callable[[str], bool] | None = None,
        reason: str | None = None,
    ) -> PoolChange:
        """Forget what was set for a pool; asks `confirm` when something uses it, unless `yes`."""
        from backfill_cli.app.pools import delete_pool

        return delete_pool(self._ctx, name, yes=yes, confirm=confirm, reason=reason)

    def schedule(
        self,
        options: ScheduleOptions,
        *,
        listener: Listener | None = None,
        signals: bool = False,
        watcher: Watcher | None = None,
    ) -> ScheduleResult:
        """Create and run what is due of the DAGs, once; `listener` and `signals` as for `run`.

        With a `watcher` in place of a listener, and where bfill is the whole process, DAGs run side by side.
        """
        from backfill_cli.app.scheduler import schedule_once

        return schedule_once(self._context(signals), options, _listeners(listener), watcher)

    def stay(
        self,
        options: ScheduleOptions,
        watcher: Watcher,
        *,
        is_watched: bool = False,
        take: Callable[[Settings], None] | None = None,
    ) -> ScheduleResult:
        """Create and run what is due as it comes due, until a signal, `options.until`, or the end of all DAGs.

        Only where bfill is the whole process; each shift runs in one of its own. Settings that were read from a file
        are read again when it changes.

        Args:
            is_watched: `watcher` wants to be told every second what is waited for.
            take: Told of changed settings before they hold; raises BfillError when they cannot.
        """
        from backfill_cli.app.resident import stay
        from backfill_cli.app.settings_watch import SettingsWatch
        from backfill_cli.loader.settings_source import SettingsSource

        source = None if self._asked is None else SettingsSource(self._asked[0], os.environ, self._asked[1])
        ctx = self._context(True)
        return stay(ctx, options, watcher, settings=SettingsWatch(ctx, source, take), is_watched=is_watched)

    def pause_dag(self, target: str, *, paused: bool, reason: str | None = None) -> PauseResult:
        """Let the scheduler create nothing for a DAG, or again what is due."""
        from backfill_cli.app.pausing import pause

        return pause(self._ctx, target, paused=paused, reason=reason)

    def dags(self) -> DagsResult:
        """Return the DAGs of the dags folders."""
        from backfill_cli.app.dags import list_all

        return list_all(self._ctx)

    def show_dag(self, target: str) -> DagResult:
        """Return one DAG in full."""
        from backfill_cli.app.dags import show

        return show(self._ctx, target)

    def validate(self, targets: Sequence[str] = ()) -> DagsResult:
        """Return what is wrong with these DAGs, or with all of them."""
        from backfill_cli.app.dags import validate

        return validate(self._ctx, targets)

    def logs(
        self, options: BackfillOptions, *, date: When, task_id: str | None = None, try_number: int | None = None
    ) -> LogsResult:
        """Return the tries of a date with their logs."""
        from backfill_cli.app.logs import logs

        return logs(self._ctx, options, date=date, task_id=task_id, try_number=try_number)

    def explain(self, options: BackfillOptions, *, date: When, task_ids: tuple[str, ...] = ()) -> ExplainResult:
        """Return why one date is taken or left out, how its tasks stand, and what each of them waits for."""
        from backfill_cli.app.explain import explain

        return explain(self._ctx, options, when=date, task_ids=task_ids)

    @property
    def settings(self) -> Settings:
        """The settings this service goes by."""
        return self._ctx.settings

    @property
    def log_folder(self) -> Path:
        """Where the logs of tries are: `DAG_ID/RUN_ID/TASK_ID.TRY.log` below it."""
        with self._ctx.store(write=False) as store:
            return Path(store.logs)

    def _context(self, signals: bool) -> AppContext:
        return replace(self._ctx, own_process=True) if signals else self._ctx


def _listeners(listener: Listener | None) -> tuple[Listener, ...]:
    return () if listener is None else (listener,)


def _preview(plan: PlanResult) -> BackfillPreview:
    from backfill_cli.core.instants import instant
    from backfill_cli.core.records import Action
    from backfill_cli.core.results import BackfillPreview

    dates: list[datetime] = []
    existing: list[datetime] = []
    new: list[datetime] = []
    for row in plan.rows():
        at = instant(row.logical_date)
        dates.append(at)
        (new if row.action is Action.CREATE else existing).append(at)
    return BackfillPreview(dates, existing, new, plan)
