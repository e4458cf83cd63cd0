"""A week of downtime leaves holes: find them, and fill those alone

Question: The machine was off for a week. Which dates are missing now, and how do I load those and nothing else?

What goes wrong: With catchup=False the schedule goes on at the newest date as if nothing had been. A "load the last two
weeks" to be on the safe side does good days again, and takes a failed one for a missing one.

What bfill does: status --gaps counts the intervals of the schedule that have no dag_run. A backfill over the whole
range creates exactly these: what was loaded is skipped, what has failed is left to rerun-failed.

What to look at: the gap that status names, and the one command that fills it; how often each day was loaded.

When not to do it: where a snapshot is loaded, the past cannot be had any more: know the hole, and leave it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG("scenario_17_02_03", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=False) as dag:

    @task
    def load(ds: str) -> None:
        """The orders of the day; each load is a line of its own, so that doing it twice shows."""
        marks.fail_if(__file__, f"source on {ds}")
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS loads (day, cents)")
            db.execute("INSERT INTO loads VALUES (?, ?)", [ds, sum(one.cents for one in warehouse.orders(ds))])

    load()

RANGE = "--dag 17.2.3 --start 2024-01-01 --end 2024-01-14"
DAYS = [f"2024-01-{day:02}" for day in range(1, 15)]
HOLE = DAYS[4:11]
DOWN = DAYS[2]
TYPES = "SELECT run_type, substr(logical_date, 1, 10) FROM v_dag_runs ORDER BY logical_date"


def loads(demo: Demo) -> dict[str, int]:
    """Return how often each day was loaded."""
    return dict(Counter(day for (day,) in demo.rows("SELECT day FROM loads ORDER BY day")))


@scenario
def main(demo: Demo) -> None:
    """Play it: four days, a week of nothing, three more; then what is missing, and the fill."""
    demo.step(
        "Two weeks, one of them lost",
        f"The schedule runs until January 5th; {DOWN} fails, its source is down. Then the machine is off, from the 5th "
        "to the 12th, and on again from the 13th.",
    )
    marks.put(__file__, f"source on {DOWN}")
    demo.bfill("scheduler --once --dag 17.2.3 --now 2024-01-02T00:05Z --until 2024-01-05T00:05Z", expect=1)
    marks.take_away(__file__, f"source on {DOWN}")
    demo.bfill("scheduler --once --dag 17.2.3 --now 2024-01-13T00:05Z --until 2024-01-15T00:05Z")
    there = [day for _, day in demo.stored(TYPES)]
    demo.check_equal("the schedule went on at the newest date", there, [one for one in DAYS if one not in HOLE])

    demo.step("What is missing", "One question, answered from the schedule and the store; it changes nothing.")
    before = demo.snapshot()
    demo.bfill(f"status {RANGE} --gaps")
    found = demo.ask(f"status {RANGE} --gaps")["gaps"]
    demo.check_equal("asking has touched nothing", demo.snapshot() == before, True)
    spans = [(one["start"][:10], one["end"][:10], one["count"]) for one in found]
    demo.check_equal("one gap of seven days", spans, [(HOLE[0], HOLE[-1], len(HOLE))])
    counts = demo.ask(f"status {RANGE}")["counts"]
    demo.check_equal("a failed day is none of it", counts, {"success": 6, "failed": 1, "missing": 7})

    demo.step(
        "Fill it",
        "Over the whole fortnight, on purpose. It exits 1, because a day it was asked for is not good: the failed one.",
    )
    plan = demo.ask(f"plan {RANGE} --dry-run")
    planned = [one["logical_date"][:10] for one in plan["runs"] if one["action"] == "create"]
    demo.check_equal("the plan takes the hole and not a day more", planned, HOLE)
    demo.bfill(f"run {RANGE} --parallel 3", expect=1)
    made = [day for kind, day in demo.stored(TYPES) if kind == "backfill"]
    demo.check_equal("these are the dates it created", made, HOLE)
    times = loads(demo)
    demo.table(["day", "loaded"], times.items())
    expected = {day: 1 for day in DAYS if day != DOWN}
    demo.check(
        "every day was loaded once, and none twice",
        times == expected,
        f"{len(times)} days, {sum(times.values())} loads",
    )
    demo.check_equal("no gap is left", demo.ask(f"status {RANGE} --gaps")["gaps"], [])

    demo.step("The failed day", "It was tried and is no gap: it has a command of its own.")
    tries = [one.outcome for one in demo.attempts() if one.day == DOWN]
    demo.check_equal("the fill has left it alone", tries, ["failed"])
    demo.bfill(f"rerun-failed {RANGE}")
    demo.check_equal("repaired, the fortnight is complete", loads(demo), dict.fromkeys(DAYS, 1))

    demo.step("And the schedule?", "It never comes back to what it has passed, nor does a backfill shift it.")
    following = demo.ask("scheduler --once --dag 17.2.3 --now 2024-01-15T12:00Z")["dags"][0]
    demo.check("the next pass finds nothing due", not following["runs"], following["why"])
    again = demo.ask(f"plan {RANGE} --dry-run")["counts"]
    demo.check_equal("and a second fill would create nothing", again["create"], 0)

    demo.step(
        "Best practice",
        "After an outage ask status --gaps over more than you think was lost, then run that range: what is there is "
        "skipped. Gaps and failures are two things, with a command each.",
    )


if __name__ == "__main__":
    play(main)
