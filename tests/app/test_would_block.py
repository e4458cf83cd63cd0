"""`would-block`: a plan says which of its dates would be blocked, behind what, and how to repair it, before they run.

What is said is held against what a run then does: the dates a warning names are those that end as blocked, and the
command in its hint lets them go on.
"""

from __future__ import annotations

import re
import shlex

import pytest
from blackbox.conftest import bfill, forker, new_project, project
from blackbox.world import Project

__all__ = ["bfill", "forker", "new_project", "project"]

CHAIN = """\
def run(task_id, **more):
    return PythonOperator(task_id=task_id, python_callable=lambda ti, ds: broken(ti.task_id, ds), **more)
with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1)):
    run("stage", wait_for_downstream=True) >> run("copy") >> run("tell")
"""


def chain(*dates: str) -> tuple[str, ...]:
    """The words of a selection: one date, or first and last."""
    days = [f"2024-01-{date}" for date in dates]
    return (
        ("--dag", "chain", "--dates", *days)
        if len(days) == 1
        else ("--dag", "chain", "--start", days[0], "--end", days[1])
    )


def warning(project: Project, *words: str) -> tuple[str, str]:
    """Message and hint of the one `would-block` of a plan; empty texts when there is none."""
    found = [
        one
        for one in project.bfill("plan", *words, "--dry-run", "--json").data["warnings"]
        if one["code"] == "would-block"
    ]
    assert len(found) <= 1, found
    return (found[0]["message"], found[0]["hint"]) if found else ("", "")


def blocked(project: Project, *words: str) -> int:
    return int(project.bfill("run", *words, "--parallel", "4", "--json").data["blocked"])


def follow(project: Project, hint: str) -> None:
    """Type the command of a hint."""
    _, _, command = hint.partition(": bfill ")
    project.bfill(*shlex.split(command)).exits(0)


