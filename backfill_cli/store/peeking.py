"""A quick look into a store for completion: names and dates, or nothing at all.

Owns a handful of queries over a connection that can change nothing: nothing is rolled back, migrated or waited for, and
whatever goes wrong is an empty answer, because whoever presses TAB has asked no question yet. A row of a damaged store
is left out: only what is text where text belongs, and a date that calendars show. Everything else reads through
`opening.py`, which takes ten times as long to import.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from backfill_cli.errors import BfillError
from backfill_cli.store.engines import driver, driver_errors

MOST = 200
"""Rows of an answer: more than anybody reads off a list."""

_BUSY_MS = 20
# The years 2 to 9998: a date of theirs can be shown in any zone.
_FIRST_SECOND, _LAST_SECOND = -62_104_060_800, 253_370_764_799


class SeenBackfill(NamedTuple):
    """One backfill; the bounds are logical dates, epoch seconds; `timezone` is its DAG's, as it was planned."""

    backfill_id: str
    dag_id: str
    state: str
    first: int | None
    last: int | None
    timezone: str


class Peek:
    """The store at a location, if there is one."""

    def __init__(self, location: str) -> None:
        self._path = _path(location)

    def backfills(self) -> list[SeenBackfill]:
        """Backfills, newest first; one whose process has died is `interrupted`, as `status` says it."""
        rows = self._all(
            "sssDDsss",
            "SELECT b.backfill_id, d.dag_id, b.state, b.first_date, b.last_date,"
            " coalesce(json_extract(b.request, '$.timezone'), 'UTC'), coalesce(b.owner, ''), coalesce(o.host, '')"
            " FROM backfills b JOIN dags d ON d.dag = b.dag LEFT JOIN owners o ON o.owner = b.owner"
            " ORDER BY b.backfill DESC LIMIT ?",
            MOST,
        )
        return [
            SeenBackfill(name, dag_id, state if self._lives(state, owner, host) else "interrupted", *rest)
            for name, dag_id, state, *rest, owner, host in rows
        ]

    def _lives(self, state: str, owner: str, host: str) -> bool:
        """Whether a state that somebody has to keep up is kept up; other states keep themselves."""
        if state not in ("running", "paused") or self._path is None:
            return True
        if not owner or not host:
            return False
        from backfill_cli.store.locks import OwnerLocks

        try:
            return OwnerLocks(self._path.parent / "locks").is_alive(owner, host)
        except (BfillError, OSError):
            return True

    def dag_ids(self) -> list[str]:
        """Every DAG with a history here, by name."""
        return [name for (name,) in self._all("s", "SELECT dag_id FROM dags ORDER BY dag_id LIMIT ?", 10 * MOST)]

    def dag_of(self, backfill_id: str) -> str | None:
        """The DAG of a backfill."""
        rows = self._all(
            "s", "SELECT d.dag_id FROM backfills b JOIN dags d ON d.dag = b.dag WHERE b.backfill_id = ?", backfill_id
        )
        return rows[0][0] if rows else None

    def task_ids(self, dag_id: str) -> list[str]:
        """The tasks of the DAG's latest version, in DAG order."""
        return [
            name
            for (name,) in self._all(
                "s",
                "SELECT t.key FROM dags d JOIN dag_versions v ON v.version = d.version, json_each(v.tasks) t"
                " WHERE d.dag_id = ? ORDER BY t.id LIMIT ?",
                dag_id,
                10 * MOST,
            )
        ]

    def runs(self, dag_id: str) -> list[tuple[int, str]]:
        """(logical date, state) of the latest dag_runs, newest first."""
        return self._all(
            "Ds",
            "SELECT r.logical_date, r.state FROM dags d JOIN dag_runs r ON r.dag = d.dag"
            " WHERE d.dag_id = ? ORDER BY r.logical_date DESC LIMIT ?",
            dag_id,
            MOST,
        )

    def to_do(self, name: str) -> list[tuple[int, str]]:
        """(logical date, the DAG's zone) of the first dates without outcome of a backfill, or of a DAG's latest."""
        return self._all(
            "Ds",
            "SELECT p.logical_date, coalesce(json_extract(b.request, '$.timezone'), 'UTC') FROM backfill_dates p"
            " JOIN backfills b ON b.backfill = p.backfill WHERE p.outcome IS NULL AND p.action <> 'skip' AND b.backfill"
            " = (SELECT max(f.backfill) FROM backfills f JOIN dags d ON d.dag = f.dag"
            " WHERE ? IN (f.backfill_id, d.dag_id)) ORDER BY p.logical_date LIMIT ?",
            name,
            MOST,
        )

    def pools(self) -> dict[str, int]:
        """The pools somebody has set, with their slots."""
        return dict(self._all("sN", "SELECT name, slots FROM pools ORDER BY name LIMIT ?", MOST))

    def timezone(self, dag_id: str) -> str:
        """The zone the DAG had when it was planned last; UTC when nothing is known."""
        rows = self._all(
            "s",
            "SELECT coalesce(json_extract(b.request, '$.timezone'), 'UTC')"
            " FROM backfills b JOIN dags d ON d.dag = b.dag WHERE d.dag_id = ? ORDER BY b.backfill DESC LIMIT 1",
            dag_id,
        )
        return rows[0][0] if rows else "UTC"

    def _all(self, columns: str, sql: str, *values: Any) -> list[Any]:
        """Return the sound rows; a letter a column: `s` text, `N` a number, `D` a date in seconds or NULL."""
        if self._path is None or not self._path.is_file():
            return []
        try:
            # immutable=1 would be quicker and make no -shm file, but reads garbage beside a live writer.
            connection = driver().connect(f"file:{quote(os.fsencode(self._path))}?mode=ro", uri=True)
            with closing(connection):
                for setting in (f"busy_timeout = {_BUSY_MS}", "query_only = ON", "trusted_schema = OFF"):
                    connection.execute(f"PRAGMA {setting}")
                found: list[Any] = connection.execute(sql, values).fetchall()
                return [row for row in found if all(map(_is_sound, columns, row))]
        except driver_errors():
            return []


def _is_sound(kind: str, value: Any) -> bool:
    if kind in "sN":
        return type(value) is (str if kind == "s" else int)
    return value is None or (type(value) is int and _FIRST_SECOND <= value <= _LAST_SECOND)


def _path(location: str) -> Path | None:
    scheme, separator, rest = location.partition("://")
    if not separator:
        return Path(location).expanduser() if location != ":memory:" else None
    return Path(rest[1:]) if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1 else None
