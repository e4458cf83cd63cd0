"""One backfill of the store, by its id, and whether somebody works on it.

Owns the two questions that nearly every command asks first, so that asking them costs no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfill_cli.errors import NotFoundError

if TYPE_CHECKING:
    from backfill_cli.core.ports import Store
    from backfill_cli.core.records import BackfillRow


def is_alive(store: Store, row: BackfillRow) -> bool:
    """Whether a living process owns the backfill."""
    owner_id = row.owner
    if owner_id is None:
        return False
    owner = store.read(lambda reader: reader.owner(owner_id))
    return owner is not None and owner.is_alive


def find_backfill(store: Store, backfill_id: str) -> BackfillRow:
    """Return the backfill of that id, or the latest of the DAG of that id. Raises NotFoundError."""
    from backfill_cli.core.graph import near_hint

    row = store.read(lambda reader: reader.backfill(backfill_id))
    if row is not None:
        return row
    of_dag = store.read(lambda reader: reader.backfills(dag_id=backfill_id, limit=1))
    if of_dag:
        return of_dag[0]
    known = [row.backfill_id for row in store.read(lambda reader: reader.backfills(limit=200))]
    raise NotFoundError(
        f"no backfill '{backfill_id}' in {store.location}",
        hint=near_hint(backfill_id, known, otherwise="bfill status lists the latest"),
        code="unknown-backfill",
    )
