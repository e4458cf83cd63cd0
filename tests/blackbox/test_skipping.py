"""`bfill skip`: dates taken out of a backfill that runs in another process, or of one at rest, seen from outside."""

from __future__ import annotations

import json
import signal
import time
from datetime import datetime
from pathlib import Path

import pytest

from blackbox.world import Going, Project, Ran, until

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    @task
    def nap(ds: str):
        time.sleep(0.4)
        broken("nap", ds)
    nap()
"""
CHAIN = NAPS.replace("@task", "@task(depends_on_past=True)")
BEHIND = """\
    @task(depends_on_past=True)
    def chained(ds: str):
        broken("chained", ds)
    nap() >> chained()
"""
GATED = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), max_active_runs=16):
    @task{options}
    def nap(ds: str):
        gates = Path(__file__).parent.parent / "gates"
        gates.mkdir(exist_ok=True)
        (gates / f"began.{{ds}}").touch()
        until = time.time() + 20
        while (gates / ds).exists() and time.time() < until:
            time.sleep(0.02)
        broken("nap", ds)
    nap()
"""


def gated(project: Project, *days: int, options: str = "") -> None:
    """Let the task of these days wait until its gate is opened."""
    project.write("dags/naps.py", GATED.format(options=options))
    for number in days:
        project.write(f"gates/2024-01-{number:02}", "")


def lets(project: Project, number: int) -> None:
    (project.folder / f"gates/2024-01-{number:02}").unlink()


def has_begun(project: Project, number: int) -> bool:
    return (project.folder / f"gates/began.2024-01-{number:02}").exists()


def words(first: int, last: int, *more: str) -> tuple[str, ...]:
    return ("run", "--dag", "naps", "--start", f"2024-01-{first:02}", "--end", f"2024-01-{last:02}", *more, "--json")


def begin(project: Project, last: int, *more: str, at: int = 1) -> tuple[Going, str]:
    """Start a backfill of so many days; returns it with its id once the task of a day has begun."""
    going = project.start(*words(1, last, *more))
    until(lambda: has_begun(project, at))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    return going, row["backfill_id"]


def day(logical_date: str) -> int:
    return datetime.fromisoformat(logical_date).day


def tried(project: Project) -> list[int]:
    return sorted(day(one["logical_date"]) for one in project.attempts("naps"))


def left_out(ran: Ran) -> dict[int, str]:
    """Day → reason of what was left alone."""
    return {day(one["logical_date"]): one["reason"] for one in ran.data["results"] if one["reason"]}


def sound(project: Project) -> None:
    assert project.bfill("audit", "verify").code == 0
    found = project.bfill("store", "check")
    assert found.code == 0, found.out


def skip(project: Project, backfill_id: str, *days: int, reason: str = "no data") -> Ran:
    dates = [f"2024-01-{one:02}" for one in days]
    return project.bfill("skip", backfill_id, *dates, "--reason", reason, "--json")


