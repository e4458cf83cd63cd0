"""History as it lies in the store, ready to be digested: each row as text, with names where tables keep keys.

Owns the shapes that cross from the store to the digests. Nothing here is checked or interpreted: a digest has to see
what is there, also when it is no state, no number or no Unicode, and whoever verifies has to get past a damaged row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Values = tuple[Any, ...]

Text = bytes
"""All values of a row, so written that no two rows share a text, in one line."""


class StoredRun(NamedTuple):
    """A row of dag_runs. `digest` is None before the first; its text is that of the other columns."""

    logical_date: Any
    digest: Any
    backfill_id: Any
    text: Text


class HistoryPage(NamedTuple):
    """Some dag_runs in order of logical date, and what lies below their dates. All are plain tuples: there are many.

    Args:
        runs: The fields of `StoredRun`.
        instances: (logical date, text) of task instances, by date and task.
        attempts: (logical date, backfill id, text) of attempts, by date, task and try.
    """

    runs: Sequence[tuple[Any, Any, Any, Text]]
    instances: Sequence[tuple[Any, Text]]
    attempts: Sequence[tuple[Any, Any, Text]]


class StoredBackfill(NamedTuple):
    """One row of backfills; `values` are all its columns but the key."""

    backfill_id: Any
    dag_id: Any
    values: Values


class Ledger(NamedTuple):
    """What all dag_runs of a DAG come to: the sum of their digests modulo 2^64, and how many there are."""

    total: int
    runs: int


class HistoryReader(Protocol):
    """What digests are made of, as it is, over one snapshot."""

    def digest_key(self) -> bytes:
        """The key of this store."""
        ...

    def ledger(self, dag_id: str) -> Ledger | None:
        """What the DAG's dag_runs came to when the last entry was made; None before the first."""
        ...

    def histories(
        self, dag_id: str, first: int | None = None, last: int | None = None, *, backfill_id: str | None = None
    ) -> Iterator[HistoryPage]:
        """A DAG's dag_runs with all below them, by logical date; streams.

        With a backfill id only the dag_runs it worked on last, and its own attempts at any date.
        """
        ...

    def is_unattested(self, dag_id: str) -> bool:
        """Whether any dag_run of the DAG has no digest."""
        ...

    def stored_backfill(self, backfill_id: str) -> StoredBackfill | None: ...
    def stored_backfills(self) -> list[StoredBackfill]:
        """In order of creation."""
        ...

    def stored_dates(self, backfill_id: str) -> Iterator[Sequence[Text]]:
        """The dates of a backfill, ascending; streams."""
        ...

    def stored_audit(self) -> Iterator[Values]:
        """The audit chain, ascending; streams."""
        ...

    def strangers(self) -> Iterator[tuple[str, Any, Any]]:
        """(table, key, logical date) of rows whose DAG or backfill is not in the store, one a table."""
        ...

    def finished_without_run(self, dag_id: str) -> Sequence[tuple[Any, Any]]:
        """The first few (backfill id, logical date) that a backfill finished and that have no dag_run."""
        ...

    def wrong_types(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """(table, column, the row's key) of values that are not of their column's type, one a column."""
        ...

    def is_to_do(self, backfill_id: str, logical_date: int) -> bool:
        """Whether that backfill has the date among those it works on."""
        ...


class HistoryWriter(HistoryReader, Protocol):
    """The same in a write transaction, with the places where digests go."""

    def set_digests(self, dag_id: str, digests: Iterable[tuple[int, int]]) -> None:
        """(digest, logical date) pairs of dag_runs."""
        ...

    def set_ledger(self, dag_id: str, ledger: Ledger) -> None: ...
