"""A migration is one transaction with a copy before it: whatever happens in the middle, one of the two is whole."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from store_builders import names, register

from backfill_cli.errors import StoreError
from backfill_cli.store import copying, engines, migrations, open_store
from backfill_cli.store.connections import Connection

LATEST = migrations.latest()


@pytest.fixture
def older(path: Path) -> Path:
    """A store of the first schema, with a DAG in it, as the bfill of that time left it."""
    path.parent.mkdir(0o700)
    path.touch(0o600)
    connection = engines.connect(str(path), write=True)
    migrations.migrate(connection, str(path), to=1)
    connection.run("INSERT INTO dags (dag_id, path) VALUES ('daily_sales', 'sales.py')")
    connection.run("INSERT INTO dag_versions (dag, digest, tasks, first_seen_at) VALUES (1, 'v1', '{}', 1)")
    connection.run("UPDATE dags SET version = 1")
    connection.close()
    return path


def kept(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-{LATEST}")


def version(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_a_store_of_an_older_schema_is_copied_and_migrated_when_it_is_written(older: Path) -> None:
    before = older.read_bytes()
    store = open_store(str(older), write=True)
    register(store, "new")
    store.close()
    assert version(older) == LATEST
    assert version(kept(older)) == 1
    assert kept(older).stat().st_mode & 0o777 == 0o600
    # The same pages: only how often the file was changed may differ.
    assert kept(older).read_bytes()[100:] == before[100:]
    reader = open_store(str(older), write=False)
    assert [row.dag_id for row in reader.read(lambda r: r.dags())] == ["daily_sales", "new"]
    reader.close()


def test_reading_an_older_store_changes_nothing(older: Path) -> None:
    before = older.read_bytes()
    reader = open_store(str(older), write=False)
    assert [row.dag_id for row in reader.read(lambda r: r.dags())] == ["daily_sales"]
    reader.close()
    assert older.read_bytes() == before
    assert names(older.parent) == [older.name]


def test_a_copy_can_be_put_back_and_is_migrated_again(older: Path) -> None:
    open_store(str(older), write=True).close()
    kept(older).replace(older)
    open_store(str(older), write=True).close()
    assert (version(older), version(kept(older))) == (LATEST, 1)


def test_the_copy_of_an_earlier_migration_goes_when_the_next_is_made(older: Path) -> None:
    for number in ("1", "x"):
        older.with_name(f"{older.name}.before-{number}").write_text("")
    open_store(str(older), write=True).close()
    assert names(older.parent) == [older.name, f"{older.name}.before-{LATEST}", f"{older.name}.before-x"]


def test_a_new_store_needs_no_copy(path: Path) -> None:
    open_store(str(path), write=True).close()
    assert names(path.parent) == [path.name]


def test_a_step_that_fails_leaves_every_step_undone(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "9999_broken.sql"
    script.write_text("INSERT INTO nowhere VALUES (1);\n")
    broken = (*migrations.steps(), migrations.Step(LATEST + 1, script))
    monkeypatch.setattr(migrations, "steps", lambda: broken)
    with pytest.raises(StoreError, match="nowhere"):
        open_store(str(older), write=True)
    assert version(older) == 1
    assert version(older.with_name(f"{older.name}.before-{LATEST + 1}")) == 1


def _killed(work: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("after", range(1, 30))
def test_a_migration_killed_at_any_statement_is_done_by_the_next(
    older: Path, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Connection.run
    left = [after]

    def counted(connection: Connection, sql: str, *values: Any) -> int:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return run(connection, sql, *values)

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "run", counted)
        _killed(lambda: (open_store(str(older), write=True), os.kill(os.getpid(), signal.SIGKILL)))
    assert version(older) in (1, LATEST)
    store = open_store(str(older), write=True)
    assert [row.dag_id for row in store.read(lambda r: r.dags())] == ["daily_sales"]
    store.close()
    assert (version(older), version(kept(older))) == (LATEST, 1)


def test_without_room_for_the_copy_nothing_is_migrated(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copying, "copy_store", full)
    with pytest.raises(StoreError) as found:
        open_store(str(older), write=True)
    assert found.value.code == "store-full"
    assert "before its migration" in found.value.message
    assert version(older) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON dags BEGIN DELETE FROM attempts; END",
        "CREATE UNIQUE INDEX i ON attempts (outcome)",
        "DROP VIEW v_attempts",
        "DROP INDEX ix_backfills_dag",
    ],
)
@pytest.mark.parametrize("is_older", [True, False])
def test_a_store_with_a_schema_bfill_did_not_make_is_neither_migrated_nor_written(
    older: Path, sql: str, is_older: bool
) -> None:
    if not is_older:
        open_store(str(older), write=True).close()
    with closing(sqlite3.connect(older)) as by_hand:
        by_hand.execute(sql)
    before = older.read_bytes()
    with pytest.raises(StoreError, match="a schema bfill did not make"):
        open_store(str(older), write=True)
    assert older.read_bytes() == before


def test_what_others_added_beside_the_schema_may_stay(path: Path) -> None:
    """People with a SQL prompt keep notes; nothing of theirs takes part in what bfill writes."""
    open_store(str(path), write=True).close()
    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.execute("CREATE TABLE notes (day TEXT, text TEXT)")
        by_hand.execute("CREATE VIEW failed AS SELECT * FROM v_attempts WHERE outcome = 'failed'")
    store = open_store(str(path), write=True)
    register(store)
    store.close()
