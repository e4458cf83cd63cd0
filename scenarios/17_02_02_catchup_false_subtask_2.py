"""Which interval is the latest: cron, timedelta, weekly, monthly

Question: With catchup=False only the latest complete interval runs. Which one is that for a weekly DAG on a Thursday,
for one that goes every 36 hours, or for one whose start_date lies in the middle of the running month?

What goes wrong: "The latest" is taken for the one that contains now, and half a week is loaded. Or it is counted back
from now, and each look finds other boundaries.

What bfill does: The boundaries come from the schedule, never from now. Cron has them on the wall clock of the DAG, a
timedelta counts from start_date. The latest interval is the one that ended last; one that begins before start_date is
none, so a DAG whose start_date lies inside the current interval has to wait for the next.

What to look at: one moment, seven DAGs, and for each the interval that its run got; when the young one runs for the
first time, and what it covers.

When not to do it: a timedelta drifts against the calendar. Where people think in days or weeks, say it in cron.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

START = datetime(2024, 1, 1)
SCHEDULES = {
    "scenario_17_02_02": ("0 6 * * *", START),
    "hours": (timedelta(hours=36), START),
    "noon": (timedelta(days=1), datetime(2024, 1, 1, 12)),
    "weekly": ("0 0 * * 1", START),
    "monthly": ("@monthly", START),
    "young_cron": ("@monthly", datetime(2024, 2, 10)),
    "young_delta": (timedelta(days=30), datetime(2024, 2, 10)),
}
"""Each DAG's schedule and start_date. February 10th lies in the middle of a month."""


@task
def load(data_interval_start: datetime, data_interval_end: datetime) -> None:
    """The same in all of them: print which interval that is."""
    print(data_interval_start, data_interval_end)


with DAG("scenario_17_02_02", schedule=SCHEDULES["scenario_17_02_02"][0], start_date=START, catchup=False) as dag:
    load()

for dag_id in list(SCHEDULES)[1:]:
    schedule, start = SCHEDULES[dag_id]
    with DAG(dag_id, schedule=schedule, start_date=start, catchup=False):
        load()

NOW = datetime(2024, 2, 15, 5, 30)
"""A Thursday, half an hour before the daily one's boundary."""

INTERVALS = """SELECT dag_id, substr(logical_date, 1, 16), substr(data_interval_end, 1, 16)
               FROM v_dag_runs ORDER BY logical_date"""

EXPECTED = {
    "scenario_17_02_02": ("2024-02-13T06:00", "2024-02-14T06:00"),
    "hours": ("2024-02-13T12:00", "2024-02-15T00:00"),
    "noon": ("2024-02-13T12:00", "2024-02-14T12:00"),
    "weekly": ("2024-02-05T00:00", "2024-02-12T00:00"),
    "monthly": ("2024-01-01T00:00", "2024-02-01T00:00"),
}
"""What is complete at that moment, worked out by hand; the two young ones have nothing."""


def found(demo: Demo) -> dict[str, tuple[str, str]]:
    """Return the interval of each DAG's latest run."""
    return {dag_id: (start, end) for dag_id, start, end in demo.stored(INTERVALS)}


def at(moment: datetime) -> str:
    """A pass over all of them at a moment."""
    return f"scheduler --once --now {moment.isoformat()}Z"


@scenario
def main(demo: Demo) -> None:
    """Play it: all at one moment, around a boundary, and the young ones until their first run."""
    demo.copy_of_dag()
    demo.step("One moment, seven DAGs", "It is Thursday, February 15th, 05:30. One pass looks at all of them.")
    demo.bfill(at(NOW))
    intervals = found(demo)
    rows = [(one, str(SCHEDULES[one][0]), *intervals.get(one, ("nothing", ""))) for one in SCHEDULES]
    demo.table(["DAG", "schedule", "from", "to"], rows)
    demo.check_equal("each got the interval worked out by hand", intervals, EXPECTED)
    ends = [datetime.fromisoformat(end) for _, end in intervals.values()]
    demo.check("none of them was still open", all(end <= NOW for end in ends), max(ends))
    demo.check_equal("one run each, whatever lies before", len(demo.stored(INTERVALS)), len(EXPECTED))

    demo.step(
        "Now moves, the boundaries do not",
        "Half an hour later only the daily one is due: looking at another minute of the day moves no grid.",
    )
    demo.bfill(at(NOW + timedelta(minutes=30)))
    moved = {one: interval for one, interval in found(demo).items() if interval != EXPECTED[one]}
    demo.check_equal("one is new", moved, {"scenario_17_02_02": ("2024-02-14T06:00", "2024-02-15T06:00")})
    later = found(demo)["hours"]
    steps = (datetime.fromisoformat(later[0]) - START) / timedelta(hours=36)
    demo.check("36 hours are counted from start_date, not from now", steps.is_integer(), f"{steps:g} steps")

    demo.step(
        "start_date inside the current interval",
        "February has begun before the young ones did. The calendar month waits for a whole one; the timedelta makes "
        "its own, from start_date.",
    )
    march = at(datetime(2024, 3, 1))
    early = {one["dag_id"]: one for one in demo.ask(f"{march} --dag young_cron --dag young_delta")["dags"]}
    demo.check("when February is over neither is due", not any(one["runs"] for one in early.values()), march[-20:])
    due = {dag_id: one["next_due_at"][:10] for dag_id, one in early.items()}
    demo.check_equal("each says when it will be", due, {"young_cron": "2024-04-01", "young_delta": "2024-03-11"})
    demo.bfill(f"{at(datetime(2024, 4, 1))} --dag young_cron --dag young_delta")
    first = {dag_id: interval for dag_id, interval in found(demo).items() if dag_id in due}
    expected = {
        "young_delta": ("2024-02-10T00:00", "2024-03-11T00:00"),
        "young_cron": ("2024-03-01T00:00", "2024-04-01T00:00"),
    }
    demo.check_equal("the first is a whole one, and lies behind start_date", first, expected)

    demo.step(
        "Best practice",
        "Put start_date on a boundary of the schedule: then the first interval is the one you think of. Read "
        "data_interval_start and data_interval_end in the task, and never the clock.",
    )


if __name__ == "__main__":
    play(main)
