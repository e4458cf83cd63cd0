"""The JUnit report: what parsers of CI systems count, and that nothing a task says can break it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from backfill_cli.core.results import BackfillResult, DateResult, FailureGroup
from backfill_cli.errors import NotFoundError
from backfill_cli.render.junit import write_junit, write_junit_error
from render.samples import run_failed, run_interrupted, run_ok

FIRST = datetime(2024, 3, 1, tzinfo=UTC)


def report(result: BackfillResult, log_of=lambda run_id, task_id: "") -> ElementTree.Element:
    file = io.StringIO()
    write_junit(file, result, command="bfill run", log_of=log_of)
    return ElementTree.fromstring(file.getvalue().encode())


def dates(*rows: tuple[str, str | None, bool]) -> BackfillResult:
    """A result with a date a row: (state, reason, left alone)."""
    results = [
        DateResult(FIRST + timedelta(days=number), f"backfill__{number}", state, 1.5, reason, left_alone)
        for number, (state, reason, left_alone) in enumerate(rows)
    ]
    return replace(run_ok(), results=results, failures=(), total_dates=len(results))


def counted(root: ElementTree.Element) -> dict[str, int]:
    """What a parser finds, by hand, beside what the attributes claim."""
    cases = root.findall("./testsuite/testcase")
    found = {
        "tests": len(cases),
        "failures": sum(case.find("failure") is not None for case in cases),
        "errors": sum(case.find("error") is not None for case in cases),
        "skipped": sum(case.find("skipped") is not None for case in cases),
    }
    for element in (root, root.find("testsuite")):
        assert {name: int(element.get(name)) for name in found} == found
    return found


def test_every_date_is_a_case_named_by_dag_and_logical_date():
    root = report(dates(("success", None, False), ("failed", "load failed", False)))
    first, second = root.iter("testcase")
    assert (first.get("classname"), first.get("name"), first.get("time")) == (
        "daily_sales",
        "2024-03-01T00:00:00+00:00",
        "1.500",
    )
    assert len(first) == 0
    assert second.find("failure").get("message") == "dag_run: load failed"
    assert counted(root) == {"tests": 2, "failures": 1, "errors": 0, "skipped": 0}


def test_what_was_not_done_is_skipped_and_says_why():
    root = report(
        dates(
            ("blocked", "load waits for 2024-03-01", False),
            ("remaining", None, False),
            ("success", "succeeded, same version", True),
        )
    )
    assert [one.get("message") for one in root.iter("skipped")] == [
        "blocked: load waits for 2024-03-01",
        "remaining",
        "left alone: succeeded, same version",
    ]
    assert counted(root)["skipped"] == 3


def test_a_failure_that_was_left_alone_is_a_failure():
    """It is why the command exits with 1: a green report beside a red job would puzzle everybody."""
    assert counted(report(dates(("failed", "failed", True)))) == {"tests": 1, "failures": 1, "errors": 0, "skipped": 0}


def test_a_failure_names_task_reason_and_log():
    result = replace(
        dates(("failed", "2 tasks failed", False)),
        failures=(
            FailureGroup("load", "HTTP 503", (int(FIRST.timestamp()),), 1),
            FailureGroup("tidy", "exit 2", (int(FIRST.timestamp()),), 1),
        ),
    )
    root = report(result, lambda run_id, task_id: f"/logs/{run_id}/{task_id}.3.log" if task_id == "load" else "")
    [failure] = root.iter("failure")
    assert (failure.get("type"), failure.get("message")) == ("load", "load: HTTP 503")
    assert failure.text == "load: HTTP 503\nlog: /logs/backfill__0/load.3.log\ntidy: exit 2"


def test_failed_and_interrupted_results_are_whole_reports():
    for result in (run_failed(), run_interrupted()):
        root = report(result)
        assert counted(root)["tests"] == len(result.results)
        properties = {one.get("name"): one.get("value") for one in root.iter("property")}
        assert properties["backfill_id"] == result.backfill_id
        assert properties["state"] == result.state


def test_an_empty_selection_is_an_empty_suite():
    assert counted(report(dates()))["tests"] == 0


def test_an_error_in_place_of_a_result_is_one_case_with_an_error():
    file = io.StringIO()
    write_junit_error(file, NotFoundError("no DAG 'x\x00'", hint="known: <a>"), command="bfill run")
    root = ElementTree.fromstring(file.getvalue().encode())
    assert counted(root) == {"tests": 1, "failures": 0, "errors": 1, "skipped": 0}
    assert next(root.iter("error")).get("message") == "no DAG 'x\\x00'"


@given(st.text(), st.text())
def test_any_reason_and_any_task_give_a_report_that_parses(reason: str, task: str):
    result = replace(
        dates(("failed", reason, False), ("blocked", reason, False)),
        failures=(FailureGroup(task, reason, (int(FIRST.timestamp()),), 1),),
        dag_id=task,
    )
    assert counted(report(result, lambda run_id, task_id: reason)) == {
        "tests": 2,
        "failures": 1,
        "errors": 0,
        "skipped": 1,
    }


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xD7FF, exclude_characters="\x7f"), max_size=50))
def test_text_that_xml_can_hold_comes_back_as_it_was(reason: str):
    [skipped] = report(dates(("blocked", reason, False))).iter("skipped")
    assert skipped.get("message") == (f"blocked: {reason}" if reason else "blocked")
