"""Every screen against its golden file at 80 and 120 columns, and the promises all screens keep."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from backfill_cli.render.screens import SCREENS, show
from backfill_cli.render.status import render
from render import samples, wave_samples

WIDTHS = (80, 120)
SAMPLES = {**samples.SAMPLES, **wave_samples.SAMPLES}


def drawn(name: str, width: int, *, colour: bool = False) -> str:
    command, make = SAMPLES[name]
    file = io.StringIO()
    show(command, make(), file, colour=colour, width=width)
    return file.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_a_screen_is_as_its_golden_file_shows_it(name, width, golden):
    golden(f"render/{name}.{width}.txt", drawn(name, width))


@pytest.mark.parametrize("name", SAMPLES)
def test_without_a_terminal_a_screen_has_no_control_byte(name):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", drawn(name, 80))


@pytest.mark.parametrize("name", SAMPLES)
def test_colour_adds_nothing_but_colour(name):
    coloured = drawn(name, 80, colour=True)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.split() for line in plain.splitlines()] == [line.split() for line in drawn(name, 80).splitlines()]


@pytest.mark.parametrize("name", SAMPLES)
def test_lines_fit_eighty_columns_unless_they_hold_a_command_or_a_path(name):
    """A command to copy is never cut or folded; everything else makes room."""
    for line in drawn(name, 80).splitlines():
        assert len(line) <= 80 or re.search(r"bfill |\.log$|logs/|→", line), line


def test_every_command_with_a_result_has_a_screen():
    shown = {command for command, _ in SAMPLES.values()}
    assert shown == set(SCREENS)


def test_the_hour_that_was_skipped_leaves_its_cell_empty():
    """2024-03-31 02:00 does not exist in Paris."""
    row = next(line for line in drawn("status-hourly", 80).splitlines() if line.startswith(" 03-31"))
    cells = [row[9 + 3 * hour] for hour in range(24)]
    assert [hour for hour, cell in enumerate(cells) if cell == " "] == [2]


def test_a_plan_that_skips_everything_says_there_is_nothing_to_do():
    assert "Nothing to do, 3 to skip." in drawn("plan-nothing", 80)
    assert "next:" not in drawn("plan-nothing", 80)


def test_a_stale_success_is_counted_and_drawn_as_stale():
    text = drawn("status-range", 80)
    assert text.count("~") == 4  # the tally and three cells


def test_why_a_backfill_stands_still_is_told_in_full_however_long():
    """What somebody wrote for whoever comes next is worth a second line, and none that the terminal folds."""
    status = samples.status_backfill()
    said = "paused by ann since 2024-04-01 10:02:11 UTC: maintenance until 14:00, ask Ann or Bert before it is resumed"
    row = replace(status.backfill.row, reason=said)
    paused = replace(status, backfill=replace(status.backfill, row=row, state="paused"))
    lines = [line.plain for line in render(paused, 80)]
    told = lines[2:4]
    assert " ".join(" ".join(told).split()) == said
    assert max(map(len, lines)) <= 80
