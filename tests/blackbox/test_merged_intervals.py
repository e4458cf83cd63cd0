"""Merged intervals through the real command line: one execution for many dates, a ledger by date."""

from __future__ import annotations

import json
import signal
from itertools import pairwise
from typing import Any

import pytest

from blackbox.world import Project, connect, until

WEEKS = """\
with DAG("weeks", schedule="@daily", start_date=datetime(2024, 1, 1), batch_intervals={size!r}):
    @task
    def extract(data_interval_start, data_interval_end, logical_dates):
        broken("extract", f"{{data_interval_start:%Y-%m-%d}}")
        slow = Path(__file__).parent.parent / "slow" / f"{{data_interval_start:%Y-%m-%d}}"
        time.sleep(float(slow.read_text()) if slow.exists() else 0)
        return [f"{{one:%d}}" for one in logical_dates]
    @task
    def load(days: list, ds: str, next_ds: str, data_interval_end, prev_data_interval_start_success, dag_run):
        broken("load", ds)
        print(ds, next_ds, f"{{data_interval_end:%Y-%m-%d}}", *days, len(dag_run.logical_dates))
        print("after", prev_data_interval_start_success)
    load(extract())
"""
JANUARY = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-31")
FIRST_WEEK = [f"2024-01-0{n}" for n in range(1, 8)]


@pytest.fixture
def weeks(project: Project) -> Project:
    project.write("dags/weeks.py", WEEKS.format(size=True))
    return project


def batches(project: Project) -> dict[str, list[str]]:
    """First day of each batch → its days, as the store has them; a day that ran alone is one of its own."""
    found: dict[str, list[str]] = {}
    for row in project.rows("SELECT logical_date, batch FROM v_dag_runs WHERE dag_id = 'weeks' ORDER BY logical_date"):
        found.setdefault((row["batch"] or row["logical_date"])[:10], []).append(row["logical_date"][:10])
    return found


def sizes(project: Project) -> list[int]:
    return [len(days) for days in batches(project).values()]


def sound(project: Project) -> None:
    """Nothing in the store contradicts anything else, and the record holds."""
    project.bfill("store", "check", "-q").exits(0)
    project.bfill("audit", "verify", "-q").exits(0)


def test_each_chunk_is_one_execution_and_each_date_has_its_own_line(weeks: Project) -> None:
    data = weeks.bfill("run", *JANUARY, "--chunk", "7d", "--json").exits(0).data
    assert (data["total_dates"], data["completed"], len(data["results"])) == (31, 31, 31)
    starts = ["2024-01-01", "2024-01-08", "2024-01-15", "2024-01-22", "2024-01-29"]
    for task in ("extract", "load"):
        assert weeks.tries("weeks", task) == {day: ["success"] for day in starts}, "one try for seven dates"
    assert sizes(weeks) == [7, 7, 7, 7, 3]
    assert weeks.log("weeks", "2024-01-01", "load").splitlines()[:2] == [
        "2024-01-01 2024-01-08 2024-01-08 01 02 03 04 05 06 07 7",
        "after None",
    ], "ds is the first date, the interval the whole week, next_ds the date behind it"
    assert "after 2024-01-01 00:00:00+00:00" in weeks.log("weeks", "2024-01-08", "load"), (
        "the batch before, from its start"
    )
    assert [one["batch"][:10] for one in data["results"][:8]] == ["2024-01-01"] * 7 + ["2024-01-08"]
    assert len({one["run_id"] for one in data["results"]}) == 31
    grid = weeks.bfill("status", *JANUARY, "--json").exits(0).data
    assert grid["counts"] == {"success": 31}
    assert {one["tasks"]["load"]["state"] for one in grid["runs"]} == {"success"}, (
        "the tasks of a batch are everybody's"
    )
    weeks.bfill("run", *JANUARY, "--chunk", "7d").exits(0)
    assert sum(map(len, weeks.tries("weeks", "load").values())) == 5, "nothing is left to do"
    sound(weeks)


