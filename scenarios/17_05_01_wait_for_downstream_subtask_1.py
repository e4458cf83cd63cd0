"""It waits for the tasks right behind it a day before, not for all

Question: A task must not begin a day before the day before is dealt with. What exactly does wait_for_downstream wait
for: the whole of yesterday, or a part of it?

What goes wrong: People take the flag for "yesterday is finished". It is not: what lies further behind may still run, or
have failed. Then somebody puts a harmless task in between, and from that day on the flag waits for that one alone.

What bfill does: With wait_for_downstream a task waits until the same task and the tasks directly behind it, in the
previous run, are success or skipped. Nothing else of that run counts.

What to look at: the timeline, one line a task; the day that begins while yesterday's last task is held; the same DAG
after a task was put in between.

When not to do it: to wait for all of yesterday put the flag on the first task and let every task be directly behind it,
or run the dates one by one: --parallel 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import sleep

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task, gaps, in_ms
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-07-0{number}" for number in range(1, 5)]

with DAG("scenario_17_05_01", schedule="@daily", start_date=datetime(2024, 7, 1)) as dag:

    @task(wait_for_downstream=True)
    def extract(ds: str) -> None:
        """Take a day out of the source."""
        sleep(0.1)

    @task
    def transform(ds: str) -> None:
        """Work on what extract has left: directly behind it."""
        marks.wait_while(__file__, f"transform {ds}")
        sleep(0.1)

    @task
    def publish(ds: str) -> None:
        """Tell the world: behind transform, so not directly behind extract. It takes its time."""
        marks.wait_while(__file__, f"publish {ds}")
        sleep(0.1)

    extract() >> transform() >> publish()


def waited(demo: Demo, days: list[str], task_id: str) -> list[float]:
    """How long after a task of the day before each day was extracted, in seconds."""
    return gaps(by_task(demo.attempts()), days, "extract", task_id)


@dataclass
class Held:
    """A run of some days in which a task of the first day is held, until the block is left."""

    demo: Demo
    task_id: str
    days: list[str]

    def __enter__(self) -> Held:
        marks.put(__file__, f"{self.task_id} {self.days[0]}")
        words = f"--start {self.days[0]} --end {self.days[-1]} --parallel 4"
        self.going = self.demo.start(f"run --dag scenario_17_05_01 {words}")
        self.until(self.task_id, self.days[0], "running")
        return self

    def __exit__(self, *_: object) -> None:
        marks.take_away(__file__, f"{self.task_id} {self.days[0]}")
        self.demo.wait(self.going)

    def until(self, task_id: str, day: str, state: str) -> None:
        """Wait until a task of a day is in a state."""
        wait_until(lambda: self.demo.state_of(task_id, day) == state, f"{task_id} of {day} is {state}")


@scenario
def main(demo: Demo) -> None:
    """Play it: what is not waited for, what is, and what becomes of it when a task is put in between."""
    file = demo.copy_of_dag()
    demo.step("A chain of three", f"extract has the flag; transform and publish have none. The DAG lies in {file}.")
    demo.bfill("dags show scenario_17_05_01")

    demo.step(
        "What it does not wait for",
        "Four days, four at once. The story holds publish of the first day until the last day is extracted: if extract "
        "waited for it, this would never end. The bars are the times of the attempts, as the store has them.",
    )
    with Held(demo, "publish", DAYS) as held:
        held.until("extract", DAYS[-1], "success")
    spans = by_task(demo.attempts())
    demo.timeline({f"{day[5:]} {task_id}": span for (day, task_id), span in sorted(spans.items(), key=lambda x: x[1])})
    after = waited(demo, DAYS, "publish")
    demo.check("the 2nd was extracted before the 1st was published", after[0] < 0, in_ms(after[:1]))
    for task_id in ("extract", "transform"):
        after = waited(demo, DAYS, task_id)
        demo.check(f"each day began after {task_id} of the day before", min(after) >= 0, in_ms(after))

    demo.step("What it waits for", "The same with transform of the 5th. Meanwhile somebody asks how it stands.")
    pair = ["2024-07-05", "2024-07-06"]
    with Held(demo, "transform", pair):
        demo.bfill(f"status --dag scenario_17_05_01 --start {pair[0]} --end {pair[1]}")
    after = waited(demo, pair, "transform")
    demo.check("the 6th began when transform of the 5th was over", after[0] >= 0, in_ms(after))

    demo.step("Put a task in between", "Somebody adds a check behind extract. Now that alone is directly behind it.")
    demo.edit(file, "    extract() >> transform()", "    extract() >> EmptyOperator(task_id='check') >> transform()")
    demo.edit(file, "import DAG, task", "import DAG, EmptyOperator, task")
    pair = ["2024-07-07", "2024-07-08"]
    with Held(demo, "transform", pair) as held:
        held.until("extract", pair[1], "success")
    after = waited(demo, pair, "transform")
    demo.check("the 8th did not wait for transform of the 7th any more", after[0] < 0, in_ms(after))
    states = demo.stored("SELECT DISTINCT state FROM v_dag_runs")
    demo.check_equal("and every date is success: nobody is told", states, [("success",)])

    demo.step(
        "Best practice",
        "Put the task that must be over directly behind the one with the flag, and say there why. `bfill dags show` "
        "lists what comes after what: read it when somebody puts a task in between.",
    )


if __name__ == "__main__":
    play(main)
