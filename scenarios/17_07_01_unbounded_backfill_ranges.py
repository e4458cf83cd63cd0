"""A year mistyped: ten years of hours in place of a week

Question: I want the first week of 2025 again and type 2015. What happens, and what would have kept me from it?

What goes wrong: Ninety thousand dates are taken in place of 168. They run oldest first, so the week that was meant
comes last of all; the source is asked for years nobody wants; whoever needs one of these hours meanwhile finds them
held; and the store keeps a row for each date for ever.

What bfill does: plan takes any range, says how many dates it holds, and warns. run refuses more than 10,000 (exit 7,
nothing is stored) until --max-runs allows them; max_runs in bfill.toml sets a limit that fits the project. --limit
takes the first so many in the order of the run, and --chunk stops behind the first bad day in place of after ninety
thousand bad hours.

What to look at: how many of the meant hours were loaded when ten years were under way; what a date costs the store; how
often a source that is down was asked, with and without chunks.

When not to do it: ten years may be what is meant. Then plan them, and run them in chunks, newest first.
"""

from datetime import datetime
from pathlib import Path
from signal import SIGINT
from time import sleep

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario
from _shared.processes import wait_until

from backfill_cli import DAG, task

TAGS = ["anti-pattern", "control", "intermediate", "failure"]

MEANT = "--dag 17.7.1 --start 2025-01-01 --end 2025-01-07"
TYPED = "--dag 17.7.1 --start 2015-01-01 --end 2025-01-07"
WEEK_FROM = "2025-01-01"
HOURS = 7 * 24

with DAG("scenario_17_07_01", schedule="@hourly", start_date=datetime(2015, 1, 1)) as dag:

    @task
    def load(ts: str) -> None:
        """Ask the source for an hour; the source counts what it is asked."""
        sleep(0.01)
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS asked (hour)")
            db.execute("INSERT INTO asked VALUES (?)", [ts])
        marks.fail_if(__file__, "the source")

    load()


def asked(demo: Demo) -> list[str]:
    """The hours the source was asked for so far, as often as it was."""
    return [hour for (hour,) in demo.rows("SELECT hour FROM asked ORDER BY rowid")]


def forget() -> None:
    """Let the source count anew."""
    with warehouse.connect(__file__) as db:
        db.execute("DELETE FROM asked")


def size_of(store: Path) -> int:
    """Bytes of a store with its journal."""
    return sum(
        one.stat().st_size for one in store.parent.glob(f"{store.name}*") if one.suffix in ("", ".db", ".db-wal")
    )


@scenario
def main(demo: Demo) -> None:
    """Play it: the plan, the refusal, the damage where somebody insists, and three ways to bound it."""
    demo.step("The plan says so", "A plan takes any range, in a moment, and stores nothing with --dry-run.")
    demo.bfill(f"plan {TYPED} --dry-run")
    plan = demo.call(f"plan {TYPED} --dry-run -q --json")
    total = plan.data["total"]
    codes = [one["code"] for one in plan.data["warnings"]]
    demo.check("it counts far more than the 168 hours that were meant", total > 500 * HOURS, f"{total:,} dates")
    demo.check("and warns", "over-max-runs" in codes, codes)

    demo.step("The run refuses", "More than 10,000 dates in one command are most often a mistake.")
    refused = demo.bfill(f"run {TYPED}", expect=7)
    demo.check("the message names the flag that would allow it", "--max-runs" in refused.err, "exit 7")
    demo.check("nothing was stored", not demo.store.exists(), "no store")

    demo.step("Somebody insists", "With --max-runs it runs: eight hours at a time, the oldest first. Let us look in.")
    going = demo.start(f"run {TYPED} --max-runs 100000 --parallel 8")
    wait_until(lambda: demo.state_of("load", "2015-01-15") is not None, "two weeks of 2015 are loaded")
    colleague = demo.bfill(f"run {MEANT}", expect=5)
    demo.check("a colleague who needs the week is refused", "is being run by pid" in colleague.err, "exit 5")
    going.send(SIGINT)
    ended = demo.wait(going, expect=130)
    made = demo.attempts()
    useful = [one for one in made if one.day >= WEEK_FROM]
    demo.check_equal("of the hours that were meant, none is there", len(useful), 0)
    demo.check(
        "the source was asked for hours nobody wants", len(asked(demo)) >= 14 * 24, f"{len(asked(demo)):,} times"
    )
    share = 100 * len(made) / total
    demo.say(f"{share:.1f} % of the dates were done when it was stopped. {ended.out.splitlines()[0].strip()}")

    demo.step("What it leaves in the store", "Each date is a row of the backfill; each that ran is some more.")
    planned = size_of(demo.store)
    demo.call(f"run --dag 17.7.1 --start 2016-01-01 --end 2016-02-11 --store {demo.folder}/small.db --parallel 8")
    small = size_of(demo.folder / "small.db")
    dates = 42 * 24
    demo.table(
        ["store", "dates planned", "dates run", "bytes", "bytes a date"],
        [
            ("ten years, stopped", f"{total:,}", f"{len(made):,}", f"{planned:,}", f"{planned / total:.0f}"),
            ("six weeks, done", f"{dates:,}", f"{dates:,}", f"{small:,}", f"{small / dates:.0f}"),
        ],
    )
    demo.say(f"Done to the end, ten years of one task would be about {small / dates * total / 1e6:.0f} MB.")
    demo.check("planning alone costs bytes for every date", planned > 20 * total, f"{planned / total:.0f} a date")

    demo.step("Bound it for everybody", "A limit in bfill.toml that fits the project: here a month of hours.")
    demo.show("bfill.toml", "max_runs = 750\n")
    demo.bfill("run --dag 17.7.1 --start 2024-11-01 --end 2024-12-31", expect=7)
    forget()
    demo.bfill(f"run {MEANT} --parallel 8")
    demo.check_equal("what was meant runs without a word", len(asked(demo)), HOURS)

    demo.step("Bound it for one command", "--limit takes so many: the newest with --run-backwards, else the oldest.")
    forget()
    demo.bfill("run --dag 17.7.1 --start 2015-01-01 --end 2024-12-31 --limit 48 --run-backwards --parallel 8")
    hours = sorted(asked(demo))
    demo.check_equal("two days before the week", (hours[0][:13], hours[-1][:13]), ("2024-12-30T00", "2024-12-31T23"))

    demo.step("Bound what can go wrong", "The source is down. A week in one piece, and the same a day at a time.")
    marks.put(__file__, "the source")
    forget()
    demo.call("run --dag 17.7.1 --start 2024-12-01 --end 2024-12-07 --parallel 8")
    whole = len(asked(demo))
    forget()
    stopped = demo.bfill("run --dag 17.7.1 --start 2024-12-08 --end 2024-12-14 --parallel 8 --chunk 1d", expect=1)
    chunked = len(asked(demo))
    demo.check_equal("in one piece it was asked 168 times, with chunks 24 times", (whole, chunked), (HOURS, 24))
    demo.check(
        "the run says why it went no further", "chunk 1 of 7 ended with 24 failed dates" in stopped.out, "exit 1"
    )

    demo.step(
        "Best practice",
        "Look at the plan's number before you run. Set max_runs to the largest backfill your project means. Long "
        "ranges: in chunks, newest first, with --limit a night.",
    )


if __name__ == "__main__":
    play(main)