def test_a_dag_that_does_not_say_so_never_merges(project: Project) -> None:
    project.write("dags/weeks.py", WEEKS.format(size=False))
    plan = project.bfill("plan", *JANUARY, "--chunk", "7d", "--dry-run", "--json").exits(0).data
    assert "batches" not in plan
    project.bfill("run", *JANUARY, "--chunk", "7d", "-q").exits(0)
    assert len(project.tries("weeks", "load")) == 31
    assert project.rows("SELECT 1 FROM dag_runs WHERE batch IS NOT NULL") == []


def test_a_length_of_its_own_merges_without_chunks_and_batches_run_beside_each_other(project: Project) -> None:
    project.write("dags/weeks.py", WEEKS.format(size=7))
    for day in ("2024-01-01", "2024-01-08", "2024-01-15"):
        project.write(f"slow/{day}", "0.4")
    plan = project.bfill("plan", *JANUARY, "--parallel", "3", "--dry-run", "--json").exits(0).data
    assert plan["batches"] == {"dates": 31, "runs": 5, "largest": 7}
    assert (len(plan["runs"]), plan["estimate"]["task_instances"]) == (31, 10)
    project.bfill("run", *JANUARY, "--parallel", "3", "-q").exits(0)
    assert sizes(project) == [7, 7, 7, 7, 3]
    tries = project.attempts("weeks", "extract")[:3]
    assert max(one["started_at"] for one in tries) < min(one["ended_at"] for one in tries), "three at once"
    fourth = project.attempts("weeks", "extract")[3]
    assert fourth["started_at"] >= min(one["ended_at"] for one in tries), "and --parallel counts a batch as one"


def test_a_batch_never_goes_over_a_hole_nor_over_the_end_of_a_chunk(weeks: Project) -> None:
    weeks.bfill("run", "--dag", "weeks", "--dates", "2024-01-03,2024-01-10", "-q").exits(0)
    weeks.bfill("run", *JANUARY, "--chunk", "10", "-q").exits(0)
    found = list(batches(weeks).values())
    assert [(days[0][8:], days[-1][8:]) for days in found] == [
        ("01", "02"), ("03", "03"), ("04", "09"), ("10", "10"), ("11", "12"), ("13", "22"), ("23", "31"),
    ], "ten dates to do a chunk; what had run before stays alone"  # fmt: skip
    sound(weeks)


def test_backwards_a_batch_still_begins_with_its_oldest_date(weeks: Project) -> None:
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "--run-backwards", "-q").exits(0)
    assert [(days[0][8:], days[-1][8:]) for days in batches(weeks).values()] == [
        ("01", "03"), ("04", "10"), ("11", "17"), ("18", "24"), ("25", "31"),
    ]  # fmt: skip
    tries = weeks.attempts("weeks", "extract")
    assert [one["logical_date"][8:10] for one in tries] == ["25", "18", "11", "04", "01"]
    assert all(one["ended_at"] <= other["started_at"] for one, other in pairwise(tries))


def test_a_failed_batch_fails_all_its_dates_and_is_repaired_as_one_by_its_failed_tasks(weeks: Project) -> None:
    weeks.breaks("load", "2024-01-08")
    data = weeks.bfill("run", *JANUARY, "--chunk", "7d", "--chunk-failures", "skip", "--json").exits(1).data
    assert (data["completed"], data["failed"]) == (24, 7)
    failed = [one for one in data["results"] if one["state"] == "failed"]
    assert {one["reason"] for one in failed} == {
        "in a batch of 7 dates, 2024-01-08 … 01-14: load: RuntimeError: load is broken"
    }
    assert [(one["task_id"], one["count"]) for one in data["failures"]] == [("load", 7)]
    weeks.mends("load", "2024-01-08")
    again = weeks.bfill("rerun-failed", "--json").exits(0).data
    assert (again["total_dates"], again["completed"]) == (7, 7)
    assert weeks.tries("weeks", "extract")["2024-01-08"] == ["success"], "what was done of the batch stays done"
    assert weeks.tries("weeks", "load")["2024-01-08"] == ["failed", "success"]
    assert sizes(weeks) == [7, 7, 7, 7, 3]
    sound(weeks)


