"""reset: all green and still wrong; have only that part done again

Question: A source has corrected its figures. The dates are all green, so neither `run` nor `rerun-failed` touches them.
How do I have the right part done again, without paying for the rest?

What goes wrong: Rows deleted from a state table by hand leave half of it behind: a value one task handed to the next, a
note that was true last week. Doing everything again buys each download twice. And clearing what a colleague's
process works on at this moment makes two processes do the same.

What bfill does: `reset` clears task instances and their XComs, of all tasks or of one and those behind it. It asks with
the counts first, starts nothing, keeps every attempt as history, and refuses dates that a living process works on.

What to look at: the states and XComs before and after; the try numbers; the paid downloads; exit 5 beside a run.

When not to do it: when tasks failed, `rerun-failed` needs no dates; when the code changed, `--reprocess stale` finds
the dates itself; to clear and run in one go there is `run --reset-dag-run`.
"""

from datetime import datetime
from time import sleep

from _shared import warehouse
from _shared.demo import Demo, play, scenario
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]

DAYS = [f"2024-06-0{number}" for number in (3, 4, 5, 6)]
RATES = {"2024-06-03": 92, "2024-06-04": 91, "2024-06-06": 93}
"""Euro cents for a dollar. The one of the 5th comes late."""

LATE = "2024-06-05"
RANGE = "--dag 17.3.4 --start 2024-06-03 --end 2024-06-06"
PART = f"reset --dag 17.3.4 --dates {LATE} --task convert --downstream"
LIVE = "--dag 17.3.4 --dates 2024-06-07"

with DAG("scenario_17_03_04", schedule="@daily", start_date=datetime(2024, 6, 3)) as dag:

    @task
    def fetch(ds: str) -> int:
        """Buy the day's revenue in dollar cents: each download is on the bill."""
        while (warehouse.home(__file__) / "slow").exists():  # the supplier has a bad day
            sleep(0.02)
        with warehouse.connect(__file__) as db:
            db.execute("INSERT INTO bill VALUES (?)", [ds])
        return sum(one.cents for one in warehouse.orders(ds))

    @task
    def convert(ds: str, cents: int, ti) -> int:
        """Into euros; without a rate of the day at the last one before it, and with a note that says so."""
        with warehouse.connect(__file__) as db:
            day, rate = db.execute("SELECT max(day), rate FROM rates WHERE day <= ?", [ds]).fetchone()
        if day != ds:
            ti.xcom_push("note", f"rate of {day}")
        return round(cents * rate / 100)

    @task
    def publish(ds: str, cents: int, ti) -> None:
        """Write the day, with the note if there is one, over what was there."""
        note = ti.xcom_pull(task_ids="convert", key="note")
        with warehouse.connect(__file__) as db:
            db.execute("INSERT OR REPLACE INTO revenue VALUES (?, ?, ?)", [ds, cents, note])

    publish(cents=convert(cents=fetch()))


def euros(day: str, rate: int) -> int:
    """What a day is worth, in cents."""
    return round(sum(one.cents for one in warehouse.orders(day)) * rate / 100)


def state_of(demo: Demo, day: str) -> list[list[object]]:
    """One row a task, from the store: its state, the try numbers of its history, and the XComs it has pushed."""
    sql = """
        SELECT task_id, state, ifnull((SELECT group_concat(name, ', ') FROM xcoms x
                                       WHERE x.task = i.task AND x.logical_date = i.logical_date), 'none')
        FROM task_instances i JOIN tasks USING (task) WHERE date(logical_date, 'unixepoch') = ? ORDER BY task
    """
    made = [one for one in demo.attempts() if one.day == day]
    return [
        [name, state, " and ".join(str(one.try_number) for one in made if one.task_id == name), xcoms]
        for name, state, xcoms in demo.stored(sql, day)
    ]


HEADINGS = [LATE, "state", "tries", "XComs"]


