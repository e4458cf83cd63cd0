"""Killed twice in a catch-up: restarted, and every hour is there once

Question: The scheduler runs through a day of missed hours when the machine dies; it dies again after the restart. Which
hours are loaded twice, which never?

What goes wrong: A job that keeps its place in a variable begins anew and loads twice what was loaded. One that notes
the hour before it loads it has lost that hour. And a lock the dead left behind holds everybody else back.

What bfill does: All that is due is created in one transaction, each task is noted as it begins and as it ends. What a
killed scheduler left is the first thing of the next pass: what had ended is not touched, what was in the middle is
`lost` and tried again without using a retry, what had not begun is run. Nobody has to unlock or clean up anything.

What to look at: the dag_runs and the ledger between the kills; the tries of the hours that were in the middle, of a
task that has no retries.

When not to do it: nothing can know how far a task came that died in the middle. Write in one transaction, as here, or
such that a second time changes nothing.
"""

from __future__ import annotations

import signal
import sqlite3
from datetime import datetime

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG(
    "scenario_17_01_06", schedule="@hourly", start_date=datetime(2024, 1, 1), catchup=True, max_active_runs=2
) as dag:

    @task
    def load(ts: str) -> None:
        """Enter an hour into the ledger, which would take it twice; some hours have to wait for their data."""
        hour = ts[:13]
        marks.wait_while(__file__, hour)
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS ledger (hour)")
            db.execute("INSERT INTO ledger VALUES (?)", [hour])

    load()

HOURS = [f"2024-01-01T{hour:02}" for hour in range(24)]
PASS = "scheduler --once --dag 17.1.6 --now 2024-01-02T00:00Z"
KILLED_AT = {"first": HOURS[6:8], "second": HOURS[14:16]}
"""The two hours that are in the middle when the scheduler dies."""


def killed_at(demo: Demo, hours: list[str]) -> None:
    """Start a pass, and end it with SIGKILL while two hours wait for their data."""
    marks.put(__file__, *hours)
    going = demo.start(PASS)
    wait_until(lambda: running(demo) == hours, f"{hours} run")
    going.send(signal.SIGKILL)
    ended = going.wait()
    marks.take_away(__file__, *hours)
    demo.check_equal("the scheduler was ended by SIGKILL", ended.code, -signal.SIGKILL)


def running(demo: Demo) -> list[str]:
    """The hours whose task is stored as running."""
    sql = (
        "SELECT strftime('%Y-%m-%dT%H', logical_date, 'unixepoch') FROM task_instances "
        "WHERE state = 'running' ORDER BY logical_date"
    )
    try:
        return [hour for (hour,) in demo.stored(sql)]
    except sqlite3.OperationalError:  # the scheduler is about to make the store
        return []


def ledger(demo: Demo) -> list[str]:
    """The hours that were loaded."""
    return [hour for (hour,) in demo.rows("SELECT hour FROM ledger ORDER BY rowid")]


def states(demo: Demo) -> dict[str, int]:
    """How many dag_runs there are in each state."""
    return dict(demo.stored("SELECT state, count(*) FROM v_dag_runs GROUP BY state"))


@scenario
def main(demo: Demo) -> None:
    """Play it: killed, restarted and killed, restarted."""
    demo.step("A day behind, and killed", "24 hours are due, two at a time. The 7th and 8th are in the middle.")
    killed_at(demo, KILLED_AT["first"])
    demo.table(["dag_runs", ""], states(demo).items())
    demo.check_equal("all 24 hours have been created", sum(states(demo).values()), 24)
    demo.check_equal("six are in the ledger", sorted(ledger(demo)), HOURS[:6])

    demo.step("Restarted, and killed again", "The same command, as cron would give it. Nothing was cleaned up before.")
    killed_at(demo, KILLED_AT["second"])
    demo.check_equal("there are still 24 dag_runs", sum(states(demo).values()), 24)
    demo.check_equal("eight more hours are in the ledger, none twice", sorted(ledger(demo)), HOURS[:14])

    demo.step("Restarted for good")
    demo.bfill(PASS)
    loaded = sorted(ledger(demo))
    demo.check(
        "every hour is in the ledger exactly once", loaded == HOURS, f"{len(loaded)}, {loaded[0]} to {loaded[-1]}"
    )
    demo.check_equal("24 dag_runs, all done", states(demo), {"success": 24})
    tries = demo.stored("SELECT substr(logical_date, 1, 13), outcome FROM v_attempts ORDER BY logical_date, try_number")
    middle = [*KILLED_AT["first"], *KILLED_AT["second"]]
    demo.check_equal(
        "what was in the middle is lost, and was run again though it has no retries",
        [(hour, outcome) for hour, outcome in tries if hour in middle],
        [(hour, outcome) for hour in middle for outcome in ("lost", "success")],
    )
    demo.check_equal(
        "what had ended was not touched, the rest ran once",
        [(hour, outcome) for hour, outcome in tries if hour not in middle],
        [(hour, "success") for hour in HOURS if hour not in middle],
    )

    demo.step("And once more", "cron does not know that it is done.")
    again = demo.ask(PASS)
    demo.check_equal("a fourth pass finds nothing to do", (again["total_dates"], again["dags"][0]["runs"]), (0, []))
    demo.check_equal("and leaves the ledger alone", len(ledger(demo)), 24)
    demo.step(
        "Best practice",
        "Let cron or systemd give the same command again: a restart is a pass like any other. Make a task write in one "
        "transaction, as its last deed: then being killed before it and being run again are the same.",
    )


if __name__ == "__main__":
    play(main)
