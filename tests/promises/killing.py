"""Killing commands and looking at what is left: when, whom, and what must hold afterwards (promises 1 and 2).

Owns the kills and the checks; what is run, and how it must end, is `killworld.py`. A command is killed at a random
instant of its life: while it starts, when a random part of its tasks has run, or while it closes. Then the same command
is given again, until it ends by itself.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from blackbox.world import Going, Project, Ran, sqlite

from promises.harness import Trial
from promises.killworld import Expected, Place, Shape, Witness, model, random_shape, read_witness

See = Callable[[str], None]

KINDS = ("run", "run", "run", "run", "run", "plan", "rerun-failed", "rerun-failed", "reprocess", "reset")
"""What is killed; most often a plain run."""

STARTS_S = 0.06
"""About what a warm command needs until its first task begins, or from its last task to its end."""

LOSSES = 3
"""Losses in a row that fail a task (semantics section 6)."""


# killing


def kill_main(pid: int) -> None:
    """The process alone: what it started lives on."""
    os.kill(pid, signal.SIGKILL)


def kill_tree(pid: int) -> None:
    """The process and all that it started, as the end of a session or of a container does. Held first, so that nothing
    escapes by being born."""
    os.kill(pid, signal.SIGSTOP)
    others = descendants(pid)
    os.kill(pid, signal.SIGKILL)
    for other in others:
        with suppress(ProcessLookupError):
            os.kill(other, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the children of a process, their children, and so on."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for thread in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):
                children = [int(one) for one in thread.read_text().split()]
                found += children
                waiting += children
    return found


class Life:
    """A running command, watched without asking it anything."""

    def __init__(self, going: Going) -> None:
        self.going = going
        self._handle = os.pidfd_open(going.pid)
        self._end = select.poll()
        self._end.register(self._handle, select.POLLIN)

    def close(self) -> None:
        os.close(self._handle)

    def ends_within(self, seconds: float) -> bool:
        return bool(self._end.poll(seconds * 1000))

    def reaches(self, condition: Callable[[], bool]) -> bool:
        """Wait until something holds; False when the command ends before it does."""
        while not condition():
            if self.ends_within(0.002):
                return False
        return True


@dataclass
class Seen:
    """The store as a kill left it, read from a copy before anybody else writes."""

    states: Mapping[Place, tuple[str, int]]
    under: Mapping[Place, str | None]
    starts: Mapping[Place, int]

    def successes(self, backfill_id: str | None) -> set[Place]:
        """Instances that are recorded as done; with an id, only those whose last try ran under that backfill."""
        return {
            place
            for place, (state, _) in self.states.items()
            if state == "success" and backfill_id in (None, self.under.get(place))
        }


_INSTANCES = """
    SELECT strftime('%Y-%m-%d', i.logical_date, 'unixepoch'), t.task_id, i.state, i.try_number,
    (SELECT b.backfill_id FROM attempts a JOIN backfills b ON b.backfill = a.backfill WHERE a.dag = i.dag AND
     a.logical_date = i.logical_date AND a.task = i.task AND a.try_number = i.try_number)
    FROM task_instances i JOIN tasks t ON t.task = i.task
