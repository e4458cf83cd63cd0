"""`python -m backfill_cli.cli.completions [FOLDER]` writes the files; by default to `completions`."""

from __future__ import annotations

import sys
from pathlib import Path

from backfill_cli.cli.completions import FILES, script


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "completions")
    folder.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (folder / name).write_text(script(shell), encoding="utf-8")
        print(folder / name)


if __name__ == "__main__":
    main()
