"""Chunks: a month a week at a time, and not a day further than is good

Question: A month is to be loaded into a table that people use. How do I load it week by week, see each week end, and
keep a bad one from being followed by three more?

What goes wrong: A run over the whole range notices at its end that the source changed in the middle, and everything
behind that is loaded all the same. A loop of commands, one a week, stops nowhere, or at everything, and nobody knows
where to go on.

What bfill does: --chunk 7d runs the weeks one after another, days of a week together. A week with failures keeps the
next from beginning until it is repaired; --chunk-failures skip or 20% bears some. The chunks are a part of the
backfill: status shows them, a kill -9 costs nothing, the same command goes on. --chunk auto measures how many dates
make ten minutes.

What to look at: the timeline, where no week begins before the one before has ended; what was loaded behind the bad
day; which days ran again after the kill.

When not to do it: without a reason to stop in between. In a chunk everybody waits for the slowest date; bfill without
chunks keeps --parallel dates open all the time.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from signal import SIGKILL
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, Span
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["performance", "control", "intermediate", "success"]

DAYS = [str(date(2025, 3, 3) + timedelta(days=number)) for number in range(28)]
WEEKS = {f"week {number + 1}": DAYS[number * 7 : number * 7 + 7] for number in range(4)}
RANGE = f"--dag 17.8.1 --start {DAYS[0]} --end {DAYS[-1]} --parallel 4"
BAD = WEEKS["week 2"][2]

with DAG("scenario_17_08_01", schedule="@daily", start_date=datetime(2025, 3, 3)) as dag:

    @task
    def load(ds: str) -> None:
        """Write the day's revenue over what was there; some days are slower than others."""
        marks.wait_while(__file__, f"slow {ds}")
        marks.fail_if(__file__, f"export {ds}")
        sleep(0.05 + 0.03 * (int(ds[-1]) % 4))
        cents = sum(one.cents for one in warehouse.orders(ds))
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS revenue (day PRIMARY KEY, cents)")
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?)", [ds, cents])

    load()


def by_week(made: Iterable[Attempt]) -> dict[str, Span]:
    """When each week was worked on: from the begin of its first attempt to the end of its last."""
    made, found = list(made), {}
    for name, days in WEEKS.items():
        mine = [one.span for one in made if one.day in days]
        if mine:
            found[name] = Span(min(one.start for one in mine), max(one.end for one in mine))
    return found


def gaps(spans: dict[str, Span]) -> list[float]:
    """Seconds between the end of each week and the begin of the next; below zero they overlap."""
    return [round(behind.start - before.end, 3) for before, behind in pairwise(spans.values())]


def begin_again(demo: Demo) -> list[Attempt]:
    """Clear the dates and the table; returns the attempts so far."""
    with warehouse.connect(__file__) as db:
        db.execute("DELETE FROM revenue")
    demo.call(f"reset {RANGE.removesuffix(' --parallel 4')} --yes")
    return demo.attempts()


