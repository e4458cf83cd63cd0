"""A backfill beside the schedule: no date twice, the newest on time

Question: I fill three weeks of holes by hand while the schedule goes on. Can both take the same date? And has today's
run to wait until my backfill is through?

What goes wrong: Two loops that look for what is missing, a moment apart, both find it, and the day is there twice. And
a backfill that has taken all connections of the source lets the newest day, the one people wait for, queue behind
weeks that nobody asks for.

What bfill does: A date that a living backfill has still to do is not due; a date with a dag_run is never made again.
Both are asked in the transaction that creates. Where slots are scarce, scheduled runs come before backfills.

What to look at: how often each day was loaded; where the newest one ran among the dates of the backfill.

When not to do it: where the source bears no company at all, pause the DAG until the backfill is through.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import most_at_once
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG("scenario_17_02_06", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=False) as dag:

    @task
    def load(ds: str) -> None:
        """Ask a source that bears two at once: the story gives its pool that size. A load is a line."""
        marks.wait_while(__file__, f"source works on {ds}")
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS loads (day, cents)")
            db.execute("INSERT INTO loads VALUES (?, ?)", [ds, sum(one.cents for one in warehouse.orders(ds))])

    load()

DAG_ID = "--dag 17.2.6"
DAYS = [f"2024-01-{day:02}" for day in range(1, 21)]
NEWEST = "2024-01-21"
BUSY = "SELECT count(*) FROM task_instances WHERE state = 'running'"
WAITING = "SELECT count(*) FROM pool_leases WHERE waiting > 0"
TYPES = "SELECT run_type, count(*) FROM v_dag_runs GROUP BY run_type ORDER BY run_type"


@scenario
def main(demo: Demo) -> None:
    """Play it: the same date, then the newest one, then a range that meets the schedule's."""
    demo.bfill("pools set default_pool 2")
    works = {day: f"source works on {day}" for day in DAYS}
    marks.put(__file__, *works.values())

    demo.step("A backfill is at work", "Twenty days, six of them open; the source is slow and bears two at once.")
    fill = demo.start(f"run {DAG_ID} --start {DAYS[0]} --end {DAYS[-1]} --parallel 6")
    wait_until(lambda: demo.stored(BUSY) == [(2,)], "it has both slots")

    demo.step(
        "The same date", "It is January 21st, midday. The 20th is the latest complete day: due, and in the range."
    )
    same = demo.ask(f"scheduler --once {DAG_ID} --now 2024-01-21T12:00Z")["dags"][0]
    demo.check("the pass leaves it to the backfill, which has not come to it yet", not same["runs"], same["why"])
    demo.check_equal("and has created nothing", dict(demo.stored(TYPES)).get("scheduled", 0), 0)

    demo.step("The newest date", "A day later the 21st is due, and no backfill has it. Both slots are taken.")
    live = demo.start(f"scheduler --once {DAG_ID} --now 2024-01-22T12:00Z")
    wait_until(lambda: demo.stored(WAITING) == [(2,)], "both processes wait for a slot")
    sleep(1)  # processes look twice a second whether somebody wants what they have
    for day in DAYS:  # the source gets through one day after another, as long as the newest has not been let in
        if demo.state_of("load", NEWEST) == "success":
            break
        marks.take_away(__file__, works[day])
        sleep(0.3)  # time for the slot to change hands
    marks.take_away(__file__, *works.values())
    demo.wait(live)
    demo.wait(fill)
    made = sorted(demo.attempts(), key=lambda one: one.span.start)
    demo.timeline({one.day[5:]: one.span for one in made})
    before = [one.day for one in made].index(NEWEST)
    demo.check(
        "the newest day overtook the backfill's", before < len(DAYS) // 2, f"{before} of {len(DAYS)} were before it"
    )
    most = most_at_once(one.span for one in made)
    demo.check("never more than two at the source, of both", most <= 2, most)
    times = Counter(day for (day,) in demo.rows("SELECT day FROM loads"))
    once = times == dict.fromkeys([*DAYS, NEWEST], 1)
    demo.check("each of the 21 days was loaded once", once, f"{len(times)} days, {sum(times.values())} loads")

    demo.step("The other way round", "A range that takes in what the schedule has loaded, and a pass behind it.")
    demo.bfill(f"run {DAG_ID} --start {DAYS[-2]} --end {NEWEST}")
    again = demo.ask(f"scheduler --once {DAG_ID} --now 2024-01-22T18:00Z")["dags"][0]
    demo.check("neither does anything", not again["runs"], again["why"])
    demo.check_equal("each was created once, by whom it was", demo.stored(TYPES), [("backfill", 20), ("scheduled", 1)])
    demo.check_equal("and tried once", len(demo.attempts()), 21)

    demo.step(
        "Best practice",
        "Let the schedule run while you fill holes. Give the source a pool of the size it bears: that is what lets the "
        "newest day go first, and it holds for every process on the store.",
    )


if __name__ == "__main__":
    play(main)
