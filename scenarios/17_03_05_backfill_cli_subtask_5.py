"""In CI: a shell script that stops where it should, and reports it all

Question: A nightly job loads what is missing and then publishes. How does the script notice that a date failed, how do
dashboards learn which, and how do I let a person decide before anything runs?

What goes wrong: The script goes on after a failure and publishes half a table, because a loop swallowed the exit code
or a pipe did. Somebody greps the log for "failed". A gate takes any error for "there is work".

What bfill does: The exit code says how it ended, one number a kind of ending. With --json stdout is one document,
errors included; --junit writes a test case a date, which every CI server can show. `plan --detailed-exitcode` says 10
when there is work and 0 when there is none. Without a terminal nothing asks, and nothing is drawn.

What to look at: whether `published` is there; the exit code behind a pipe; the table of codes; the cancelled job.

When not to do it: where a scheduler creates the runs (`bfill scheduler`, Airflow) no nightly job need ask for them.
"""

import json
from datetime import datetime
from pathlib import Path
from signal import SIGTERM
from time import sleep
from xml.etree import ElementTree

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-05-0{number}" for number in (1, 2, 3, 4)]
LATE = "2024-05-03"

with DAG("scenario_17_03_05", schedule="@daily", start_date=datetime(2024, 5, 1)) as dag:

    @task
    def load(ds: str) -> None:
        """Load the file of a day; it may not have come yet, and the disk may be slow."""
        home = warehouse.home(__file__)
        while (home / "slow").exists():
            sleep(0.02)
        amounts = (home / f"{ds}.txt").read_text(encoding="utf-8").split()
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS revenue (day PRIMARY KEY, cents)")
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?)", [ds, sum(map(int, amounts))])

    load()

HEAD = """\
set -e
RANGE="--start 2024-05-01 --end 2024-05-04"
"""
NIGHTLY = (
    HEAD
    + """\
bfill run --dag 17.3.5 $RANGE --json --junit report.xml > result.json
touch published
"""
)
PIPED = (
    HEAD
    + """\
bfill run --dag 17.3.5 $RANGE --json | python3 -m json.tool > pretty.json
touch published
"""
)
REPAIR = """\
set -e
python3 -c '
import json, sys
for one in json.load(sys.stdin)["data"]["results"]:
    if one["state"] == "failed":
        print(one["logical_date"])
' < result.json > failed.txt
bfill rerun-failed --dag 17.3.5 --dates-from failed.txt --junit report.xml
touch published
"""
GATE = """\
code=0
bfill plan --dag $DAG --start 2024-05-01 --end $END --dry-run --quiet \\
    --detailed-exitcode || code=$?
case $code in
    0) echo "nothing to do" ;;
    10) echo "there is work: ask somebody" ;;
    *) exit $code ;;
esac
"""

RANGE = "--dag 17.3.5 --start 2024-05-01 --end 2024-05-04"
ENDINGS = {
    f"run {RANGE}": 0,
    "run --dag 17.3.5 --dates 2024-05-05": 1,  # its file never comes
    "run --dag 17.3.5 --start 2024-05-04 --end 2024-05-01": 2,
    "run --dag 17.3.55 --dates 2024-05-01": 3,
    "status --store notes.txt": 4,
    "audit verify --expect-head 1:00000000": 6,
    f"reset {RANGE}": 7,
    "plan --dag 17.3.5 --dates 2024-05-06 --dry-run --detailed-exitcode": 10,
}


def arrive(demo: Demo, *days: str) -> None:
    """The files of some days come."""
    for day in days:
        cents = [str(one.cents) for one in warehouse.orders(day)]
        (demo.home / f"{day}.txt").write_text(" ".join(cents), encoding="utf-8")


def cases(report: Path) -> dict[str, str]:
    """Test case → failure, skipped or passed, as a CI server reads the file."""
    bad = ("failure", "error", "skipped")
    found = ElementTree.parse(report).iter("testcase")
    return {one.attrib["name"]: next((child.tag for child in one if child.tag in bad), "passed") for one in found}


