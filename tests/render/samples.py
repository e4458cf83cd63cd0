"""Hand-made results, one a screen, with a fixed clock: what goldens, JSON pins and eyes look at.

`python tests/render/samples.py [NAME] [WIDTH]` prints them as a terminal would show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from backfill_cli.core.audits import AuditResult, AuditVerdict, Finding
from backfill_cli.core.graph import Dag, Task, TriggerRule, sort_tasks
from backfill_cli.core.instants import instant, run_id
from backfill_cli.core.listings import DagInfo, DagResult, DagsResult, LogEntry, LogsResult
from backfill_cli.core.problems import Problem
from backfill_cli.core.records import Action, AuditRow, BackfillRow, PlanRow
from backfill_cli.core.results import (
    ActionGroup,
    BackfillResult,
    DateResult,
    Estimate,
    FailureGroup,
    PlanResult,
    Reexecuted,
    ResetResult,
)
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.schedules import compile_schedule
from backfill_cli.core.standing import BackfillView, RunView, SlowTask, StatusResult, TaskView
from backfill_cli.core.states import BackfillState, RunState
from backfill_cli.core.waits import Wait, Waits
from render import explain_samples, pool_samples, scenario_samples, scheduler_samples, steering_samples, store_samples

PARIS = "Europe/Paris"
NOW_US = 1_711_965_731_000_000  # 2024-04-01T10:02:11Z
ID = "bf-20240401-7k2m"
TASKS = ("extract", "clean", "load", "publish")


def day(text: str, zone: str = PARIS) -> int:
    """Epoch seconds of local midnight of a day, or of a local time of it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def days(first: str, last: str, zone: str = PARIS) -> list[int]:
    """Epoch seconds of the local midnights from first to last, both included."""
    start, end = date.fromisoformat(first), date.fromisoformat(last)
    return [day((start + timedelta(days=one)).isoformat(), zone) for one in range((end - start).days + 1)]


def dag() -> Dag:
    tasks = [
        Task("extract", retry=RetryPolicy(retries=2, delay_s=5.0), pool="warehouse"),
        Task("clean", upstream=frozenset({"extract"})),
        Task("load", upstream=frozenset({"clean"}), depends_on_past=True, execution_timeout_s=600),
        Task("publish", upstream=frozenset({"load", "clean"}), trigger_rule=TriggerRule.NONE_FAILED),
    ]
    return Dag(
        dag_id="daily_sales",
        schedule=compile_schedule("@daily", zone=PARIS, anchor=day("2024-01-01")),
        timezone=PARIS,
        tasks=sort_tasks("daily_sales", tasks),
        start_date=day("2024-01-01"),
        max_active_runs=16,
        version="3f9c2a1d0b77",
        path="dags/sales.py",
        description="Sales of each shop and day",
        tags=("sales", "core"),
    )


def plan_rows() -> list[PlanRow]:
    rows = []
    special = {4: "failed", 11: "failed", 12: "failed", 19: "interrupted"}
    for number, one in enumerate(days("2024-03-01", "2024-03-31"), 1):
        end = day(f"2024-03-{number + 1:02d}") if number < 31 else day("2024-04-01")
        if number <= 3:
            row = PlanRow(one, end, Action.SKIP, RunState.SUCCESS, "succeeded, same version")
        elif special.get(number) == "failed":
            row = PlanRow(one, end, Action.RERUN, RunState.FAILED, "failed")
        elif number == 19:
            row = PlanRow(one, end, Action.RESUME, RunState.RUNNING, "interrupted 2024-04-01")
        else:
            row = PlanRow(one, end, Action.CREATE, None, "no run yet")
        rows.append(row)
    return rows


def groups_of(rows: Iterable[PlanRow]) -> list[ActionGroup]:
    found: dict[tuple[Action, str], list[int]] = {}
    for row in rows:
        found.setdefault((row.action, row.reason), []).append(row.logical_date)
    order = list(Action)
    return [
        ActionGroup(action, reason, len(dates), tuple(dates[:12]), dates[-1])
        for (action, reason), dates in sorted(found.items(), key=lambda one: order.index(one[0][0]))
    ]


