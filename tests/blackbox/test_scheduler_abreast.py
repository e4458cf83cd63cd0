"""DAGs of one pass side by side, each in a process of its own: times, signals, kills, and who hears what."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from blackbox.world import Project, most_at_once, until

NOW = ("scheduler", "--once", "--now", "2024-01-04")


def write_dags(project: Project, **seconds: float) -> None:
    """DAGs of one file with three days to catch up, one at a time, each day so many seconds."""
    text = "".join(
        f"""
        with DAG("{name}", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=True, max_active_runs=1):
            @task
            def load(ds: str):
                time.sleep({seconds})
                broken("{name}", ds)
            load()
        """
        for name, seconds in seconds.items()
    )
    project.write("dags/some.py", text)


def span(project: Project, dag_id: str) -> tuple[str, str]:
    rows = project.attempts(dag_id)
    return rows[0]["started_at"], max(row["ended_at"] for row in rows)


def both_run(project: Project) -> bool:
    return len(project.rows("SELECT 1 FROM task_instances WHERE state = 'running'")) == 2


def shifts(project: Project) -> list[int]:
    """The processes that own something now."""
    return [row["pid"] for row in project.rows("SELECT pid FROM owners")]


def test_a_slow_dag_holds_no_other_one_back(project: Project) -> None:
    """Measured from attempt times: the quick DAG, second in order, is done before the slow one's first day is."""
    write_dags(project, slow=0.8, quick=0.01)
    ran = project.bfill(*NOW, "--json").exits(0)
    assert [one["dag_id"] for one in ran.data["dags"]] == ["slow", "quick"]
    assert ran.data["completed"] == 6
    assert span(project, "quick")[1] < project.attempts("slow")[0]["ended_at"]


def test_so_many_run_side_by_side_as_was_said(project: Project) -> None:
    write_dags(project, a=0.1, b=0.1, c=0.1, d=0.1)
    project.bfill(*NOW, "--parallel", "2").exits(0)
    assert most_at_once([span(project, name) for name in "abcd"]) == 2


def test_each_line_says_its_dag_and_a_failure_is_the_exit_code(project: Project) -> None:
    write_dags(project, one=0.0, two=0.0)
    project.breaks("two", "2024-01-02")
    ran = project.bfill(*NOW).exits(1)
    (failed,) = (line for line in ran.err.splitlines() if " failed " in line)
    assert failed.split()[1:4] == ["two", "failed", "2024-01-02"]
    assert " ✓ one   3 dates: 3 ok" in ran.out
    assert "2 ok   1 failed" in ran.out


def test_quiet_is_quiet(project: Project) -> None:
    write_dags(project, one=0.0, two=0.0)
    ran = project.bfill(*NOW, "-q").exits(0)
    assert (ran.out, ran.err) == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_drains_every_dag_also_when_all_of_the_group_got_it(
    project: Project, number: signal.Signals
) -> None:
    """A Ctrl-C hits the foreground group; the shifts lead groups of their own and count it once."""
    write_dags(project, one=0.6, two=0.6)
    going = project.start(*NOW, "--json", session=True)
    until(lambda: both_run(project))
    os.killpg(going.pid, number)
    ended = going.wait()
    assert ended.code == 128 + number
    assert ended.data["completed"] == 2
    assert {name: project.tries(name, "load") for name in ("one", "two")} == {
        name: {"2024-01-01": ["success"]} for name in ("one", "two")
    }
    project.bfill(*NOW).exits(0)
    assert [project.tries(name, "load")[f"2024-01-0{day}"] for name in ("one", "two") for day in (1, 2, 3)] == [
        ["success"]
    ] * 6


def test_the_second_signal_stops_every_dag_at_once(project: Project) -> None:
    write_dags(project, one=20, two=20)
    going = project.start(*NOW, session=True)
    until(lambda: both_run(project))
    going.signal(signal.SIGINT)
    until(lambda: going.says("one stopping") and going.says("two stopping"))
    going.signal(signal.SIGINT)
    going.wait(15).exits(130)
    assert shifts(project) == []
    assert {row["outcome"] for row in project.attempts("one") + project.attempts("two")} == {"lost"}


