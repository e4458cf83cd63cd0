"""max_active_runs: 48 missed hours, and a source that bears only four

Question: An hourly DAG was off for two days and is switched on again. Does the source behind it now get 48 requests at
once, and what do I pay when it does not?

What goes wrong: Whatever was missed is all due at the same moment. A source that is asked once an hour in quiet times
gets a burst, refuses a part of it, and the retries make the burst longer.

What bfill does: max_active_runs is how many dates of the DAG are open at once, in a catch-up as in a backfill: the next
is opened when one is over, oldest first. All 48 are created, whatever it is; only their pace differs.

What to look at: the most dates open at once, counted from the attempts; what the source saw, and refused; the seconds.

When not to do it: where DAGs share a source, a bound on each is none on their sum. Give the source a pool. And 1 is for
what must not overlap (17.4.1), not for being careful: it is the slowest there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from os import environ
from typing import NamedTuple
from urllib.request import urlopen

from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, by_date, most_at_once
from _shared.systems import System

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

MISSED = 48
BEARS = 4
ANSWER_S = 0.04

with DAG("scenario_17_01_03", schedule="@hourly", start_date=datetime(2024, 1, 1), catchup=True, max_active_runs=3):

    @task(retries=50, retry_delay=timedelta(milliseconds=100))
    def ask() -> None:
        """Ask the source for an hour; a 503 is an error, and tried again."""
        if "SOURCE" in environ:  # there is one while the story is played
            with urlopen(environ["SOURCE"], timeout=30) as answer:
                answer.read()

    ask()


class Seen(NamedTuple):
    """What one catch-up came to."""

    dates: int
    open_at_once: int
    requests_at_once: int
    refused: int
    seconds: float


def catch_up(demo: Demo, source: System, now: str) -> Seen:
    """Run what was missed until now, and return what the attempts and the source say of it."""
    source.forget()
    before = {one.day for one in demo.attempts()}
    demo.bfill(f"scheduler --once --dag scenario_17_01_03 --now {now}", SOURCE=source.url)
    made = [one for one in demo.attempts() if one.day not in before]
    dates = by_date(made)
    return Seen(len(dates), most_at_once(dates), source.most, source.refused, seconds(made))


def seconds(made: Iterable[Attempt]) -> float:
    """From the first start to the last end."""
    spans = [one.span for one in made]
    return max(one.end for one in spans) - min(one.start for one in spans)


@scenario
def main(demo: Demo) -> None:
    """Play it: three times two days behind, with 3, 1 and 16."""
    file = demo.copy_of_dag()
    with System(at_once=BEARS, takes_s=ANSWER_S) as source:
        demo.step(
            "Two days late, three at a time",
            f"The DAG lies in {file}. The source takes {ANSWER_S * 1000:.0f} ms for an answer, bears {BEARS} requests "
            "at once and says 503 to the next.",
        )
        three = catch_up(demo, source, "2024-01-03T00:00Z")
        demo.check_equal("all 48 missed hours have run", three.dates, MISSED)
        demo.check_equal("three were open at once, never four", three.open_at_once, 3)
        demo.check("the source never saw more than that", three.requests_at_once <= 3, three.requests_at_once)
        demo.check_equal("it refused nothing", three.refused, 0)
        spans = list(by_date(demo.attempts()).values())
        unfinished = [sum(one.end > hour.start for one in spans[:place]) for place, hour in enumerate(spans)]
        demo.check(
            "oldest first: an hour began with at most two older ones unfinished", max(unfinished) <= 2, unfinished
        )

        demo.step("Two more days late, one at a time", "What the careful choice costs.")
        demo.edit(file, "max_active_runs=3", "max_active_runs=1")
        one = catch_up(demo, source, "2024-01-05T00:00Z")
        demo.check_equal("again 48 hours, never two at once", (one.dates, one.open_at_once), (MISSED, 1))
        demo.check(
            "they take as long as all answers together",
            one.seconds >= MISSED * ANSWER_S,
            f"{one.seconds:.2f} s, {MISSED * ANSWER_S:.1f} s of answers",
        )
        demo.check(
            "with three at a time it was over sooner",
            three.seconds < one.seconds,
            f"{one.seconds / three.seconds:.1f}x",
        )

        demo.step("And two more, sixteen at a time", "Sixteen is the default of max_active_runs.")
        demo.edit(file, "max_active_runs=1", "max_active_runs=16")
        many = catch_up(demo, source, "2024-01-07T00:00Z")
        demo.check_equal("again 48 hours, all done in the end", many.dates, MISSED)
        demo.check("never more than 16 were open", BEARS < many.open_at_once <= 16, many.open_at_once)
        demo.check("the source saw more than it bears", many.requests_at_once > BEARS, many.requests_at_once)
        demo.check("it refused requests that had to be made again", many.refused > 0, many.refused)
        retried = sum(try_.try_number > 1 for try_ in demo.attempts())
        demo.check_equal("each refusal is one more try in the store", retried, many.refused)

    demo.step("Side by side")
    demo.table(
        ["max_active_runs", "open at once", "requests at once", "refused", "seconds"],
        [
            (name, seen.open_at_once, seen.requests_at_once, seen.refused, f"{seen.seconds:.2f}")
            for name, seen in ((1, one), (3, three), (16, many))
        ],
    )
    demo.check_equal(
        "nothing was run twice",
        demo.stored("SELECT count(*), state FROM v_dag_runs GROUP BY state"),
        [(144, "success")],
    )
    demo.step(
        "Best practice",
        "Set max_active_runs to what the weakest system behind the DAG bears, in the DAG: the day it is needed is the "
        "one after a downtime, when nobody thinks of a flag.",
    )


if __name__ == "__main__":
    play(main)
