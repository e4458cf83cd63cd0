"""The machine by property: any small DAG, any outcomes, any order of reports, a crash anywhere.

Each run is compared with `oracle.final_states`, which knows no order. `builders.Play` checks limits and rows at every
turn, `builders.Ledger` every committed move; so each test here holds all of that besides what its name says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from builders import DEFER, DONE, FAIL, LOST, RETRY, SKIP, Ledger, Play, day, make_dag, make_limits, make_task
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import end_of, final_states, run_state, table

from backfill_cli.core.graph import Dag, TriggerRule
from backfill_cli.core.machine import Limits
from backfill_cli.core.records import Action, InstanceRow
from backfill_cli.core.retries import RetryPolicy
from backfill_cli.core.states import TERMINAL, Outcome, RunState, TaskState
from backfill_cli.core.work import EmptyWork

NAMES = ("a", "b", "c", "d", "e")
ENDINGS = (DONE, DONE, FAIL, SKIP, RETRY, RETRY, DEFER)


@st.composite
def dags(draw: st.DrawFn, *, branches: bool = False) -> Dag:
    """Up to five tasks with any rule, flag, pool, weight and number of retries."""
    tasks = []
    for place in range(draw(st.integers(1, 5))):
        pool = draw(st.sampled_from(("default_pool", "default_pool", "small")))
        tasks.append(
            make_task(
                NAMES[place],
                after=draw(st.sets(st.sampled_from(NAMES[:place]), max_size=3)) if place else (),
                trigger_rule=draw(st.sampled_from((TriggerRule.ALL_SUCCESS, *TriggerRule))),
                depends_on_past=draw(st.booleans()),
                wait_for_downstream=draw(st.integers(0, 3)) == 0,
                retry=RetryPolicy(draw(st.integers(0, 2)), delay_s=draw(st.sampled_from((0, 60)))),
                pool=pool,
                pool_slots=draw(st.integers(1, 2)) if pool == "small" else 1,
                priority_weight=draw(st.integers(1, 3)),
                **({"work": EmptyWork()} if not branches and draw(st.integers(0, 4)) == 0 else {}),
            )
        )
    return make_dag(*tasks, max_active_tasks=draw(st.integers(1, 3)))


@dataclass(frozen=True)
class Script:
    """How the tries of each task of each date end, decided once by a number; losses if `lossy`."""

    number: int
    dag: Dag
    lossy: bool = False

    def __call__(self, date: int, task_id: str) -> Sequence[Outcome]:
        if isinstance(self.dag.tasks[task_id].work, EmptyWork):
            return ()
        random = Random(f"{self.number}/{date}/{task_id}")
        endings = (*ENDINGS, LOST, LOST) if self.lossy else ENDINGS
        return [random.choice(endings) for _ in range(random.randrange(5))]


def scripts(dag: Dag, *, lossy: bool = False) -> st.SearchStrategy[Script]:
    return st.integers(0, 2**32).map(lambda number: Script(number, dag, lossy))


def limits(draw: st.DrawFn) -> Limits:
    return make_limits(draw(st.integers(1, 4)), draw(st.integers(1, 4)), small=draw(st.sampled_from((2, 3, -1))))


def turn_once(play: Play, script: Script, order: Random) -> None:
    """Let one or several tries end, in any order, or time pass."""
    if not play.flying or (play.wake_at is not None and order.random() < 0.2):
        play.wait()
        return
    for _ in range(order.randint(1, len(play.flying))):
        date, task_id = order.choice(sorted(play.flying))
        said = script(date, task_id)
        # What a crash lost has not happened as far as the task is concerned: it does the same again.
        nth = sum(
            1 for key, row in play.ledger.attempts.items() if key[:2] == (date, task_id) and row.reason != "crash"
        )
        play.report(date, task_id, said[nth] if nth < len(said) else DONE)
    play.turn()


def play_out(play: Play, script: Script, order: Random) -> Play:
    play.turn()
    for _ in range(10_000):
        if play.is_over:
            return play
        turn_once(play, script, order)
    raise AssertionError("it does not come to an end")


def all_states(ledger: Ledger, dag: Dag, dates: Sequence[int]) -> dict[int, dict[str, TaskState]]:
    """Every state; what waits for its turn and what has no row are the same."""
    return {date: {**dict.fromkeys(dag.tasks, TaskState.SCHEDULED), **ledger.states(date)} for date in dates}


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_every_order_of_reports_ends_as_the_rules_say(data: st.DataObject) -> None:
    """Sections 4, 5 and 6: the same end states and dag_runs in any order, within the limits, and the counts add up."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag, lossy=True))
    dates = [day(n) for n in range(1, data.draw(st.integers(1, 4)) + 1)]
    play = Play(dag, dates, limits=data.draw(st.composite(limits)()))
    play_out(play, script, Random(data.draw(st.integers(0, 2**32))))

    expected = final_states(dag, dates, script)
    assert all_states(play.ledger, dag, dates) == expected
    assert {date: play.run_row(date).state for date in dates} == {
        date: run_state(dag, states) for date, states in expected.items()
    }
    ends = Counter(run_state(dag, states) for states in expected.values())
    machine = play.machine
    assert (machine.completed, machine.failed, machine.blocked) == (
        ends[RunState.SUCCESS],
        ends[RunState.FAILED],
        ends[RunState.QUEUED],
    )
    assert play.ledger.counts == (machine.completed, machine.failed) or not play.ledger.outcomes
    assert not machine.flights and not machine.runs
    assert not any(machine.slots.pools.taken.values())
    assert all(run.owner is None for run in play.ledger.runs.values())
    assert all(run.reason for run in play.ledger.runs.values() if run.state is not RunState.SUCCESS)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_task_is_tried_as_often_as_its_outcomes_ask_for_and_no_more(data: st.DataObject) -> None:
    """Section 6: at most 1 + retries tries, losses and deferrals aside; every one is in history."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag, lossy=True))
    dates = [day(1), day(2)]
    play = play_out(Play(dag, dates, limits=data.draw(st.composite(limits)())), script, Random(1))
    for (date, task_id), row in play.ledger.instances.items():
        history = [one.outcome for key, one in play.ledger.attempts.items() if key[:2] == (date, task_id)]
        if row.try_number:
            assert row.try_number == end_of(script(date, task_id), dag.tasks[task_id].retry.retries)[1]
        assert len(history) == row.try_number
        free = history.count(LOST) + history.count(DEFER)
        assert len(history) <= 1 + dag.tasks[task_id].retry.retries + free


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_task_starts_before_its_rule_and_the_past_allow(data: st.DataObject) -> None:
    """Sections 4 and 5, looked at from outside at the moment of each submission."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag))
    dates = [day(n) for n in range(1, 4)]
    play = Play(dag, dates, limits=data.draw(st.composite(limits)()))
    order = Random(data.draw(st.integers(0, 2**32)))
    seen = 0
    play.turn()
    while True:
        for date, task_id, _ in play.started[seen:]:
            task = dag.tasks[task_id]
            assert table(task.trigger_rule, [play.state(up, date) for up in sorted(task.upstream)]) == "run"
            if date != dates[0] and (task.depends_on_past or task.wait_for_downstream):
                watched = [task_id, *(dag.downstream[task_id] if task.wait_for_downstream else ())]
                before = dates[dates.index(date) - 1]
                assert {play.state(one, before) for one in watched} <= {TaskState.SUCCESS, TaskState.SKIPPED}
        seen = len(play.started)
        if play.is_over:
            break
        turn_once(play, script, order)