def test_a_report_names_every_date_of_a_failed_batch_and_what_repaired_each(weeks: Project) -> None:
    """Each of the seven dates has failed, for an auditor as for the ledger; the try that failed was one."""

    def failures() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = weeks.bfill("audit", "report", "--json").exits(0).data["failures"]
        return found

    weeks.breaks("load", "2024-01-08")
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "--chunk-failures", "skip", "-q").exits(1)
    (found,) = failures()
    assert (found["total_dates"], found["tries"], found["unrepaired"]) == (7, 1, 7)
    assert [one[:10] for one in found["dates"]] == [f"2024-01-{day:02}" for day in range(8, 15)]
    weeks.mends("load", "2024-01-08")
    weeks.bfill("rerun-failed", "--dag", "weeks", "--dates", "2024-01-10", "-q").exits(0)
    (found,) = failures()
    assert (found["total_dates"], found["unrepaired"]) == (7, 6)
    weeks.bfill("rerun-failed", "-q").exits(0)
    (found,) = failures()
    assert (found["total_dates"], found["tries"], found["unrepaired"]) == (7, 1, 0)
    assert sum(one["dates"] for one in found["repairs"]) == 7


def test_a_date_that_is_named_alone_runs_alone_and_anew(weeks: Project) -> None:
    """What the batch had done was done for seven dates: none of it counts for one."""
    weeks.breaks("load", "2024-01-01")
    weeks.bfill("run", "--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-07", "--chunk", "7d", "-q").exits(1)
    weeks.mends("load", "2024-01-01")
    for day in ("2024-01-04", "2024-01-01"):
        weeks.bfill("rerun-failed", "--dag", "weeks", "--dates", day, "-q").exits(0)
    assert weeks.tries("weeks", "extract") == {"2024-01-01": ["success", "success"], "2024-01-04": ["success"]}
    assert weeks.log("weeks", "2024-01-04", "load").startswith("2024-01-04 2024-01-05 2024-01-05 04 1\n")
    assert weeks.runs("weeks") == {
        day: "success" if day in ("2024-01-01", "2024-01-04") else "failed" for day in FIRST_WEEK
    }
    sound(weeks)
    # The rest is no longer what ran together: its tasks run again, in two batches around the date that is done.
    weeks.bfill("rerun-failed", "-q").exits(0)
    assert weeks.log("weeks", "2024-01-02", "load").startswith("2024-01-02 2024-01-04 2024-01-04 02 03 2\n")
    assert weeks.log("weeks", "2024-01-05", "load").startswith("2024-01-05 2024-01-08 2024-01-08 05 06 07 3\n")
    assert list(weeks.runs("weeks").values()) == ["success"] * 7
    sound(weeks)


def test_a_batch_of_which_a_date_has_run_alone_since_begins_anew(weeks: Project) -> None:
    week = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-03")
    weeks.breaks("load", "2024-01-01", "2024-01-02")
    weeks.bfill("run", *week, "--chunk", "7", "-q").exits(1)
    weeks.bfill("rerun-failed", "--dag", "weeks", "--dates", "2024-01-02", "-q").exits(1)
    weeks.mends("load", "2024-01-01", "2024-01-02")
    weeks.bfill("run", *week, "--chunk", "7", "--reprocess", "failed", "-q").exits(0)
    assert weeks.tries("weeks", "extract") == {"2024-01-01": ["success", "success"], "2024-01-02": ["success"]}
    assert sizes(weeks) == [3]
    assert weeks.instances("weeks", "2024-01-02") == {"extract": "removed", "load": "removed"}, "they count no longer"
    sound(weeks)


