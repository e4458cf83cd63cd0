"""Finding what a dead owner left, by the lock and by the mark, and signalling that and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.helpers import wait_until

from backfill_cli.engine import procfs
from backfill_cli.engine.lineage import Lineage, inherited
from backfill_cli.engine.orphans import Orphan, end, find
from backfill_cli.store.locks import OwnerLocks, is_locked

pytestmark = pytest.mark.skipif(not procfs.is_there(), reason="this system has no /proc")


class Den:
    """A dead owner's lock files, and processes that were born to it."""

    def __init__(self, folder: Path) -> None:
        self.locks = OwnerLocks(folder)
        self.locks.hold("own-1")
        self.path = folder / "own-1.children"
        self.born: list[subprocess.Popen[bytes]] = []

    def bear(self, *words: str, mark: bool = True, lock: bool = True, **how: object) -> subprocess.Popen[bytes]:
        heirloom = self.locks.heirloom("own-1")
        assert heirloom is not None
        env = {"PATH": os.environ["PATH"], **({"BFILL_OWNER": "own-1"} if mark else {})}
        how.setdefault("process_group", 0)
        made = subprocess.Popen(words or ("sleep", "60"), env=env, pass_fds=[heirloom] if lock else [], **how)  # type: ignore[call-overload]
        self.born.append(made)
        wait_until(lambda: procfs.environment(made.pid) == env)
        return made

    def die(self) -> None:
        """As after SIGKILL: the descriptors go, the files stay."""
        held = self.locks._held.pop("own-1")
        os.close(held.own)
        os.close(held.children)

    def found(self) -> tuple[Orphan, ...]:
        return find("own-1", str(self.path), lambda: is_locked(self.path)).orphans


@pytest.fixture
def den(tmp_path: Path) -> Iterator[Den]:
    made = Den(tmp_path / "locks")
    yield made
    for one in made.born:
        one.kill()
        one.wait()


def pids(orphans: tuple[Orphan, ...]) -> list[int]:
    return [one.process.pid for one in orphans]


@pytest.mark.parametrize(("lock", "mark"), [(True, True), (True, False), (False, True)])
def test_one_of_the_two_marks_is_enough(den: Den, lock: bool, mark: bool) -> None:
    child = den.bear(lock=lock, mark=mark)
    den.die()
    assert pids(den.found()) == [child.pid]


def test_a_process_without_either_is_nobodys_child(den: Den) -> None:
    den.bear(lock=False, mark=False)
    den.die()
    assert den.found() == ()


def test_who_is_in_the_group_of_a_child_belongs_to_it(den: Den) -> None:
    leader = den.bear()
    stripped = den.bear(lock=False, mark=False, process_group=leader.pid)
    den.die()
    assert pids(den.found()) == sorted([leader.pid, stripped.pid])


def test_the_group_of_the_owner_itself_is_left_alone(den: Den) -> None:
    """A script that has started bfill, or make, is in it too."""
    child = den.bear(process_group=os.getpgrp())
    den.bear(lock=False, mark=False, process_group=os.getpgrp())
    den.die()
    assert pids(den.found()) == [child.pid]


def test_families_are_told_apart_where_the_session_began_outside_of_the_container() -> None:
    """Process group and session of such a process are 0, which is no "unknown"."""
    contained = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*contained, "true"], check=False).returncode:
        pytest.skip("no process namespaces for this user")
    chosen = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "group or session_is"]
    ran = subprocess.run([*contained, *chosen], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_a_process_that_left_its_session_is_told_apart(den: Den) -> None:
    den.bear(start_new_session=True, process_group=None)
    den.die()
    (orphan,) = den.found()
    assert orphan.has_left


def test_who_only_asks_holds_no_lock(den: Den) -> None:
    import fcntl

    asking = os.open(den.path, os.O_RDONLY)
    child = subprocess.Popen(["sleep", "60"], pass_fds=[asking])
    den.born.append(child)
    den.die()
    fcntl.flock(asking, fcntl.LOCK_SH | fcntl.LOCK_NB)
    family = find("own-1", str(den.path), lambda: True)
    os.close(asking)
    assert child.pid not in pids(family.orphans)


def test_a_lock_whose_holder_cannot_be_seen_is_no_empty_family(den: Den, monkeypatch: pytest.MonkeyPatch) -> None:
    den.bear(mark=False)
    den.die()
    monkeypatch.setattr(procfs, "holds_lock", lambda pid, file: False)
    assert find("own-1", str(den.path), lambda: is_locked(den.path)).is_hidden
    monkeypatch.setattr(procfs, "is_there", lambda: False)
    assert find("own-1", str(den.path), lambda: is_locked(den.path)).is_hidden


def test_whoever_asks_from_inside_the_family_is_no_orphan(den: Den, monkeypatch: pytest.MonkeyPatch) -> None:
    """bfill in a terminal multiplexer that a task had started: it carries the mark itself."""
    den.die()
    monkeypatch.setattr(procfs, "environment", lambda pid: {"BFILL_OWNER": "own-1"} if pid == os.getpid() else {})
    assert den.found() == ()


def test_a_forked_child_does_not_keep_its_parent_alive_but_is_known_to_live(den: Den) -> None:
    """A Python task that forks hands on every descriptor: the owner's own lock must not live on in it."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    try:
        den.die()
        wait_until(lambda: not is_locked(den.path.with_suffix(".lock")))
        assert is_locked(den.path)
        assert pids(den.found()) == [pid]
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_what_is_deaf_or_stopped_is_ended_all_the_same(den: Den) -> None:
    deaf = den.bear("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    stopped = den.bear()
    stopped.send_signal(signal.SIGSTOP)
    den.die()

    def look() -> list[Orphan]:
        for one in den.born:
            one.poll()
        return [one for one in den.found() if not one.has_left]

    ended = end(look, 1.0)
    assert {deaf.pid, stopped.pid} <= {one.process.pid for one in ended}
    assert (deaf.wait(), stopped.wait()) == (-signal.SIGKILL, -signal.SIGTERM)


def test_a_pid_that_is_somebody_elses_by_now_gets_no_signal(den: Den) -> None:
    child = den.bear()
    known = procfs.process(child.pid)
    assert known is not None
    assert not procfs.send(known._replace(started=known.started - 1), signal.SIGKILL)
    assert child.poll() is None
    assert procfs.send(known, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not procfs.send(known, signal.SIGKILL)


def test_a_name_with_parentheses_and_blanks_does_not_shift_the_fields(tmp_path: Path) -> None:
    script = tmp_path / "a) Z 1 (b"
    script.symlink_to("/bin/sleep")
    with subprocess.Popen([script, "60"]) as child:
        wait_until(lambda: b"a) Z" in Path(f"/proc/{child.pid}/stat").read_bytes())
        found = procfs.process(child.pid)
        child.kill()
    assert found is not None
    assert (found.parent, found.is_dead) == (os.getpid(), False)


def test_the_mark_is_in_the_environment_while_a_run_lasts_and_only_of_a_process_of_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BFILL_OWNER", raising=False)
    with inherited(Lineage("own-1"), own_process=True):
        assert os.environ["BFILL_OWNER"] == "own-1"
    with inherited(Lineage("own-1"), own_process=False):
        assert "BFILL_OWNER" not in os.environ
    assert "BFILL_OWNER" not in os.environ
