"""The screen of `explain`: the date, the rules that take it, its tasks with what each waits for, the next command."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from rich.text import Text

from backfill_cli.core.explaining import Cause, Check
from backfill_cli.core.explanations import ExplainResult, TaskExplained
from backfill_cli.render.dates import DateFormat
from backfill_cli.render.parts import closing, folded
from backfill_cli.render.text import line, pad, wide
from backfill_cli.render.theme import ACTIONS, BOLD, COMMAND, DIM, WARN, look
from backfill_cli.render.words import count, duration

_VERDICTS = {"met": ("✓", "green"), "waits": ("…", "yellow"), "held": ("◌", "magenta"), "decides": ("⊘", "red")}
"""One symbol and one style a verdict; JSON has the word."""


def render(result: ExplainResult, width: int) -> Iterator[Text]:
    """Return the date from the outside in: the range, the dag_run, its tasks."""
    causes = [task.cause.logical_date for task in result.tasks if task.cause]
    dates = DateFormat(result.timezone, [result.logical_date, result.data_interval_end, *causes])
    seen = look(result.state)
    yield line(
        " ",
        (result.dag_id, BOLD),
        f"  {dates.full(result.logical_date)}  ",
        (f"{seen.symbol} {result.state}", seen.style),
        (f"   {result.schedule} · {result.timezone}", DIM),
    )
    yield from _dag_run(result, dates, width)
    yield line()
    yield from _selection(result, width)
    yield from _previous(result, dates, width)
    yield line()
    names = max((wide(task.task_id) for task in result.tasks), default=0)
    for task in result.tasks:
        yield from _task(task, names, width)
    causes_told = _causes(result, dates, width)
    if causes_told:
        yield line()
        yield from causes_told
    yield from _logs(result, dates)
    yield from closing(result.next_command)


def _dag_run(result: ExplainResult, dates: DateFormat, width: int) -> Iterator[Text]:
    yield _fact("interval", f"{dates.full(result.logical_date)} … {dates.full(result.data_interval_end)}, end excluded")
    run = result.run
    if run is None:
        yield _fact("dag_run", "none yet")
    else:
        by = f"  by {run.backfill_id}" if run.backfill_id else ""
        version = f"version {run.version[:7]}"
        if run.version != result.version:
            version += f", the DAG is now {result.version[:7]}"
        yield _fact("dag_run", f"{result.state}{by}  {version}")
        if run.reason:
            yield from folded(run.reason, width, first=("           ", ""), rest="           ")
    if len(result.batch) > 1:
        others = f"{dates.full(result.batch[0])} … {dates.short(result.batch[-1])}"
        yield _fact("batch", f"one of {count(len(result.batch), 'date')} that run as one: {others}")
    if result.held_by is not None:
        yield _fact("worked on", f"by pid {result.held_by[0]} on {result.held_by[1]}")
    backfill = result.backfill
    if backfill is not None and backfill.planned is not None:
        one = backfill.planned
        ended = f", ended {one.outcome}" if one.outcome else ""
        yield _fact(
            "planned", f"{one.action} ({one.reason}){ended}, in {backfill.backfill_id}, which is {backfill.state}"
        )


def _fact(name: str, text: str) -> Text:
    return line((f" {name:10}", DIM), text)


def _selection(result: ExplainResult, width: int) -> Iterator[Text]:
    """The rules of ranges, and what a run would do."""
    names = max(len(rule.rule) for rule in result.rules)
    for rule in result.rules:
        symbol, style = _VERDICTS["met" if rule.passed else "decides"]
        yield from _hanging(("   ", ""), (symbol, style), rule.rule.ljust(names), rule.text, width)
    if result.action is not None:
        seen = ACTIONS[result.action]
        yield line((" run would ", DIM), (f"{seen.symbol} {result.action}", seen.style), f": {result.reason}")
    else:
        yield line((" run would ", DIM), ("leave it out", WARN))


def _previous(result: ExplainResult, dates: DateFormat, width: int) -> Iterator[Text]:
    if not result.waits_on_past:
        return
    before = result.previous
    if before is None:
        yield _fact("previous", "no dag_run is before it")
        return
    seen = look(before.state)
    yield line(
        (" previous  ", DIM), f"{dates.full(before.logical_date)}  ", (f"{seen.symbol} {before.state}", seen.style)
    )
    if before.missing and before.first_missing is not None and before.last_missing is not None:
        gap = dates.full(before.first_missing)
        if before.missing > 1:
            gap += f" … {dates.full(before.last_missing)}"
        between = f"{count(before.missing, 'date')} between without a dag_run ({gap})"
        text = f"{between}: passed over, unless a run takes it along"
        yield from folded(text, width, first=("           ! ", WARN), rest="             ")


def _task(task: TaskExplained, longest: int, width: int) -> Iterator[Text]:
    held = any(one.verdict == "held" for one in task.checks)
    seen = look("blocked" if held else task.state)
    said = "removed from the DAG" if task.removed else task.state
    last = task.last
    tried = ""
    if last is not None:
        took = duration((last.ended_at - last.started_at) / 1_000_000)
        tried = f"   try {last.try_number}: {last.outcome}, {took}"
    yield line(
        " ", (seen.symbol, seen.style), " ", (pad(task.task_id, longest), BOLD), "  ", (said, seen.style), (tried, DIM)
    )
    reason = task.instance.reason if task.instance is not None else None
    if reason and not task.checks:
        yield from folded(reason, width, first=("     ", ""), rest="     ")
    names = max((len(one.rule) for one in task.checks), default=0)
    for check in task.checks:
        yield from _check(check, names, width)


def _check(check: Check, names: int, width: int) -> Iterator[Text]:
    return _hanging(("     ", ""), _VERDICTS[check.verdict], check.rule.ljust(names), check.text, width)


def _hanging(indent: tuple[str, str], symbol: tuple[str, str], name: str, text: str, width: int) -> Iterator[Text]:
    """A symbol, a name, and a text that is folded under itself."""
    margin = wide(indent[0]) + wide(symbol[0]) + wide(name) + 3
    lines = list(folded(text, width, first=("", ""), rest=" " * margin)) if width < 200 else [line(text)]
    first, *rest = lines
    yield line(indent, symbol, " ", (name, DIM), "  ", first)
    yield from rest


def _causes(result: ExplainResult, dates: DateFormat, width: int) -> list[Text]:
    """Where it began: each cause once, with the tasks it holds."""
    held: dict[Cause, list[str]] = {}
    for task in result.tasks:
        if task.cause is not None and (task.cause.dates or task.cause.state == "failed"):
            held.setdefault(task.cause, []).append(task.task_id)
    rows = []
    for cause, tasks in held.items():
        seen = look(cause.state)
        back = f", {count(cause.dates, 'dag_run')} back" if cause.dates else ""
        further = "; the chain goes on before it" if cause.more else ""
        rows.append(
            line(
                (" because   ", DIM),
                (f"{seen.symbol} {cause.task_id}", seen.style),
                f" on {dates.full(cause.logical_date)} is {cause.state}{back}{further}",
                (f"  (holds {', '.join(tasks)})", DIM) if len(held) > 1 else "",
            )
        )
        if cause.reason:
            rows += folded(cause.reason, width, first=("             ", ""), rest="             ")
    return rows


def _logs(result: ExplainResult, dates: DateFormat) -> Iterator[Text]:
    """Where to read what failed."""
    failed = next((task for task in result.tasks if task.state == "failed" and task.last is not None), None)
    if failed is not None and result.target:
        when = dates.argument(result.logical_date)
        yield line((" logs: ", DIM), (f"bfill logs --dag {quote(result.target)} {when} {failed.task_id}", COMMAND))
