"""The first run has no past, or one that you may choose to ignore

Question: A task depends on the day before. What does the very first day depend on, what a backfill that begins in the
middle, and how do I begin behind a day that will never succeed?

What goes wrong: People fear that the first date waits for ever, and switch the flag off "for the backfill". Or a day
of last year failed, was never repaired, and holds everything that anybody wants to run behind it.

What bfill does: The previous run is the latest earlier dag_run there is. Without one there is nothing to wait for;
dates that were never run are passed over. --ignore-first-depends-on-past lets the first date of a backfill begin
without looking; the second one looks at the first, as always.

What to look at: the plan that says "would be blocked" before anything runs; the order of the attempts; what explain
says of the first date and of the second.

When not to do it: to get past a failed day whose result the next day needs. Repair that day: rerun-failed takes what
is blocked behind it along.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAG_ID = "--dag 17.4.2"

with DAG("scenario_17_04_02", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task(depends_on_past=True)
    def inventory(ds: str) -> None:
        """Count the shelves, from yesterday's count on."""
        marks.fail_if(__file__, f"the shelf of {ds}")

    inventory()


def states(demo: Demo) -> dict[str, str]:
    """Day → state of its dag_run, as stored."""
    return {day[:10]: state for day, state in demo.stored("SELECT logical_date, state FROM v_dag_runs ORDER BY 1")}


def rule(demo: Demo, day: str) -> tuple[str, str]:
    """What explain says of depends_on_past on a day: the verdict, and the words."""
    rules = demo.ask(f"explain {DAG_ID} {day}")["tasks"][0]["rules"]
    return next((one["verdict"], one["text"]) for one in rules if one["rule"] == "depends_on_past")


@scenario
def main(demo: Demo) -> None:
    """Play it: the first date there is, a start in the middle, and one behind a date that failed."""
    demo.step("The first run there is", "No dag_run is before the 1st, so there is nothing to wait for.")
    demo.check_equal("explain says so before it runs", rule(demo, "2024-05-01"), ("met", "no dag_run is before it"))
    demo.bfill(f"run {DAG_ID} --start 2024-05-01 --end 2024-05-03 --parallel 3")
    demo.check_equal("three days are done", list(states(demo).values()), ["success"] * 3)

    demo.step(
        "A start in the middle",
        "The next backfill begins a week later. Its first date looks at the latest dag_run before it, the 3rd: the "
        "days between never ran, and are passed over.",
    )
    demo.bfill(f"explain {DAG_ID} 2024-05-10")
    previous = demo.ask(f"explain {DAG_ID} 2024-05-10")["previous"]
    found = (previous["logical_date"][:10], previous["missing_between"])
    demo.check_equal("its previous run is the 3rd, six dates back", found, ("2024-05-03", 6))
    demo.bfill(f"run {DAG_ID} --dates 2024-05-10")
    demo.check_equal("a gap holds nobody", states(demo)["2024-05-10"], "success")

    demo.step("Behind a day that fails", "The shelf of the 11th has fallen over, and will not be counted any more.")
    marks.put(__file__, "the shelf of 2024-05-11")
    demo.bfill(f"run {DAG_ID} --dates 2024-05-11", expect=1)
    planned = demo.bfill(f"plan {DAG_ID} --start 2024-05-12 --end 2024-05-14 --dry-run")
    told = "2024-05-12 and 2 dates behind it would be blocked: inventory waits for 2024-05-11"
    demo.check("the plan says it before anything runs", told in " ".join(planned.out.split()), told)
    made = len(demo.attempts())
    demo.bfill(f"run {DAG_ID} --start 2024-05-12 --end 2024-05-14", expect=1)
    after = states(demo)
    blocked = [day for day in ("2024-05-12", "2024-05-13", "2024-05-14") if after[day] == "queued"]
    demo.check_equal("and so it is: three blocked, exit 1", len(blocked), 3)
    demo.check_equal("nothing was tried", len(demo.attempts()) - made, 0)

    demo.step(
        "A new beginning, on purpose",
        "Somebody has counted by hand in the night to the 12th, so the 12th is a new first day. --reason says why; it "
        "stands in the audit trail.",
    )
    words = "--ignore-first-depends-on-past --parallel 3"
    demo.bfill(
        f"run {DAG_ID} --start 2024-05-12 --end 2024-05-14 {words} --reason 'counted by hand in the night to the 12th'"
    )
    after = states(demo)
    done = [after[day] for day in ("2024-05-12", "2024-05-13", "2024-05-14")]
    demo.check_equal("the three are done", done, ["success"] * 3)
    demo.check_equal("the 11th still says that it failed", after["2024-05-11"], "failed")
    spans = by_task(demo.attempts())
    order = [spans[f"2024-05-{day}", "inventory"] for day in (12, 13, 14)]
    gaps = [later.start - before.end for before, later in pairwise(order)]
    demo.check(
        "only the first ignored the past: the others came in their order",
        min(gaps) >= 0,
        [f"{gap * 1000:,.1f} ms after" for gap in gaps],
    )
    reasons = demo.stored("SELECT DISTINCT reason FROM v_audit WHERE reason IS NOT NULL")
    demo.check_equal("the record says why", reasons, [("counted by hand in the night to the 12th",)])

    demo.step(
        "Best practice",
        "Leave the flag in the DAG; the first date needs no help. Look at the plan: it names what would be blocked and "
        "by what. Ignore the past only where somebody has put its result there in another way, and say so in --reason.",
    )


if __name__ == "__main__":
    play(main)