@scenario
def main(demo: Demo) -> None:
    """Play it: a failing night, a pipe, a repair, a gate, every exit code, and a cancelled job."""
    published, result, report = (demo.folder / name for name in ("published", "result.json", "report.xml"))
    arrive(demo, *(day for day in DAYS if day != LATE))

    demo.step("A failing night", "One file has not come. The script must not publish.")
    demo.show("nightly.sh", NIGHTLY)
    night = demo.shell("nightly.sh", expect=1, NO_COLOR="", TERM="xterm-256color")
    demo.check("set -e stopped the script: nothing is published", not published.exists(), "exit 1, no file")
    log = night.out + night.err + result.read_text("utf-8") + report.read_text("utf-8")
    strange = sum(one < " " and one != "\n" for one in log)
    demo.check("nothing is drawn, though TERM is set", strange == 0, f"{strange} of {len(log)} are control characters")
    data = json.loads(result.read_text("utf-8"))["data"]
    counts = {name: data[name] for name in ("completed", "failed", "total_dates")}
    demo.check_equal("the document is whole all the same", counts, {"completed": 3, "failed": 1, "total_dates": 4})
    found = cases(report)
    demo.table(["test case", "verdict"], found.items())
    failed = [name for name, verdict in found.items() if verdict == "failure"]
    demo.check_equal("the CI server sees a case for each date", len(found), len(DAYS))
    demo.check_equal("and one failure, with its date", failed, [f"{LATE}T00:00:00+00:00"])

    demo.step("A pipe hides it", "The same with a filter behind a pipe: sh takes the exit code of the last command.")
    demo.show("piped.sh", PIPED)
    demo.shell("piped.sh")
    demo.check("the script ended well and published, with a date missing", published.exists(), "exit 0, 'published'")
    published.unlink()

    demo.step("Repair", "Filter a file, not a pipe. The late file has come; what the filter finds can be given back.")
    arrive(demo, LATE)
    demo.show("repair.sh", REPAIR)
    demo.shell("repair.sh")
    demo.check("now it is published", published.exists(), "exit 0, 'published'")
    given = (demo.folder / "failed.txt").read_text("utf-8").split()
    demo.check_equal("the filter found the same date", given, failed)
    demo.check_equal("the new report holds that date alone, passed", list(cases(report).values()), ["passed"])
    right = [(day, sum(one.cents for one in warehouse.orders(day))) for day in DAYS]
    loaded = demo.rows("SELECT day, cents FROM revenue ORDER BY day")
    demo.check("all days are right to the cent", loaded == right, f"{len(loaded)} days")

    demo.step("A gate", "A plan that changes nothing decides: 10 there is work, 0 there is none, else it is broken.")
    demo.show("gate.sh", GATE)
    answers: list[list[object]] = []
    for dag_id, end in (("17.3.5", DAYS[-1]), ("17.3.5", "2024-05-05"), ("17.3.55", DAYS[-1])):
        ran = demo.script("gate.sh", DAG=dag_id, END=end)
        answers.append([f"{dag_id} to {end}", ran.code, (ran.out or ran.err).splitlines()[0]])
    demo.table(["gate.sh", "exit", "said"], answers)
    codes = [(code, said if code == 0 else "") for _, code, said in answers]
    expected = [(0, "nothing to do"), (0, "there is work: ask somebody"), (3, "")]
    demo.check_equal("an error is not taken for work", codes, expected)

    demo.step("Every ending has its number", "Each line is a process; with --json each says the same in its document.")
    demo.write("notes.txt", "This is no store.\n" * 100)
    ended = {command: demo.call(f"{command} --json") for command in ENDINGS}
    demo.table(["exit", "bfill"], [[ran.code, command] for command, ran in ended.items()])
    demo.check_equal("they are the promised ones", [one.code for one in ended.values()], list(ENDINGS.values()))
    same = [(one.document["exit_code"], one.document["ok"]) == (one.code, one.code == 0) for one in ended.values()]
    demo.check_equal("stdout is one document that says so, errors included", same, [True] * len(ENDINGS))

    demo.step("The job is cancelled", "A CI server sends TERM: what runs may end, the rest is left to the next job.")
    week = "--dag 17.3.5 --start 2024-05-06 --end 2024-05-08"
    arrive(demo, "2024-05-06", "2024-05-07", "2024-05-08")
    (demo.home / "slow").touch()
    job = demo.start(f"run {week}")
    open_now = "SELECT count(*) FROM task_instances WHERE state = 'running'"
    wait_until(lambda: demo.stored(open_now) == [(1,)], "the first date is at work")
    job.send(SIGTERM)
    wait_until(lambda: "stopping" in job.err, "it has heard of it")
    (demo.home / "slow").unlink()
    demo.wait(job, expect=143)
    demo.bfill(f"run {week}")
    tries = [f"{one.day} try {one.try_number}" for one in demo.attempts() if one.day >= "2024-05-06"]
    demo.check_equal("the next job went on: each date ran once", tries, [f"2024-05-0{day} try 1" for day in (6, 7, 8)])

    demo.step(
        "Best practice",
        "set -e, --json into a file and the filter after it, --junit for people; no loop and no grep. The same command "
        "every night is the resume of the last one.",
    )


if __name__ == "__main__":
    play(main)
