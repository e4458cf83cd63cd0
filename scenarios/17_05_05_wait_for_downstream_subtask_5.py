"""What it costs: three ways to wait, measured with the same work

Question: My chain waits from day to day, and --parallel 8 hardly helps. What does each flag cost me?

What goes wrong: The flag is put into default_args, "to be safe", and a month's backfill takes a month's nights. Then
somebody raises --parallel, which changes nothing: the dates are open, and wait.

What bfill does: A task that depends on the past has one date at work at a time. depends_on_past on every task is a
conveyor belt: as many dates at once as there are tasks in a row. wait_for_downstream takes two links of the belt at
once, so about half of that. --parallel only says how many dates may be open.

What to look at: dates at work at once; the shortest time each way can take, by adding up what must come after what,
and the time it took.

When not to do it: never take the flag from a task that needs it, for the sake of time: 17.5.2 counts the rows it costs.
"""

from datetime import datetime
from time import sleep
from typing import NamedTuple

from _shared.demo import Demo, play, scenario
from _shared.evidence import by_date, most_at_once

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-12-0{number}" for number in range(1, 7)]
RANGE = f"--dag scenario_17_05_05 --start {DAYS[0]} --end {DAYS[-1]}"
WORK_S = 0.06
"""What each of the four tasks takes."""

FLAGS = {"wait_for_downstream": True}

with DAG("scenario_17_05_05", schedule="@daily", start_date=datetime(2024, 12, 1)) as dag:

    @task(**FLAGS)
    def extract() -> None:
        """Each of the four does nothing for as long, and all of them have the flag."""
        sleep(WORK_S)

    @task(**FLAGS)
    def clean() -> None:
        sleep(WORK_S)

    @task(**FLAGS)
    def load() -> None:
        sleep(WORK_S)

    @task(**FLAGS)
    def publish() -> None:
        sleep(WORK_S)

    extract() >> clean() >> load() >> publish()

TASKS = ("extract", "clean", "load", "publish")
STEPS = {"nothing": 4, "depends_on_past": 5 + 4, "wait_for_downstream": 2 * 5 + 4, "one date at a time": 6 * 4}
"""Tasks that must come one after the other, at least, for six days of four tasks: five days before the last one."""


class Way(NamedTuple):
    """How six days went: dates at work at once, tries of one task at once, seconds from the first to the last."""

    dates: int
    same_task: int
    wall_s: float


def measured(demo: Demo, parallel: int) -> Way:
    """Run the six days anew, and add up the times of the attempts."""
    before = demo.attempts()
    demo.bfill(f"run {RANGE} --parallel {parallel} --reset-dag-run")
    made = [one for one in demo.attempts() if one not in before]
    demo.timeline(by_date(made))
    spans = [one.span for one in made]
    same = max(most_at_once(one.span for one in made if one.task_id == task_id) for task_id in TASKS)
    return Way(most_at_once(spans), same, max(one.end for one in spans) - min(one.start for one in spans))


@scenario
def main(demo: Demo) -> None:
    """Play it: the same six days three ways, eight at once; then with another --parallel."""
    file = demo.copy_of_dag()
    ways: dict[str, Way] = {}
    demo.step("Nothing waits", f"The DAG lies in {file}: four tasks in a row. Its flag is taken out first.")
    demo.edit(file, 'FLAGS = {"wait_for_downstream": True}', "FLAGS = {}")
    ways["nothing"] = measured(demo, 8)
    dates = ways["nothing"].dates
    demo.check("nearly all dates are at work at once", dates > len(TASKS), f"{dates} of {len(DAYS)}")

    demo.step("depends_on_past", "A conveyor belt: each task works on another day.")
    demo.edit(file, "FLAGS = {}", 'FLAGS = {"depends_on_past": True}')
    ways["depends_on_past"] = measured(demo, 8)
    demo.check_equal("no task works on two days", ways["depends_on_past"].same_task, 1)
    dates = ways["depends_on_past"].dates
    demo.check("so no more dates are at work than there are tasks in a row", dates <= 4, dates)

    demo.step("wait_for_downstream", "Each task waits for the one behind it as well: the belt moves by two.")
    demo.edit(file, 'FLAGS = {"depends_on_past"', 'FLAGS = {"wait_for_downstream"')
    ways["wait_for_downstream"] = measured(demo, 8)
    dates = ways["wait_for_downstream"].dates
    demo.check("no more dates are at work than half the tasks in a row", dates <= 2, dates)

    demo.step("--parallel", "It says how many dates may be open. Open is not at work: 2 do as well as 8.")
    two = measured(demo, 2)
    demo.check("as many dates are at work as with --parallel 8", two.dates >= dates, two.dates)
    ways["one date at a time"] = measured(demo, 1)

    demo.step(
        "Side by side", f"A task takes {WORK_S * 1000:.0f} ms. What must come one after the other cannot be faster."
    )
    rows = [
        [name, way.dates, STEPS[name], f"{STEPS[name] * WORK_S:.2f} s", f"{way.wall_s:.2f} s", f"{6 / way.wall_s:.1f}"]
        for name, way in ways.items()
    ]
    demo.table(["what waits", "dates at work", "in a row", "at least", "took", "dates a second"], rows)
    walls = [way.wall_s for way in ways.values()]
    slower = [way.wall_s - STEPS[name] * WORK_S for name, way in ways.items()]
    demo.check("none was faster than its row allows", min(slower) >= 0, [f"{one:+.2f} s" for one in slower])
    demo.check("each way waits more than the one before", walls == sorted(walls), [f"{one:.2f} s" for one in walls])
    demo.say(
        "Best practice: do the sum before the run. With depends_on_past on all tasks a backfill takes its slowest task "
        "times the number of dates, with wait_for_downstream its slowest two neighbours. Put the flag on the task that "
        "needs it, not into default_args, and make the task behind it short."
    )


if __name__ == "__main__":
    play(main)
