"""Pilot, then ramp: three dates to look at, then waves that grow

Question: The new version of a load is to run over three months. How do I see that it is right before it has written
ninety days, and how do I not hit the source with everything at once?

What goes wrong: A test on yesterday says nothing of the first date, when the source had another form, nor of the last.
The whole range then runs into a wall: ninety failures, or a source that answers slower and slower while more and more
is asked of it.

What bfill does: --pilot 3 runs the first, the last and the middle date and stops, exit 0, with what they took and what
the rest may take; the same backfill goes on. If the pilot fails it is exit 1, and nothing else has been touched. With
--ramp nobody has to be there: waves of 6, 12, 24 dates follow as long as none fails and dates take no more than twice
as long as in the pilot; then the rest.

What to look at: which dates the bad pilot touched; the size of the waves; how many dates the slow source was asked for
before the run stopped.

When not to do it: for dates that depend on the past the pilot is the first dates, and says nothing of the last.
"""

from datetime import date, datetime, timedelta
from itertools import pairwise
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, most_at_once

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [str(date(2025, 1, 1) + timedelta(days=number)) for number in range(90)]
FIRST, MIDDLE, LAST = DAYS[0], DAYS[44], DAYS[-1]
RANGE = f"--dag 17.6.4 --start {FIRST} --end {LAST} --parallel 12"
OLD_FORM = DAYS[:20]

with DAG("scenario_17_06_04", schedule="@daily", start_date=datetime(2025, 1, 1)) as dag:

    @task
    def load(ds: str) -> None:
        """Write the day's revenue. The source had another form at first, and is slow when a mark says so."""
        if ds in OLD_FORM:
            marks.fail_if(__file__, "the reader of the old form")
        slow = (warehouse.home(__file__) / "slow").exists()
        sleep(1.2 if slow and ds > DAYS[10] and ds not in (MIDDLE, LAST) else 0.05)
        cents = sum(one.cents for one in warehouse.orders(ds))
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS revenue (day PRIMARY KEY, cents)")
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?)", [ds, cents])

    load()


def days_of(made: list[Attempt]) -> list[str]:
    """The days that were tried."""
    return sorted({one.day for one in made})


def begin_again(demo: Demo) -> list[Attempt]:
    """Clear the dates; returns the attempts so far."""
    demo.call(f"reset --dag 17.6.4 --start {FIRST} --end {LAST} --yes")
    return demo.attempts()


@scenario
def main(demo: Demo) -> None:
    """Play it: a bad pilot, a good one, a ramp, a ramp that stops."""
    demo.step("A bad pilot", "The reader of the source's old form is broken. Which dates is the pilot? Ask the plan.")
    marks.put(__file__, "the reader of the old form")
    demo.bfill(f"plan {RANGE} --pilot 3 --dry-run")
    demo.bfill(f"run {RANGE} --pilot 3", expect=1)
    made = demo.attempts()
    demo.check_equal("first, middle and last were tried, nothing else", days_of(made), [FIRST, MIDDLE, LAST])
    failed = [one.day for one in made if one.outcome == "failed"]
    demo.check_equal("a test on the last date alone would have been green", failed, [FIRST])

    demo.step("A good pilot", "The reader is mended. The failed date is repaired, and the pilot looked at again.")
    marks.take_away(__file__, "the reader of the old form")
    demo.bfill("rerun-failed")
    pilot = demo.call(f"run {RANGE} --pilot 3 --json")
    data = pilot.data
    demo.check_equal("it is exit 0, and says how far it went", data["reason"], "pilot done: 3 of 90 dates")
    demo.table(
        ["date", "state", "seconds"],
        [(one["logical_date"][:10], one["state"], one["duration_s"]) for one in data["pilot"]["dates"]],
    )
    low, high = data["pilot"]["estimate"]["low_s"], data["pilot"]["estimate"]["high_s"]
    demo.say(f"The rest, {data['pilot']['remaining']} dates, 12 at a time, may take {low:.1f} to {high:.1f} s.")
    before = len(demo.attempts())
    again = demo.call(f"run {RANGE} --pilot 3")
    demo.check_equal("the same command once more starts nothing", (again.code, len(demo.attempts())), (0, before))
    demo.bfill(f"run {data['backfill_id']}")
    loaded = demo.rows("SELECT count(*) FROM revenue")
    demo.check_equal("the id goes on: all days are loaded", loaded, [(90,)])

    demo.step("A ramp", "The same in one command: behind the pilot the waves grow, and then the rest runs on.")
    before_ramp = begin_again(demo)
    ramp = demo.call(f"run {RANGE} --pilot 3 --ramp --json").data
    made = [one for one in demo.attempts() if one not in before_ramp]
    waves = [(one["kind"], one["dates"]) for one in ramp["chunks"]]
    once = [_at_once(made, wave) for wave in ramp["chunks"]]
    demo.table(["wave", "dates", "at once"], [(*wave, most) for wave, most in zip(waves, once, strict=True)])
    demo.check_equal("each wave doubles", waves, [("pilot", 3), ("ramp", 6), ("ramp", 12), ("ramp", 24), ("rest", 45)])
    ends = [_ends(made, wave) for wave in ramp["chunks"][1:]]
    apart = [behind[0] - ahead[1] for ahead, behind in pairwise(ends)]
    demo.check("and begins when the one before has ended", min(apart) >= 0, f"{min(apart):.3f} s between, at least")

    demo.step("A source that gives way", "Under load it becomes slow: 1.2 s a date in place of 0.05. Nobody is there.")
    before_slow = begin_again(demo)
    (warehouse.home(__file__) / "slow").touch()
    slow = demo.bfill(f"run {RANGE} --pilot 3 --ramp", expect=1)
    asked = days_of([one for one in demo.attempts() if one not in before_slow])
    demo.check("it stopped by itself, and said why", "was slow: " in slow.out, "exit 1")
    demo.check_equal("after 21 of 90 dates", len(asked), 21)

    demo.step(
        "Best practice",
        "Begin with --pilot 3 and look at what it wrote. Where the table tells good from bad by itself, --ramp needs "
        "nobody. A larger pilot keeps the smaller one's dates: --pilot 9 adds six.",
    )


def _mine(made: list[Attempt], wave: dict[str, str]) -> list[Attempt]:
    """The attempts of a wave; the pilot's days lie apart."""
    apart = {FIRST, MIDDLE, LAST}
    if wave["kind"] == "pilot":
        return [one for one in made if one.day in apart]
    return [one for one in made if wave["first"][:10] <= one.day <= wave["last"][:10] and one.day not in apart]


def _at_once(made: list[Attempt], wave: dict[str, str]) -> int:
    return most_at_once([one.span for one in _mine(made, wave)])


def _ends(made: list[Attempt], wave: dict[str, str]) -> tuple[float, float]:
    mine = _mine(made, wave)
    return min(one.span.start for one in mine), max(one.span.end for one in mine)


if __name__ == "__main__":
    play(main)
