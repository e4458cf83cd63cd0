"""From any older schema to the latest: numbered steps, all that are missing in one transaction.

Owns the steps (`steps/NNNN_name.sql`), the version stamp (`PRAGMA user_version`) and the mark that tells a bfill store
from any other database (`PRAGMA application_id`). A new store takes all steps, which is quicker than importing
SQLModel for `create_all` and makes every store the result of the same path; `models.py` is the schema they must
lead to, and a test compares both. Whether a store still has that schema is asked in `schema.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from backfill_cli.store.connections import Connection
from backfill_cli.store.problems import FOREIGN, NEWER, problem

APPLICATION_ID = int.from_bytes(b"bfil", "big")
STEPS = Path(__file__).parent / "steps"


class Step(NamedTuple):
    """One change of the schema: it leads from version number - 1 to `number`."""

    number: int
    script: Path

    def statements(self) -> Iterator[str]:
        """Yield the statements; each ends with a semicolon at the end of a line."""
        lines = (line for line in self.script.read_text("utf-8").splitlines() if not line.startswith("--"))
        statement: list[str] = []
        for line in lines:
            statement.append(line)
            if line.endswith(";"):
                yield "\n".join(statement)
                statement.clear()


@cache
def steps() -> tuple[Step, ...]:
    """Return all steps in order."""
    return tuple(Step(int(script.name[:4]), script) for script in sorted(STEPS.glob("[0-9]*.sql")))


def latest() -> int:
    """Return the schema version this bfill writes."""
    return steps()[-1].number


def version(connection: Connection, location: str) -> int:
    """Return the store's schema version; 0 for an empty database.

    Raises:
        StoreError: It is not a bfill store, or a newer bfill wrote it.
    """
    if connection.in_transaction:
        return _version(connection, location)
    # One snapshot: another process may be making the store between two of these questions.
    connection.run("BEGIN")
    try:
        return _version(connection, location)
    finally:
        connection.run("ROLLBACK")


def _version(connection: Connection, location: str) -> int:
    number = _pragma(connection, "user_version")
    mark = _pragma(connection, "application_id")
    if number == mark == 0 and connection.one("SELECT 1 FROM sqlite_master") is None:
        return 0
    if mark != APPLICATION_ID or number < 1:
        raise problem(FOREIGN, location)
    if number > latest():
        raise problem(NEWER, location, f"schema {number}, this bfill knows {latest()}")
    return number


def migrate(
    connection: Connection,
    location: str,
    *,
    to: int | None = None,
    before: Callable[[int], None] | None = None,
) -> None:
    """Take every step the store has not taken yet, all of them or none. Two processes that meet here take each once.

    Args:
        to: Stop at this version; for tests of the steps themselves.
        before: Called with the version of a store that is not new, when nobody else can write any more and nothing
            has been changed: the moment to look at it and to copy it.
    """
    goal = to or latest()
    if version(connection, location) >= goal:
        return
    connection.run("BEGIN IMMEDIATE")
    try:
        # Asked again under the lock: the other process may have been quicker.
        found = version(connection, location)
        if found and found < goal and before is not None:
            before(found)
        for step in steps():
            if found < step.number <= goal:
                for statement in step.statements():
                    connection.run(statement)
                connection.run(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.run(f"PRAGMA user_version = {step.number}")
        connection.run("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.run("ROLLBACK")
        raise


def _pragma(connection: Connection, name: str) -> int:
    row = connection.one(f"PRAGMA {name}")
    return int(row[0]) if row else 0
