"""catchup=False: a year late, and only the latest interval runs

Question: A DAG with a start_date of a year ago is switched on today. How many runs will it make, and for which
interval?

What goes wrong: With catchup=True it would be a flood of 365 runs nobody asked for. Whoever computes "yesterday" by
hand is off by one at midnight: is the day that ends at this very instant over or not?

What bfill does: catchup=False, the default, owes the latest complete interval alone, never one before start_date. An
interval is complete at its end: at exactly midnight the day that has just ended is the one.

What to look at: the only date that was created; what each moment around the boundary owes; that no moment owes two.

When not to do it: where every interval has to be there (a ledger, an invoice a day), say catchup=True: 17.1.1.
"""

from datetime import datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG("scenario_17_02_01", schedule="@daily", start_date=datetime(2023, 1, 1), catchup=False) as dag:

    @task
    def load(ds: str) -> None:
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS days (day PRIMARY KEY)")
            db.execute("INSERT INTO days VALUES (?)", (ds,))

    load()

CREATED = "SELECT substr(logical_date, 1, 10) FROM v_dag_runs ORDER BY logical_date"
MOMENTS = {
    "2024-01-10T12:00:00Z": ["2024-01-09"],
    "2024-01-10T23:59:59Z": [],
    "2024-01-11T00:00:00Z": ["2024-01-10"],
    "2024-01-11T00:00:01Z": [],
}
"""The moment a scheduler looks, in order, and what it then creates."""


@scenario
def main(demo: Demo) -> None:
    """Play it: a year late, just before the boundary, exactly at it, and behind it."""
    demo.step("A year late", "It is midday of January 10th 2024. 374 intervals are over since start_date.")
    demo.bfill("scheduler --once --dag 17.2.1 --now 2024-01-10T12:00:00Z")
    demo.check_equal("one date was created, the latest complete one", demo.stored(CREATED), [("2024-01-09",)])

    demo.step("Around the boundary", "A second before midnight, at midnight, and a second behind it.")
    found = {"2024-01-10T12:00:00Z": ["2024-01-09"]}
    known = {"2024-01-09"}
    for moment in list(MOMENTS)[1:]:
        demo.ask(f"scheduler --once --dag 17.2.1 --now {moment}")
        now = {day for (day,) in demo.stored(CREATED)}
        found[moment] = sorted(now - known)
        known = now
    demo.table(["now", "creates"], [(moment, ", ".join(days) or "nothing") for moment, days in found.items()])
    demo.check_equal("an interval is due at its end, and once", found, MOMENTS)

    demo.step("What was left out", "Nothing is lost: status names the gap, and a backfill fills as much as you want.")
    shown = demo.bfill("status --dag 17.2.1 --start 2024-01-01 --end 2024-01-10 --gaps").out
    demo.check("status names the eight days of January that have no run", "8 dates" in shown, shown.strip())

    days = demo.stored("SELECT DISTINCT run_type, state FROM v_dag_runs")
    demo.check_equal("what it did create is the scheduler's, and done", days, [("scheduled", "success")])
    demo.step(
        "Best practice",
        "Leave catchup at False where a run loads the state of now: a second run for an older interval would load the "
        "same again. The DAG may then have any start_date: only the latest complete interval counts. What lies before "
        "it is a decision of somebody, with a range that was thought about: plan it with `bfill plan`, then give the "
        "same range to `bfill run`.",
    )


if __name__ == "__main__":
    play(main)