def test_without_the_flag_what_ran_together_begins_anew_date_by_date(weeks: Project) -> None:
    weeks.breaks("load", "2024-01-01")
    week = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-02")
    weeks.bfill("run", *week, "--chunk", "7", "-q").exits(1)
    weeks.mends("load", "2024-01-01")
    weeks.write("dags/weeks.py", WEEKS.format(size=False))
    weeks.bfill("rerun-failed", "-q").exits(0)
    assert weeks.tries("weeks", "extract") == {"2024-01-01": ["success", "success"], "2024-01-02": ["success"]}
    assert sizes(weeks) == [1, 1]
    sound(weeks)


def test_a_part_of_the_dag_leaves_every_date_of_a_batch_partial_until_the_rest_has_run(weeks: Project) -> None:
    week = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-03", "--chunk", "7")
    weeks.bfill("run", *week, "--task", "extract", "-q").exits(0)
    assert weeks.bfill("status", *week[:-2], "--json").data["counts"] == {"partial": 3}
    weeks.bfill("run", *week, "-q").exits(0)
    assert weeks.tries("weeks", "extract") == {"2024-01-01": ["success"]}
    assert weeks.runs("weeks") == dict.fromkeys(FIRST_WEEK[:3], "success")
    sound(weeks)


def test_a_worker_process_is_told_the_dates_of_its_batch(weeks: Project) -> None:
    week = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-03", "--chunk", "7")
    weeks.bfill("run", *week, "--executor", "process", "-q").exits(0)
    assert weeks.log("weeks", "2024-01-01", "load").startswith("2024-01-01 2024-01-04 2024-01-04 01 02 03 3\n")


def test_killed_in_the_middle_a_batch_is_resumed_as_a_whole_and_every_date_is_a_success_once(weeks: Project) -> None:
    weeks.write("slow/2024-01-08", "30")
    words = ("run", *JANUARY, "--chunk", "7d")
    going = weeks.start(*words)
    until(lambda: weeks.runs("weeks").get("2024-01-14") == "running")
    assert [weeks.runs("weeks")[f"2024-01-{n:02}"] for n in range(8, 15)] == ["running"] * 7
    until(lambda: weeks.instances("weeks", "2024-01-08").get("extract") == "running")
    going.signal(signal.SIGKILL)
    going.wait()
    (weeks.folder / "slow/2024-01-08").unlink()
    weeks.bfill("plan", *JANUARY, "--chunk", "7d", "--dry-run", "-q").exits(0)
    data = weeks.bfill(*words, "--json").exits(0).data
    assert (data["completed"], data["failed"], data["remaining"]) == (31, 0, 0)
    assert weeks.tries("weeks", "extract")["2024-01-08"] == ["lost", "success"]
    assert weeks.tries("weeks", "extract")["2024-01-01"] == ["success"]
    assert sizes(weeks) == [7, 7, 7, 7, 3]
    outcomes = weeks.rows("SELECT outcome, count(*) AS dates FROM backfill_dates GROUP BY outcome")
    assert outcomes == [{"outcome": "success", "dates": 31}]
    sound(weeks)


def test_a_stop_counts_the_dates_of_a_batch_as_interrupted(weeks: Project) -> None:
    weeks.write("slow/2024-01-01", "1")
    going = weeks.start("run", *JANUARY, "--chunk", "7d", "--json")
    until(lambda: weeks.instances("weeks", "2024-01-01").get("extract") == "running")
    going.signal(signal.SIGINT)
    data = going.wait().exits(130).data
    assert (data["interrupted"], data["remaining"], data["completed"]) == (7, 31, 0)
    again = weeks.bfill("run", data["backfill_id"], "--json").exits(0).data
    assert again["completed"] == 31
    assert weeks.tries("weeks", "extract")["2024-01-01"] == ["success"], "it ended by itself, and is not repeated"


