"""The flags that commands share, and what they mean: bundles of options, and `BackfillOptions` made from them.

Owns contract section 5, shared options and selections. Strings become dates, sets and mappings here and nowhere later;
whether they fit a DAG and its schedule is for the use cases to say.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backfill_cli.errors import UsageProblem

if TYPE_CHECKING:
    from datetime import timedelta

    from backfill_cli.core.options import BackfillOptions
    from backfill_cli.core.when import When

_WHICH = "Which DAG"
_DATES = "Which dates"
_HOW = "How to run"
_UNTIL = "How far"
_SHARED = "Shared options"

REPROCESS = ("failed", "success", "completed", "stale", "all")


@dataclass(frozen=True, slots=True)
class Shared:
    """What every command that acts accepts."""

    store: Annotated[
        str | None,
        typer.Option("--store", metavar="PATH|URL", help="Where state lives (BFILL_STORE).", rich_help_panel=_SHARED),
    ] = None
    conf: Annotated[
        list[str] | None,
        typer.Option(
            "--conf",
            metavar="JSON|@FILE|KEY=VALUE",
            help="Values for dag_run.conf; may be repeated, later ones win. A KEY=VALUE is text.",
            rich_help_panel=_SHARED,
        ),
    ] = None
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the audit chain.", rich_help_panel=_SHARED)
    ] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.", rich_help_panel=_SHARED)] = False
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.", rich_help_panel=_SHARED)] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but errors.", rich_help_panel=_SHARED)] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="More, and tracebacks of bugs.", rich_help_panel=_SHARED)
    ] = False
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour (NO_COLOR).", rich_help_panel=_SHARED)] = False


@dataclass(frozen=True, slots=True)
class Looking(Shared):
    """The same for commands that only look: what cannot matter to them is accepted, and hidden from their help."""

    conf: Annotated[list[str] | None, typer.Option("--conf", hidden=True)] = None
    reason: Annotated[str | None, typer.Option("--reason", hidden=True)] = None
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False


@dataclass(frozen=True, slots=True)
class Range:
    """A DAG and dates of it."""

    dag: Annotated[
        str | None,
        typer.Option(
            "--dag",
            metavar="DAG",
            help="A dag_id, path/file.py[:dag_id], package.module:name, or a scenario like 17.7.2.",
            rich_help_panel=_WHICH,
        ),
    ] = None
    command: Annotated[
        str | None,
        typer.Option(
            "--command", metavar="SHELL", help="A one-task DAG on the spot; templates work.", rich_help_panel=_WHICH
        ),
    ] = None
    schedule: Annotated[
        str | None,
        typer.Option("--schedule", metavar="CRON", help="The schedule of --command.", rich_help_panel=_WHICH),
    ] = None
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The dag_id of --command.", rich_help_panel=_WHICH)
    ] = None
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="The zone of --command.", rich_help_panel=_WHICH)
    ] = None
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="WHEN",
            help="First logical date, included: 2024-03-01, 2024-03-01T14:00, 2024-03-01T14:00+01:00.",
            rich_help_panel=_DATES,
        ),
    ] = None
    end: Annotated[
        str | None,
        typer.Option(
            "--end",
            metavar="WHEN",
            help="Last logical date, included; a date means its whole day.",
            rich_help_panel=_DATES,
        ),
    ] = None
    last: Annotated[
        str | None,
        typer.Option(
            "--last",
            metavar="SPAN",
            help="30d, 2w: whole days up to today; 6h, 90m: back from now.",
            rich_help_panel=_DATES,
        ),
    ] = None
    dates: Annotated[
        str | None,
        typer.Option(
            "--dates", metavar="D,D,…", help="These dates; a day takes all of its dates.", rich_help_panel=_DATES
        ),
    ] = None
    dates_from: Annotated[
        str | None,
        typer.Option("--dates-from", metavar="FILE|-", help="Dates from a file, one a line.", rich_help_panel=_DATES),
    ] = None
    include_incomplete: Annotated[
        bool,
        typer.Option("--include-incomplete", help="Also intervals that are not over.", rich_help_panel=_DATES),
    ] = False
    ignore_dag_bounds: Annotated[
        bool,
        typer.Option(
            "--ignore-dag-bounds", help="Also dates outside the DAG's start_date and end_date.", rich_help_panel=_DATES
        ),
    ] = False


@dataclass(frozen=True, slots=True)
class Selection(Range):
    """A DAG and dates of it, at most so many."""

    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="At most N dates, the first in order.", rich_help_panel=_DATES),
    ] = None


OrphansChoice = Annotated[
    str,
    typer.Option(
        "--orphans",
        metavar="WHAT",
        help="What a killed bfill left running: end it first (default), wait for it, or leave it.",
        rich_help_panel=_HOW,
    ),
]


OnConflict = Annotated[
    str,
    typer.Option(
        "--on-conflict",
        metavar="WHAT",
        help="Where another process holds dates: fail (default), wait, skip them, or cancel-other.",
        rich_help_panel=_HOW,
    ),
]


@dataclass(frozen=True, slots=True)
class Running:
    """How dates are worked on."""

    parallel: Annotated[
        int | None, typer.Option("--parallel", metavar="N", help="Dates open together (1).", rich_help_panel=_HOW)
    ] = None
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", help="Tasks at once (32 threads, on demand).", rich_help_panel=_HOW),
    ] = None
    max_runs: Annotated[
        int | None,
        typer.Option("--max-runs", metavar="N", help="Refuse to run more dates (10,000).", rich_help_panel=_HOW),
    ] = None
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            metavar="NAME",
            help="Where tasks run: thread (default), process, package.module:factory.",
            rich_help_panel=_HOW,
        ),
    ] = None
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Start nothing new once a date has failed.", rich_help_panel=_UNTIL)
    ] = False
    max_failures: Annotated[
        str | None,
        typer.Option(
            "--max-failures",
            metavar="N|N%",
            help="Start nothing new once N dates have failed, or N% of those to do.",
            rich_help_panel=_UNTIL,
        ),
    ] = None
    max_duration: Annotated[
        str | None,
        typer.Option(
            "--max-duration", metavar="TIME", help="Start nothing new after 90m, 2h, 1h30m.", rich_help_panel=_UNTIL
        ),
    ] = None
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline", metavar="INSTANT", help="Start nothing new from this moment on.", rich_help_panel=_UNTIL
        ),
    ] = None
    orphans: OrphansChoice = "end"
    on_conflict: OnConflict = "fail"
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="SELECT",
            help="Only these tasks: load, +load (and before), load+ (and behind), load_*. May be repeated.",
            rich_help_panel=_HOW,
        ),
    ] = None
    run_backwards: Annotated[bool, typer.Option("--run-backwards", help="Newest date first.", rich_help_panel=_HOW)] = (
        False
    )
    ignore_first_depends_on_past: Annotated[
        bool,
        typer.Option(
            "--ignore-first-depends-on-past",
            help="The first date does not look at the date before it.",
            rich_help_panel=_HOW,
        ),
    ] = False
    strict_templates: Annotated[
        bool,
        typer.Option("--strict-templates", help="An unknown name in a template is an error.", rich_help_panel=_HOW),
    ] = False


@dataclass(frozen=True, slots=True)
class Redoing:
    """What to do with dates that have run before."""

    reprocess: Annotated[
        str | None,
        typer.Option(
            "--reprocess",
            metavar="LIST",
            help="Run again what is failed, success, stale, completed or all; comma-separated.",
            rich_help_panel=_HOW,
        ),
    ] = None
    reset_dag_run: Annotated[
        bool,
        typer.Option(
            "--reset-dag-run", help="Clear task instances and XComs of each date first.", rich_help_panel=_HOW
        ),
    ] = False


def backfill_options(
    shared: Shared,
    selection: Range,
    running: Running | None = None,
    redoing: Redoing | None = None,
    *,
    backfill_id: str | None = None,
    **more: Any,
) -> BackfillOptions:
    """Return the options a use case is called with.

    Raises:
        UsageProblem: Flags that exclude each other, a date or number that is none.
        InputError: A --conf that cannot be one.
    """
    from backfill_cli.cli.conf import parse_conf
    from backfill_cli.core.options import BackfillOptions

    _check_target(selection, backfill_id)
    given: dict[str, Any] = {
        "dag_id": selection.dag,
        "command": selection.command,
        "schedule": selection.schedule,
        "name": selection.name,
        "timezone": selection.timezone,
        "start_date": when("--start", selection.start),
        "end_date": when("--end", selection.end),
        "last": selection.last,
        "dates": _dates(selection),
        "include_incomplete": selection.include_incomplete,
        "ignore_dag_bounds": selection.ignore_dag_bounds,
        "backfill_id": backfill_id,
        "conf": parse_conf(shared.conf or ()),
        "reason": shared.reason,
        "yes": shared.yes,
    }
    if isinstance(selection, Selection):
        given["limit"] = at_least_one("--limit", selection.limit)
    if running is not None:
        if (parallel := at_least_one("--parallel", running.parallel)) is not None:
            given["max_parallel_runs"] = parallel
        given |= {
            "workers": at_least_one("--workers", running.workers),
            "executor": running.executor,
            "orphans": running.orphans,
            "on_conflict": running.on_conflict,
            "max_runs": at_least_one("--max-runs", running.max_runs),
            "tasks": tuple(running.task or ()),
            "run_backwards": running.run_backwards,
            "ignore_first_depends_on_past": running.ignore_first_depends_on_past,
            "strict_templates": running.strict_templates,
            "fail_fast": running.fail_fast,
            "max_failures": running.max_failures,
            "max_duration": _duration("--max-duration", running.max_duration),
            "deadline": when("--deadline", running.deadline),
        }
    if redoing is not None:
        given |= {"reprocess": _reprocess(redoing.reprocess), "reset_dag_run": redoing.reset_dag_run}
    return BackfillOptions(**(given | more))


def at_least_one(flag: str, value: int | None) -> int | None:
    """Return the number. Raises UsageProblem below 1."""
    if value is not None and value < 1:
        raise UsageProblem(f"{flag} {value} is less than 1", hint=f"give {flag} 1 or more", code="bad-value")
    return value


def _check_target(selection: Range, backfill_id: str | None) -> None:
    """An id names DAG and dates itself; --command and --dag exclude each other; what shapes --command needs it."""
    if backfill_id is not None:
        for field in fields(selection):
            if getattr(selection, field.name) not in (None, False):
                flag = "--" + field.name.replace("_", "-")
                raise UsageProblem(
                    f"{flag} does not go with the id {backfill_id}, which names its DAG and dates itself",
                    hint=f"leave out {flag}, or leave out the id",
                    code="id-and-selection",
                )
    if selection.dag is not None and selection.command is not None:
        raise UsageProblem("--dag and --command exclude each other", hint="give one of them", code="dag-and-command")
    if selection.command is None:
        for flag in ("schedule", "name", "timezone"):
            if getattr(selection, flag) is not None:
                raise UsageProblem(
                    f"--{flag} belongs to --command",
                    hint=f"a DAG file says its {flag} itself; or add --command '…'",
                    code="needs-command",
                )


def _duration(flag: str, text: str | None) -> timedelta | None:
    if text is None:
        return None
    from backfill_cli.core.durations import parse_duration

    found = parse_duration(text)
    if found is None:
        raise UsageProblem(
            f"{flag} '{text}' is no duration", hint=f"write {flag} 90m, 2h, 1h30m or 1d", code="bad-value"
        )
    return found


def when(flag: str, text: str | None) -> When | None:
    if text is None:
        return None
    from backfill_cli.core.when import parse_when

    try:
        return parse_when(text)
    except UsageProblem as error:
        raise UsageProblem(f"{flag}: {error.message}", hint=error.hint, code=error.code) from None


def _dates(selection: Range) -> tuple[When, ...]:
    if selection.dates is None and selection.dates_from is None:
        return ()
    from backfill_cli.cli.datelist import read_dates, split_dates

    if selection.dates is not None and selection.dates_from is not None:
        raise UsageProblem(
            "--dates and --dates-from exclude each other", hint="give one of them", code="two-date-lists"
        )
    if selection.dates is not None:
        return split_dates(selection.dates, flag="--dates")
    return read_dates(selection.dates_from) if selection.dates_from is not None else ()


def _reprocess(text: str | None) -> frozenset[str]:
    words = [word.strip() for word in (text or "").split(",")] if text is not None else []
    for word in words:
        if word not in (*REPROCESS, "none"):
            from backfill_cli.core.graph import near_hint

            raise UsageProblem(
                f"--reprocess '{word}' is not a state to repeat",
                hint=near_hint(word, REPROCESS),
                code="bad-value",
            )
    return frozenset(words) - {"none"}
