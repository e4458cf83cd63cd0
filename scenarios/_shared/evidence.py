"""What happened, from the store itself: attempts with their times, how many were open together, when each was.

Owns the reading of the views `v_attempts` and `v_dag_runs`, the interface for people with a SQL prompt. Nothing here
asks bfill: a proof that asked the one it is about would be none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo


class Span(NamedTuple):
    """From when to when, in epoch seconds; half-open."""

    start: float
    end: float


class Attempt(NamedTuple):
    """One try of one task of one date.

    Args:
        day: Its logical date: `2024-03-01`; with the time when it is no midnight.
        span: When its code ran.
    """

    day: str
    task_id: str
    try_number: int
    outcome: str
    span: Span
    reason: str | None
    version: str
    backfill_id: str | None


def rows(database: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Return the rows of a query over a SQLite file, opened so that it cannot change.

    Raises:
        sqlite3.OperationalError: The file is missing, or the query is wrong.
    """
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, values).fetchall()


def attempts(store: Path, dag_id: str, zone: str = "UTC") -> list[Attempt]:
    """Return every attempt of a DAG by date, then as they began; none when there is no store yet.

    Args:
        zone: In which their dates are told.
    """
    if not store.exists():
        return []
    found = rows(
        store,
        "SELECT logical_date, task_id, try_number, outcome, started_at, ended_at, reason, dag_version, backfill_id "
        "FROM v_attempts WHERE dag_id = ? ORDER BY logical_date, started_at, task_id, try_number",
        dag_id,
    )
    return [
        Attempt(short_date(date, zone), task, number, outcome, Span(_seconds(start), _seconds(end)), *rest)
        for date, task, number, outcome, start, end, *rest in found
    ]


def by_date(made: Iterable[Attempt]) -> dict[str, Span]:
    """Return date → from the start of its first attempt to the end of its last: when that date was worked on."""
    spans: dict[str, Span] = {}
    for one in made:
        before = spans.get(one.day, one.span)
        spans[one.day] = Span(min(before.start, one.span.start), max(before.end, one.span.end))
    return spans


def by_task(made: Iterable[Attempt]) -> dict[tuple[str, str], Span]:
    """Return (date, task) → when it ran, of its last attempt: `by_task(…)["2024-03-01", "load"].end`."""
    return {(one.day, one.task_id): one.span for one in sorted(made, key=lambda one: one.try_number)}


def gaps(spans: Mapping[tuple[str, str], Span], days: Iterable[str], task_id: str, after: str) -> list[float]:
    """For each day but the first: seconds from the end of `after` a day before to the begin of `task_id`.

    Below 0 is what was not waited for. The spans are those of `by_task`.
    """
    return [spans[day, task_id].start - spans[before, after].end for before, day in pairwise(days)]


def in_ms(seconds: Iterable[float]) -> str:
    """Return seconds as evidence: `+3 ms, -120 ms`."""
    return ", ".join(f"{one * 1000:+,.0f} ms" for one in seconds)


def most_at_once(spans: Iterable[Span] | Mapping[Any, Span]) -> int:
    """Return how many of the spans share a moment, at most; 0 for none. One that ends as another begins shares none."""
    given = spans.values() if isinstance(spans, Mapping) else spans
    changes = sorted(change for span in given for change in ((span.start, 1), (span.end, -1)))
    open_now = most = 0
    for _, change in changes:  # an end sorts before a start of the same moment
        open_now += change
        most = max(most, open_now)
    return most


def short_date(instant: str, zone: str = "UTC") -> str:
    """Return an ISO instant as the day alone when it is a midnight there, else to the minute: `2024-03-01T14:00`."""
    local = datetime.fromisoformat(instant).astimezone(ZoneInfo(zone)).isoformat()
    return local[:10] if local[11:16] == "00:00" else local[:16]


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()
