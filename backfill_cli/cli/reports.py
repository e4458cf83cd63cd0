"""What machines read of a run: `--events`, `--junit`, and what GitHub Actions shows by itself.

Owns the files and streams they go to; their texts are made in `render/`. State is recorded before any of it is written:
a reader that leaves, a full disk or a folder that is gone changes nothing about the backfill, and is told at its end.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from backfill_cli.cli import streams
from backfill_cli.errors import BfillError, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from backfill_cli.cli.options import Shared
    from backfill_cli.core.ports import Listener
    from backfill_cli.core.results import BackfillResult
    from backfill_cli.render.events import EventListener

STDOUT = "-"

_PANEL = "Reports"
_EVENTS_HEAD = b'{"schema": "bfill-events/'
_JUNIT_HEAD = b"<?xml"


@dataclass(frozen=True, slots=True)
class Reporting:
    """Files for machines."""

    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="FILE|-",
            help="What happens, as it happens: one JSON object a line; - is stdout.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    junit: Annotated[
        str | None,
        typer.Option("--junit", metavar="FILE", help="A test report, one case a date.", rich_help_panel=_PANEL),
    ] = None


def refuse_with_dry_run(reporting: Reporting) -> None:
    """Raise UsageProblem when a report was asked for of what will not happen."""
    for flag, value in (("--events", reporting.events), ("--junit", reporting.junit)):
        if value is not None:
            raise UsageProblem(
                f"{flag} does not go with --dry-run, which runs nothing",
                hint=f"leave out {flag}",
                code="report-dry-run",
            )


class Reports:
    """A context around one run: `listeners` hear what happens, `finished` takes what came of it.

    Raises:
        UsageProblem: A file cannot be written, or holds something that is no report.
    """

    def __init__(self, command: str, shared: Shared, reporting: Reporting) -> None:
        if reporting.events == STDOUT and shared.json:
            raise UsageProblem(
                "--events - does not go with --json: both take stdout",
                hint="write the events to a file: --events events.ndjson",
                code="events-and-json",
            )
        self._command = f"bfill {command}"
        self._junit = None if reporting.junit is None else Path(reporting.junit)
        self._stream: EventStream | None = None
        self._events: EventListener | None = None
        if self._junit is not None:
            _check_target("--junit", self._junit, _JUNIT_HEAD)
        if reporting.events is not None:
            from backfill_cli.render.events import EventListener

            self._stream = EventStream(reporting.events)
            self._events = EventListener(self._stream.write)
        # Where the result is shown to people: --events - has stdout for itself.
        self.screen: IO[str] | None = sys.stderr if reporting.events == STDOUT else None

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return () if self._events is None else (self._events,)

    def finished(self, result: BackfillResult, logs: Path) -> int:
        """Write what needs the result; return the exit code for a report that could not be written, else 0.

        Args:
            logs: The folder of the tries' logs.
        """
        if self._events is not None:
            self._events.finished(result)
        failures = [self._close_events(), self._write_junit(result, logs)]
        self._tell_github(result)
        for failure in failures:
            if failure:
                _complain(failure)
        return streams.CANNOT_WRITE if any(failures) else 0

    def __enter__(self) -> Reports:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, BfillError):
            self._aborted(error)
        elif error is not None:
            self._close_events()

    def _aborted(self, error: BfillError) -> None:
        if self._events is not None:
            self._events.aborted(error)
            self._close_events()
        if self._junit is not None:
            from backfill_cli.render.junit import write_junit_error

            with suppress(OSError):
                _replace(self._junit, lambda file: write_junit_error(file, error, command=self._command))
        if _on_github():
            from backfill_cli.render.github import error_annotation

            streams.write_quietly(sys.stderr, error_annotation(error, self._command))

    def _close_events(self) -> str:
        """Return what went wrong with the events, in words."""
        if self._stream is None:
            return ""
        stream, self._stream = self._stream, None
        return stream.close()

    def _write_junit(self, result: BackfillResult, logs: Path) -> str:
        if self._junit is None:
            return ""
        from backfill_cli.render.junit import write_junit

        def log_of(run_id: str, task_id: str) -> str:
            return latest_log(logs / result.dag_id / run_id, task_id)

        try:
            _replace(self._junit, lambda file: write_junit(file, result, command=self._command, log_of=log_of))
        except OSError as error:
            return f"--junit {self._junit}: {error.strerror or error}"
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


class EventStream:
    """Where events go: a file of this user's own, begun anew, or stdout.

    The descriptor is taken before the run: while tasks run, file descriptor 1 leads to stderr. A reader that leaves
    silences the stream; any other failure silences it too, and `close` says so.
    """

    def __init__(self, target: str) -> None:
        self._name = "stdout" if target == STDOUT else target
        self._failure = ""
        self._stdout: IO[str] | None = None
        self._descriptor: int | None = None
        if target == STDOUT:
            streams.flush_quietly(sys.stdout)
            try:
                self._descriptor = os.dup(sys.stdout.fileno())
            except (OSError, ValueError):
                self._stdout = sys.stdout  # a stream without a descriptor: somebody's test
        else:
            self._descriptor = _open_events(Path(target))

    def write(self, text: str) -> None:
        """Write whole lines, now. Never raises."""
        if self._stdout is not None:
            streams.write_quietly(self._stdout, text)
            return
        view = memoryview(text.encode())
        while view and self._descriptor is not None:
            try:
                view = view[os.write(self._descriptor, view) :]
            except OSError as error:
                if not streams.is_broken_pipe(error):
                    self._failure = f"--events {self._name}: {error.strerror or error}"
                self._shut()

    def close(self) -> str:
        """Close, and return what went wrong, in words; nothing went wrong when the reader has left."""
        self._shut()
        return self._failure

    def _shut(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def latest_log(folder: Path, task_id: str) -> str:
    """Return the path of the log of a task's last try that printed anything; empty without one."""
    tries: list[tuple[int, Path]] = []
    with suppress(OSError):
        for path in folder.iterdir():
            name, _, number = path.name.removesuffix(".log").rpartition(".")
            if name == task_id and number.isdecimal():
                tries.append((int(number), path))
    return str(max(tries)[1]) if tries else ""


