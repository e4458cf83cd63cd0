"""One try: how it ended in one line, what it pushed, what it printed, which callbacks were called."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from builders import FIRST, make_dag, make_task
from engine.helpers import attempt, follow, make_bench, make_invocation, python, shell

from backfill_cli.core.context import get_current_context
from backfill_cli.core.graph import Callbacks
from backfill_cli.core.signals import FailTask, RateLimited, RetryLater, SkipTask
from backfill_cli.core.states import Outcome
from backfill_cli.core.work import EmptyWork, XComRef
from backfill_cli.engine.attempt import REASON_LENGTH, run_attempt
from backfill_cli.engine.logs import captured
from backfill_cli.errors import InputError


def raising(error: BaseException) -> Any:
    def function() -> None:
        raise error

    return function


# how it ended


@pytest.mark.parametrize(
    ("error", "outcome", "reason", "delay_s"),
    [
        (SkipTask("no rows"), Outcome.SKIPPED, "no rows", None),
        (SkipTask(), Outcome.SKIPPED, "skipped by the task", None),
        (FailTask("bad schema"), Outcome.FAILED, "bad schema", None),
        (RetryLater(timedelta(minutes=2)), Outcome.RETRY, "asked to retry in 120 s", 120.0),
        (RateLimited(30, "429"), Outcome.DEFERRED, "429", 30.0),
        (ValueError("two\nlines   of it"), Outcome.RETRY, "ValueError: two lines of it", None),
        (KeyError(), Outcome.RETRY, "KeyError", None),
        (SystemExit(3), Outcome.RETRY, "SystemExit: 3", None),
        (KeyboardInterrupt(), Outcome.RETRY, "KeyboardInterrupt", None),
        (InputError("no secret"), Outcome.FAILED, "no secret", None),
    ],
)
def test_what_a_task_raises_is_how_its_try_ended(
    tmp_path: Path, error: BaseException, outcome: Outcome, reason: str, delay_s: float | None
) -> None:
    """Contract section 2, exceptions; semantics section 6, tries."""
    report = attempt(python(raising(error)), tmp_path).report
    assert (report.outcome, report.reason, report.delay_s) == (outcome, reason, delay_s)


def test_a_reason_is_one_line_of_bounded_length_and_the_log_has_all_of_it(tmp_path: Path) -> None:
    tried = attempt(python(raising(ValueError("x" * 2_000))), tmp_path)
    assert len(str(tried.report.reason)) == REASON_LENGTH
    assert "x" * 2_000 in str(tried.log)


def test_the_traceback_in_the_log_begins_at_the_users_code(tmp_path: Path) -> None:
    log = str(attempt(python(raising(ValueError("boom"))), tmp_path).log)
    assert "ValueError: boom" in log
    assert "in function" in log
    assert "engine/attempt.py" not in log


def test_times_are_taken_around_the_task(tmp_path: Path) -> None:
    report = attempt(python(lambda: None), tmp_path).report
    assert 0 <= report.ended_at - report.started_at < 5_000_000


def test_a_dag_that_cannot_be_loaded_fails_the_try_with_its_message(tmp_path: Path) -> None:
    def gone(_ref: object) -> Any:
        raise InputError("toy.py is gone", hint="put it back")

    bench = make_bench(make_dag())
    broken = type(bench)(dag_of=gone)
    tried = attempt(make_task("a"), tmp_path, bench=broken)
    assert (tried.report.outcome, tried.report.reason) == (Outcome.FAILED, "toy.py is gone")
    assert tried.log == "[bfill] toy.py is gone (put it back)\n"


def test_empty_work_that_reaches_a_worker_succeeds(tmp_path: Path) -> None:
    assert attempt(make_task("a", work=EmptyWork()), tmp_path).report.outcome is Outcome.SUCCESS


# arguments and results


def test_arguments_are_rendered_and_macros_filled_in(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def function(first: str, ds: str, *, deep: Any, data_interval_end: Any, context: Any) -> None:
        seen.update(first=first, ds=ds, deep=deep, end=data_interval_end.isoformat(), same=context["ds"])

    task = python(
        function,
        args=("day {{ ds }}",),
        kwargs={"deep": [{"k": "{{ conf.region }}"}, ("{{ 1 }}", 2)]},
        macros=("ds", "data_interval_end", "context"),
    )
    assert attempt(task, tmp_path, conf={"region": "eu"}).report.reason is None
    assert seen == {
        "first": "day 2024-01-01",
        "ds": "2024-01-01",
        "deep": [{"k": "eu"}, ("1", 2)],
        "end": "2024-01-02T00:00:00+00:00",
        "same": "2024-01-01",
    }


def test_an_argument_passed_at_the_call_wins_over_a_macro(tmp_path: Path) -> None:
    """Contract section 2."""
    seen: list[str] = []
    task = python(lambda ds, **_: seen.append(ds), kwargs={"ds": "mine"}, macros=("**",))
    assert attempt(task, tmp_path).report.reason is None
    assert seen == ["mine"]


def test_an_xcom_argument_is_a_fresh_value_and_never_rendered_again(tmp_path: Path) -> None:
    """Contract section 2 and 3: what a value contains is data."""
    seen: list[Any] = []
    task = python(seen.append, args=(XComRef("up", path=("rows", 0)),))
    attempt(task, tmp_path, xcoms={"up": {"return_value": '{"rows": ["{{ ds }}"]}'}})
    assert seen == ["{{ ds }}"]


def test_the_result_is_pushed_as_json(tmp_path: Path) -> None:
    assert attempt(python(lambda: (1, {"k": None})), tmp_path).report.xcoms == {"return_value": '[1,{"k":null}]'}


def test_no_result_is_pushed_for_none_or_when_it_is_not_wanted(tmp_path: Path) -> None:
    assert attempt(python(lambda: None), tmp_path).report.xcoms == {}
    assert attempt(python(lambda: 1, do_xcom_push=False), tmp_path).report.xcoms == {}


def test_what_json_cannot_hold_fails_the_task_with_a_hint_in_the_log(tmp_path: Path) -> None:
    """Contract section 2, XComs."""
    tried = attempt(python(lambda: {1, 2}), tmp_path)
    assert tried.report.outcome is Outcome.FAILED
    assert "set itself is not JSON" in str(tried.report.reason)
    assert "sorted(value)" in str(tried.log)


def test_a_task_pushes_and_pulls_through_its_context(tmp_path: Path) -> None:
    def function() -> str:
        ti = get_current_context().ti
        ti.xcom_push("n", 5)
        return str(ti.xcom_pull("up") + ti.xcom_pull("a", "n"))

    report = attempt(python(function), tmp_path, xcoms={"up": {"return_value": "2"}}).report
    assert report.xcoms == {"n": "5", "return_value": '"7"'}


def test_several_outputs_are_pushed_one_by_one_too(tmp_path: Path) -> None:
    report = attempt(python(lambda: {"x": 1, "y": 2}, multiple_outputs=True), tmp_path).report
    assert report.xcoms == {"x": "1", "y": "2", "return_value": '{"x":1,"y":2}'}


# decisions


@pytest.mark.parametrize(("chosen", "kept"), [("b", ("b",)), (["b", "c"], ("b", "c")), (None, ()), ([], ())])
def test_a_branch_says_what_it_follows(tmp_path: Path, chosen: Any, kept: tuple[str, ...]) -> None:
    task = python(lambda: chosen, decides="branch")
    assert attempt(task, tmp_path, dag=follow(task, "b", "c")).report.follow == kept


def test_a_branch_may_follow_a_task_group(tmp_path: Path) -> None:
    task = python(lambda: "group", decides="branch")
    dag = follow(task, "group.x", "group.y", "other")
    grouped = type(dag)("toy", None, "UTC", dag.tasks, groups={"group": ("group.x", "group.y")})  # type: ignore[arg-type]
    assert attempt(task, tmp_path, dag=grouped).report.follow == ("group.x", "group.y")


@pytest.mark.parametrize("chosen", ["far", 5, {"b": 1}])
def test_a_branch_to_what_is_not_directly_behind_it_fails(tmp_path: Path, chosen: Any) -> None:
    task = python(lambda: chosen, decides="branch", retries=3)
    report = attempt(task, tmp_path, dag=follow(task, "b")).report
    assert report.outcome is Outcome.FAILED
    assert str(report.reason).startswith("branch 'a' ")


@pytest.mark.parametrize(
    ("value", "respects", "skipped"), [(True, True, None), (0, True, "direct"), ("", False, "all"), ("x", False, None)]
)
def test_a_short_circuit_says_how_far_it_skips(tmp_path: Path, value: Any, respects: bool, skipped: str | None) -> None:
    task = python(lambda: value, decides="short_circuit", respects_trigger_rules=respects)
    assert attempt(task, tmp_path, dag=follow(task, "b")).report.skip_behind == skipped


def test_a_command_that_a_function_built_runs_and_is_never_rendered(tmp_path: Path) -> None:
    task = python(lambda: "echo '{{ ds }}'", decides="shell")
    assert attempt(task, tmp_path).report.xcoms == {"return_value": '"{{ ds }}"'}
    wrong = attempt(python(lambda: 5, decides="shell"), tmp_path).report
    assert wrong.reason == "task 'a' returned int, not a command"


# callbacks


def calls(seen: list[str]) -> Callbacks:
    def noting(name: str) -> Any:
        return (lambda context: seen.append(f"{name} {context['ds']}"),)

    return Callbacks(*(noting(name) for name in ("execute", "success", "failure", "retry", "skipped")))


@pytest.mark.parametrize(
    ("error", "spent", "called"),
    [
        (None, 0, "success"),
        (ValueError(), 0, "retry"),
        (ValueError(), 1, "failure"),
        (FailTask(), 0, "failure"),
        (SkipTask(), 0, "skipped"),
        (RateLimited(), 0, None),
    ],
)
def test_each_end_calls_its_callbacks_once(
    tmp_path: Path, error: Exception | None, spent: int, called: str | None
) -> None:
    """With one retry: the second counted try is the last, and its end is a failure."""
    seen: list[str] = []
    function = raising(error) if error else lambda: None
    attempt(python(function, retries=1, callbacks=calls(seen)), tmp_path, spent=spent)
    assert seen == ["execute 2024-01-01", *([f"{called} 2024-01-01"] if called else [])]


def test_a_cancelled_try_is_lost_and_calls_nobody(tmp_path: Path) -> None:
    """Whoever pressed Ctrl-C does not want to be paged for it."""
    seen: list[str] = []
    task = python(lambda: None, callbacks=calls(seen))
    bench = make_bench(make_dag(task))
    bench.register.cancel_all()
    report = attempt(task, tmp_path, bench=bench).report
    assert (report.outcome, report.reason) == (Outcome.LOST, "cancelled")
    assert seen == ["execute 2024-01-01"]


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(1)])
def test_a_callback_that_raises_is_noted_and_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    def callback(_context: object) -> None:
        raise error

    tried = attempt(python(lambda: 1, callbacks=Callbacks(on_success=(callback,))), tmp_path)
    assert tried.report.outcome is Outcome.SUCCESS
    assert f"callback callback failed: {error!r}" in str(tried.log)


def test_an_on_execute_callback_that_raises_fails_the_try_before_the_task(tmp_path: Path) -> None:
    ran: list[int] = []

    def callback(_context: object) -> None:
        raise ValueError("not today")

    task = python(lambda: ran.append(1), callbacks=Callbacks(on_execute=(callback,)))
    assert attempt(task, tmp_path).report.reason == "ValueError: not today"
    assert ran == []


# what is printed


def test_stdout_stderr_and_logging_of_a_try_are_in_its_log(tmp_path: Path) -> None:
    def function() -> None:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        logging.getLogger("mine").info("to %s", "logging")

    log = str(attempt(python(function), tmp_path).log)
    assert log.startswith("to stdout\nto stderr\n")
    assert log.endswith("INFO mine to logging\n")


def test_two_tasks_that_print_at_once_each_have_their_own_log(tmp_path: Path) -> None:
    """Threads share one sys.stdout; what one prints never stands in the other's file."""
    meet = Barrier(2)

    def chatty(ds: str, context: Any) -> None:
        for number in range(200):
            if number % 50 == 0:
                meet.wait(5)
            print(f"{context.ti.task_id} {number}")

    tasks = {name: make_task(name, work=python(chatty, macros=("ds", "context")).work) for name in ("x", "y")}
    bench = make_bench(make_dag(*tasks.values()))
    with captured(own_process=False), ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run_attempt, make_invocation(name, log_path=str(tmp_path / name)), bench) for name in tasks]
        assert [job.result().outcome for job in jobs] == [Outcome.SUCCESS] * 2
    for name in tasks:
        assert (tmp_path / name).read_text() == "".join(f"{name} {number}\n" for number in range(200))


