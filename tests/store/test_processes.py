"""What crosses processes: claims, locks, waiting. Real processes, really killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from store_builders import backfill_row, claimed_backfill, day, names, plan_row, register

from backfill_cli.errors import StoreError
from backfill_cli.store import engines, open_store
from backfill_cli.store.locks import OwnerLocks

HERE = str(Path(__file__).parent)


@contextmanager
def python(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program in another process; whatever happens, it does not stay."""
    environment = os.environ | {"PYTHONPATH": HERE}
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


OWNER = """
import sys
from store_builders import claimed_backfill
from backfill_cli.store import open_store
store = open_store(sys.argv[1], write=True)
claimed_backfill(store, owner="own-child")
print("ready", flush=True)
sys.stdin.read()
"""


def test_an_owner_that_was_killed_is_dead_at_once(path: Path) -> None:
    """Semantics section 8, "killed backfill": the next command sees the dead owner."""
    with python(OWNER, str(path)) as process:
        assert line(process) == "ready"
        store = open_store(str(path), write=True)
        assert [row.is_alive for row in store.read(lambda r: r.owners())] == [True]
        assert not store.write(lambda w: w.take_backfill("bf-1", "own-next"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [row.is_alive for row in store.read(lambda r: r.owners())] == [False]
        assert store.write(lambda w: w.take_backfill("bf-1", "own-next"))
        store.close()


def test_a_stopped_owner_is_alive(path: Path) -> None:
    """Issue promise 3: after SIGSTOP and SIGCONT it goes on; nobody may have taken its dates."""
    with python(OWNER, str(path)) as process:
        assert line(process) == "ready"
        process.send_signal(signal.SIGSTOP)
        store = open_store(str(path), write=True)
        assert not store.write(lambda w: w.take_backfill("bf-1", "own-next"))
        store.close()
        process.send_signal(signal.SIGCONT)


CLAIMER = """
import os, socket, sys
from store_builders import NOW, day, opening
from backfill_cli.core.records import Claim
from backfill_cli.errors import ConflictError
from backfill_cli.store import open_store
path, number, dates = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = open_store(path, write=True)
owner, backfill = f"own-{number}", f"bf-{number}"
store.hold_owner(owner)
store.write(lambda w: w.add_owner(owner, pid=os.getpid(), host=socket.gethostname(), at=NOW))
assert store.write(lambda w: w.take_backfill(backfill, owner))
claim = Claim(owner, backfill, "daily_sales", "v1")
print("ready", flush=True)
sys.stdin.readline()
won = []
for n in range(dates):
    try:
        store.write(lambda w: w.save(claim, opening(claim, day(n))))
        won.append(n)
    except ConflictError:
        pass
print(*won, flush=True)
sys.stdin.readline()
"""


def test_two_processes_never_own_one_date_and_every_date_finds_an_owner(path: Path) -> None:
    """Issue promise 3: overlaps 0."""
    dates = 150
    store = open_store(str(path), write=True)
    register(store)
    for number in (1, 2):
        rows = [plan_row(day(n)) for n in range(dates)]
        store.write(lambda w, n=number, rows=rows: w.add_backfill(backfill_row(f"bf-{n}"), rows))
    with python(CLAIMER, str(path), "1", str(dates)) as one, python(CLAIMER, str(path), "2", str(dates)) as two:
        assert (line(one), line(two)) == ("ready", "ready")
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        won = [set(map(int, line(process).split())) for process in (one, two)]
        owners = {row.logical_date: row.owner for row in store.read(lambda r: list(r.runs("daily_sales", 0, day(999))))}
    assert won[0] & won[1] == set()
    assert won[0] | won[1] == set(range(dates))
    assert owners == {day(n): f"own-{1 if n in won[0] else 2}" for n in range(dates)}
    store.close()


CREATOR = """
import sys
from store_builders import register
from backfill_cli.store import open_store
print("ready", flush=True)
sys.stdin.readline()
for n in range(5):
    store = open_store(f"{sys.argv[1]}/{n}/bfill.db", write=True)
    register(store, f"dag-{sys.argv[2]}")
    store.close()
print("done", flush=True)
"""


def test_two_processes_may_make_the_same_store_at_once(tmp_path: Path) -> None:
    with python(CREATOR, str(tmp_path), "a") as one, python(CREATOR, str(tmp_path), "b") as two:
        for process in (one, two):
            assert line(process) == "ready"
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        assert (line(one), line(two)) == ("done", "done")
    for n in range(5):
        store = open_store(str(tmp_path / str(n) / "bfill.db"), write=False)
        assert [row.dag_id for row in store.read(lambda r: r.dags())] == ["dag-a", "dag-b"]
        store.close()


WRITER = """
import sys
from store_builders import day, register, run_row
from backfill_cli.store import open_store
first = int(sys.argv[2])
while True:
    store = open_store(sys.argv[1], write=True)
    register(store)
    for _ in range(2):
        store.write(lambda w: w.set_runs("daily_sales", [run_row(day(first + n)) for n in range(20)]))
        print(first, flush=True)
        first += 20
    store.close()
"""


def test_a_kill_at_any_moment_leaves_a_store_that_readers_and_writers_can_use(path: Path) -> None:
    """Issue promises 1 and 2: what was acknowledged is there, every transaction is whole. Opening, switching the
    journal and closing are killed as well; a reading command comes first afterwards."""
    chance, stored = random.Random(7), 0
    for trial in range(12):
        with python(WRITER, str(path), str(stored)) as process:
            line(process)
            time.sleep(chance.random() * 0.06)
            process.kill()
            rest = process.communicate()[0].split()
        acknowledged = int(rest[-1]) if rest else stored
        reader = open_store(str(path), write=False)
        rows = reader.read(lambda r: [row.logical_date for row in r.runs("daily_sales", 0, day(99_999))])
        counted = reader.read(lambda r: sum(r.count_runs("daily_sales", 0, day(99_999)).values()))
        reader.close()
        assert len(rows) >= acknowledged + 20, trial
        assert len(rows) % 20 == 0, trial
        assert counted == len(rows), trial
        stored = len(rows)
    writer = open_store(str(path), write=True)
    writer.write(lambda w: w.set_pool("p", 1))
    writer.close()
    assert names(path.parent) == ["bfill.db"]


# a busy store


def test_a_store_that_stays_locked_is_one_line(path: Path) -> None:
    store = open_store(str(path), write=True, patience_s=0.2)
    register(store)
    other = engines.connect(str(path), write=True)
    other.run("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process") as refused:
        store.write(lambda w: w.set_pool("p", 1))
    assert refused.value.code == "store-locked"
    assert store.read(lambda r: r.pools()) == {}, "readers do not wait for the writer"
    other.run("ROLLBACK")
    other.close()
    store.write(lambda w: w.set_pool("p", 1))
    store.close()


def test_the_whole_work_runs_again_when_the_store_was_busy(path: Path) -> None:
    store = open_store(str(path), write=True)
    store.write(lambda w: w.set_pool("p", 1))
    other = open_store(str(path), write=True)
    begun, free = threading.Event(), threading.Event()

    def hold(w: object) -> None:
        w.set_pool("p", 41)  # type: ignore[attr-defined]
        begun.set()
        assert free.wait(10)

    holder = threading.Thread(target=lambda: other.write(hold))
    holder.start()
    assert begun.wait(10)
    timer = threading.Timer(0.3, free.set)
    timer.start()
    store.write(lambda w: w.set_pool("p", w.pools()["p"].slots + 1))
    holder.join()
    timer.join()
    assert store.read(lambda r: r.pools()["p"].slots) == 42
    other.close()
    store.close()


# lock files


def test_a_lock_file_is_gone_after_its_release_and_taken_again_by_nobody(tmp_path: Path) -> None:
    locks = OwnerLocks(tmp_path / "locks")
    locks.hold("own-1")
    locks.hold("own-1")
    assert names(tmp_path / "locks") == ["own-1.children", "own-1.lock"]
    locks.release("own-1")
    locks.release("own-1")
    assert names(tmp_path / "locks") == []


def test_two_who_ask_at_once_do_not_take_each_other_for_the_owner(tmp_path: Path) -> None:
    import fcntl
    import socket

    (tmp_path / "own-1.lock").touch()
    asking = os.open(tmp_path / "own-1.lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    assert not OwnerLocks(tmp_path).is_alive("own-1", socket.gethostname())
    os.close(asking)


@pytest.mark.parametrize("name", ["../escape", "", ".hidden", "a/b", "a\n", "x" * 200])
def test_an_owner_id_cannot_name_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a lock file"):
        OwnerLocks(tmp_path / "locks").hold(name)


def test_a_planted_link_at_a_lock_path_is_not_followed(tmp_path: Path) -> None:
    """Issue promise 14."""
    outside = tmp_path / "outside"
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "own-1.lock").symlink_to(outside)
    locks = OwnerLocks(tmp_path / "locks")
    with pytest.raises(StoreError) as refused:
        locks.hold("own-1")
    assert refused.value.code == "store-io"
    assert not outside.exists()


def test_a_lock_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        OwnerLocks(tmp_path / "locks").hold("own-1")
    assert names(tmp_path / "elsewhere") == []


def test_closing_a_store_gives_its_locks_back(path: Path) -> None:
    store = open_store(str(path), write=True)
    claimed_backfill(store)
    store.close()
    assert names(path.parent / "locks") == []
