"""Two backfills at once: on the same dates, one table, one system

Question: A colleague starts a backfill while mine runs. What can go wrong, and what keeps us apart?

What goes wrong: Both load the same dates, and everything is there twice. Or the dates differ, and both change one row:
each reads it, computes, and writes it back, and what the other has written meanwhile is gone; that happens within one
backfill as well, between the threads of --parallel. Or each keeps to the limit of the system they ask, and the two
together do not.

What bfill does: A date belongs to one process at a time; the second is refused with exit 5, which names the first. What
lies outside of the dates it cannot know: there a pool says how many tasks may use a thing at once, for every DAG and
every process of the store.

What to look at: bookings made and bookings in the balance; the tries of both DAGs on one axis; what the system refused.

When not to do it: a pool of one slot is a queue. Where a row can be changed in one statement, or each date has rows of
its own, nothing need wait: that comes first, and the pool is for what cannot be changed.
"""

from __future__ import annotations

import os
import urllib.request
from datetime import datetime
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, most_at_once
from _shared.processes import wait_until
from _shared.systems import System

from backfill_cli import DAG, task

TAGS = ["anti-pattern", "control", "advanced", "failure"]

FROM = datetime(2025, 3, 1)
POOL = "default_pool"
"""Of all tasks here; `default_pool` holds 128, so it holds nobody."""


def book(amount: int) -> None:
    """Read the balance, compute, write it back: what programs do that load an object and save it."""
    with warehouse.connect(__file__) as db:
        (balance,) = db.execute("SELECT amount FROM balance").fetchone()
    sleep(0.05)
    with warehouse.connect(__file__) as db:
        db.execute("UPDATE balance SET amount = ?", [balance + amount])


with DAG("scenario_17_07_04", schedule="@daily", start_date=FROM) as dag:

    @task(pool=POOL)
    def sell() -> None:
        """Book the day's sale: an amount of 1, so that the balance is the number of bookings."""
        marks.wait_while(__file__, "closed")
        book(1)

    sell()

with DAG("returns", schedule="@daily", start_date=FROM):

    @task(pool=POOL)
    def give_back() -> None:
        """Another DAG, another table for all that bfill knows; and the same balance."""
        marks.wait_while(__file__, "closed")
        book(1)

    give_back()

with DAG("prices", schedule="@daily", start_date=FROM):

    @task(pool=POOL)
    def ask() -> None:
        """Ask a system outside for the day's prices."""
        marks.wait_while(__file__, "closed")
        urllib.request.urlopen(os.environ["SYSTEM"], timeout=30).close()

    ask()


def days(dag_id: str, first: int, last: int, parallel: int) -> str:
    """A run of some days of March."""
    return f"run --dag {dag_id} --start 2025-03-{first:02} --end 2025-03-{last:02} --parallel {parallel}"


def balance() -> int:
    """The balance, which is set to 0."""
    with warehouse.connect(__file__) as db:
        (amount,) = db.execute("SELECT amount FROM balance").fetchone()
        db.execute("UPDATE balance SET amount = 0")
    return int(amount)


def together(demo: Demo, *commands: str, tasks: int, **environ: str) -> list[Attempt]:
    """Run two commands in two processes; return the tries of both. They begin when so many tasks are there."""
    before = [one for dag_id in (demo.dag_id, "returns", "prices") for one in demo.attempts(dag_id)]
    marks.put(__file__, "closed")
    both = [demo.start(command, **environ) for command in commands]
    busy = """SELECT (SELECT count(*) FROM backfills WHERE state = 'running'),
                     (SELECT count(*) FROM task_instances WHERE state = 'running')"""
    wait_until(lambda: demo.stored(busy) >= [(2, tasks)], f"both have begun, with {tasks} tasks")
    marks.take_away(__file__, "closed")
    for one in both:
        demo.wait(one, expect=None)
    after = [one for dag_id in (demo.dag_id, "returns", "prices") for one in demo.attempts(dag_id)]
    return sorted((one for one in after if one not in before), key=lambda one: one.span.start)


def drawn(demo: Demo, made: list[Attempt]) -> int:
    """Show tries on one axis; return how many there were at once, at most."""
    demo.timeline({f"{one.task_id} {one.day[5:]}": one.span for one in made})
    return most_at_once(one.span for one in made)


