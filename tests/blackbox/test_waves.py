"""Chunks, pilots and ramps through the real command line, by the times of the tries."""

from __future__ import annotations

import json
import re
import signal
from itertools import pairwise
from typing import Any

import pytest

from blackbox.world import Project, Ran, until

NAPS = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1)):
    @task
    def nap(ds: str):
        broken("nap", ds)
        slow = Path(__file__).parent.parent / "slow" / ds
        time.sleep(float(slow.read_text()) if slow.exists() else 0.02 + 0.02 * (int(ds[-1]) % 3))
    nap()
"""
JANUARY = ("--dag", "naps", "--start", "2024-01-01", "--end", "2024-01-31")


@pytest.fixture
def naps(project: Project) -> Project:
    project.write("dags/naps.py", NAPS)
    return project


def spans(project: Project) -> dict[str, tuple[str, str]]:
    """Day → when its first try began and its last ended."""
    found: dict[str, tuple[str, str]] = {}
    for one in project.attempts("naps"):
        day = one["logical_date"][:10]
        began, ended = found.get(day, (one["started_at"], one["ended_at"]))
        found[day] = min(began, one["started_at"]), max(ended, one["ended_at"])
    return found


def in_chunks(data: dict[str, Any]) -> list[list[str]]:
    """The days that ran, chunk by chunk as the result has them."""
    days = sorted(one["logical_date"][:10] for one in data["results"])
    return [[day for day in days if one["first"][:10] <= day <= one["last"][:10]] for one in data["chunks"]]


def one_after_another(project: Project, chunks: list[list[str]]) -> None:
    """No try of a chunk begins before the last of the chunk before has ended."""
    at = spans(project)
    began = [min(at[day][0] for day in chunk) for chunk in chunks if chunk]
    ended = [max(at[day][1] for day in chunk) for chunk in chunks if chunk]
    for before, behind in pairwise(range(len(began))):
        assert ended[before] <= began[behind], (chunks[before], chunks[behind])


def events(project: Project, *words: str) -> tuple[Ran, list[dict[str, Any]]]:
    ran = project.bfill("run", *words, "--events", "events.ndjson", "--json")
    return ran, [json.loads(line) for line in (project.folder / "events.ndjson").read_text().splitlines()]


def test_chunks_of_days_run_one_after_another_and_dates_of_a_chunk_together(naps: Project) -> None:
    ran, told = events(naps, *JANUARY, "--chunk", "7d", "--parallel", "4")
    data = ran.exits(0).data
    assert [(one["number"], one["first"][:10], one["last"][:10], one["dates"]) for one in data["chunks"]] == [
        (1, "2024-01-01", "2024-01-07", 7),
        (2, "2024-01-08", "2024-01-14", 7),
        (3, "2024-01-15", "2024-01-21", 7),
        (4, "2024-01-22", "2024-01-28", 7),
        (5, "2024-01-29", "2024-01-31", 3),
    ]
    assert {one["state"] for one in data["chunks"]} == {"success"}
    chunks = in_chunks(data)
    one_after_another(naps, chunks)
    at = spans(naps)
    assert any(at[one][1] > at[other][0] for chunk in chunks for one, other in pairwise(chunk)), "parallel in a chunk"
    # Of the events, everything of a chunk stands between its start and its end.
    current = 0
    for one in told:
        if one["event"] == "chunk_started":
            assert (one["of"], one["number"]) == (5, current + 1)
            current = one["number"]
            opened = set(chunks[current - 1])
        elif one["event"] == "chunk_ended":
            assert (one["number"], one["completed"]) == (current, len(chunks[current - 1]))
        elif "logical_date" in one:
            assert one["logical_date"][:10] in opened
    assert current == 5
    assert "chunk 5 of 5 ended ok 3 failed 0" in ran.err


def test_a_number_of_dates_makes_a_chunk_and_backwards_they_begin_with_the_newest(naps: Project) -> None:
    data = naps.bfill("run", *JANUARY, "--chunk", "10", "--run-backwards", "--parallel", "3", "--json").exits(0).data
    assert [(one["first"][8:10], one["last"][8:10]) for one in data["chunks"]] == [
        ("22", "31"),
        ("12", "21"),
        ("02", "11"),
        ("01", "01"),
    ]
    one_after_another(naps, in_chunks(data))


def test_a_chunk_with_failures_keeps_the_next_from_starting_until_it_is_repaired(naps: Project) -> None:
    naps.breaks("nap", "2024-01-09", "2024-01-11")
    words = ("run", *JANUARY, "--chunk", "7d", "--parallel", "4")
    ran = naps.bfill(*words, "--json").exits(1)
    data = ran.data
    reason = "chunk 2 of 5 ended with 2 failed dates (--chunk-failures stop)"
    assert (data["state"], data["reason"], data["remaining"]) == ("interrupted", reason, 17)
    assert [one["state"] for one in data["chunks"]] == ["success", "failed", "remaining", "remaining", "remaining"]
    assert max(spans(naps)) == "2024-01-14"
    backfill = data["backfill_id"]
    # Neither the same command nor `run ID` slips past it.
    for again in (words, ("run", backfill)):
        assert naps.bfill(*again, "--json").exits(1).data["reason"] == reason
        assert max(spans(naps)) == "2024-01-14"
    assert naps.bfill("status", backfill, "--json").data["chunks"][1]["failed"] == 2
    naps.mends("nap", "2024-01-09", "2024-01-11")
    assert naps.bfill("rerun-failed", backfill, "--json").exits(0).data["completed"] == 2
    ended = naps.bfill(*words, "--json").exits(0).data
    assert ended["backfill_id"] == backfill
    assert (ended["state"], ended["failed"], ended["repaired"], ended["remaining"]) == ("success", 2, 2, 0)
    assert {one["state"] for one in ended["results"]} == {"success"}, "how each date stands when the command ends"
    assert ended["results"][8]["reason"] == "failed here, repaired since"
    assert {tuple(tries) for day, tries in naps.tries("naps", "nap").items() if day > "2024-01-14"} == {("success",)}


def test_skip_goes_on_over_a_failed_chunk_and_can_be_said_later(naps: Project) -> None:
    naps.breaks("nap", "2024-01-09")
    first = naps.bfill("run", *JANUARY, "--chunk", "7d", "--json").exits(1).data
    assert first["remaining"] == 17
    again = naps.bfill("run", first["backfill_id"], "--chunk-failures", "skip", "--json").exits(1).data
    assert (again["state"], again["remaining"], again["failed"]) == ("failed", 0, 1)


def test_a_percentage_of_failures_is_borne_chunk_by_chunk(naps: Project) -> None:
    naps.breaks("nap", "2024-01-03", "2024-01-12", "2024-01-14")
    data = naps.bfill("run", *JANUARY, "--chunk", "7", "--chunk-failures", "20%", "--json").exits(1).data
    assert data["reason"] == "chunk 2 of 5 ended with 2 failed dates (--chunk-failures 20%)"
    assert [one["failed"] for one in data["chunks"]] == [1, 2, 0, 0, 0]


def test_killed_in_the_middle_of_a_chunk_it_goes_on_in_that_chunk(naps: Project) -> None:
    naps.write("slow/2024-01-10", "30")
    words = ("run", *JANUARY, "--chunk", "7d", "--parallel", "3")
    going = naps.start(*words)
    until(lambda: naps.runs("naps").get("2024-01-13") == "success")
    going.signal(signal.SIGKILL)
    going.wait()
    assert "2024-01-15" not in naps.runs("naps")
    done = {day for day, state in naps.runs("naps").items() if state == "success"}
    assert "2024-01-10" not in done
    naps.write("slow/2024-01-10", "0.5")
    data = naps.bfill(*words, "--json").exits(0).data
    assert [one["completed"] for one in data["chunks"]] == [7, 7, 7, 7, 3]
    assert all(tries == ["success"] for day, tries in naps.tries("naps", "nap").items() if day in done)
    one_after_another(naps, in_chunks(data))


def test_a_signal_in_the_middle_of_a_chunk_opens_no_other(naps: Project) -> None:
    naps.write("slow/2024-01-03", "1")
    going = naps.start("run", *JANUARY, "--chunk", "7d", "--parallel", "7", "--json")
    until(lambda: naps.runs("naps").get("2024-01-06") == "success")
    going.signal(signal.SIGINT)
    data = going.wait().exits(130).data
    assert max(spans(naps)) <= "2024-01-07"
    assert (data["state"], data["chunks"][0]["completed"]) == ("interrupted", 7)
    again = naps.bfill("run", data["backfill_id"], "--json").exits(0).data
    assert again["remaining"] == 0


CHAIN = """\
with DAG("naps", schedule="@daily", start_date=datetime(2024, 1, 1), default_args={"depends_on_past": True}):
    PythonOperator(task_id="nap", python_callable=lambda ds: broken("nap", ds))
