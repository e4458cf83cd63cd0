"""What machines read of a run: `--events`, `--on-event`, `--junit`, and what GitHub Actions shows by itself.

Owns when they are written; how is `report_files.py` and `telling.py`, and their texts are made in `render/`. State is
recorded before any of it is written: a reader that leaves, a full disk or a folder that is gone changes nothing about
the backfill, and is told at its end.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli import streams
from backfill_cli.cli.outfile import private_file
from backfill_cli.cli.output import Output
from backfill_cli.cli.report_files import JUNIT_HEAD, STDOUT, EventStream, check_target, latest_log
from backfill_cli.cli.telling import Telling
from backfill_cli.errors import BfillError, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.listening import Listener
    from backfill_cli.core.results import BackfillResult
    from backfill_cli.loader.settings import Settings
    from backfill_cli.render.events import EventListener

_PANEL = "Reports"

Events = Annotated[
    str | None,
    typer.Option(
        "--events",
        metavar="FILE|-",
        help="What happens, as it happens: one JSON object a line; - is stdout.",
        rich_help_panel=_PANEL,
    ),
]
OnEvent = Annotated[
    str | None,
    typer.Option(
        "--on-event",
        metavar="TARGET",
        help="Who gets each event: an http(s) URL (POST), or a shell command (on its stdin); '' is nobody.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True, slots=True)
class Reporting:
    """Files for machines."""

    events: Events = None
    on_event: OnEvent = None
    junit: Annotated[
        str | None,
        typer.Option("--junit", metavar="FILE", help="A test report, one case a date.", rich_help_panel=_PANEL),
    ] = None


def refuse_with_dry_run(reporting: Reporting) -> None:
    """Raise UsageProblem when a report was asked for of what will not happen."""
    asked = (("--events", reporting.events), ("--on-event", reporting.on_event), ("--junit", reporting.junit))
    for flag, value in asked:
        if value:
            raise UsageProblem(
                f"{flag} does not go with --dry-run, which runs nothing",
                hint=f"leave out {flag}",
                code="report-dry-run",
            )


def refuse_two_documents(events: str | None, shared: Shared) -> None:
    """Raise UsageProblem when both the events and the result were asked for on stdout."""
    if events == STDOUT and shared.json:
        raise UsageProblem(
            "--events - does not go with --json: both take stdout",
            hint="write the events to a file: --events events.ndjson",
            code="events-and-json",
        )


class EventFile:
    """A context around a scheduler's stream of events.

    Attributes:
        write: Takes whole lines; None when nobody asked for events.
        screen: Where the result is shown to people; None is stdout, which `--events -` takes for itself.
        exit_code: For a stream that could not be written, behind the block; else 0.
    """

    def __init__(self, events: str | None, shared: Shared) -> None:
        refuse_two_documents(events, shared)
        self._stream = None if events is None else EventStream(events)
        self.write = None if self._stream is None else self._stream.write
        self.screen: IO[str] | None = sys.stderr if events == STDOUT else None
        self.exit_code = 0

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        failure = "" if self._stream is None else self._stream.close()
        if failure:
            _complain(failure)
            self.exit_code = streams.CANNOT_WRITE


class Reports:
    """A context around one run: `listeners` hear what happens, `finished` takes what came of it.

    Raises:
        UsageProblem: A file cannot be written, or holds something that is no report; `--on-event` is no target.
        InputError: `on_event` refers to a variable that is not set.
    """

    def __init__(self, command: str, shared: Shared, reporting: Reporting, settings: Settings) -> None:
        refuse_two_documents(reporting.events, shared)
        self._command = f"bfill {command}"
        self._shared = shared
        self._junit = None if reporting.junit is None else Path(reporting.junit)
        self._stream: EventStream | None = None
        self._events: EventListener | None = None
        if self._junit is not None:
            check_target("--junit", self._junit, JUNIT_HEAD)
        self._telling = Telling(reporting.on_event, settings, quiet=shared.quiet)
        if reporting.events is not None:
            self._stream = EventStream(reporting.events)
        if self._stream is not None or self._telling.is_on:
            from backfill_cli.render.events import EventListener

            self._events = EventListener(self._write_events)
        # Where the result is shown to people: --events - has stdout for itself.
        self.screen: IO[str] | None = sys.stderr if reporting.events == STDOUT else None

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return () if self._events is None else (self._events,)

    def finished(self, result: BackfillResult, logs: Callable[[], Path]) -> tuple[BackfillResult, int]:
        """Write what needs the result; return it, and the exit code for a report that could not be written, else 0.

        Events that did not arrive are a problem of the result that comes back.

        Args:
            logs: Finds the folder of the tries' logs.
        """
        if self._events is not None:
            self._events.finished(result)
        failures = [self._close_events(), self._write_junit(result, logs)]
        self._tell_github(result)
        for failure in failures:
            if failure:
                _complain(failure)
        lost = self._telling.close()
        if lost is not None:
            result = replace(result, problems=(*result.problems, lost))
        return result, streams.CANNOT_WRITE if any(failures) else 0

    def __enter__(self) -> Reports:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BfillError):
            self._aborted(error)
        elif error is not None:
            self._close_events()
            self._telling.close(within_s=1.0)

    def _aborted(self, error: BfillError) -> None:
        if self._events is not None:
            self._events.aborted(error)
            self._close_events()
            lost = self._telling.close()
            if lost is not None and not self._shared.quiet:
                Output(self._command, self._shared).warn([lost])
        if self._junit is not None:
            from backfill_cli.render.junit import write_junit_error

            with suppress(OSError), private_file("--junit", self._junit) as file:
                write_junit_error(file, error, command=self._command)
        if _on_github():
            from backfill_cli.render.github import error_annotation

            streams.write_quietly(sys.stderr, error_annotation(error, self._command))

    def _write_events(self, text: str) -> None:
        if self._stream is not None:
            self._stream.write(text)
        self._telling.write(text)

    def _close_events(self) -> str:
        """Return what went wrong with the events, in words."""
        if self._stream is None:
            return ""
        stream, self._stream = self._stream, None
        return stream.close()

    def _write_junit(self, result: BackfillResult, logs: Callable[[], Path]) -> str:
        if self._junit is None:
            return ""
        from backfill_cli.render.junit import write_junit

        def log_of(run_id: str, task_id: str) -> str:
            return latest_log(folder / run_id, task_id)

        try:
            folder = logs() / result.dag_id
            with private_file("--junit", self._junit) as file:
                write_junit(file, result, command=self._command, log_of=log_of)
        except (OSError, BfillError) as error:
            return f"--junit {self._junit}: {getattr(error, 'strerror', None) or error}"
        return ""

    def _tell_github(self, result: BackfillResult) -> None:
        if not _on_github():
            return
        from backfill_cli.render.github import failure_annotations, summary

        # On stderr: GitHub reads commands from both streams, and stdout may have to stay one JSON document.
        streams.write_quietly(sys.stderr, "".join(failure_annotations(result)))
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        if path:
            with suppress(OSError), Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(summary(result, self._command))


def _complain(failure: str) -> None:
    from backfill_cli.render.errors import two_lines

    hint = "what was done is recorded; see it with: bfill status"
    colour = streams.wants_colour(sys.stderr, no_color=False)
    streams.write_quietly(sys.stderr, two_lines(f"a report could not be written: {failure}", hint, colour=colour))


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"
