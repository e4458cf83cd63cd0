"""Attesting history: digests of what lies in the store, put into the audit entry of the command that leaves it so.

Owns when history is attested: by every command that changes dag_runs or a backfill and then lets go of them (a plan
that is stored, a run that ends, a recovery, a reset). What is at rest is therefore attested, and what is not is being
worked on. What a digest covers is `core/digests.py`, whether it still fits `app/proving.py`.

Everything here runs in the transaction of the entry. A dag_run that is opened again keeps its old digest until the next
entry puts a new one in its place, so that a crash at any moment loses nothing of the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from backfill_cli.core.auditing import read_entry
from backfill_cli.core.digests import AttemptsSeals, BackfillSeal, RunDigests, added, sum_text
from backfill_cli.core.histories import HistoryPage, Ledger, StoredRun
from backfill_cli.core.ports import Reader, Writer
from backfill_cli.core.records import PlanRow
from backfill_cli.core.testimony import Testimony

EVERY = 2**31
"""More backfills than any store has."""


def attest_backfill(writer: Writer, backfill_id: str, *, without: Iterable[int] = ()) -> dict[str, Any]:
    """Attest a backfill that has just been let go of, and every dag_run it worked on last.

    Args:
        without: The digests of dag_runs that this transaction has removed.

    Returns:
        For its entry: `attempts`, `attempts_digest`, `backfill_digest` and the DAG's `ledger`.
    """
    row = writer.backfill(backfill_id)
    assert row is not None, backfill_id
    attesting = _Attesting(writer, row.dag_id)
    attesting.take_off(without)
    seals = AttemptsSeals(writer.history().digest_key(), (backfill_id,))
    if row.first is not None and row.last is not None:
        for page in writer.history().histories(row.dag_id, row.first, row.last, backfill_id=backfill_id):
            seals.take(page)
            attesting.take(page)
    return {**seals.details(backfill_id), **seal_backfill(writer, backfill_id), **attesting.done()}


def attest_runs(writer: Writer, dag_id: str, dates: Collection[int]) -> dict[str, Any]:
    """Attest the dag_runs of these dates; returns the DAG's `ledger` for the entry."""
    attesting = _Attesting(writer, dag_id)
    if dates:
        for page in writer.history().histories(dag_id, min(dates), max(dates)):
            attesting.take(page, lambda run: run.logical_date in dates)
    return attesting.done()


def attest_removal(writer: Writer, dag_id: str, digests: Iterable[int]) -> dict[str, Any]:
    """Take the digests of dag_runs that this transaction has removed off their DAG's sum; returns its `ledger`."""
    attesting = _Attesting(writer, dag_id)
    attesting.take_off(digests)
    return attesting.done()


def reattest(writer: Writer, dag_id: str, first: int, last: int) -> dict[str, Any]:
    """Attest a DAG anew after rows of these dates were removed on purpose.

    Only behind a verification that held: whatever was changed before would be attested with the rest.

    Args:
        first, last: Bounds on logical dates, both included, within which something was removed.

    Returns:
        For the entry: the DAG's `ledger`, and `seals`: backfill id → what is to be said of it from now on.
    """
    key = writer.history().digest_key()
    said = Testimony()
    for values in writer.history().stored_audit():
        said.take(read_entry(values))
    at_rest = {
        row.backfill_id
        for row in writer.backfills(dag_id=dag_id, limit=EVERY)
        if row.owner is None
        and row.first is not None
        and row.last is not None
        and row.first <= last
        and first <= row.last
    }
    attesting = _Attesting(writer, dag_id)
    seals = AttemptsSeals(key, at_rest)
    for page in writer.history().histories(dag_id):
        seals.take(page)
        attesting.take(page, lambda run: first <= run.logical_date <= last and run.digest is not None)
    changed = {}
    for one in sorted(at_rest & said.backfills.keys()):
        seal = {**seals.details(one), **seal_backfill(writer, one)}
        if said.backfills[one].differs(seal):
            changed[one] = seal
    return {"seals": changed, **attesting.done()}


def seal_backfill(reader: Reader, backfill_id: str) -> dict[str, Any]:
    """Return `backfill_digest` for the entry that leaves a backfill as it is now: its row and its dates."""
    seal = BackfillSeal(reader.history().digest_key())
    for dates in reader.history().stored_dates(backfill_id):
        seal.add(dates)
    return _of_backfill(reader, backfill_id, seal)


class PlanSeal:
    """`backfill_digest` of a plan, of its dates on their way into the store: reading a million again takes seconds."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._seal = BackfillSeal(writer.history().digest_key())
        self._is_whole = False

    def over(self, rows: Iterable[PlanRow], *, backwards: bool) -> Iterable[PlanRow]:
        """Pass the dates on to the store; backwards they pass in another order than they are read in."""
        self._is_whole = not backwards
        return rows if backwards else self._seal.over(rows)

    def details(self, backfill_id: str) -> dict[str, Any]:
        """Return `backfill_digest` for the entry, when all is stored."""
        if not self._is_whole:
            return seal_backfill(self._writer, backfill_id)
        return _of_backfill(self._writer, backfill_id, self._seal)


def _of_backfill(reader: Reader, backfill_id: str, seal: BackfillSeal) -> dict[str, Any]:
    stored = reader.history().stored_backfill(backfill_id)
    assert stored is not None, backfill_id
    return seal.details(stored.values)


class _Attesting:
    """New digests for some dag_runs of a DAG, in the place of those they had."""

    def __init__(self, writer: Writer, dag_id: str) -> None:
        self._writer = writer
        self._history = writer.history()
        self._dag_id = dag_id
        self._digests = RunDigests(writer.history().digest_key(), dag_id)
        self._before = writer.history().ledger(dag_id)
        self._after = self._before or Ledger(0, 0)

    def take(self, page: HistoryPage, is_meant: Callable[[StoredRun], bool] | None = None) -> None:
        """Attest the dag_runs of a page, or those that are meant."""
        total, runs = self._after
        changed = []
        for run, digest in self._digests.over(page):
            if digest != run.digest and (is_meant is None or is_meant(run)):
                changed.append((digest, run.logical_date))
                total += digest - (run.digest or 0)
                runs += run.digest is None
        self._after = Ledger(added(total, 0), runs)
        self._history.set_digests(self._dag_id, changed)

    def take_off(self, digests: Iterable[int]) -> None:
        """Take removed dag_runs off the sum."""
        total, runs = self._after
        for digest in digests:
            total, runs = added(total, -digest), runs - 1
        self._after = Ledger(total, runs)

    def done(self) -> dict[str, Any]:
        """Store what the DAG's digests come to now; returns `ledger` for the entry."""
        if self._before is None and self._history.is_unattested(self._dag_id):
            self._adopt()
        before, after = self._before or Ledger(0, 0), self._after
        self._history.set_ledger(self._dag_id, after)
        return {"ledger": {"before": sum_text(before.total), "after": sum_text(after.total), "runs": after.runs}}

    def _adopt(self) -> None:
        """Attest what an older bfill has left: from the first ledger on, to have no digest is no excuse."""
        going_on = {
            row.backfill_id for row in self._writer.backfills(dag_id=self._dag_id, limit=EVERY) if row.owner is not None
        }
        for page in self._history.histories(self._dag_id):
            self.take(page, lambda run: run.digest is None and run.backfill_id not in going_on)
