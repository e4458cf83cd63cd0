"""What a chain of entries says about backfills and dag_runs: which digests to expect, and who is still at work.

Owns the reading of `backfill_digest`, `attempts_digest`, `ledger` and `replaces` in entries. The last entry about a
backfill decides: one that says `started` or `resumed` means that a process works on it, or died while it did; any other
one left it at rest, and what it says has to be found in the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from backfill_cli.core.audits import Finding
from backfill_cli.core.records import AuditRow

NOTHING = "0" * 16
"""The sum of no digests, with which the first ledger of a DAG begins."""

GOING_ON = frozenset({"started", "resumed"})
_ABOUT_BACKFILLS = frozenset({"plan", "run", "rerun-failed", "recover"})


class Said(NamedTuple):
    """What the last entry about a backfill says.

    Args:
        seq: The entry.
        outcome: Its outcome.
        dag_id: The backfill's DAG.
        attempts: How many attempts it made; None when the entry does not say.
        attempts_digest, backfill_digest: Hexadecimal; empty when the entry does not say.
    """

    seq: int
    outcome: str
    dag_id: str
    attempts: int | None
    attempts_digest: str
    backfill_digest: str

    @property
    def is_going_on(self) -> bool:
        return self.outcome in GOING_ON

    @property
    def tells_of_attempts(self) -> bool:
        """Whether its attempts can be checked; entries of schema 1 have a digest that was made without a key."""
        return bool(self.attempts_digest and self.backfill_digest)

    def differs(self, seal: Mapping[str, Any]) -> bool:
        """Return whether a seal of now says something else than the entry; what it does not say cannot differ."""
        mine: dict[str, Any] = {"backfill_digest": self.backfill_digest}
        if self.tells_of_attempts:
            mine |= {"attempts": self.attempts, "attempts_digest": self.attempts_digest}
        return any(seal[name] != value for name, value in mine.items() if value != "")


class SaidOfDag(NamedTuple):
    """What the last ledger of a DAG says: the sum of its dag_runs' digests as text, and how many there are."""

    seq: int
    total: str
    runs: int


class Testimony:
    """What the entries say, taken in one by one from the first.

    Attributes:
        backfills: Id → what the last entry about it says.
        replaced: Ids of plans that a later entry has put another in the place of.
        dags: dag_id → what its last ledger says.
        finding: The first ledger that does not begin where the one before ended.
    """

    def __init__(self) -> None:
        self.backfills: dict[str, Said] = {}
        self.replaced: set[str] = set()
        self.dags: dict[str, SaidOfDag] = {}
        self.finding: Finding | None = None

    def take(self, row: AuditRow) -> None:
        """Take in the next entry. Raises TypeError, KeyError or ValueError when it says what no bfill writes."""
        details = row.details
        if row.action in _ABOUT_BACKFILLS or "backfill_digest" in details:
            self.backfills[row.target] = Said(
                row.seq,
                row.outcome,
                str(details.get("dag_id", "")),
                details.get("attempts"),
                details.get("attempts_digest", ""),
                details.get("backfill_digest", ""),
            )
        for backfill_id, seal in details.get("seals", {}).items():
            # Rows were removed on purpose: from here on the backfill is what is left of it.
            self.backfills[backfill_id] = self.backfills[backfill_id]._replace(
                seq=row.seq,
                attempts=seal["attempts"],
                attempts_digest=seal["attempts_digest"],
                backfill_digest=seal["backfill_digest"],
            )
        self.replaced.update(details.get("replaces", ()))
        if "ledger" in details:
            self._ledger(row, str(details.get("dag_id")), details["ledger"])

    def _ledger(self, row: AuditRow, dag_id: str, ledger: dict[str, object]) -> None:
        said = self.dags.get(dag_id)
        before, after, runs = str(ledger["before"]), str(ledger["after"]), int(str(ledger["runs"]))
        if before != (NOTHING if said is None else said.total) and self.finding is None:
            left = f"entry {said.seq} left it" if said else "nothing, and is the first of that DAG"
            what = f"entry {row.seq} begins the ledger of {dag_id} otherwise than {left}"
            self.finding = Finding("ledger-changed", what, entry=row.seq, target=dag_id)
        self.dags[dag_id] = SaidOfDag(row.seq, after, runs)
