"""Live control in the store: requests to running backfills, their answers, and dates that are taken out.

Owns the queries of `core/controls.py`. A request is answered once: whoever comes second, the process that runs the
backfill or the asker who gave up, changes nothing, and the row count tells.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from backfill_cli.core.records import Control, ControlRow
from backfill_cli.store.connections import ByKeys, Connection, Row
from backfill_cli.store.documents import mapping
from backfill_cli.store.keys import Keys
from backfill_cli.store.rows import Shape
from backfill_cli.store.writing import storable

_REQUESTS = (
    "SELECT c.request, f.backfill_id, c.action, c.args, c.reason, c.actor, c.host, c.origin, c.asked_at, "
    "c.answered_at, c.is_done, c.answer FROM control_requests c LEFT JOIN backfills f ON f.backfill = c.backfill"
)
_TO_DO = "backfill = ? AND outcome IS NULL AND action <> 'skip' AND logical_date IN ({keys})"
_COUNT = ByKeys(f"SELECT action, count(*) FROM backfill_dates WHERE {_TO_DO} GROUP BY action")
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
        sentence = self._keys.reasons[reason]
        for text, asked in _LEAVE.parts(sorted(dates)):
            self._connection.run(text, (sentence, backfill, *asked))
        return left