def test_limits_count_dates(weeks: Project) -> None:
    weeks.breaks("extract", "2024-01-01")
    words = ("run", *JANUARY, "--chunk", "7d", "--chunk-failures", "skip", "--max-failures", "7", "--json")
    data = weeks.bfill(*words).exits(1).data
    assert (data["failed"], data["completed"], data["remaining"]) == (7, 0, 24)
    assert "7" in data["reason"]


def test_reset_of_a_date_clears_its_batch_and_says_so(weeks: Project) -> None:
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "-q").exits(0)
    one = ("reset", "--dag", "weeks", "--dates", "2024-01-10", "--task", "load")
    weeks.bfill(*one).exits(7)
    cleared = weeks.bfill(*one, "--yes", "--json").exits(0)
    assert (cleared.data["total_dates"], cleared.data["task_instances"]) == (7, 1)
    assert cleared.problems["whole-batch"].startswith("6 dates nobody named, the first 2024-01-08")
    assert weeks.runs("weeks")["2024-01-14"] == "queued"
    sound(weeks)
    # Without --chunk dates run one by one, but for those that ran together: the batch goes on where it was cleared.
    weeks.bfill("run", *JANUARY, "-q").exits(0)
    assert weeks.tries("weeks", "load")["2024-01-08"] == ["success", "success"]
    assert weeks.tries("weeks", "extract")["2024-01-08"] == ["success"]
    assert sizes(weeks) == [7, 7, 7, 7, 3]
    sound(weeks)


def test_a_date_whose_batch_began_anew_without_it_keeps_its_state_and_can_be_reset(weeks: Project) -> None:
    week = ("--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-07")
    weeks.bfill("run", *week, "--chunk", "7", "-q").exits(0)
    weeks.breaks("load", "2024-01-01")
    weeks.bfill("run", "--dag", "weeks", "--dates", "2024-01-01", "--reprocess", "all", "-q").exits(1)
    assert weeks.runs("weeks") == {day: "failed" if day == "2024-01-01" else "success" for day in FIRST_WEEK}
    grid = weeks.bfill("status", *week, "--json").data
    assert [one["count"] for one in grid["failures"]] == [1], "the others did not fail with it"
    told = weeks.bfill("explain", "--dag", "weeks", "2024-01-04", "--json").exits(0).data
    assert {one["state"] for one in told["tasks"]} == {"success"}
    sound(weeks)
    cleared = weeks.bfill("reset", "--dag", "weeks", "--dates", "2024-01-04", "--yes", "--json").exits(0).data
    assert (cleared["total_dates"], cleared["task_instances"]) == (1, 0)
    weeks.bfill("run", "--dag", "weeks", "--dates", "2024-01-04", "-q").exits(0)
    assert weeks.tries("weeks", "load")["2024-01-04"] == ["success"]
    sound(weeks)