"""


def look(project: Project) -> Seen:
    """Read the store through a copy, which recovers by itself what the dead process left in the journal."""
    copy = project.streams / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in project.store.parent.glob("bfill.db*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, copy)
    witness = read_witness(project.folder)
    starts = {place: len(numbers) for place, numbers in witness.starts.items()}
    if not (copy / "bfill.db").exists():
        assert not starts, "a task ran before there was a store"
        return Seen({}, {}, {})
    with closing(sqlite().connect(copy / "bfill.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'task_instances'").fetchone()
        rows = connection.execute(_INSTANCES).fetchall() if known else []
    states = {(day, task_id): (state, number) for day, task_id, state, number, _ in rows}
    for place, numbers in witness.starts.items():
        assert place in states, f"{place} ran, and the store knows nothing of it"
        assert max(numbers) <= states[place][1], f"{place} began try {max(numbers)}, the store says {states[place]}"
    return Seen(states, {(day, task_id): under for day, task_id, _, _, under in rows}, starts)


# one story: a project, what is done in it, and what the kills left


@dataclass
class Story:
    """A project in which commands are killed.

    Args:
        lines: How many lines the witness will have when the command at hand has ended.
        snapshots: The store as each kill left it, since the last reset.
        settled: Tries that had ended when a person asked for all to run again.
    """

    project: Project
    shape: Shape
    random: Random
    see: See
    lines: int = 0
    snapshots: list[Seen] = field(default_factory=list)
    settled: set[tuple[str, str, int]] = field(default_factory=set)

    def command(self, *words: str) -> Ran:
        """Run a command that nobody disturbs."""
        return self.project.bfill(*words, "--json")

    def until_it_ends(self, *words: str, kills: int) -> Ran:
        """Give a command, kill it up to `kills` times, and return how it ended when it could."""
        for _ in range(kills):
            for stream in ("out", "err"):  # it may be killed before it has any
                (self.project.streams / f"{self.project.started + 1}.{stream}").touch()
            going = self.project.start(*words, "--json")
            life = Life(going)
            try:
                whom = self._strike(life)
            finally:
                life.close()
            ran = going.wait()
            self.see(whom)
            if whom == "killed a child" and ran.code == 3 and ran.json["error"]["code"] == "crashes":
                self.see("the child was the one that tries the DAG file")
                continue
            if ran.code != -signal.SIGKILL:
                return ran
            self.see("kills")
            self.see(f"hit {self._what_was_hit()}")
            self.snapshots.append(look(self.project))
        return self.command(*words)

    def settle(self, *, besides: str = "") -> None:
        """Note the tries on record, but those of one backfill, as settled."""
        rows = self.project.rows(
            "SELECT logical_date, task_id, try_number FROM v_attempts WHERE outcome <> 'lost' AND backfill_id <> ?",
            besides,
        )
        self.settled |= {(row["logical_date"][:10], row["task_id"], row["try_number"]) for row in rows}

    def _strike(self, life: Life) -> str:
        """Wait for a random instant and kill somebody; says whom."""
        if not self._wait(life):
            return "ended before it was killed"
        pid = life.going.pid
        whom = self.random.choice(("main", "main", "tree", "tree", "child"))
        if whom == "child" and self.shape.has_children and life.reaches(lambda: bool(descendants(pid))):
            children = descendants(pid)
            if children:
                with suppress(ProcessLookupError):
                    os.kill(self.random.choice(children), signal.SIGKILL)
                return "killed a child"
        if life.ends_within(0):
            return "ended before it was killed"
        (kill_tree if whom == "tree" else kill_main)(pid)
        return "killed the whole tree" if whom == "tree" else "killed the process alone"

    def _wait(self, life: Life) -> bool:
        when = self.random.random()
        if when < 0.2:
            return not life.ends_within(self.random.uniform(0, 2 * STARTS_S))
        before = self._written()
        share = 0.97 if when > 0.85 else self.random.random()
        wanted = before + share * max(0, self.lines - before)
        return life.reaches(lambda: self._written() >= wanted) and not life.ends_within(
            self.random.uniform(0, STARTS_S / 2)
        )

    def _written(self) -> int:
        return (self.project.folder / "witness").read_bytes().count(b"\n")

    def _what_was_hit(self) -> str:
        folder = self.project.store.parent
        if not self.project.store.exists():
            return "before there was a store"
        at_rest = not any((folder / f"bfill.db-{one}").exists() for one in ("wal", "journal"))
        return "with the store at rest" if at_rest else "while the store was open for writing"


def tell(project: Project, trial: Trial, see: See) -> None:
    """A case of promises 1 and 2: kill commands in a project of its own, and check all that must hold."""
    random = trial.random
    shape = random_shape(random)
    shape.write(project.folder)
    (project.folder / "tmp").mkdir()
    project.env["TMPDIR"] = str(project.folder / "tmp")
    story = Story(project, shape, random, see, shape.lines())
    kind = random.choice(KINDS)
    see(f"kind: {kind}")
    STORIES[kind](story, random.choice((1, 2, 2, 3)))


def _run(story: Story, kills: int) -> None:
    ran = story.until_it_ends("run", *story.shape.words, *story.shape.how, kills=kills)
    check(story, ran)


def _plan(story: Story, kills: int) -> None:
    """A plan is stored once, however often storing it was interrupted; then its run is killed."""
    ran = story.until_it_ends("plan", *story.shape.words, "--parallel", str(story.shape.parallel), kills=kills)
    planned = ran.exits(0).data["backfill_id"]
    rows = story.project.rows("SELECT backfill_id, state FROM backfills")
    assert rows == [{"backfill_id": planned, "state": "planned"}]
    words = random_words(story, planned)
    ran = story.until_it_ends("run", *words, *story.shape.how[2:], kills=1)
    check(story, ran)
    assert ran.data["backfill_id"] == planned or ran.data["skipped"]


def random_words(story: Story, planned: str) -> tuple[str, ...]:
    return story.random.choice(((planned,), story.shape.words))


def _rerun_failed(story: Story, kills: int) -> None:
    shape, project = story.shape, story.project
    first = story.command("run", *shape.words, *shape.how)
    shutil.rmtree(project.folder / "broken")
    before, after = model(shape, ()).instances, model(shape, (), mended=True).instances
    story.lines += 2 * sum(before[place] != "success" and after[place] == "success" for place in after)
    words = story.random.choice((shape.words, shape.words[:2], (), (first.data["backfill_id"],)))
    ran = story.until_it_ends("rerun-failed", *words, *shape.how, kills=kills)
    check(story, ran, mended=True)


def _reprocess(story: Story, kills: int) -> None:
    """Successes are to run again here, once: not those that this very backfill has on record."""
    shape = story.shape
    _run_all(story)
    again = story.random.choice((("--reprocess", "all"), ("--reset-dag-run",)))
    ran = story.until_it_ends("run", *shape.words, *shape.how, *again, kills=kills)
    # Killed between its last commit and its result, it had done all; whoever asks again, asks for all of it again.
    story.settle(besides=ran.data["backfill_id"])
    check(story, ran, only_under=ran.data["backfill_id"])


def _reset(story: Story, kills: int) -> None:
    shape = story.shape
    _run_all(story)
    ran = story.until_it_ends("reset", *shape.words, "--yes", kills=kills)
    ran.exits(0)
    assert {row["state"] for row in story.project.rows("SELECT state FROM task_instances")} <= {"scheduled"}
    story.snapshots.clear()  # what was a success then is to run again
    ran = story.until_it_ends("run", *shape.words, *shape.how, kills=1)
    check(story, ran)


def _run_all(story: Story) -> None:
    """Run everything once, undisturbed; all of it is about to run again because a person says so."""
    assert story.command("run", *story.shape.words, *story.shape.how).data["remaining"] == 0
    story.lines *= 2
    story.settle()


STORIES: Mapping[str, Callable[[Story, int], None]] = {
    "run": _run,
    "plan": _plan,
    "rerun-failed": _rerun_failed,
    "reprocess": _reprocess,
    "reset": _reset,
}


# what must hold afterwards


def check(story: Story, ran: Ran, *, mended: bool = False, only_under: str | None = None) -> None:
    """Check a result, the store and the witness against each other and against the model.

    Args:
        only_under: Of the successes on record, only those of this backfill must not have run again.
    """
    assert ran.code in (0, 1), ran
    project, data = story.project, ran.data
    tries = _tries(project)
    forced = {place for place in story.shape.places if was_forced(story.shape, place, tries.get(place, {}))}
    for _ in forced:
        story.see("task instances that kills made fail")
    _check_dates(story, ran, model(story.shape, forced, mended=mended))
    witness = read_witness(project.folder)
    for place, numbers in witness.starts.items():
        assert numbers == sorted(set(numbers)), f"{place}: a try began twice: {numbers}"
        assert set(numbers) <= set(tries.get(place, ())), f"{place}: {numbers} began, {tries.get(place)} are on record"
    for seen in story.snapshots:
        for place in seen.successes(only_under):
            story.see("successes on record at a kill")
            assert len(witness.starts[place]) == seen.starts[place], f"{place} was a success and ran again: {witness}"
    _check_listed(story, ran, witness, tries)
    _check_what_is_left(project, wrote=data["backfill_id"] is not None)
    assert project.bfill("audit", "verify").code == 0
    assert data["audit_head"]


Tries = Mapping[Place, Mapping[int, tuple[str, str]]]
"""Task instance → try → (outcome, reason), as the store has them."""


def _tries(project: Project) -> Tries:
    found: dict[Place, dict[int, tuple[str, str]]] = {}
    for row in project.rows(
        "SELECT logical_date, task_id, try_number, outcome, reason FROM v_attempts ORDER BY 1, 2, 3"
    ):
        place = row["logical_date"][:10], row["task_id"]
        found.setdefault(place, {})[row["try_number"]] = row["outcome"], row["reason"] or ""
    return found


def was_forced(shape: Shape, place: Place, tries: Mapping[int, tuple[str, str]]) -> bool:
    """Return whether kills alone made a task instance fail: three losses in a row, or a retry's worth of SIGKILLs."""
    outcomes = [outcome for outcome, _ in tries.values()]
    if outcomes[-LOSSES:] == ["lost"] * LOSSES:
        return True
    retries = next(task.retries for task in shape.tasks if task.name == place[1])
    used = [reason for outcome, reason in tries.values() if outcome in ("retry", "failed")]
    return outcomes[-1:] == ["failed"] and len(used) > retries and any(by_sigkill(reason) for reason in used)


