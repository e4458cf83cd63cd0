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

        print(f"bfill {__version__}")
        return
    if sys.argv[1:2] == ["__complete"]:
        from backfill_cli.cli.complete import answer

        sys.exit(answer(sys.argv[2:]))
    from backfill_cli import interrupts

    interrupts.listen()
    try:
        from backfill_cli.cli.main import run

        code = run(sys.argv[1:])
        _leave(interrupts.exit_code(otherwise=code))
    except interrupts.Interrupted as stop:
        _leave(stop.exit_code)


def _leave(code: int) -> NoReturn:
    """Leave at once when a task's thread would not: all is recorded, and an interpreter's exit waits for every thread.

    A stop at once cannot end Python code that sits in a C call (`time.sleep`, a socket); without this the process, and
    that task with it, would live on after bfill has said that it was stopped.
    """
    threading = sys.modules.get("threading")
    if threading is not None and any(one.name.startswith("bfill") for one in threading.enumerate()):
        import os
        from contextlib import suppress

        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