def test_depends_on_past_holds_between_batches_and_a_repair_lets_the_next_go_on(project: Project) -> None:
    text = WEEKS.format(size="7d").replace("    @task\n    def load", "    @task(depends_on_past=True)\n    def load")
    project.write("dags/weeks.py", text)
    project.breaks("load", "2024-01-08")
    data = project.bfill("run", *JANUARY, "--parallel", "4", "--json").exits(1).data
    assert (data["completed"], data["failed"], data["blocked"]) == (7, 7, 17)
    told = project.bfill("explain", "--dag", "weeks", "2024-01-20", "--json").exits(0).data
    assert told["previous"]["logical_date"][:10] == "2024-01-14", "not the date before, which is of the same batch"
    assert told["tasks"][1]["cause"]["logical_date"][:10] == "2024-01-14"
    assert "--start 2024-01-08 --end 2024-01-21" in told["next_command"], "from the beginning to the end of a batch"
    failed = project.bfill("explain", "--dag", "weeks", "2024-01-10", "--json").exits(0).data["next_command"]
    assert failed == "bfill rerun-failed --dag weeks --start 2024-01-08 --end 2024-01-14"
    project.mends("load", "2024-01-08")
    project.bfill("rerun-failed", "-q").exits(0)
    assert set(project.runs("weeks").values()) == {"success"}
    loads = project.attempts("weeks", "load")
    good = [one for one in loads if one["outcome"] == "success"]
    assert all(one["ended_at"] <= other["started_at"] for one, other in pairwise(good)), "one after another"
    # From another command, too: the date before is one of a batch, which has no task instances of its own.
    project.bfill("run", "--dag", "weeks", "--dates", "2024-02-01", "-q").exits(0)
    # And where the first date of that batch has run again alone, so that the tasks of the others are known no longer.
    project.bfill("run", "--dag", "weeks", "--start", "2024-02-02", "--end", "2024-02-04", "-q").exits(0)
    project.bfill("run", "--dag", "weeks", "--dates", "2024-02-02", "--reprocess", "all", "-q").exits(0)
    project.bfill("run", "--dag", "weeks", "--dates", "2024-02-05", "-q").exits(0)
    sound(project)


def test_a_pilot_runs_its_dates_one_by_one_and_the_rest_merges_around_them(project: Project) -> None:
    project.write("dags/weeks.py", WEEKS.format(size=10))
    data = project.bfill("run", *JANUARY, "--pilot", "3", "--json").exits(0).data
    assert data["completed"] == 3
    project.bfill("run", "-q").exits(0)
    assert [(days[0][8:], days[-1][8:]) for days in batches(project).values()] == [
        ("01", "01"), ("02", "11"), ("12", "15"), ("16", "16"), ("17", "26"), ("27", "30"), ("31", "31"),
    ]  # fmt: skip


def test_a_pilot_counts_the_runs_that_the_rest_makes(weeks: Project) -> None:
    """Its dates ran one by one: of the rest, a run of a week may take as long as one of them, or as seven."""
    ran = weeks.bfill("run", *JANUARY, "--chunk", "7d", "--pilot", "3", "--json").exits(0)
    shown = ran.data["pilot"]
    # The first, the middle and the last date are done: 02-07, 08-14, 15, 17-21, 22-28, 29-30.
    assert (shown["remaining"], shown["runs"]) == (28, 6)
    mean = sum(one["duration_s"] for one in shown["dates"]) / 3
    assert shown["estimate"]["low_s"] == pytest.approx(6 * mean, abs=0.01)
    assert shown["estimate"]["high_s"] >= 28 * mean - 0.01
    began = len(weeks.attempts("weeks", "load"))
    weeks.bfill("run", "-q").exits(0)
    assert len(weeks.attempts("weeks", "load")) - began == 6


def test_shell_tasks_see_the_whole_interval_and_its_dates(project: Project) -> None:
    project.write(
        "dags/shell.py",
        """
        with DAG("shell", schedule="@daily", start_date=datetime(2024, 1, 1), batch_intervals=3):
            BashOperator(task_id="say", bash_command=(
                "echo $BFILL_DATA_INTERVAL_START $BFILL_DATA_INTERVAL_END $BFILL_LOGICAL_DATES_COUNT;"
                " for one in $BFILL_LOGICAL_DATES; do echo $one; done; echo {{ logical_dates | map('ds') | join(' ') }}"
            ))
        """,
    )
    project.bfill("run", "--dag", "shell", "--start", "2024-01-01", "--end", "2024-01-02", "-q").exits(0)
    assert project.log("shell", "2024-01-01", "say").splitlines() == [
        "2024-01-01T00:00:00+00:00 2024-01-03T00:00:00+00:00 2",
        "2024-01-01T00:00:00+00:00",
        "2024-01-02T00:00:00+00:00",
        "2024-01-01 2024-01-02",
    ]


