"""The flags that say how dates are worked on, how far a run goes, and what becomes of dates that have run before.

Owns the bundles and their way to options; what a flag does is the core's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from backfill_cli.errors import UsageProblem

_HOW = "How to run"
_UNTIL = "How far"

REPROCESS = ("failed", "success", "completed", "stale", "all")

OrphansChoice = Annotated[
    str,
    typer.Option(
        "--orphans",
        metavar="WHAT",
        help="What a killed bfill left running: end it first (default), wait for it, or leave it.",
        rich_help_panel=_HOW,
    ),
]


ExecutorChoice = Annotated[
    str | None,
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where tasks run: thread (default), process, package.module:factory.",
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
    executor: ExecutorChoice = None
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

    def options(self) -> dict[str, Any]:
        """Return the fields of BackfillOptions that these flags fill. Raises UsageProblem for a value that is none."""
        from backfill_cli.cli.options import at_least_one, duration, when

        parallel = at_least_one("--parallel", self.parallel)
        return {
            # Unsaid, a stored backfill keeps its own.
            **({} if parallel is None else {"max_parallel_runs": parallel}),
            "workers": at_least_one("--workers", self.workers),
            "executor": self.executor,
            "orphans": self.orphans,
            "on_conflict": self.on_conflict,
            "max_runs": at_least_one("--max-runs", self.max_runs),
            "tasks": tuple(self.task or ()),
            "run_backwards": self.run_backwards,
            "ignore_first_depends_on_past": self.ignore_first_depends_on_past,
            "strict_templates": self.strict_templates,
            "fail_fast": self.fail_fast,
            "max_failures": self.max_failures,
            "max_duration": duration("--max-duration", self.max_duration),
            "deadline": when("--deadline", self.deadline),
        }


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

    def options(self) -> dict[str, Any]:
        """Return the fields of BackfillOptions that these flags fill. Raises UsageProblem for a word that is none."""
        return {"reprocess": _reprocess(self.reprocess), "reset_dag_run": self.reset_dag_run}


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