def by_sigkill(reason: str) -> bool:
    return "SIGKILL" in reason or "signal 9" in reason


def _check_dates(story: Story, ran: Ran, expected: Expected) -> None:
    """Every date is in the result once, in the one state that it must have, there and in the store; the sums hold."""
    data, project = ran.data, story.project
    shown = [(one["logical_date"][:10], one["state"]) for one in data["results"]]
    assert len(dict(shown)) == len(shown) == data["total_dates"], shown
    if ran.words[0] == "run":
        assert [day for day, _ in shown] == list(story.shape.days)
    assert dict(shown) == {day: expected.dates[day] for day, _ in shown}, (shown, expected)
    parts = ("completed", "failed", "blocked", "skipped", "remaining")
    assert data["total_dates"] == sum(data[part] for part in parts), data
    assert data["remaining"] == data["interrupted"] == 0, data
    assert ran.code == (0 if {state for _, state in shown} <= {"success"} else 1), ran
    stored = {day: "blocked" if state == "queued" else state for day, state in project.runs("kills").items()}
    assert stored == expected.dates
    found = project.rows(
        "SELECT strftime('%Y-%m-%d', i.logical_date, 'unixepoch') day, t.task_id, i.state FROM task_instances i"
        " JOIN tasks t ON t.task = i.task WHERE i.state <> 'scheduled'"
    )
    states = {(row["day"], row["task_id"]): row["state"] for row in found}
    assert states == {place: state for place, state in expected.instances.items() if state is not None}