def test_a_skipped_date_is_never_tried_and_counted_everywhere_with_who_and_why(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 5, "--events", "events.ndjson", "--junit", "junit.xml")
    asked = time.time()
    ran = skip(project, name, 2, 4)
    answered = datetime.fromisoformat(ran.exits(0).data["answered_at"]).timestamp()
    assert answered - asked < 1
    assert (ran.data["pid"], ran.data["remaining"], ran.data["skipped"]) == (going.pid, 3, 2)
    assert ran.data["dates"] == ["2024-01-02T00:00:00+00:00", "2024-01-04T00:00:00+00:00"]
    assert ran.data["answer"] == "2024-01-02 and 2024-01-04 are left out; 3 dates remain"
    shown = project.bfill("status", name, "--json").exits(0).data
    assert (shown["skipped"], shown["remaining"], shown["total_dates"]) == (2, 3, 5)
    assert "no data" in {one["logical_date"][:10]: one["reason"] for one in shown["runs"]}["2024-01-02"]
    assert " – 01-02  skipped by " in project.bfill("status", name).exits(0).out
    where = project.bfill("status", name, "--where", "skipped", "--json").exits(0).data
    assert [day(one["logical_date"]) for one in where["runs"]] == [2, 4]
    lets(project, 1)
    done = going.wait().exits(0)
    assert (done.data["completed"], done.data["skipped"], done.data["total_dates"]) == (3, 2, 5)
    reasons = left_out(done)
    assert set(reasons) == {2, 4}
    assert all(one.startswith("skipped by ") and one.endswith(": no data") for one in reasons.values())
    assert tried(project) == [1, 3, 5]
    assert sorted(project.runs("naps")) == ["2024-01-01", "2024-01-03", "2024-01-05"]
    events = [json.loads(line) for line in (project.folder / "events.ndjson").read_text().splitlines()]
    (steered,) = [one for one in events if one["event"] == "steered"]
    assert (steered["action"], steered["total_dates"], steered["dates"]) == ("skip", 3, ran.data["dates"])
    assert (project.folder / "junit.xml").read_text().count("left alone: skipped by") == 2
    assert "skip by " in done.err
    (entry,) = [one for one in project.bfill("audit", "--json").data["events"] if one["action"] == "skip"]
    assert (entry["reason"], entry["outcome"], entry["details"]["dates"]) == ("no data", "done", ran.data["dates"])
    report = project.bfill("audit", "report", "--format", "json").exits(0).out
    assert "skip" in report and "no data" in report
    sound(project)


def test_all_or_none_with_a_date_that_has_begun_is_done_or_is_not_there(project: Project) -> None:
    gated(project, 2)
    project.breaks("nap", "2024-01-01")
    going, name = begin(project, 4, at=2)
    for asked, why in (((2, 3), "2024-01-02 has begun"), ((1, 3), "2024-01-01 has failed")):
        dates = [f"2024-01-{one:02}" for one in asked]
        project.bfill("skip", name, *dates).says(7, why, "nothing was left out", f"bfill cancel {name}")
    project.bfill("skip", name, "2024-01-03", "2024-02-01").says(3, "no date 2024-02-01", "2024-01-04")
    project.bfill("skip", name, "2024-01-03T05:00").says(3, "2024-01-03", "2024-01-04")
    project.bfill("skip", name, "tomorrow").says(2, "'tomorrow'")
    project.bfill("skip", name).says(2, "dates to leave out")
    project.bfill("skip", "bf-20240101-none", "2024-01-03").says(3, "bf-20240101-none")
    assert project.bfill("status", name, "--json").data["skipped"] == 0
    lets(project, 2)
    assert going.wait().exits(1).data["completed"] == 3
    project.bfill("skip", name, "2024-01-03").says(7, "has ended (failed)")
    assert tried(project) == [1, 2, 3, 4]
    sound(project)


def test_asking_twice_changes_nothing_and_the_first_reason_stays(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 3)
    skip(project, name, 2, reason="first").exits(0)
    again = skip(project, name, 2, reason="second").exits(0)
    assert "left alone already (skipped by " in again.data["answer"]
    more = skip(project, name, 2, 3).exits(0)
    assert more.data["answer"] == "2024-01-03 is left out; 2024-01-02 is left alone already; 1 date remains"
    lets(project, 1)
    assert left_out(going.wait().exits(0))[2].endswith(": first")
    outcomes = [one["outcome"] for one in project.bfill("audit", "--action", "skip", "--json").data["events"]]
    assert outcomes == ["done", "unchanged", "done"]
    sound(project)


def test_an_open_date_that_waits_for_its_past_is_left_out_and_those_behind_go_on(project: Project) -> None:
    """Semantics section 4, rule 3: a gap; the next date follows the one before it."""
    gated(project, 1, options="(depends_on_past=True)")
    going, name = begin(project, 4, "--parallel", "3")
    until(lambda: len(project.runs("naps")) == 3)
    skip(project, name, 2).exits(0)
    assert sorted(project.runs("naps"))[:2] == ["2024-01-01", "2024-01-03"]
    lets(project, 1)
    data = going.wait().exits(0).data
    assert (data["completed"], data["skipped"], data["blocked"]) == (3, 1, 0)
    assert tried(project) == [1, 3, 4]
    sound(project)


