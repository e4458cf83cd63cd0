"""Why is it waiting? An answer for each task, before anybody guesses

Question: Several tasks of several days wait. Which of them wait for what, which of them would run if I did nothing,
and what do I have to do for the others?

What goes wrong: Somebody runs the newest day first, because it matters most; somebody leaves a day out by mistake.
The chain is then wrong or stands still, and each person who looks sees only that "it is waiting".

What bfill does: --run-backwards is refused for a DAG that depends on its past. A day that was never run is passed
over, and plan and explain say which. explain answers for each task of a date: rule by rule, whether it is met, what
it looks at, where the waiting began, and the command that ends it.

What to look at: the table of all that waits, made from explain --json; two chains in one DAG with a cause each; the
balance without the day that was left out.

When not to do it: explain looks at one date. For the state of many, ask status.
"""

from __future__ import annotations

from datetime import datetime

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAG_ID = "--dag 17.4.6"
DAYS = [f"2024-05-0{number}" for number in range(1, 7)]

with DAG("scenario_17_04_06", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task(depends_on_past=True)
    def cash(ds: str) -> None:
        """The till: what was in it before, plus the orders of the day."""
        marks.fail_if(__file__, f"till on {ds}")
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS till (day PRIMARY KEY, cents)")
            before = db.execute("SELECT cents FROM till WHERE day < ? ORDER BY day DESC LIMIT 1", [ds]).fetchone()
            cents = (before[0] if before else 0) + sum(one.cents for one in warehouse.orders(ds))
            db.execute("INSERT OR REPLACE INTO till VALUES (?, ?)", [ds, cents])

    @task(depends_on_past=True)
    def stock(ds: str) -> None:
        """The shelves, from the day before on; nothing to do with the till."""
        marks.fail_if(__file__, f"scanner on {ds}")

    @task
    def close() -> None:
        """The books of the day, from both."""

    [cash(), stock()] >> close()


def waiting(demo: Demo, days: list[str]) -> list[tuple[str, ...]]:
    """For each task of these days that waits: the first rule that says no, what it looks at, and where that began."""
    found = []
    for day in days:
        for one in demo.ask(f"explain {DAG_ID} {day}")["tasks"]:
            rule = next((rule for rule in one["rules"] if rule["verdict"] in ("held", "waits")), None)
            if rule is not None:
                looks_at = f"{rule['task_id']} {rule['logical_date'][5:10]}" if rule["task_id"] else "upstreams"
                cause = one["cause"]
                began = f"{cause['task_id']} {cause['logical_date'][5:10]} {cause['state']}" if cause else ""
                found.append((day[5:], one["task_id"], rule["rule"], looks_at, began))
    return found


@scenario
def main(demo: Demo) -> None:
    """Play it: backwards, with a hole, and with two chains that stand still."""
    demo.step("Newest first is refused", "The newest day would need what the older ones have not written yet.")
    refused = demo.bfill(f"run {DAG_ID} --start {DAYS[0]} --end {DAYS[-1]} --run-backwards", expect=2)
    demo.check("with the reason", "tasks that depend on the past" in refused.err, refused.err.splitlines()[0])
    demo.check("and nothing was stored", not demo.store.exists(), "no store was made")

    demo.step("A day was left out", "Somebody runs the 1st and the 3rd. Before the 3rd, explain is asked.")
    demo.bfill(f"run {DAG_ID} --dates 2024-05-01")
    demo.bfill(f"explain {DAG_ID} 2024-05-03 --task cash")
    hole = demo.ask(f"explain {DAG_ID} 2024-05-03")["previous"]
    found = (hole["logical_date"][:10], hole["missing_between"], hole["first_missing"][:10])
    demo.check_equal("it names the day that is missing", found, ("2024-05-01", 1, "2024-05-02"))
    demo.bfill(f"run {DAG_ID} --dates 2024-05-03")
    orders = {day: sum(one.cents for one in warehouse.orders(day)) for day in DAYS}
    till = dict(demo.rows("SELECT day, cents FROM till"))
    lacks = sum(orders[day] for day in DAYS[:3]) - till["2024-05-03"]
    demo.check("the 3rd is green and lacks just the 2nd", lacks == orders["2024-05-02"], f"{lacks / 100:,.2f}")
    gaps = demo.bfill(f"status {DAG_ID} --start {DAYS[0]} --end {DAYS[2]} --gaps")
    demo.check("status --gaps finds the hole", "05-02" in gaps.out, gaps.out.strip().splitlines()[-1])
    demo.say("Fill it, and do again what was built on the hole, in one range:")
    demo.bfill(f"run {DAG_ID} --start 2024-05-02 --end 2024-05-03 --reprocess success")
    till = dict(demo.rows("SELECT day, cents FROM till"))
    demo.check_equal("now it is right", till["2024-05-03"], sum(orders[day] for day in DAYS[:3]))

    demo.step(
        "Two chains stand still, for two reasons",
        "On the 4th the till is broken, on the 5th the scanner. What waits on the days from the 4th to the 6th?",
    )
    marks.put(__file__, "till on 2024-05-04", "scanner on 2024-05-05")
    demo.bfill(f"run {DAG_ID} --start 2024-05-04 --end 2024-05-06 --parallel 3", expect=1)
    rows = waiting(demo, DAYS[3:])
    demo.table(["date", "task", "rule", "looks at", "it began with"], rows)
    expected = [
        ("05-05", "cash", "depends_on_past", "cash 05-04", "cash 05-04 failed"),
        ("05-06", "cash", "depends_on_past", "cash 05-05", "cash 05-04 failed"),
        ("05-06", "stock", "depends_on_past", "stock 05-05", "stock 05-05 failed"),
    ]
    demo.check_equal("each chain has its own cause", [row for row in rows if row[1] != "close"], expected)
    tried = {(one.day[5:], one.task_id) for one in demo.attempts()}
    demo.check(
        "none of those three was ever tried", not {row[:2] for row in expected} & tried, f"{len(tried)} others were"
    )
    demo.bfill(f"explain {DAG_ID} 2024-05-06")

    demo.step(
        "Do what it says", "The till and the scanner are mended. explain names the command, from the first cause on."
    )
    marks.take_away(__file__, "till on 2024-05-04", "scanner on 2024-05-05")
    command = demo.ask(f"explain {DAG_ID} 2024-05-06")["next_command"]
    begins = "--start 2024-05-04 --end 2024-05-06"
    demo.check("it takes all from the earliest cause to the date asked for", command.endswith(begins), command)
    demo.bfill(command.removeprefix("bfill "))
    states = demo.stored("SELECT state, count(*) FROM v_dag_runs GROUP BY state")
    demo.check_equal("nothing waits any more", states, [("success", len(DAYS))])
    till = dict(demo.rows("SELECT day, cents FROM till"))
    demo.check_equal("and the till is right", till[DAYS[-1]], sum(orders.values()))

    demo.step(
        "Best practice",
        "Ask explain before you clear anything: it shows the one task that is broken and not the ten that wait for it. "
        "Run a chain in whole ranges, oldest first; status --gaps finds the day that was left out.",
    )


if __name__ == "__main__":
    play(main)