def test_a_failed_date_before_the_selection(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    project.bfill("run", *chain("01", "02")).exits(1)
    message, hint = warning(project, *chain("03", "05"))
    assert (
        message == "2024-01-03 and 2 dates behind it would be blocked: stage waits for 2024-01-02: copy is failed there"
    )
    assert hint == "repair it first: bfill rerun-failed --dag chain --dates 2024-01-02"
    assert blocked(project, *chain("03", "05")) == 3
    project.mends("copy", "2024-01-02")
    follow(project, hint)
    assert warning(project, *chain("03", "05")) == ("", "")
    assert blocked(project, *chain("03", "05")) == 0


def test_a_failed_date_inside_the_selection_that_is_left_alone(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("stage", "2024-01-03")
    project.bfill("run", *chain("01", "03")).exits(1)
    message, _ = warning(project, *chain("01", "04"))
    assert message == "2024-01-04 would be blocked: stage waits for 2024-01-03: stage is failed there"
    assert blocked(project, *chain("01", "04")) == 1
    assert warning(project, *chain("01", "04"), "--reprocess", "failed") == ("", "")


def test_the_hint_goes_back_to_the_date_that_all_wait_for(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    project.bfill("run", *chain("01", "05")).exits(1)
    message, hint = warning(project, *chain("06", "07"))
    assert (
        message
        == "2024-01-06 and 1 date behind it would be blocked: stage waits for 2024-01-05: stage is scheduled there"
    )
    assert hint == "repair it first: bfill rerun-failed --dag chain --start 2024-01-02 --end 2024-01-05"
    project.mends("copy", "2024-01-02")
    follow(project, hint)
    assert blocked(project, *chain("06", "07")) == 0


def test_a_date_whose_copy_was_cleared(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.bfill("run", *chain("01", "03")).exits(0)
    project.bfill("reset", *chain("03"), "--task", "copy", "--yes").exits(0)
    message, hint = warning(project, *chain("04"))
    assert message == "2024-01-04 would be blocked: stage waits for 2024-01-03: copy is scheduled there"
    assert hint == "run it first: bfill run --dag chain --dates 2024-01-03"
    assert blocked(project, *chain("04")) == 1
    follow(project, hint)
    assert blocked(project, *chain("04")) == 0


def test_what_lies_behind_the_immediate_downstreams_is_no_reason_to_warn(project: Project) -> None:
    """Rule 6: in A >> B >> C a failed C does not hold A."""
    project.write("dags/chain.py", CHAIN)
    project.breaks("tell", "2024-01-02")
    project.bfill("run", *chain("01", "02")).exits(1)
    assert warning(project, *chain("03", "04")) == ("", "")
    assert blocked(project, *chain("03", "04")) == 0


def test_a_date_that_is_success_though_its_copy_did_not_run(project: Project) -> None:
    """A leaf with all_done makes the date a success, which rerun-failed would not touch."""
    healed = (
        CHAIN.replace('run("tell")', 'run("tell", trigger_rule="all_done")')
        + '    run("rates") >> dag.get_task("copy")\n'
    )
    project.write("dags/chain.py", healed.replace("1)):", "1)) as dag:"))
    project.breaks("rates", "2024-01-02")
    project.bfill("run", *chain("01", "02")).exits(0)
    message, hint = warning(project, *chain("03"))
    assert "copy is upstream_failed there" in message
    command = "bfill reset --dag chain --dates 2024-01-02 --where failed --where upstream_failed"
    assert hint == f"clear what failed there and run it again: {command}"
    assert blocked(project, *chain("03")) == 1
    project.mends("rates", "2024-01-02")
    follow(project, f"{hint} --yes")
    project.bfill("run", *chain("02", "03")).exits(0)
    assert project.tries("chain", "stage")["2024-01-02"] == ["success"], "what had succeeded is left alone"


def test_a_task_that_a_finished_date_does_not_have_though_it_ran_before(project: Project) -> None:
    """Rule 4: the task was taken out of the DAG for one date."""
    project.write("dags/chain.py", CHAIN)
    project.bfill("run", *chain("01")).exits(0)
    project.write("dags/chain.py", CHAIN.replace('run("stage", wait_for_downstream=True) >> ', ""))
    project.bfill("run", *chain("02")).exits(0)
    project.write("dags/chain.py", CHAIN)
    message, hint = warning(project, *chain("03"))
    assert "stage is absent there" in message
    assert hint == "run it first: bfill run --dag chain --dates 2024-01-02 --task stage --reprocess success"
    assert blocked(project, *chain("03")) == 1
    follow(project, hint)
    assert blocked(project, *chain("03")) == 0


def test_a_date_that_is_gone_on_with_though_a_task_of_it_has_failed(project: Project) -> None:
    """Only its last task was cleared: `run` goes on with that, and what has failed stays so."""
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    project.bfill("run", *chain("01", "02")).exits(1)
    project.bfill("reset", *chain("02"), "--task", "tell", "--yes").exits(0)
    message, hint = warning(project, *chain("01", "04"))
    assert message.startswith(
        "2024-01-03 and 1 date behind it would be blocked: stage waits for 2024-01-02: copy is failed"
    )
    assert hint.endswith("bfill reset --dag chain --dates 2024-01-02 --where failed --where upstream_failed")
    project.mends("copy", "2024-01-02")
    assert blocked(project, *chain("01", "04")) == 2
    assert project.bfill("rerun-failed", *chain("01", "04"), "--json").data["blocked"] == 0


def test_a_gap_in_the_chain_is_no_reason_to_warn_and_the_first_date_may_ignore_the_past(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("stage", "2024-01-01")
    assert warning(project, *chain("01", "05")) == ("", "")
    project.bfill("run", *chain("01")).exits(1)
    message, _ = warning(project, *chain("04", "05"))
    assert message.startswith("2024-01-04 and 1 date behind it would be blocked: stage waits for 2024-01-01")
    assert warning(project, *chain("04", "05"), "--ignore-first-depends-on-past") == ("", "")


def test_only_the_tasks_that_will_run_are_asked(project: Project) -> None:
    """The date's stage is done; its copy alone was cleared, and copy waits for nobody."""
    project.write("dags/chain.py", CHAIN)
    project.bfill("run", *chain("01", "02")).exits(0)
    project.bfill("reset", *chain("01"), "--task", "stage", "--yes").exits(0)
    project.bfill("reset", *chain("02"), "--task", "copy", "--yes").exits(0)
    assert warning(project, *chain("02")) == ("", "")
    assert blocked(project, *chain("02")) == 0
    assert warning(project, *chain("02"), "--reset-dag-run")[0] != ""


def test_an_hour_is_typed_as_wall_time_of_the_dag_and_no_more_than_three_are_named(project: Project) -> None:
    project.write(
        "dags/hours.py",
        """\
        with DAG("hours", schedule="@hourly", start_date=datetime(2024, 1, 1), timezone="Europe/Paris"):
            PythonOperator(task_id="step", depends_on_past=True, python_callable=lambda ts: broken("step", ts[11:13]))
        """,
    )
    hours = [f"{hour:02}" for hour in (4, 7, 10, 13)]
    project.breaks("step", *hours)
    for hour in hours:
        one = f"2024-01-02T{hour}:00:00+00:00"
        project.bfill("run", "--dag", "hours", "--dates", one, "--ignore-first-depends-on-past").exits(1)
    plan = project.bfill("plan", "--dag", "hours", "--dates", "2024-01-02", "--dry-run", "--json").data
    found = [one for one in plan["warnings"] if one["code"] == "would-block"]
    assert [one["message"][:43] for one in found] == [
        f"2024-01-02 {hour:02}:00+01:00 and 1 date behind it"[:43] for hour in (6, 9, 12)
    ]
    assert found[0]["hint"].endswith("--dates 2024-01-02T05:00:00")


def test_what_to_do_next_when_all_dates_wait_for_one_outside_is_to_repair_that(project: Project) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    project.bfill("run", *chain("01", "02")).exits(1)
    outside = project.bfill("run", *chain("03", "04")).exits(1)
    assert " next: bfill rerun-failed --dag chain --dates 2024-01-02\n" in outside.out
    inside = project.bfill("run", *chain("01", "04")).exits(1)
    assert " next: bfill rerun-failed bf-" in inside.out


@pytest.mark.parametrize("command", ["run", "rerun-failed"])
def test_commands_that_run_say_it_too(project: Project, command: str) -> None:
    project.write("dags/chain.py", CHAIN)
    project.breaks("copy", "2024-01-02")
    project.bfill("run", *chain("01", "03")).exits(1)
    ran = project.bfill(command, *chain("03"), "--json").exits(1)
    assert re.search("waits for 2024-01-02: copy is failed there", ran.problems["would-block"])
