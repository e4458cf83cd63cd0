"""The screens of `dags list`, `dags show` and `dags validate`."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from rich.text import Text

from backfill_cli.core.graph import Dag, Task, TriggerRule
from backfill_cli.core.listings import DagInfo, DagResult, DagsResult
from backfill_cli.core.merging import CHUNK
from backfill_cli.core.shapes import days_in
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing, notes, tally
from backfill_cli.render.text import Part, columns, cut, line
from backfill_cli.render.theme import BOLD, DIM, WARN, look
from backfill_cli.render.words import count, duration, moment, near_path


def render_list(result: DagsResult, width: int) -> Iterator[Text]:
    """Return one line a DAG, what could not be loaded below."""
    sound = [one for one in result.dags if one.error is None]
    rows: list[list[Part]] = [
        [
            (one.dag_id or "?", BOLD),
            cut(one.schedule or "", 22),
            one.timezone or "",
            count(one.tasks, "task"),
            (near_path(one.path) if one.path else "(command)", DIM),
            ("paused", BOLD) if one.paused else (_due(one), DIM),
        ]
        for one in sound
    ]
    yield from columns(rows)
    yield from _broken(result, width)
    if not result.dags:
        yield line(" no DAG file in ", ", ".join(result.folders) or "the DAG folders")
        yield line((" hint: put one into dags/, name folders in bfill.toml, or give --dag path/file.py", DIM))
    elif sound:
        yield from closing(f"bfill dags show {quote(sound[0].dag_id or '')}")


def _due(one: DagInfo) -> str:
    if one.next_due is None:
        return ""
    return f"due {DateFormat(one.timezone or 'UTC', [one.next_due]).full(one.next_due)}"


def render_validate(result: DagsResult, width: int) -> Iterator[Text]:
    """Return a verdict a DAG, then the sum."""
    good = look("success")
    for one in result.dags:
        if one.error is None:
            facts = f"{count(one.tasks, 'task')}, {one.schedule}, {one.timezone}"
            yield line(
                " ", (good.symbol, good.style), f" {one.dag_id}  ", (f"{facts}  {near_path(one.path or '')}", DIM)
            )
            yield from notes(one.warnings, width)
    yield from _broken(result, width)
    sum_up = f"{count(len(result.dags), 'DAG')} checked, {result.broken:,} broken"
    yield line(" ", (sum_up, BOLD))


def _broken(result: DagsResult, width: int) -> Iterator[Text]:
    bad = look("failed")
    for one in result.dags:
        if one.error is not None:
            yield line(" ", (f"{bad.symbol} {_place(one)}", bad.style), f": {one.error}")
            if one.hint:
                yield line(("   hint: ", DIM), one.hint)


def _place(one: DagInfo) -> str:
    return near_path(one.where or one.path or "") or one.dag_id or "?"


def render_dag(result: DagResult, width: int) -> Iterator[Text]:
    """Return one DAG in full: schedule and limits, what has run, its tasks in order."""
    dag = result.dag
    yield line(" ", (dag.dag_id, BOLD), f"   {dag.schedule.describe()} · {dag.timezone} · version {dag.version[:7]}")
    if dag.description:
        yield line("   ", dag.description)
    yield from _facts(result)
    yield line()
    yield from columns([_task(dag, task) for task in dag.tasks.values()])
    yield line()
    yield from notes(result.problems, width)
    yield from closing(_next(result))


def _facts(result: DagResult) -> Iterator[Text]:
    dag = result.dag
    spans = [one for one in (result.last_complete, result.next_interval) if one]
    dates = DateFormat(dag.timezone, [dag.start_date, dag.end_date, *(bound for span in spans for bound in span)])
    if dag.path:
        yield line((" file      ", DIM), near_path(dag.path))
    begin = dates.full(dag.start_date) if dag.start_date is not None else "no start_date"
    end = dates.full(dag.end_date) if dag.end_date is not None else ""
    catchup = "catchup" if dag.catchup else "no catchup"
    yield line((" dates     ", DIM), f"{begin} …{' ' + end if end else ''}, {catchup}")
    if result.paused_at is not None:
        yield line((" paused    ", WARN), f"since {moment(result.paused_at)}: the scheduler creates nothing for it")
    if result.last_complete:
        yield line(
            (" latest    ", DIM),
            f"{dates.full(result.last_complete[0])}, over since {dates.full(result.last_complete[1])}",
        )
    if result.next_interval:
        yield line(
            (" next      ", DIM),
            f"{dates.full(result.next_interval[0])}, over at {dates.full(result.next_interval[1])}",
        )
    limits = f"{count(dag.max_active_runs, 'run')} at once, {count(dag.max_active_tasks, 'task')} of a run"
    timeout = f", a run within {duration(dag.dagrun_timeout_s)}" if dag.dagrun_timeout_s else ""
    yield line((" limits    ", DIM), limits + timeout)
    if dag.batch_intervals:
        yield line((" batches   ", DIM), _batches(dag.batch_intervals))
    if dag.tags:
        yield line((" tags      ", DIM), ", ".join(dag.tags))
    if result.counts:
        yield line((" has run   ", DIM), tally(result.counts), f"   {count(result.versions, 'version')}")


def _batches(batch_intervals: str) -> str:
    """How dates may be merged, in words."""
    if batch_intervals == CHUNK:
        return "consecutive dates of a chunk run as one"
    days = days_in(batch_intervals)
    most = count(days, "day") if days else count(int(batch_intervals), "date")
    return f"consecutive dates of a backfill run as one, {most} at most"


def _task(dag: Dag, task: Task) -> list[Part]:
    extras = []
    if task.trigger_rule is not TriggerRule.ALL_SUCCESS:
        extras.append(str(task.trigger_rule))
    if task.wait_for_downstream:
        extras.append("wait_for_downstream")
    elif task.depends_on_past:
        extras.append("depends_on_past")
    if task.retry.retries:
        extras.append(f"{count(task.retry.retries, 'retry', 'retries')} after {duration(task.retry.delay_s)}")
    if task.execution_timeout_s:
        extras.append(f"timeout {duration(task.execution_timeout_s)}")
    if task.pool != "default_pool" or task.pool_slots > 1:
        extras.append(f"pool {task.pool}" + (f" × {task.pool_slots}" if task.pool_slots > 1 else ""))
    if task.rate_limit is not None:
        extras.append(f"at most {task.rate_limit.said}")
    if task.priority_weight != 1:
        extras.append(f"weight {task.priority_weight}")
    if task.max_active is not None:
        extras.append(f"at most {task.max_active} at once")
    above = ", ".join(sorted(task.upstream, key=lambda one: dag.position[one]))
    kind = type(task.work).__name__.removesuffix("Work").lower()
    return [
        line("  ", (task.task_id, BOLD)),
        (kind, DIM),
        f"after {above}" if above else "first",
        (", ".join(extras), DIM),
    ]


def _next(result: DagResult) -> str:
    if result.last_complete is None:
        return ""
    dates = DateFormat(result.dag.timezone, result.last_complete)
    day = dates.argument(result.last_complete[0])
    return f"bfill plan --dag {quote(result.asked or result.dag.dag_id)} --start {day} --end {day} --dry-run"
