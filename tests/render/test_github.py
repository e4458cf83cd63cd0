"""GitHub Actions: annotations and step summary, and that nothing a task says gets out of its place."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.results import FailureGroup
from backfill_cli.errors import NotFoundError
from backfill_cli.render.github import ANNOTATIONS, error_annotation, failure_annotations, summary
from render.samples import day, run_blocked, run_failed, run_ok


def failing(*groups: tuple[str, str], count: int = 1):
    dates = (day("2024-03-11"),)
    return replace(run_failed(), failures=tuple(FailureGroup(task, reason, dates, count) for task, reason in groups))


def test_each_cause_is_one_error_that_names_dag_task_reason_and_dates():
    assert list(failure_annotations(failing(("load", "HTTP 503 from warehouse")))) == [
        "::error title=daily_sales load::1 date: load: HTTP 503 from warehouse%0A2024-03-11\n"
    ]


def test_blocked_dates_are_a_warning():
    assert any(one.startswith("::warning title=") and "blocked" in one for one in failure_annotations(run_blocked()))


def test_success_annotates_nothing():
    assert list(failure_annotations(run_ok())) == []


def test_more_causes_than_github_shows_are_counted_in_the_last():
    made = list(failure_annotations(failing(*((f"t{number}", "boom") for number in range(25)))))
    errors = [one for one in made if one.startswith("::error")]
    assert len(errors) == ANNOTATIONS
    assert "16 more causes, 16 dates" in errors[-1]


def test_an_error_in_place_of_a_result_is_one_annotation():
    made = error_annotation(NotFoundError("there is no DAG 'x'", hint="known: a, b"), "bfill run")
    assert made == "::error title=bfill run::there is no DAG 'x'%0Aknown: a, b\n"


@given(st.text(), st.text())
def test_nothing_a_task_says_is_a_second_command(task: str, reason: str):
    """`::add-mask::` or `::set-env` in the middle of a message must not be one."""
    made = list(failure_annotations(failing((task, reason))))
    for one in made:
        assert one.count("\n") == 1 and one.endswith("\n")
        assert len(one.splitlines()) == 1
        head, _, _ = one.removeprefix("::error ").partition("::")
        assert "," not in head and ":" not in head


def test_the_summary_has_counts_causes_and_the_next_command():
    made = summary(run_failed(), "bfill run")
    result = run_failed()
    assert made.startswith("### ❌ bfill run daily\\_sales: failed in")
    assert f"| {result.total_dates} | {result.completed} | {result.failed} |" in made
    assert f"```sh\n{result.next_command}\n```" in made
    assert "HTTP 503 from warehouse" in made


def test_the_summary_of_a_success_is_its_counts():
    made = summary(run_ok(), "bfill rerun-failed")
    assert made.startswith("### ✅ bfill rerun-failed")
    assert "cause" not in made


@given(st.text(min_size=1))
def test_whatever_a_reason_holds_the_table_keeps_its_shape(reason: str):
    made = summary(failing(("load", reason)), "bfill run")
    [row] = [line for line in made.splitlines() if line.startswith("| 1 | load |")]
    bare = row.replace("\\\\", "").replace("\\|", "")
    assert bare.count("|") == 5
    assert "<" not in row and "@" not in row


def test_a_command_with_backticks_stays_in_its_fence():
    made = summary(replace(run_failed(), next_command="bfill run --command '```x'"), "bfill run")
    assert "````sh\nbfill run --command '```x'\n````" in made