def crash(play: Play, dates: Sequence[int], fresh: Limits, *, counts_as_loss: bool = True) -> Play:
    """Forget the machine; the next command recovers what is committed and opens what has no outcome yet."""
    ledger = play.ledger
    ledger.recover(play.now, counts_as_loss=counts_as_loss)
    left = [date for date in dates if date not in ledger.outcomes]
    resumed = Play(play.dag, left, limits=fresh, ledger=ledger, now=play.now)
    assert all(row.owner is None for row in ledger.runs.values())
    return resumed


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_crash_anywhere_and_resume_gives_the_same_final_states(data: st.DataObject) -> None:
    """Style section 5: dropped between any two turns, once or twice; no committed success is submitted again."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag))
    dates = [day(n) for n in range(1, 4)]
    bounds = data.draw(st.composite(limits)())
    order = Random(data.draw(st.integers(0, 2**32)))
    play = Play(dag, dates, limits=bounds)
    for turns in data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=2)):
        play.turn()
        for _ in range(turns):
            if not play.is_over:
                turn_once(play, script, order)
        done = {key for key, row in play.ledger.instances.items() if row.state in TERMINAL}
        play = crash(play, dates, bounds)
        assert done == {key for key, row in play.ledger.instances.items() if row.state in TERMINAL}
    already = {key for key, row in play.ledger.instances.items() if row.state in TERMINAL}
    play_out(play, script, order)
    assert not already & {(date, task_id) for date, task_id, _ in play.started}
    assert all_states(play.ledger, dag, dates) == final_states(dag, dates, script)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_stopped_and_run_again_ends_the_same(data: st.DataObject) -> None:
    """A drain or an abort at any turn, any number of times: a person's stop is no loss and uses no retry."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag))
    dates = [day(1), day(2)]
    bounds = data.draw(st.composite(limits)())
    order = Random(data.draw(st.integers(0, 2**32)))
    play = Play(dag, dates, limits=bounds)
    for turns, abort in data.draw(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=5)):
        play.turn()
        for _ in range(turns):
            if not play.is_over:
                turn_once(play, script, order)
        play.machine.stop(abort=abort)
        while play.flying and not abort:
            turn_once(play, script, order)
        for date, task_id in sorted(play.flying):
            play.report(date, task_id, LOST, reason="crash")
        started = len(play.started)
        play.turn()
        assert len(play.started) == started and play.is_over
        for attempt in list(play.ledger.attempts.items()):
            if attempt[1].outcome is LOST:
                play.ledger.attempts[attempt[0]] = attempt[1]._replace(reason="crash")
        play = crash(play, dates, bounds, counts_as_loss=False)
    play_out(play, script, order)
    assert all_states(play.ledger, dag, dates) == final_states(dag, dates, script)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_branches_and_short_circuits_never_leave_a_run_open(data: st.DataObject) -> None:
    """Whatever a branch cuts off and whatever waits for the past: every date ends, or is blocked with a reason."""
    dag = data.draw(dags(branches=True))
    order = Random(data.draw(st.integers(0, 2**32)))
    dates = [day(n) for n in range(1, 4)]
    play = Play(dag, dates, limits=data.draw(st.composite(limits)()))
    play.turn()
    while not play.is_over:
        date, task_id = order.choice(sorted(play.flying))
        behind = dag.downstream[task_id]
        choice = order.choice(("follow", "all", "direct", "none", "fail"))
        if choice == "fail":
            play.report(date, task_id, FAIL)
        elif choice == "follow":
            play.report(date, task_id, follow=tuple(one for one in behind if order.random() < 0.5))
        else:
            play.report(date, task_id, skip_behind=None if choice == "none" else choice)
        play.turn()
    for date in dates:
        blocked = play.run_row(date).state is RunState.QUEUED
        assert blocked or play.all_terminal(date)
        assert not blocked or "waits for" in str(play.run_row(date).reason)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_clearing_what_failed_and_running_again_ends_as_the_rules_say(data: st.DataObject) -> None:
    """`rerun-failed`: failed and upstream_failed task instances run again with a fresh budget, all others stay."""
    dag = data.draw(dags())
    script = data.draw(scripts(dag))
    order = Random(data.draw(st.integers(0, 2**32)))
    bounds = data.draw(st.composite(limits)())
    first = play_out(Play(dag, [day(1)], limits=bounds), script, order)
    if first.run_row(day(1)).state is not RunState.FAILED:
        return
    before = dict(first.ledger.instances)
    failed = frozenset(
        row.task_id for row in before.values() if row.state in (TaskState.FAILED, TaskState.UPSTREAM_FAILED)
    )
    spec = first.ledger.spec(day(1), clears=failed, action=Action.RERUN)
    again = first.next_backfill([day(1)], specs={day(1): spec}, limits=bounds)
    play_out(again, data.draw(scripts(dag)), order)
    for (date, task_id), row in before.items():
        if task_id not in failed:
            assert _told(again.ledger.instances[date, task_id]) == _told(row)
    assert {task_id for _, task_id, _ in again.started} <= failed
    assert again.all_terminal(day(1))


def _told(row: InstanceRow) -> tuple[TaskState, int]:
    return row.state, row.try_number