@scenario
def main(demo: Demo) -> None:
    """Play it: without chunks, with chunks, a bad week, a kill, and a size that is measured."""
    demo.step("In one piece", "Four weeks, four dates at a time: as one date ends the next begins, whatever its week.")
    demo.bfill(f"run {RANGE}")
    whole = by_week(demo.attempts())
    demo.timeline(whole)
    demo.check("weeks overlap", min(gaps(whole)) < 0, f"{gaps(whole)} s between them")

    demo.step("In chunks", "The same with --chunk 7d: look at the plan, then run it.")
    before = begin_again(demo)
    demo.bfill(f"plan {RANGE} --chunk 7d --dry-run")
    demo.bfill(f"run {RANGE} --chunk 7d")
    chunked = by_week(one for one in demo.attempts() if one not in before)
    demo.timeline(chunked)
    demo.check("no week begins before the one before has ended", min(gaps(chunked)) >= 0, f"{gaps(chunked)} s between")
    lasts = [max(spans.values(), key=lambda one: one.end).end - spans["week 1"].start for spans in (whole, chunked)]
    demo.say(f"In one piece it took {lasts[0]:.1f} s, in chunks {lasts[1]:.1f} s: that is what waiting costs.")

    demo.step("A bad week", f"The export of {BAD} is broken. Its week ends, and nothing of the next one begins.")
    before = begin_again(demo)
    marks.put(__file__, f"export {BAD}")
    stopped = demo.bfill(f"run {RANGE} --chunk 7d --json", expect=1).data
    reason = "chunk 2 of 4 ended with 1 failed date (--chunk-failures stop)"
    demo.check_equal("the result says where it stopped, and why", stopped["reason"], reason)
    loaded = demo.rows("SELECT max(day) FROM revenue")[0][0]
    demo.check_equal("nothing behind that week was loaded", loaded, WEEKS["week 2"][-1])
    again = demo.bfill(f"run {RANGE} --chunk 7d --json", expect=1).data
    demo.check_equal("tonight's cron job does not slip past it", again["reason"], reason)

    demo.step("Repair it, and go on", "First the date that failed, then the weeks that are left.")
    marks.take_away(__file__, f"export {BAD}")
    demo.bfill("rerun-failed")
    ended = demo.bfill(f"run {RANGE} --chunk 7d --json").data
    states = [one["state"] for one in ended["chunks"]]
    demo.check_equal("all four weeks are there, and the exit code is 0", states, ["success"] * 4)
    tries = [one.day for one in demo.attempts() if one not in before]
    twice = sorted({day for day in tries if tries.count(day) > 1})
    demo.check_equal("the day that failed ran twice, no other", twice, [BAD])

    demo.step("Some failures are borne", "With --chunk-failures 20% one bad day of seven is no reason to stop.")
    begin_again(demo)
    marks.put(__file__, f"export {BAD}")
    borne = demo.bfill(f"run {RANGE} --chunk 7d --chunk-failures 20% --json", expect=1).data
    demo.check_equal("all others were loaded", (borne["completed"], borne["failed"]), (27, 1))
    marks.take_away(__file__, f"export {BAD}")

    demo.step("Killed in the middle", "kill -9 while a day of the third week is slow. The same command goes on there.")
    before = begin_again(demo)
    slow = WEEKS["week 3"][3]
    marks.put(__file__, f"slow {slow}")
    going = demo.start(f"run {RANGE} --chunk 7d")
    wait_until(lambda: len(demo.attempts()) == len(before) + 20, "six days of the third week are loaded")
    going.send(SIGKILL)
    demo.wait(going, expect=None)
    marks.take_away(__file__, f"slow {slow}")
    done = {one.day for one in demo.attempts() if one not in before and one.outcome == "success"}
    demo.check_equal("nothing of the fourth week had begun", sorted(done & set(WEEKS["week 4"])), [])
    demo.bfill(f"run {RANGE} --chunk 7d")
    loads = [one.day for one in demo.attempts() if one not in before and one.outcome == "success"]
    demo.check_equal("each day was loaded once, and no more", sorted(loads), DAYS)

    demo.step("A size by measurement", "--chunk auto knows what a date took, and takes as many as make ten minutes.")
    shape = demo.ask(f"plan {RANGE} --reprocess success --chunk auto --dry-run")["shape"]
    took = [one.span.end - one.span.start for one in demo.attempts() if one.outcome == "success" and one.day != slow]
    mean = sum(took) / len(took)
    fits = 4 * 600 / mean
    demo.check(
        "four lanes of ten minutes hold about as many dates as it chose",
        0.5 < shape["sizes"][0] / fits < 2,
        f"{shape['sizes'][0]:,} dates; a date takes {mean:.2f} s, so {fits:,.0f} fit",
    )

    demo.step(
        "Best practice",
        "Choose chunks people can check: a week, a month of partitions. Let a bad one stop the rest, repair it, and "
        "give the same command again. Where nobody looks between chunks, leave them out.",
    )


if __name__ == "__main__":
    play(main)
