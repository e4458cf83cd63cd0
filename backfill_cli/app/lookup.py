"""One backfill of the store, by its id, and whether somebody works on it.

Owns the questions that nearly every command asks first, so that asking them costs no more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backfill_cli.core.records import SCHEDULED
from backfill_cli.core.states import GOING
from backfill_cli.errors import NotFoundError, UsageProblem

if TYPE_CHECKING:
    from backfill_cli.core.ports import Reader, Store
    from backfill_cli.core.records import BackfillRow, OwnerRow

_MOST_GOING = 1_000


def live_owner(reader: Reader, row: BackfillRow) -> OwnerRow | None:
    """Return the living process that works on a backfill."""
    owner = None if row.owner is None else reader.owner(row.owner)
    return owner if owner is not None and owner.is_alive else None


def is_alive(store: Store, row: BackfillRow) -> bool:
    """Whether a living process owns the backfill."""
    return row.owner is not None and store.read(lambda reader: live_owner(reader, row)) is not None


def is_killed(reader: Reader, row: BackfillRow) -> bool:
    """Whether the process that worked on it has died, and nobody has put that on record yet: it is interrupted."""
    return row.state in GOING and live_owner(reader, row) is None


def find_steered(store: Store, name: str) -> BackfillRow:
    """Return the backfill that somebody wants to steer: of that id, or of the DAG of that id the one that runs.

    Without one that runs it is the latest, as everywhere.

    Raises:
        NotFoundError: There is none.
        UsageProblem: Several of that DAG run: pausing, or cancelling, whichever began last would be a guess.
    """
    row = find_backfill(store, name)
    if row.backfill_id == name:
        return row
    if row.identity == SCHEDULED:
        raise NotFoundError(
            f"nobody has made a backfill of {name}; its scheduler works through {row.backfill_id}",
            hint=f"that is steered by its id; let it create nothing for a while: bfill dags pause {name}",
            code="unknown-backfill",
        )
    going = store.read(
        lambda reader: reader.backfills(dag_id=name, states=list(GOING), besides=SCHEDULED, limit=_MOST_GOING)
    )
    alive = [one for one in going if is_alive(store, one)]
    if len(alive) > 1:
        raise UsageProblem(
            f"{len(alive)} backfills of {name} are running: {', '.join(one.backfill_id for one in alive[:5])}",
            hint="say which by its id: bfill status lists them",
            code="several-running",
        )
    return alive[0] if alive else row


def find_backfill(store: Store, backfill_id: str) -> BackfillRow:
    """Return the backfill of that id, or the latest of the DAG of that id. Raises NotFoundError.

    What a scheduler works through is meant by its id, and by its DAG only where nobody ever made a backfill of it.
    """
    from backfill_cli.core.graph import near_hint

    row = store.read(lambda reader: reader.backfill(backfill_id))
    if row is not None:
        return row
    by_people = store.read(lambda reader: reader.backfills(dag_id=backfill_id, besides=SCHEDULED, limit=1))
    if found := by_people or store.read(lambda reader: reader.backfills(dag_id=backfill_id, limit=1)):
        return found[0]
    known = [row.backfill_id for row in store.read(lambda reader: reader.backfills(limit=200))]
    raise NotFoundError(
        f"no backfill '{backfill_id}' in {store.location}",
        hint=near_hint(backfill_id, known, otherwise="bfill status lists the latest"),
        code="unknown-backfill",
    )
