"""How many dates at once: as many as the source answers, not one more

Question: A month of dates, each of which asks a source for a moment. How many should I run at once, and how do I keep
to it when the source has a worse day than on the day I tried?

What goes wrong: --parallel is set to the largest number that was allowed. What the source cannot answer at once it
refuses, every refusal is asked again, and the month is not there a minute earlier: only the source is busier.

What bfill does: --parallel says how many dates are open, and max_active_runs in the DAG file is the most that anybody
may ask for. With --parallel-min the number follows what the source bears: up while all is well, down after a 429. A
backfill that runs tells other terminals what it does, and takes another number from them.

What to look at: requests at once and refused, as the source has counted them; the dates at once, from the tries.

When not to do it: this bounds one backfill. A source that several DAGs or several backfills ask is kept by the slots of
a pool (17.7.4), a limit of requests a second by its rate (17.8.5).
"""

from __future__ import annotations

import json
import os
import urllib.request
from datetime import datetime

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import most_at_once
from _shared.processes import wait_until
from _shared.systems import System

from backfill_cli import DAG, task

TAGS = ["performance", "control", "advanced", "success"]

BEARS = 4
"""Requests the source answers at once."""

with DAG("scenario_17_08_02", schedule="@daily", start_date=datetime(2025, 1, 1), max_active_runs=16) as dag:

    @task
    def ask() -> None:
        """Ask the source for the day. There is no retry: a refusal that counted as a failure would be seen."""
        marks.wait_while(__file__, "closed")
        urllib.request.urlopen(os.environ["SOURCE"], timeout=30).close()

    ask()


def month(number: int, days: int, parallel: int) -> str:
    """A run of the first days of a month."""
    first, last = f"2025-{number:02}-01", f"2025-{number:02}-{days:02}"
    return f"run --dag scenario_17_08_02 --start {first} --end {last} --parallel {parallel}"


def at_work(demo: Demo, number: int) -> int:
    """How many of the first dates of a month are at work now: of one more than should be, at most."""
    return sum(demo.state_of("ask", f"2025-{number:02}-{day:02}") == "running" for day in range(1, BEARS + 2))


def measured(demo: Demo, source: System, command: str) -> tuple[int, float]:
    """Run it, the source's counts begun anew; return dates at once at most, and seconds from first to last."""
    before = set(demo.attempts())
    source.forget()
    demo.bfill(command, SOURCE=source.url)
    spans = [one.span for one in demo.attempts() if one not in before]
    return most_at_once(spans), max(one.end for one in spans) - min(one.start for one in spans)


@scenario
def main(demo: Demo) -> None:
    """Play it: one at a time, four, too many; then a bound, a number that follows, and one that is changed."""
    file = demo.copy_of_dag()
    with System(at_once=BEARS, takes_s=0.1, wait_s=0) as source:
        rows: list[list[object]] = []

        demo.step("One at a time, and four", f"Eight days. The source answers {BEARS} requests at once.")
        _, alone = measured(demo, source, month(1, 8, 1))
        demo.check_equal("one at a time asks one at a time", source.most, 1)
        rows.append(["--parallel 1", source.most, source.refused, f"{alone:.1f} s"])
        dates, four = measured(demo, source, month(2, 8, BEARS))
        rows.append([f"--parallel {BEARS}", source.most, source.refused, f"{four:.1f} s"])
        demo.check_equal("four at once are all answered", (dates, source.refused, source.answered), (BEARS, 0, 8))
        demo.check("and that is faster", four < alone, f"{four:.1f} s instead of {alone:.1f} s")

        demo.step("Too many", "Sixteen at once of 28 days. A 429 is no failure to bfill; it is work to the source.")
        dates, took = measured(demo, source, month(3, 28, 16))
        rows.append(["--parallel 16, 28 days", source.most, source.refused, f"{took:.1f} s"])
        demo.check("more dates are at work than the source bears", dates > BEARS, dates)
        fixed = source.refused
        demo.check("it refused more often than there were dates to refuse", fixed > 28 - BEARS, f"{fixed} refused")
        least = 28 * 0.1 / BEARS
        demo.check("it was no faster than four at once can be", took >= least, f"{took:.2f} s, {least:.2f} s at least")

        demo.step(
            "A number that follows",
            "On a worse day the source answers two at once. From one up to 16: the run finds out.",
        )
        source.at_once = 2
        follow = " --parallel-min 1 --events events.ndjson"
        dates, took = measured(demo, source, month(5, 28, 16) + follow)
        rows.append(["--parallel-min 1, 28 days, a worse day", source.most, source.refused, f"{took:.1f} s"])
        told = [json.loads(line) for line in (demo.folder / "events.ndjson").read_text().splitlines()]
        steps = [(one["before"], one["parallel"]) for one in told if one["event"] == "parallel_changed"]
        demo.check_equal("it began with one, and doubled while all was well", steps[0], (1, 2))
        down = [f"{before} → {now}" for before, now in steps if now < before]
        demo.check("a refusal took it down", len(down) > 0, down)
        demo.check(
            "such a source refused less often than the sound one before",
            source.refused < fixed,
            f"{source.refused}, before {fixed}",
        )
        demo.check_equal("and every day is there", source.answered, 28)

        demo.step("A bound for everybody", "What the source bears is known: it belongs into the DAG file.")
        source.at_once = BEARS
        demo.edit(file, "max_active_runs=16", f"max_active_runs={BEARS}")
        dates, took = measured(demo, source, month(7, 12, 16))
        rows.append([f"max_active_runs={BEARS}", source.most, source.refused, f"{took:.1f} s"])
        demo.check_equal("--parallel 16 opens four dates", dates, BEARS)
        demo.check_equal("and nothing is refused", source.refused, 0)

        demo.step("From another terminal", "A backfill of two dates at once is at work. Is it? And could it be more?")
        marks.put(__file__, "closed")
        source.forget()
        going = demo.start(month(8, 8, 2), SOURCE=source.url)
        wait_until(lambda: at_work(demo, 8) == 2, "two dates are at work")
        demo.bfill("status --dag scenario_17_08_02 --start 2025-08-01 --end 2025-08-04")
        demo.bfill(f"set scenario_17_08_02 parallel={BEARS}")
        wait_until(lambda: at_work(demo, 8) >= BEARS, "four dates are at work")
        demo.check_equal("two more have begun, before any of the first two has ended", at_work(demo, 8), BEARS)
        marks.take_away(__file__, "closed")
        demo.wait(going)
        demo.check("four asked the source at once, at most", source.most <= BEARS, source.most)
        demo.check_equal("so it refused none", source.refused, 0)

        demo.step("Side by side", "Requests at once, refusals, and time from the first try to the last.")
        demo.table(["how", "at once", "refused", "took"], rows)
    demo.say(
        "Best practice: measure with a few dates what the source bears, and write it into the DAG file as "
        "max_active_runs. Where it changes from hour to hour, give a range rather than a number: --parallel-min 1. "
        "More dates at once than the source answers are no more speed."
    )


if __name__ == "__main__":
    play(main)
