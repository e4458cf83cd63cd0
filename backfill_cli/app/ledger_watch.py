"""What others have done to the store, as far as it concerns a scheduler that stays; asked only when its file changed.

Owns the looking. A store at rest costs two calls of stat(2); while somebody works on it, a snapshot every few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from backfill_cli.app.dues import mark_of

if TYPE_CHECKING:
    from backfill_cli.app.context import AppContext
    from backfill_cli.core.agenda import Entry, Mark
    from backfill_cli.core.ports import Reader


class Word(NamedTuple):
    """What the store says.

    Args:
        paused: The DAGs that are paused.
        dead: Owners that have vanished, and are to be recovered.
        alive: Owners that work on it now: one of them may vanish without a change of the file.
        marks: Of each DAG with something left, or held by others, all that it may depend on.
    """

    paused: frozenset[str] = frozenset()
    dead: frozenset[str] = frozenset()
    alive: frozenset[str] = frozenset()
    marks: Mapping[str, Mark] = {}


class LedgerWatch:
    """Looks at the store of a context when it has changed."""

    def __init__(self, ctx: AppContext) -> None:
        self._ctx = ctx
        self._seen: object = None
        self._word = Word()

    def look(self, entries: Iterable[Entry]) -> Word:
        """Return what the store says of these DAGs by now. Raises BfillError when it cannot be read."""
        seen = _signature(self._ctx.settings.store)
        if seen != self._seen or self._word.alive or self._word.dead:
            with self._ctx.store(write=False) as store:
                self._word = store.read(lambda reader: _word(reader, list(entries)))
            self._seen = seen
        return self._word


def _signature(location: str) -> object:
    from backfill_cli.store.opening import store_path

    path = store_path(location)
    found: list[tuple[int, int, int] | None] = []
    for one in () if path is None else (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = one.stat()
        except OSError:
            found.append(None)
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return found


def _word(reader: Reader, entries: list[Entry]) -> Word:
    owners = reader.owners()
    facts = [entry.facts for entry in entries]
    marks = {one.dag_id: mark for one in facts if (mark := mark_of(reader, one.dag_id, is_held=one.is_held))}
    return Word(
        frozenset(row.dag_id for row in reader.dags() if row.paused_at is not None),
        frozenset(one.owner for one in owners if not one.is_alive),
        frozenset(one.owner for one in owners if one.is_alive),
        marks,
    )
