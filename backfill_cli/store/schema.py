"""Whether a store has the schema the steps make: what is missing, what is other, what nobody of ours has made.

Owns the comparison, by the text SQLite keeps of each object. A command that is going to write asks it first: a trigger
or an index that somebody planted on a table of ours would take part in what is written. Reading needs it not, since
nothing of a schema runs then, and every row is looked at.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from backfill_cli.store import engines, migrations
from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import damaged

_OBJECTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema"


class Difference(NamedTuple):
    """One object of a schema that is not as it should be.

    Args:
        what: `missing`, `changed` or `foreign`.
        kind: table, index, trigger or view.
        is_ours: It is, or hangs on, a table or view that the steps make.
    """

    what: str
    kind: str
    name: str
    is_ours: bool

    def __str__(self) -> str:
        told = {"missing": "has no", "changed": "holds another", "foreign": "holds a foreign"}[self.what]
        return f"{told} {self.kind} {self.name}"


@cache
def expected(version: int) -> dict[tuple[str, str], str]:
    """Return the text of every object the steps make up to a version, by its kind and name."""
    connection = engines.connect_memory()
    try:
        migrations.migrate(connection, "the steps", to=version)
        return {(kind, name): f"{table} {sql}" for kind, name, table, sql in connection.all(_OBJECTS)}
    finally:
        connection.close()


def differences(connection: Connection, version: int) -> list[Difference]:
    """Return what differs from the schema of a version, by kind and name."""
    wanted = expected(version)
    ours = {name for kind, name in wanted if kind in ("table", "view")}
    found: list[Difference] = []
    seen: set[tuple[str, str]] = set()
    for kind, name, table, sql in connection.all(_OBJECTS):
        seen.add((kind, name))
        # Statistics are SQLite's own; whoever runs ANALYZE does no harm.
        if str(name).startswith("sqlite_stat"):
            continue
        if (kind, name) not in wanted:
            found.append(Difference("foreign", str(kind), str(name), table in ours))
        elif wanted[kind, name] != f"{table} {sql}":
            found.append(Difference("changed", str(kind), str(name), True))
    found += [
        Difference("missing", kind, name, True)
        for kind, name in wanted
        if (kind, name) not in seen and not name.startswith("sqlite_stat")
    ]
    return sorted(found, key=lambda one: (one.kind, one.name))


def require(connection: Connection, version: int) -> None:
    """Raise StoreError unless everything of ours is as the steps make it; what others added beside it may stay."""
    for one in differences(connection, version):
        if one.is_ours:
            raise damaged("sqlite_schema", f"a schema bfill did not make: it {one}")
