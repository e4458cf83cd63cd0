"""Ranges: which dates a command line means, to the last hour of a day

Question: I type two dates, or "the last two days", or a list from a file. Which intervals will run, exactly?

What goes wrong: With a date that means its midnight, `--end` on an hourly DAG loses 23 hours, and nobody notices: the
command is green. A day taken as 24 hours is wrong twice a year. A script counts "the last two days" from noon, or runs
an interval that is not over. A reversed range does nothing and says nothing.

What bfill does: Both ends are included; a date without a time is the whole day in the DAG's zone, an instant is exact.
--last takes whole days that are over. What is left out is counted and explained. An empty range is exit 0 with the
reason and the next date, a reversed one exit 2. One enumerator serves plan, run and status.

What to look at: first, last and count of each form; the 31st of March; the order of the attempts; the notes.

When not to do it: for the same job every night no range is needed by hand: `bfill run --last 7d` fills what is missing.
"""

import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.evidence import short_date

from backfill_cli import DAG, BackfillOptions, BackfillService, task

TAGS = ["reference", "control", "beginner", "success"]

ZONE = "Europe/Paris"
PARIS = ZoneInfo(ZONE)

with DAG("scenario_17_03_06", schedule="@hourly", start_date=datetime(2024, 3, 1), timezone=ZONE) as dag:

    @task
    def count_visitors(data_interval_start: datetime, data_interval_end: datetime) -> None:
        """Note the hour that was counted, as epoch seconds; one that is there already would be a mistake."""
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS hours (start PRIMARY KEY, ending)")
            hour = data_interval_start.timestamp(), data_interval_end.timestamp()
            db.execute("INSERT INTO hours VALUES (?, ?)", hour)

    count_visitors()

FORMS = {
    ("2024-03-02", "2024-03-02"): ("03-02 00:00", "03-02 23:00", 24),
    ("2024-03-02T06:00", "2024-03-02T08:00"): ("03-02 06:00", "03-02 08:00", 3),
    ("2024-03-02T06:30", "2024-03-02T08:30"): ("03-02 07:00", "03-02 08:00", 2),
    ("2024-03-02T06:00Z", "2024-03-02T08:00Z"): ("03-02 07:00", "03-02 09:00", 3),
    ("", "2024-03-01"): ("03-01 00:00", "03-01 23:00", 24),  # from the DAG's start_date
    ("2024-02-28", "2024-03-01"): ("03-01 00:00", "03-01 23:00", 24),  # not from before it
    ("2024-03-31", "2024-03-31"): ("03-31 00:00", "03-31 23:00", 23),  # clocks go forward
}
"""What stands behind --start and --end, and first, last and number of the dates that are meant."""

NOW = datetime(2024, 3, 10, 9, 30, tzinfo=PARIS)
SINCE_NOW = {
    "--last 2d": ({"last": "2d"}, ("03-08 00:00", "03-09 23:00", 48)),  # today is not over
    "--last 6h": ({"last": "6h"}, ("03-10 04:00", "03-10 08:00", 5)),  # nor is its tenth hour
    "--last 2d --end 2024-03-05": ({"last": "2d", "end_date": date(2024, 3, 5)}, ("03-04 00:00", "03-05 23:00", 48)),
    "--start 2024-03-10": ({"start_date": date(2024, 3, 10)}, ("03-10 00:00", "03-10 08:00", 9)),
}

GAPS = """\
# found missing on Monday
2024-03-06T07:00
2024-03-05            # all of it
2024-03-06T02:00, 2024-03-06T07:00
"""


class FixedClock:
    """It is always the same moment; what waits still waits."""

    def now_us(self) -> int:
        return int(NOW.timestamp()) * 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


def local(dates: Iterable[str]) -> list[str]:
    """Logical dates as wall time in Paris."""
    return [short_date(one, ZONE) for one in dates]


def planned(demo: Demo, words: str) -> list[str]:
    """The dates a plan names for these words."""
    return local(run["logical_date"] for run in demo.ask(f"plan {words} --dry-run")["runs"])


def hours_of(day: date) -> list[str]:
    """Every hour of a day in Paris, computed without bfill: from midnight to midnight, in steps of UTC."""
    first, last = (
        datetime(one.year, one.month, one.day, tzinfo=PARIS).astimezone(UTC) for one in (day, day + timedelta(days=1))
    )
    hours = (last - first) // timedelta(hours=1)
    return local((first + timedelta(hours=number)).isoformat() for number in range(hours))


def ends(dates: list[str]) -> tuple[str, str, int]:
    """First, last, and how many."""
    first, last = (f"{one[5:10]} {one[11:] or '00:00'}" for one in (dates[0], dates[-1]))
    return first, last, len(dates)


