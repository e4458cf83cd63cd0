"""Half past two in Paris: catching up across both changes of the clock

Question: A DAG runs at 02:30 in Paris. In March that time does not exist for a night, in October it comes twice. Which
intervals does a catch-up make there, and which date do they carry?

What goes wrong: A job that reckons in wall time skips a night in March and loads one twice in October; one that reckons
in 24 hours is an hour late from March on. And whoever names a partition by the UTC date is a day off.

What bfill does: A cron is wall time in the DAG's zone: 02:30 that is missing becomes 03:30, of 02:30 that comes twice
it is the second. The intervals touch each other, so a day has 23 or 25 hours. A timedelta is that much time, always.

What to look at: the wall time of each tick and the hours of each interval, asked of what was created; that each ends
where the next begins; ds beside local_ds of a DAG that runs at midnight.

When not to do it: where nobody cares which wall time it is, stay in UTC. There are no changes of the clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from _shared import warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

PARIS = ZoneInfo("Europe/Paris")
FRIDAYS = {"spring": datetime(2024, 3, 29, 2, 30), "autumn": datetime(2024, 10, 25, 2, 30)}
TUESDAYS = {"spring": "2024-04-02T12:00Z", "autumn": "2024-10-29T12:00Z"}
"""The Friday before a change of the clock, and when the DAG is switched on behind it."""


def keep_what_was_asked() -> None:
    """Give the DAG that is being written its one task: keep from when to when it had to load, and the date's names."""

    @task
    def load(data_interval_start: datetime, data_interval_end: datetime, ds: str, local_ds: str, dag_id: str) -> None:
        bounds = [data_interval_start.isoformat(), data_interval_end.isoformat()]
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS nights (dag_id, since, until, ds, local_ds)")
            db.execute("INSERT INTO nights VALUES (?, ?, ?, ?, ?)", [dag_id, *bounds, ds, local_ds])

    load(dag_id="{{ dag.dag_id }}")


with DAG(
    "scenario_17_01_04", schedule="30 2 * * *", start_date=datetime(2024, 1, 1, tzinfo=PARIS), catchup=True
) as dag:
    keep_what_was_asked()

for season, friday in FRIDAYS.items():
    start = friday.replace(tzinfo=PARIS)  # the zone of an aware start_date is the DAG's
    with DAG(f"{season}_cron", schedule="30 2 * * *", start_date=start, catchup=True):
        keep_what_was_asked()
    with DAG(f"{season}_timedelta", schedule=timedelta(days=1), start_date=start, catchup=True):
        keep_what_was_asked()

with DAG("midnight", schedule="@daily", start_date=datetime(2024, 7, 1, tzinfo=PARIS), catchup=True):
    keep_what_was_asked()

CRON = {
    "spring": ["02:30 CET 24 h", "02:30 CET 24 h", "03:30 CEST 23 h", "02:30 CEST 24 h"],
    "autumn": ["02:30 CEST 24 h", "02:30 CEST 25 h", "02:30 CET 24 h", "02:30 CET 24 h"],
}
FIXED = {
    "spring": ["02:30 CET 24 h", "02:30 CET 24 h", "03:30 CEST 24 h", "03:30 CEST 24 h"],
    "autumn": ["02:30 CEST 24 h", "02:30 CEST 24 h", "02:30 CEST 24 h", "01:30 CET 24 h"],
}
"""Wall time at which an interval begins, from Friday on, and how long it is."""


def nights(demo: Demo, dag_id: str) -> list[str]:
    """Show what a DAG loaded, and return the wall time and the hours of each interval."""
    found = demo.rows("SELECT since, until, ds, local_ds FROM nights WHERE dag_id = ? ORDER BY since", dag_id)
    spans = [(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until, *_ in found]
    hours = [f"{(end - start) // timedelta(hours=1)} h" for start, end in spans]
    wall = [f"{start.astimezone(PARIS):%a %m-%d %H:%M %Z}" for start, _ in spans]
    demo.table(
        [f"{dag_id} begins", "takes in", "ds", "local_ds"],
        [(begin, length, *dates[2:]) for begin, length, dates in zip(wall, hours, found, strict=True)],
    )
    joined = bool(spans) and all(one[1] == later[0] for one, later in pairwise(spans))
    demo.check(f"{dag_id}: each interval ends where the next begins, none twice", joined, f"{len(spans)} intervals")
    return [f"{begin[10:]} {length}" for begin, length in zip(wall, hours, strict=True)]


@scenario
def main(demo: Demo) -> None:
    """Play it: both weekends with a cron and with a timedelta, then a DAG at midnight."""
    demo.copy_of_dag()
    for season, what in (
        ("spring", "On Sunday March 31st 2024 the clock goes from 02:00 to 03:00: there is no 02:30."),
        ("autumn", "On Sunday October 27th 2024 it goes from 03:00 back to 02:00: there are two."),
    ):
        demo.step(
            f"The change in {season}",
            f"{what} The DAGs should have begun on Friday at 02:30; today is Tuesday. One has the cron 30 2 * * *, "
            "the other timedelta(days=1).",
        )
        demo.bfill(f"scheduler --once --dag {season}_cron --dag {season}_timedelta --now {TUESDAYS[season]}")
        demo.check_equal(
            f"{season}, cron: 02:30 by the clock, and a day of its own length",
            nights(demo, f"{season}_cron"),
            CRON[season],
        )
        fixed = nights(demo, f"{season}_timedelta")
        demo.check_equal(f"{season}, timedelta: 24 hours, and another time of day", fixed, FIXED[season])

    demo.step("ds is the date in UTC", "At 02:30 nobody notices. The third DAG runs @daily, in Paris as well.")
    same = demo.rows("SELECT count(*), sum(ds = local_ds) FROM nights")
    demo.check_equal("at half past two ds and local_ds were the same, every night", same[0][0], same[0][1])
    demo.bfill("scheduler --once --dag midnight --now 2024-07-04T00:00")
    nights(demo, "midnight")
    dates = demo.rows("SELECT ds, local_ds FROM nights WHERE dag_id = 'midnight' ORDER BY since")
    expected = [("2024-06-30", "2024-07-01"), ("2024-07-01", "2024-07-02"), ("2024-07-02", "2024-07-03")]
    demo.check_equal("at midnight in Paris ds is the day before", dates, expected)

    demo.step(
        "Once more", "It is still that Tuesday in October: nothing is owed, not even the night that was twice there."
    )
    again = demo.ask(f"scheduler --once --dag autumn_cron --dag autumn_timedelta --now {TUESDAYS['autumn']}")
    demo.check_equal("a second pass creates nothing", again["total_dates"], 0)
    demo.step(
        "Best practice",
        "Load what lies between data_interval_start and data_interval_end: that is right on a day of 23 hours and of "
        "25. Name partitions by local_ds where the zone is not UTC, and take a cron where the wall time matters.",
    )


if __name__ == "__main__":
    play(main)