@scenario
def main(demo: Demo) -> None:
    """Play it: dates, a row, a system; each in conflict first, and then kept apart."""
    file = demo.copy_of_dag()
    with warehouse.connect(__file__) as db:
        db.execute("CREATE TABLE balance (amount)")
        db.execute("INSERT INTO balance VALUES (0)")

    demo.step("The same dates", f"Three DAGs lie in {file}. One backfill runs; somebody starts the same once more.")
    marks.put(__file__, "closed")
    first = demo.start(days("scenario_17_07_04", 1, 2, 2))
    wait_until(lambda: demo.state_of("sell", "2025-03-01") == "running", "the first one is at work")
    refused = demo.bfill(days("scenario_17_07_04", 2, 3, 2), expect=5)
    demo.check("the second is refused, and told whom it meets", f"pid {first.pid}" in refused.err, f"pid {first.pid}")
    marks.take_away(__file__, "closed")
    demo.wait(first)
    demo.check_equal("every date ran once", [one.day for one in demo.attempts()], ["2025-03-01", "2025-03-02"])
    balance()

    demo.step("One row, four threads", "Eight days, four at once, in one process. Each reads, computes, writes back.")
    demo.bfill(days("scenario_17_07_04", 3, 10, 4))
    there = balance()
    demo.check("bookings are lost, and every task is green", there < 8, f"{there} of 8 bookings are in the balance")

    demo.step("One row, two backfills", "Two DAGs, two processes, one day after another in each: --parallel 1.")
    sold, returned = days("scenario_17_07_04", 11, 14, 1), days("returns", 11, 14, 1)
    drawn(demo, together(demo, sold, returned, tasks=2))
    there = balance()
    demo.check("bookings are lost again: no date was shared", there < 8, f"{there} of 8 bookings are in the balance")

    demo.step("Change the row in one statement", "The best way where it can be done: nobody waits.")
    stale, sound = (
        '"UPDATE balance SET amount = ?", [balance + amount]',
        '"UPDATE balance SET amount = amount + ?", [amount]',
    )
    demo.edit(file, stale, sound)
    demo.bfill(days("scenario_17_07_04", 15, 22, 4))
    demo.check_equal("eight days, four at once: no booking is lost", balance(), 8)

    demo.step("A pool", "The program cannot be changed. A pool of one slot lets one task of all DAGs near it.")
    demo.edit(file, sound, stale)
    demo.edit(file, 'POOL = "default_pool"', 'POOL = "account"')
    demo.bfill("pools set account 1")
    made = together(demo, f"{sold} --reset-dag-run", f"{returned} --reset-dag-run", tasks=1)
    demo.check_equal("never two at once, of both processes", drawn(demo, made), 1)
    demo.check_equal("no booking is lost", balance(), 8)

    demo.step(
        "A system outside", "It bears three requests at once. Each of two backfills keeps to that. No date is shared."
    )
    with System(at_once=3) as system:
        demo.edit(file, 'POOL = "account"', 'POOL = "default_pool"')
        halves = days("prices", 1, 6, 3), days("prices", 7, 12, 3)
        together(demo, *halves, tasks=6, SYSTEM=system.url)
        shown = f"{system.most} requests at once, {system.refused} refused"
        demo.check("together they are too many: requests are refused", system.refused > 0, shown)
        demo.edit(file, 'POOL = "default_pool"', 'POOL = "system"')
        demo.bfill("pools set system 3")
        system.forget()
        together(demo, *(f"{half} --reset-dag-run" for half in halves), tasks=1, SYSTEM=system.url)
        shown = f"{system.most} requests at once, {system.refused} refused, {system.answered} answered"
        demo.check("with a pool of three slots none is", (system.refused, system.answered) == (0, 12), shown)
        demo.check("which both of them share", system.most <= 3, system.most)

    demo.step(
        "Best practice",
        "Give each date rows of its own, or change a shared row in one statement. What is scarce outside gets a pool "
        "of its size, named after it, and every task that touches it names the pool. And do not start the same twice: "
        "exit 5 is no failure, it says that the work is being done.",
    )


if __name__ == "__main__":
    play(main)