def test_a_date_that_would_block_the_chain_is_taken_out_with_all_behind_it_open(project: Project) -> None:
    """What waits for the left out date waits for the one before it, and is blocked when that one fails."""
    gated(project, 1, options="(depends_on_past=True)")
    project.breaks("nap", "2024-01-01")
    going, name = begin(project, 4, "--parallel", "4")
    until(lambda: len(project.runs("naps")) == 4)
    skip(project, name, 2, 3).exits(0)
    lets(project, 1)
    done = going.wait().exits(1)
    assert (done.data["failed"], done.data["blocked"], done.data["skipped"]) == (1, 1, 2)
    assert "2024-01-01" in left_out(done)[4]
    project.mends("nap", "2024-01-01")
    again = project.bfill("rerun-failed", name, "--json").exits(0)
    assert {day(one["logical_date"]) for one in again.data["results"]} == {1, 4}
    assert tried(project) == [1, 1, 4]
    sound(project)


def test_a_date_that_waits_for_a_slot_is_left_out_and_its_place_is_another_ones(project: Project) -> None:
    gated(project, 1, options='(pool="narrow")')
    project.write("bfill.toml", "[pools]\nnarrow = 1\n")
    going, name = begin(project, 4, "--parallel", "2")
    until(lambda: len(project.runs("naps")) == 2)
    skip(project, name, 2).exits(0)
    until(lambda: "2024-01-03" in project.runs("naps"))
    assert "2024-01-02" not in project.runs("naps")
    lets(project, 1)
    assert going.wait().exits(0).data["completed"] == 3
    assert tried(project) == [1, 3, 4]
    sound(project)


def test_all_that_is_left_taken_out_ends_the_backfill(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 6, "--parallel", "1")
    skip(project, name, 2, 3, 4, 5, 6).exits(0)
    lets(project, 1)
    data = going.wait(10).exits(0).data
    assert (data["state"], data["completed"], data["skipped"]) == ("success", 1, 5)
    sound(project)


def test_a_paused_backfill_loses_a_date_too_and_a_cancelled_one_does_not(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 4)
    project.bfill("pause", name).exits(0)
    assert skip(project, name, 3).exits(0).data["state"] == "paused"
    project.bfill("cancel", name, "--drain").exits(0)
    refused = skip(project, name, 4).exits(7)
    assert "it is cancelled by" in refused.json["error"]["message"]
    lets(project, 1)
    assert going.wait().exits(1).data["skipped"] == 1
    sound(project)


def test_a_plan_is_run_without_the_date_by_its_id_and_by_the_same_command_but_not_planned_again(
    project: Project,
) -> None:
    project.write("dags/naps.py", NAPS)
    range_ = words(1, 4)[1:]
    name = project.bfill("plan", *range_).exits(0).data["backfill_id"]
    ran = skip(project, name, 2)
    assert (ran.exits(0).data["pid"], ran.data["state"], ran.data["remaining"]) == (None, "planned", 3)
    sound(project)
    plan = project.bfill("run", name, "--dry-run", "--json").exits(0).data
    assert (plan["counts"]["create"], plan["counts"]["skip"]) == (3, 1)
    again = project.bfill("run", *range_).exits(0)
    assert (again.data["backfill_id"], again.data["completed"], again.data["skipped"]) == (name, 3, 1)
    assert tried(project) == [1, 3, 4]
    other = project.bfill("plan", *words(1, 5)[1:]).exits(0).data["backfill_id"]
    skip(project, other, 5).exits(0)
    replaced = project.bfill("plan", *words(1, 5)[1:]).exits(0).data["backfill_id"]
    assert project.bfill("run", replaced, "--json").exits(0).data["completed"] == 2
    assert tried(project) == [1, 2, 3, 4, 5]
    sound(project)


