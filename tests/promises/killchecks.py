"""What must hold after a kill: the store as the kill left it, and all of it once the same command has ended.

Owns the checks of promises 1 and 2. The store is compared with a witness that the tasks wrote and with a model of how
they must end (`killworld.py`): never with what bfill itself makes of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blackbox.world import Project, Ran, sqlite

from promises.killworld import Expected, Place, Shape, Witness, model, read_witness

if TYPE_CHECKING:
    from promises.killing import Story

LOSSES = 3
"""Losses in a row that fail a task (semantics section 6)."""


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
    """Return whether a try ended by SIGKILL: its own process, or the last one that its shell waited for (128 + 9)."""
    return any(word in reason for word in ("SIGKILL", "signal 9", "exit status 137"))


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

JOURNALS = frozenset({"bfill.db-wal", "bfill.db-shm", "bfill.db-journal"})


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
    assert left <= (LEFT if wrote else LEFT | JOURNALS), left
    assert not (wrote and list((project.store.parent / "locks").iterdir())), "locks of the dead pile up"
    assert list((project.folder / "tmp").iterdir()) == []
    assert {path.name for path in project.folder.iterdir()} <= {".bfill", "broken", "dags", "tmp", "witness"}
