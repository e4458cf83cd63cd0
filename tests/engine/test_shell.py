"""Shell tasks: results, environment, and a time limit that ends the whole process group."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Thread

import pytest
from builders import FIRST, make_dag
from engine.helpers import attempt, group_of, is_alive, make_bench, make_invocation, python, shell, wait_until

from backfill_cli.core.invocations import AttemptReport
from backfill_cli.core.states import Outcome
from backfill_cli.engine import shell as engine_shell
from backfill_cli.engine.attempt import run_attempt

KEY = FIRST, "a"


def pids_of(path: Path) -> list[int]:
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_the_last_line_of_stdout_is_the_result_and_both_streams_are_logged(tmp_path: Path) -> None:
    """Contract section 2: bash pushes its last stdout line."""
    tried = attempt(shell("echo one; echo warn >&2; printf two"), tmp_path)
    assert tried.report.xcoms == {"return_value": '"two"'}
    assert sorted(str(tried.log).replace("two", "two\n").split()) == ["one", "two", "warn"]


def test_a_template_is_rendered_and_its_values_are_quoted(tmp_path: Path) -> None:
    """Contract section 3: values from conf are data."""
    report = attempt(shell("echo {{ ds }} {{ conf.name }}"), tmp_path, conf={"name": "$(id); 'x'"}).report
    assert report.xcoms == {"return_value": "\"2024-01-01 $(id); 'x'\""}


@pytest.mark.parametrize(
    ("command", "outcome", "reason"),
    [
        ("echo nope >&2; exit 3", Outcome.RETRY, "exit status 3: nope"),
        ("exit 7", Outcome.RETRY, "exit status 7"),
        ("exit 99", Outcome.SKIPPED, "exit status 99"),
        ("kill -9 $$", Outcome.RETRY, "killed by signal 9"),
        ("set -e; false; echo never", Outcome.RETRY, "exit status 1"),
    ],
)
def test_how_a_command_ended_is_the_reason(tmp_path: Path, command: str, outcome: Outcome, reason: str) -> None:
    report = attempt(shell(command), tmp_path).report
    assert (report.outcome, report.reason) == (outcome, reason)


def test_a_command_sees_the_run_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract section 3: BFILL_DS, BFILL_CONF_*; and what the task's own env says, rendered."""
    monkeypatch.setenv("OUTSIDE", "seen")
    names = "BFILL_DS BFILL_TASK_ID BFILL_TRY_NUMBER BFILL_CONF_REGION BFILL_CONF_TOP_N MINE OUTSIDE"
    command = "; ".join(f'echo "{name}=${name}"' for name in names.split())
    tried = attempt(shell(command, env={"MINE": "{{ ds }}"}), tmp_path, conf={"region": "eu", "top-n": [1]})
    assert str(tried.log).splitlines() == [
        "BFILL_DS=2024-01-01",
        "BFILL_TASK_ID=a",
        "BFILL_TRY_NUMBER=1",
        "BFILL_CONF_REGION=eu",
        "BFILL_CONF_TOP_N=[1]",
        "MINE=2024-01-01",
        "OUTSIDE=seen",
    ]
    alone = attempt(shell('echo "[$OUTSIDE]"', inherits_env=False), tmp_path).report
    assert alone.xcoms == {"return_value": '"[]"'}


def test_a_command_runs_in_its_folder(tmp_path: Path) -> None:
    assert attempt(shell("pwd", cwd=str(tmp_path)), tmp_path).report.xcoms == {"return_value": f'"{tmp_path}"'}
    missing = attempt(shell("pwd", cwd=str(tmp_path / "gone")), tmp_path).report
    assert str(missing.reason).startswith("FileNotFoundError")


def test_a_command_has_no_standard_input(tmp_path: Path) -> None:
    assert attempt(shell("cat; echo done"), tmp_path).report.xcoms == {"return_value": '"done"'}


def test_output_that_is_no_utf_8_does_not_hurt(tmp_path: Path) -> None:
    tried = attempt(shell(r"printf 'a\377b\r\n'"), tmp_path)
    assert tried.report.xcoms == {"return_value": r'"a\\xffb"'}
    assert tried.log == "a\\xffb\n"


