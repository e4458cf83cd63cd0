"""Promise 6, the history: every changed value in runs, attempts and audit is found, and the row it was in is named.

Each value of each row of dag_runs, task_instances, attempts, backfills, backfill_dates and the audit chain, one at a
time: another value of its type, none, one of another type; each row gone, each row twice. What STRICT tables refuse is
put in past the schema, as an edit of the file would.
"""

from __future__ import annotations

from random import Random
from signal import SIGKILL

import pytest
from blackbox.world import Project, until

from promises import changing, living, tampering
from promises.changing import Change
from promises.harness import Trial, Trials, caught
from promises.tampering import World


@pytest.fixture(scope="module")
def every(history_world: World) -> list[Change]:
    """Every change there is, in the same order each time."""
    with tampering.writing(history_world.history.copy(history_world.folder)) as connection:
        return list(changing.changes(connection))


def check(world: World, change: Change) -> bool:
    """Make a change in a copy; AssertionError unless it is found and named. False when SQLite itself refuses it."""
    world.history.restore(world.folder)
    if not changing.apply(world.store, change):
        return False
    findings = world.findings()
    assert findings, f"not found: {change.told}"
    assert changing.names_row(findings, change, world.store), f"{change.told} is not named: {findings}"
    return True


@pytest.mark.promise(6, short=100, long=100_000)
def test_every_changed_value_of_history_is_found(trials: Trials, history_world: World, every: list[Change]) -> None:
    """All of them with `--long`, a random sample without."""
    history_world.history.copy(history_world.folder)
    trials.count = min(len(every), trials.count)
    for trial in trials:
        change = every[trial.number] if trials.count == len(every) else trial.random.choice(every)
        trials.see(change.table if check(history_world, change) else "refused by SQLite itself")
    assert trials.seen.keys() >= {"dag_runs", "attempts"} or trials.count < 50


def check_whole_runs(world: World, random: Random) -> str:
    """Take a dag_run away, or put an older one in its place, as it was attested then; AssertionError unless found."""
    world.history.restore(world.folder)
    how = random.choice((changing.remove_run, changing.put_older_run))
    named = how(world, random)
    findings = world.findings()
    assert not named or any(named in one["what"] for one in findings), f"{how.__name__} {named}: {findings}"
    return how.__name__ if named else "nothing older"


@pytest.mark.promise(6, short=10, long=200)
def test_a_dag_run_taken_away_or_put_back_with_all_below_it_is_found(trials: Trials, history_world: World) -> None:
    """Each row fits its digest then; what the digests come to does not."""
    history_world.history.copy(history_world.folder)
    for trial in trials:
        trials.see(check_whole_runs(history_world, trial.random))
    assert {"remove_run", "put_older_run"} <= trials.seen.keys()


@pytest.mark.parametrize("table", ["dags", "tasks", "dag_versions", "reasons", "meta"])
def test_a_name_behind_a_key_is_a_part_of_history(table: str, history_world: World) -> None:
    """Rows of history hold keys: who changes the name they stand for has changed them all."""
    columns = {
        "dags": ["dag_id", "digests", "attested"],
        "tasks": ["task_id"],
        "dag_versions": ["digest"],
        "reasons": ["sentence"],
        "meta": ["value"],
    }
    for column in columns[table]:
        history_world.history.copy(history_world.folder)
        with tampering.writing(history_world.store) as connection:
            first = f"CASE WHEN {column} LIKE '9%' THEN '8' ELSE '9' END"
            other = f"{column} + 1" if column in ("digests", "attested") else f"{first} || substr({column}, 2)"
            row = "name = 'digest_key'" if table == "meta" else f"rowid = (SELECT min(rowid) FROM {table})"
            connection.execute(f"UPDATE {table} SET {column} = {other} WHERE {row}")
        assert history_world.verify().code in (4, 6), f"{table}.{column}"


def test_what_is_being_worked_on_is_told_and_no_alarm(project: Project) -> None:
    """A killed run has left dates that no entry attests; the next command attests what it left."""
    project.write("dags/nap.py", living.NAP.replace("sleep 0.1", "sleep 1"))
    project.write("dags/sales.py", tampering.SALES)
    going = project.start("run", "--dag", "nap", *tampering.days(1, 3))
    until(lambda: project.rows("SELECT 1 FROM task_instances"))
    during = project.bfill("audit", "verify", "--json").exits(0)
    assert [one["code"] for one in during.json["problems"]] == ["not-attested"]
    going.signal(SIGKILL)
    going.wait()
    behind = project.bfill("audit", "verify", "--json").exits(0)
    assert "not-attested" in behind.problems
    project.bfill("run", "--dag", "sales", *tampering.days(1, 1), "-q").exits(0)
    rested = project.bfill("audit", "verify", "--json").exits(0)
    assert not rested.json["problems"]
    assert rested.data["dag_runs"] >= 2
    with tampering.writing(project.store) as connection:
        connection.execute("UPDATE attempts SET outcome = 'success' WHERE outcome = 'lost'")
    assert "dag_run nap " in project.bfill("audit", "verify", "--json").exits(6).data["finding"]


def test_a_plan_that_is_stored_cannot_be_changed_unseen(project: Project) -> None:
    """Somebody looked at the plan and will run it by its id: it must be the same then."""
    project.write("dags/sales.py", tampering.SALES)
    project.bfill("plan", "--dag", "sales", *tampering.days(1, 5)).exits(0)
    with tampering.writing(project.store) as connection:
        connection.execute("UPDATE backfill_dates SET action = 'skip' WHERE logical_date = 1709424000")
    ended = project.bfill("audit", "verify", "--json").exits(6)
    assert ended.data["findings"][0]["code"] == "backfill-changed"


@pytest.mark.long
@pytest.mark.parametrize("mutant", ["digest-without-attempts", "sum-not-compared"])
def test_the_changes_see_what_a_digest_leaves_out(mutant: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with tampering.mutant(mutant, tmp_path_factory.mktemp("mutant")) as world:
        with tampering.writing(world.store) as connection:
            every = list(changing.changes(connection))

        def case(trial: Trial) -> None:
            if mutant == "sum-not-compared":
                check_whole_runs(world, trial.random)
            else:
                check(world, trial.random.choice(every))

        print(mutant, "caught after", caught(case))
