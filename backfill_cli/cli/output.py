"""Where a command's result goes: people or JSON on stdout, warnings on stderr, one exit code.

Owns `Output`, made once a command from its shared options. A command ends with `return output.result(result)`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any

from backfill_cli.cli import streams
from backfill_cli.interrupts import Finishing

if TYPE_CHECKING:
    from backfill_cli.cli.shared import Shared
    from backfill_cli.core.problems import Problem


class Output:
    """The streams of one command.

    Args:
        command: Its words, as the JSON envelope names it: `plan`, `audit verify`.
        shared: Its shared options.
        screen: Where people read the result; None for stdout, which `--events -` takes for itself.
    """

    def __init__(self, command: str, shared: Shared, *, screen: IO[str] | None = None) -> None:
        self.command = command
        self.json = shared.json
        self.quiet = shared.quiet
        self.no_color = shared.no_color
        self._screen = screen

    def result(self, result: Any, *, exit_code: int | None = None) -> int:
        """Show a result and return the exit code: the given one, else the result's.

        A stdout that cannot be written never changes what was recorded. Its reader having left is silent; any other
        reason is an error on stderr, and exit code 74 if all else was well.
        """
        code: int = result.exit_code if exit_code is None else exit_code
        return self._guarded(lambda: self._write(result, code), code)

    def text(self, pieces: Iterable[str], code: int) -> int:
        """Write a document as it is made, for people or for a file behind stdout; nothing with -q."""
        return self._guarded(lambda: None if self.quiet else sys.stdout.writelines(pieces), code)

    def _guarded(self, write: Callable[[], None], code: int) -> int:
        try:
            with Finishing():
                write()
                sys.stdout.flush()
        except OSError as error:
            streams.silence(sys.stdout)
            if not streams.is_broken_pipe(error):
                self._complain(error)
                return code or streams.CANNOT_WRITE
        return code

    def warn(self, problems: Sequence[Problem]) -> None:
        """Write problems to stderr, two lines each, for people."""
        from backfill_cli.render.errors import warning

        colour = streams.wants_colour(sys.stderr, no_color=self.no_color)
        text = "".join(warning(one.message, one.hint, colour=colour) for one in problems)
        streams.write_quietly(sys.stderr, text)

    def _write(self, result: Any, code: int) -> None:
        problems = _problems(result)
        if self.json:
            from backfill_cli.render.as_json import write_result

            write_result(sys.stdout, self.command, result.data(), exit_code=code, problems=problems)
            return
        if self.quiet:
            return
        from backfill_cli.render.screens import show

        # A plan's warnings are a part of its screen. Others come first: what to type next must stand last.
        if not hasattr(result, "warnings"):
            self.warn(problems)
        screen = self._screen or sys.stdout
        colour = streams.wants_colour(screen, no_color=self.no_color)
        show(self.command, result, screen, colour=colour, width=streams.width_of(screen))

    def _complain(self, error: OSError) -> None:
        from backfill_cli.render.errors import two_lines

        colour = streams.wants_colour(sys.stderr, no_color=self.no_color)
        message = f"the result could not be written to standard output: {error.strerror or error}"
        hint = "what was done is recorded; see it with: bfill status"
        streams.write_quietly(sys.stderr, two_lines(message, hint, colour=colour))


def _problems(result: Any) -> Sequence[Problem]:
    found: Sequence[Problem] = result.warnings if hasattr(result, "warnings") else getattr(result, "problems", ())
    return found