def test_a_plan_that_has_moved_is_run_without_the_date_by_the_same_command(project: Project) -> None:
    """What somebody took out is not run because another backfill has done some of the rest."""
    project.write("dags/naps.py", NAPS)
    name = project.bfill("plan", *words(1, 4)[1:]).exits(0).data["backfill_id"]
    skip(project, name, 2).exits(0)
    project.bfill(*words(4, 4)).exits(0)
    project.bfill("run", name).says(7, "has moved")
    done = project.bfill(*words(1, 4)).exits(0)
    assert done.data["backfill_id"] != name
    assert left_out(done)[2].endswith(": no data")
    assert tried(project) == [1, 3, 4]
    sound(project)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_backfill_goes_on_without_the_dates_and_in_the_gap_nothing_waits(
    project: Project, end: signal.Signals
) -> None:
    """A dag_run that was opened and never begun goes with its date: left behind it would block the chain (rule 5)."""
    gated(project, 1, options="(depends_on_past=True)")
    going, name = begin(project, 5, "--parallel", "3")
    until(lambda: len(project.runs("naps")) == 3)
    going.signal(end)
    if end is signal.SIGKILL:
        going.wait()
    lets(project, 1)
    going.wait()
    ran = skip(project, name, 2, 4)
    assert (ran.exits(0).data["state"], ran.data["skipped"]) == ("interrupted", 2)
    if end is signal.SIGINT:  # of the two that were open one is left
        assert project.bfill("status", name, "--json").data["backfill"]["interrupted"] == 1
    assert "2024-01-02" not in project.runs("naps")
    sound(project)
    done = project.bfill(*words(1, 5), "--parallel", "3").exits(0)
    assert (done.data["backfill_id"], done.data["completed"], done.data["skipped"]) == (name, 3, 2)
    assert set(tried(project)) == {1, 3, 5}
    sound(project)
    assert project.bfill("rerun-failed", name, "--json").exits(0).data["total_dates"] == 0
    new = project.bfill(*words(1, 5)).exits(0)
    assert new.data["completed"] == 2


def test_a_resumed_backfill_loses_a_date_that_an_earlier_process_had_opened(project: Project) -> None:
    """It was read ahead, and its queued dag_run as the past of the next one; that, which is attested, goes with it."""
    gated(project, 1, options="(depends_on_past=True)")
    going, name = begin(project, 4, "--parallel", "3")
    until(lambda: len(project.runs("naps")) == 3)
    going.signal(signal.SIGKILL)
    going.wait()
    project.bfill("set", name, "parallel=1").exits(0)  # recovers and attests what the dead process had opened
    assert project.rows("SELECT 1 FROM dag_runs WHERE digest IS NOT NULL AND state = 'queued' LIMIT 2")
    (project.folder / "gates/began.2024-01-01").unlink()
    again = project.start("run", name, "--json")
    until(lambda: has_begun(project, 1))
    skip(project, name, 2).exits(0)
    assert "2024-01-02" not in project.runs("naps")
    lets(project, 1)
    assert again.wait(20).exits(0).data["completed"] == 3
    assert set(tried(project)) == {1, 3, 4}
    sound(project)


def test_a_blocked_date_is_not_left_out_while_it_runs_and_is_when_it_is_at_rest(project: Project) -> None:
    gated(project, 5, 6)
    path = project.folder / "dags/naps.py"
    path.write_text(path.read_text().replace("    nap()\n", BEHIND))
    project.breaks("chained", "2024-01-01")
    going, name = begin(project, 8, "--parallel", "2", at=6)
    until(lambda: project.runs("naps").get("2024-01-04") == "queued")
    project.bfill("skip", name, "2024-01-03").says(7, "2024-01-03 is blocked")
    going.signal(signal.SIGINT)
    until(lambda: going.says("stopped by signal") or going.says("stopping"))
    lets(project, 5)
    lets(project, 6)
    data = going.wait().exits(130).data
    ran = skip(project, name, 3).exits(0)
    assert "2024-01-03 stays unfinished in the store" in ran.data["answer"]
    shown = project.bfill("status", name, "--json").exits(0).data
    assert (shown["blocked"], shown["skipped"]) == (data["blocked"] - 1, 1)
    counted = ("completed", "failed", "blocked", "skipped", "remaining")
    assert sum(shown[one] for one in counted) == shown["total_dates"] == 8
    sound(project)


