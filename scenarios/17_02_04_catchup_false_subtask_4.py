"""Turning catchup on late: ten months at once, or as much as you say

Question: A DAG of last year has catchup=False. From now on every interval shall be there, so I write catchup=True. What
does that one word set off?

What goes wrong: The schedule has been off since March. The next pass begins where the last run ended, and ten months
come at once. Or it has run yesterday: then no hole behind that run is ever filled, which is as much of a surprise.

What bfill does: Nothing happens at the edit; the next pass acts. plan --dry-run from the last run on counts what it
would create. start_date wins over everything: moved to where you want to begin, it is the bound; what is older comes in
backfills of the size you choose.

What to look at: the plan's number beside the number the pass then created, on a copy of the store; the same with the
bound; what a single pass before the edit changes.

When not to do it: where only the newest state is used, leave catchup=False and load the past once: 17.2.3.
"""

from __future__ import annotations

import shutil
from datetime import datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_date, most_at_once, rows

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

with DAG("scenario_17_02_04", schedule="@daily", start_date=datetime(2023, 1, 1), catchup=False) as dag:

    @task
    def load(ds: str) -> None:
        """The orders of the day; what counts here is how many days there are."""
        print(ds, sum(one.cents for one in warehouse.orders(ds)))

    load()

DAG_ID = "--dag scenario_17_02_04"
NOW = "--now 2024-01-01T06:00Z"
CREATED = "SELECT substr(logical_date, 1, 10) FROM v_dag_runs ORDER BY logical_date"


def passed(demo: Demo, store: str) -> list[str]:
    """Let a pass work on a copy of the store, and return the days it created there."""
    shutil.copy(demo.store, store)
    demo.bfill(f"scheduler --once {DAG_ID} {NOW} --store {store}")
    return new(demo, store, [day for (day,) in demo.stored(CREATED)])


def new(demo: Demo, store: str, before: list[str]) -> list[str]:
    """Return the days of a store that were not there before."""
    return [day for (day,) in rows(demo.folder / store, CREATED) if day not in set(before)]


@scenario
def main(demo: Demo) -> None:
    """Play it: the year, the plan, the flood on a copy, the bound, and the order that hides the holes."""
    file = demo.copy_of_dag()
    demo.step(
        "The year so far",
        "The DAG runs through January and February 2023. Then its timer is switched off, and forgotten. It is now "
        "New Year's Day 2024.",
    )
    demo.bfill(f"scheduler --once {DAG_ID} --now 2023-01-02 --until 2023-03-01")
    ran = [day for (day,) in demo.stored(CREATED)]
    demo.check_equal("it has 59 days", (len(ran), ran[-1]), (59, "2023-02-28"))

    demo.step("One word", "The edit alone does nothing. What would the next pass do? Ask for the rest of the year.")
    demo.edit(file, ", catchup=False)", ", catchup=True)")
    plan = demo.bfill(f"plan {DAG_ID} --start 2023-03-01 --end 2023-12-31 --dry-run")
    demo.check("it counts ten months", "306 to run" in plan.out, plan.out.split("\n")[2].strip())
    demo.check_equal("and nothing has run", len(demo.stored(CREATED)), len(ran))

    demo.step("The flood", "On a copy of the store, to see whether the plan is right.")
    flood = passed(demo, "flood.db")
    demo.check("the pass creates as many as were planned", f" {len(flood)} to run" in plan.out, len(flood))
    demo.check_equal("from where the last run ended", (flood[0], flood[-1]), ("2023-03-01", "2023-12-31"))

    demo.step("The bounded way", "A week of it is wanted at once: start_date says from where on, and wins.")
    demo.edit(file, "datetime(2023, 1, 1)", "datetime(2023, 12, 25)")
    demo.bfill(f"scheduler --once {DAG_ID} {NOW}")
    week = [day for (day,) in demo.stored(CREATED) if day not in ran]
    demo.check_equal("seven days, and not one before", week, [f"2023-12-{day}" for day in range(25, 32)])

    demo.step("What is older", "By hand, in bites: the DAG's new bound has to be passed over in so many words.")
    older = f"{DAG_ID} --start 2023-03-01 --end 2023-12-24"
    bound = demo.ask(f"plan {older} --dry-run")
    demo.check_equal("without that a plan takes none, and says so", bound["total"], 0)
    demo.say(bound["warnings"][0]["message"])
    demo.bfill(f"run {older} --ignore-dag-bounds --limit 20 --parallel 2")
    bite = [day for (day,) in demo.stored(CREATED) if day not in {*ran, *week}]
    demo.check_equal("twenty days, the oldest first", (len(bite), bite[0], bite[-1]), (20, "2023-03-01", "2023-03-20"))
    spans = by_date(one for one in demo.attempts() if one.day in bite)
    demo.check("never more than two at once", most_at_once(spans) <= 2, most_at_once(spans))

    demo.step(
        "Does it come back for the rest?",
        "start_date goes back to what it was. But the last run is now that of December 31st; and it would be had one "
        "pass with catchup=False come before the edit.",
    )
    demo.edit(file, "datetime(2023, 12, 25)", "datetime(2023, 1, 1)")
    missing = demo.ask(f"status {DAG_ID} --start 2023-03-01 --end 2023-12-31 --gaps")["gaps"]
    late = passed(demo, "late.db")
    demo.check_equal("behind the last run there is nothing: catchup fills no hole before it", late, [])
    days = sum(one["count"] for one in missing)
    demo.check_equal("the days that only a backfill will bring", days, len(flood) - len(week) - len(bite))

    demo.step(
        "Best practice",
        "Before catchup=True, plan from the end of the last run to now. Is that more than you want, move start_date "
        "in the same edit, and fetch the rest with run --limit or --chunk, when the source can bear it.",
    )


if __name__ == "__main__":
    play(main)
