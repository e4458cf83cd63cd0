"""One day fails, the chain stops; one repair, and it goes on by itself

Question: The third of seven days failed. Which of the others ran, which did not, why, and what do I have to type to
get all of them done?

What goes wrong: Behind a failed day every later day would add to a number that is not there. A tool that runs them
all the same makes seven wrong days out of one; a tool that just hangs makes people clear dates at random.

What bfill does: A day whose past failed is never started. Its dag_run stays queued, is reported as blocked with the
date and task it waits for, and the command ends, exit 1: nothing hangs. rerun-failed runs the failed day again and
lets the blocked ones go on behind it, in their order.

What to look at: the list of blocked dates; explain, which follows the chain to the day that began it; the attempts:
one day was tried twice, all others once.

When not to do it: do not run the blocked days with --ignore-first-depends-on-past to have them green.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-05-0{number}" for number in range(1, 8)]
RANGE = f"--dag 17.4.3 --start {DAYS[0]} --end {DAYS[-1]}"
FAILED, BLOCKED = DAYS[2], DAYS[3:]

with DAG("scenario_17_04_03", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task
    def fetch(ds: str) -> str:
        """Fetch the bookings of a day: needs no past."""
        return f"bookings of {ds}"

    @task(depends_on_past=True)
    def book(bookings: str, ds: str) -> None:
        """Add them to the ledger of the day before."""
        marks.fail_if(__file__, f"ledger on {ds}")

    book(fetch())


def tries(demo: Demo, task_id: str) -> dict[str, int]:
    """Day → how often a task was tried."""
    return dict(Counter(one.day for one in demo.attempts() if one.task_id == task_id))


@scenario
def main(demo: Demo) -> None:
    """Play it: a chain that stops, why, and the repair."""
    demo.step("Seven days, the third fails", "Four dates are open at once; the ledger is down on the 3rd.")
    marks.put(__file__, f"ledger on {FAILED}")
    ran = demo.bfill(f"run {RANGE} --parallel 4", expect=1)
    demo.check_equal("it ends, and says that not all is well", ran.code, 1)
    found = demo.ask(f"status {RANGE}")["runs"]
    states = {one["logical_date"][:10]: one["state"] for one in found}
    standing = {**dict.fromkeys(DAYS[:2], "success"), FAILED: "failed", **dict.fromkeys(BLOCKED, "blocked")}
    demo.check_equal("two done, one failed, four blocked behind it", states, standing)
    demo.check_equal("no blocked day was booked", sorted(tries(demo, "book")), DAYS[:3])
    demo.check_equal("what needs no past ran on all days", sorted(tries(demo, "fetch")), DAYS)

    demo.step("Which, and why?", "Each blocked date has its reason in the store: the nearest date it waits for.")
    reasons = {one["logical_date"][:10]: one["reason"] for one in found if one["state"] == "blocked"}
    demo.table(["date", "reason"], reasons.items())
    waits = [reason.split(": ")[0] for reason in reasons.values()]
    demo.check_equal("each waits for the day before", waits, [f"book waits for {day}" for day in DAYS[2:-1]])
    demo.say("The last one waits for the one before it, and so on. explain follows that to where it began:")
    demo.bfill(f"explain --dag 17.4.3 {DAYS[-1]}")
    last = demo.ask(f"explain --dag 17.4.3 {DAYS[-1]}")
    cause = last["tasks"][1]["cause"]
    found_cause = (cause["logical_date"][:10], cause["task_id"], cause["dates"])
    demo.check_equal("the cause is book of the 3rd, four dates back", found_cause, (FAILED, "book", 4))

    demo.step("Asking again changes nothing", "The same command while the ledger is still down.")
    before = tries(demo, "book")
    demo.bfill(f"run {RANGE} --parallel 4", expect=1)
    demo.check_equal("nothing was booked, nothing was tried twice", tries(demo, "book"), before)

    demo.step("Repair", f"The ledger is back. explain has named the command: {last['next_command']}")
    marks.take_away(__file__, f"ledger on {FAILED}")
    demo.check("it begins at the cause", FAILED in last["next_command"], last["next_command"])
    demo.bfill(last["next_command"].removeprefix("bfill ") + " --parallel 4")
    demo.check_equal(
        "the 3rd was tried twice, the others once", tries(demo, "book"), {d: 1 + (d == FAILED) for d in DAYS}
    )
    demo.check_equal("nothing was fetched again", tries(demo, "fetch"), dict.fromkeys(DAYS, 1))
    spans = by_task(demo.attempts())
    gaps = [spans[later, "book"].start - spans[day, "book"].end for day, later in pairwise(DAYS)]
    demo.check("all seven were booked in their order", min(gaps) >= 0, f"{min(gaps) * 1000:,.1f} ms between, at least")
    demo.check_equal("the range is done: exit 0", demo.bfill(f"run {RANGE}").code, 0)

    demo.step(
        "Best practice",
        "Repair the cause, not the dates behind it: rerun-failed takes them along, each once, in order. With a chain, "
        "exit code 1 and one failed date may mean a month that waits; let somebody be told, with --on-event.",
    )


if __name__ == "__main__":
    play(main)
