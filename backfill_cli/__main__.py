"""The console entry: answers `--version` and TAB before anything heavy is imported; all else goes to the CLI."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `bfill` with the arguments of this process and leave with its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from backfill_cli import __version__

        print(f"bfill {__version__}")
        return
    if sys.argv[1:2] == ["__complete"]:
        from backfill_cli.cli.complete import answer

        sys.exit(answer(sys.argv[2:]))
    from backfill_cli.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