def test_children_of_a_killed_scheduler_end_and_the_next_pass_goes_on(project: Project) -> None:
    """SIGKILL of the parent: its shifts let what runs end, record it and leave; nothing runs twice."""
    write_dags(project, one=0.5, two=0.5)
    going = project.start(*NOW, session=True)
    until(lambda: both_run(project))
    pids = shifts(project)
    assert len(pids) == 2
    assert going.pid not in pids
    going.signal(signal.SIGKILL)
    going.wait()
    until(lambda: not any(alive(pid) for pid in pids))
    assert shifts(project) == []
    assert [len(project.tries(name, "load")) for name in ("one", "two")] == [1, 1]
    project.bfill(*NOW).exits(0)
    for name in ("one", "two"):
        assert project.tries(name, "load") == {f"2024-01-0{day}": ["success"] for day in (1, 2, 3)}
    project.bfill("audit", "verify").exits(0)


def test_a_killed_shift_is_an_error_of_its_dag_alone_and_goes_on_in_the_next_pass(project: Project) -> None:
    write_dags(project, one=0.3, two=0.3)
    going = project.start(*NOW, "--json")
    until(lambda: both_run(project))
    (victim,) = project.rows(
        "SELECT pid FROM owners JOIN backfills USING (owner) JOIN dags USING (dag) WHERE dag_id = 'one'"
    )
    os.kill(victim["pid"], signal.SIGKILL)
    ended: dict[str, Any] = going.wait().exits(8).data
    one, two = ended["dags"]
    assert "SIGKILL" in one["error"]["message"]
    assert two["runs"][0]["completed"] == 3
    project.bfill(*NOW).exits(0)
    assert [tries.count("success") for tries in project.tries("one", "load").values()] == [1, 1, 1]


def test_a_second_pass_leaves_dates_that_wait_for_the_first_one_alone(project: Project) -> None:
    """Section 4: the date behind a catch-up would be blocked in a process that does not run the one before it."""
    project.write(
        "dags/chain.py",
        """
        with DAG("chain", schedule="@daily", start_date=datetime(2024, 1, 1), catchup=True):
            @task(depends_on_past=True)
            def load(ds: str):
                time.sleep(0.3)
            load()
        """,
    )
    first = project.start(*NOW)
    until(lambda: project.runs("chain"))
    later = ("scheduler", "--once", "--now", "2024-01-05", "--json")
    assert project.bfill(*later).exits(0).data["dags"][0]["runs"] == []
    first.wait().exits(0)
    assert project.bfill(*later).exits(0).data["completed"] == 1
    assert set(project.runs("chain").values()) == {"success"}


def test_two_passes_together_have_no_more_dates_open_than_max_active_runs(project: Project) -> None:
    """Section 6: two processes, two shifts of one DAG; the later one has its turn before the first has ended."""
    write_dags(project, one=0.3)
    text = (project.folder / "dags/some.py").read_text()
    (project.folder / "dags/some.py").write_text(text.replace("2024, 1, 1", "2023, 12, 20"))
    first = project.start(*NOW)
    until(lambda: project.attempts("one"))
    project.bfill("scheduler", "--once", "--now", "2024-01-05").exits(0)
    assert "queued" in project.runs("one").values(), "the catch-up was over first"
    first.wait().exits(0)
    rows = project.attempts("one")
    assert len(rows) == 16
    assert most_at_once([(row["started_at"], row["ended_at"]) for row in rows]) == 1


def test_tasks_of_dags_in_two_folders_import_what_lies_beside_their_file(project: Project) -> None:
    """Both files are loaded before either runs, and each has a `helpers.py`."""
    for name in ("north", "south"):
        project.write(f"dags/{name}/helpers.py", f'NAME = "{name}"\n', head="")
        project.write(
            f"dags/{name}/dag.py",
            f"""
            with DAG("{name}", schedule="@daily", start_date=datetime(2024, 1, 1)):
                @task
                def load():
                    import helpers
                    return helpers.NAME
                load()
            """,
        )
    project.bfill(*NOW).exits(0)
    assert [project.xcoms(name)["load", "return_value"] for name in ("north", "south")] == ["north", "south"]


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False