def plan(**changes: Any) -> PlanResult:
    rows = changes.pop("plan_rows", plan_rows())
    to_run = [row for row in rows if row.action is not Action.SKIP]
    counts = {action: sum(row.action is action for row in rows) for action in Action}
    command = "bfill run --dag daily_sales --start 2024-03-01 --end 2024-03-31 --parallel 4 --reprocess failed"
    values: dict[str, Any] = {
        "dag": dag(),
        "first": rows[0].logical_date if rows else None,
        "last": rows[-1].logical_date if rows else None,
        "asked": "2024-03-01 … 2024-03-31, whole days, both included",
        "counts": counts,
        "groups": groups_of(rows),
        "head": to_run[:5],
        "tail": to_run[-5:],
        "rows": lambda: iter(rows),
        "estimate": Estimate(112, 360.0, 540.0, 120),
        "warnings": [
            Problem("clock-change", "03-31 has 23 hours: clocks change in Europe/Paris"),
            Problem(
                "utc-ds",
                "ds is the UTC date, so 03-05 renders 2024-03-04; local_ds renders 2024-03-05",
                "write {{ local_ds }} where the local day is meant",
            ),
        ],
        "parallel": 4,
        "backwards": False,
        "dry_run": True,
        "next_command": command,
    }
    return PlanResult(**(values | changes))


def plan_nothing() -> PlanResult:
    rows = plan_rows()[:3]
    return plan(
        plan_rows=rows, asked="2024-03-01 … 2024-03-03, whole days, both included", warnings=[], next_command=""
    )


def plan_empty() -> PlanResult:
    note = Problem("empty", "no interval is complete in this range", "the next logical date is 2024-04-01")
    return plan(plan_rows=[], warnings=[note], next_command="", dry_run=False)


def run_failed() -> BackfillResult:
    results = []
    for one in days("2024-03-04", "2024-03-31"):
        bad = one in (day("2024-03-11"), day("2024-03-12"))
        state = "failed" if bad else "success"
        reason = "load: HTTP 503 from warehouse" if bad else None
        results.append(DateResult(instant(one), run_id("backfill", one), state, 4.25, reason))
    return BackfillResult(
        backfill_id=ID,
        parent_id=None,
        dag_id="daily_sales",
        state=BackfillState.FAILED,
        total_dates=28,
        completed=26,
        failed=2,
        blocked=0,
        skipped=0,
        remaining=0,
        interrupted=0,
        started_at=NOW_US,
        ended_at=NOW_US + 552_000_000,
        results=results,
        audit_head="1042:9f3c81d2e05577aa",
        failures=(FailureGroup("load", "HTTP 503 from warehouse", (day("2024-03-11"), day("2024-03-12")), 2),),
        next_command=f"bfill rerun-failed {ID}",
        timezone=PARIS,
    )


def run_ok() -> BackfillResult:
    dates = days("2024-03-01", "2024-03-07")
    return BackfillResult(
        backfill_id=ID,
        parent_id=None,
        dag_id="daily_sales",
        state=BackfillState.SUCCESS,
        total_dates=7,
        completed=7,
        failed=0,
        blocked=0,
        skipped=0,
        remaining=0,
        interrupted=0,
        started_at=NOW_US,
        ended_at=NOW_US + 1_250_000,
        results=[DateResult(instant(one), run_id("backfill", one), "success", 0.5, None) for one in dates],
        audit_head="3:aa11bb22cc33dd44",
        timezone=PARIS,
    )


def run_blocked() -> BackfillResult:
    dates = days("2024-03-10", "2024-03-14")
    states = ["success", "failed", "blocked", "blocked", "blocked"]
    why = [None, "load: bad row 17", *["waits for load of 2024-03-11, which failed"] * 3]
    return BackfillResult(
        backfill_id="bf-20240402-9x1a",
        parent_id=ID,
        dag_id="daily_sales",
        state=BackfillState.FAILED,
        total_dates=5,
        completed=1,
        failed=1,
        blocked=3,
        skipped=0,
        remaining=0,
        interrupted=0,
        started_at=NOW_US,
        ended_at=NOW_US + 61_000_000,
        results=[
            DateResult(instant(one), run_id("backfill", one), state, None, reason)
            for one, state, reason in zip(dates, states, why, strict=True)
        ],
        audit_head="1050:0011223344556677",
        failures=(FailureGroup("load", "bad row 17", (dates[1],), 1),),
        reexecuted=(Reexecuted(dates[0], "extract", 1),),
        next_command="bfill rerun-failed bf-20240402-9x1a",
        timezone=PARIS,
    )


