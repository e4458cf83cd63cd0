"""Entries of the chain folded into who, what and the story of each backfill; and which entries are in the scope."""

from __future__ import annotations

from typing import Any

import pytest
from builders import START

from backfill_cli.core.auditing import GENESIS
from backfill_cli.core.records import AuditRow
from backfill_cli.core.reporting import EntryFold, behind_sudo, ci_job
from backfill_cli.core.reports import ReportScope


def entry(seq: int, action: str = "run", outcome: str = "started", **changes: Any) -> AuditRow:
    values: dict[str, Any] = {
        "at": START + seq,
        "actor": "ana",
        "host": "box",
        "target": "bf-1",
        "reason": None,
        "details": {"dag_id": "sales", "dag_version": "v1"},
        "previous": f"h{seq - 1}" if seq > 1 else GENESIS,
        "hash": f"h{seq}",
    }
    return AuditRow(seq=seq, action=action, outcome=outcome, **(values | changes))


def folded(*rows: AuditRow, **scope: Any) -> EntryFold:
    fold = EntryFold(ReportScope(**scope))
    fold.add(rows)
    return fold


def test_actors_are_counted_with_hosts_sudo_and_ci_jobs_the_busiest_first() -> None:
    ci = {"ci": {"system": "github", "GITHUB_RUN_ID": "17"}}
    fold = folded(
        entry(1, actor="root (sudo bo)"),
        entry(2, host="other"),
        entry(3, details=ci),
    )
    ana, root = fold.actors()
    assert (ana.actor, ana.entries, ana.sudo_from, ana.hosts) == ("ana", 2, None, {"other": 1, "box": 1})
    assert ana.ci_jobs == {"github GITHUB_RUN_ID=17": 1}
    assert (root.sudo_from, root.first_at, root.last_at) == ("bo", START + 1, START + 1)


def test_operations_are_counted_by_action_and_outcome() -> None:
    fold = folded(entry(1), entry(2, outcome="success"), entry(3))
    assert fold.operations() == [("run", "started", 2), ("run", "success", 1)]


def test_heads_join_one_report_to_the_next() -> None:
    """The opening head is the closing one of the report before: the hash the first entry continues."""
    first, second = folded(entry(1), entry(2)), folded(entry(3))
    assert (first.opening, first.closing) == ((0, GENESIS), (2, "h2"))
    assert (second.opening, second.closing) == ((2, "h2"), (3, "h3"))


def test_a_clock_that_was_set_back_does_not_turn_the_period_round() -> None:
    fold = folded(entry(1, at=START + 9), entry(2, at=START + 3))
    assert (fold.first_at, fold.last_at) == (START + 3, START + 9)


@pytest.mark.parametrize(
    ("scope", "seqs"),
    [
        ({}, "123456"),
        ({"actor": "ana"}, "13456"),
        ({"actor": "root"}, "3"),
        ({"actor": "root (sudo ana)"}, "3"),
        ({"actor": "an"}, ""),
        ({"dag": "sales"}, "1234"),
        ({"dag": "other"}, "56"),
        ({"target": "sales"}, "4"),
        ({"target": "bf-1"}, "12"),
        ({"since": START + 3, "until": START + 4}, "34"),
        ({"since": START + 3, "dag": "other"}, "56"),
    ],
)
def test_the_scope_takes_whole_words_and_both_bounds(scope: dict[str, Any], seqs: str) -> None:
    """`actor` also takes the user behind sudo: what ana did as root is ana's."""
    rows = [
        entry(1),
        entry(2, actor="bo"),
        entry(3, actor="root (sudo ana)", target="bf-2"),
        entry(4, "reset", "cleared", target="sales"),
        entry(5, target="bf-3", details={"dag_id": "other"}),
        entry(6, "reset", "cleared", target="other", details={"dag_id": "other"}),
    ]
    assert "".join(str(row.seq) for row in rows if folded(row, **scope).entries) == seqs


def test_the_story_of_a_backfill_is_told_whole_when_one_entry_of_it_is_in_scope() -> None:
    fold = folded(entry(1), entry(2, actor="bo", outcome="resumed"), entry(3, target="bf-2"), actor="bo")
    assert list(fold.touched) == ["bf-1"]
    assert [act.actor for act in fold.acts["bf-1"]] == ["ana", "bo"]
    assert fold.entries == 1


def test_a_reset_says_what_it_cleared() -> None:
    details = {"dag_id": "sales", "range": ["a", "b"], "dates": 2, "task_instances": 4, "xcoms": 1, "tasks": ["load"]}
    (reset,) = folded(entry(1, "reset", "cleared", target="sales", reason="why", details=details)).resets
    assert (reset.start, reset.end, reset.dates, reset.task_instances, reset.xcoms) == ("a", "b", 2, 4, 1)
    assert (reset.tasks, reset.reason, reset.command) == (("load",), "why", "reset")


@pytest.mark.parametrize("details", [{}, {"dag_id": 7, "range": "x", "ci": "y", "tasks": 3, "dates": True}, {"ci": {}}])
def test_details_of_any_shape_are_survived(details: dict[str, Any]) -> None:
    """An entry of a broken chain may hold anything; its backfill stays in the report."""
    fold = folded(entry(1, details=details), entry(2, "reset", "cleared", target="sales", details=details))
    assert list(fold.touched) == ["bf-1"]
    assert (fold.resets[0].dag_id, fold.resets[0].dates, fold.resets[0].tasks) == ("sales", None, ())


def test_sudo_and_ci_are_read_from_what_the_trail_writes() -> None:
    assert (behind_sudo("root (sudo ana)"), behind_sudo("ana")) == ("ana", None)
    assert ci_job({"system": "jenkins", "JOB_NAME": "nightly", "BUILD_NUMBER": "7"}) == (
        "jenkins JOB_NAME=nightly BUILD_NUMBER=7"
    )
    assert ci_job(None) == ""