def _open_events(path: Path) -> int:
    """Open a file for events, emptied, 0600; a link is not followed."""
    if path.parent == Path("/dev/fd") and path.name.isdecimal():
        try:
            return os.dup(int(path.name))  # `--events >(jq …)`: the shell's pipe, which is a link by its name
        except OSError as error:
            raise _unwritable("--events", path, error) from error
    _check_target("--events", path, _EVENTS_HEAD)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, 0o600)
            os.ftruncate(descriptor, 0)
    except OSError as error:
        raise _unwritable("--events", path, error) from error
    return descriptor


def _check_target(flag: str, path: Path, head: bytes) -> None:
    """Raise UsageProblem unless the path can take a report: missing, empty, no plain file, or an earlier report.

    `--junit sales.py`, a slip of the completion, would otherwise cost somebody their file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise UsageProblem(
                f"{flag} {path}: there is no folder {path.parent}", hint=f"mkdir -p {path.parent}", code="no-folder"
            ) from None
        return
    except OSError as error:
        raise _unwritable(flag, path, error) from error
    if stat.S_ISLNK(mode):
        raise UsageProblem(
            f"{flag} {path} is a symbolic link", hint=f"name the file itself: {path.resolve()}", code="report-is-link"
        )
    if stat.S_ISDIR(mode):
        raise UsageProblem(f"{flag} {path} is a folder", hint="name a file in it", code="report-is-folder")
    if not stat.S_ISREG(mode):
        return
    try:
        with path.open("rb") as file:
            found = file.read(len(head))
    except OSError as error:
        raise _unwritable(flag, path, error) from error
    if found and found != head:
        raise UsageProblem(
            f"{flag} {path} exists and is no earlier report",
            hint="name another file, or remove it",
            code="report-exists",
        )


def _replace(path: Path, write: Callable[[IO[str]], None]) -> None:
    """Put a new file in the place of another, whole or not at all."""
    from tempfile import NamedTemporaryFile

    # Made 0600, beside the target: replacing across file systems is not one step.
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8") as file:
        try:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)  # noqa: PTH105
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _unwritable(flag: str, path: Path, error: OSError) -> UsageProblem:
    return UsageProblem(
        f"{flag} {path} cannot be written: {error.strerror or error}",
        hint="name another file",
        code="report-unwritable",
    )


def _complain(failure: str) -> None:
    from backfill_cli.render.errors import two_lines

    hint = "what was done is recorded; see it with: bfill status"
    colour = streams.wants_colour(sys.stderr, no_color=False)
    streams.write_quietly(sys.stderr, two_lines(f"a report could not be written: {failure}", hint, colour=colour))


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"