def test_nothing_printed_no_file(tmp_path: Path) -> None:
    """Contract section 5: logs are made at the first byte."""
    assert attempt(python(lambda: 1), tmp_path).log is None
    assert not (tmp_path / "logs").exists()


def test_a_log_that_cannot_be_written_fails_what_prints_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    for task in (python(lambda: print("hello")), shell("echo hello")):
        report = run_attempt_into(task, tmp_path / "logs" / "a.log")
        assert report.outcome is Outcome.RETRY
        assert str(report.reason).startswith("its log cannot be written: ")


def test_output_that_is_lost_fails_a_task_that_catches_the_error(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")

    def swallows() -> None:
        with suppress(Exception):
            print("hello")

    report = run_attempt_into(python(swallows), tmp_path / "logs" / "a.log")
    assert report.outcome is Outcome.RETRY
    assert str(report.reason).startswith("its log cannot be written: ")


def run_attempt_into(task: Any, path: Path) -> Any:
    with captured(own_process=False):
        return run_attempt(make_invocation("a", log_path=str(path)), make_bench(make_dag(task)))


def test_a_report_names_its_try(tmp_path: Path) -> None:
    report = attempt(python(lambda: 1), tmp_path, try_number=7).report
    assert (report.logical_date, report.task_id, report.try_number) == (FIRST, "a", 7)