@pytest.mark.parametrize(
    ("task", "warns"),
    [
        ('BashOperator(task_id="say", bash_command="load.sh {{ ds }}")', True),
        ('BashOperator(task_id="say", bash_command="load.sh $BFILL_DS")', True),
        ('BashOperator(task_id="say", bash_command="load.sh {{ ds }} {{ data_interval_end }}")', False),
        ('BashOperator(task_id="say", bash_command="load.sh $BFILL_DS $BFILL_LOGICAL_DATES")', False),
        ('BashOperator(task_id="say", bash_command="load.sh")', False),
        ('PythonOperator(task_id="say", python_callable=lambda ds: None)', True),
        ('PythonOperator(task_id="say", python_callable=lambda ds, **context: None)', False),
    ],
)
def test_a_plan_warns_of_tasks_that_see_the_first_date_alone(project: Project, task: str, warns: bool) -> None:
    project.write("dags/one.py", f'with DAG("one", schedule="@daily", batch_intervals=7):\n    {task}\n')
    words = ("plan", "--dag", "one", "--start", "2024-01-01", "--dry-run", "--json")
    assert ("batch-uses-ds" in project.bfill(*words, "--end", "2024-01-02").exits(0).problems) == warns
    assert "batch-uses-ds" not in project.bfill(*words, "--end", "2024-01-01").exits(0).problems, "one date is no batch"


def test_a_plan_says_how_many_runs_there_are_and_what_is_missing_to_merge(weeks: Project) -> None:
    plan = weeks.bfill("plan", *JANUARY, "--chunk", "7d", "--parallel", "4", "--dry-run").exits(0)
    assert "batches   31 dates in 5 runs, 7 consecutive dates at most" in plan.out
    assert "--parallel 4 has one run at a time" in plan.out
    alone = weeks.bfill("plan", *JANUARY, "--dry-run", "--json").exits(0)
    assert alone.data["batches"] == {"dates": 31, "runs": 31, "largest": 1}
    assert "--chunk 7d" in alone.problems["nothing-merged"]
    assert "consecutive dates of a chunk run as one" in weeks.bfill("dags", "show", "weeks").exits(0).out


def test_a_plan_from_which_dates_were_taken_counts_the_runs_around_them(weeks: Project) -> None:
    plan = weeks.bfill("plan", *JANUARY, "--chunk", "7d", "--json").exits(0).data
    weeks.bfill("skip", plan["backfill_id"], "2024-01-10", "2024-01-29", "2024-01-30", "2024-01-31").exits(0)
    left = weeks.bfill("run", plan["backfill_id"], "--dry-run", "--json").exits(0).data
    assert left["batches"] == {"dates": 27, "runs": 5, "largest": 7}
    weeks.bfill("run", plan["backfill_id"], "-q").exits(0)
    assert sizes(weeks) == [7, 2, 4, 7, 7]
    sound(weeks)


@pytest.mark.parametrize("size", ["0", "-1", "'7x'", "1.5", "[7]", "'0d'"])
def test_a_length_that_is_none_is_refused_with_its_line(project: Project, size: str) -> None:
    project.write("dags/one.py", f'with DAG("one", schedule="@daily", batch_intervals={size}): pass\n')
    project.bfill("plan", "--dag", "one", "--start", "2024-01-01").says(3, "batch_intervals", "True, a number of dates")


def test_logs_and_explain_of_any_date_lead_to_its_batch(weeks: Project) -> None:
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "-q").exits(0)
    logs = weeks.bfill("logs", "--dag", "weeks", "2024-01-10", "load").exits(0).out
    assert "2024-01-08 load try 1" in logs
    told = weeks.bfill("explain", "--dag", "weeks", "2024-01-10", "--json").exits(0).data
    assert [one[:10] for one in told["dag_run"]["batch"]] == [f"2024-01-{n:02}" for n in range(8, 15)]
    assert told["tasks"][0]["last_attempt"]["outcome"] == "success"
    assert (
        "one of 7 dates that run as one: 2024-01-08 … 01-14"
        in weeks.bfill("explain", "--dag", "weeks", "2024-01-10").out
    )


