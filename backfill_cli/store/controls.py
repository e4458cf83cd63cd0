"""Live control in the store: requests to running backfills, their answers, and dates that are taken out.

Owns the queries of `core/controls.py`. A request is answered once: whoever comes second, the process that runs the
backfill or the asker who gave up, changes nothing, and the row count tells.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from backfill_cli.core.records import BackfillDateRow, Control, ControlRow
from backfill_cli.store.connections import ByKeys, Connection, Row
from backfill_cli.store.counting import note_changes
from backfill_cli.store.documents import mapping
from backfill_cli.store.keys import Keys
from backfill_cli.store.reading_backfills import PLANNED, TAKEN_OUT
from backfill_cli.store.rows import BACKFILL_DATE, DATE, KEY, Shape
from backfill_cli.store.writing import storable

_REQUESTS = (
    "SELECT c.request, f.backfill_id, c.action, c.args, c.reason, c.actor, c.host, c.origin, c.asked_at, "
    "c.answered_at, c.is_done, c.answer FROM control_requests c LEFT JOIN backfills f ON f.backfill = c.backfill"
)
_TO_DO = "backfill = ? AND outcome IS NULL AND action <> 'skip' AND logical_date IN ({keys})"
_COUNT = ByKeys(f"SELECT action, count(*) FROM backfill_dates WHERE {_TO_DO} GROUP BY action")
_DATES = ByKeys(f"{PLANNED} WHERE p.backfill = ? AND p.logical_date IN ({{keys}}) ORDER BY p.logical_date")
_LEFT_OUT = (
    "SELECT p.logical_date, s.sentence FROM backfill_dates p JOIN reasons s ON s.reason = p.reason "
    f"WHERE p.backfill = ? AND p.action = 'skip' AND {TAKEN_OUT} ORDER BY p.logical_date"
)
_UNRUN = ByKeys(
    "SELECT r.logical_date FROM dag_runs r JOIN backfills f ON f.dag = r.dag AND f.backfill = r.backfill "
    "WHERE f.backfill = ? AND r.state = 'queued' AND r.run_type IS NULL AND r.started_at IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM task_instances i WHERE i.dag = r.dag AND i.logical_date = r.logical_date) "
    "AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.dag = r.dag AND a.logical_date = r.logical_date) "
    "AND r.logical_date IN ({keys})"
)
_DIGESTS = ByKeys("SELECT logical_date, digest FROM dag_runs WHERE dag = ? AND logical_date IN ({keys})")
_DROP = ByKeys("DELETE FROM dag_runs WHERE dag = ? AND logical_date IN ({keys})")
_LEAVE = ByKeys(f"UPDATE backfill_dates SET action = 'skip', reason = ? WHERE {_TO_DO}")


def _row(row: Row) -> ControlRow:
    if row[10] not in (None, 0, 1) or (row[9] is None) != (row[10] is None):
        raise ValueError(f"an answer that is {row[10]!r}")
    is_done = None if row[10] is None else bool(row[10])
    return ControlRow(
        row[0], row[1], Control(row[2]), mapping(row[3]), row[4], row[5], row[6], mapping(row[7]), row[8], row[9],
        is_done, row[11],
    )  # fmt: skip


_REQUEST = Shape("control_requests", "nsssSssstTNS", _row)
_LEFT: Shape[tuple[int, str]] = Shape("backfill_dates", "ds", lambda row: (row[0], row[1]))


class StoredControls:
    """`ControlWriter` over one transaction; over a snapshot, the reading half of it."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    def waiting(self, backfill_id: str) -> list[ControlRow]:
        """Return those of a backfill without an answer, in the order they were asked."""
        # The partial index first: it is nearly always empty, and then nothing else is read.
        rows = self._connection.all(
            f"{_REQUESTS} WHERE c.answered_at IS NULL AND f.backfill_id = ? ORDER BY c.request", (backfill_id,)
        )
        return list(_REQUEST.records(rows))

    def request(self, number: int) -> ControlRow | None:
        """Return one request."""
        return _REQUEST.maybe(self._connection.one(f"{_REQUESTS} WHERE c.request = ?", (number,)))

    def last_done(self, backfill_id: str, action: Control) -> ControlRow | None:
        """Return the last request of that kind that was done."""
        query = f"{_REQUESTS} WHERE c.backfill = ? AND c.action = ? AND c.is_done = 1 ORDER BY c.request DESC LIMIT 1"
        return _REQUEST.maybe(self._connection.one(query, (self._keys.backfill(backfill_id), action.value)))

    def dates(self, backfill_id: str, dates: Collection[int]) -> Iterator[BackfillDateRow]:
        """Stream those of the dates that the backfill has, ascending."""
        backfill = self._keys.backfill(backfill_id)
        for text, asked in _DATES.parts(sorted(dates)):
            yield from BACKFILL_DATE.records(self._connection.rows(text, (backfill, *asked)))

    def left_out(self, backfill_id: str) -> Iterator[tuple[int, str]]:
        """Stream the dates that somebody took out of a backfill, each with the reason, ascending."""
        return _LEFT.records(self._connection.rows(_LEFT_OUT, (self._keys.backfill(backfill_id),)))

    def unrun(self, backfill_id: str, dates: Collection[int]) -> frozenset[int]:
        """Return those with a dag_run that this backfill was the last to open, and in which nothing ever began."""
        backfill = self._keys.backfill(backfill_id)
        parts = _UNRUN.parts(sorted(dates))
        found = (DATE.records(self._connection.rows(text, (backfill, *asked))) for text, asked in parts)
        return frozenset(date for some in found for date in some)

    def everything(self) -> Iterator[ControlRow]:
        """Stream all requests, in order."""
        return _REQUEST.records(self._connection.rows(f"{_REQUESTS} ORDER BY c.request"))

    def ask(
        self,
        backfill_id: str,
        action: Control,
        args: Mapping[str, Any],
        *,
        reason: str | None,
        actor: str,
        host: str,
        origin: Mapping[str, Any],
        at: int,
    ) -> int:
        """Leave a request for the process that runs a backfill; returns its number."""
        row = self._connection.one("SELECT coalesce(max(request), 0) + 1 FROM control_requests")
        assert row is not None
        number = int(row[0])
        self._connection.run(
            "INSERT INTO control_requests (request, backfill, action, args, reason, actor, host, origin, asked_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, self._keys.backfill(backfill_id), action.value, json.dumps(dict(args)), storable(reason),
                storable(actor), storable(host), json.dumps(dict(origin)), at,
            ),
        )  # fmt: skip
        return number

    def answer(self, number: int, *, at: int, is_done: bool, text: str) -> bool:
        """Answer a request. False: it has an answer, which stays."""
        changed = self._connection.run(
            "UPDATE control_requests SET answered_at = ?, is_done = ?, answer = ? "
            "WHERE request = ? AND answered_at IS NULL",
            (at, int(is_done), storable(text), number),
        )
        return changed == 1

    def leave_out(self, backfill_id: str, dates: Collection[int], reason: str) -> Mapping[str, int]:
        """Make dates of a backfill that are still to do ones that it leaves alone; how many, by old action."""
        backfill = self._keys.backfill(backfill_id)
        left: Counter[str] = Counter()
        for text, asked in _COUNT.parts(sorted(dates)):
            left.update(dict(self._connection.all(text, (backfill, *asked))))
        sentence = self._keys.reasons[storable(reason) or ""]
        for text, asked in _LEAVE.parts(sorted(dates)):
            self._connection.run(text, (sentence, backfill, *asked))
        return left

    def drop_runs(self, backfill_id: str, dates: Collection[int]) -> list[int]:
        """Remove dag_runs that are `unrun`; returns the digests of those that had one."""
        row = self._connection.one("SELECT dag FROM backfills WHERE backfill_id = ?", (backfill_id,))
        assert row is not None
        dag = KEY.record(row)
        unrun = sorted(self.unrun(backfill_id, dates))
        digests: list[int] = []
        for text, asked in _DIGESTS.parts(unrun):
            digests += [digest for _, digest in self._connection.all(text, (dag, *asked)) if digest is not None]
        for text, asked in _DROP.parts(unrun):
            self._connection.run(text, (dag, *asked))
        note_changes(self._connection, dag, ((date, "queued", None) for date in unrun))
        return digests
