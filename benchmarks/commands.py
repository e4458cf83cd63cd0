"""The bfill commands that are measured: a selection of so many dates of a DAG in dags/noop.py, over a private store."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from zoneinfo import ZoneInfo

from benchmarks.children import HERE, Cost, bfill, measure

FIVE_MINUTES = timedelta(minutes=5)
DAY = timedelta(days=1)
ZONE = ZoneInfo("Europe/Paris")
FIRST = datetime(2010, 1, 1, tzinfo=ZONE)


def dates(dag: str, count: int) -> list[str]:
    """Return the flags that select the first `count` dates of a DAG."""
    step = DAY if dag == "daily" else FIVE_MINUTES
    if dag == "daily":
        last = (FIRST.replace(tzinfo=None) + step * (count - 1)).date().isoformat()
    else:  # five minutes are absolute: through UTC, so that no change of the clock adds or drops a date
        utc = FIRST.astimezone(ZoneInfo("UTC")) + step * (count - 1)
        last = utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return ["--dag", f"{HERE / 'dags' / 'noop.py'}:{dag}", "--start", "2010-01-01", "--end", last]


def fresh(folder: Path) -> Path:
    """Return the path of a store that does not exist yet, in a folder of its own."""
    return Path(mkdtemp(dir=folder)) / "bfill.db"


def run(dag: str, count: int, store: Path, *, workers: int = 64, parallel: int = 64) -> Cost:
    """Run so many dates, whole process, a fresh store: `-q`, because a screen is not what is measured."""
    limits = ["--parallel", str(parallel), "--workers", str(workers), "--max-runs", str(max(count, 1))]
    words = ["run", *dates(dag, count), *limits, "-q", "-y"]
    return measure([*bfill(), *words, "--store", str(store)])


def plan(dag: str, count: int, store: Path, *, dry_run: bool) -> Cost:
    """Plan so many dates, dry or stored."""
    return measure([*bfill(), "plan", *dates(dag, count), *["--dry-run"] * dry_run, "-q", "--store", str(store)])