def test_events_tell_every_date_with_its_batch_and_each_try_once(weeks: Project) -> None:
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "--events", "events.ndjson", "-q").exits(0)
    told: list[dict[str, Any]] = [
        json.loads(line) for line in (weeks.folder / "events.ndjson").read_text().splitlines()
    ]
    of = {
        name: [one for one in told if one["event"] == name] for name in ("run_opened", "run_finished", "attempt_ended")
    }
    assert [len(of[name]) for name in ("run_opened", "run_finished", "attempt_ended")] == [31, 31, 10]
    assert {one["batch"][:10] for one in of["run_finished"]} == set(batches(weeks))


def test_callbacks_of_the_dag_are_called_once_a_batch(project: Project) -> None:
    project.write(
        "dags/calls.py",
        """
        def note(context):
            with open(Path(__file__).parent.parent / "calls", "a") as file:
                end = context["data_interval_end"]
                print(context["ds"], f"{end:%Y-%m-%d}", len(context["logical_dates"]), file=file)
        with DAG("calls", schedule="@daily", batch_intervals=2, on_success_callback=note):
            EmptyOperator(task_id="nothing")
        """,
    )
    project.bfill("run", "--dag", "calls", "--start", "2024-01-01", "--end", "2024-01-03", "-q").exits(0)
    assert (project.folder / "calls").read_text().splitlines() == ["2024-01-01 2024-01-03 2", "2024-01-03 2024-01-04 1"]


def test_a_member_that_says_something_else_than_its_batch_is_found(weeks: Project) -> None:
    weeks.bfill("run", *JANUARY, "--chunk", "7d", "-q").exits(0)
    for change in (
        "reason = 'x'",
        "started_at = started_at + 1",
        "batch = logical_date",
        "batch = logical_date - 86400 * 40",
    ):
        copy = weeks.store.read_bytes()
        with connect(weeks.store, write=True) as connection:
            connection.execute(f"UPDATE dag_runs SET {change} WHERE logical_date = strftime('%s', '2024-01-10') + 0")
            connection.commit()
        connection.close()
        ran = weeks.bfill("store", "check", "--json").exits(4)
        assert "batch" in {one["code"] for one in ran.json["data"]["findings"]}, change
        assert weeks.bfill("audit", "verify", "--json").code == 6, f"the digest covers it: {change}"
        weeks.store.write_bytes(copy)


def test_the_scheduler_runs_interval_by_interval(project: Project) -> None:
    text = WEEKS.format(size=7).replace("start_date", "catchup=True, start_date")
    project.write("dags/weeks.py", text)
    project.bfill("scheduler", "--once", "--now", "2024-01-08T01:00", "-q").exits(0)
    assert sizes(project) == [1] * 7


def test_two_backfills_never_share_a_date_of_a_batch(weeks: Project) -> None:
    weeks.write("slow/2024-01-01", "20")
    going = weeks.start("run", "--dag", "weeks", "--start", "2024-01-01", "--end", "2024-01-07", "--chunk", "7", "-q")
    until(lambda: weeks.runs("weeks").get("2024-01-07") == "running")
    one = ("--dag", "weeks", "--dates", "2024-01-05")
    weeks.bfill("run", *one).exits(5)
    weeks.bfill("reset", *one, "--yes").exits(5)
    left = weeks.bfill(
        "run",
        "--dag",
        "weeks",
        "--start",
        "2024-01-05",
        "--end",
        "2024-01-10",
        "--on-conflict",
        "skip",
        "--chunk",
        "7",
        "-q",
    )
    assert left.code == 0
    assert [days[0] for days in batches(weeks).values()] == ["2024-01-01", "2024-01-08"]
    going.signal(signal.SIGINT)
    going.signal(signal.SIGINT)
    going.wait()
