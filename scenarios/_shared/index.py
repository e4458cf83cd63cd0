"""Writes the index in `scenarios/README.md` from the scenarios themselves: `python scenarios/_shared/index.py`.

Owns the table between the two marks. Number, question, lesson and tags come from the files; seconds are measured, for a
scenario that has none yet, or for every one with `--measure`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from backfill_cli.core.scenarios import Scenario

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- index: written by _shared/index.py -->", "<!-- /index -->"

_ROW = re.compile(r"^\| \[([\d.]+)\].*\| (\d+) \|$", re.MULTILINE)


def table(scenarios: Sequence[Scenario], seconds: dict[str, int]) -> str:
    """Return the index as Markdown."""
    lines = ["| number | question | lesson | tags | seconds |", "|---|---|---|---|---:|"]
    for one in scenarios:
        link = f"[{one.number}]({Path(one.path).name})"
        cells = [link, one.about["Question"], one.lesson, ", ".join(one.tags), str(seconds[one.number])]
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def known_seconds(readme: str) -> dict[str, int]:
    """Return number → seconds as the README has them."""
    return {number: int(seconds) for number, seconds in _ROW.findall(readme)}


def written(readme: str, index: str) -> str:
    """Return the README with this index. Raises ValueError when the marks are gone."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{README} lacks '{BEGIN}' or '{END}'")
    return f"{before}{begin}\n\n{index}\n\n{end}{after}"


def main() -> None:
    from backfill_cli.app.scenarios import run_scenarios
    from backfill_cli.loader.scenarios import all_scenarios

    readme = README.read_text(encoding="utf-8")
    scenarios = all_scenarios(README.parent)
    seconds = {} if "--measure" in sys.argv else known_seconds(readme)
    for run in run_scenarios([one for one in scenarios if one.number not in seconds]).runs:
        print(f"{run.scenario.number} {run.duration_s:.1f} s")
        if run.failed:
            sys.exit(f"{run.scenario.number}: {run.failed[0].name}: {run.failed[0].evidence}")
        seconds[run.scenario.number] = max(1, round(run.duration_s))
    README.write_text(written(readme, table(scenarios, seconds)), encoding="utf-8")


if __name__ == "__main__":
    main()