def test_more_output_than_a_pipe_holds_is_streamed(tmp_path: Path) -> None:
    report = attempt(shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last"), tmp_path).report
    assert report.xcoms == {"return_value": '"last"'}


def test_a_last_line_over_one_mebibyte_fails_the_task(tmp_path: Path) -> None:
    """Contract section 2: XComs are at most 1 MiB; a part of one would be worse than none."""
    report = attempt(shell("head -c 1100000 /dev/zero | tr '\\0' x"), tmp_path).report
    assert report.outcome is Outcome.FAILED
    assert "the limit is 1,048,576" in str(report.reason)


def test_a_background_process_does_not_hold_the_task(tmp_path: Path) -> None:
    begun = time.monotonic()
    report = attempt(shell(f"sleep 30 & echo $! > {tmp_path}/pid; echo done"), tmp_path).report
    assert report.xcoms == {"return_value": '"done"'}
    assert time.monotonic() - begun < 5
    (pid,) = pids_of(tmp_path / "pid")
    os.kill(pid, 9)


def test_a_timeout_ends_the_whole_process_group(tmp_path: Path) -> None:
    """Section 6, execution_timeout: shell tasks end with all their children."""
    command = f"sleep 30 & echo $! >> {tmp_path}/pids; (sleep 31; :) & echo $! $$ >> {tmp_path}/pids; wait"
    report = attempt(shell(command, execution_timeout_s=0.2, retries=1), tmp_path).report
    assert (report.outcome, report.reason) == (Outcome.RETRY, "timed out after 0.2 s")
    pids = pids_of(tmp_path / "pids")
    assert len(pids) == 3
    wait_until(lambda: not any(map(is_alive, pids)) and not group_of(pids[-1]))


def test_what_ignores_sigterm_is_killed_after_the_grace_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_shell, "TERM_GRACE_S", 0.1)
    command = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.05; done"
    report = attempt(shell(command, execution_timeout_s=0.1), tmp_path).report
    assert report.reason == "timed out after 0.1 s"
    wait_until(lambda: not is_alive(pids_of(tmp_path / "pid")[0]))


def test_a_command_that_ends_on_sigterm_has_time_to_clean_up(tmp_path: Path) -> None:
    command = f"trap 'echo bye > {tmp_path}/bye; exit 0' TERM; while :; do sleep 0.02; done"
    report = attempt(shell(command, execution_timeout_s=0.15), tmp_path).report
    assert report.outcome is Outcome.RETRY
    assert (tmp_path / "bye").read_text() == "bye\n"


def test_a_running_command_is_cancelled_from_another_thread(tmp_path: Path) -> None:
    task = shell(f"echo $$ > {tmp_path}/pid; sleep 30", retries=1)
    bench = make_bench(make_dag(task))
    reports: list[AttemptReport] = []
    thread = Thread(target=lambda: reports.append(attempt(task, tmp_path, bench=bench).report))
    thread.start()
    wait_until(lambda: bool(pids_of(tmp_path / "pid")))
    bench.register.cancel(KEY)
    thread.join(5)
    assert (reports[0].outcome, reports[0].reason) == (Outcome.LOST, "cancelled")
    wait_until(lambda: not is_alive(pids_of(tmp_path / "pid")[0]))


def test_a_command_cancelled_before_it_began_ends_at_once(tmp_path: Path) -> None:
    """Between its submission and its first line a try is nowhere to be found; the cancellation waits for it."""
    task = shell("sleep 30")
    bench = make_bench(make_dag(task))
    bench.register.cancel(KEY)
    begun = time.monotonic()
    assert attempt(task, tmp_path, bench=bench).report.outcome is Outcome.LOST
    assert time.monotonic() - begun < 5


def test_a_log_that_cannot_be_written_leaves_no_child_behind(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    report = attempt_raw(tmp_path, f"echo $$ > {tmp_path}/pid; echo hello; sleep 30")
    assert report.outcome is Outcome.RETRY
    wait_until(lambda: not is_alive(pids_of(tmp_path / "pid")[0]))


def attempt_raw(folder: Path, command: str) -> AttemptReport:

    bench = make_bench(make_dag(shell(command)))
    return run_attempt(make_invocation(log_path=str(folder / "logs" / "a.log")), bench)


def test_a_function_and_the_command_it_built_share_one_time_limit(tmp_path: Path) -> None:
    """Section 6: execution_timeout is per try."""

    def build() -> str:
        time.sleep(0.15)
        return "sleep 0.2"

    report = attempt(python(build, decides="shell", execution_timeout_s=0.25), tmp_path).report
    assert report.reason == "timed out after 0.25 s"
