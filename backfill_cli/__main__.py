"""The console entry: answers `--version` and TAB before anything heavy is imported; all else goes to the CLI."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # not typing's: it costs `--version` more than all the rest
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> None:
    """Run `bfill` with the arguments of this process and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from backfill_cli import __version__

        _say(f"bfill {__version__}\n")
        return
    if sys.argv[1:2] == ["__complete"]:
        from backfill_cli.cli.complete import answer

        sys.exit(answer(sys.argv[2:]))
    from backfill_cli import interrupts

    interrupts.listen()
    try:
        from backfill_cli.cli import main as command_line

        command_line.own_process = True
        code = command_line.run(sys.argv[1:])
        _leave(interrupts.exit_code(otherwise=code))
    except interrupts.Interrupted as stop:
        _leave(stop.exit_code)


def _say(text: str) -> None:
    """Write to stdout; a reader that has left has read enough, any other failure is exit code 74."""
    try:
        if sys.stdout is not None:
            sys.stdout.write(text)
            sys.stdout.flush()
    except OSError as error:
        import os
        from contextlib import suppress

        from backfill_cli.cli.streams import CANNOT_WRITE, is_broken_pipe

        has_left = is_broken_pipe(error)
        with suppress(OSError):  # what is still buffered goes nowhere: the interpreter flushes once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not has_left:
            sys.exit(CANNOT_WRITE)


OTHERS_WAIT_S = 1.0
"""Seconds, at the end, for threads that a DAG file has started and nobody will end."""


def _leave(code: int) -> NoReturn:
    """Leave at once when a task's thread would not: all is recorded, and an interpreter's exit waits for every thread.

    A stop at once cannot end Python code that sits in a C call (`time.sleep`, a socket); without this the process, and
    that task with it, would live on after bfill has said that it was stopped. A thread that a DAG file has started gets
    a moment. What a DAG file prints on its way out goes to stderr: stdout holds a whole result by now.
    """
    import os
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if "backfill_cli.loader.imports" in sys.modules:
        import atexit

        atexit.register(_divert_stdout)  # the last registered is the first called
    if _others_live_on():
        os._exit(code)
    sys.exit(code)


def _divert_stdout() -> None:
    import os
    from contextlib import suppress

    with suppress(OSError):
        os.dup2(2, 1)


def _others_live_on() -> bool:
    threading = sys.modules.get("threading")
    others = [] if threading is None else [one for one in threading.enumerate() if one is not threading.main_thread()]
    if any(one.name.startswith("bfill") for one in others):
        return True
    import time

    until = time.monotonic() + OTHERS_WAIT_S
    for one in others:
        if not one.daemon:
            one.join(max(0.0, until - time.monotonic()))
    return any(one.is_alive() and not one.daemon for one in others)


if __name__ == "__main__":
    main()
