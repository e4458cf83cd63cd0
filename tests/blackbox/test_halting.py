"""Runs that end themselves: nothing new starts, what runs ends by itself, the rest goes on with the same command."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blackbox.world import Project

WEEK = ("--dag", "sales", "--start", "2024-01-01", "--end", "2024-01-07")


@pytest.fixture
def breaking(project: Project, sales: Any) -> Project:
    project.breaks("load", "2024-01-02", "2024-01-04", "2024-01-06")
    return project


def test_fail_fast_starts_nothing_after_the_first_failed_date(breaking: Project) -> None:
    ran = breaking.bfill("run", *WEEK, "--fail-fast", "--json").exits(1)
    assert (ran.data["state"], ran.data["completed"], ran.data["failed"], ran.data["remaining"]) == (
        "interrupted",
        1,
        1,
        5,
    )
    assert breaking.runs("sales") == {"2024-01-01": "success", "2024-01-02": "failed"}
    assert "--fail-fast: 1 date failed" in ran.err


def test_what_a_limit_left_goes_on_under_the_same_id_and_limits_count_anew(breaking: Project) -> None:
    first = breaking.bfill("run", *WEEK, "--max-failures", "1", "--json").exits(1)
    again = breaking.bfill("run", first.data["backfill_id"], "--max-failures", "2", "--json").exits(1)
    assert again.data["backfill_id"] == first.data["backfill_id"]
    assert (again.data["state"], again.data["failed"], again.data["remaining"]) == ("interrupted", 3, 1)


def test_whoever_goes_on_is_told_what_this_command_took_and_when_the_backfill_began(breaking: Project) -> None:
    first = breaking.bfill("run", *WEEK, "--fail-fast", "--json").exits(1)
    assert first.data["resumed_at"] is None
    time.sleep(1.2)
    again = breaking.bfill("run", *WEEK, "--max-failures", "1", "--json").exits(1)
    assert first.data["started_at"] == again.data["started_at"] < again.data["resumed_at"] < again.data["ended_at"]
    assert again.data["duration_s"] > 1.2
    shown = breaking.bfill("run", *WEEK).exits(1)
    assert re.search(r"in [\d.]+ (ms|s), [\d.]+ s since it began", shown.out)
    took = re.search(r"finished failed .* seconds (\d+)$", shown.err, re.MULTILINE)
    assert took is not None and int(took[1]) <= 1


def test_a_limit_is_told_of_behind_the_failure_it_was_reached_with(breaking: Project) -> None:
    ran = breaking.bfill("run", *WEEK, "--fail-fast").exits(1)
    told = [line.split()[1:3] for line in ran.err.splitlines()]
    assert told.index(["failed", "2024-01-02"]) < told.index(["stopping", "because"])


def test_a_percentage_is_of_the_dates_there_are_to_do(breaking: Project) -> None:
    """7 dates, 20%: 1.4, so two failures are the limit."""
    ran = breaking.bfill("run", *WEEK, "--max-failures", "20%", "--json").exits(1)
    assert ran.data["failed"] == 2
    (row,) = breaking.rows("SELECT state, reason FROM backfills")
    assert row == {"state": "interrupted", "reason": "--max-failures 20%: 2 dates failed"}


def test_a_limit_that_is_reached_with_the_last_date_is_no_interruption(breaking: Project) -> None:
    ran = breaking.bfill("run", *WEEK, "--max-failures", "3", "--dry-run").exits(0)
    breaking.mends("load", "2024-01-02", "2024-01-04")
    breaking.breaks("load", "2024-01-07")
    ran = breaking.bfill("run", *WEEK, "--max-failures", "2", "--json").exits(1)
    assert (ran.data["state"], ran.data["remaining"]) == ("failed", 0)


SLOW = """\
with DAG("slow", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def nap(ds: str):
        time.sleep(0.3)
    nap()
"""
MONTH = ("--dag", "slow", "--start", "2024-01-01", "--end", "2024-01-31")


def test_after_its_duration_a_run_starts_nothing_and_what_runs_ends(project: Project) -> None:
    project.write("dags/slow.py", SLOW)
    began = time.monotonic()
    ran = project.bfill("run", *MONTH, "--max-duration", "1s", "--json").exits(1)
    assert time.monotonic() - began < 8
    assert ran.data["state"] == "interrupted"
    assert 1 <= ran.data["completed"] <= 4
    assert {one["outcome"] for one in project.attempts("slow")} == {"success"}


def test_a_deadline_on_the_clock_ends_a_run(project: Project) -> None:
    project.write("dags/slow.py", SLOW)
    soon = datetime.now(UTC) + timedelta(seconds=3)
    ran = project.bfill("run", *MONTH, "--deadline", soon.strftime("%Y-%m-%dT%H:%M:%SZ"), "--json").exits(1)
    assert ran.data["remaining"]
    assert all(one["started_at"] < soon.isoformat() for one in project.attempts("slow"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--fail-fast", "--max-failures", "2"), "exclude each other"),
        (("--max-failures", "0"), "neither a number from 1 on nor a percentage"),
        (("--max-failures", ""), "--max-failures '' is neither"),
        (("--max-duration", "soon"), "is no duration"),
        (("--deadline", "2020-01-01"), "has passed"),
        (("--on-conflict", "ask"), "--on-conflict 'ask' is not known"),
        (("--orphans", "ask"), "--orphans 'ask' is not known"),
        (("--parallel-min", "4"), "--parallel-min 4 is not between 1 and --parallel 1"),
        (("--probe", "true"), "goes with --parallel-min"),
        (("--between", "at night"), "is no window of hours"),
    ],
)
def test_a_limit_that_is_none_is_refused_before_anything_is_stored_by_plans_and_dry_runs_as_well(
    project: Project, sales: Any, words: tuple[str, ...], says: str
) -> None:
    with project.unchanged():
        project.bfill("run", *WEEK, *words).says(2, says)
        project.bfill("run", *WEEK, *words, "--dry-run").says(2, says)
        project.bfill("plan", *WEEK, *words).says(2, says)
