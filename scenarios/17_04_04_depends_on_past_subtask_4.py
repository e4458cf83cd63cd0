"""Only one task of four needs yesterday: say it there, keep the rest

Question: My DAG has one step that depends on the day before. Do I have to run the whole of it one day after the
other?

What goes wrong: The flag goes into default_args, or somebody runs with --parallel 1 to be safe. Then three tasks that
could run for many days at once wait for the fourth, and a backfill of a night becomes one of a week.

What bfill does: depends_on_past is a property of a task. The others of its date go as soon as their own upstreams are
done, beside those of other dates; only the task with the flag keeps the order of the dates.

What to look at: the two timelines; how many tasks ran at once, counted from the attempts; the seconds of both runs;
and that both have the same result.

When not to do it: where the slow task is the one with the flag, nothing is gained by more dates at once: make that
task small, by moving all that needs no past in front of it.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import accumulate, pairwise
from time import sleep

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Span, by_date, by_task, most_at_once

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-05-0{number}" for number in range(1, 7)]
RANGE = f"--dag 17.4.4 --start {DAYS[0]} --end {DAYS[-1]}"
RIGHT = list(accumulate(sum(one.cents for one in warehouse.orders(day)) for day in DAYS))

with DAG("scenario_17_04_04", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task
    def extract(ds: str) -> list[int]:
        """The orders of the day, from a source that takes its time."""
        sleep(0.2)
        return [one.cents for one in warehouse.orders(ds)]

    @task
    def add_up(cents: list[int]) -> int:
        """What the day was worth."""
        sleep(0.2)
        return sum(cents)

    @task(depends_on_past=True)
    def carry_on(cents: int, ds: str) -> int:
        """Add it to the balance of the day before: the one step that needs it."""
        yesterday = (date.fromisoformat(ds) - timedelta(days=1)).isoformat()
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS balance (day PRIMARY KEY, cents)")
            before = db.execute("SELECT cents FROM balance WHERE day = ?", [yesterday]).fetchone()
            db.execute("INSERT OR REPLACE INTO balance VALUES (?, ?)", [ds, cents + (before[0] if before else 0)])
        return cents

    @task
    def report(cents: int) -> None:
        """Tell the world, which takes its time too."""
        sleep(0.2)

    report(carry_on(add_up(extract())))


def run(demo: Demo, flags: str) -> tuple[dict[str, Span], dict[tuple[str, str], Span], list[int]]:
    """Run the days anew, show when each was worked on, and return that, each task's time, and the balances."""
    with warehouse.connect(__file__) as db:
        db.execute("DROP TABLE IF EXISTS balance")
    before = len(demo.attempts())
    demo.bfill(f"run {RANGE} {flags}")
    latest = max(one.try_number for one in demo.attempts())
    made = [one for one in demo.attempts() if one.try_number == latest]
    assert len(demo.attempts()) - before == len(made) == len(DAYS) * 4
    dates = by_date(made)
    demo.timeline(dates)
    return dates, by_task(made), [cents for (cents,) in demo.rows("SELECT cents FROM balance ORDER BY day")]


def seconds(spans: dict[str, Span]) -> float:
    """From the first start to the last end."""
    return max(one.end for one in spans.values()) - min(one.start for one in spans.values())


@scenario
def main(demo: Demo) -> None:
    """Play it: the whole DAG one date after the other, then with six dates at once."""
    demo.step("The safe way, one date after the other", "Every task waits until all of the day before is over.")
    serial, each, balances = run(demo, "--parallel 1")
    demo.check_equal("one task at a time", most_at_once(each.values()), 1)
    demo.check("the balances are right", balances == RIGHT, f"{balances[-1] / 100:,.2f}")

    demo.step(
        "The flag on the one task that needs it",
        "Six dates at once. extract, add_up and report of different days run beside each other; carry_on does not.",
    )
    wide, each, balances = run(demo, "--parallel 6 --reset-dag-run")
    chain = [each[day, "carry_on"] for day in DAYS]
    demo.check("the balances are right again", balances == RIGHT, f"{balances[-1] / 100:,.2f}")
    demo.check_equal("never two of carry_on at once", most_at_once(chain), 1)
    gaps = [later.start - before.end for before, later in pairwise(chain)]
    demo.check("it ran in the order of the dates", min(gaps) >= 0, f"{min(gaps) * 1000:,.1f} ms between, at least")
    at_once = {name: most_at_once(each[day, name] for day in DAYS) for name in ("extract", "add_up", "report")}
    demo.check("the other three ran for several days at once", min(at_once.values()) > 1, at_once)

    demo.step("What it gains", "Both measured from the first start of a task to the last end.")
    took, took_wide = seconds(serial), seconds(wide)
    slept = len(DAYS) * 0.6
    demo.table(
        ["", "seconds", "dates at once"],
        [
            ("one date after the other", f"{took:.2f}", most_at_once(serial)),
            ("only carry_on in order", f"{took_wide:.2f}", most_at_once(wide)),
        ],
    )
    demo.check(
        "one after the other takes as long as all tasks together", took >= slept, f"{took:.2f} s, {slept} s asleep"
    )
    demo.check(
        "with the flag on one task it takes less than two thirds", took_wide < took * 2 / 3, f"{took / took_wide:.1f}x"
    )

    demo.step(
        "Best practice",
        "Put depends_on_past on the task that reads yesterday, never into default_args. Split that task until it does "
        "nothing but what needs the past: all in front of it and behind it is then free to run side by side.",
    )


if __name__ == "__main__":
    play(main)
