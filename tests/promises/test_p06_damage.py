"""Promise 6: a damaged, foreign or newer store is told in one clear line, never written to, and never a crash.

Bits are flipped, ends cut off, rows made impossible; then every command has its turn. What a command shows that is not
what was stored is found by `store check` or `audit verify`.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from blackbox.world import Project

from promises import damage
from promises.batch import Batches, content
from promises.damage import Template
from promises.harness import Trial, Trials, caught, mutated


@pytest.fixture(scope="module")
def templates(new_project: Callable[[], Project]) -> tuple[Template, Template]:
    return damage.build(new_project())


@pytest.fixture(scope="module")
def killed(templates: tuple[Template, Template]) -> Template:
    return templates[0]


@pytest.fixture(scope="module")
def rested(templates: tuple[Template, Template]) -> Template:
    return templates[1]


@pytest.fixture(scope="module")
def batches() -> Iterator[Batches]:
    with Batches() as made:
        yield made


# flipped bits


@pytest.fixture(scope="module")
def shown(rested: Template, batches: Batches, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A folder with the sound store, and what every command shows of it."""
    folder = tmp_path_factory.mktemp("flips") / "copy"
    store = rested.copy(folder)
    ended = damage.check_all(batches.run(folder, damage.looking(rested), store))
    assert not damage.is_noticed(ended), "the sound store passes its checks"
    return folder, damage.told(ended)


@pytest.mark.promise(6, short=40, long=400)
def test_a_flipped_bit_is_told_or_found_or_changes_nothing(
    trials: Trials, rested: Template, batches: Batches, shown: tuple[Path, dict]
) -> None:
    folder, before = shown
    for trial in trials:
        store = rested.copy(folder)
        position, bit = damage.flip(store, trial.random)
        commands = damage.some(damage.looking(rested), trial.random, 5)
        ended = damage.check_all(batches.run(folder, commands, store))
        noticed = damage.is_noticed(ended)
        told = damage.told(ended)
        changed = [words for words in told if told[words] != before[words]]
        stopped = [one for one in ended if one.code == 4]
        assert noticed or not (changed or stopped), (
            f"byte {position}, bit {bit}: nobody noticed, but {changed or stopped}"
        )
        trials.see("found by a check" if noticed else "nowhere to be seen")
        trials.see("a command stopped", bool(stopped))
        trials.see("a command showed something else", bool(changed))
    assert trials.seen["found by a check"] > trials.count / 3 or trials.count < 10


@pytest.mark.promise(6, short=10, long=100)
def test_a_command_that_acts_on_a_flipped_store_does_it_or_leaves_it(
    trials: Trials, killed: Template, batches: Batches, tmp_path: Path
) -> None:
    for trial in trials:
        act(trial, killed, batches, tmp_path / "copy", trials)
    assert trials.seen["exit 4"] or trials.count < 10


def act(trial: Trial, template: Template, batches: Batches, folder: Path, trials: Trials | None = None) -> None:
    """A case: one command that acts, on a store with a flipped bit."""
    store = template.copy(folder)
    damage.flip(store, trial.random)
    (command,) = damage.some(damage.acting(template), trial.random, 1, always=())
    for one in damage.check_all(batches.run(folder, [command], store)):
        if trials is not None:
            trials.see(f"exit {one.code}")


# ends cut off


