"""Whatever a row holds, reading it ends in a record or in one line with exit code 4 (issue promise 6)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_builders import (
    NOW,
    attempt_row,
    audit_row,
    claimed_backfill,
    day,
    finishing,
    instance_row,
    opening,
    register,
    run_row,
)

from backfill_cli.core.agreements import Deferral
from backfill_cli.core.circuits import BreakerState, Circuit
from backfill_cli.core.ports import Reader
from backfill_cli.core.records import Batch, XComRow
from backfill_cli.core.states import RunState
from backfill_cli.errors import BfillError, StoreError
from backfill_cli.store import open_store
from backfill_cli.store.problems import translate
from backfill_cli.store.rows import Shape

DAG = "daily_sales"
FAR = 2**60


def everything(r: Reader) -> int:
    """Read all there is, every way there is; how many rows."""
    rows: list[object] = [*r.dags(), *r.versions(DAG), *r.runs(DAG, -FAR, FAR), *r.instances(DAG, -FAR, FAR)]
    rows += [*r.attempts(DAG, -FAR, FAR), *r.durations(DAG), *r.xcoms(DAG, day(1)).items(), *r.backfills()]
    rows += [*r.pending("bf-1", after=None, limit=9_999), *r.backfill_dates("bf-1"), *r.owners(), *r.audit()]
    rows += [
        *r.claimed("bf-1", -FAR, FAR),
        *r.pools().items(),
        *r.leases(),
        r.waits("o"),
        *r.agreements().deferrals(["api"]),
        *r.agreements().circuits(["api"]),
        *r.count_runs(DAG, -FAR, FAR).items(),
    ]
    rows += [r.run(DAG, day(1)), r.run_before(DAG, FAR, state=RunState.SUCCESS), r.audit_head(), r.dag(DAG)]
    rows += [kind for block in r.ended_runs(DAG, -FAR, FAR) for kind in block.kinds]
    rows += [r.backfill("bf-1"), r.ever_ran(DAG, "load", FAR), *r.overlapping(DAG, -FAR, FAR)]
    return len(rows)


@pytest.fixture
def full(path: Path) -> Path:
    """A store with something in every table."""
    store = open_store(str(path), write=True)
    claim = claimed_backfill(store)
    store.write(lambda w: w.save(claim, opening(claim, day(1), day(2))))
    store.write(lambda w: w.save(claim, finishing(claim, day(1))))
    pushed = [XComRow(day(1), "extract", "k", "1")]
    batch = Batch(instances=[instance_row(day(1))], attempts=[attempt_row(day(1))], xcoms=pushed)
    store.write(lambda w: w.save(claim, batch))
    store.write(lambda w: w.add_audit(audit_row(1)))
    store.write(lambda w: w.agreements().keep_deferral(Deferral("api", NOW, NOW + 1, "bf-1", "HTTP 429")))
    store.write(lambda w: w.agreements().keep_circuit(Circuit("api", BreakerState.OPEN, at=NOW, until=NOW + 1)))
    store.close()
    return path


DAMAGE = {
    "a state that is none": "UPDATE dag_runs SET state = 'done'",
    "a task state that is none": "UPDATE task_instances SET state = 'RUNNING'",
    "an outcome that is none": "UPDATE attempts SET outcome = ''",
    "an action that is none": "UPDATE backfill_dates SET action = 'delete'",
    "a run type that is none": "UPDATE dag_runs SET run_type = 'x'",
    "a backfill state that is none": "UPDATE backfills SET state = 'x'",
    "a date after year 9999": "UPDATE dag_runs SET logical_date = 9000000000000 WHERE state = 'success'",
    "an instant after year 9999": "UPDATE attempts SET ended_at = 9000000000000000000",
    "a version that is gone": "UPDATE dag_runs SET version = 99",
    "a task that is gone": "UPDATE attempts SET task = 99",
    "a reason that is gone": "UPDATE backfill_dates SET reason = 99",
    "JSON that is none": "UPDATE backfills SET request = '{'",
    "JSON of another kind": 'UPDATE backfills SET planned = \'{"create": "x"}\'',
    "JSON nested without end": "UPDATE backfills SET request = replace(hex(zeroblob(100000)), '00', '[')",
    "digests that are none": "UPDATE dag_versions SET tasks = '{\"a\": 1}'",
    "details that are a list": "UPDATE audit_events SET details = '[]'",
    "bytes that are no text": "UPDATE attempts SET reason = CAST(x'fffe' AS TEXT)",
    "a circuit that asks": "UPDATE circuits SET state = 'asking'",
    "a cooldown until after year 9999": "UPDATE circuits SET until = 9000000000000000000",
    "a wait until after year 9999": "UPDATE deferrals SET until = 9000000000000000000",
    "a negative count": "UPDATE run_counts SET runs = -1",
    "a negative counter": "UPDATE backfills SET completed = -1",
    "a table that is gone": "DROP TABLE attempts",
    "a DAG without a version": "UPDATE dags SET version = NULL",
}


@pytest.mark.parametrize("sql", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_one_line(full: Path, sql: str) -> None:
    by_hand = sqlite3.connect(full)
    by_hand.execute(sql)
    by_hand.commit()
    by_hand.close()
    reader = open_store(str(full), write=False)
    with pytest.raises(StoreError) as found:
        reader.read(everything)
    reader.close()
    assert found.value.code == "store-damaged"
    assert found.value.exit_code == 4
    assert "\n" not in str(found.value)


def test_types_that_a_strict_table_cannot_hold_are_found_too() -> None:
    """A flipped bit in a record's header changes a value's type where STRICT no longer looks."""
    shape: Shape[tuple[int, str]] = Shape("t", "dS", lambda row: (row[0], row[1]))
    assert shape.record((1, "x")) == (1, "x")
    assert shape.record((1, None)) == (1, None)
    for row in [("1", "x"), (1.5, "x"), (None, "x"), (1, b"x"), (1, 2), (True, "x")]:
        with pytest.raises(StoreError) as found:
            shape.record(row)
        assert found.value.code == "store-damaged"


def test_text_of_a_damaged_row_cannot_drive_the_terminal() -> None:
    shape: Shape[int] = Shape("t", "d", lambda row: int(row[0]))
    with pytest.raises(StoreError) as found:
        shape.record(("\x1b[2J\n" * 500,))
    assert found.value.message.isprintable()
    assert len(found.value.message) < 300


def test_flipped_bits_never_crash_a_reader(full: Path) -> None:
    """Every flip ends in rows or in one StoreError; a seed names the flip."""
    whole = full.read_bytes()
    told = 0
    for seed in range(150):
        chance = random.Random(seed)
        position = chance.randrange(len(whole))
        # Half of the flips where the rows are: most pages of so small a store are empty.
        flipped = bytearray(whole)
        while seed % 2 and flipped[position] == 0:
            position = chance.randrange(len(whole))
        flipped[position] ^= 1 << chance.randrange(8)
        full.write_bytes(flipped)
        try:
            reader = open_store(str(full), write=False)
            try:
                reader.read(everything)
            finally:
                reader.close()
        except BfillError as error:
            told += 1
            assert error.code.startswith("store-"), (seed, error)
            assert "\n" not in str(error), seed
    assert told > 10


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SQLITE_BUSY", "store-locked"),
        ("SQLITE_LOCKED", "store-locked"),
        ("SQLITE_FULL", "store-full"),
        ("SQLITE_READONLY", "store-read-only"),
        ("SQLITE_IOERR_WRITE", "store-io"),
        ("SQLITE_CANTOPEN", "store-io"),
        ("SQLITE_CORRUPT", "store-damaged"),
        ("SQLITE_NOTADB", "store-not-bfill"),
        ("SQLITE_ERROR", "store-damaged"),
    ],
)
def test_every_failure_of_the_driver_has_a_code_and_a_hint(name: str, code: str) -> None:
    error = sqlite3.OperationalError("what the driver said\nin two lines")
    error.sqlite_errorcode = getattr(sqlite3, name)
    found = translate(error, "/a/bfill.db")
    assert (found.code, found.exit_code) == (code, 4)
    assert "/a/bfill.db" in found.message
    assert found.hint
    assert "\n" not in str(found)


def test_a_failed_write_can_be_repeated_once_there_is_space(path: Path) -> None:
    """Issue promise 5: disk full, then works again; a page limit stands for the full disk."""
    store = open_store(str(path), write=True)
    register(store)
    assert store._writer is not None
    connection = store._writer.connection
    pages = connection.one("PRAGMA page_count")
    assert pages is not None
    connection.run(f"PRAGMA max_page_count = {pages[0] + 1}")
    rows = [run_row(day(n), reason="x" * 500) for n in range(200)]
    work: Callable[[object], None] = lambda w: w.set_runs(DAG, rows)  # type: ignore[attr-defined]  # noqa: E731
    with pytest.raises(StoreError) as full_disk:
        store.write(work)
    assert full_disk.value.code == "store-full"
    assert store.read(lambda r: list(r.runs(DAG, -FAR, FAR))) == []
    connection.run("PRAGMA max_page_count = 100000")
    store.write(work)
    assert len(store.read(lambda r: list(r.runs(DAG, -FAR, FAR)))) == 200
    store.close()
