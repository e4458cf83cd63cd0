"""Four years of Seattle weather: a day's row from a file into a warehouse, with two tables built upon it.

    extract >> validate >> load >> rolling_mean      one row a day; the mean of a day needs the days before it
                           load >> monthly_summary   one row a month

What makes it safe to backfill in parallel, and twice:

- every task works on the day it is given (`local_ds`), never on "today" or on "the last row";
- every write replaces what that day (or month) wrote before, in one transaction: a second try changes nothing;
- `rolling_mean` reads what earlier days loaded, and says so: `depends_on_past` lets the other tasks run side by side
  and keeps this one in order.

The warehouse is `weather.db` in the working directory, or what `--conf warehouse=PATH` names. Where the file comes from
stands in the README beside it.
"""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from backfill_cli import DAG, FailTask, task

SOURCE = Path(__file__).with_name("seattle-weather.csv")
SKIES = {"drizzle", "fog", "rain", "snow", "sun"}
TABLES = """
    create table if not exists daily (
        day text primary key, rain_mm real, high_c real, low_c real, wind_m_s real, sky text);
    create table if not exists rolling (
        day text primary key, days integer, rain_mm real, high_c real);
    create table if not exists monthly (
        month text primary key, days integer, rainy_days integer, rain_mm real, warmest_c real, coldest_c real);
"""


@contextmanager
def warehouse(path: str) -> Iterator[sqlite3.Connection]:
    """One write transaction; the tables are there. Tasks of other days wait for it up to half a minute."""
    # A rollback journal, SQLite's default: WAL is not safe with several connections before SQLite 3.51.3.
    with closing(sqlite3.connect(path, timeout=30, isolation_level="IMMEDIATE")) as connection:
        connection.executescript(TABLES)
        with connection:
            yield connection


with DAG(
    "weather",
    description="Seattle's weather, a day at a time",
    schedule="@daily",
    timezone="America/Los_Angeles",
    start_date=datetime(2012, 1, 1),
    end_date=datetime(2015, 12, 31),
    params={"warehouse": "weather.db"},
    default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
) as dag:

    @task(multiple_outputs=False)
    def extract(local_ds: str) -> dict[str, str]:
        """The row of one day, as it stands in the file."""
        with SOURCE.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row["date"].replace("/", "-") == local_ds:
                    return row
        # FailTask: trying again writes no row. The date is not in the text, so a hundred such dates are one cause.
        raise FailTask(f"{SOURCE.name} has no row for this day")

    @task(multiple_outputs=False)
    def validate(row: dict[str, str], local_ds: str) -> dict[str, str | float]:
        """The row in the warehouse's words and units, or a failure that says what is wrong with it."""
        rain, high, low, wind = (float(row[name]) for name in ("precipitation", "temp_max", "temp_min", "wind"))
        if rain < 0 or wind < 0:
            raise FailTask(f"negative precipitation {rain} mm or wind {wind} m/s")
        if not -40 <= low <= high <= 50:
            raise FailTask(f"temperatures {low} to {high} °C are not a day in Seattle")
        if row["weather"] not in SKIES:
            raise FailTask(f"unknown weather '{row['weather']}'")
        return {"day": local_ds, "rain": rain, "high": high, "low": low, "wind": wind, "sky": row["weather"]}

    @task
    def load(row: dict[str, str | float], params: dict[str, str]) -> None:
        """Put the day in place of what was loaded for it before."""
        with warehouse(params["warehouse"]) as connection:
            connection.execute("insert or replace into daily values (:day, :rain, :high, :low, :wind, :sky)", row)

    @task(depends_on_past=True)
    def rolling_mean(local_ds: str, params: dict[str, str]) -> None:
        """Means over this day and the six before it; fewer at the very beginning, which `days` tells."""
        with warehouse(params["warehouse"]) as connection:
            connection.execute(
                """insert or replace into rolling
                   select :day, count(*), avg(rain_mm), avg(high_c)
                   from daily where day between date(:day, '-6 days') and :day""",
                {"day": local_ds},
            )

    @task
    def monthly_summary(local_ds: str, params: dict[str, str]) -> None:
        """The month so far. The day that writes last has all of them before it, in whatever order they were loaded."""
        with warehouse(params["warehouse"]) as connection:
            connection.execute(
                """insert or replace into monthly
                   select :month, count(*), sum(rain_mm > 0), sum(rain_mm), max(high_c), min(low_c)
                   from daily where day like :month || '-%'""",
                {"month": local_ds[:7]},
            )

    load(validate(extract())) >> [rolling_mean(), monthly_summary()]
