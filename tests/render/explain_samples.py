"""Hand-made explanations of a date, with a fixed clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from backfill_cli.core.explaining import Cause, Check
from backfill_cli.core.explanations import ExplainResult, InBackfill, PreviousRun, SelectionRule, TaskExplained
from backfill_cli.core.instants import run_id
from backfill_cli.core.records import Action, AttemptRow, BackfillDateRow, InstanceRow, RunRow, RunType
from backfill_cli.core.states import BackfillState, Outcome, RunState, TaskState

PARIS = "Europe/Paris"
NOW_US = 1_711_965_731_000_000  # 2024-04-01T10:02:11Z


def day(text: str) -> int:
    """Epoch seconds of a midnight in Paris."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PARIS)).timestamp())


def blocked() -> ExplainResult:
    """A blocked date: a chain two dates long, a gap in history, every kind of verdict."""
    one, before, first = day("2024-03-14"), day("2024-03-12"), day("2024-03-11")
    run = RunRow(
        one, day("2024-03-15"), RunType.BACKFILL, RunState.QUEUED, "3f9c2a1", "{}", NOW_US, None,
        "load waits for 2024-03-12: load is scheduled there", "bf-20240401-7k2m",
    )  # fmt: skip
    planned = BackfillDateRow(
        one, run.data_interval_end, Action.CREATE, None, "no run yet", run.state, None, None, None
    )
    cause = Cause(first, "load", "failed", "HTTP 503 from the warehouse in 东京, after a long wait for an answer", 2)
    tried = AttemptRow(
        one, "extract", 2, NOW_US, NOW_US + 9_000_000, Outcome.SUCCESS, None, run.version, run.backfill_id
    )
    done = InstanceRow(one, "extract", TaskState.SUCCESS, 2, 1, 0, NOW_US, NOW_US + 9_000_000, None, None)
    held = "load on 2024-03-12 is scheduled; it must be success or skipped"
    tasks = [
        TaskExplained("extract", "success", done, tried),
        TaskExplained(
            "load",
            "scheduled",
            checks=[
                Check("all_success", "met", "1 of 1 before it ended: 1 success"),
                Check("depends_on_past", "held", held, before, "load", "scheduled"),
                Check(
                    "wait_for_downstream", "waits", "publish on 2024-03-12 is running; it must be success or skipped"
                ),
            ],
            cause=cause,
        ),
        TaskExplained(
            "publish",
            "scheduled",
            checks=[Check("one_success", "decides", "1 of 1 before it ended: 1 failed; it will be upstream_failed")],
            cause=cause,
        ),
        TaskExplained("tidy", "success", removed=True),
    ]
    return ExplainResult(
        "daily_sales",
        "77ab01c",
        "@daily",
        PARIS,
        one,
        run.data_interval_end,
        run_id("backfill", one),
        [
            SelectionRule("schedule", True, "a logical date of @daily; its neighbours are 2024-03-13 and 2024-03-15"),
            SelectionRule("dag-bounds", True, "the DAG starts 2024-01-01"),
            SelectionRule("complete", False, "not over before 2024-03-15; --include-incomplete takes it"),
        ],
        Action.RESUME,
        "blocked",
        "blocked",
        run,
        held_by=(4711, "crate"),
        backfill=InBackfill("bf-20240401-7k2m", BackfillState.FAILED, planned),
        waits_on_past=True,
        previous=PreviousRun(before, "blocked", 1, day("2024-03-13"), day("2024-03-13")),
        tasks=tasks,
        target="daily_sales",
        next_command="bfill rerun-failed --dag daily_sales --start 2024-03-11 --end 2024-03-14",
    )


def failed() -> ExplainResult:
    """A date that failed at its third try."""
    one = day("2024-03-11")
    why = "HTTP 503 from the warehouse"
    tried = AttemptRow(one, "load", 3, NOW_US, NOW_US + 61_000_000, Outcome.FAILED, why, "77ab01c", "bf-1")
    row = InstanceRow(one, "load", TaskState.FAILED, 3, 3, 0, NOW_US, NOW_US + 61_000_000, None, why)
    return replace(
        blocked(),
        logical_date=one,
        state="failed",
        run=None,
        held_by=None,
        action=None,
        previous=None,
        tasks=[TaskExplained("load", "failed", row, tried)],
        next_command="bfill rerun-failed --dag daily_sales --dates 2024-03-11",
    )
