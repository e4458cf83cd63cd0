"""The benchmarks: every row can be measured, and a line says honestly whether its aim holds. No time is asserted."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.__main__ import ROWS, main
from benchmarks.lines import Aim, Line, table
from benchmarks.sizes import FULL, TINY, changed


@pytest.mark.parametrize("name", ROWS)
def test_every_row_can_be_measured(name: str) -> None:
    lines = ROWS[name](TINY)

    assert lines
    for line in lines:
        assert math.isfinite(line.bfill), line
        assert line.yardstick is None or math.isfinite(line.yardstick), line
        assert len(line.cells()) == len(table([line]).splitlines()[0].split("|")) - 2


def test_the_table_has_a_line_for_every_gate_of_start_up_and_none_is_guessed() -> None:
    lines = {line.name: line for line in ROWS["startup"](TINY)}

    assert {name for name, line in lines.items() if line.aim} == {
        "start-up: --version",
        "start-up: --help",
        "start-up: status",
    }
    assert all(line.bfill > 0 and line.yardstick for line in lines.values())


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (Line("a", 60, "µs", 10, "bare", Aim(6, 3)), "yes"),
        (Line("a", 61, "µs", 10, "bare", Aim(6, 3)), "no"),
        (Line("a", 30, "µs", 10, "bare", Aim(6, 3)), "stretch"),
        (Line("a", 3, "s", 1, "bare", Aim(2, None, "s")), "no"),
        (Line("a", 2e6, "/s", 1, "bare", Aim(1e6, 5e6, "/s", at_least=True)), "yes"),
        (Line("a", 9e5, "/s", 1, "bare", Aim(1e6, 5e6, "/s", at_least=True)), "no"),
        (Line("a", 3, "s", 1, "bare"), "–"),
    ],
)
def test_a_verdict_is_about_the_ratio_or_the_figure_as_the_aim_says(line: Line, verdict: str) -> None:
    assert line.verdict == verdict


@pytest.mark.parametrize(
    "line",
    [
        Line("a", -5, "µs", 10, "bare", Aim(6)),
        Line("a", 5, "µs", -10, "bare", Aim(6)),
        Line("a", -5, "µs", aim=Aim(200, None, "µs"), is_difference=True),
    ],
)
def test_a_difference_of_two_runs_that_drowned_in_noise_is_no_success(line: Line) -> None:
    assert line.verdict == "?"


def test_sizes_are_changed_by_name() -> None:
    assert changed(FULL, ["many=7", "rounds=1"]).many == 7
    for wrong in ("many", "many=", "many=0", "many=-1", "more=3"):
        with pytest.raises(ValueError, match="NAME=N"):
            changed(FULL, [wrong])


def test_a_gate_that_does_not_hold_fails_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "template", lambda sizes: [Line("slow", 9.0, "s", 1.0, "bare", Aim(2))])

    assert main(["--rows", "template"]) == 0
    assert main(["--rows", "template", "--strict"]) == 1


def test_an_unknown_row_or_size_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "template,nosuch"]) == 2
    assert main(["--tiny", "--set", "nosuch=1"]) == 2
    assert "nosuch" in capsys.readouterr().err


def test_what_the_runs_of_a_row_leave_behind_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    ROWS["cold"](TINY)

    assert not list(tmp_path.iterdir())
