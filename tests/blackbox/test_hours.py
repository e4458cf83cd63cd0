"""Allowed hours, with the clock of this machine: nothing starts outside, and whoever waits can be stopped."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from blackbox.world import Project

ZONE = "Asia/Kathmandu"

NAPS = f"""\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), timezone="{ZONE}"):
    @task
    def nap():
        time.sleep(0.4)
    nap()
"""
DATES = ("run", "--dag", "naps", "--start", "2024-01-01", "--limit", "30")


@pytest.fixture
def naps(project: Project) -> Project:
    project.write("dags/naps.py", NAPS)
    return project


def window(start: datetime, end: datetime) -> str:
    return "-".join(f"{one.astimezone(ZoneInfo(ZONE)):%H:%M:%S}" for one in (start, end))


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def test_nothing_starts_before_the_window_opens(naps: Project) -> None:
    opens = in_seconds(4)
    hours = window(opens, opens + timedelta(hours=1))
    going = naps.start(*DATES[:-1], "2", "--between", hours)
    while not going.says("waiting"):
        time.sleep(0.02)
    ran = going.wait().exits(0)
    assert f"waiting 1 task for --between {hours}, in " in ran.err
    starts = [datetime.fromisoformat(row["started_at"]) for row in naps.attempts("naps")]
    assert starts[0] >= opens
    assert starts[0] < opens + timedelta(seconds=1.5), "it woke up late"


def test_what_runs_when_it_closes_ends_by_itself_and_nothing_new_starts(naps: Project) -> None:
    closes = in_seconds(4)
    going = naps.start(*DATES, "--between", window(closes - timedelta(hours=1), closes), "--json")
    while not going.says("waiting"):
        time.sleep(0.02)
    assert datetime.now(UTC) >= closes
    rows = naps.attempts("naps")
    assert rows
    assert all(datetime.fromisoformat(row["started_at"]) <= closes + timedelta(seconds=0.1) for row in rows)
    assert {row["outcome"] for row in rows} == {"success"}
    going.signal(signal.SIGTERM)
    ran = going.wait(10)
    assert (ran.code, ran.data["completed"], ran.data["remaining"]) == (143, len(rows), 30 - len(rows))


@pytest.mark.parametrize("limit", [("--max-duration", "1s"), ("--deadline", "soon")])
def test_limits_of_time_hold_while_it_waits(naps: Project, limit: tuple[str, str]) -> None:
    flag, value = limit
    if value == "soon":
        value = in_seconds(3).isoformat()
    ran = naps.bfill(*DATES, "--between", window(in_seconds(3_600), in_seconds(7_200)), flag, value, "--json").exits(1)
    assert (ran.data["completed"], ran.data["state"]) == (0, "interrupted")
    assert flag in ran.err


def test_the_hours_stay_with_the_backfill_unless_others_are_named(naps: Project) -> None:
    hours = window(in_seconds(3_600), in_seconds(7_200))
    naps.bfill(*DATES[:-1], "2", "--between", hours, "--max-duration", "1s").exits(1)
    ran = naps.bfill("run", "--max-duration", "1s", "--json").exits(1)
    assert (ran.data["completed"], hours in ran.err) == (0, True)
    assert naps.bfill("run", "--between", "00:00-24:00", "--json").exits(0).data["completed"] == 2


def test_a_plan_shows_its_hours_and_is_run_in_them(naps: Project) -> None:
    hours = window(in_seconds(3_600), in_seconds(7_200))
    words = ("plan", *DATES[1:-1], "2", "--between", hours)
    assert f" hours     tasks start {hours}, in {ZONE}" in naps.bfill(*words).exits(0).out
    data = naps.bfill("run", "--dry-run", "--json").exits(0).data
    assert data["between"] == [hours]
    ran = naps.bfill("run", "--max-duration", "1s", "--json").exits(1)
    assert (ran.data["completed"], hours in ran.err) == (0, True)


def test_what_is_no_window_is_refused(naps: Project) -> None:
    naps.bfill(*DATES, "--between", "at night").says(2, "--between 'at night'", "22:00-06:00")
