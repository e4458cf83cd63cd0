"""The weather example through the real command line, against one independent computation over the raw file.

Failures are real ones: the test takes rows out of its copy of the source file and puts them back. Kills are real ones:
SIGKILL to the process, at a random moment while dates are being loaded.
"""

from __future__ import annotations

import csv
import json
import math
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "weather"
TASKS = ["extract", "load", "monthly_summary", "rolling_mean", "validate"]
MISSING = [
    "2012/01/19", "2012/02/28", "2012/02/29", "2012/03/01", "2012/03/11", "2012/06/30",
    "2012/07/01", "2012/08/17", "2012/10/31", "2012/11/04", "2012/12/30", "2012/12/31",
]  # fmt: skip
"""Twelve days, among them month's ends, a leap day, neighbours, both clock changes and the last of the range."""


Tables = dict[str, dict[str, tuple[Any, ...]]]


class Answer(NamedTuple):
    """How a command ended."""

    exit_code: int
    data: dict[str, Any]


class Workplace:
    """A folder with a copy of the example, a store and a warehouse, as a user would have it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "weather" / "seattle-weather.csv"
        shutil.copytree(EXAMPLE, folder / "weather", ignore=shutil.ignore_patterns("__pycache__"))

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "backfill_cli", command, *words, "--parallel", "8", "--json"],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if not name.startswith("BFILL_")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def bfill(self, command: str, *words: str) -> Answer:
        process = self.start(command, *words)
        told = json.loads(process.communicate(timeout=300)[0])
        assert told["exit_code"] == process.returncode
        assert "error" not in told, told
        return Answer(process.returncode, told["data"])

    def query(self, file: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / file, timeout=30)) as connection:
            return connection.execute(sql, values).fetchall()

    def attempts(self, backfill_id: str | None = None) -> list[tuple[Any, ...]]:
        """(day, task, outcome) of every attempt, or of those one backfill made."""
        return self.query(
            ".bfill/bfill.db",
            "select substr(logical_date, 1, 10), task_id, outcome from v_attempts where ? in (backfill_id, '')",
            backfill_id or "",
        )

    def loaded(self) -> int:
        """Days in the warehouse; 0 before there is one. Looks without making the file."""
        try:
            with closing(sqlite3.connect(f"file:{self.folder}/weather.db?mode=ro", uri=True)) as connection:
                return int(connection.execute("select count(*) from daily").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def warehouse(self) -> Tables:
        """Every row of every table: table → key → the rest. A key that comes twice is a failure."""
        found: Tables = {}
        for (table,) in self.query("weather.db", "select name from sqlite_master where type = 'table'"):
            rows = self.query("weather.db", f"select * from {table}")
            found[table] = {row[0]: row[1:] for row in rows}
            assert len(found[table]) == len(rows), table
        return found


@pytest.fixture
def workplace() -> Iterator[Workplace]:
    # SIGKILL takes nothing back from the page cache, so memory proves what a disk would, several times as quickly.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Workplace(Path(folder))


def selection(start: str, end: str) -> list[str]:
    return ["--dag", "weather/weather.py", "--start", start, "--end", end]


def expected(start: str, end: str) -> Tables:
    """The whole warehouse after a backfill of these days, from the raw file alone."""
    daily: dict[str, tuple[Any, ...]] = {}
    with (EXAMPLE / "seattle-weather.csv").open(newline="") as lines:
        for date, rain, high, low, wind, sky in list(csv.reader(lines))[1:]:
            day = date.replace("/", "-")
            if start <= day <= end:
                daily[day] = (float(rain), float(high), float(low), float(wind), sky)
    rows = list(daily.values())
    rolling: dict[str, tuple[Any, ...]] = {}
    for number, day in enumerate(daily):
        window = rows[max(0, number - 6) : number + 1]
        rolling[day] = (
            len(window),
            statistics.fmean(row[0] for row in window),
            statistics.fmean(row[1] for row in window),
        )
    monthly: dict[str, tuple[Any, ...]] = {}
    for month in {day[:7] for day in daily}:
        days = [row for day, row in daily.items() if day[:7] == month]
        rain = [row[0] for row in days]
        monthly[month] = (
            len(days),
            sum(one > 0 for one in rain),
            math.fsum(rain),
            max(row[1] for row in days),
            min(row[2] for row in days),
        )
    return {"daily": daily, "rolling": rolling, "monthly": monthly}


def assert_equal(found: Tables, wanted: Tables) -> None:
    """Same tables, keys and values; sums and means may differ in the last bits, by the order of addition."""
    assert found.keys() == wanted.keys()
    assert found["daily"] == wanted["daily"]
    for table in ("rolling", "monthly"):
        assert found[table].keys() == wanted[table].keys(), table
        for key, values in wanted[table].items():
            assert found[table][key] == pytest.approx(values, rel=1e-12, abs=1e-12), (table, key)


def test_four_years_eight_at_a_time_equal_the_independent_computation_and_a_second_run_does_nothing(
    workplace: Workplace,
) -> None:
    wanted = expected("2012-01-01", "2015-12-31")
    assert (len(wanted["daily"]), len(wanted["monthly"])) == (1461, 48)

    first = workplace.bfill("run", *selection("2012-01-01", "2015-12-31"))

    assert (first.exit_code, first.data["total_dates"], first.data["completed"]) == (0, 1461, 1461)
    assert_equal(workplace.warehouse(), wanted)
    assert Counter(task for _, task, _ in workplace.attempts()) == dict.fromkeys(TASKS, 1461)

    attempts, warehouse = workplace.attempts(), (workplace.folder / "weather.db").read_bytes()
    second = workplace.bfill("run", *selection("2012-01-01", "2015-12-31"))

    assert (second.exit_code, second.data["completed"], second.data["skipped"]) == (0, 0, 1461)
    assert workplace.attempts() == attempts
    assert (workplace.folder / "weather.db").read_bytes() == warehouse


def test_twelve_failed_dates_stay_failed_until_rerun_failed_repairs_exactly_those(workplace: Workplace) -> None:
    """Section 4: the dates behind the first failure are blocked at `rolling_mean`, and go on by themselves."""
    year = selection("2012-01-01", "2012-12-31")
    failing = {day.replace("/", "-") for day in MISSING}
    whole = workplace.source.read_text()
    workplace.source.write_text("".join(one for one in whole.splitlines(True) if one[:10] not in MISSING))

    first = workplace.bfill("run", *year)

    # 18 days before the first failure; every day behind it waits for its rolling mean alone.
    counts = ("completed", "failed", "blocked", "skipped", "remaining")
    assert (first.exit_code, *(first.data[name] for name in counts)) == (1, 18, 12, 366 - 18 - 12, 0, 0)
    assert {one["logical_date"][:10] for one in first.data["results"] if one["state"] == "failed"} == failing
    assert {day for day, task, outcome in workplace.attempts() if outcome == "failed"} == failing
    assert set(workplace.warehouse()["daily"]) == set(expected("2012-01-01", "2012-12-31")["daily"]) - failing

    again = workplace.bfill("run", *year)

    assert (again.exit_code, again.data["completed"], again.data["failed"], again.data["skipped"]) == (1, 0, 0, 30)
    assert workplace.attempts(again.data["backfill_id"]) == []

    workplace.source.write_text(whole)
    repair = workplace.bfill("rerun-failed")

    assert (repair.exit_code, repair.data["completed"]) == (0, 366 - 18)
    made = workplace.attempts(repair.data["backfill_id"])
    assert {outcome for _, _, outcome in made} == {"success"}
    assert sorted((day, task) for day, task, _ in made) == sorted(
        (day, task)
        for day in expected("2012-01-19", "2012-12-31")["daily"]
        for task in (TASKS if day in failing else ["rolling_mean"])
    )
    assert_equal(workplace.warehouse(), expected("2012-01-01", "2012-12-31"))
    assert workplace.bfill("run", *year).exit_code == 0


@pytest.mark.parametrize(
    ("start", "end", "days"), [("2012-02-01", "2012-06-30", 151), ("2014-10-01", "2014-12-31", 92)]
)
def test_a_backfill_killed_several_times_ends_equal_to_one_that_was_not(
    workplace: Workplace, start: str, end: str, days: int
) -> None:
    """Each date and task succeeds; what was in flight at a kill is told as lost and done again (at least once)."""
    seed = int(os.environ.get("WEATHER_SEED") or random.randrange(2**32))
    print(f"WEATHER_SEED={seed}")
    chance = random.Random(seed)
    for moment in sorted(chance.sample(range(1, days - 20), 3)):
        process = workplace.start("run", *selection(start, end))
        while workplace.loaded() < moment and process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed: the range is too short"

    last = workplace.bfill("run", *selection(start, end))

    assert (last.exit_code, last.data["total_dates"]) == (0, days)
    assert_equal(workplace.warehouse(), expected(start, end))
    attempts = workplace.attempts()
    assert {outcome for _, _, outcome in attempts} <= {"success", "lost"}
    done = {(day, task) for day, task, outcome in attempts if outcome == "success"}
    assert len(done) == days * len(TASKS)
