"""Skipped, branched, several downstreams: what counts as done

Question: Behind the task with wait_for_downstream lie a branch, an alarm that mostly does not go off, a clean-up that
always runs. Which of them has to be green before the next day begins?

What goes wrong: Somebody fears that a skipped task holds the chain for ever, and takes the flag out. Somebody else
trusts the colour of the date: it is success, for its last task is, and still the next day is held, by a task in the
middle that never ran.

What bfill does: Every task directly behind counts, whatever its trigger rule, and the slowest decides. success and
skipped are done; failed and upstream_failed are not, also on a date that is success as a whole. `plan` names the task
and how to have it run again: rerun-failed takes failed dates, and this one is none.

What to look at: the table of states a day; when the next day began against the end of each task directly behind.

When not to do it: a task that may fail without consequence does not belong directly behind one with this flag.
"""

from datetime import date, datetime
from itertools import pairwise
from time import sleep

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

FRIDAY, SATURDAY, SUNDAY, MONDAY = (f"2024-11-0{number}" for number in range(1, 5))
DAYS = [FRIDAY, SATURDAY, SUNDAY, MONDAY]
TASKS = ["choose", "weekday", "weekend", "alarm", "rates", "archive", "clean_up"]
BEHIND = ["weekday", "weekend", "alarm", "archive"]
"""Directly behind the task that waits."""

with DAG("scenario_17_05_04", schedule="@daily", start_date=datetime(2024, 11, 1)) as dag:

    @task.branch(wait_for_downstream=True)
    def choose(ds: str) -> list[str]:
        """Follow one of two, and the alarm and the archive always."""
        return ["weekend" if date.fromisoformat(ds).weekday() > 4 else "weekday", "alarm", "archive"]

    @task
    def weekday(ds: str) -> None:
        """The quick one: five days a week."""
        sleep(0.05)

    @task
    def weekend(ds: str) -> None:
        """The slow one: on the other two."""
        sleep(0.3)

    @task(trigger_rule="one_failed")
    def alarm(ds: str) -> None:
        """Skipped by its rule, as long as nothing before it fails."""

    @task
    def rates(ds: str) -> None:
        """The archive needs them; nobody waits for them from day to day."""
        marks.fail_if(__file__, f"rates {ds}")

    @task
    def archive(ds: str) -> None:
        """Behind two tasks: choose, and rates."""
        sleep(0.15)

    @task(trigger_rule="all_done")
    def clean_up(ds: str) -> None:
        """The last one: it runs whatever has become of the others, and makes the date a success."""

    archived = archive()
    rates() >> archived
    choose() >> [weekday(), weekend(), alarm(), archived] >> clean_up()


def states(demo: Demo, days: list[str]) -> dict[str, dict[str, str]]:
    """Day → task → state, shown as a table."""
    found = {day: {task_id: demo.state_of(task_id, day) or "none" for task_id in TASKS} for day in days}
    demo.table(
        ["", *(day[5:] for day in days)], [[task_id, *(found[day][task_id] for day in days)] for task_id in TASKS]
    )
    return found


@scenario
def main(demo: Demo) -> None:
    """Play it: skips that hold nobody, the slowest that holds, and a task that never ran on a date that is green."""
    demo.step("A week-end", "Friday to Monday, four at once. The branch skips a task each day, and a rule another one.")
    demo.bfill(f"run --dag 17.5.4 --start {FRIDAY} --end {MONDAY} --parallel 4")
    found = states(demo, DAYS)
    skipped = [sum(found[day][one] == "skipped" for one in BEHIND) for day in DAYS]
    demo.check_equal("on each day two of the four tasks directly behind were skipped", skipped, [2] * 4)
    demo.check_equal(
        "and every day has run: skipped counts as done", {found[day]["clean_up"] for day in DAYS}, {"success"}
    )

    demo.step(
        "The slowest decides", "Each day but the first, against what lies directly behind choose of the day before."
    )
    spans = by_task(demo.attempts())
    rows, gaps = [], []
    for last, day in pairwise(DAYS):
        after = {one: spans[day, "choose"].start - spans[last, one].end for one in BEHIND if (last, one) in spans}
        slowest = min(after, key=lambda one: after[one])
        rows.append([day, slowest, *(f"{after[one] * 1000:,.0f} ms" for one in (slowest, "archive"))])
        gaps.append(after[slowest])
    demo.table(["choose of", "slowest, the day before", "began after it", "after archive"], rows)
    demo.check("no day began before the slowest was over", min(gaps) >= 0, [row[2] for row in rows])
    slow = [row[1] for row in rows]
    demo.check("which is not the same one every day", len(set(slow)) > 1, slow)

    demo.step(
        "A green date that holds the next",
        "On the 5th there are no rates. The archive is upstream_failed, clean_up runs all the same, and so the date is "
        "success: exit code 0. Then somebody plans the 6th.",
    )
    marks.put(__file__, "rates 2024-11-05")
    demo.bfill("run --dag 17.5.4 --dates 2024-11-05")
    states(demo, ["2024-11-05"])
    demo.bfill("plan --dag 17.5.4 --dates 2024-11-06 --dry-run")
    (warning,) = demo.ask("plan --dag 17.5.4 --dates 2024-11-06 --dry-run")["warnings"]
    demo.check_equal("the plan says that it would be blocked", warning["code"], "would-block")
    demo.check("for the archive never ran", "archive is upstream_failed" in warning["message"], warning["message"])
    demo.bfill("run --dag 17.5.4 --dates 2024-11-06", expect=1)
    tried = [one for one in demo.attempts() if (one.day, one.task_id) == ("2024-11-06", "choose")]
    demo.check("so it is: choose was not tried", not tried, f"{len(tried)} attempts of choose on the 6th")

    demo.step("Repair", "The rates are there. rerun-failed finds no failed date, but what the plan has said works.")
    marks.take_away(__file__, "rates 2024-11-05")
    before = demo.attempts()
    demo.bfill(f"{warning['hint'].partition('bfill ')[2]} --yes")
    demo.bfill("run --dag 17.5.4 --start 2024-11-05 --end 2024-11-06")
    again = sorted(one.task_id for one in demo.attempts() if one not in before and one.day == "2024-11-05")
    demo.check_equal("of the 5th only rates and archive ran again", again, ["archive", "rates"])
    demo.check_equal("and the 6th has gone through", demo.state_of("clean_up", "2024-11-06"), "success")

    demo.step(
        "Best practice",
        "Let skips be: they hold nobody. Look at tasks, not at the colour of a date, when a chain stands still. "
        "What may fail without consequence, or is slow without need, does not belong directly behind: all days wait.",
    )


if __name__ == "__main__":
    play(main)