@scenario
def main(demo: Demo) -> None:
    """Play it: ends, days and instants; back from now; lists; backwards; nothing at all; and without a DAG file."""
    demo.step("Both ends, whole days", "The DAG is hourly, in Paris. Two dates are two days with all of their hours.")
    demo.bfill("plan --dag 17.3.6 --start 2024-03-02 --end 2024-03-03 --dry-run")
    found = planned(demo, "--dag 17.3.6 --start 2024-03-02 --end 2024-03-03")
    right = [*hours_of(date(2024, 3, 2)), *hours_of(date(2024, 3, 3))]
    demo.check("each hour of both days, to 23:00 of the second", found == right, f"{len(found)} hours")
    demo.say(
        "An instant is exact, and included too. One with an offset is that moment, others are the DAG's wall time."
    )
    found = {
        (start, end): planned(demo, f"--dag 17.3.6 --end {end}" + (f" --start {start}" if start else ""))
        for start, end in FORMS
    }
    demo.table(["--start", "--end", "first", "last", "dates"], [[*form, *ends(dates)] for form, dates in found.items()])
    wrong = [f"{form}: {ends(dates)}" for form, dates in found.items() if ends(dates) != FORMS[form]]
    demo.check("each form means what it should", not wrong, wrong or f"{len(found)} forms")
    spring = found["2024-03-31", "2024-03-31"]
    demo.check("clocks go forward: a whole day", spring == hours_of(date(2024, 3, 31)), f"{len(spring)} hours")
    (note,) = demo.ask("plan --dag 17.3.6 --start 2024-02-28 --end 2024-03-01 --dry-run")["warnings"]
    demo.check(
        "what lies before the DAG's start is left out with a count", "48 dates" in note["message"], note["message"]
    )

    demo.step("Back from now", f"Here now is {NOW:%Y-%m-%d %H:%M} in Paris: the Python service takes a clock of ours.")
    service = BackfillService(clock=FixedClock())
    back = {}
    for words, (options, _) in SINCE_NOW.items():
        plan = service.plan(BackfillOptions(dag_id="17.3.6", dry_run=True, **options))
        back[words] = ends(local(datetime.fromtimestamp(row.logical_date, UTC).isoformat() for row in plan.rows()))
    demo.table(["typed", "first", "last", "dates"], [[words, *measured] for words, measured in back.items()])
    wrong = [f"{words}: {measured}" for words, measured in back.items() if measured != SINCE_NOW[words][1]]
    demo.check("days end at midnight, hours at the last one that is over", not wrong, wrong or f"{len(back)} forms")

    demo.step("A list from a file", "A day takes all of its dates, comments are welcome, and twice is once.")
    demo.show("gaps.txt", GAPS)
    listed = planned(demo, "--dag 17.3.6 --dates-from gaps.txt")
    right = [*hours_of(date(2024, 3, 5)), "2024-03-06T02:00", "2024-03-06T07:00"]
    demo.check("24 hours of a day and two more, in order", listed == right, f"{len(listed)} dates")
    demo.bfill("run --dag 17.3.6 --dates-from gaps.txt --parallel 8")
    ran = sorted(one.day for one in demo.attempts(zone=ZONE))
    demo.check("run takes the dates of the plan, each once", ran == listed, f"{len(ran)} attempts")
    shown = local(run["logical_date"] for run in demo.ask("status --dag 17.3.6 --dates-from gaps.txt")["runs"])
    demo.check("and so does status", shown == listed, f"{len(shown)} dates")
    unknown = demo.bfill("run --dag 17.3.6 --dates 2024-03-06T06:15", expect=3)
    near = all(f"2024-03-06 {hour}" in unknown.err for hour in ("06:00", "07:00"))
    demo.check("a date that is none is refused with its neighbours", near, unknown.err.strip().splitlines()[-1])

    demo.step("Newest first", "The same dates in the other order: the latest hours are there first.")
    demo.bfill("run --dag 17.3.6 --start 2024-03-07T20:00 --end 2024-03-07 --run-backwards")
    late = sorted((one for one in demo.attempts(zone=ZONE) if one.day > "2024-03-07"), key=lambda one: one.span.start)
    order = [one.day[11:] for one in late]
    demo.check_equal("they ran from the last to the first", order, ["23:00", "22:00", "21:00", "20:00"])
    sql = "SELECT count(*) FROM hours a JOIN hours b ON b.start = a.ending WHERE a.start >= ?"
    touching = demo.rows(sql, datetime(2024, 3, 7, 20, tzinfo=PARIS).timestamp())
    demo.check_equal("as the same intervals: each ends where the next begins", touching, [(3,)])

    demo.step(
        "Nothing in it", "A weekly DAG has no date between Monday and Friday. That is no mistake, and it is said."
    )
    weekly = "--command true --schedule @weekly"
    before = demo.snapshot()
    empty = demo.bfill(f"run {weekly} --start 2024-03-04 --end 2024-03-08")
    demo.check_equal("an empty range exits 0", empty.code, 0)
    demo.check("and names the next date", "2024-03-10" in empty.err, empty.err.strip().splitlines()[-1])
    swapped = demo.bfill("run --dag 17.3.6 --start 2024-03-08 --end 2024-03-04", expect=2)
    demo.check("a reversed one is a mistake: exit 2", "swap" in swapped.err, swapped.err.strip().splitlines()[-1])
    demo.check("nothing was stored for either", demo.snapshot() == before, f"{len(before)} files and folders")

    demo.step("No DAG file at all", "A command, a schedule and a range: a DAG with one task, made on the spot.")
    demo.bfill(
        "run --command 'echo {{ ds }} >> days.txt' --schedule @daily --start 2024-03-01 --end 2024-03-03 --name days"
    )
    demo.bfill("run --dag days --start 2024-03-01 --end 2024-03-04")
    days = (demo.folder / "days.txt").read_text(encoding="utf-8").split()
    demo.check_equal(
        "it is remembered: by its name only the fourth day ran", days, [f"2024-03-0{one}" for one in (1, 2, 3, 4)]
    )
    ids = {demo.ask(f"run {weekly} --start 2024-03-04 --end {end}")["dag_id"] for end in ("2024-03-10", "2024-03-17")}
    demo.check("without a name its id comes from what it is, the same each time", len(ids) == 1, ids)
    demo.check_equal("so its history goes on: each week ran once", len(demo.attempts(*ids)), 2)

    demo.step(
        "Best practice",
        "Type dates, not instants, and let bfill find the hours. Read first, last and count in the plan; they are the "
        "whole answer.",
    )


if __name__ == "__main__":
    play(main)