"""

HELD_CHAIN = """\
with DAG("held", schedule="@daily", start_date=datetime(2024, 1, 1)):
    BashOperator(task_id="hold", bash_command="while test -e ../hold/{{ ds }}; do sleep 0.02; done") >> PythonOperator(
        task_id="nap", python_callable=lambda ds: broken("nap", ds), depends_on_past=True
    )
"""


def test_a_chain_goes_over_the_edge_of_a_chunk_and_blocked_dates_stop_it(project: Project) -> None:
    """Section 4: what waits for a failed date is blocked; the next chunk waits for the repair."""
    project.write("dags/naps.py", CHAIN)
    project.breaks("nap", "2024-01-10")
    words = ("run", *JANUARY, "--chunk", "7d", "--parallel", "3")
    data = project.bfill(*words, "--json").exits(1).data
    assert data["reason"] == "chunk 2 of 5 ended with 1 failed and 4 blocked dates (--chunk-failures stop)"
    counts = ("completed", "failed", "blocked", "remaining")
    assert [data[key] for key in counts] == [9, 1, 4, 17]
    assert [one["state"] for one in data["results"]].count("blocked") == 4
    assert project.bfill(*words, "--json").exits(1).data["blocked"] == 4
    shown = project.bfill("status", data["backfill_id"], "--json").exits(0).data
    assert [one["state"] for one in shown["runs"]].count("blocked") == shown["counts"]["blocked"] == 4
    project.mends("nap", "2024-01-10")
    project.bfill("rerun-failed", data["backfill_id"]).exits(0)
    ended = project.bfill(*words, "--json").exits(0).data
    assert [ended[key] for key in counts] == [26, 1, 0, 0] or ended["completed"] + ended["repaired"] == 31
    assert set(project.runs("naps").values()) == {"success"}


def test_what_was_blocked_stays_so_in_a_backfill_that_is_cancelled(project: Project) -> None:
    """The counts and the dates below them say the same, whoever ended it, and at rest as while it ran."""

    def states(data: dict[str, Any], rows: str) -> tuple[int, int]:
        found = [one["state"] for one in data[rows]]
        assert [found.count(one) for one in ("blocked", "remaining")] == [data["blocked"], data["remaining"]]
        return data["blocked"], data["remaining"]

    project.write("dags/naps.py", CHAIN)
    project.breaks("nap", "2024-01-10")
    backfill = project.bfill("run", *JANUARY, "--chunk", "7d", "--json").exits(1).data["backfill_id"]
    answer = project.bfill("cancel", backfill, "--json").exits(0).data["answer"]
    assert answer == "cancelled; 21 dates are left as they are"
    assert states(project.bfill("status", backfill, "--json").data, "runs") == (4, 17)
    project.write("dags/naps.py", HELD_CHAIN)
    project.write("hold/2024-02-06", "")
    project.breaks("nap", "2024-02-02")
    words = ("--dag", "held", "--start", "2024-02-01", "--end", "2024-02-06", "--parallel", "6")
    going = project.start("run", *words, "--json")
    until(lambda: len(project.attempts("held")) == 7)
    project.bfill("cancel", "held").exits(0)
    ended = going.wait().exits(1).data
    assert (ended["state"], states(ended, "results")) == ("cancelled", (3, 1))
    assert states(project.bfill("status", "held", "--json").data, "runs") == (3, 1)


def test_a_pilot_runs_first_last_and_middle_shows_what_they_took_and_stops(naps: Project) -> None:
    ran = naps.bfill("run", *JANUARY, "--pilot", "3", "--parallel", "4", "--json").exits(0)
    data = ran.data
    assert list(spans(naps)) and sorted(spans(naps)) == ["2024-01-01", "2024-01-16", "2024-01-31"]
    assert (data["state"], data["reason"], data["remaining"]) == (
        "interrupted",
        "pilot done: 3 of 31 dates",
        28,
    )
    pilot = data["pilot"]
    assert [one["state"] for one in pilot["dates"]] == ["success"] * 3
    assert pilot["tasks"][0]["task_id"] == "nap"
    mean = sum(one["duration_s"] for one in pilot["dates"]) / 3
    assert pilot["estimate"]["low_s"] == pytest.approx(28 / 4 * mean, abs=0.01)
    # Asked for again, the pilot is no leave to go on; the id is.
    again = naps.bfill("run", *JANUARY, "--pilot", "3", "--json").exits(0).data
    assert (len(spans(naps)), again["reason"]) == (3, data["reason"])
    rest = naps.bfill("run", data["backfill_id"], "--json").exits(0).data
    assert (rest["state"], rest["completed"], rest["pilot"]) == ("success", 31, None)
    assert [one["kind"] for one in rest["chunks"]] == ["pilot", "rest"]
    one_after_another(naps, [["2024-01-01", "2024-01-16", "2024-01-31"], ["2024-01-02", "2024-01-30"]])


def test_a_pilot_that_fails_is_exit_1_and_says_so(naps: Project) -> None:
    naps.breaks("nap", "2024-01-16")
    data = naps.bfill("run", *JANUARY, "--pilot", "3", "--json").exits(1).data
    assert (data["reason"], data["remaining"]) == ("the pilot ended with 1 failed date", 28)


def test_killed_in_its_pilot_a_run_ends_the_pilot_first(naps: Project) -> None:
    naps.write("slow/2024-01-16", "30")
    going = naps.start("run", *JANUARY, "--pilot", "3")
    until(lambda: naps.runs("naps").get("2024-01-16") == "running")
    going.signal(signal.SIGKILL)
    going.wait()
    naps.write("slow/2024-01-16", "0")
    (row,) = naps.rows("SELECT backfill_id FROM backfills")
    data = naps.bfill("run", row["backfill_id"], "--json").exits(0).data
    assert data["reason"] == "pilot done: 3 of 31 dates"
    assert sorted(spans(naps)) == ["2024-01-01", "2024-01-16", "2024-01-31"]


def test_a_pilot_of_a_chain_takes_the_first_dates(project: Project) -> None:
    """Section 4: dates that depend on the past have one order."""
    project.write("dags/naps.py", CHAIN)
    project.bfill("run", *JANUARY, "--pilot", "3").exits(0)
    assert list(project.runs("naps")) == ["2024-01-01", "2024-01-02", "2024-01-03"]


def test_behind_a_pilot_the_rest_may_go_in_chunks(naps: Project) -> None:
    first = naps.bfill("run", *JANUARY, "--pilot", "2", "--chunk", "10", "--json").exits(0).data
    data = naps.bfill("run", first["backfill_id"], "--json").exits(0).data
    found = [(one["kind"], one["number"], one["dates"]) for one in data["chunks"]]
    assert found == [("pilot", 0, 2), ("chunk", 1, 10), ("chunk", 2, 10), ("chunk", 3, 9)]


def test_a_ramp_grows_from_the_pilot_and_then_runs_on(naps: Project) -> None:
    data = naps.bfill("run", *JANUARY, "--pilot", "1", "--ramp", "--parallel", "8", "--json").exits(0).data
    found = [(one["kind"], one["dates"]) for one in data["chunks"]]
    assert found == [("pilot", 1), ("ramp", 2), ("ramp", 4), ("ramp", 8), ("rest", 16)]
    one_after_another(naps, in_chunks(data))


def test_a_ramp_stops_at_failures_and_where_dates_become_slow(naps: Project) -> None:
    naps.write("slow/2024-01-05", "4")
    slow = naps.bfill("run", *JANUARY, "--pilot", "1", "--ramp", "--parallel", "8", "--json").exits(1).data
    assert re.match(r"wave 2 of 4 was slow: 1\.\d s a date, 0\.\d s in the pilot", slow["reason"]), slow["reason"]
    assert (slow["completed"], slow["remaining"]) == (7, 24)
    naps.breaks("nap", "2024-01-09")
    failed = naps.bfill("run", slow["backfill_id"], "--json").exits(1).data
    assert failed["reason"] == "wave 3 of 4 ended with 1 failed date (--ramp)"
    assert failed["remaining"] == 16


def test_auto_measures_a_first_chunk_and_keeps_to_the_size_it_chose(naps: Project) -> None:
    ran = naps.bfill("run", *JANUARY, "--chunk", "auto", "--parallel", "4", "--json").exits(0)
    found = [one["dates"] for one in ran.data["chunks"]]
    assert found == [4, 27], "dates of a few hundredths of a second fit into ten minutes by the thousand"
    (row,) = naps.rows("SELECT request FROM backfills")
    first, size = json.loads(row["request"])["shape"]["sizes"]
    assert first == 4 and size % 4 == 0
    took = ran.data["chunks"][0]["duration_s"]
    assert size == pytest.approx(4 * 600 / took, rel=0.5)
    later = naps.bfill("plan", "--dag", "naps", "--dates", "2024-02-01", "--chunk", "auto", "--json").exits(0)
    assert later.data["total"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--chunk", "0"), "--chunk"),
        (("--chunk", "7h"), "--chunk"),
        (("--chunk", ""), "--chunk '' is no chunk"),
        (("--chunk", "7d", "--chunk-failures", ""), "--chunk-failures '' is neither"),
        (("--pilot", "0"), "--pilot"),
        (("--ramp",), "--pilot"),
        (("--chunk-failures", "skip"), "--chunk"),
        (("--chunk", "7d", "--chunk-failures", "200%"), "--chunk-failures"),
        (("--pilot", "2", "--ramp", "--chunk", "7d"), "--chunk"),
    ],
)
def test_words_that_make_no_shape_are_refused(naps: Project, words: tuple[str, ...], said: str) -> None:
    with naps.unchanged():
        naps.bfill("run", *JANUARY, *words).says(2, said)


def test_a_store_with_waves_checks_and_verifies_and_its_record_names_them(naps: Project) -> None:
    naps.breaks("nap", "2024-01-09")
    naps.bfill("run", *JANUARY, "--chunk", "auto", "--pilot", "2").exits(0)
    naps.bfill("run").exits(1)
    for _ in range(2):
        naps.bfill("store", "check").exits(0)
        naps.bfill("audit", "verify").exits(0)
        (naps.folder / "broken" / "nap.2024-01-09").unlink(missing_ok=True)
        naps.bfill("rerun-failed").exits(0)
        naps.bfill("run", *JANUARY, "--chunk", "auto").exits(0)
    entries = naps.bfill("audit", "--json").data["events"]
    assert [(one["details"].get("chunk"), one["details"].get("pilot")) for one in entries[:1]] == [("auto", 2)]


def test_limits_stop_in_the_middle_of_a_chunk_and_the_chunk_goes_on(naps: Project) -> None:
    naps.breaks("nap", "2024-01-02")
    words = ("run", *JANUARY, "--chunk", "7d", "--chunk-failures", "skip")
    data = naps.bfill(*words, "--fail-fast", "--json").exits(1).data
    assert (data["reason"], data["chunks"][0]["state"]) == ("--fail-fast: 1 date failed", "interrupted")
    data = naps.bfill(*words, "--json").exits(1).data
    assert [one["completed"] for one in data["chunks"]] == [6, 7, 7, 7, 3]


def test_failures_are_repaired_in_chunks_too(naps: Project) -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 9)]
    naps.breaks("nap", *days)
    naps.bfill("run", *JANUARY).exits(1)
    naps.mends("nap", *days[:4])
    data = naps.bfill("rerun-failed", "--chunk", "3", "--json").exits(1).data
    assert [(one["completed"], one["failed"]) for one in data["chunks"]] == [(3, 0), (1, 2), (0, 0)]
    assert data["reason"] == "chunk 2 of 3 ended with 2 failed dates (--chunk-failures stop)"


def test_a_plan_shows_its_chunks_and_stores_them(naps: Project) -> None:
    words = (*JANUARY, "--chunk", "7d", "--parallel", "4")
    with naps.unchanged():
        shape = naps.bfill("plan", *words, "--dry-run", "--json").exits(0).data["shape"]
    assert (shape["chunk"], shape["chunk_failures"], shape["waves"]) == ("7d", "stop", 5)
    assert (shape["first"]["last"][:10], shape["last"]["first"][:10]) == ("2024-01-07", "2024-01-29")
    ran = naps.bfill("plan", *words).exits(0)
    assert "chunks    5 of 7 days: first 01-01 … 01-07, last 01-29 … 01-31" in ran.out
    (row,) = naps.rows("SELECT backfill_id FROM backfills")
    data = naps.bfill("run", row["backfill_id"], "--json").exits(0).data
    assert [one["dates"] for one in data["chunks"]] == [7, 7, 7, 7, 3]


def test_a_plan_names_the_dates_of_its_pilot_and_what_its_waves_take(naps: Project) -> None:
    shape = naps.bfill("plan", *JANUARY, "--pilot", "3", "--ramp", "--dry-run", "--json").exits(0).data["shape"]
    assert [one[:10] for one in shape["pilot"]] == ["2024-01-01", "2024-01-16", "2024-01-31"]
    assert (shape["ramp"], shape["sizes"], shape["waves"]) == (True, [6, 12, 24, None], 3)
    naps.bfill("run", "--dag", "naps", "--dates", "2024-02-01").exits(0)
    words = ("plan", *JANUARY, "--parallel", "10", "--dry-run", "--json")
    in_one, in_chunks = (naps.bfill(*words, *more).data["estimate"]["low_s"] for more in ((), ("--chunk", "1")))
    assert in_chunks == pytest.approx(31 / 4 * in_one, rel=0.01), "31 waves of one date, or 4 lanes of ten"


def test_status_while_it_runs_shows_which_chunk_is_running(naps: Project) -> None:
    naps.write("slow/2024-01-10", "5")
    going = naps.start("run", *JANUARY, "--chunk", "7d", "--parallel", "7")
    until(lambda: naps.runs("naps").get("2024-01-10") == "running")
    (row,) = naps.rows("SELECT backfill_id FROM backfills")
    chunks = naps.bfill("status", row["backfill_id"], "--json").exits(0).data["chunks"]
    assert [one["state"] for one in chunks] == ["success", "running", "remaining", "remaining", "remaining"]
    assert "▶ chunk 2 of 5" in naps.bfill("status", row["backfill_id"]).out
    going.signal(signal.SIGTERM)
    going.signal(signal.SIGTERM)
    going.wait().exits(143)