def run_interrupted() -> BackfillResult:
    return BackfillResult(
        backfill_id=ID,
        parent_id=None,
        dag_id="daily_sales",
        state=BackfillState.INTERRUPTED,
        total_dates=31,
        completed=9,
        failed=0,
        blocked=0,
        skipped=3,
        remaining=19,
        interrupted=2,
        started_at=NOW_US,
        ended_at=NOW_US + 30_000_000,
        results=[],
        audit_head="7:abcdefabcdef",
        stopped_by=2,
        reason="stopped by SIGINT",
        next_command=f"bfill run {ID}",
        timezone=PARIS,
    )


def reset() -> ResetResult:
    dates = [instant(one) for one in days("2024-03-11", "2024-03-14")]
    command = "bfill run --dag daily_sales --start 2024-03-11 --end 2024-03-14"
    return ResetResult("daily_sales", dates, 12, 7, "1044:77aa88bb99cc", next_command=command, timezone=PARIS)


def task_view(state: str, seconds: float | None = None, tries: int = 1) -> TaskView:
    ended = None if seconds is None else NOW_US + int(seconds * 1_000_000)
    return TaskView(state, tries, NOW_US if seconds is not None else None, ended, None, None)


def run_view(one: int, state: str, **changes: Any) -> RunView:
    values: dict[str, Any] = {"reason": None, "stale": False, "tasks": {}}
    return RunView(one, run_id("backfill", one), state, **(values | changes))


def backfill_row(**changes: Any) -> BackfillRow:
    values: dict[str, Any] = {
        "backfill_id": ID,
        "dag_id": "daily_sales",
        "state": BackfillState.RUNNING,
        "version": "3f9c2a1",
        "identity": "x",
        "request": {"parallel": 4},
        "created_at": NOW_US,
        "first": day("2024-03-01"),
        "last": day("2024-03-31"),
        "planned": {Action.CREATE: 28, Action.SKIP: 3},
        "started_at": NOW_US,
        "completed": 17,
        "failed": 2,
    }
    return BackfillRow(**(values | changes))


def status_range() -> StatusResult:
    runs = []
    for one in days("2024-03-01", "2024-04-30"):
        text = instant(one + 7200).strftime("%m-%d")
        state = "failed" if text in ("03-11", "03-12") else "missing" if text in ("04-13", "04-14") else "success"
        runs.append(run_view(one, state, stale=text in ("03-01", "03-02", "03-03")))
    bad = (day("2024-03-11"), day("2024-03-12"))
    return StatusResult(
        dag_id="daily_sales",
        first=day("2024-03-01"),
        last=day("2024-04-30"),
        timezone=PARIS,
        schedule="@daily",
        counts={"success": 54, "failed": 2, "stale": 3, "missing": 2},
        task_ids=TASKS,
        runs=runs,
        gaps=[(day("2024-04-13"), day("2024-04-14"), 2)],
        slowest=[SlowTask("load", 41.0, 9.0, day("2024-03-17"))],
        failures=[FailureGroup("load", "HTTP 503 from warehouse", bad, 2)],
        stale_because={"task load changed": days("2024-03-01", "2024-03-03")},
        next_command="bfill rerun-failed --dag daily_sales --start 2024-03-01 --end 2024-04-30",
    )


def status_backfill() -> StatusResult:
    dates = days("2024-03-18", "2024-03-22")
    done = {one: task_view("success", 2.5) for one in TASKS}
    runs = [
        run_view(dates[0], "success", tasks=done),
        run_view(
            dates[1],
            "failed",
            reason="load: HTTP 503 from warehouse",
            tasks={
                "extract": task_view("success", 2.0),
                "clean": task_view("success", 0.25),
                "load": task_view("failed", 41.0, 3),
                "publish": task_view("upstream_failed"),
            },
        ),
        run_view(dates[2], "running", tasks={"extract": task_view("success", 3.0), "clean": task_view("running")}),
        run_view(dates[3], "blocked", reason="waits for load of 2024-03-19, which failed"),
        run_view(dates[4], "remaining"),
    ]
    view = BackfillView(backfill_row(), "running", pid=4711, host="etl1", rate_per_min=3.1, eta_s=170.0, timezone=PARIS)
    return StatusResult(
        dag_id="daily_sales",
        backfill=view,
        first=dates[0],
        last=dates[-1],
        timezone=PARIS,
        schedule="@daily",
        counts={"success": 1, "failed": 1, "running": 1, "blocked": 1, "remaining": 1},
        task_ids=TASKS,
        runs=runs,
        more=True,
        after=dates[-1],
    )


