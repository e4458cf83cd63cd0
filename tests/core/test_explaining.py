"""Why a task waits: each rule in words, and that the words are true of what the machine does."""

from __future__ import annotations

from random import Random

from builders import FAIL, Ledger, Play, day, make_dag, make_instance, make_run, make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from test_machine_properties import dags, limits, play_out, scripts

from backfill_cli.core.explaining import DateFacts, cause_of, checks_of, first_held
from backfill_cli.core.graph import Dag, TriggerRule
from backfill_cli.core.rules import PastRun
from backfill_cli.core.states import RunState, TaskState
from backfill_cli.core.wording import waits_for

PAIR = make_dag(make_task("a", depends_on_past=True), make_task("b", after="a"))


def facts(number: int, previous: PastRun | None = None, *, is_live: bool = False, **states: TaskState) -> DateFacts:
    rows = {task_id: make_instance(day(number), task_id, state=state) for task_id, state in states.items()}
    return DateFacts(day(number), make_run(day(number)), rows, previous, is_live=is_live)


def past(number: int, *, is_open: bool = False, is_finished: bool = True, **states: TaskState) -> PastRun:
    return PastRun(day(number), states, is_open, is_finished, frozenset(PAIR.tasks))


def asked(dag: Dag, task_id: str, date: DateFacts) -> list[tuple[str, str, str]]:
    return [(one.rule, one.verdict, one.text) for one in checks_of(dag, dag.tasks[task_id], date)]


def test_a_first_date_waits_for_nothing() -> None:
    assert asked(PAIR, "a", facts(1)) == [
        ("all_success", "met", "nothing is before it"),
        ("depends_on_past", "met", "no dag_run is before it"),
        ("slots", "met", "all rules allow it: the next run of this date starts it"),
    ]


def test_the_past_names_its_date_its_task_and_what_it_must_be() -> None:
    """Section 4, rule 5. With a living process at work there, it may yet come; else somebody has to do something."""
    failed = past(1, a=TaskState.FAILED)
    text = "a on 2024-01-01 is failed; it must be success or skipped"
    assert asked(PAIR, "a", facts(2, failed))[1] == ("depends_on_past", "held", text)
    running = past(1, is_open=True, is_finished=False, a=TaskState.RUNNING)
    text = "a on 2024-01-01 is running; it must be success or skipped"
    assert asked(PAIR, "a", facts(2, running))[1] == ("depends_on_past", "waits", text)
    for state in (TaskState.SUCCESS, TaskState.SKIPPED):
        text = f"a on 2024-01-01 is {state}"
        assert asked(PAIR, "a", facts(2, past(1, a=state)))[1] == ("depends_on_past", "met", text)


def test_a_task_that_is_new_in_the_dag_does_not_wait_for_a_date_without_it() -> None:
    """Section 4, rule 4."""
    new = PastRun(day(1), {"b": TaskState.SUCCESS})
    assert asked(PAIR, "a", facts(2, new))[1][1:] == ("met", "a on 2024-01-01 was not in the DAG then")


def test_wait_for_downstream_asks_for_every_task_directly_behind() -> None:
    """Section 4, rule 6: the two directly behind, not the one behind them."""
    dag = make_dag(
        make_task("a", wait_for_downstream=True),
        make_task("b", after="a"),
        make_task("c", after="a"),
        make_task("d", after="b"),
    )
    before = PastRun(day(1), {"a": TaskState.SUCCESS, "b": TaskState.FAILED, "c": TaskState.SKIPPED})
    assert [(rule, verdict) for rule, verdict, _ in asked(dag, "a", facts(2, before))] == [
        ("all_success", "met"),
        ("depends_on_past", "met"),
        ("wait_for_downstream", "held"),
        ("wait_for_downstream", "met"),
    ]


def test_the_first_date_of_a_backfill_may_ignore_the_past() -> None:
    """Section 4, rule 1."""
    date = DateFacts(day(2), None, {}, past(1, a=TaskState.FAILED), ignore_past=True)
    assert [verdict for _, verdict, _ in asked(PAIR, "a", date)] == ["met", "met", "met"]
    assert cause_of(PAIR, date, "a", lambda _: facts(1)) is None