def test_more_dates_than_one_request_takes_are_refused(project: Project) -> None:
    text = NAPS.replace('"@daily"', "timedelta(minutes=1)")
    project.write("dags/naps.py", text)
    name = project.bfill("plan", *words(1, 8)[1:]).exits(0).data["backfill_id"]
    days = [f"2024-01-0{one}" for one in range(1, 8)]
    project.bfill("skip", name, *days).says(7, "10,080 dates", "10,000")
    assert project.bfill("skip", name, *days[:6], "--json").exits(0).data["skipped"] == 8_640
    sound(project)


def test_a_failed_date_that_was_to_run_again_stays_failed_and_makes_exit_1(project: Project) -> None:
    """Contract section 6: also if it left that date alone."""
    project.write("dags/naps.py", NAPS)
    project.breaks("nap", "2024-01-02")
    project.bfill(*words(1, 3)).exits(1)
    name = project.bfill("plan", *words(1, 3, "--reprocess", "failed")[1:]).exits(0).data["backfill_id"]
    ran = skip(project, name, 2).exits(0)
    assert "2024-01-02 stays failed in the store" in ran.data["answer"]
    done = project.bfill("run", name, "--json").exits(1)
    assert (done.data["skipped"], done.data["state"]) == (3, "failed")
    assert "rerun-failed" not in project.bfill("run", name).out
    assert project.bfill("rerun-failed", name, "--json").exits(0).data["total_dates"] == 0
    assert tried(project) == [1, 2, 3]
    sound(project)


def test_a_day_is_all_of_its_hours_and_an_instant_is_one(project: Project) -> None:
    project.write("dags/naps.py", NAPS.replace("@daily", "@hourly").replace("0.4", "0"))
    name = project.bfill("plan", *words(1, 3)[1:]).exits(0).data["backfill_id"]
    ran = project.bfill("skip", name, "2024-01-02", "2024-01-03T05:00,2024-01-03T06:00Z", "--json").exits(0)
    assert len(ran.data["dates"]) == 26
    assert ran.data["answer"] == (
        "2024-01-02, 2024-01-02 01:00Z, 2024-01-02 02:00Z and 23 more are left out; 46 dates remain"
    )
    data = project.bfill("run", name, "--parallel", "16", "--json").exits(0).data
    assert (data["completed"], data["skipped"]) == (46, 26)
    sound(project)


CHUNKS = ("--chunk", "2", "--chunk-failures", "skip", "--parallel", "2")


def test_chunks_keep_their_dates_and_go_on_behind_one_that_lost_all_of_its(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 7, *CHUNKS)
    skip(project, name, 3, 4, 6).exits(0)
    lets(project, 1)
    data = going.wait(20).exits(0).data
    told = [(day(one["first"]), day(one["last"]), one["dates"], one["skipped"]) for one in data["chunks"]]
    assert told == [(1, 2, 2, 0), (3, 4, 0, 2), (5, 6, 1, 1), (7, 7, 1, 0)]
    assert [one["state"] for one in data["chunks"]] == ["success", "skipped", "success", "success"]
    assert tried(project) == [1, 2, 5, 7]
    assert "skipped" in project.bfill("status", name).exits(0).out
    sound(project)


def test_a_first_chunk_that_has_lost_all_of_its_dates_measures_nothing(project: Project) -> None:
    """The size of the others is what it takes; without it they are as large as it was."""
    project.write("dags/naps.py", NAPS.replace("0.4", "0"))
    name = project.bfill("plan", *words(1, 10)[1:], "--chunk", "auto").exits(0).data["backfill_id"]
    skip(project, name, 1, 2, 3, 4).exits(0)
    data = project.bfill("run", name, "--json").exits(0).data
    assert [(one["dates"], one["skipped"]) for one in data["chunks"]] == [(0, 4), (4, 0), (2, 0)]
    sound(project)


