"""One day fails in the middle of a catch-up; the later ones go on

Question: A week is caught up, and the file of the 4th is broken. Is it tried again, does it hold up the days behind it,
who is told, and how do I repair it when the scheduler leaves failed dates alone?

What goes wrong: A loop that stops at the first error leaves three days undone for one file; one that swallows the error
leaves a hole nobody knows of; one that tries for ever hammers a source that is down, and sends a mail each time.

What bfill does: The day is tried as often as its retries say, each wait longer than the one before, while the others
run. Then it is failed: on_failure_callback is called once for the dag_run, and the pass ends with exit code 1. The next
pass leaves it alone; `rerun-failed` runs that day, and no other.

What to look at: the waits between the tries, measured; which days ended while the 4th was still being tried; how often
somebody was told; the tries of each day after the repair.

When not to do it: where each day builds on the one before, going on is wrong: depends_on_past stops the chain (17.4.3).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from _shared import marks, warehouse
from _shared.demo import Demo, play, scenario

from backfill_cli import DAG, task

TAGS = ["reference", "control", "beginner", "success"]


def tell(context: dict[str, Any]) -> None:
    """Tell somebody: here, a row in a table that would take any number."""
    with warehouse.connect(__file__) as db:
        db.execute("CREATE TABLE IF NOT EXISTS told (day)")
        db.execute("INSERT INTO told VALUES (?)", [context["ds"]])


with DAG(
    "scenario_17_01_05",
    schedule="@daily",
    start_date=datetime(2024, 1, 1),
    catchup=True,
    max_active_runs=2,
    on_failure_callback=tell,
) as dag:

    @task(
        retries=2,
        retry_delay=timedelta(seconds=1),
        retry_exponential_backoff=True,
        max_retry_delay=timedelta(seconds=2),
    )
    def load(ds: str) -> None:
        """Load a day, whose file may be broken."""
        marks.fail_if(__file__, f"file of {ds}")
        with warehouse.connect(__file__) as db:
            db.execute("CREATE TABLE IF NOT EXISTS days (day)")
            db.execute("INSERT INTO days VALUES (?)", [ds])

    load()

DAYS = [f"2024-01-0{number}" for number in range(1, 8)]
BROKEN = DAYS[3]
PASS = "scheduler --once --dag 17.1.5 --now 2024-01-08T00:00Z"
LEAST_S = [1, 2]
"""The least each wait may be: retry_delay, doubled from try to try. At most it is twice that, or max_retry_delay."""


@scenario
def main(demo: Demo) -> None:
    """Play it: a week with a broken file, the next pass, the repair."""
    demo.step("A week behind, one file broken", f"The file of {BROKEN} is broken. Two tries more, each wait longer.")
    marks.put(__file__, f"file of {BROKEN}")
    demo.bfill(PASS, expect=1)
    made = demo.attempts()
    bad = [one for one in made if one.day == BROKEN]
    waits = [later.span.start - before.span.end for before, later in pairwise(bad)]
    demo.table(
        ["try", "outcome", "waited"],
        [(one.try_number, one.outcome, f"{wait:.2f} s") for one, wait in zip(bad, [0.0, *waits], strict=True)],
    )
    demo.check_equal("three tries, and then no more", [one.outcome for one in bad], ["retry", "retry", "failed"])
    longer = all(wait > least - 0.01 for wait, least in zip(waits, LEAST_S, strict=True))
    demo.check("each wait is at least the delay, which doubles", longer, f"{waits[0]:.2f} s, {waits[1]:.2f} s")
    meanwhile = [one.day for one in made if one.day > BROKEN and one.span.end < bad[-1].span.start]
    demo.check_equal("the days behind it were done before its last try", meanwhile, DAYS[4:])
    loaded = [day for (day,) in demo.rows("SELECT day FROM days ORDER BY day")]
    demo.check_equal("six of seven days are loaded", loaded, [day for day in DAYS if day != BROKEN])
    demo.check_equal("somebody was told, once for three tries", told(demo), [BROKEN])

    demo.step("The next pass", "An hour later, and the file is still broken. A failed date is nobody's but yours.")
    ran = demo.call(PASS.replace("T00", "T01") + " --json")
    again = ran.data["dags"][0]
    demo.check("it leaves the failed day alone", not again["runs"], again["why"])
    demo.check_equal("and its exit code is 0: it had nothing to do", ran.code, 0)
    demo.check_equal("no try was made, nobody told again", (len(demo.attempts()), told(demo)), (len(made), [BROKEN]))

    demo.step("The repair", "The file is mended. rerun-failed takes what failed, wherever in the week that is.")
    marks.take_away(__file__, f"file of {BROKEN}")
    demo.bfill(f"rerun-failed --dag 17.1.5 --start {DAYS[0]} --end {DAYS[-1]}")
    tries = Counter(one.day for one in demo.attempts())
    demo.check_equal(
        "one more try of that day, none of any other", tries, {day: 4 if day == BROKEN else 1 for day in DAYS}
    )
    loaded = [day for (day,) in demo.rows("SELECT day FROM days ORDER BY day")]
    demo.check_equal("every day is loaded, once", loaded, DAYS)
    kinds = demo.stored("SELECT DISTINCT run_type, state FROM v_dag_runs")
    demo.check_equal("they are still the scheduler's runs, and green", kinds, [("scheduled", "success")])
    demo.check_equal("nobody was told of the repair as of a failure", told(demo), [BROKEN])

    demo.step(
        "Best practice",
        "Retries with a growing delay are for what mends itself; the callback is for what does not. Let whatever calls "
        "the scheduler look at its exit code as well: it is 1 in the pass in which the date failed, and 0 in the next.",
    )


def told(demo: Demo) -> list[str]:
    """Of which days somebody was told, in that order."""
    return [day for (day,) in demo.rows("SELECT day FROM told ORDER BY rowid")]


if __name__ == "__main__":
    play(main)
