"""Newest first: last week is there while the rest still runs

Question: Four weeks are missing, and everybody asks for the last one. Do they have to wait for the other three?

What goes wrong: Oldest first, the days that people look at come last of all, and when the night is over before the
backfill is, they are not there. Turned round without a look, a task that reads the days before its own finds them
missing, and computes something from what there is: no error, and every figure wrong.

What bfill does: --run-backwards takes the newest date first, under the same limits, for the same cost. Stopped in the
middle, the same command goes on where it was, newest first. A DAG that waits on the past is refused (exit 2): there the
oldest has to come first.

What to look at: how much of the work was done when last week was complete; what was there when the run was stopped; the
averages of both orders, day by day.

When not to do it: when a date needs the ones before it. Split the DAG then, as the end of this story does: load newest
first with --task, and compute what looks back when all of it is there.
"""

from datetime import date, datetime, timedelta
from signal import SIGINT
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, Span
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [str(date(2025, 1, 6) + timedelta(days=number)) for number in range(28)]
WEEKS = {f"week {number + 1}": DAYS[number * 7 : number * 7 + 7] for number in range(4)}
LAST_WEEK = WEEKS["week 4"]
DATES = f"--dag 17.6.3 --start {DAYS[0]} --end {DAYS[-1]}"
RANGE = f"{DATES} --parallel 2"

with DAG("scenario_17_06_03", schedule="@daily", start_date=datetime(2025, 1, 6)) as dag:

    @task
    def load(ds: str) -> None:
        """Write the day's revenue over what was there."""
        marks.wait_while(__file__, f"load {ds}")
        sleep(0.03)
        cents = sum(one.cents for one in warehouse.orders(ds))
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS revenue (day PRIMARY KEY, cents)")
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?)", [ds, cents])

    @task
    def average(ds: str) -> None:
        """The mean of the seven days up to this one, as far as they are there: it looks back, and does not wait."""
        with warehouse.connect(__file__) as db:
            week = "SELECT avg(cents) FROM revenue WHERE day BETWEEN date(?, '-6 days') AND ?"
            db.execute("CREATE TABLE IF NOT EXISTS averages (day PRIMARY KEY, cents)")
            db.execute(f"INSERT OR REPLACE INTO averages VALUES (?, ({week}))", [ds, ds, ds])

    load() >> average()


def forget() -> None:
    """Begin with an empty warehouse."""
    with warehouse.connect(__file__) as db:
        db.execute("DROP TABLE revenue")
        db.execute("DROP TABLE averages")


def until_last_week(made: list[Attempt]) -> int:
    """How many days were loaded when the last of last week's was."""
    loads = sorted((one for one in made if one.task_id == "load"), key=lambda one: one.span.end)
    return max(place for place, one in enumerate(loads, 1) if one.day in LAST_WEEK)


def by_week(made: list[Attempt]) -> dict[str, Span]:
    """When each week was loaded: from its first day's begin to its last day's end."""
    found = {}
    for name, days in WEEKS.items():
        mine = [one.span for one in made if one.day in days and one.task_id == "load"]
        found[name] = Span(min(one.start for one in mine), max(one.end for one in mine))
    return found


@scenario
def main(demo: Demo) -> None:
    """Play it: both orders, a stop in the middle, and the task that looks back."""
    demo.step("Oldest first", "Four weeks, two dates at once: how a backfill runs when nothing else is said.")
    demo.bfill(f"run {RANGE}")
    oldest = demo.attempts()
    demo.timeline(by_week(oldest))
    demo.check_equal("last week was there when all 28 days were", until_last_week(oldest), 28)
    right, revenue = demo.rows("SELECT * FROM averages ORDER BY day"), demo.rows("SELECT * FROM revenue ORDER BY day")

    demo.step("Newest first", "The same days from the beginning, with --run-backwards.")
    forget()
    demo.bfill(f"run {RANGE} --run-backwards --reset-dag-run")
    newest = [one for one in demo.attempts() if one not in oldest]
    demo.timeline(by_week(newest))
    place = until_last_week(newest)
    demo.check("last week was there when less than half of the days were", place < 14, f"{place} of 28 days")
    demo.check_equal("it costs the same number of attempts", len(newest), len(oldest))
    same = demo.rows("SELECT * FROM revenue ORDER BY day") == revenue
    demo.check("and the revenue is the same in the end", same, f"{len(revenue)} days, to the cent")

    demo.step(
        "But what looks back is wrong", "When an average was computed, the six days before it were not there yet."
    )
    found = demo.rows("SELECT * FROM averages ORDER BY day")
    pairs = [(day, f"{a / 100:,.2f}", f"{b / 100:,.2f}") for (day, a), (_, b) in zip(right, found, strict=True)]
    demo.table(["average of", "oldest first", "newest first"], pairs[-4:])
    wrong = [day for day, first, second in pairs if first != second]
    demo.check("averages are wrong, though every task is green", len(wrong) > 14, f"{len(wrong)} of 28")

    demo.step(
        "Split it, and stop in the middle",
        "The load alone runs newest first. Ten days are loaded when the source goes slow; somebody presses Ctrl-C.",
    )
    forget()
    demo.call(f"reset {DATES} --yes")
    before = demo.attempts()
    slow = [f"load {day}" for day in DAYS[-12:-10]]
    marks.put(__file__, *slow)
    going = demo.start(f"run {RANGE} --run-backwards --task load")
    wait_until(lambda: len(demo.attempts()) == len(before) + 10, "ten days are loaded")
    going.send(SIGINT)
    wait_until(lambda: "stopping" in going.err, "the run has heard it")
    marks.take_away(__file__, *slow)
    demo.wait(going, expect=130)
    there = [day for (day,) in demo.rows("SELECT day FROM revenue ORDER BY day")]
    demo.check_equal("what was running was finished, and nothing else begun", len(there), 12)
    missing = sorted(set(LAST_WEEK) - set(there))
    demo.check("last week is there", not missing, missing or f"{there[0]} … {there[-1]}")
    middle = demo.attempts()
    demo.bfill(f"run {RANGE} --run-backwards --task load")
    rest = sorted((one for one in demo.attempts() if one not in middle), key=lambda one: one.span.start)
    demo.check_equal("the same command loads the days that are left", len(rest), 28 - len(there))
    newest_left = max(one.day for one in rest)
    demo.check("the newest of them among the first two", newest_left in [one.day for one in rest[:2]], newest_left)

    demo.step("Then what looks back", "All days are there. The dates are partial; a run without --task does the rest.")
    demo.bfill(f"run {RANGE}")
    demo.check("all 28 averages are right", demo.rows("SELECT * FROM averages ORDER BY day") == right, "to the cent")

    demo.step(
        "Best practice",
        "Ask who reads the table, and which days. Load those first: --run-backwards, or two commands, the last week "
        "and then the whole range, which leaves the week alone. Before you turn the order look for what looks back.",
    )


if __name__ == "__main__":
    play(main)
