"""Takes the pictures of the README: `python docs/pictures.py` rewrites docs/pictures/*.svg.

Nothing in them is drawn by hand. A private folder gets the DAG beside the pictures and a store of its own, `bfill` runs
there on a pseudo-terminal of 80 columns, and what it wrote is exported: whole screens, and of the live board the frame
that stood on the terminal at two thirds of the run. Ids and times differ from one taking to the next.

The SVG names no host: Rich's own template fetches a font, this one takes the monospace font of whoever looks.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

HERE = Path(__file__).resolve().parent
PICTURES = HERE / "pictures"
WIDTH, HEIGHT = 80, 24

RANGE = "--dag daily_sales --start 2024-03-01 --end 2024-03-31"
MONTH = f"{RANGE} \\\n    --parallel 6 --reprocess failed"
FIRST_WEEK = "run --dag daily_sales --start 2024-03-01 --end 2024-03-07 --parallel 6"
COMMANDS = {
    "plan": f"plan {MONTH} --dry-run",
    "run": f"run {MONTH}",
    "status": f"status {RANGE}",
    "error": "plan --dag dags/month_end.py --last 90d",
}
"""What is typed for each picture, in this order, after the first week has run and the late file has come."""

LATE, MISSING = 4, 19
"""Days of March: the file of the first comes after the first backfill, the file of the second never."""
NEVER = "0 0 30 2 *"
"""A schedule with a mistake in it, for the picture of an error."""

ERASED = re.compile(r"\r?\x1b\[2K(?:\x1b\[1A\x1b\[2K)*")
"""How the live board takes its last frame off the terminal."""
PROGRESS = re.compile(r"(\d+) of (\d+) .* failed")
LINE_CLIP = re.compile(r' clip-path="url\(#[\w-]+-line-\d+\)"')

SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px "DejaVu Sans Mono", Menlo, Consolas, ui-monospace, monospace;
}}
.{unique_id}-title {{ font: bold 16px sans-serif; }}
{styles}
</style>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
ASPECT = 0.602
"""Width to height of a character in the fonts that SVG names first."""


def bfill(command: str, folder: Path) -> str:
    """Run `bfill command` in `folder` on a terminal of its own; returns every byte it wrote there, as text."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BFILL_", "CI", "GITHUB_"))}
    for name in ("NO_COLOR", "COLORTERM", "COLUMNS", "LINES"):
        kept.pop(name, None)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", HEIGHT, WIDTH, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "backfill_cli", *command.replace("\\\n", "").split()],
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", "PYTHONPATH": str(HERE.parent)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ):
        os.close(theirs)
        written = b""
        while piece := _read(ours):
            written += piece
    os.close(ours)
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """Return what comes next, nothing at the end: Linux tells the end of a terminal by an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def frame(written: str) -> str:
    """Return the frame of the live board nearest to two thirds of its dates, with a failure and a wait for a pool."""
    frames = [one for one in ERASED.split(written) if "for pool" in one]
    seen = [(PROGRESS.search(Text.from_ansi(one).plain), one) for one in frames]
    return min((abs(int(how[1]) / int(how[2]) - 2 / 3), one) for how, one in seen if how)[1]


def picture(name: str, command: str, written: str) -> str:
    """Return a screen as SVG, under the command that was typed for it; `name` tells its styles from another's."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="256", highlight=False
    )
    console.print(Text.assemble(("$ ", "dim"), (f"bfill {command}", "bold")))
    console.print()
    console.print(Text.from_ansi(written.strip("\n")))
    made = console.export_svg(
        title=f"bfill {command.split(maxsplit=1)[0]}",
        theme=MONOKAI,
        code_format=SVG,
        font_aspect_ratio=ASPECT,
        unique_id=f"bfill-{name}",
    )
    # A line needs no clip of its own, and where another font is wider or narrower its glyphs give way, not the columns.
    return LINE_CLIP.sub("", made).replace(" textLength=", ' lengthAdjust="spacingAndGlyphs" textLength=')


def prepare(folder: Path) -> None:
    """Make the folder of the story: settings, DAGs, and a month of files without the late and the missing one."""
    (folder / "bfill.toml").write_text("[pools]\nwarehouse = 2\n")
    (folder / "dags").mkdir()
    shutil.copy(PICTURES / "daily_sales.py", folder / "dags")
    (folder / "inbox").mkdir()
    for day in range(1, 32):
        if day not in (LATE, MISSING):
            deliver(folder, day)
    daily = (PICTURES / "daily_sales.py").read_text(encoding="utf-8")
    (folder / "dags" / "month_end.py").write_text(
        daily.replace('"daily_sales"', '"month_end"').replace("@daily", NEVER)
    )


def deliver(folder: Path, day: int) -> None:
    """Put the file of a day of March into the inbox."""
    (folder / "inbox" / f"2024-03-{day:02}.csv").write_text(f"apples,{40 + day}.50\n")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bfill-pictures-") as private:
        folder = Path(private)
        prepare(folder)
        bfill(FIRST_WEEK, folder)
        deliver(folder, LATE)
        for name, command in COMMANDS.items():
            written = bfill(command, folder)
            made = picture(name, command, frame(written) if name == "run" else written)
            (PICTURES / f"{name}.svg").write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
