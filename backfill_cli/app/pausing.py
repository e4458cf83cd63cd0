"""`bfill dags pause|unpause`: whether the scheduler creates anything for a DAG.

Owns the change and its entry. What has been created goes on; backfills are not concerned.
"""

from __future__ import annotations

from backfill_cli.app.claiming import register
from backfill_cli.app.context import AppContext
from backfill_cli.app.targets import find_target
from backfill_cli.app.trail import record
from backfill_cli.core.listings import PauseResult
from backfill_cli.core.options import BackfillOptions
from backfill_cli.core.ports import Writer


def pause(ctx: AppContext, name: str, *, paused: bool, reason: str | None) -> PauseResult:
    """Pause a DAG, or let the scheduler go on with it; nothing is recorded when it is so already."""
    with ctx.store(write=False) as store:
        target = find_target(ctx, BackfillOptions(dag_id=name), store)
    dag = target.dag

    def work(writer: Writer) -> PauseResult:
        known = writer.dag(dag.dag_id)
        before = None if known is None else known.paused_at
        if (before is not None) == paused:
            return PauseResult(dag.dag_id, paused=paused, changed=False)
        register(ctx, target, writer)
        writer.pause_dag(dag.dag_id, ctx.clock.now_us() if paused else None)
        details = {"dag_id": dag.dag_id}
        action = "dags pause" if paused else "dags unpause"
        head = record(ctx, writer, action, dag.dag_id, outcome="done", reason=reason, details=details)
        return PauseResult(dag.dag_id, paused=paused, changed=True, audit_head=head)

    with ctx.store(write=True) as store:
        return store.write(work)
