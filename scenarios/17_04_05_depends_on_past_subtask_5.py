"""Skipped is done, upstream_failed is not, and cleared waits again

Question: My task depends on the day before. The day before it was skipped, or could not run, or somebody has cleared
it: does today run?

What goes wrong: "Yesterday must have succeeded" is not the rule. Who believes it is surprised by a day that runs
behind a holiday, and by one that waits behind a day whose own task never failed.

What bfill does: success and skipped let the next day go on. failed and upstream_failed hold it. A task that was
cleared counts as not yet run: the next day waits, and runs behind it when both are in one range.

What to look at: the table: what the day before was, what became of the day behind it; explain, which names the state
it found; the order of the attempts after the clear.

When not to do it: do not raise SkipTask to get a broken day out of the way. The chain goes on as if nothing was
missing.
"""

from __future__ import annotations

from datetime import datetime

from _shared import marks
from _shared.demo import Demo, play, scenario
from _shared.evidence import by_task

from backfill_cli import DAG, SkipTask, task

TAGS = ["reference", "control", "beginner", "success"]

DAG_ID = "--dag 17.4.5"
HOLIDAY, DOWN = "2024-05-01", "2024-05-04"

with DAG("scenario_17_04_05", schedule="@daily", start_date=datetime(2024, 4, 30)) as dag:

    @task
    def rates(ds: str) -> str:
        """The exchange rates of a day. On a holiday there are none, which is as it should be."""
        marks.fail_if(__file__, f"rates of {ds}")
        if ds == HOLIDAY:
            raise SkipTask(f"{ds} is a holiday")
        return ds

    @task(depends_on_past=True)
    def value(rates: str) -> None:
        """Carry the portfolio on from the day before."""

    value(rates())


def state(demo: Demo, day: str) -> str:
    """The stored state of value on a day; one that has no row has not run."""
    return demo.state_of("value", day) or "not run"


def told(demo: Demo, day: str) -> tuple[str, str]:
    """What explain says of depends_on_past for value on a day: its verdict, and the state it found the day before."""
    explained = next(one for one in demo.ask(f"explain {DAG_ID} {day}")["tasks"] if one["task_id"] == "value")
    return next((one["verdict"], one["state"]) for one in explained["rules"] if one["rule"] == "depends_on_past")


@scenario
def main(demo: Demo) -> None:
    """Play it: behind a skip, behind an upstream that failed, behind a clear."""
    seen: list[tuple[str, str, str]] = []

    demo.step("Skipped is done", "May 1st is a holiday: rates skips itself, and value is skipped with it.")
    demo.bfill(f"run {DAG_ID} --start 2024-04-30 --end 2024-05-03 --parallel 4")
    seen.append(("skipped", state(demo, HOLIDAY), state(demo, "2024-05-02")))
    demo.check_equal("the holiday was skipped, the day behind it ran", seen[-1][1:], ("skipped", "success"))

    demo.step(
        "upstream_failed is not",
        "On the 4th the rates do not come. value itself never failed: it was never tried. Still nobody can carry on "
        "from a day that is not there.",
    )
    marks.put(__file__, f"rates of {DOWN}")
    demo.bfill(f"run {DAG_ID} --start 2024-05-04 --end 2024-05-06 --parallel 4", expect=1)
    seen.append(("upstream_failed", state(demo, DOWN), state(demo, "2024-05-05")))
    demo.check_equal("the day behind it was not run", seen[-1][1:], ("upstream_failed", "not run"))
    demo.bfill(f"explain {DAG_ID} 2024-05-05 --task value")
    demo.check_equal("explain names the state it found", told(demo, "2024-05-05"), ("held", "upstream_failed"))
    tried = [one.day for one in demo.attempts() if one.task_id == "value"]
    demo.check("value was tried on neither day", not {DOWN, "2024-05-05"} & set(tried), tried)
    marks.take_away(__file__, f"rates of {DOWN}")
    demo.bfill("rerun-failed --parallel 4")
    done = [state(demo, f"2024-05-0{day}") for day in (4, 5, 6)]
    demo.check_equal("after the repair all three are done", done, ["success"] * 3)

    demo.step(
        "Cleared waits again",
        "The bank has corrected the rates of the 6th, so somebody clears that day. The 7th comes first, in a command "
        "of its own.",
    )
    demo.bfill(f"reset {DAG_ID} --dates 2024-05-06 --yes")
    demo.bfill(f"run {DAG_ID} --dates 2024-05-07", expect=1)
    seen.append(("cleared", state(demo, "2024-05-06"), state(demo, "2024-05-07")))
    demo.check_equal("the 7th waits for a day that succeeded once", seen[-1][1:], ("scheduled", "not run"))
    demo.check_equal("explain says so", told(demo, "2024-05-07"), ("held", "scheduled"))
    command = demo.ask(f"explain {DAG_ID} 2024-05-07")["next_command"]
    demo.check(
        "and names the command that takes both", command.endswith("--start 2024-05-06 --end 2024-05-07"), command
    )
    demo.bfill(command.removeprefix("bfill "))
    spans = by_task(demo.attempts())
    gap = spans["2024-05-07", "value"].start - spans["2024-05-06", "value"].end
    demo.check("in one range the 7th ran behind the 6th", gap >= 0, f"{gap * 1000:,.1f} ms after it")
    tries = max(one.try_number for one in demo.attempts() if one.day == "2024-05-06" and one.task_id == "value")
    demo.check_equal("the 6th was tried a second time, and keeps its first in history", tries, 2)

    demo.step("What it comes to")
    demo.table(["the day before was", "as stored", "the day behind it then"], seen)
    demo.check_equal("only the skipped one let the next day go on", [row[2] for row in seen].count("success"), 1)

    demo.step(
        "Best practice",
        "Raise SkipTask where a day has nothing to do, and let it fail where something is missing: the flag tells the "
        "two apart. After a clear run the cleared day and all behind it in one range.",
    )


if __name__ == "__main__":
    play(main)
