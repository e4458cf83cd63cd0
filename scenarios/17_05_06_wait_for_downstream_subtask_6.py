"""Clearing in a waiting chain: what to clear, in which order, and why

Question: A source has corrected some days that are long done. The DAG stages each day in a table they share, and waits
with wait_for_downstream. What do I clear, and in which order do I run it again?

What goes wrong: The copy alone is cleared, for it is the copy that is wrong: it runs again, and copies what lies in the
staging table now, the last day's rows. Or a date is cleared and forgotten: every date behind it waits for it, and the
next backfill does nothing at all.

What bfill does: `reset` says when what it clears would find what a later date has left, and which later dates stay as
they are. What is cleared runs oldest first, each date when the one before is through. `plan` finds dates that would be
blocked before anything runs, and names the date, the task, and the command that repairs it.

What to look at: the rows of the corrected day after the wrong clearing and after the right one; the order of the tries;
the warning of the plan against what the run then does.

When not to do it: with a place in the staging area for each day (17.5.2) any task may be cleared alone, in any order.
"""

import shlex
from datetime import datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task, gaps, in_ms

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-09-0{number}" for number in range(1, 7)]
RANGE = f"--dag 17.5.6 --start {DAYS[0]} --end {DAYS[-1]}"
NEXT = "--dag 17.5.6 --start 2024-09-07 --end 2024-09-09"

with DAG("scenario_17_05_06", schedule="@daily", start_date=datetime(2024, 9, 1)) as dag:

    @task(wait_for_downstream=True)
    def stage(ds: str) -> None:
        """Put the day into the staging table, over what was there: the shop's orders, with what was corrected since."""
        with warehouse.connect(__file__) as db:
            db.execute("DELETE FROM staging")
            db.executemany("INSERT INTO staging VALUES (?, ?, ?, ?)", warehouse.orders(ds))
            db.execute("INSERT INTO staging SELECT day || '-fix', day, 'eu', cents FROM fixes WHERE day = ?", [ds])

    @task
    def copy(ds: str) -> None:
        """Copy what is staged over what the table has of the day."""
        with warehouse.connect(__file__) as db:
            db.execute("DELETE FROM sales WHERE day = ?", [ds])
            db.execute("INSERT OR REPLACE INTO sales SELECT * FROM staging")

    stage() >> copy()


def correct(*days: str) -> None:
    """The shop corrects some days: one more order on each."""
    with warehouse.connect(__file__) as db:
        db.executemany("INSERT INTO fixes VALUES (?, 1234)", [(day,) for day in days])


def wrong_days(demo: Demo, *fixed: str) -> list[str]:
    """Days whose rows are not those of the shop, each with how many it has of how many."""
    there = dict(demo.rows("SELECT day, count(*) FROM sales GROUP BY day"))
    right = {day: len(warehouse.orders(day)) + (day in fixed) for day in DAYS}
    return [f"{day}: {there.get(day, 0)} of {right[day]} rows" for day in DAYS if there.get(day, 0) != right[day]]