@scenario
def main(demo: Demo) -> None:
    """Play it: a late rate, a part cleared at a terminal, a whole date cleared in a script, a range that is live."""
    with warehouse.connect(__file__) as db:
        db.execute("CREATE TABLE rates (day PRIMARY KEY, rate)")
        db.execute("CREATE TABLE bill (day)")
        db.execute("CREATE TABLE revenue (day PRIMARY KEY, cents, note)")
        db.executemany("INSERT INTO rates VALUES (?, ?)", RATES.items())

    demo.step("All green, and wrong", "One rate was late. The task took the one before it and left a note.")
    demo.bfill(f"run {RANGE}")
    rows = demo.rows("SELECT day, cents, coalesce(note, '') FROM revenue ORDER BY day")
    demo.table(["day", "euros", "note"], [[day, f"{cents / 100:,.2f}", note] for day, cents, note in rows])
    found = demo.rows("SELECT cents, note FROM revenue WHERE day = ?", LATE)
    demo.check_equal("the 5th has yesterday's rate, and a note", found, [(euros(LATE, 91), "rate of 2024-06-04")])
    with warehouse.connect(__file__) as db:
        db.execute("INSERT INTO rates VALUES (?, 95)", [LATE])
    before = demo.attempts()
    codes = [demo.call(f"run {RANGE}").code, demo.call(f"rerun-failed {RANGE}").code]
    demo.check_equal("the rate is there now; run and rerun-failed see nothing to do", codes, [0, 0])
    demo.check_equal("and made no attempt", len(demo.attempts()), len(before))

    demo.step(
        "It asks", "At a terminal, with the counts. This is a real one, and the answer is typed: first no, then y."
    )
    shot = demo.snapshot()
    refused = demo.bfill(PART, answer="n", expect=7)
    question = refused.out.splitlines()[0]
    demo.check("it says how much before it does it", "2 task instances of 1 date" in question, question)
    demo.check("a no changes nothing, not a byte", demo.snapshot() == shot, f"{len(shot)} files and folders")
    earlier = state_of(demo, LATE)
    demo.bfill(PART, answer="y")
    later = state_of(demo, LATE)
    demo.say("Before, and after:")
    demo.table(HEADINGS, earlier)
    demo.table(HEADINGS, later)
    demo.check_equal(
        "convert and publish are to be done again", [row[1] for row in later], ["success", *["scheduled"] * 2]
    )
    demo.check_equal(
        "the stale values are gone, the note too; fetch's is kept",
        [row[3] for row in later],
        ["return_value", "none", "none"],
    )
    demo.check(
        "the history is kept, and nothing has been started", demo.attempts() == before, f"{len(before)} attempts"
    )

    demo.step("Run it", "The plan says what it will take up and why; the three other dates are left alone.")
    demo.bfill(f"plan {RANGE} --dry-run")
    demo.bfill(f"run {RANGE}")
    demo.table(HEADINGS, state_of(demo, LATE))
    new = [f"{one.day} {one.task_id} {one.try_number}" for one in demo.attempts() if one not in before]
    demo.check_equal("two tasks ran, as their second tries", new, [f"{LATE} convert 2", f"{LATE} publish 2"])
    found = demo.rows("SELECT cents, note FROM revenue WHERE day = ?", LATE)
    demo.check_equal("the day is right to the cent, and the old note is gone", found, [(euros(LATE, 95), None)])
    bill = demo.rows("SELECT count(*), count(DISTINCT day) FROM bill")
    demo.check_equal("no download was paid for twice", bill, [(4, 4)])

    demo.step("In a script", "Nobody can answer there: it refuses, unless told --yes. This time all tasks of a date.")
    whole = "reset --dag 17.3.4 --dates 2024-06-04"
    demo.bfill(whole, expect=7)
    demo.bfill(f"{whole} --yes --reason 'the supplier sent it again'")
    demo.call(f"run {RANGE}")
    again = [f"{one.task_id} {one.try_number}" for one in demo.attempts() if one.day == "2024-06-04"]
    demo.check_equal("all three tasks ran once more", sorted(again[3:]), ["convert 2", "fetch 2", "publish 2"])
    entry = demo.stored("SELECT reason, outcome FROM v_audit WHERE action = 'reset' ORDER BY seq DESC LIMIT 1")
    demo.check_equal("who, what and why is in the audit chain", entry, [("the supplier sent it again", "cleared")])

    demo.step("Not under a running process", "A second process loads the 7th, from a supplier who takes his time.")
    slow = demo.home / "slow"
    slow.touch()
    running = demo.start(f"run {LIVE}")
    open_now = "SELECT count(*) FROM task_instances WHERE state = 'running'"
    wait_until(lambda: demo.stored(open_now) == [(1,)], "the second process is in its first task")
    conflict = demo.bfill(f"reset {LIVE} --yes", expect=5)
    demo.check("it is named by its process id", str(running.pid) in conflict.err, f"pid {running.pid}")
    demo.check(
        "the run goes on as if nothing was asked", running.is_running and demo.stored(open_now) == [(1,)], "running"
    )
    other = demo.call(f"reset --dag 17.3.4 --dates {LATE} --yes").code
    demo.check_equal("dates it does not hold can be reset meanwhile", other, 0)
    slow.unlink()
    demo.wait(running)
    demo.check_equal("when it has ended, so can its own", demo.call(f"reset {LIVE} --yes").code, 0)

    demo.step(
        "Best practice",
        "Clear the first task that saw wrong input, and --downstream; say why with --reason; then run the whole range: "
        "it takes up what was cleared and leaves the rest.",
    )


if __name__ == "__main__":
    play(main)
