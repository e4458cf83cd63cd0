"""`run(argv)`: the one place that catches everything and turns it into two lines and an exit code.

Owns contract section 6 as far as it is about errors. Commands raise; here a `BfillError` becomes `error:` and `hint:`
on stderr, or the JSON envelope on stdout; a Typer usage error the same; a signal is 128 + its number, and silence;
anything else is a bug, exit 70, with the traceback in a file. Nothing below prints an error, nothing here knows a
command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from backfill_cli.cli import streams
from backfill_cli.errors import BfillError, StoppedError
from backfill_cli.interrupts import Finishing, Interrupted, exit_code

INTERRUPTED = 130

own_process = False
"""Set by the console entry: nothing but bfill lives in this process, which may fork while it loads DAG files."""


def run(argv: Sequence[str]) -> int:
    """Run one command line, without the program's name, and return its exit code. Never raises an Exception."""
    streams.prepare()
    words = list(argv)
    try:
        code = _caught(words)
    except OSError as error:
        # Only a write to stdout gets here: the help.
        streams.silence(sys.stdout)
        code = 0 if streams.is_broken_pipe(error) else _unwritable(error, words)
    failure = streams.flush_all()
    return _unwritable(failure, words) if failure and not code else code


def _caught(words: list[str]) -> int:
    try:
        return _invoke(words)
    except Interrupted as stop:
        return _stopped(stop.exit_code, words)
    except KeyboardInterrupt:
        return _stopped(INTERRUPTED, words)
    except BfillError as error:
        # An error that follows from a swallowed interruption (`except:` in a DAG file) explains nothing.
        return exit_code(otherwise=0) or _report(error, words)
    except Exception as error:
        if isinstance(error, OSError) and streams.is_output_failure(error):
            raise
        from backfill_cli.cli.mistakes import explain

        return exit_code(otherwise=0) or _report(explain(error, words), words)


def _invoke(words: list[str]) -> int:
    import typer

    from backfill_cli.cli.catalog import root_command

    command = root_command()
    try:
        # A copy: the parser takes the words out of the list, and an error is still told as its --json asks for.
        with command.make_context("bfill", list(words)) as context:
            code = command.invoke(context)
    except typer.Exit as leave:
        return leave.exit_code
    except (typer.Abort, EOFError):
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def _unwritable(error: OSError, words: list[str]) -> int:
    from backfill_cli.render.errors import two_lines

    colour = streams.wants_colour(sys.stderr, no_color="--no-color" in words)
    streams.write_quietly(sys.stderr, two_lines(f"cannot write the output: {error.strerror}", "", colour=colour))
    return streams.CANNOT_WRITE


def _report(error: BfillError, words: list[str]) -> int:
    """Write an error as asked for, and return its exit code."""
    if _wants_json(words):
        return _write_envelope(error, words, error.exit_code)
    from backfill_cli.render.errors import two_lines

    colour = streams.wants_colour(sys.stderr, no_color="--no-color" in _options(words))
    streams.flush_quietly(sys.stdout)
    streams.write_quietly(sys.stderr, two_lines(str(error), error.hint, colour=colour))
    return error.exit_code


def _stopped(code: int, words: list[str]) -> int:
    """Say to a script that there is no result; a person knows what they pressed."""
    if not _wants_json(words) or Finishing.has_begun:
        return code
    from signal import Signals

    error = StoppedError(
        f"stopped by {Signals(code - 128).name} before there was a result",
        hint="what was done is recorded; the same command goes on",
    )
    return _write_envelope(error, words, code)


def _write_envelope(error: BfillError, words: list[str], code: int) -> int:
    from backfill_cli.cli.mistakes import command_words
    from backfill_cli.render.as_json import write_error

    try:
        write_error(sys.stdout, command_words(words), error, exit_code=code)
        sys.stdout.flush()
    except OSError as lost:
        streams.silence(sys.stdout)
        if not streams.is_broken_pipe(lost):
            _unwritable(lost, words)
    return code


def _options(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _wants_json(words: list[str]) -> bool:
    return "--json" in _options(words)
