"""Digests with the key of a store: of a dag_run, of a backfill, and of the attempts a backfill made.

Owns what a digest covers and how it is made: keyed BLAKE2b (RFC 7693, a MAC) over the texts of rows. The key is a
secret towards those who see digests elsewhere, in a report or a CI log: they cannot try out what a value was. Whoever
may read the whole store has the key.

A DAG's ledger is the sum of its dag_runs' digests modulo 2^64: closing a backfill takes the old digests of its dates
off and adds the new ones, whatever the number of dag_runs. A sum of keyed digests cannot be aimed at without the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

from backfill_cli.core.histories import HistoryPage, StoredRun, Text, Values
from backfill_cli.core.records import PlanRow

SIZE = 16
"""Bytes of a digest in an audit entry."""

MODULUS = 1 << 64

_AT_ONCE = 4_096


class RunDigests:
    """Digests of one DAG's dag_runs with all below them: eight bytes, as the signed integer that the store keeps."""

    def __init__(self, key: bytes, dag_id: str) -> None:
        self._base = blake2b(key=key, digest_size=8, person=b"bfill dag_run")
        self._base.update(ascii(dag_id).encode())

    def over(self, page: HistoryPage) -> Iterator[tuple[StoredRun, int]]:
        """Yield the page's dag_runs, each with the digest of how it is now."""
        texts: dict[Any, list[Text]] = {run[0]: [b"", run[3]] for run in page.runs}
        for date, text in page.instances:
            if date in texts:
                texts[date].append(text)
        for date, _, text in page.attempts:
            if date in texts:
                texts[date].append(text)
        for run in page.runs:
            digest = self._base.copy()
            digest.update(b"\n".join(texts[run[0]]))
            yield StoredRun(*run), int.from_bytes(digest.digest(), "big", signed=True)


class AttemptsSeals:
    """For some backfills a digest over the attempts each made, by date, task and try, and their number.

    Args:
        backfill_ids: The others are passed over.
    """

    def __init__(self, key: bytes, backfill_ids: Iterable[str]) -> None:
        self._digests = {one: blake2b(key=key, digest_size=SIZE, person=b"bfill attempts") for one in backfill_ids}
        self._counts = dict.fromkeys(self._digests, 0)

    def take(self, page: HistoryPage) -> None:
        """Take in the next page."""
        makers = {one[1] for one in page.attempts}
        for backfill_id in makers & self._digests.keys():
            own = [text for _, maker, text in page.attempts if maker == backfill_id]
            self._digests[backfill_id].update(_lines(own))
            self._counts[backfill_id] += len(own)

    def details(self, backfill_id: str) -> dict[str, Any]:
        """Return what an entry says of the attempts of a backfill."""
        return {"attempts": self._counts[backfill_id], "attempts_digest": self._digests[backfill_id].hexdigest()}


class BackfillSeal:
    """A digest over a backfill: every date with what was planned for it and how it ended, and then its row."""

    def __init__(self, key: bytes) -> None:
        self._digest = blake2b(key=key, digest_size=SIZE, person=b"bfill backfill")

    def add(self, dates: Sequence[Text]) -> None:
        """Take in the next dates, ascending."""
        self._digest.update(_lines(dates))

    def over(self, rows: Iterable[PlanRow]) -> Iterator[PlanRow]:
        """Take in dates on their way into the store, as it will write them, and pass them on; ascending."""
        texts: list[str] = []
        last: tuple[Any, Any, Any] = (None, None, None)
        ending = ""
        for row in rows:
            date, end, action, state, reason = row
            # Most dates of a plan end like the one before: the very objects are the same.
            if action is not last[0] or state is not last[1] or reason is not last[2]:
                last = (action, state, reason)
                ending = ",".join(map(_quoted, (action.value, state and state.value, None, reason)))
            texts.append(f"d{date},{end},{ending}")
            if len(texts) == _AT_ONCE:
                self._digest.update(_lines_of(texts))
                texts.clear()
            yield row
        self._digest.update(_lines_of(texts))

    def details(self, row: Values) -> dict[str, Any]:
        """Return what an entry says of the backfill whose row this is."""
        digest = self._digest.copy()
        # ascii() writes the same text on every Python; repr() leaves what is printable to its table of characters.
        digest.update(ascii(row).encode())
        return {"backfill_digest": digest.hexdigest()}


def _quoted(text: str | None) -> str:
    return "NULL" if text is None else f"X'{text.encode().hex().upper()}'"


def _lines(texts: Sequence[Text]) -> bytes:
    return b"\n".join((b"", *texts))


def _lines_of(texts: Sequence[str]) -> bytes:
    return "\n".join(("", *texts)).encode()


def added(total: int, delta: int) -> int:
    """Return a sum of digests modulo 2^64, as the signed integer that the store keeps."""
    return (total + delta + MODULUS // 2) % MODULUS - MODULUS // 2


def sum_text(total: int) -> str:
    """Return a sum of digests as entries hold it."""
    return f"{total % MODULUS:016x}"