def test_a_trigger_rule_counts_what_ended_and_names_what_is_awaited() -> None:
    dag = make_dag(make_task("a"), make_task("b"), make_task("c", after=("a", "b")))
    one = facts(1, a=TaskState.SUCCESS, b=TaskState.RUNNING, is_live=True)
    text = "1 of 2 before it ended: 1 success; it waits for b (running)"
    assert asked(dag, "c", one) == [("all_success", "waits", text)]
    (check,) = checks_of(dag, dag.tasks["c"], one)
    assert check.upstream is not None
    assert (check.upstream.total, check.upstream.success) == (2, 1)
    bad = facts(1, a=TaskState.FAILED, b=TaskState.SUCCESS)
    assert asked(dag, "c", bad)[0][1:] == (
        "decides",
        "2 of 2 before it ended: 1 success, 1 failed; it will be upstream_failed",
    )
    none = make_dag(make_task("a"), make_task("b", after="a", trigger_rule=TriggerRule.ALL_FAILED))
    assert asked(none, "b", facts(1, a=TaskState.SUCCESS))[0][2].endswith("it will be skipped")


def test_what_has_ended_or_runs_waits_for_nothing_and_a_dead_try_is_said_to_be_dead() -> None:
    for state in TaskState:
        checks = asked(PAIR, "a", facts(1, a=state, is_live=True))
        assert bool(checks) == (state in (TaskState.SCHEDULED, TaskState.UP_FOR_RETRY)), state
    assert asked(PAIR, "a", facts(1, a=TaskState.RUNNING))[0][:2] == ("interrupted", "held")
    row = make_instance(day(1), "a", state=TaskState.UP_FOR_RETRY, retry_at=day(1) * 1_000_000 + 90_000_000)
    retry = DateFacts(day(1), make_run(), {"a": row}, is_live=True)
    assert asked(PAIR, "a", retry) == [("retry", "waits", "its next try is due at 2024-01-01 00:01:30Z")]


def test_a_ready_task_of_a_live_run_waits_for_its_turn_and_its_pool() -> None:
    dag = make_dag(make_task("a", pool="small", pool_slots=2))
    date = DateFacts(day(1), make_run(), is_live=True, free={"small": (1, 3)})
    text = "all rules allow it; pool small: needs 2, 1 of 3 free; it starts when its turn comes"
    assert asked(dag, "a", date)[-1] == ("slots", "waits", text)


def chain_of(length: int) -> tuple[Ledger, Dag]:
    """A chain whose first date failed: all others are blocked."""
    dates = [day(number) for number in range(1, length + 1)]
    play = Play(PAIR, dates)
    play.turn()
    play.end("a", FAIL, date=dates[0])
    assert play.is_over
    return play.ledger, PAIR


def look(ledger: Ledger, date: int) -> DateFacts:
    """The facts of a date as the store would give them."""
    rows = {task_id: row for (other, task_id), row in ledger.instances.items() if other == date}
    return DateFacts(date, ledger.runs[date], rows, ledger.spec(date).previous)


def test_a_chain_is_followed_to_the_date_that_began_it() -> None:
    ledger, dag = chain_of(30)
    cause = cause_of(dag, look(ledger, day(30)), "b", lambda date: look(ledger, date))
    assert cause is not None
    assert (cause.logical_date, cause.task_id, cause.state, cause.dates) == (day(1), "a", "failed", 29)
    assert cause.reason == "it was failed"
    cut = cause_of(dag, look(ledger, day(30)), "a", lambda date: look(ledger, date), far=10)
    assert cut is not None
    assert (cut.dates, cut.more) == (10, True)
    assert cause_of(dag, look(ledger, day(1)), "a", lambda date: look(ledger, date)) is None


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_explained_is_what_the_machine_did(data: st.DataObject) -> None:
    """Any small DAG, any outcomes: a blocked date's reason is its first rule that holds, and a failure is behind it."""
    dag = data.draw(dags())
    dates = [day(number) for number in range(1, 5)]
    play = Play(dag, dates, limits=data.draw(st.composite(limits)()))
    play_out(play, data.draw(scripts(dag)), Random(data.draw(st.integers(0, 999))))
    for date in dates:
        seen = look(play.ledger, date)
        checks = {task_id: checks_of(dag, task, seen) for task_id, task in dag.tasks.items()}
        if seen.run is not None and seen.run.state.is_terminal:
            assert not any(checks.values())
            continue
        assert seen.run is not None
        assert seen.run.state is RunState.QUEUED
        assert all(any(one.verdict != "met" for one in found) for found in checks.values() if found)
        assert not any(one.verdict == "decides" for found in checks.values() for one in found)
        stuck = {
            task_id: first_held(dag, dag.tasks[task_id], seen)
            for task_id, found in checks.items()
            if found and found[0].verdict == "met"
        }
        reasons = [waits_for(task_id, past, dag) for task_id, past in stuck.items() if past]
        assert seen.run.reason == reasons[0]
        for task_id in stuck:
            cause = cause_of(dag, seen, task_id, lambda other: look(play.ledger, other))
            assert cause is not None
            assert cause.state == "failed"
            assert cause.logical_date < date
