"""A failed downstream holds the next date, and its repair lets it go

Question: The task with wait_for_downstream is green, but the one behind it has failed. What becomes of the next date,
and what do I do?

What goes wrong: With depends_on_past alone nothing is held: the next date begins over what the failed task has not
dealt with. With wait_for_downstream people see green tasks and dates that never start, and clear things by hand.

What bfill does: wait_for_downstream sets depends_on_past, so the task itself counts as well. A failed task directly
behind it holds the next date: blocked, with the task and the date it waits for, exit 1. A task that still has retries
holds it too, until they are over. `rerun-failed` repairs the one task and lets all dates behind it go on, in order.

What to look at: the reason of each blocked date; the try numbers after the repair; when the next date began.

When not to do it: where a failure of the day before is none of the next date's business. Then neither flag is right.
"""

from datetime import datetime, timedelta

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import Attempt, by_task, gaps, in_ms

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-10-0{number}" for number in range(1, 7)]
BAD = DAYS[1]
RANGE = f"--dag scenario_17_05_03 --start {DAYS[0]} --end {DAYS[-1]}"
RETRY = {"retries": 1, "retry_delay": timedelta(milliseconds=200)}

with DAG("scenario_17_05_03", schedule="@daily", start_date=datetime(2024, 10, 1), default_args=RETRY) as dag:

    @task(wait_for_downstream=True)
    def stage(ds: str) -> None:
        """Fill the staging table."""
        marks.fail_if(__file__, f"stage {ds}")

    @task
    def publish(ds: str, try_number: int) -> None:
        """Empty it."""
        marks.fail_if(__file__, f"publish {ds}")
        marks.fail_if(__file__, f"publish {ds}, try {try_number}")

    stage() >> publish()


def tries(made: list[Attempt]) -> list[list[object]]:
    """One row a day: the try numbers of both tasks, and how the last one ended."""

    def told(day: str, task_id: str) -> str:
        mine = [one for one in made if (one.day, one.task_id) == (day, task_id)]
        return " ".join(f"{one.try_number} {one.outcome}" for one in mine) or "not tried"

    return [[day, told(day, "stage"), told(day, "publish")] for day in DAYS]


HEADINGS = ["day", "stage", "publish"]


@scenario
def main(demo: Demo) -> None:
    """Play it: what each flag holds, the repair, and the two neighbouring cases: a retry, and the task itself."""
    file = demo.copy_of_dag()
    demo.step("depends_on_past alone", f"The DAG lies in {file}. With the weaker flag, publish of {BAD} is down.")
    marks.put(__file__, f"publish {BAD}")
    demo.edit(file, "@task(wait_for_downstream=True)", "@task(depends_on_past=True)")
    demo.bfill(f"run {RANGE} --parallel 4", expect=1)
    demo.table(HEADINGS, tries(demo.attempts()))
    staged = sorted({one.day for one in demo.attempts() if one.task_id == "stage"})
    demo.check_equal("nothing was held: every day is staged, over what the 2nd has not published", staged, DAYS)

    demo.step("wait_for_downstream", "The same days from the beginning, with the same failure.")
    demo.edit(file, "@task(depends_on_past=True)", "@task(wait_for_downstream=True)")
    before = demo.attempts()
    demo.bfill(f"run {RANGE} --parallel 4 --reset-dag-run", expect=1)
    made = [one for one in demo.attempts() if one not in before]
    demo.table(HEADINGS, tries(made))
    staged = sorted({one.day for one in made if one.task_id == "stage"})
    demo.check_equal("stage ran for the day that failed, and for no day behind it", staged, DAYS[:2])
    held = demo.stored("SELECT logical_date, reason FROM v_dag_runs WHERE state = 'queued' ORDER BY logical_date")
    demo.check_equal("four days are held", len(held), 4)
    first = held[0][1]
    demo.check("the first of them names date and task", BAD in first and "publish is failed" in first, first)

    demo.step(
        "Repair", "The publisher is up again. rerun-failed needs no dates: it takes what failed, and what is behind it."
    )
    marks.take_away(__file__, f"publish {BAD}")
    before = demo.attempts()
    demo.bfill("rerun-failed --parallel 4")
    repair = [one for one in demo.attempts() if one not in before]
    demo.table(HEADINGS, tries(repair))
    again = [one.task_id for one in repair if one.day == BAD]
    demo.check_equal("of the 2nd only publish ran again", again, ["publish"])
    spans = by_task(repair)
    waited = gaps(spans, DAYS[1:], "stage", after="publish")
    demo.check("each day behind it was staged after the one before was published", min(waited) >= 0, in_ms(waited))
    demo.check_equal("all six days are done: exit 0", demo.bfill(f"run {RANGE}").code, 0)

    demo.step("A retry holds as well", "publish of the 7th is down when it is tried first, and up when it is again.")
    marks.put(__file__, "publish 2024-10-07, try 1")
    demo.bfill("run --dag scenario_17_05_03 --start 2024-10-07 --end 2024-10-08 --parallel 4")
    first, second = [one for one in demo.attempts() if one.day == "2024-10-07" and one.task_id == "publish"]
    began = by_task(demo.attempts())["2024-10-08", "stage"].start
    after = [(began - one.span.end) * 1000 for one in (first, second)]
    demo.check_equal("the first try failed, its retry did not", (first.outcome, second.outcome), ("retry", "success"))
    shown = f"{after[0]:+,.0f} ms after the first, {after[1]:+,.0f} ms after the second"
    demo.check("the 8th was staged after the second try", after[1] >= 0, shown)

    demo.step(
        "And the task itself",
        "wait_for_downstream sets depends_on_past: when stage of the 9th fails, the 10th is held by that alone.",
    )
    marks.put(__file__, "stage 2024-10-09")
    demo.bfill("run --dag scenario_17_05_03 --start 2024-10-09 --end 2024-10-10 --parallel 4", expect=1)
    reason = demo.stored("SELECT reason FROM v_dag_runs WHERE logical_date LIKE '2024-10-10%'")[0][0]
    demo.check("the reason names stage", "stage is failed" in reason, reason)

    demo.step(
        "Best practice",
        "Read the reason of the first blocked date: it is the only one that has a cause of its own. Mend that, then "
        "rerun-failed. Give the tasks directly behind a waiting one retries: they hold everybody.",
    )


if __name__ == "__main__":
    play(main)
