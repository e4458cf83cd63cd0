"""end_date: the last hour of a campaign, and nothing after it

Question: A DAG is to run every hour from nine in the morning until noon, and never again. Is the hour that begins at
noon still part of it, and do I have to take the DAG away afterwards?

What goes wrong: An end that is read as "run until then" loses the last hour, because an hour runs when it is over. And
a job nobody takes away goes on asking a source that is long gone.

What bfill does: start_date and end_date bound the logical date, where an interval begins, and both belong to it: the
hour from 12:00 to 13:00 is the last, and due at 13:00. Behind it the DAG is over: nothing is due, next_due_at is empty.
A pass ends when nothing is due; and `bfill scheduler`, which otherwise stays, leaves by itself when its DAGs are over.

What to look at: what was created at each moment around the end; what the last pass says; what a year later owes.

When not to do it: to stop a DAG for a while. An end_date is for good, and moving it makes everything since then due; a
pause is `dags pause`.
"""

from datetime import date, datetime

from _shared import warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]


def load_hours() -> None:
    """Give the DAG that is being written its one task: enter an hour into a table that would take it twice."""

    @task
    def load(ts: str, dag_id: str) -> None:
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS hours (dag_id, hour)")
            db.execute("INSERT INTO hours VALUES (?, ?)", [dag_id, ts[:16]])

    load(dag_id="{{ dag.dag_id }}")


with DAG(
    "scenario_17_01_02",
    schedule="@hourly",
    start_date=datetime(2024, 5, 6, 9),
    end_date=datetime(2024, 5, 6, 12),
    catchup=True,
) as dag:
    load_hours()

with DAG("one_day", schedule="@hourly", start_date=datetime(2024, 5, 6, 9), end_date=date(2024, 5, 6), catchup=True):
    load_hours()

BACKWARDS = """from datetime import datetime

from backfill_cli import DAG, task

with DAG("backwards", schedule="@hourly", start_date=datetime(2024, 5, 6, 9), end_date=datetime(2024, 5, 6, 8)):

    @task
    def load(ts: str):
        print(ts)

    load()
"""
MOMENTS = {"10:00:00": ["09:00"], "12:59:59": ["10:00", "11:00"], "13:00:00": ["12:00"]}
"""When the scheduler looks on May 6th, in order, and the hours it then runs."""


def hours(demo: Demo, dag_id: str) -> list[str]:
    """The hours a DAG has loaded."""
    found = demo.stored("SELECT 1 FROM v_dag_runs WHERE dag_id = ?", dag_id) if demo.store.exists() else []
    if not found:
        return []
    return [hour[11:] for (hour,) in demo.rows("SELECT hour FROM hours WHERE dag_id = ? ORDER BY hour", dag_id)]


@scenario
def main(demo: Demo) -> None:
    """Play it: around the end, a year behind it, a date as the end, an end before the start, an end that moves."""
    file = demo.copy_of_dag()
    command = f"scheduler --once --dag {demo.dag_id}"
    demo.step("Around the end", "start_date is 09:00, end_date 12:00. Somebody looks at three moments of that day.")
    seen: dict[str, list[str]] = {}
    for moment in MOMENTS:
        before = hours(demo, demo.dag_id)
        last = demo.ask(f"{command} --now 2024-05-06T{moment}Z")
        seen[moment] = [hour for hour in hours(demo, demo.dag_id) if hour not in before]
    demo.table(["now", "runs"], [(moment, ", ".join(ran) or "nothing") for moment, ran in seen.items()])
    demo.check_equal("the hour that begins at end_date is the last, and due at its end", seen, MOMENTS)
    demo.check("then the DAG is over, and the pass says so", "over" in last["dags"][0]["why"], last["dags"][0]["why"])
    demo.check_equal("nothing is to come: next_due_at is empty", last["next_due_at"], None)

    demo.step(
        "A year behind the end",
        "A pass may be told to play a stretch of time. A year of hours would be 8,760; it ends when nothing is due.",
    )
    ran = demo.bfill(f"{command} --now 2024-05-06T14:00Z --until 2025-05-06T14:00Z")
    demo.check_equal("the pass ends by itself, with exit code 0", ran.code, 0)
    runs = demo.stored("SELECT count(*) FROM v_dag_runs WHERE dag_id = ?", demo.dag_id)
    demo.check_equal("no run was created behind the end", runs, [(4,)])

    demo.step(
        "The scheduler that stays", "Without --once it would wait for the next interval, in real time. There is none."
    )
    ran = demo.bfill(f"scheduler --dag {demo.dag_id}")
    demo.check_equal("it leaves by itself, with exit code 0", ran.code, 0)
    demo.check("and says why", "every DAG is over" in ran.err, ran.err.strip().splitlines()[-1][21:])

    demo.step(
        "A date as the end", "The DAG one_day has the same start, and end_date=date(2024, 5, 6): all of that day."
    )
    demo.bfill("scheduler --once --dag one_day --now 2024-05-06T09:00Z --until 2024-05-09T00:00Z")
    expected = [f"{hour:02}:00" for hour in range(9, 24)]
    demo.check_equal("it runs until the hour that begins at 23:00", hours(demo, "one_day"), expected)

    demo.step("An end before the start", "Somebody has mistyped the hour. In silence, this DAG would never run.")
    demo.show("dags/backwards.py", BACKWARDS)
    ran = demo.bfill("scheduler --once --now 2024-05-09T00:00Z", expect=3)
    demo.check("it is refused, with both dates", "08:00" in ran.out and "09:00" in ran.out, ran.code)
    demo.check("the other DAGs are looked at nevertheless", "one_day" in ran.out and demo.dag_id in ran.out, ran.code)
    created = demo.stored("SELECT count(*) FROM v_dag_runs WHERE dag_id = 'backwards'")
    demo.check_equal("nothing was created for it", created, [(0,)])

    demo.step("The campaign goes on", "The end is moved to 14:00, two days later.")
    demo.edit(file, "end_date=datetime(2024, 5, 6, 12)", "end_date=datetime(2024, 5, 6, 14)")
    demo.bfill(f"{command} --now 2024-05-08T08:00Z")
    expected = [f"{hour:02}:00" for hour in range(9, 15)]
    demo.check_equal("with catchup=True the hours until the new end are owed", hours(demo, demo.dag_id), expected)
    demo.step(
        "Best practice",
        "Write the first and the last interval you want as start_date and end_date: no clock has to be watched, and "
        "the DAG file may stay. Give a date where whole days are meant.",
    )


if __name__ == "__main__":
    play(main)
