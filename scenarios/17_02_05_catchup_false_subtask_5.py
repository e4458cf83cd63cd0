"""depends_on_past over a gap: previous is the last run there is

Question: catchup=False leaves holes, and the task depends on the day before. The day before was never run: will today
wait for it for ever?

What goes wrong: If "previous" were yesterday, the first day after an outage would wait for a date that nobody will
ever create. If nothing were previous across a hole, a day would be built on one that has failed.

What bfill does: The previous run is the latest one there is before this date, however far back. A hole is passed over,
and explain counts it. What has failed holds the next run across the hole, until it is repaired; the next pass of the
scheduler then goes on with the date that was held.

What to look at: which date each run found before it; the stock of parts behind the hole; that no second run is made.

When not to do it: passed over is not made up for. Where every day counts, catchup=True leaves no hole: 17.1.1.
"""

from __future__ import annotations

from datetime import datetime

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG("scenario_17_02_05", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=False) as dag:

    @task(depends_on_past=True)
    def count(ds: str) -> None:
        """Number the day behind the last one there is, and write down which that was."""
        marks.fail_if(__file__, f"shelf on {ds}")
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS counted (day PRIMARY KEY, number, behind)")
            last = db.execute("SELECT day, number FROM counted WHERE day < ? ORDER BY day DESC", [ds]).fetchone()
            behind, number = last or (None, 0)
            db.execute("INSERT INTO counted VALUES (?, ?, ?)", [ds, number + 1, behind])

    count()

DAG_ID = "--dag 17.2.5"
STATES = "SELECT substr(logical_date, 9, 2), state FROM v_dag_runs ORDER BY logical_date"


def passes(demo: Demo, now: str, expect: int = 0) -> None:
    """Let the scheduler look at a moment of January, with the machine off before it."""
    demo.bfill(f"scheduler --once {DAG_ID} --now 2024-01-{now}T00:05Z", expect=expect)


@scenario
def main(demo: Demo) -> None:
    """Play it: over a hole that is empty, over one behind a failure, and the repair."""
    demo.step("An outage", "The schedule runs on the first three days. Then the machine is off for a week.")
    demo.bfill(f"scheduler --once {DAG_ID} --now 2024-01-02T00:05Z --until 2024-01-04T00:05Z")
    previous = demo.ask(f"explain {DAG_ID} 2024-01-10")["previous"]
    looked = (previous["logical_date"][:10], previous["missing_between"])
    demo.check_equal("asked beforehand, explain names the previous run and the hole", looked, ("2024-01-03", 6))
    passes(demo, "11")
    counted = demo.rows("SELECT day, number, behind FROM counted ORDER BY day")
    demo.table(["day", "number", "counted behind"], counted)
    demo.check_equal("the day behind the hole ran, at once", counted[-1], ("2024-01-10", 4, "2024-01-03"))
    demo.check_equal(
        "and nothing was made in the hole", [day for day, _ in demo.stored(STATES)], ["01", "02", "03", "10"]
    )

    demo.step(
        "A failure, and a hole behind it", "The 11th fails. The machine is off again, and comes back on the 15th."
    )
    marks.put(__file__, "shelf on 2024-01-11")
    passes(demo, "12", expect=1)
    passes(demo, "15", expect=1)
    states = dict(demo.stored(STATES))
    tried = [one.day for one in demo.attempts() if one.day >= "2024-01-14"]
    demo.check("the hole does not hide the failure: the 14th was not tried", not tried, f"the 14th is {states['14']}")
    shown = demo.bfill(f"explain {DAG_ID} 2024-01-14 --task count").out
    because = next((line.strip() for line in shown.splitlines() if "because" in line), "nothing")
    demo.check("explain says where that began, three days back", "count on 2024-01-11 is failed" in because, because)

    demo.step("No deadlock", "The shelf is mended, the one failed date is repaired; then the next pass looks.")
    marks.take_away(__file__, "shelf on 2024-01-11")
    demo.bfill(f"rerun-failed {DAG_ID} --dates 2024-01-11")
    passes(demo, "15")
    states = dict(demo.stored(STATES))
    demo.check_equal("the date that was held is done", (states["11"], states["14"]), ("success", "success"))
    demo.check_equal("all that was created is, and no hole was", sorted(states), ["01", "02", "03", "10", "11", "14"])
    ran = by_task(demo.attempts())
    apart = ran["2024-01-14", "count"].start - ran["2024-01-11", "count"].end
    demo.check("it ran behind the repair", apart >= 0, f"{apart * 1000:,.0f} ms after it")

    demo.step("Who fills the hole moves what is previous", "The 13th comes afterwards, by hand.")
    demo.bfill(f"run {DAG_ID} --dates 2024-01-13")
    now = demo.ask(f"explain {DAG_ID} 2024-01-14")["previous"]["logical_date"][:10]
    (was,) = demo.rows("SELECT behind FROM counted WHERE day = '2024-01-14'")[0]
    demo.check_equal("previous of the 14th, then and now", (was, now), ("2024-01-11", "2024-01-13"))

    demo.step(
        "Best practice",
        "A task that depends on the past should read what the last run has left, not what yesterday should have. Fill "
        "a hole before the schedule goes on, or do again what was built over it: run --reprocess success.",
    )


if __name__ == "__main__":
    play(main)
