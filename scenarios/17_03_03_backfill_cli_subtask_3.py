"""rerun-failed: fix the bug, and run again what failed, nothing else

Question: Ten days were loaded, three of them failed on a bug of mine. How do I repair those three, and only those?

What goes wrong: Running all ten again costs the source system ten downloads for three, and everything that worked is at
risk once more. Picking the dates out of a log by hand forgets one. And a task that did its work before the failure, a
mail or a copy to an archive, does it twice.

What bfill does: `rerun-failed` takes the failed dates of the latest backfill that has any, and of each date the failed
tasks and those behind them. What succeeded is left alone, with its attempt as the record. The new backfill names the
old one as its parent; the old one keeps its result.

What to look at: the try numbers a task before and after the fix; which backfill each attempt belongs to.

When not to do it: when the fix also changes what successful tasks would have written. Those dates are stale, not
failed: see `bfill run --reprocess stale`, or --whole-run for all tasks of the failed dates.
"""

import csv
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-04-{number:02}" for number in range(1, 11)]
BIG = {"2024-04-03": 123_450, "2024-04-06": 700_000, "2024-04-09": 2_500_099}
"""Days with an order of more than 1,000: the supplier writes such amounts with a comma."""

RANGE = "--dag scenario_17_03_03 --start 2024-04-01 --end 2024-04-10"
RETRY = {"retries": 1, "retry_delay": timedelta(milliseconds=50)}

with DAG("scenario_17_03_03", schedule="@daily", start_date=datetime(2024, 4, 1), default_args=RETRY) as dag:

    @task
    def fetch(ds: str) -> str:
        """Download the supplier's file of the day; amounts as people write them: `1,234.50`."""
        file = warehouse.home(__file__) / f"{ds}.csv"
        orders = [(one.order_id, f"{one.cents / 100:,.2f}") for one in warehouse.orders(ds)]
        big = [(f"{ds}-big", f"{BIG[ds] / 100:,.2f}")] if ds in BIG else []
        with file.open("w", newline="") as out:
            csv.writer(out).writerows(orders + big)
        return str(file)

    @task
    def archive(path: str) -> None:
        """Note the file in the archive's ledger: a second entry would be a mistake."""
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS ledger (path)")
            db.execute("INSERT INTO ledger VALUES (?)", [path])

    @task
    def parse(path: str) -> int:
        """Add up the amounts, in cents."""
        with Path(path).open(newline="") as file:
            amounts = [float(amount) for _, amount in csv.reader(file)]
        return sum(round(amount * 100) for amount in amounts)

    @task
    def load(ds: str, cents: int) -> None:
        """Write the day's revenue, over what was there."""
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS revenue (day PRIMARY KEY, cents)")
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?)", [ds, cents])

    fetched = fetch()
    archive(fetched)
    load(cents=parse(fetched))


def tries(made: list[Attempt]) -> list[list[object]]:
    """One row a task: how many attempts it had on the good dates and on the bad ones, and the highest try number."""
    rows: list[list[object]] = []
    for task_id in ("fetch", "archive", "parse", "load"):
        mine = [one for one in made if one.task_id == task_id]
        bad = [one for one in mine if one.day in BIG]
        highest = max((one.try_number for one in bad), default=0)
        rows.append([task_id, len(mine) - len(bad), len(bad), highest])
    return rows


HEADINGS = ["attempts of", "7 good dates", "3 bad dates", "last try, bad dates"]


@scenario
def main(demo: Demo) -> None:
    """Play it: the failure, the fix in the DAG file, the repair, and what was left alone."""
    file = demo.copy_of_dag()
    demo.step(
        "Ten days, three fail", f"The DAG lies in {file}, where its author can edit it. It retries each task once."
    )
    demo.bfill(f"run {RANGE} --parallel 4", expect=1)
    first = demo.attempts()
    demo.table(HEADINGS, tries(first))
    failed = sorted({one.day for one in first if one.outcome == "failed"})
    demo.check_equal("three dates failed, each with an amount over 1,000", failed, sorted(BIG))
    demo.check_equal("the other seven are loaded", demo.rows("SELECT count(*) FROM revenue"), [(7,)])

    demo.step("The same run again", "run leaves failures alone: it says so with exit 1, and tries nothing.")
    demo.bfill(f"run {RANGE} --parallel 4", expect=1)
    demo.check_equal("no attempt was made", len(demo.attempts()), len(first))

    demo.step("Fix the bug", "The log of one date shows the cause; the fix is one line in the DAG file.")
    demo.bfill("logs --dag scenario_17_03_03 2024-04-03 parse --try 2")
    demo.edit(file, "float(amount)", 'float(amount.replace(",", ""))')

    demo.step("Repair", "Without arguments rerun-failed takes the latest backfill that has failures.")
    demo.bfill("rerun-failed")
    everything = demo.attempts()
    repair = [one for one in everything if one not in first]
    demo.table(HEADINGS, tries(everything))
    again = Counter(f"{one.day} {one.task_id}" for one in repair)
    only = {f"{day} {task_id}": 1 for day in BIG for task_id in ("parse", "load")}
    demo.check_equal("only parse and load of the three dates ran", dict(again), only)
    demo.check(
        "every attempt from before is still there", all(one in everything for one in first), f"{len(first)} attempts"
    )
    numbers = {
        task_id: [one.try_number for one in everything if one.task_id == task_id and one.day == "2024-04-03"]
        for task_id in ("fetch", "archive", "parse", "load")
    }
    demo.check_equal(
        "the try numbers of 2024-04-03 say the same",
        {name: "-".join(map(str, found)) for name, found in numbers.items()},
        {"fetch": "1", "archive": "1", "parse": "1-2-3", "load": "1"},
    )
    ledger = demo.rows("SELECT count(*), count(DISTINCT path) FROM ledger")
    demo.check_equal("the archive has one entry a date, none twice", ledger, [(10, 10)])

    demo.step("Is it right now?")
    demo.bfill(f"status {RANGE}")
    right = [(day, sum(one.cents for one in warehouse.orders(day)) + BIG.get(day, 0)) for day in DAYS]
    loaded = demo.rows("SELECT day, cents FROM revenue ORDER BY day")
    demo.check("ten days of revenue, to the cent", loaded == right, f"{sum(cents for _, cents in loaded) / 100:,.2f}")
    backfills = demo.stored("SELECT backfill_id, parent_id, state FROM backfills ORDER BY backfill")
    original, repaired = backfills[0], backfills[-1]
    demo.check_equal("the repair names the backfill it repairs as its parent", repaired[1], original[0])
    demo.check_equal("which keeps its result", (original[2], repaired[2]), ("failed", "success"))
    demo.check_equal("the range is done: exit 0", demo.bfill(f"run {RANGE}").code, 0)

    demo.step(
        "Nothing failed any more", "rerun-failed with nothing to repair is no mistake: a script may always call it."
    )
    made = len(demo.attempts())
    demo.bfill("rerun-failed")
    demo.check_equal("nothing has run", len(demo.attempts()), made)

    demo.step(
        "Best practice",
        "Fix first, then rerun-failed: it needs no dates, so none is forgotten. What it runs gets the new version of "
        "the DAG; what had succeeded under the old one shows as stale in status, and whether that matters is yours to "
        "say: here the fix changes nothing for amounts without a comma.",
    )


if __name__ == "__main__":
    play(main)