def test_the_last_open_date_of_a_chunk_taken_out_lets_the_next_chunk_begin(project: Project) -> None:
    gated(project, 1, options='(pool="narrow")')
    project.write("bfill.toml", "[pools]\nnarrow = 1\n")
    going, name = begin(project, 4, *CHUNKS)
    until(lambda: len(project.runs("naps")) == 2)
    project.bfill("pools", "set", "narrow", "0").exits(0)
    time.sleep(1.5)  # a process looks at its pools twice a second, and nothing says that it has
    lets(project, 1)
    until(lambda: project.runs("naps")["2024-01-01"] == "success")
    skip(project, name, 2).exits(0)
    until(lambda: "2024-01-03" in project.runs("naps"), timeout_s=5)
    project.bfill("pools", "set", "narrow", "2").exits(0)
    assert going.wait(20).exits(0).data["completed"] == 3
    sound(project)


def test_a_pilot_without_one_of_its_dates_still_stops_behind_the_others(project: Project) -> None:
    gated(project, 1)
    going, name = begin(project, 9, "--pilot", "3", "--parallel", "1")
    skip(project, name, 9, 7).exits(0)
    lets(project, 1)
    data = going.wait(20).exits(0).data
    assert (data["completed"], data["remaining"], data["skipped"]) == (2, 5, 2)
    assert "pilot done: 2 of 7 dates" in data["reason"]
    done = project.bfill("run", name, "--json").exits(0)
    assert done.data["completed"] == 7
    assert tried(project) == [1, 2, 3, 4, 5, 6, 8]
    sound(project)


def merged(project: Project, *days: int) -> None:
    """Three dates are one run, and wait for the run before."""
    gated(project, *days, options="(depends_on_past=True)")
    path = project.folder / "dags/naps.py"
    path.write_text(path.read_text().replace("max_active_runs", "batch_intervals=3, max_active_runs"))


def batches(project: Project) -> dict[int, list[int]]:
    """First day of each run → its days."""
    found: dict[int, list[int]] = {}
    for row in project.rows("SELECT logical_date, batch FROM v_dag_runs WHERE dag_id = 'naps' ORDER BY logical_date"):
        found.setdefault(day(row["batch"] or row["logical_date"]), []).append(day(row["logical_date"]))
    return found


def test_dates_that_are_one_run_are_left_out_together_or_wait(project: Project) -> None:
    merged(project, 1)
    going, name = begin(project, 9, "--parallel", "2")
    until(lambda: len(project.runs("naps")) == 6)
    project.bfill("skip", name, "2024-01-02").says(7, "2024-01-02 has begun")
    project.bfill("skip", name, "2024-01-05").says(7, "one run with dates that were not named")
    skip(project, name, 4, 5, 6).exits(0)
    lets(project, 1)
    data = going.wait(20).exits(0).data
    assert (data["completed"], data["skipped"]) == (6, 3)
    assert (tried(project), batches(project)) == ([1, 7], {1: [1, 2, 3], 7: [7, 8, 9]})
    sound(project)


def test_dates_that_would_be_one_run_are_two_where_one_of_them_is_left_out(project: Project) -> None:
    merged(project, 1)
    going, name = begin(project, 12, "--parallel", "1")
    skip(project, name, 5).exits(0)
    lets(project, 1)
    data = going.wait(20).exits(0).data
    assert (data["completed"], data["skipped"]) == (11, 1)
    assert batches(project) == {1: [1, 2, 3], 4: [4], 6: [6, 7, 8], 9: [9, 10, 11], 12: [12]}
    sound(project)


def test_of_a_run_that_an_earlier_process_opened_and_never_began_the_other_dates_are_opened_anew(
    project: Project,
) -> None:
    merged(project, 1)
    going, name = begin(project, 6, "--parallel", "2")
    until(lambda: len(project.runs("naps")) == 6)
    going.signal(signal.SIGKILL)
    going.wait()
    skip(project, name, 5).exits(0)
    assert batches(project) == {1: [1, 2, 3]}
    sound(project)
    lets(project, 1)
    assert project.bfill("run", name, "--json").exits(0).data["completed"] == 5
    assert batches(project) == {1: [1, 2, 3], 4: [4], 6: [6]}
    sound(project)