@pytest.mark.promise(6, short=8, long=40)
def test_a_truncated_store_is_told(trials: Trials, rested: Template, batches: Batches, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    for trial in trials:
        store = rested.copy(folder)
        left = damage.truncate(store, trial.random)
        commands = damage.some(damage.looking(rested), trial.random, 6)
        commands += damage.some(damage.acting(rested), trial.random, 1, always=())
        ended = damage.check_all(batches.run(folder, commands, store))
        assert damage.is_noticed(ended), left
        trials.see("a command stopped", any(one.code == 4 for one in ended))


# rows no bfill wrote


@pytest.mark.promise(6, short=1, long=1)
@pytest.mark.parametrize("sql", damage.WRONG_ROWS.values(), ids=damage.WRONG_ROWS.keys())
def test_a_row_no_bfill_wrote_is_exit_4_for_whoever_reads_it(
    sql: str, trials: Trials, killed: Template, batches: Batches, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With `--long` every command; else the checks, the one the row is for, and a few more."""
    for trial in trials:
        store = killed.copy(tmp_path / "copy")
        damage.by_hand(store, sql)
        commands = damage.looking(killed)
        if not request.config.getoption("--long"):
            commands = damage.some(commands, trial.random, 2)
        else:
            commands += damage.acting(killed)
        ended = damage.check_all(batches.run(tmp_path / "copy", commands, store))
        assert damage.is_noticed(ended), sql
        trials.see("exit 4", sum(1 for one in ended if one.code == 4))


def wrong_row(trial: Trial, template: Template, batches: Batches, folder: Path) -> None:
    """A case: a state that is none is exit 4 for `status`."""
    store = template.copy(folder)
    damage.by_hand(store, damage.WRONG_ROWS["a state that is none"])
    ended = batches.run(folder, [("status", *damage.RANGE, "--json")], store)
    damage.check_all(ended)
    assert ended[0].code == 4, ended[0]


def half_written(trial: Trial, template: Template, batches: Batches, folder: Path) -> None:
    """A case: damage that shows when a transaction has already written is exit 4, and nothing of it is kept.

    `run` has given back what the killed process held, and stored its plan, when it reads the head of the chain.
    """
    store = template.copy(folder)
    damage.by_hand(store, damage.WRONG_ROWS["a blob in the head of the chain"])
    (ran,) = damage.check_all(batches.run(folder, [("run", *damage.RANGE, "--json")], store))
    assert ran.code == 4, ran


@pytest.mark.promise(6, short=1, long=1)
def test_a_transaction_that_meets_damage_is_undone(
    trials: Trials, killed: Template, batches: Batches, tmp_path: Path
) -> None:
    for trial in trials:
        half_written(trial, killed, batches, tmp_path / "copy")


# files that are no store of this bfill


def _sqlite(store: Path) -> None:
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")


def _socket(store: Path) -> None:
    # A socket's path may be 108 bytes long, and tmp_path be longer.
    here = Path.cwd()
    os.chdir(store.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(store.name)
    finally:
        os.chdir(here)


OTHERS: dict[str, Callable[[Path], object]] = {
    "another application's SQLite file": _sqlite,
    "a text file": lambda store: store.write_text("SQLite format 3 is what this file is about\n" * 200),
    "SQLite's first words alone": lambda store: store.write_bytes(b"SQLite format 3\0"),
    "noise": lambda store: store.write_bytes(os.urandom(20_000)),
    "a folder": lambda store: store.mkdir(),
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to a store": lambda store: store.symlink_to("kept.db"),
    "a link to nothing": lambda store: store.symlink_to("nothing.db"),
}


@pytest.mark.promise(6, short=1, long=1)
@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS.keys())
def test_a_file_that_is_no_store_is_told_and_left_alone(
    make: Callable[[Path], object],
    trials: Trials,
    rested: Template,
    batches: Batches,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """With `--long` by every command; else by the checks and some more."""
    for trial in trials:
        store = rested.copy(tmp_path / "copy")
        store.rename(store.with_name("kept.db"))
        make(store)
        before = content(store.with_name("kept.db")), _look(store)
        commands = [one for one in damage.looking(rested) + damage.acting(rested) if one[0] != "__complete"]
        reads_it = [one for one in commands if one[:2] != ("dags", "list")]
        if not request.config.getoption("--long"):
            reads_it = damage.some(reads_it, trial.random, 8)
        for one in damage.check_all(batches.run(tmp_path / "copy", reads_it, store)):
            assert one.code == 4, one
            trials.see("exit 4")
        assert (content(store.with_name("kept.db")), _look(store)) == before


def _look(store: Path) -> tuple[int, bytes]:
    mode = store.lstat().st_mode
    return mode, store.read_bytes() if store.is_file() and not store.is_symlink() else b""


def test_an_empty_file_is_a_store_that_nothing_is_in_yet(rested: Template, batches: Batches, tmp_path: Path) -> None:
    """What a process leaves that dies between making the file and its first transaction."""
    store = rested.copy(tmp_path / "copy")
    store.write_bytes(b"")
    store.with_name(f"{store.name}.heads").unlink()
    commands = [("status", "--json"), ("store", "check", "--json"), ("run", *damage.RANGE, "--json")]
    looked, checked, ran = damage.check_all(batches.run(tmp_path / "copy", commands, store))
    assert looked.code == checked.code == 0 and not looked.wrote and not checked.wrote
    assert "empty" in [one["code"] for one in checked.json["data"]["findings"]]
    assert ran.json["data"]["completed"] == 7


VERSIONS = {"newer": 9_999, "older than any": -1, "absurd": 2**31 - 1, "nearly ours": None}


@pytest.mark.parametrize("number", VERSIONS.values(), ids=VERSIONS.keys())
def test_a_store_of_another_schema_is_not_touched(
    number: int | None, rested: Template, batches: Batches, tmp_path: Path
) -> None:
    store = rested.copy(tmp_path / "copy")
    with closing(sqlite3.connect(store)) as connection:
        ours = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version = {ours + 1 if number is None else number}")
    commands = [("status",), ("plan", *damage.RANGE, "--dry-run"), ("run", *damage.RANGE), ("store", "check", "--json")]
    for one in damage.check_all(batches.run(tmp_path / "copy", commands, store)):
        assert one.code == 4 and not one.wrote, one
        assert "newer bfill" in one.out + one.err or number == -1, one


# what lies beside it

BESIDE = {
    "a log of noise": ("-wal", os.urandom(8_000)),
    "an empty log": ("-wal", b""),
    "a journal of noise": ("-journal", os.urandom(8_000)),
    "an empty journal": ("-journal", b""),
    "an index of noise": ("-shm", os.urandom(32_768)),
}


@pytest.mark.promise(6, short=1, long=1)
@pytest.mark.parametrize(("end", "bytes_"), BESIDE.values(), ids=BESIDE.keys())
def test_what_lies_beside_a_store_and_is_not_its_own_changes_nothing(
    end: str, bytes_: bytes, trials: Trials, rested: Template, batches: Batches, tmp_path: Path
) -> None:
    """SQLite knows its own by checksums and salts: rows of another store never get in."""
    for _ in trials:
        folder = tmp_path / "copy"
        store = rested.copy(folder)
        commands = [("status", rested.ids[0], "--json"), ("store", "check", "--json"), ("audit", "verify", "--json")]
        sound = damage.told(batches.run(folder, commands, store))
        store = rested.copy(folder)
        store.with_name(store.name + end).write_bytes(bytes_)
        ended = damage.check_all(batches.run(folder, commands, store))
        assert damage.is_noticed(ended) or damage.told(ended) == sound
        trials.see("a command stopped", any(one.code == 4 for one in ended))


def test_a_log_whose_store_was_swapped_is_not_taken_in(rested: Template, batches: Batches, tmp_path: Path) -> None:
    """The log a killed process left, beside a store that is not the one it belongs to."""
    store = rested.copy(tmp_path / "live")
    with closing(sqlite3.connect(store, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE dag_runs SET reason = 'a reason'")
        log = store.with_name(store.name + "-wal").read_bytes()
    other = rested.copy(tmp_path / "copy")
    other.with_name(other.name + "-wal").write_bytes(log)
    (status, *_) = damage.check_all(
        batches.run(tmp_path / "copy", [("status", rested.ids[0], "--json"), ("audit", "verify")], other)
    )
    assert "reason" not in status.out
    assert status.code == 4 and "-wal" in status.out, status
    shutil.rmtree(tmp_path / "live")


# the harness


@pytest.mark.promise(6, short=1, long=1)
@pytest.mark.parametrize(("mutant", "case"), [("rows-unchecked", wrong_row), ("writes-although-damaged", half_written)])
def test_the_harness_sees_a_guard_that_is_missing(
    mutant: str, case: Callable[..., None], trials: Trials, killed: Template, tmp_path: Path
) -> None:
    with Batches(mutated(mutant, tmp_path)) as batches:
        for _ in trials:
            trials.see("trials until it was caught", caught(lambda one: case(one, killed, batches, tmp_path / "copy")))
