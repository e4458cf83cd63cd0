"""Resources: what a backfill may take, who goes first, what is left

Question: A backfill and the regular runs load into one warehouse, which bears two loads at once. Who waits for whom,
and is the warehouse busy all the time, or idle while everybody waits?

What goes wrong: The backfill has a hundred tasks ready whenever a slot is free, the regular run has one. Served in
turns, the table that everybody looks at in the morning comes as late as one of last year.

What bfill does: A pool is the number of loads the warehouse bears, of all DAGs and processes. Within a backfill the
weightier task takes the next free slot. Among processes scheduled runs come before backfills; they take over slots as
running tasks end, and the backfill has them back when they are done. Nothing is stopped for it.

What to look at: which tries began, in which order; the slots taken, moment by moment.

When not to do it: a weight is an order, no bound, and it counts within one process. Tasks that nothing shares need no
pool: it would only make them wait. What lets the same dates and rows alone is 17.7.4.
"""

from __future__ import annotations

from datetime import datetime
from signal import SIGINT
from time import sleep

from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, Span, most_at_once
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["performance", "control", "advanced", "success"]

SLOTS = 2
FACTS = 1
"""The weight of the facts; the statistics have 1."""

with DAG("scenario_17_08_03", schedule="@daily", start_date=datetime(2025, 1, 1), max_active_runs=8) as dag:

    @task(pool="warehouse", priority_weight=FACTS)
    def facts() -> None:
        """What people wait for."""
        sleep(0.1)

    @task(pool="warehouse")
    def statistics() -> None:
        """What can wait; it needs nothing of the facts."""
        sleep(0.1)

    facts()
    statistics()

with DAG("regular", schedule="@daily", start_date=datetime(2025, 6, 1), catchup=True, max_active_runs=8):

    @task(pool="warehouse")
    def today() -> None:
        """The run of every night; a few nights of it, so that there is something to count."""
        sleep(0.1)

    today()


def backfill(first: str, last: str) -> str:
    """A backfill from a day of 2025 to another one, eight dates open at once."""
    return f"run --dag scenario_17_08_03 --start 2025-{first} --end 2025-{last} --parallel 8"


def begun(made: list[Attempt]) -> list[Attempt]:
    """Tries as they began."""
    return sorted(made, key=lambda one: one.span.start)


def utilisation(spans: list[Span], slots: int) -> float:
    """The share of the slots' time that was used, from the first start to the last end."""
    wall = max(one.end for one in spans) - min(one.start for one in spans)
    return sum(one.end - one.start for one in spans) / (slots * wall)


def ahead(demo: Demo, made: list[Attempt]) -> int:
    """How many statistics began while facts were still to begin."""
    order = [one.task_id for one in begun(made)]
    last = max(at for at, name in enumerate(order) if name == "facts")
    demo.table(["began", "tasks"], [["first half", ", ".join(order[: len(order) // 2])]])
    return order[:last].count("statistics")


def beside(demo: Demo, long: str, now: str) -> tuple[list[Attempt], list[Attempt]]:
    """Let the scheduler run eight nights beside a long backfill, which is stopped when it has gone on behind them.

    Returns:
        The tries of the nights, and those of the backfill.
    """
    known = {*demo.attempts(), *demo.attempts("regular")}

    def new(dag_id: str) -> list[Attempt]:
        return begun([one for one in demo.attempts(dag_id) if one not in known])

    going = demo.start(long)
    wait_until(lambda: len(new(demo.dag_id)) >= 4, "the backfill is at work")
    demo.bfill(f"scheduler --once --dag regular --now {now}")
    nights = new("regular")
    demo.check(
        "eight nights are done, and the backfill is at work", (len(nights), going.is_running) == (8, True), "it is"
    )
    wait_until(lambda: new(demo.dag_id)[-1].span.start > nights[-1].span.end, "the backfill has gone on")
    going.send(SIGINT)
    demo.wait(going, expect=None)
    return nights, new(demo.dag_id)


def between(nights: list[Attempt], others: list[Attempt]) -> int:
    """Tries of the backfill that began after the first night had begun, and before the last one had."""
    return sum(nights[0].span.start < one.span.start < nights[-1].span.start for one in others)


@scenario
def main(demo: Demo) -> None:
    """Play it: a pool, a weight, and regular runs beside a backfill: in turns, and first."""
    file = demo.copy_of_dag()
    demo.bfill(f"pools set warehouse {SLOTS}")

    demo.step("A pool", "Eight dates are open, sixteen tasks are ready, and the warehouse bears two.")
    demo.bfill(backfill("01-01", "01-08"))
    made = demo.attempts()
    demo.check_equal("two loads at once, no more", most_at_once(one.span for one in made), SLOTS)
    used = utilisation([one.span for one in made], SLOTS)
    demo.check("and no slot idle for long while there was work", used > 0.5, f"{used:.0%} of the slots' time was used")
    mixed = ahead(demo, made)
    demo.check("without weights one date goes after the other", mixed > 2, f"{mixed} statistics before the last facts")

    demo.step("A weight", "The facts of all dates are wanted first.")
    demo.edit(file, "FACTS = 1\n", "FACTS = 10\n")
    before = demo.attempts()
    demo.bfill(backfill("02-01", "02-08"))
    weighed = ahead(demo, [one for one in demo.attempts() if one not in before])
    demo.check("facts go before statistics, whatever their date", weighed <= 1, f"{weighed} before the last facts")

    demo.step(
        "Regular runs, in turns",
        "Eight nights are due while a long backfill is at work; all have the same right. Ctrl-C ends it afterwards.",
    )
    demo.show("bfill.toml", "scheduled_first = false\n")
    nights, others = beside(demo, backfill("03-01", "05-31"), "2025-06-09T01:00Z")
    turns = between(nights, others)
    demo.check("the backfill goes on between them", turns > 2, f"{turns} of its tries began before the last night")

    demo.step("Regular runs first", "What bfill does when nobody says otherwise.")
    demo.show("bfill.toml", "")
    nights, others = beside(demo, backfill("07-01", "09-30"), "2025-06-17T01:00Z")
    first = between(nights, others)
    demo.check(
        "they do not wait for the backfill", first <= turns // 3, f"{first} of its tries began between, before {turns}"
    )
    both = begun([*nights, *others])
    near = [one for one in both if nights[0].span.start - 0.5 < one.span.start < nights[-1].span.end + 0.5]
    demo.timeline({f"{one.task_id} {one.day[5:]}": one.span for one in near})
    most = most_at_once(one.span for one in both)
    demo.check("two at once, of both processes", most <= SLOTS, most)
    back = sum(one.span.start > nights[-1].span.end for one in others)
    demo.check("then the backfill has its slots back", back > 0, f"{back} of its tries began behind the last night")

    demo.step(
        "Best practice",
        "Size the pool by what the system bears, not by what the backfill would like. Give a weight to what people "
        "wait for, leave scheduled_first as it is, and a backfill may run by day.",
    )


if __name__ == "__main__":
    play(main)
