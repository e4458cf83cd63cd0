"""The steps lead to the schema that models.py describes, whatever happens on the way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from backfill_cli.errors import StoreError
from backfill_cli.store import engines, migrations, open_store
from backfill_cli.store.connections import Connection


def schema_of(connection: Connection) -> dict[str, Any]:
    """Return tables with their columns, keys, foreign keys and indexes, in a form two ways of writing SQL share."""
    tables: dict[str, Any] = {}
    for _, name, kind, _, without_rowid, strict in list(connection.rows("PRAGMA table_list")):
        if kind != "table" or name.startswith("sqlite_"):
            continue
        indexes = [
            (unique, origin, tuple(row[2] for row in connection.rows(f"PRAGMA index_info('{index}')")), condition(sql))
            for index, unique, origin, sql in list(
                connection.rows(
                    'SELECT i.name, i."unique", i.origin, m.sql FROM pragma_index_list(?) i '
                    "LEFT JOIN sqlite_master m ON m.name = i.name",
                    (name,),
                )
            )
        ]
        tables[name] = {
            "flags": (without_rowid, strict),
            "columns": [row[1:] for row in connection.rows(f"PRAGMA table_xinfo('{name}')")],
            "foreign": sorted(row[2:5] for row in connection.rows(f"PRAGMA foreign_key_list('{name}')")),
            "indexes": sorted(indexes),
        }
    return tables


def condition(sql: str | None) -> str:
    found = re.search(r"\bWHERE\b(.*)", " ".join((sql or "").split()))
    return found[1].strip() if found else ""


def test_the_steps_lead_to_the_models(tmp_path: Path) -> None:
    from backfill_cli.store.models import Table

    engine = engines.sqlalchemy_engine(str(tmp_path / "models.db"))
    Table.metadata.create_all(engine)
    engine.dispose()
    by_models = engines.connect(str(tmp_path / "models.db"), write=False)
    by_steps = engines.connect_memory()
    migrations.migrate(by_steps, "memory")
    assert schema_of(by_steps) == schema_of(by_models)
    by_models.close()
    by_steps.close()


def test_every_column_says_what_it_means() -> None:
    from backfill_cli.store.models import Table

    silent = [
        f"{table.name}.{column.name}"
        for table in Table.metadata.sorted_tables
        for column in table.columns
        if not column.comment
    ]
    assert silent == []


def test_every_table_is_strict_and_every_grown_one_clustered() -> None:
    from backfill_cli.store.models import Table

    options = {table.name: table.dialect_options["sqlite"] for table in Table.metadata.sorted_tables}
    assert all(option["strict"] for option in options.values())
    clustered = {name for name, option in options.items() if not option["with_rowid"]}
    assert {"dag_runs", "task_instances", "attempts", "xcoms", "backfill_dates"} <= clustered


def test_sqlmodel_sessions_read_what_the_store_wrote(path: Path) -> None:
    """The models are usable as they stand: for tools, and for questions asked from Python."""
    from sqlmodel import Session, select
    from store_builders import register

    from backfill_cli.store.models import Dag, Task

    store = open_store(str(path), write=True)
    register(store)
    store.close()
    engine = engines.sqlalchemy_engine(str(path))
    with Session(engine) as session:
        dag = session.exec(select(Dag)).one()
        assert (dag.dag_id, dag.path) == ("daily_sales", "sales.py")
        tasks = session.exec(select(Task).where(Task.dag == dag.dag).order_by(Task.task)).all()
        assert [task.task_id for task in tasks] == ["extract", "clean", "load"]
    engine.dispose()


def test_steps_are_numbered_without_gaps_from_one() -> None:
    assert [step.number for step in migrations.steps()] == list(range(1, len(migrations.steps()) + 1))


def test_the_store_is_stamped(path: Path) -> None:
    open_store(str(path), write=True).close()
    header = path.read_bytes()[:100]
    assert int.from_bytes(header[60:64], "big") == migrations.latest()
    assert header[68:72] == b"bfil"


def test_a_step_that_fails_leaves_the_store_at_the_version_before(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(str(path), write=True).close()
    latest = migrations.latest()
    script = tmp_path / "9999_broken.sql"
    script.write_text("CREATE TABLE half (x INTEGER);\nINSERT INTO nowhere VALUES (1);\n")
    longer = (*migrations.steps(), migrations.Step(latest + 1, script))
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "steps", lambda: longer)
        with pytest.raises(StoreError, match="nowhere"):
            open_store(str(path), write=True)
    connection = engines.connect(str(path), write=False)
    assert migrations.version(connection, str(path)) == latest
    assert connection.one("SELECT 1 FROM sqlite_master WHERE name = 'half'") is None
    connection.close()


def test_step_2_keeps_every_dag_run_and_gives_each_store_a_key_of_its_own(path: Path) -> None:
    keys = set()
    for name in ("one.db", "two.db"):
        file = path.with_name(name)
        open_store(str(file), write=True).close()
        file.unlink()
        file.touch()
        connection = engines.connect(str(file), write=True)
        migrations.migrate(connection, str(file), to=1)
        connection.run("INSERT INTO dags (dag, dag_id) VALUES (1, 'sales')")
        columns = "dag, logical_date, data_interval_end, run_type, state, version, started_at, reason, owner"
        for values in (
            (1, 5, 6, "backfill", "success", 1, 7, None, None),
            (1, 6, 7, "manual", "failed", 1, 8, "r", "o"),
        ):
            connection.run(f"INSERT INTO dag_runs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        before = connection.all("SELECT run_id, run_type, state, started_at, reason, owner FROM v_dag_runs")
        migrations.migrate(connection, str(file))
        assert connection.all("SELECT run_id, run_type, state, started_at, reason, owner FROM v_dag_runs") == before
        assert connection.all("SELECT run_type, digest FROM dag_runs") == [(None, None), ("manual", None)]
        ((key,),) = connection.all("SELECT value FROM meta WHERE name = 'digest_key'")
        assert len(bytes.fromhex(key)) == 32
        keys.add(key)
        connection.close()
    assert len(keys) == 2


def test_open_runs_are_found_through_the_partial_index() -> None:
    from store_builders import day, run_row

    from backfill_cli.core.states import RunState
    from backfill_cli.store import memory_store
    from backfill_cli.store.reading import ACTIVE

    store = memory_store()
    plan = list(
        store._session.connection.rows(
            "EXPLAIN QUERY PLAN SELECT * FROM dag_runs r WHERE r.dag = 1 AND r.logical_date BETWEEN 1 AND 2 "
            f"AND r.state IN ('queued') AND {ACTIVE} ORDER BY r.logical_date"
        )
    )
    assert "ix_dag_runs_active" in plan[0][3]
    assert len(plan) == 1, "no sorting step"
    assert run_row(day(1), RunState.QUEUED).owner is None
    store.close()


def test_views_speak_iso_and_names(path: Path) -> None:
    """Contract section 1: v_dag_runs, v_attempts, v_audit are the readable interface."""
    from store_builders import attempt_row, audit_row, claimed_backfill, day, finishing, opening

    store = open_store(str(path), write=True)
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(1))))
    store.write(lambda w: w.save(claim, finishing(claim, day(1))))
    store.write(lambda w: w.add_attempts("daily_sales", [attempt_row(day(1), "load", backfill_id="bf-1")]))
    store.write(lambda w: w.add_audit(audit_row(1)))
    store.close()
    connection = engines.connect(str(path), write=False)
    assert connection.one(
        "SELECT dag_id, run_id, logical_date, data_interval_end, state, dag_version, conf, started_at, ended_at, "
        "backfill_id, owner FROM v_dag_runs"
    ) == (
        "daily_sales",
        "backfill__2024-01-01T00:00:00+00:00",
        "2024-01-01T00:00:00+00:00",
        "2024-01-02T00:00:00+00:00",
        "success",
        "v1",
        "{}",
        "2024-01-31T11:20:00.000000+00:00",
        "2024-01-31T11:20:00.000009+00:00",
        "bf-1",
        None,
    )
    assert connection.one("SELECT dag_id, task_id, logical_date, outcome, duration_s, backfill_id FROM v_attempts") == (
        "daily_sales",
        "load",
        "2024-01-01T00:00:00+00:00",
        "success",
        2.0,
        "bf-1",
    )
    assert connection.one("SELECT seq, at, actor FROM v_audit") == (1, "2024-01-31T11:20:00.000001+00:00", "ada")
    connection.close()


def test_step_7_leaves_what_is_attested_as_it_was(path: Path) -> None:
    """Digests cover a batch, and a dag_run without one has the text it had before there were any."""
    from store_builders import day, register, run_row

    store = open_store(str(path), write=True)
    register(store)

    def text_of(batch: int | None) -> bytes:
        row = run_row(day(1), batch=batch)
        store.write(lambda writer: writer.set_runs("daily_sales", [row]))
        ((page,),) = [store.read(lambda reader: list(reader.history().histories("daily_sales")))]
        return bytes(page.runs[0][3])

    alone = text_of(None)
    columns = "logical_date data_interval_end started_at ended_at run_type state version conf reason maker owner"
    assert alone.count(b",") == len(columns.split()) - 1, "as in step 2"
    assert text_of(day(7)) == alone + f",batch{day(7)}".encode()
    store.close()