def status_waiting() -> StatusResult:
    """Many tasks of several kinds wait, for reasons of every length."""
    dates = days("2024-03-18", "2024-04-02")
    whys = {
        "pool warehouse: needs 2, 1 of 4 free; bf-20240401-9d4x holds 2, bf-20240401-a1b2 holds 1": 18,
        "max_active_tis_per_dag of publish: needs 1, 0 of 2 free": 1,
        "the next try": 2,
    }
    first, second, _ = whys
    tasks = [Wait(one, task_id, first) for task_id in ("load", "clean") for one in dates[2:11]]
    tasks.append(Wait(dates[2], "publish", second))
    return replace(status_backfill(), waits=Waits(whys, tasks), failures=(), reexecuted=())


def status_hourly() -> StatusResult:
    """Two days around the hour that Paris skips."""
    first = day("2024-03-30")
    runs = [run_view(first + 3600 * hour, "failed" if hour == 30 else "success") for hour in range(47)]
    return StatusResult(
        dag_id="hourly_clicks",
        first=first,
        last=runs[-1].logical_date,
        timezone=PARIS,
        schedule="@hourly",
        counts={"success": 46, "failed": 1},
        runs=runs,
    )


def status_years() -> StatusResult:
    runs = [run_view(one, "success") for one in days("2022-06-15", "2024-02-29", "UTC")]
    return StatusResult(
        dag_id="weather",
        first=runs[0].logical_date,
        last=runs[-1].logical_date,
        schedule="@daily",
        counts={"success": len(runs)},
        runs=runs,
    )


def status_monthly() -> StatusResult:
    months = [day(f"{year}-{month:02d}-01") for year in (2023, 2024) for month in range(1, 13)][:15]
    runs = [run_view(one, "success" if number % 5 else "failed") for number, one in enumerate(months)]
    return StatusResult(
        dag_id="billing",
        first=months[0],
        last=months[-1],
        timezone=PARIS,
        schedule="@monthly",
        counts={"success": 12, "failed": 3},
        task_ids=(),
        runs=runs,
    )


def status_latest() -> StatusResult:
    rows = [
        BackfillView(backfill_row(), "running", pid=4711, host="etl1", timezone=PARIS),
        BackfillView(
            backfill_row(backfill_id="bf-20240331-a1b2", state=BackfillState.FAILED, completed=26),
            "failed",
            timezone=PARIS,
            is_broken=True,
        ),
        BackfillView(
            backfill_row(
                backfill_id="bf-20240330-zz99",
                dag_id="hourly_clicks_of_the_shop",
                first=day("2023-12-30"),
                last=day("2024-01-02"),
                completed=28,
                failed=0,
            ),
            "success",
            timezone=PARIS,
        ),
        BackfillView(
            backfill_row(
                backfill_id="bf-20240330-3kd2",
                state=BackfillState.INTERRUPTED,
                completed=9,
                reason="--max-failures 10%: 3 dates failed",
            ),
            "interrupted",
            timezone=PARIS,
        ),
        BackfillView(
            backfill_row(backfill_id="bf-20240329-p0p0", completed=0, failed=0, started_at=None),
            "planned",
            timezone=PARIS,
        ),
    ]
    return StatusResult(dag_id=None, backfills=rows)


def audit() -> AuditResult:
    rows = [
        AuditRow(
            1041,
            NOW_US,
            "ana",
            "etl1",
            "run",
            ID,
            "late file replaced",
            "started",
            {"dag_id": "daily_sales", "total": 28, "conf_digest": "9a1b"},
            "",
            "77aa88bb99cc",
        ),
        AuditRow(
            1042,
            NOW_US + 552_000_000,
            "ana",
            "etl1",
            "run",
            ID,
            None,
            "failed",
            {"completed": 26, "failed": 2, "argv": ["bfill", "run"]},
            "77aa88bb99cc",
            "9f3c81d2e05577aa",
        ),
    ]
    return AuditResult(rows, "1042:9f3c81d2e05577aa")


def verdict_good() -> AuditVerdict:
    return AuditVerdict(1042, "1042:9f3c81d2e05577aa", 311, 4_380)


