"""The compliance report for people, before it is Markdown or HTML: a verdict, a few facts, and tables of plain text.

Owns which tables there are, their columns, and how a fact reads; and `FORMATS`, the table of what writes which format.
A cell is lines of raw text: each format escapes all of them its own way, and none of them decides what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from typing import NamedTuple

from backfill_cli.core.report_facts import ActorFacts, BackfillFacts, FailureFacts, Rerun, ResetFacts
from backfill_cli.core.reports import AuditReport
from backfill_cli.render import audit
from backfill_cli.render.words import count, stamp

Cell = tuple[str, ...]
"""Lines of text as they are; nothing in them is escaped yet."""

FORMATS = {
    "md": ("audit_report_md", "markdown"),
    "html": ("audit_report_html", "html"),
    "json": ("audit_report_json", "json"),
    "csv": ("audit_report_csv", "csv"),
}

_FEW = 10
"""Dates, hosts and CI jobs a cell lists; the machine-readable formats have all of them."""

NOTHING = "–"


class Column(NamedTuple):
    """A column; `kind` is text, fixed (ids and instants, not to be broken), number or state, where it can be shown."""

    name: str
    kind: str = "text"


class Table(NamedTuple):
    """A section: what it says in one line, its columns, and its rows as a stream."""

    title: str
    note: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


def writer(name: str) -> Callable[..., Iterator[str]]:
    """Return what turns a report into pieces of text in that format. Raises KeyError for another word."""
    module, function = FORMATS[name]
    found: Callable[..., Iterator[str]] = getattr(import_module(f"backfill_cli.render.{module}"), function)
    return found


def verdict_words(report: AuditReport) -> tuple[str, str]:
    """Return the verdict as a headline and a line below it."""
    verdict = report.verdict
    headline, checked = audit.verdict_words(verdict), audit.checked_words(verdict)
    return headline[0].upper() + headline[1:], f"{verdict.finding}. {checked}." if verdict.finding else checked


def facts(report: AuditReport) -> Iterator[tuple[str, Cell]]:
    """Yield what stands above the tables: a label, and the lines it labels."""
    scope = report.scope
    since, until = (NOTHING if at is None else stamp(at) for at in (scope.since, scope.until))
    yield "Period asked for", (f"{since} … {until}" if scope.since or scope.until else "everything",)
    if report.first_at is not None and report.last_at is not None:
        yield "Period covered", (f"{stamp(report.first_at)} … {stamp(report.last_at)}",)
    yield "Entries", (f"{report.entries:,}",)
    narrowed = {"DAG": scope.dag, "target": scope.target, "actor": scope.actor}
    if any(value is not None for value in narrowed.values()):
        yield "Only", tuple(f"{name} {value}" for name, value in narrowed.items() if value is not None)
    heads = report.heads
    yield "Head before the period", (heads.opening or NOTHING,)
    yield "Head at its end", (heads.closing or NOTHING,)
    yield "Head of the chain", (heads.chain or NOTHING,)
    yield "Store", (report.store,)
    yield "Written", (f"{stamp(report.generated_at)} by {report.generator}",)


def tables(report: AuditReport) -> Iterator[Table]:
    """Yield the sections in reading order."""
    yield Table(
        "Who",
        "Everybody with an entry in the scope.",
        _columns("Actor", "Behind sudo", "#Entries", "!First", "!Last", "Hosts", "CI jobs"),
        map(_actor, report.actors),
    )
    yield Table(
        "What",
        "Entries by action and outcome; a command that runs tasks writes one when it starts and one when it ends.",
        _columns("Action", "Outcome", "#Entries"),
        (((one.action,), (one.outcome,), _number(one.entries)) for one in report.operations),
    )
    yield Table(
        "Backfills",
        "Everything that was planned or run, as it stands now. The range is of logical dates, both included.",
        _columns("!Backfill", "DAG and versions", "!Range", "!Dates", "!Ran", "Who", "Why", "?Result", "Repairs"),
        map(_backfill, report.backfills),
    )
    yield Table(
        "Failures and repairs",
        "Failed tries by task and cause, and what made their dates good afterwards.",
        _columns("Task", "Cause", "#Tries", "!Dates", "!When", "Repaired by", "#Not repaired"),
        map(_failure, report.failures),
    )
    yield Table(
        "Versions",
        "Versions of each DAG that were planned or ran.",
        _columns("DAG", "Version", "!First seen", "#Tasks", "#Backfills", "#Tries"),
        (
            (
                (one.dag_id,),
                (one.version,),
                _at(one.first_seen_at),
                _number(one.tasks),
                _number(one.backfills),
                _number(one.tries),
            )
            for one in report.versions
        ),
    )
    yield Table(
        "Executed again after interruptions",
        "Tries that were cut off before they reported, and the tries that did their work again.",
        _columns("DAG", "!Logical date", "Task", "!Cut off", "Why", "!Executed again", "?Result"),
        map(_rerun, report.reruns),
    )
    yield Table(
        "Resets",
        "Task instances and XComs that were cleared; their history is kept.",
        _columns("!At", "Who", "Command", "What", "#Dates", "#Task instances", "#XComs", "Tasks", "Why"),
        map(_reset, report.resets),
    )


def _columns(*names: str) -> tuple[Column, ...]:
    """`#` marks a column of numbers, `?` one of states, `!` one of ids or instants."""
    kinds = {"#": "number", "?": "state", "!": "fixed"}
    return tuple(Column(name.lstrip("#?!"), kinds.get(name[0], "text")) for name in names)


def _actor(one: ActorFacts) -> Sequence[Cell]:
    return (
        (one.actor,),
        (one.sudo_from or NOTHING,),
        _number(one.entries),
        _at(one.first_at),
        _at(one.last_at),
        _tally(one.hosts),
        _tally(one.ci_jobs),
    )


def _backfill(one: BackfillFacts) -> Sequence[Cell]:
    counts = [f"{number:,} {name}" for name, number in one.counts.items() if number or name == "total"]
    ran = [f"from {stamp(one.started_at)}"] if one.started_at is not None else []
    ran += [f"to {stamp(one.ended_at)}"] if one.ended_at is not None else []
    repairs = [f"repairs {one.parent_id}"] if one.parent_id else []
    repairs += [f"repaired by {child}" for child in one.repaired_by]
    return (
        (one.backfill_id, one.command) if one.command else (one.backfill_id,),
        (one.dag_id, *(f"version {version}" for version in one.versions)),
        _range(_date(one.first), _date(one.last)),
        tuple(counts) or (NOTHING,),
        tuple(ran) or (NOTHING,),
        tuple(one.actors),
        tuple(one.reasons) or (NOTHING,),
        (one.state,),
        tuple(repairs) or (NOTHING,),
    )


def _failure(one: FailureFacts) -> Sequence[Cell]:
    repairs = [
        f"{count(repair.dates, 'date')} by {repair.how}"
        + (f" {repair.backfill_id}" if repair.backfill_id else "")
        + f", last {stamp(repair.last_at)}"
        for repair in one.repairs
    ]
    dates = [_date(date) for date in one.shown[:_FEW]]
    return (
        (one.dag_id, one.task_id),
        (one.reason,),
        _number(one.tries),
        _with_rest([count(one.dates, "date"), *dates], one.dates - len(dates)),
        _range(stamp(one.first_at), stamp(one.last_at)),
        tuple(repairs) or (NOTHING,),
        _number(one.unrepaired),
    )


def _rerun(one: Rerun) -> Sequence[Cell]:
    again = (one.redone_by or NOTHING, *_at(one.redone_at)) if one.redone_at is not None else (NOTHING,)
    return (
        (one.dag_id,),
        (_date(one.logical_date),),
        (one.task_id,),
        (f"try {one.lost_try}", stamp(one.lost_at), one.backfill_id or NOTHING),
        (one.reason,),
        again,
        (one.outcome or "not yet",),
    )


def _reset(one: ResetFacts) -> Sequence[Cell]:
    return (
        (stamp(one.at),),
        (f"{one.actor}@{one.host}",),
        (one.command,),
        (one.dag_id, *((one.target,) if one.target != one.dag_id else ()), *_range(_short(one.start), _short(one.end))),
        *(_number(number) for number in (one.dates, one.task_instances, one.xcoms)),
        tuple(one.tasks) or ("all",),
        (one.reason or NOTHING,),
    )


def _date(seconds: int | None) -> str:
    return "" if seconds is None else stamp(seconds * 1_000_000)


def _short(text: str) -> str:
    """An instant as the record has it, in the form the others stand in."""
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _number(value: int | None) -> Cell:
    return (NOTHING if value is None else f"{value:,}",)


def _at(micros: int | None) -> Cell:
    return (NOTHING if micros is None else stamp(micros),)


def _range(first: str, last: str) -> Cell:
    if not first:
        return (NOTHING,)
    return (first if first == last else f"{first} … {last}",)


def _tally(names: Mapping[str, int]) -> Cell:
    shown = [f"{name} ({number:,})" for name, number in islice(names.items(), _FEW)]
    return _with_rest(shown, len(names) - len(shown)) or (NOTHING,)


def _with_rest(lines: list[str], rest: int) -> Cell:
    return tuple([*lines, f"and {rest:,} more"] if rest > 0 else lines)
