"""Hand-made passes of the scheduler: what its screens, and those of `dags pause|unpause`, are looked at with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from backfill_cli.core.listings import PauseResult
from backfill_cli.core.results import BackfillResult
from backfill_cli.core.scheduling import Earlier, ScheduleResult, Standing
from backfill_cli.core.standing import StatusResult
from backfill_cli.core.states import BackfillState

DUE = 1_712_008_800  # 2024-04-02 00:00 in Paris
HEAD = "1042:9f3c81d2" + "0" * 56


def ran(dag_id: str, completed: int, failed: int = 0, blocked: int = 0) -> BackfillResult:
    """What one pass has run of a DAG."""
    return BackfillResult(
        backfill_id="sc-20240401-7k2m",
        parent_id=None,
        dag_id=dag_id,
        state=BackfillState.FAILED if failed or blocked else BackfillState.SUCCESS,
        total_dates=completed + failed + blocked,
        completed=completed,
        failed=failed,
        blocked=blocked,
        skipped=0,
        remaining=0,
        interrupted=0,
        started_at=1_711_965_731_000_000,
        ended_at=1_711_965_739_000_000,
        results=[],
        audit_head=HEAD,
        timezone="Europe/Paris",
        next_command="bfill rerun-failed sc-20240401-7k2m" if failed else "",
    )


def passed() -> ScheduleResult:
    """A pass over a DAG that caught up, one that failed, one that waits, one that is paused, and one that is broken."""
    return ScheduleResult(
        (
            Standing("daily_sales", "all that is due has run", "Europe/Paris", DUE, (ran("daily_sales", 9),)),
            Standing(
                "stock",
                "catchup=False: only the latest complete interval",
                "Europe/Paris",
                DUE,
                (ran("stock", 2, 1, 4),),
            ),
            Standing("weekly_report", "its start_date is still to come", "Europe/Paris", DUE + 5 * 86_400),
            Standing("moved", "paused", "Europe/Paris"),
            Standing("broken", error="dags/broken.py:3: NameError: name 'dga' is not defined", hint="mend the file"),
        )
    )


def stayed() -> ScheduleResult:
    """A scheduler that has stayed until it was stopped: one line a DAG."""
    return ScheduleResult(
        (
            Standing(
                "daily_sales",
                "all that is due has run",
                "Europe/Paris",
                DUE,
                (ran("daily_sales", 1), ran("daily_sales", 1)),
                earlier=Earlier(28, 28, 0),
            ),
            Standing("stock", "all that is due has run", "Europe/Paris", DUE, (ran("stock", 0, 1), ran("stock", 1))),
            Standing("weekly_report", "no interval is complete yet", "Europe/Paris", DUE + 5 * 86_400),
        ),
        why="stopped",
    )


def looked_after() -> StatusResult:
    """Nothing has run yet, and a scheduler waits."""
    return StatusResult(None, schedulers=[(4711, 1_711_965_731_000_000)])


SAMPLES: dict[str, tuple[str, Callable[[], Any]]] = {
    "scheduler": ("scheduler", passed),
    "scheduler-stayed": ("scheduler", stayed),
    "status-latest-scheduler": ("status", looked_after),
    "scheduler-nothing": ("scheduler", partial(ScheduleResult, ())),
    "dags-pause": ("dags pause", partial(PauseResult, "daily_sales", paused=True, changed=True, audit_head=HEAD)),
    "dags-unpause": ("dags unpause", partial(PauseResult, "daily_sales", paused=False, changed=False)),
}