@scenario
def main(demo: Demo) -> None:
    """Play it: the wrong task cleared, the right one, several dates, and a date that was cleared and forgotten."""
    with warehouse.connect(__file__) as db:
        db.execute("CREATE TABLE fixes (day PRIMARY KEY, cents)")
        db.execute("CREATE TABLE staging (order_id PRIMARY KEY, day, region, cents)")
        db.execute("CREATE TABLE sales (order_id PRIMARY KEY, day, region, cents)")
    demo.call(f"run {RANGE} --parallel 4")

    demo.step(
        "Clear the copy alone",
        "Six days are done. Then the shop corrects the 3rd. It is the copy that is wrong, so somebody clears that.",
    )
    correct(DAYS[2])
    cleared = demo.bfill(f"reset --dag 17.5.6 --dates {DAYS[2]} --task copy --yes")
    said = next((line for line in cleared.err.splitlines() if "stage of 2024-09-04 has run since" in line), "nothing")
    demo.check("reset says what the copy would find", said != "nothing", said)
    demo.bfill(f"run {RANGE} --parallel 4")
    lost = [f"{DAYS[2]}: 0 of {len(warehouse.orders(DAYS[2])) + 1} rows"]
    demo.check_equal("every task is green, and the 3rd has lost all its rows", wrong_days(demo, DAYS[2]), lost)

    demo.step("Clear from the task that waits", "The staging and everything behind it, of that day.")
    demo.bfill(f"reset --dag 17.5.6 --dates {DAYS[2]} --task stage --downstream --yes")
    demo.bfill(f"run {RANGE} --parallel 4")
    demo.check_equal("every day is right, with the correction", wrong_days(demo, DAYS[2]), [])

    demo.step("Several days", "Three more corrections. One reset, one run, four dates at once: bfill keeps the order.")
    correct(DAYS[1], DAYS[3], DAYS[5])
    before = demo.attempts()
    demo.bfill(f"reset --dag 17.5.6 --start {DAYS[1]} --end {DAYS[5]} --task stage --downstream --yes")
    demo.bfill(f"run {RANGE} --parallel 4")
    spans = by_task(one for one in demo.attempts() if one not in before)
    waited = gaps(spans, DAYS[1:], "stage", after="copy")
    demo.check("each was staged after the one before it was copied", min(waited) >= 0, in_ms(waited))
    demo.check_equal("only what was cleared ran again", len(spans), 10)
    demo.check_equal("every day is right", wrong_days(demo, DAYS[1], DAYS[2], DAYS[3], DAYS[5]), [])

    demo.step(
        "Cleared and forgotten",
        "The copy of the 6th, the last day, is cleared; that is safe, for it was staged last. But nobody runs it. "
        "Next morning a colleague plans the 7th to the 9th.",
    )
    last = demo.bfill(f"reset --dag 17.5.6 --dates {DAYS[5]} --task copy --yes")
    demo.check("of the day that was staged last reset has nothing to say", "has run since" not in last.err, "no note")
    before = demo.attempts()
    demo.bfill(f"plan {NEXT} --dry-run")
    (warning,) = demo.ask(f"plan {NEXT} --dry-run")["warnings"]
    demo.check_equal("the plan warns before anything runs", warning["code"], "would-block")
    names = all(one in warning["message"] for one in ("2024-09-07 and 2 dates", "2024-09-06", "copy"))
    demo.check("it names the dates, and the task of the date they wait for", names, warning["message"])

    demo.step("Run it all the same", "What the plan said is what happens: nothing runs, and exit code 1.")
    demo.bfill(f"run {NEXT} --parallel 4", expect=1)
    states = [one["state"] for one in demo.ask(f"status {NEXT}")["runs"]]
    demo.check_equal("all three dates are blocked", states, ["blocked"] * 3)
    demo.check("not one task was tried", demo.attempts() == before, f"{len(before)} attempts before and after")

    demo.step("Type what the hint says", "Then the same command once more.")
    hint = warning["hint"].partition("bfill ")[2]
    demo.bfill(hint)
    demo.bfill(f"run {NEXT} --parallel 4")
    ran = [f"{one.day[5:]} {one.task_id}" for one in demo.attempts() if one not in before]
    demo.check_equal("the forgotten copy ran, and everything behind it", len(ran), 7)
    demo.check_equal("every day is right", wrong_days(demo, DAYS[1], DAYS[2], DAYS[3], DAYS[5]), [])
    demo.check("the hint is a command that names one date", shlex.split(hint)[-1] == DAYS[5], f"bfill {hint}")

    demo.step(
        "Best practice",
        "Clear from the task that has the flag, with --downstream; run what you clear at once, oldest first by itself; "
        "and read the plan before a backfill of a chain: one forgotten date holds all that follow.",
    )


if __name__ == "__main__":
    play(main)
