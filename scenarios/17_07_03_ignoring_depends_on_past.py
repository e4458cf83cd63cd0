"""Ignoring the past: a chain that is green from end to end, and wrong

Question: A chain of days stands still, or a day of it has to be corrected. Is it all right to run just the days I
need, with --ignore-first-depends-on-past where bfill complains?

What goes wrong: The flag makes the day run without what it adds to: it succeeds and is wrong, and so is all behind
it. A corrected day does not reach the days behind it. A cleared day that nobody runs holds all others for ever. And
the flag on every task, to be safe, costs all of the parallelism.

What bfill does: plan says which dates would be blocked, by what, and with which command they go on, before anything
runs. A run never hangs in a deadlock: it ends, exit 1, with the reason for each date. explain finds the cleared day.

What to look at: the sum that is missing after each mistake, to the cent; the same input done the safe way; how many
tasks ran at once with the past in every task, and with it in none.

When not to do it: ignore the past only where its result has come in another way, and say why with --reason.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import accumulate
from time import sleep

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task, most_at_once

from backfill_cli import DAG, task

TAGS = ["anti-pattern", "control", "intermediate", "warning"]

DAG_ID = "--dag 17.7.3"
DAYS = [f"2024-05-0{number}" for number in range(1, 7)]
RANGE = f"{DAG_ID} --start {DAYS[0]} --end {DAYS[-1]}"
CORRECTION = 1_000_000

with DAG("scenario_17_07_03", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task(depends_on_past=True)
    def carry_on(ds: str) -> None:
        """The balance of yesterday plus what the day was worth."""
        yesterday = (date.fromisoformat(ds) - timedelta(days=1)).isoformat()
        with warehouse.connect(__file__) as db:
            before = db.execute("SELECT cents FROM balance WHERE day = ?", [yesterday]).fetchone()
            (own,) = db.execute("SELECT cents FROM takings WHERE day = ?", [ds]).fetchone()
            db.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", [ds, own + (before[0] if before else 0)])
        sleep(0.2)  # a report of it

    carry_on()

SAFE = """\
from datetime import datetime
from time import sleep

from _shared import warehouse
from backfill_cli import DAG, task

with DAG("own_input", schedule="@daily", start_date=datetime(2024, 5, 1)):

    @task
    def total(ds: str) -> None:
        with warehouse.connect("17_07_03") as db:
            (sum_up,) = db.execute("SELECT sum(cents) FROM takings WHERE day <= ?", [ds]).fetchone()
            db.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", [ds, sum_up])
        sleep(0.2)

    total()
"""


def missing(demo: Demo) -> list[int]:
    """Show each day's balance beside the takings so far, and return what is missing, day by day, in cents."""
    takings = dict(demo.rows("SELECT day, cents FROM takings ORDER BY day"))
    balance = dict(demo.rows("SELECT day, cents FROM balance"))
    right = dict(zip(takings, accumulate(takings.values()), strict=True))
    lacks = [right[day] - balance.get(day, 0) for day in DAYS]
    rows = [
        (day, f"{balance.get(day, 0) / 100:,.2f}", f"{right[day] / 100:,.2f}", f"{lack / 100:,.2f}" if lack else "")
        for day, lack in zip(DAYS, lacks, strict=True)
    ]
    demo.table(["day", "balance", "takings so far", "missing"], rows)
    return lacks


def all_green(demo: Demo) -> bool:
    """Whether the store has a success for every day."""
    return demo.stored("SELECT state, count(*) FROM v_dag_runs GROUP BY state") == [("success", len(DAYS))]


def open_the_books() -> None:
    """The takings of six days, and an empty table of balances."""
    takings = [(day, sum(one.cents for one in warehouse.orders(day))) for day in DAYS]
    with warehouse.connect(__file__) as db:
        db.execute("CREATE TABLE takings (day PRIMARY KEY, cents)")
        db.execute("CREATE TABLE balance (day PRIMARY KEY, cents)")
        db.executemany("INSERT INTO takings VALUES (?, ?)", takings)


