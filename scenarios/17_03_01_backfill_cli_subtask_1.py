"""Plan, run, status: seven days, and no surprise on the way

Question: A week is missing in a table. How do I fill it, and how do I know what the command will do before it does it?

What goes wrong: A loop in a shell over seven dates has no memory. When it stops in the middle nobody knows which days
are done, a second start does everything again, and the only way to see what it will do is to let it.

What bfill does: `plan` shows each date with what will happen to it and why; with --dry-run it changes nothing, not a
byte. `run` does what the plan said. `status` shows how it stands. The same `run` again finds nothing to do and says so.

What to look at: the reason on every line of the plan; the digests of all files around the dry runs; the number of
attempts after the second run.

When not to do it: for one date you want to look at closely, `bfill run --dates 2024-03-04` is enough; a plan is for
ranges, and for everything somebody else has to agree to.
"""

from datetime import datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-03-0{number}" for number in range(1, 8)]
WEEK = "--dag 17.3.1 --start 2024-03-01 --end 2024-03-07"

with DAG("scenario_17_03_01", schedule="@daily", start_date=datetime(2024, 1, 1)) as dag:

    @task
    def load(ds: str) -> int:
        """Overwrite one day of the table: deleted and inserted in one transaction, so a rerun leaves the same rows."""
        orders = warehouse.orders(ds)
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS sales (order_id PRIMARY KEY, day, region, cents)")
            db.execute("DELETE FROM sales WHERE day = ?", [ds])
            db.executemany("INSERT INTO sales VALUES (?, ?, ?, ?)", orders)
        return len(orders)

    @task
    def verify(ds: str, expected: int) -> None:
        """Count what has arrived."""
        with warehouse.connect(__file__) as db:
            (found,) = db.execute("SELECT count(*) FROM sales WHERE day = ?", [ds]).fetchone()
        if found != expected:
            raise ValueError(f"{ds}: {found} rows instead of {expected}")

    verify(expected=load())


@scenario
def main(demo: Demo) -> None:
    """Play it: look, run, look again, run again; then what may go wrong with a range."""
    demo.step("Look first", "Nothing is here yet, no store and no warehouse. A dry run shows what would happen.")
    before = demo.snapshot()
    demo.bfill(f"plan {WEEK} --dry-run")
    after = demo.snapshot()
    demo.check("a dry run without a store does not make one", before == after, f"{len(after)} file before and after")
    plan = demo.ask(f"plan {WEEK} --dry-run")
    dates = [row["logical_date"][:10] for row in plan["runs"]]
    demo.check_equal("the range is seven days, both ends included", dates, DAYS)
    reasons = {f"{row['action']}: {row['reason']}" for row in plan["runs"]}
    demo.check_equal("every date says what will happen to it, and why", reasons, {"create: no run yet"})

    demo.step(
        "Keep the plan",
        "Without --dry-run the plan is stored under an id, for somebody to look at or to run later. Nothing has run.",
    )
    demo.bfill(f"plan {WEEK}")
    (planned,) = demo.stored("SELECT backfill_id FROM backfills")[0]
    demo.check_equal("a stored plan is no run", demo.stored("SELECT count(*) FROM v_dag_runs"), [(0,)])
    before = demo.snapshot()
    demo.ask(f"plan {WEEK} --dry-run")
    demo.check(
        "a dry run leaves an existing store byte for byte as it was",
        before == demo.snapshot(),
        f"content and time of change of {len(before)} files and folders, store {before['.bfill/bfill.db'][:12]}…",
    )

    demo.step("Run it", "By its id, as the last line of the plan says; the words of the plan with run do as well.")
    demo.bfill(f"run {planned}")
    rows = demo.rows("SELECT day, count(*), sum(cents) / 100.0 FROM sales GROUP BY day ORDER BY day")
    demo.table(["day", "orders", "revenue"], [[day, count, f"{money:,.2f}"] for day, count, money in rows])
    expected = {tuple(order) for day in DAYS for order in warehouse.orders(day)}
    loaded = demo.rows("SELECT order_id, day, region, cents FROM sales")
    demo.check("the table holds each order of the shop once", sorted(loaded) == sorted(expected), f"{len(loaded)} rows")

    demo.step("Ask how it stands")
    demo.bfill(f"status {WEEK}")
    states = [run["state"] for run in demo.ask(f"status {WEEK}")["runs"]]
    demo.check_equal("seven dates are success", states, ["success"] * 7)

    demo.step(
        "Run it again",
        "Somebody repeats the command, a cron job or a colleague. There is nothing to do: exit code 0.",
    )
    attempts, table = demo.attempts(), (demo.home / "warehouse.db").read_bytes()
    again = demo.bfill(f"run {WEEK}")
    demo.check_equal("the second run exits 0", again.code, 0)
    demo.check("it makes no attempt", demo.attempts() == attempts, f"{len(attempts)} attempts before and after")
    same = (demo.home / "warehouse.db").read_bytes() == table
    demo.check("it touches no table", same, f"{len(table):,} bytes, the same")
    before = demo.snapshot()
    counts = demo.ask(f"plan {WEEK} --dry-run")["counts"]
    demo.check("a dry run over what is done changes nothing either", before == demo.snapshot(), counts)

    demo.step("A longer range", "One day more. The seven are left alone; only the new one runs.")
    demo.bfill("run --dag 17.3.1 --start 2024-03-01 --end 2024-03-08")
    new = sorted({one.day for one in demo.attempts()} - set(DAYS))
    demo.check_equal("only the day that was missing has run", new, ["2024-03-08"])
    demo.check_equal("with one attempt a task", len(demo.attempts()) - len(attempts), 2)

    demo.step(
        "Mistakes change nothing", "A range that runs backwards is exit 2, an unknown DAG exit 3, each with a hint."
    )
    before = demo.snapshot()
    demo.bfill("run --dag 17.3.1 --start 2024-03-07 --end 2024-03-01", expect=2)
    unknown = demo.bfill("run --dag 17.3.11 --start 2024-03-01 --end 2024-03-07", expect=3)
    demo.check("both leave store and table as they were", before == demo.snapshot(), "exit 2 and exit 3")
    demo.check("the hint names a DAG that exists", "17.3.1" in unknown.err, unknown.err.strip().splitlines()[-1])

    demo.step(
        "Best practice",
        "Plan with --dry-run, read the reasons, then run with the same words. Put the run, not a loop, into the cron "
        "job: it is its own resume, because what is done is left alone.",
    )


if __name__ == "__main__":
    play(main)
