"""The screens of `scenario list`, `scenario show` and `scenario run`.

A single scenario tells its own story while it plays; the screen of `scenario run` is the table over several of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.text import Text

from backfill_cli.core.scenarios import (
    SECTIONS,
    Check,
    Scenario,
    ScenarioList,
    ScenarioRun,
    ScenarioRuns,
    ScenarioShown,
)
from backfill_cli.render.parts import closing, folded
from backfill_cli.render.safe import safe_text
from backfill_cli.render.text import Part, columns, cut, line, wide
from backfill_cli.render.theme import BOLD, DIM, look
from backfill_cli.render.words import count, duration

_NARROWEST_LESSON = 20
_WIDEST_TEXT = 100


def render_list(result: ScenarioList, width: int) -> Iterator[Text]:
    """Return one line a scenario under the name of its group, then the tags to filter by."""
    for group, members in groupby(result.scenarios, _group):
        yield line(" ", (group, BOLD))
        for one in members:
            yield line("   ", f"{one.number:<8}", cut(one.lesson, max(_NARROWEST_LESSON, width - 11)))
    if not result.scenarios:
        yield line(" no scenario in this folder")
        return
    yield line()
    tags = "  ".join(f"{tag} {number}" for tag, number in result.tags.items())
    yield from folded(tags, width, first=(" tags  ", DIM), rest="       ")
    yield from closing(f"bfill scenario run {result.scenarios[0].number}")


def render_show(result: ScenarioShown, width: int) -> Iterator[Text]:
    """Return what a scenario is about, where its file is, and how to play it and to use its DAG."""
    one = result.scenario
    yield from about(one, width)
    yield line((" tags  ", DIM), ", ".join(one.tags))
    yield line((" file  ", DIM), one.path)
    yield line((" DAG   ", DIM), f"{one.dag_id}   bfill dags show {one.number}")
    yield line()
    yield from closing(f"bfill scenario run {one.number}")


def about(one: Scenario, width: int) -> Iterator[Text]:
    """Its number and lesson, then its sections, folded."""
    width = min(width, _WIDEST_TEXT)
    yield line(" ", (f"{one.number}  {one.lesson}", BOLD))
    yield line()
    for head in SECTIONS:
        for number, part in enumerate(one.about[head].split("\n")):
            yield from folded(part, width, first=(f" {'' if number else head:<18} ", DIM), rest=" " * 20)
    yield line()


def render_runs(result: ScenarioRuns, width: int) -> Iterator[Text]:
    """Return a line a scenario: number, name, lesson, checks that held of those made, seconds; what failed below."""
    names = max((wide(run.scenario.name) for run in result.runs), default=0)
    took = [duration(run.duration_s) for run in result.runs]
    times = max(map(len, took), default=0)
    room = max(_NARROWEST_LESSON, width - names - times - 23)
    yield from columns([_row(run, room, text.rjust(times)) for run, text in zip(result.runs, took, strict=True)])
    if result.failed:
        yield line()
    for run in result.runs:
        for check in run.failed:
            yield line(" ", (f"{look('failed').symbol} {run.scenario.number}", look("failed").style), f"  {check.name}")
            yield from folded(check.evidence, width, first=("   ", DIM), rest="   ")
    yield line()
    failed = sum(len(run.failed) for run in result.runs)
    held = sum(len(run.checks) for run in result.runs) - failed
    yield line(
        " ",
        (f"{count(len(result.runs), 'scenario')}, {count(held, 'check')} held, {failed:,} failed", BOLD),
        f" in {duration(result.duration_s)}",
    )
    broken = next((run for run in result.runs if run.failed), None)
    yield from closing(f"bfill scenario run {broken.scenario.number}" if broken else "")


def verdict(checks: Iterable[Check], duration_s: float, width: int) -> Iterator[Text]:
    """The end of a scenario that was played: how many checks held, and again those that did not."""
    made = list(checks)
    failed = [check for check in made if not check.passed]
    seen = look("failed" if failed else "success")
    said = (
        f"{len(failed):,} of {count(len(made), 'check')} failed" if failed else f"{count(len(made), 'check')}, all held"
    )
    yield line(" ", (f"{seen.symbol} {said}", seen.style), f"   {duration(duration_s)}")
    for check in failed:
        yield from folded(f"{check.name}: {check.evidence}", width, first=("   ✗ ", seen.style), rest="     ")


def progress(done: int, total: int, scenario: Scenario, width: int) -> str:
    """The one line that is redrawn while scenarios play."""
    return cut(safe_text(f" {done + 1} of {total}  {scenario.number}  {scenario.lesson}"), width - 1)


def progress_line(run: ScenarioRun) -> str:
    """A scenario that has ended, as one plain line for a file."""
    words = "passed" if not run.failed else f"failed {len(run.failed)}"
    return safe_text(f"scenario {run.scenario.number} {words} checks {len(run.checks)} seconds {run.duration_s:.1f}")


def _row(run: ScenarioRun, room: int, took: str) -> list[Part]:
    seen = look("failed" if run.failed else "success")
    held = f"{len(run.checks) - len(run.failed)}/{len(run.checks)}"
    return [
        line((seen.symbol, seen.style), f" {run.scenario.number}"),
        run.scenario.name,
        (cut(run.scenario.lesson, room), DIM),
        (held.rjust(5), seen.style),
        took,
    ]


def _group(one: Scenario) -> str:
    """`17.3 backfill_cli` for numbered parts of one subject; the first two numbers alone for single ones."""
    subject, _, _ = one.name.partition("_subtask_")
    group = one.number.rpartition(".")[0]
    return f"{group}  {subject.replace('_', ' ')}" if subject != one.name else group