def test_what_the_scheduler_works_through_is_not_skipped(project: Project) -> None:
    text = GATED.format(options="").replace("max_active_runs", "catchup=True, max_active_runs")
    project.write("dags/naps.py", text)
    project.write("gates/2024-01-01", "")
    going = project.start("scheduler", "--once", "--now", "2024-01-03T00:00", "--json")
    until(lambda: has_begun(project, 1))
    (row,) = project.rows("SELECT backfill_id FROM backfills")
    project.bfill("skip", row["backfill_id"], "2024-01-02").says(7, "the scheduler", "bfill dags pause naps")
    lets(project, 1)
    going.wait().exits(0)


def test_the_first_date_taken_out_hands_on_that_the_past_is_ignored(project: Project) -> None:
    """Semantics section 4, rule 1: the first run is the first that is left."""
    project.write("dags/naps.py", CHAIN)
    project.breaks("nap", "2024-01-01")
    project.bfill(*words(1, 1)).exits(1)
    flag = "--ignore-first-depends-on-past"
    name = project.bfill("plan", *words(2, 4, flag)[1:]).exits(0).data["backfill_id"]
    skip(project, name, 2).exits(0)
    data = project.bfill("run", name, "--json").exits(0).data
    assert (data["completed"], data["blocked"]) == (2, 0)
    sound(project)


@pytest.mark.parametrize("parallel", ["1", "3"])
def test_so_it_does_while_it_runs_whether_the_next_is_open_or_not(project: Project, parallel: str) -> None:
    """A task of another backfill has the only slot until the date is out."""
    gated(project, 1, options='(pool="narrow")')
    (project.folder / "dags/naps.py").rename(project.folder / "dags/other.py")
    project.write("dags/other.py", (project.folder / "dags/other.py").read_text().replace('"naps"', '"other"'), head="")
    project.write("dags/naps.py", CHAIN.replace("past=True", 'past=True, pool="narrow"'))
    project.write("bfill.toml", "[pools]\nnarrow = 1\n")
    project.breaks("nap", "2024-01-01")
    project.bfill(*words(1, 1)).exits(1)
    other = project.start("run", "--dag", "other", "--dates", "2024-01-01")
    until(lambda: has_begun(project, 1))
    going = project.start(*words(2, 4, "--ignore-first-depends-on-past", "--parallel", parallel))
    until(lambda: len(project.runs("naps")) == 1 + int(parallel))
    skip(project, "naps", 2).exits(0)
    lets(project, 1)
    data = going.wait(20).exits(0).data
    assert (data["completed"], data["blocked"], data["skipped"]) == (2, 0, 1)
    other.wait()
    sound(project)


def test_a_half_done_date_stays_unfinished_and_those_behind_it_wait(project: Project) -> None:
    """Semantics section 4, rule 5: not yet run is not done, whoever leaves it alone."""
    gated(project, 1, options="(depends_on_past=True)")
    going, name = begin(project, 3, "--parallel", "1")
    going.signal(signal.SIGKILL)
    going.wait()
    lets(project, 1)
    ran = skip(project, name, 1).exits(0)
    assert "2024-01-01 stays unfinished in the store" in ran.data["answer"]
    data = project.bfill("run", name, "--json").exits(1).data
    assert (data["skipped"], data["blocked"]) == (1, 2)
    sound(project)


def test_secrets_in_a_reason_are_nowhere(project: Project) -> None:
    project.write("dags/naps.py", NAPS)
    name = project.bfill("plan", *words(1, 2)[1:]).exits(0).data["backfill_id"]
    env = {"BFILL_CONN_WAREHOUSE": "postgresql://me:hunter2hunter2@host/db"}
    project.bfill("skip", name, "2024-01-02", "--reason", "hunter2hunter2", env=env).exits(0)
    assert b"hunter2hunter2" not in Path(project.store).read_bytes()
