"""Digests with the key of a store: of a dag_run, of a backfill, and of the attempts a backfill made.

Owns what a digest covers and how it is made: keyed BLAKE2b (RFC 7693, a MAC), over the values as `ascii()` writes them,
which is the same text on every Python and cannot be read in two ways. The key is a secret towards those who see
digests elsewhere, in a report or a CI log: they cannot try out what a value was. Whoever may read the whole store has
the key.

A DAG's ledger is the sum of its dag_runs' digests modulo 2^64: closing a backfill takes the old digests of its dates off
and adds the new ones, whatever the number of dag_runs. A sum of keyed digests cannot be aimed at without the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from backfill_cli.core.histories import History, HistoryPage, Values

SIZE = 16
"""Bytes of a digest in an audit entry."""

MODULUS = 1 << 64


class RunDigests:
    """Digests of one DAG's dag_runs: eight bytes, as the signed integer that the store keeps."""

    __slots__ = ("_base",)

    def __init__(self, key: bytes, dag_id: str) -> None:
        self._base = blake2b(key=key, digest_size=8, person=b"bfill dag_run")
        self._base.update(ascii(dag_id).encode())

    def of(self, history: History, attempts: str) -> int:
        """Return the digest of a dag_run. `attempts` is `ascii(history.attempts)`, made once for two uses."""
        date, _, backfill_id, run, instances, _ = history
        digest = self._base.copy()
        digest.update(f"{(date, backfill_id, run, instances)!a}{attempts}".encode())
        return int.from_bytes(digest.digest(), "big", signed=True)


class AttemptsSeal:
    """A digest over the attempts one backfill made, date by date, and their number."""

    __slots__ = ("_digest", "count")

    def __init__(self, key: bytes) -> None:
        self._digest = blake2b(key=key, digest_size=SIZE, person=b"bfill attempts")
        self.count = 0

    def add(self, logical_date: Any, attempts: str, count: int) -> None:
        """Take in the attempts of the next date, as text."""
        self._digest.update(f"{logical_date!a}{attempts}".encode())
        self.count += count

    def details(self) -> dict[str, Any]:
        """Return what a closing entry says of them."""
        return {"attempts": self.count, "attempts_digest": self._digest.hexdigest()}


class AttemptsSeals(dict[Any, AttemptsSeal]):
    """The seals of several backfills, by id, made in one walk over history."""

    def __init__(self, key: bytes, backfill_ids: Iterable[str]) -> None:
        super().__init__((one, AttemptsSeal(key)) for one in backfill_ids)

    def over(self, page: HistoryPage) -> Iterator[tuple[History, str]]:
        """Take in the next page by logical date; yields its dag_runs, each with the text of its attempts."""
        elsewhere: dict[Any, list[Values]] = {}
        for table, date, values in page.strays:
            if table == "attempts":
                elsewhere.setdefault(date, []).append(values)
        later = sorted(elsewhere, reverse=True) if elsewhere else []
        for one in page.histories:
            while later and later[-1] < one.logical_date:
                self._add(later[-1], elsewhere[later.pop()])
            text = ascii(one.attempts)
            self._add(one.logical_date, one.attempts, text)
            yield one, text
        for date in reversed(later):
            self._add(date, elsewhere[date])

    def _add(self, date: Any, attempts: list[Values], text: str = "") -> None:
        makers = {one[-1] for one in attempts}
        for backfill_id in makers:
            if backfill_id in self:
                own = attempts if len(makers) == 1 else [one for one in attempts if one[-1] == backfill_id]
                # Of most dates all attempts are of one backfill: the text that the dag_run's digest needs serves twice.
                self[backfill_id].add(date, text if text and own is attempts else ascii(own), len(own))


class BackfillSeal:
    """A digest over a backfill: its row, and every date with what was planned for it and how it ended."""

    __slots__ = ("_digest",)

    def __init__(self, key: bytes, row: Values) -> None:
        self._digest = blake2b(key=key, digest_size=SIZE, person=b"bfill backfill")
        self._digest.update(ascii(row).encode())

    def add(self, dates: Iterable[Values]) -> None:
        """Take in the next dates, ascending."""
        self._digest.update("".join(map(ascii, dates)).encode())

    def details(self) -> dict[str, Any]:
        """Return what an entry says of the backfill."""
        return {"backfill_digest": self._digest.hexdigest()}


def added(total: int, delta: int) -> int:
    """Return a sum of digests modulo 2^64, as the signed integer that the store keeps."""
    return (total + delta + MODULUS // 2) % MODULUS - MODULUS // 2


def sum_text(total: int) -> str:
    """Return a sum of digests as entries hold it."""
    return f"{total % MODULUS:016x}"