@scenario
def main(demo: Demo) -> None:
    """Play it: a deadlock, the flag that breaks it, a correction that does not arrive; then the safe ways."""
    open_the_books()
    demo.call(f"run {RANGE} --parallel 6")

    demo.step(
        "A deadlock, made by clearing",
        "Six days are done and right. Somebody clears the last four, empties their rows, and runs the last three.",
    )
    demo.bfill(f"reset {DAG_ID} --start {DAYS[2]} --end {DAYS[-1]} --yes")
    with warehouse.connect(__file__) as db:
        db.execute("DELETE FROM balance WHERE day >= ?", [DAYS[2]])
    late = f"{DAG_ID} --start {DAYS[3]} --end {DAYS[-1]}"
    plan = " ".join(demo.bfill(f"plan {late} --dry-run").out.split())
    demo.check(
        "plan says it first, with the repair", "would be blocked" in plan and "run it first: bfill run" in plan, late
    )
    made = len(demo.attempts())
    demo.bfill(f"run {late} --parallel 3", expect=1)
    demo.check_equal("nothing ran, and the command has ended: no deadlock hangs", len(demo.attempts()) - made, 0)
    cause = demo.ask(f"explain {DAG_ID} {DAYS[-1]}")["tasks"][0]["cause"]
    found = (cause["logical_date"][:10], cause["state"], cause["dates"])
    demo.check_equal("explain finds the cleared day behind it", found, (DAYS[2], "scheduled", 3))

    demo.step("The mistake: ignore the past", "There is a flag for it, and everything turns green.")
    demo.bfill(f"run {late} --ignore-first-depends-on-past --parallel 3")
    demo.bfill(f"run {DAG_ID} --dates {DAYS[2]}")
    lacks = missing(demo)
    takings = [cents for (cents,) in demo.rows("SELECT cents FROM takings ORDER BY day")]
    demo.check("every date is a success", all_green(demo), "6 of 6")
    demo.check_equal("and three of them lack all that was before the 4th", lacks, [0, 0, 0, *[sum(takings[:3])] * 3])

    demo.step(
        "The safe way", "All that was cleared, in one range, oldest first. The past is then there when it is needed."
    )
    demo.bfill(f"run {DAG_ID} --start {DAYS[2]} --end {DAYS[-1]} --reset-dag-run --parallel 4")
    demo.check_equal("nothing is missing", missing(demo), [0] * 6)

    demo.step("The other mistake: correct one day", "The takings of the 2nd were too low. That day alone is run again.")
    with warehouse.connect(__file__) as db:
        db.execute("UPDATE takings SET cents = cents + ? WHERE day = ?", [CORRECTION, DAYS[1]])
    demo.bfill(f"run {DAG_ID} --dates {DAYS[1]} --reset-dag-run")
    lacks = missing(demo)
    demo.check("all is green again", all_green(demo), "6 of 6")
    demo.check_equal("and the correction has not reached the four days behind it", lacks, [0, 0, *[CORRECTION] * 4])
    demo.say("A chain is corrected from the day on, to its end:")
    demo.bfill(f"run {DAG_ID} --start {DAYS[1]} --reprocess success --end {DAYS[-1]} --parallel 5")
    demo.check_equal("nothing is missing", missing(demo), [0] * 6)

    demo.step(
        "What it costs, and how to do without",
        "With the past in it, one day at a time, whatever --parallel says. The same balances without a past: each day "
        "sums up its own input, and may run beside any other, be repaired alone, or first.",
    )
    chain = by_task(one for one in demo.attempts() if one.try_number == 1)
    demo.write("dags/own_input.py", SAFE)
    with warehouse.connect(__file__) as db:
        db.execute("DELETE FROM balance")
    demo.bfill(f"run --dag own_input --start {DAYS[0]} --end {DAYS[-1]} --parallel 6")
    free = by_task(demo.attempts("own_input"))
    demo.timeline({f"chain {day[5:]}": chain[day, "carry_on"] for day in DAYS})
    demo.timeline({f"own input {day[5:]}": free[day, "total"] for day in DAYS})
    at_once = most_at_once(chain.values()), most_at_once(free.values())
    demo.check("one at a time with the past, several without", at_once[0] == 1 and at_once[1] > 1, at_once)
    demo.check_equal("with the same balances", missing(demo), [0] * 6)

    demo.step(
        "Best practice",
        "Where a day can be computed from its own input, do without the past. Where it cannot: run and correct whole "
        "ranges to the end of the chain, read what plan says would be blocked, and leave the flag alone.",
    )


if __name__ == "__main__":
    play(main)