def _check_listed(story: Story, ran: Ran, witness: Witness, tries: Tries) -> None:
    """What ran again after an interruption stands in the result, in status and in the audit trail, and nothing else."""
    project = story.project
    lost = {
        (*place, number)
        for place, of_place in tries.items()
        for number, (outcome, _) in of_place.items()
        if outcome == "lost" and number < max(of_place)
    }
    killed = {
        (*place, number) for place, one in tries.items() for number, (_, reason) in one.items() if by_sigkill(reason)
    }
    unexplained = witness.overtaken() - killed - story.settled - lost
    assert not unexplained, f"ran again, and nothing says why: {unexplained}"
    by_backfill = {}
    for row in project.rows("SELECT backfill_id, state FROM backfills"):
        by_backfill[row["backfill_id"]] = _listed(project.bfill("status", row["backfill_id"], "--json").exits(0).data)
        assert row["state"] in ("success", "failed"), row
    assert set().union(*by_backfill.values()) == lost, (by_backfill, lost)
    # A command killed between its last commit and its result is the one whose list nobody printed: status has it.
    assert _listed(ran.data) == by_backfill.get(ran.data["backfill_id"], set()), (ran.data["reexecuted"], by_backfill)
    if not lost:
        return
    events = project.bfill("audit", "--json").exits(0).data["events"]
    told = {one for event in events for key in ("lost", "reexecuted") for one in event["details"].get(key, ())}
    for day, task_id, number in lost:
        story.see("tries that ran again after a kill")
        assert f"{day}T00:00:00+00:00 {task_id} try {number}" in told, (day, task_id, number, told)


def _listed(data: Mapping[str, Any]) -> set[tuple[str, str, int]]:
    return {(one["logical_date"][:10], one["task_id"], one["lost_try"]) for one in data["reexecuted"]}


LEFT = frozenset({"bfill.db", "bfill.db.heads", "logs", "locks"})
"""What a store's folder holds when nobody works with it."""


def _check_what_is_left(project: Project, *, wrote: bool) -> None:
    """Nobody owns anything any more, and no file piles up.

    Args:
        wrote: The last command changed the store. One that had nothing to do leaves even a journal as it found it.
    """
    assert project.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert project.rows("SELECT * FROM owners") == []
    assert project.rows("SELECT 1 FROM dag_runs WHERE owner IS NOT NULL") == []
    assert project.rows("SELECT 1 FROM backfills WHERE owner IS NOT NULL") == []
    left = {path.name for path in project.store.parent.iterdir()}
    assert left <= (LEFT if wrote else LEFT | {"bfill.db-wal", "bfill.db-shm"}), left
    assert not (wrote and list((project.store.parent / "locks").iterdir())), "locks of the dead pile up"
    assert list((project.folder / "tmp").iterdir()) == []
    assert {path.name for path in project.folder.iterdir()} <= {".bfill", "broken", "dags", "tmp", "witness"}
