"""A shared staging table: overwritten too early, and how to wait

Question: Each day is first loaded into a staging table that all days share, then copied from there. May I run several
days at once?

What goes wrong: The next day empties the staging table before the last one was copied out of it. Its rows are gone, the
other day's are copied twice in their place, and every task is green: the command says so with exit 0. depends_on_past
on the first task does not help: yesterday's staging is done long before yesterday's copy.

What bfill does: wait_for_downstream on the staging task holds it until the day before was copied as well. With the same
rows, the same tasks and the same four dates at once, nothing is lost.

What to look at: rows in the shop and rows in the table, a day; the number of staging tasks that came too early.

When not to do it: when you may change the staging table. One that has a partition, or a name, for each day needs no
waiting at all; the last part of this story shows it, with the dates side by side.
"""

from datetime import datetime
from time import sleep

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_date, by_task, gaps, most_at_once

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-08-0{number}" for number in range(1, 7)]
TOTAL = sum(len(warehouse.orders(day)) for day in DAYS)
RANGE = f"--dag scenario_17_05_02 --start {DAYS[0]} --end {DAYS[-1]}"

with DAG("scenario_17_05_02", schedule="@daily", start_date=datetime(2024, 8, 1)) as dag:

    @task(wait_for_downstream=True)
    def stage(ds: str) -> None:
        """Empty the staging table, and load a day into it."""
        with warehouse.connect(__file__) as db:
            db.execute("DELETE FROM staging")
            db.executemany("INSERT INTO staging VALUES (?, ?, ?, ?)", warehouse.orders(ds))

    @task
    def copy(ds: str) -> None:
        """Copy what is staged, after a look at it that takes its time. Each order once, however often it is copied."""
        sleep(0.25)
        with warehouse.connect(__file__) as db:
            rows = db.execute("SELECT * FROM staging").fetchall()
            db.executemany("INSERT OR REPLACE INTO sales VALUES (?, ?, ?, ?)", rows)
            db.execute("INSERT INTO strangers VALUES (?, ?)", [ds, sum(day != ds for _, day, _, _ in rows)])

    stage() >> copy()


def run_anew(demo: Demo) -> list[int]:
    """Empty the tables, run all six days, show what has arrived, and return a line for the comparison.

    Rows lost, rows that one day's task has copied of another day, days staged before the one before was copied, dates
    open at once, exit code.
    """
    with warehouse.connect(__file__) as db:
        for table in ("staging", "sales"):
            db.execute(f"DROP TABLE IF EXISTS {table}")
            db.execute(f"CREATE TABLE {table} (order_id PRIMARY KEY, day, region, cents)")
        db.execute("DROP TABLE IF EXISTS strangers")
        db.execute("CREATE TABLE strangers (day PRIMARY KEY, number)")
    before = demo.attempts()
    ran = demo.bfill(f"run {RANGE} --parallel 4 --reset-dag-run")
    there = dict(demo.rows("SELECT day, count(*) FROM sales GROUP BY day"))
    wrong = dict(demo.rows("SELECT day, number FROM strangers"))
    rows = [(day, len(warehouse.orders(day)), there.get(day, 0), wrong[day]) for day in DAYS]
    demo.table(["day", "in the shop", "in the table", "copied, but of another day"], rows)
    made = [one for one in demo.attempts() if one not in before]
    demo.check_equal("every task of every day is success", [one.outcome for one in made], ["success"] * len(made))
    early = sum(gap < 0 for gap in gaps(by_task(made), DAYS, "stage", after="copy"))
    return [TOTAL - sum(there.values()), sum(wrong.values()), early, most_at_once(by_date(made)), ran.code]


@scenario
def main(demo: Demo) -> None:
    """Play it: six days over one staging table, with less and more that waits; then a part of it for each day."""
    file = demo.copy_of_dag()
    demo.step("Nothing waits", f"The DAG lies in {file}; its flag is taken out first. Six days, four at once.")
    demo.edit(file, "@task(wait_for_downstream=True)", "@task(depends_on_past=False)")
    nothing = run_anew(demo)
    demo.check("rows are lost", nothing[0] > 0, f"{nothing[0]:,} of {TOTAL:,}")
    demo.check("the exit code says that all is well", nothing[4] == 0, "exit code 0")

    demo.step("depends_on_past", "It waits for yesterday's staging, which is done long before yesterday's copy.")
    demo.edit(file, "depends_on_past=False", "depends_on_past=True")
    past = run_anew(demo)
    demo.check("rows are lost all the same", past[0] > 0, f"{past[0]:,} of {TOTAL:,}")

    demo.step("wait_for_downstream", "The same six days, the same four at once.")
    demo.edit(file, "depends_on_past=True", "wait_for_downstream=True")
    waits = run_anew(demo)
    demo.check_equal("no day was staged before the one before was copied", waits[2], 0)
    demo.check_equal("no row is lost, and none was taken for another day's", waits[:2], [0, 0])

    demo.step(
        "A place for each day",
        "Where the staging table may be changed, it need not be shared. Each day has rows of its own there, and the "
        "flag can go: nothing is lost, and the days are side by side again.",
    )
    demo.edit(file, "wait_for_downstream=True", "depends_on_past=False")
    demo.edit(file, '"DELETE FROM staging")', '"DELETE FROM staging WHERE day = ?", [ds])')
    demo.edit(file, '"SELECT * FROM staging")', '"SELECT * FROM staging WHERE day = ?", [ds])')
    apart = run_anew(demo)
    demo.check_equal("no row is lost, and none was taken for another day's", apart[:2], [0, 0])
    demo.check("though days were staged before others were copied", apart[2] > 0, f"{apart[2]} times")

    demo.step("Side by side")
    ways = {"nothing": nothing, "depends_on_past": past, "wait_for_downstream": waits, "a place for each day": apart}
    headings = ["what protects it", "rows lost", "rows of others", "staged too early", "dates at once", "exit"]
    demo.table(headings, [[way, *line] for way, line in ways.items()])
    demo.say(
        "Best practice: give each interval a place of its own, and let no date wait for another. Where the table is "
        "shared and stays so, put wait_for_downstream on the task that overwrites it, with the task that reads it "
        "directly behind. And count rows: no exit code tells you what a table has lost."
    )


if __name__ == "__main__":
    play(main)
