"""A running balance: eight dates open, and still one after the other

Question: Each day of my table is the day before plus something. How do I backfill a week of it with --parallel 8,
without a day that begins before the one it adds to is there?

What goes wrong: Run in parallel, a day reads the balance of yesterday before yesterday has written it. It finds
nothing, begins at zero, succeeds, and all days behind it are wrong as well. Every date is green.

What bfill does: A task with depends_on_past=True waits until the same task in the previous dag_run is success or
skipped. Dates may be open together; this task of them runs in the order of the dates, however many are open.

What to look at: the slow first day, held by the story in both runs; which days ran meanwhile; the balances beside the
sums of the orders.

When not to do it: where a day can be computed from its own input. Sum up afterwards, in one query over all days: days
then run in parallel and can be repaired one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import accumulate, pairwise

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task, most_at_once
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-05-0{number}" for number in range(1, 9)]
RIGHT = list(accumulate(sum(one.cents for one in warehouse.orders(day)) for day in DAYS))
RANGE = f"--dag scenario_17_04_01 --start {DAYS[0]} --end {DAYS[-1]}"

with DAG("scenario_17_04_01", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task(depends_on_past=True)
    def balance(ds: str) -> None:
        """Yesterday's balance plus the orders of the day, which sometimes take their time."""
        yesterday = (date.fromisoformat(ds) - timedelta(days=1)).isoformat()
        with warehouse.connect(__file__) as db:
            before = db.execute("SELECT cents FROM balance WHERE day = ?", [yesterday]).fetchone()
        marks.wait_while(__file__, f"orders of {ds}")
        cents = (before[0] if before else 0) + sum(one.cents for one in warehouse.orders(ds))
        with warehouse.connect(__file__) as db:
            db.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", [ds, cents])

    balance()


def run_with_a_slow_first_day(demo: Demo, flags: str, until: Callable[[], bool]) -> list[str]:
    """Run the week anew while the orders of the first day are late, and return the days that ran meanwhile.

    The orders come as soon as `until` is true.
    """
    with warehouse.connect(__file__) as db:
        db.execute("DROP TABLE IF EXISTS balance")
        db.execute("CREATE TABLE balance (day PRIMARY KEY, cents)")
    marks.put(__file__, f"orders of {DAYS[0]}")
    going = demo.start(f"run {RANGE} --parallel 8 {flags}".rstrip())
    wait_until(until, "the orders may come")
    meanwhile = [day for (day,) in demo.rows("SELECT day FROM balance ORDER BY day")]
    marks.take_away(__file__, f"orders of {DAYS[0]}")
    demo.wait(going)
    return meanwhile


def compared(demo: Demo) -> list[int]:
    """Show each day's balance beside the right one, and return them."""
    there = demo.rows("SELECT day, cents FROM balance ORDER BY day")
    rows = [
        (day, f"{cents / 100:,.2f}", f"{right / 100:,.2f}", "" if cents == right else f"{(right - cents) / 100:,.2f}")
        for (day, cents), right in zip(there, RIGHT, strict=True)
    ]
    demo.table(["day", "balance", "sum of the orders", "lacks"], rows)
    return [cents for _, cents in there]


@scenario
def main(demo: Demo) -> None:
    """Play it: in order, then without the flag."""
    file = demo.copy_of_dag()
    demo.step(
        "Eight dates open, one task at a time",
        f"The DAG lies in {file}. The orders of the 1st are late: the story holds them until the 1st runs and the plan "
        "is open.",
    )
    meanwhile = run_with_a_slow_first_day(demo, "", lambda: demo.state_of("balance", DAYS[0]) == "running")
    spans = by_task(demo.attempts())
    demo.timeline({day: spans[day, "balance"] for day in DAYS})
    demo.check_equal("nothing was written while the 1st was late", meanwhile, [])
    demo.check_equal("never two at once, with --parallel 8", most_at_once(spans.values()), 1)
    order = [spans[later, "balance"].start - spans[day, "balance"].end for day, later in pairwise(DAYS)]
    demo.check(
        "each day began after the day before had ended", min(order) >= 0, f"{min(order) * 1000:,.1f} ms at least"
    )
    demo.check("every balance is the sum of all orders so far", compared(demo) == RIGHT, f"{RIGHT[-1] / 100:,.2f}")

    demo.step("Without the flag", "The same week, the same late orders. They come when the last day is done.")
    demo.edit(file, "    @task(depends_on_past=True)", "    @task")
    meanwhile = run_with_a_slow_first_day(
        demo, "--reset-dag-run", lambda: demo.rows("SELECT count(*) FROM balance") == [(len(DAYS) - 1,)]
    )
    demo.check("other days ran while the 1st was late", DAYS[-1] in meanwhile, meanwhile)
    wrong = compared(demo)
    bad = [day for day, cents, right in zip(DAYS, wrong, RIGHT, strict=True) if cents != right]
    demo.check_equal("every day behind the 1st is wrong", bad, DAYS[1:])
    states = demo.stored("SELECT state, count(*) FROM v_dag_runs GROUP BY state")
    demo.check_equal("and all of it is green: nobody is told", states, [("success", 8)])

    demo.step("Put it back")
    demo.edit(file, "    @task\n    def balance", "    @task(depends_on_past=True)\n    def balance")
    with warehouse.connect(__file__) as db:
        db.execute("DELETE FROM balance")
    demo.bfill(f"run {RANGE} --parallel 8 --reset-dag-run")
    demo.check(
        "the week is right again", [cents for _, cents in demo.rows("SELECT * FROM balance")] == RIGHT, RIGHT[-1]
    )

    demo.step(
        "Best practice",
        "What reads its own result of the day before gets depends_on_past=True, in the DAG and not in somebody's "
        "memory: then --parallel may be anything. Put the flag on that task alone; 17.4.4 shows why.",
    )


if __name__ == "__main__":
    play(main)
