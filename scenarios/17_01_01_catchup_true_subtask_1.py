"""catchup=True: switched on ten days late, every day gets its run

Question: A daily DAG should have begun on January 1st and is switched on on the 11th. Which days will it run, in which
order, and what about today?

What goes wrong: A timer that only knows "now" loads the latest day and leaves nine holes. A loop written by hand starts
with the day that is still open, whose data is half there, and runs it again tomorrow.

What bfill does: With catchup=True the next run begins where the last one ended, the first at the first tick at or after
start_date: one run for each missed interval, oldest first, until now. An interval that is still open is not created. A
start_date in the future wins over everything.

What to look at: the days that were created and the order of their attempts; the second pass; what --now says of a
moment before the DAG begins.

When not to do it: where only the latest state counts (a snapshot, a cache), catchup=False spares the past: 17.2.1.
"""

from datetime import datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG(
    "scenario_17_01_01", schedule="@daily", start_date=datetime(2024, 1, 1, 12), catchup=True, max_active_runs=1
) as dag:

    @task
    def load(ds: str) -> None:
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS days (day PRIMARY KEY)")
            db.execute("INSERT INTO days VALUES (?)", (ds,))

    load()

CREATED = "SELECT substr(logical_date, 1, 10), run_type FROM v_dag_runs ORDER BY logical_date"
ORDER = "SELECT substr(logical_date, 1, 10) FROM v_attempts ORDER BY started_at"
JANUARY = [f"2024-01-{day:02}" for day in range(2, 11)]


@scenario
def main(demo: Demo) -> None:
    """Play it: too early, ten days late, and once more."""
    demo.step(
        "Before it begins", "The first interval is that of January 2nd: at midday of the 1st its midnight is gone."
    )
    early = demo.ask("scheduler --once --dag 17.1.1 --now 2023-12-24T00:00Z")["dags"][0]
    demo.check("a start_date that is still to come creates nothing, and says so", not early["runs"], early["why"])
    demo.check_equal("it names when the first one is due", early["next_due_at"], "2024-01-03T00:00:00+00:00")

    demo.step("Switched on late", "It is midday of January 11th. Nine intervals are over, the tenth is still open.")
    demo.bfill("scheduler --once --dag 17.1.1 --now 2024-01-11T12:00Z")
    created = demo.stored(CREATED)
    demo.table(["day", "created as"], created)
    demo.check_equal("one run for each interval that is over", [day for day, _ in created], JANUARY)
    demo.check_equal("each of the type scheduled", {kind for _, kind in created}, {"scheduled"})
    demo.check_equal("oldest first, one after the other", [day for (day,) in demo.stored(ORDER)], JANUARY)
    demo.check_equal("the warehouse has these days", [day for (day,) in demo.rows("SELECT day FROM days")], JANUARY)

    demo.step("Once more, and a day later", "Nothing is owed twice; the open interval is owed when it is over.")
    again = demo.ask("scheduler --once --dag 17.1.1 --now 2024-01-11T18:00Z")["dags"][0]
    demo.check("a second pass at the same day creates nothing", not again["runs"], again["why"])
    demo.bfill("scheduler --once --dag 17.1.1 --now 2024-01-12T00:00Z")
    demo.check_equal("at midnight the day that ended is due", demo.stored(CREATED)[-1][0], "2024-01-11")

    days = demo.stored("SELECT count(*), count(DISTINCT logical_date) FROM v_dag_runs")
    demo.check_equal("ten runs of ten days, after four passes", days, [(10, 10)])
    demo.step(
        "Best practice",
        "Give start_date as the first moment you have data for, and catchup=True where each interval has to be there. "
        "How many days run at once is max_active_runs: 17.1.3.",
    )


if __name__ == "__main__":
    play(main)