def verdict_bad() -> AuditVerdict:
    findings = (
        Finding("chain-broken", "entry 17 was changed after it was written", entry=17),
        Finding(
            "run-changed",
            "dag_run daily_sales 2024-03-04T00:00:00+00:00, its task instances or its attempts were changed",
        ),
    )
    return AuditVerdict(1042, "1042:9f3c81d2e05577aa", 311, 4_380, findings)


def dags_list() -> DagsResult:
    return DagsResult(
        [
            DagInfo("daily_sales", "dags/sales.py", "@daily", PARIS, "3f9c2a1", 4, next_due=day("2024-04-02")),
            DagInfo("hourly_clicks", "dags/clicks.py", "0 * * * *", "UTC", "77aa88b", 2, paused=True),
            DagInfo(
                None,
                "dags/broken.py",
                error="NameError: name 'foo' is not defined",
                hint="the file is run as Python: define or import foo",
                code="dag-raised",
                where="dags/broken.py:12",
            ),
        ],
        folders=("dags",),
        exit_code=3,
    )


def dag_show() -> DagResult:
    return DagResult(
        dag(),
        last_complete=(day("2024-03-31"), day("2024-04-01")),
        next_interval=(day("2024-04-01"), day("2024-04-02")),
        counts={"success": 26, "failed": 2},
        versions=2,
    )


def logs() -> LogsResult:
    one = day("2024-03-11")
    text = ["+ load.sh 2024-03-11", "\x1b[31mHTTP 503\x1b[0m from warehouse\x07", "\ttabbed"]
    path = f".bfill/logs/daily_sales/{run_id('backfill', one)}/load"
    entries = [
        LogEntry(
            one,
            run_id("backfill", one),
            "load",
            1,
            "retry",
            NOW_US,
            NOW_US + 1_000_000,
            "exit status 1",
            f"{path}.1.log",
        ),
        LogEntry(
            one,
            run_id("backfill", one),
            "load",
            2,
            "failed",
            NOW_US,
            NOW_US + 61_000_000,
            "exit status 1",
            f"{path}.2.log",
            lambda: iter(text),
        ),
    ]
    return LogsResult("daily_sales", PARIS, entries)


SAMPLES: dict[str, tuple[str, Callable[[], Any]]] = {
    "plan": ("plan", plan),
    "plan-nothing": ("plan", plan_nothing),
    "plan-empty": ("plan", plan_empty),
    "run-failed": ("run", run_failed),
    "run-ok": ("run", run_ok),
    "run-blocked": ("rerun-failed", run_blocked),
    "run-interrupted": ("run", run_interrupted),
    "reset": ("reset", reset),
    "status-range": ("status", status_range),
    "status-backfill": ("status", status_backfill),
    "status-waiting": ("status", status_waiting),
    "status-hourly": ("status", status_hourly),
    "status-years": ("status", status_years),
    "status-monthly": ("status", status_monthly),
    "status-latest": ("status", status_latest),
    "audit": ("audit", audit),
    "audit-verify-good": ("audit verify", verdict_good),
    "audit-verify-bad": ("audit verify", verdict_bad),
    "dags-list": ("dags list", dags_list),
    "dags-validate": ("dags validate", dags_list),
    "dags-show": ("dags show", dag_show),
    "logs": ("logs", logs),
    "explain": ("explain", explain_samples.blocked),
    "explain-failed": ("explain", explain_samples.failed),
    "scenario-list": ("scenario list", scenario_samples.listed),
    "scenario-list-nothing": ("scenario list", scenario_samples.nothing_listed),
    "scenario-show": ("scenario show", scenario_samples.shown),
    "scenario-run": ("scenario run", scenario_samples.runs),
    **pool_samples.SAMPLES,
    **scheduler_samples.SAMPLES,
    **steering_samples.SAMPLES,
    **store_samples.SAMPLES,
}


def main() -> None:
    import shutil
    import sys

    from backfill_cli.render.screens import show

    names = [one for one in sys.argv[1:] if not one.isdecimal()] or list(SAMPLES)
    width = next((int(one) for one in sys.argv[1:] if one.isdecimal()), shutil.get_terminal_size().columns)
    for name in names:
        command, make = SAMPLES[name]
        print(f"── {name}")
        show(command, make(), sys.stdout, colour=sys.stdout.isatty(), width=width)


if __name__ == "__main__":
    main()
