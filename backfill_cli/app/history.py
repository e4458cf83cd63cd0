"""Reading the ledger a page at a time, outside of any one transaction.

Owns the paging of `Reader.runs`: a plan of a million dates is walked more than once (to sum it up, to store it, to
print it as JSON), and no snapshot is held open meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from backfill_cli.core.records import RunRow

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader, Store

PAGE = 10_000


def history(store: Store, dag_id: str, first: int, last: int, *, backwards: bool = False) -> Iterator[RunRow]:
    """Yield the dag_runs with first <= logical_date <= last (epoch seconds) in order, a page a transaction."""
    while first <= last:
        low, high = first, last

        def page(reader: Reader, low: int = low, high: int = high) -> list[RunRow]:
            return list(islice(reader.runs(dag_id, low, high, backwards=backwards), PAGE))

        rows = store.read(page)
        yield from rows
        if len(rows) < PAGE:
            return
        if backwards:
            last = rows[-1].logical_date - 1
        else:
            first = rows[-1].logical_date + 1


def liveness(reader: Reader) -> Callable[[str], bool]:
    """Return a function that says whether an owner id belongs to a process that is alive; asked once, here."""
    alive = {row.owner for row in reader.owners() if row.is_alive}
    return alive.__contains__
